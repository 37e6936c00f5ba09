//! One event: an envelope that every event has, and a small detail by kind. Ids and facts, never a person.

use chrono::{DateTime, SecondsFormat, Utc};
use parkade_domain::ids::{LotId, PaymentId, ReservationId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::name::EventName;

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Names the change: the same for every delivery of it, different for every other.
    pub id: String,
    /// What happened.
    pub name: EventName,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// Where. Absent on payments: a payment's record does not name its lot.
    pub lot: Option<LotId>,
    /// The reservation, if it is about one.
    pub reservation: Option<ReservationId>,
    /// The payment, if it is about one.
    pub payment: Option<PaymentId>,
    /// How it stands after the change.
    pub detail: Detail,
}

/// What an event says besides its envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// Of `reservation.*` and `parking.*`.
    Reservation(ReservationDetail),
    /// Of `payment.*` and `refund.*`.
    Payment(PaymentDetail),
    /// Of `receipt.*`.
    Receipt(ReceiptDetail),
    /// Of `spot.*`.
    Spot(SpotDetail),
    /// Of `violation.*`.
    Violation(ViolationDetail),
}

/// A reservation after the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReservationDetail {
    /// State.
    pub status: &'static str,
    /// Version of the record: orders the events of one reservation.
    pub version: u32,
    /// Position of the spot in the lot's directory.
    pub spot_index: u16,
    /// Booked start, RFC 3339.
    pub start_time: String,
    /// Booked end, RFC 3339.
    pub end_time: String,
    /// Until when the spot is claimed, RFC 3339; absent when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_until: Option<String>,
    /// When the hold ends, RFC 3339; only while held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_expires_at: Option<String>,
    /// Class of the vehicle.
    pub vehicle_class: &'static str,
    /// ISO 4217.
    pub currency: &'static str,
    /// Owed, in minor units.
    pub price_minor: i64,
    /// Charged, in minor units.
    pub paid_minor: i64,
    /// Given back or being given back, in minor units.
    pub refunded_minor: i64,
    /// Why it ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Where and when it was before; only of `reservation.modified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousDetail>,
}

/// Where and when a reservation was before it was modified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviousDetail {
    /// Position of the spot in the lot's directory.
    pub spot_index: u16,
    /// Booked start, RFC 3339.
    pub start_time: String,
    /// Booked end, RFC 3339.
    pub end_time: String,
}

/// A charge or refund after the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentDetail {
    /// `booking`, `balance` or `refund`.
    pub kind: &'static str,
    /// State.
    pub status: &'static str,
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: &'static str,
    /// `provider`, `cash` or `wallet`.
    pub means: &'static str,
    /// Of a refund: the charge it gives back from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_payment_id: Option<String>,
    /// Of a refund: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The provider's reason for saying no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<String>,
}

/// A receipt or credit note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptDetail {
    /// Which: `GET /v1/receipts/{id}` shows it.
    pub receipt_id: String,
    /// `receipt`, `credit_note` or `credit_note_reversal`.
    pub kind: &'static str,
    /// Its number, unique for ever.
    pub number: String,
    /// The money that moved, in minor units; below 0 if it went back.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: &'static str,
}

/// A violation after the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViolationDetail {
    /// Its number within the reservation, from 1.
    pub violation_number: usize,
    /// `overstay`, `wrong_spot`, `no_right` or `unpaid`.
    pub kind: &'static str,
    /// What it costs, in minor units.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: &'static str,
}

/// A spot's service after the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpotDetail {
    /// Position of the spot in the lot's directory.
    pub spot_index: u16,
    /// Whether the interval was withdrawn; otherwise it is (going to be) out of service in it.
    pub in_service: bool,
    /// Start of the interval, RFC 3339.
    pub start_time: String,
    /// End of the interval, RFC 3339.
    pub end_time: String,
}

impl Event {
    /// The bus's `detail`: envelope and detail in one flat object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = json!({"event_id": self.id, "occurred_at": rfc3339(self.occurred_at)});
        let Some(fields) = json.as_object_mut() else { return json };
        let ids = [
            ("lot_id", self.lot.as_ref().map(ToString::to_string)),
            ("reservation_id", self.reservation.map(|id| id.to_string())),
            ("payment_id", self.payment.map(|id| id.to_string())),
        ];
        fields.extend(ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), Value::String(id?)))));
        // The details are structs of texts, integers and flags, which always become objects.
        if let Ok(Value::Object(detail)) = serde_json::to_value(&self.detail) {
            fields.extend(detail);
        }
        json
    }
}

pub(crate) fn rfc3339(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}
