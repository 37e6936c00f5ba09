//! How a lot's calendar is cut into items: groups of spots, tiles of neighbouring spots, pages of days.
//!
//! One item holds one tile for one page. A page starts at a fixed UTC offset chosen in the lot's quiet hours, so a clock change
//! never moves a page and every day has 1,440 minutes.

use serde::{Deserialize, Serialize};

use crate::ids::SpotIndex;
use crate::time::{DAY_MINUTES, Minute, Window};

/// Spots that share a partition key. One key for a whole lot collapses in a flash crowd; 64 to 256 measured alike.
pub const SPOTS_PER_GROUP: u16 = 128;
/// Most spots of one lot: 32 groups are read in parallel, and the packed directory stays below 100 KB.
pub const SPOTS_PER_LOT_MAX: u16 = 4_096;
/// Pages are numbered with five digits in a key.
const PAGE_MAX: i64 = 99_999;

/// The shape of a lot's calendar items; it cannot change while the lot has claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// 8 spots × 1 day: stays of hours.
    Hourly,
    /// 2 spots × 32 days: airport and monthly stays, which would touch dozens of day pages.
    LongStay,
}

impl Shape {
    /// Longest stay in minutes. Moving a stay to another spot changes every page of both in one transaction of 100 items: 45 day
    /// pages twice and the records fit; of month pages more than any policy allows do.
    #[must_use]
    pub const fn stay_minutes_max(self) -> u32 {
        match self {
            Self::Hourly => 45 * 1_440,
            Self::LongStay => 366 * 1_440,
        }
    }
}

/// A lot's calendar geometry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Spots per tile × days per page.
    pub shape: Shape,
    /// Minutes after midnight UTC at which the lot's pages begin, 0 to 1,439.
    pub offset_minutes: i64,
}

/// A page number, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Page(pub u32);

/// A tile number within the lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile(pub u16);

/// A stretch of minutes inside one page, `start < end`, both counted from the page's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The page.
    pub page: Page,
    /// First minute.
    pub start: u16,
    /// First minute after it.
    pub end: u16,
}

impl Geometry {
    /// Spots in one tile, at most 8: the item's attributes are named `a` to `h`.
    #[must_use]
    pub const fn spots_per_tile(self) -> u16 {
        match self.shape {
            Shape::Hourly => 8,
            Shape::LongStay => 2,
        }
    }

    /// Minutes in one page, at most 46,080: a minute in a page is 16 bits.
    #[must_use]
    pub const fn page_minutes(self) -> i64 {
        match self.shape {
            Shape::Hourly => DAY_MINUTES,
            Shape::LongStay => 32 * DAY_MINUTES,
        }
    }

    /// The tile of a spot.
    #[must_use]
    pub const fn tile(self, spot: SpotIndex) -> Tile {
        Tile(spot.0 / self.spots_per_tile())
    }

    /// The spot's place in its tile, 0 to 7.
    #[must_use]
    pub const fn slot(self, spot: SpotIndex) -> usize {
        (spot.0 % self.spots_per_tile()) as usize
    }

    /// The spot at a place of a tile.
    #[must_use]
    pub const fn spot(self, tile: Tile, slot: u16) -> SpotIndex {
        SpotIndex(tile.0 * self.spots_per_tile() + slot)
    }

    /// The partition of a spot.
    #[must_use]
    pub const fn group(spot: SpotIndex) -> u16 {
        spot.0 / SPOTS_PER_GROUP
    }

    /// The page that contains a minute. Minutes before 1970 or after 2243 clamp to the first or last page.
    #[must_use]
    pub fn page(self, minute: Minute) -> Page {
        let number = (minute.0 - self.offset_minutes).div_euclid(self.page_minutes()).clamp(0, PAGE_MAX);
        Page(u32::try_from(number).unwrap_or(0))
    }

    /// The minute at which a page starts.
    #[must_use]
    pub fn page_start(self, page: Page) -> Minute {
        Minute(i64::from(page.0) * self.page_minutes() + self.offset_minutes)
    }

    /// The pages a window touches, in order.
    #[must_use]
    pub fn pages(self, window: Window) -> Vec<Page> {
        let first = self.page(window.start()).0;
        let last = self.page(window.end().plus(-1)).0;
        (first..=last).map(Page).collect()
    }

    /// Cuts a window at page boundaries.
    #[must_use]
    pub fn segments(self, window: Window) -> Vec<Segment> {
        self.pages(window).into_iter().filter_map(|page| self.segment(page, window)).collect()
    }

    /// The part of `window` inside `page`.
    #[must_use]
    pub fn segment(self, page: Page, window: Window) -> Option<Segment> {
        let origin = self.page_start(page).0;
        let start = (window.start().0 - origin).clamp(0, self.page_minutes());
        let end = (window.end().0 - origin).clamp(0, self.page_minutes());
        if start >= end {
            return None;
        }
        Some(Segment { page, start: u16::try_from(start).ok()?, end: u16::try_from(end).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn geometry(shape: Shape) -> Geometry {
        Geometry { shape, offset_minutes: 180 }
    }

    #[test]
    fn a_window_ending_on_a_page_boundary_stays_in_the_page_before() {
        let g = geometry(Shape::Hourly);
        let boundary = g.page_start(Page(20_000));
        let window = Window::new(boundary.plus(-60), boundary).unwrap();
        assert_eq!(g.pages(window), vec![Page(19_999)]);
        assert_eq!(g.segments(window), vec![Segment { page: Page(19_999), start: 1_380, end: 1_440 }]);
    }

    #[test]
    fn a_month_is_two_long_pages_at_most() {
        let g = geometry(Shape::LongStay);
        for start in 0..40 {
            let from = Minute(29_000_000 + start * DAY_MINUTES);
            assert!(g.pages(Window::new(from, from.plus(31 * DAY_MINUTES)).unwrap()).len() <= 2);
        }
    }

    proptest! {
        #[test]
        fn segments_cover_the_window_exactly(start in 28_000_000_i64..40_000_000, minutes in 1_i64..90_000, long: bool) {
            let g = geometry(if long { Shape::LongStay } else { Shape::Hourly });
            let window = Window::new(Minute(start), Minute(start + minutes)).unwrap();
            let mut at = window.start();
            for segment in g.segments(window) {
                prop_assert_eq!(g.page_start(segment.page).plus(i64::from(segment.start)), at);
                at = g.page_start(segment.page).plus(i64::from(segment.end));
            }
            prop_assert_eq!(at, window.end());
        }

        #[test]
        fn tile_and_slot_name_a_spot(index in 0_u16..SPOTS_PER_LOT_MAX, long: bool) {
            let g = geometry(if long { Shape::LongStay } else { Shape::Hourly });
            let spot = SpotIndex(index);
            prop_assert_eq!(g.spot(g.tile(spot), u16::try_from(g.slot(spot)).unwrap()), spot);
        }
    }
}
