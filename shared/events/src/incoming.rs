//! An event as a consumer gets it: the bus's JSON in a queue's message. A consumer takes from it which record to look at, and reads
//! the record itself, so that an event that comes late or twice does no harm.

use chrono::{DateTime, Utc};
use parkade_domain::ids::{LotId, PaymentId, ReservationId, SpotIndex};
use parkade_domain::notice::Placement;
use parkade_domain::time::{Minute, Window};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::name::{EventName, SOURCE};

/// An event that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// What happened.
    pub name: EventName,
    /// The change's id.
    pub event_id: String,
    /// The lot, if named.
    pub lot: Option<LotId>,
    /// The reservation, if named.
    pub reservation: Option<ReservationId>,
    /// The payment, if named.
    pub payment: Option<PaymentId>,
    /// The receipt, if named.
    pub receipt: Option<String>,
    /// Where and when the reservation was before and after it was modified.
    pub moved: Option<(Placement, Placement)>,
    /// The number of the violation, if named.
    pub violation: Option<u8>,
}

/// A message that is no event of ours. It is never done by throwing it away.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// There is no body.
    #[error("the message has no body")]
    NoBody,
    /// It is not the JSON of an event.
    #[error("the message is not an event")]
    Json(#[source] serde_json::Error),
    /// It does not come from us.
    #[error("the event comes from another source than {SOURCE}")]
    Source,
    /// A detail type that this version does not know.
    #[error("the event's name is unknown")]
    Name,
}

/// What is read of the bus's event. Unknown fields are additions of a later release.
#[derive(Deserialize)]
struct Body {
    #[serde(rename = "detail-type")]
    detail_type: String,
    source: String,
    detail: Envelope,
}

#[derive(Deserialize)]
struct Envelope {
    event_id: String,
    #[serde(default, deserialize_with = "id")]
    lot_id: Option<LotId>,
    #[serde(default, deserialize_with = "id")]
    reservation_id: Option<ReservationId>,
    #[serde(default, deserialize_with = "id")]
    payment_id: Option<PaymentId>,
    receipt_id: Option<String>,
    violation_number: Option<u8>,
    #[serde(flatten)]
    after: Place,
    previous: Option<Place>,
}

#[derive(Deserialize)]
struct Place {
    spot_index: Option<u16>,
    start_time: Option<DateTime<Utc>>,
    end_time: Option<DateTime<Utc>>,
}

impl Place {
    fn placement(&self) -> Option<Placement> {
        let window = Window::new(Minute::floor(self.start_time?), Minute::floor(self.end_time?)).ok()?;
        Some(Placement { window, spot: SpotIndex(self.spot_index?) })
    }
}

fn id<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

impl Incoming {
    /// Reads the body of a queue's message.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn parse(body: &str) -> Result<Self, Unreadable> {
        let body: Body = serde_json::from_str(body).map_err(Unreadable::Json)?;
        if body.source != SOURCE {
            return Err(Unreadable::Source);
        }
        Ok(Self {
            name: EventName::parse(&body.detail_type).ok_or(Unreadable::Name)?,
            event_id: body.detail.event_id,
            lot: body.detail.lot_id,
            reservation: body.detail.reservation_id,
            payment: body.detail.payment_id,
            receipt: body.detail.receipt_id,
            violation: body.detail.violation_number,
            moved: body.detail.previous.and_then(|before| before.placement().zip(body.detail.after.placement())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_with_fields_of_a_later_release_and_nothing_else_is() {
        let good = r#"{"id":"x","detail-type":"payment.requested.v1","source":"parkade","new":1,"detail":{"event_id":"e","occurred_at":
            "2027-06-01T08:00:00Z","lot_id":"central","payment_id":"pay_0123456789ABC_1","new":{}}}"#;
        let read = Incoming::parse(good).unwrap();
        assert_eq!((read.name, read.event_id.as_str()), (EventName::PaymentRequested, "e"));
        assert_eq!(read.payment.unwrap().to_string(), "pay_0123456789ABC_1");
        assert_eq!((read.receipt, read.moved), (None, None));
        let bad = [
            String::new(),
            "[]".to_owned(),
            good.replace(r#""source":"parkade""#, r#""source":"aws.s3""#),
            good.replace("payment.requested.v1", "payment.requested.v2"),
            good.replace("pay_0123456789ABC_1", "pay_1"),
            good.replace("central", "a lot"),
            good.replace("event_id", "other"),
            good.get(..60).unwrap().to_owned(),
        ];
        for body in bad {
            assert!(Incoming::parse(&body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_modification_says_what_was_and_what_is_and_a_receipt_its_id() {
        let modified = r#"{"detail-type":"reservation.modified.v1","source":"parkade","detail":{"event_id":"e","spot_index":3,
            "start_time":"2027-06-01T08:00:00Z","end_time":"2027-06-01T10:00:00Z",
            "previous":{"spot_index":2,"start_time":"2027-06-01T08:00:00Z","end_time":"2027-06-01T09:00:00Z"}}}"#;
        let (from, to) = Incoming::parse(modified).unwrap().moved.unwrap();
        assert_eq!((from.spot, to.spot), (SpotIndex(2), SpotIndex(3)));
        assert_eq!((from.window.minutes(), to.window.minutes()), (60, 120));
        let receipt =
            r#"{"detail-type":"receipt.issued.v1","source":"parkade","detail":{"event_id":"e","receipt_id":"rcp_1"}}"#;
        let read = Incoming::parse(receipt).unwrap();
        assert_eq!((read.receipt.as_deref(), read.moved), (Some("rcp_1"), None));
    }
}
