//! Distances on the globe. Positions are integers, millionths of a degree; a distance is for sorting and for people.

use std::str::FromStr;

use parkade_store::LotPosition;

/// Farthest search: a city and its surroundings.
pub(crate) const RADIUS_M_MAX: u32 = 20_000;
/// Latitude, in millionths of a degree, beyond which no search is made: the longitudes of a circle grow without end there.
const LATITUDE_MAX: i64 = 85_000_000;
/// Longitude of the date line, in millionths of a degree.
const HALF_TURN: i64 = 180_000_000;
/// Length of a degree of latitude. The shortest one, so that a box is never too small.
const METRES_PER_DEGREE: i64 = 110_000;
/// Mean radius of the earth.
const EARTH_M: f64 = 6_371_008.8;

/// A point, in millionths of a degree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    latitude: i64,
    longitude: i64,
}

impl FromStr for Point {
    type Err = &'static str;

    /// Reads `52.520008,13.404954`: degrees with at most six decimals, north and east positive.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = "latitude and longitude in degrees with at most six decimals, as 52.52,13.405";
        let (latitude, longitude) = text.split_once(',').ok_or(malformed)?;
        let point = Self {
            latitude: microdegrees(latitude).ok_or(malformed)?,
            longitude: microdegrees(longitude).ok_or(malformed)?,
        };
        if point.latitude.abs() > LATITUDE_MAX || point.longitude.abs() > HALF_TURN {
            return Err("a latitude from -85 to 85 and a longitude from -180 to 180");
        }
        Ok(point)
    }
}

/// Decimal digits to an integer, without the detour over a binary fraction.
fn microdegrees(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || whole.len() > 3 || fraction.len() > 6 {
        return None;
    }
    let value = whole.parse::<i64>().ok()? * 1_000_000 + format!("{fraction:0<6}").parse::<i64>().ok()?;
    Some(if negative { -value } else { value })
}

impl Point {
    /// The latitudes of a circle.
    pub(crate) fn latitudes(self, radius_m: u32) -> [i64; 2] {
        let reach = reach(radius_m);
        [self.latitude - reach, self.latitude + reach]
    }

    /// The longitudes of a circle: two ranges if it lies across the date line.
    pub(crate) fn longitudes(self, radius_m: u32) -> Vec<[i64; 2]> {
        let farthest = self.latitude.abs() + reach(radius_m);
        let reach = widened(reach(radius_m), farthest);
        let (from, until) = (self.longitude - reach, self.longitude + reach);
        if from < -HALF_TURN {
            vec![[-HALF_TURN, until], [from + 2 * HALF_TURN, HALF_TURN]]
        } else if until > HALF_TURN {
            vec![[from, HALF_TURN], [-HALF_TURN, until - 2 * HALF_TURN]]
        } else {
            vec![[from, until]]
        }
    }

    /// Metres to a lot, as the crow flies.
    pub(crate) fn distance_m(self, lot: &LotPosition) -> u32 {
        let there = Self { latitude: lot.latitude_microdegrees.into(), longitude: lot.longitude_microdegrees.into() };
        haversine_m(self, there)
    }
}

/// Millionths of a degree of latitude that cover a distance.
fn reach(radius_m: u32) -> i64 {
    i64::from(radius_m) * 1_000_000 / METRES_PER_DEGREE + 1
}

/// A distance on the equator, in millionths of a degree of longitude, at a latitude.
#[expect(clippy::float_arithmetic, reason = "geometry, not money: the box may be a little too large")]
fn widened(reach: i64, latitude: i64) -> i64 {
    let shrink = (latitude as f64 / 1e6).to_radians().cos().max(0.05);
    (reach as f64 / shrink).ceil() as i64
}

/// The great-circle distance on a sphere, within half a percent of the real one.
#[expect(clippy::float_arithmetic, reason = "geometry, not money: rounded to metres for people")]
fn haversine_m(from: Point, to: Point) -> u32 {
    let radians = |microdegrees: i64| (microdegrees as f64 / 1e6).to_radians();
    let half_latitude = radians(to.latitude - from.latitude) / 2.0;
    let half_longitude = radians(to.longitude - from.longitude) / 2.0;
    let across = radians(from.latitude).cos() * radians(to.latitude).cos() * half_longitude.sin().powi(2);
    let chord = (half_latitude.sin().powi(2) + across).clamp(0.0, 1.0);
    (2.0 * EARTH_M * chord.sqrt().asin()).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(text: &str) -> Point {
        text.parse().unwrap()
    }

    #[test]
    fn a_point_is_read_exactly() {
        assert_eq!(point("52.520008,13.404954"), Point { latitude: 52_520_008, longitude: 13_404_954 });
        assert_eq!(point("-0.5,-180"), Point { latitude: -500_000, longitude: -180_000_000 });
        for wrong in
            ["", "52", "52,", ",13", "52.1234567,13", "5e1,1", "+1,1", "1,1,1", "90,1", "1,181", "NaN,1", " 1,1"]
        {
            assert!(wrong.parse::<Point>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn distances_are_those_of_the_globe() {
        // A degree on a sphere of this radius: 111.195 km; Berlin to Paris: 878 km.
        assert_eq!(haversine_m(point("0,0"), point("0,1")), 111_195);
        assert_eq!(haversine_m(point("0,179.5"), point("0,-179.5")), 111_195);
        assert_eq!(haversine_m(point("52.52,13.405"), point("52.52,13.405")), 0);
        assert_eq!(haversine_m(point("52.5200,13.4050"), point("48.8566,2.3522")) / 1_000, 877);
    }

    #[test]
    fn the_box_contains_the_circle_everywhere() {
        for latitude in ["0", "40.5", "-60", "80", "84.9", "-85"] {
            for longitude in ["0", "179.95", "-179.95"] {
                let centre = point(&format!("{latitude},{longitude}"));
                let ranges = centre.longitudes(RADIUS_M_MAX);
                let inside = |longitude: i64| ranges.iter().any(|[from, until]| (*from..=*until).contains(&longitude));
                for step in -400_000..400_000_i64 {
                    let east = (centre.longitude + step * 100 + HALF_TURN).rem_euclid(2 * HALF_TURN) - HALF_TURN;
                    let there = Point { longitude: east, ..centre };
                    if step % 997 == 0 && haversine_m(centre, there) <= RADIUS_M_MAX {
                        assert!(inside(east), "{centre:?} {there:?} {ranges:?}");
                    }
                }
            }
        }
    }
}
