//! A quote that its driver can come back with: the promise travels through the client, sealed, so nothing is stored for the many who
//! only look (P17).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parkade_api::{FieldCode, FieldErrors, Problem};
use parkade_domain::ids::{CalendarVersion, LotId, TariffVersion};
use parkade_domain::reservation::Circumstances;
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::{SpotKind, SpotSize, VehicleClass};
use parkade_identity::{Keys, QUOTE_TAG_BYTES};
use parkade_store::Promise;
use serde::{Deserialize, Serialize};

/// How long a quoted price holds: time to compare lots and to type a plate, as long as the usual hold.
pub const QUOTE_TTL_S: i64 = 600;
/// Longest quote that is read: a sealed promise has about 250 characters.
const QUOTE_CHARS_MAX: usize = 1_024;

/// A promised price and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The lot.
    pub lot: LotId,
    /// The vehicle's class.
    pub class: VehicleClass,
    /// The stay.
    pub window: Window,
    /// The number of the spot, if the driver named one.
    pub spot: Option<String>,
    /// The price's versions and circumstances, and until when they hold.
    pub promise: Promise,
}

/// The sealed form. One letter each: it is part of a request that a phone sends.
#[derive(Serialize, Deserialize)]
struct Sealed {
    l: String,
    c: VehicleClass,
    w: [i64; 2],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<String>,
    t: u32,
    k: u32,
    f: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    o: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<u32>,
    x: i64,
}

impl Quote {
    /// The quote as text for the client: URL-safe, opaque.
    ///
    /// # Errors
    /// A defect of ours.
    pub fn seal(&self, keys: &Keys) -> Result<String, Problem> {
        let circumstances = self.promise.circumstances;
        let sealed = Sealed {
            l: self.lot.to_string(),
            c: self.class,
            w: [self.window.start().0, self.window.end().0],
            s: self.spot.clone(),
            t: self.promise.tariff.0,
            k: circumstances.calendar.0,
            f: SpotKind { size: SpotSize::Motorcycle, features: circumstances.features }.to_byte(),
            o: circumstances.occupancy_percent,
            d: circumstances.lead_minutes,
            x: self.promise.expires_at_s,
        };
        let mut bytes = serde_json::to_vec(&sealed).map_err(|error| Problem::internal(&error))?;
        bytes.extend(keys.quote_tag(&bytes));
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads what [`Self::seal`] made.
    ///
    /// # Errors
    /// `invalid_fields` at `/quote` for anything else.
    pub fn open(keys: &Keys, text: &str) -> Result<Self, Problem> {
        let refused = || refused_quote(FieldCode::Invalid, "not a quote of ours; send it as it was received");
        if text.len() > QUOTE_CHARS_MAX {
            return Err(refused());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
        let (promise, tag) = bytes.split_last_chunk::<QUOTE_TAG_BYTES>().ok_or_else(refused)?;
        if !keys.is_quote(promise, tag) {
            return Err(refused());
        }
        let sealed: Sealed = serde_json::from_slice(promise).map_err(|_| refused())?;
        let [start, end] = sealed.w.map(Minute);
        let circumstances = Circumstances {
            calendar: CalendarVersion(sealed.k),
            features: SpotKind::from_byte(sealed.f).ok_or_else(refused)?.features,
            occupancy_percent: sealed.o,
            lead_minutes: sealed.d,
        };
        Ok(Self {
            lot: LotId::new(sealed.l).map_err(|_| refused())?,
            class: sealed.c,
            window: Window::new(start, end).map_err(|_| refused())?,
            spot: sealed.s,
            promise: Promise { tariff: TariffVersion(sealed.t), circumstances, expires_at_s: sealed.x },
        })
    }
}

/// A quote that does not fit the request it came with.
#[must_use]
pub fn refused_quote(code: FieldCode, detail: &str) -> Problem {
    let mut errors = FieldErrors::new();
    errors.push("/quote", code, detail);
    errors.into_result().err().unwrap_or_else(|| parkade_api::Code::InvalidFields.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote() -> Quote {
        let circumstances =
            Circumstances { occupancy_percent: Some(81), lead_minutes: Some(90), ..Circumstances::default() };
        Quote {
            lot: LotId::new("lot-1").unwrap(),
            class: VehicleClass::Standard,
            window: Window::new(Minute(29_700_000), Minute(29_700_120)).unwrap(),
            spot: Some("A1".to_owned()),
            promise: Promise { tariff: TariffVersion(3), circumstances, expires_at_s: 1_782_000_600 },
        }
    }

    #[test]
    fn a_quote_comes_back_as_it_went_also_after_a_rotation() {
        let keys = Keys::from_master(&[7; 32]);
        let text = quote().seal(&keys).unwrap();
        assert_eq!(Quote::open(&keys, &text).unwrap(), quote());
        let rotated = Keys::from_master(&[8; 32]).with_previous(&[7; 32]);
        assert_eq!(Quote::open(&rotated, &text).unwrap(), quote());
        assert!(text.len() < QUOTE_CHARS_MAX / 2, "{} characters", text.len());
    }

    #[test]
    fn a_changed_a_foreign_and_a_senseless_quote_are_refused() {
        let keys = Keys::from_master(&[7; 32]);
        let text = quote().seal(&keys).unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for position in 0..bytes.len() {
            bytes[position] ^= 1;
            assert!(Quote::open(&keys, &URL_SAFE_NO_PAD.encode(&bytes)).is_err(), "byte {position}");
            bytes[position] ^= 1;
        }
        assert!(Quote::open(&Keys::from_master(&[9; 32]), &text).is_err());
        for text in ["", "x", "ÄÖ", &"A".repeat(2_000)] {
            assert_eq!(Quote::open(&keys, text).unwrap_err().errors()[0].pointer, "/quote");
        }
    }
}
