//! Webhooks: whether a delivery comes from the provider, is fresh, and what it is about.
//!
//! A verified event is a hint that something happened, not an order: events come late, twice and in any order, so the receiver lets its
//! payments move forward only, and trusts the object's state only as far as its own records allow (M2).

use std::fmt;

use ring::hmac;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::dispute::{self, Dispute};
use crate::error::PaymentError;
use crate::id::ProviderId;
use crate::saved::{self, Setup};
use crate::types::{Charge, Refund};
use crate::wire;

/// How far a signature's time may be from ours, either way: Stripe's own libraries use it, and clocks differ by less. A signature
/// from the future is refused too, because it could be replayed until then.
pub const SIGNATURE_TOLERANCE_S: i64 = 300;
/// Stripe's events are some KB; its objects have a few hundred KB at most.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;
/// Stripe signs with at most a few secrets while one is rotated; each candidate costs a comparison.
const SIGNATURES_MAX: usize = 8;
const SHA256_BYTES: usize = 32;

/// Why a delivery is not taken. Only the first three say something about the sender; all are answered alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WebhookError {
    /// No `Stripe-Signature: t=…,v1=…`.
    #[error("the signature header cannot be read")]
    Header,
    /// Signed by nobody who knows one of our secrets, or changed since.
    #[error("no signature matches")]
    Signature,
    /// Correctly signed, but more than [`SIGNATURE_TOLERANCE_S`] away from now.
    #[error("the signature is too old or from the future")]
    Age,
    /// More than [`PAYLOAD_BYTES_MAX`]; nothing was computed.
    #[error("the payload is too long")]
    TooLong,
    /// Correctly signed, but not an event: `id`, `type`, `created`, `data.object`.
    #[error("the payload is not an event")]
    Payload,
}

/// A webhook endpoint has no secret, or an empty one: anybody could sign with that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a webhook secret is empty")]
pub struct EmptySecret;

/// The secrets a delivery may be signed with: the present one and, while it is rotated, the former. They do not print themselves.
#[derive(Clone)]
pub struct WebhookSecrets {
    present: hmac::Key,
    former: Option<hmac::Key>,
}

impl WebhookSecrets {
    /// Takes the secrets as Stripe shows them (`whsec_…`).
    ///
    /// # Errors
    /// [`EmptySecret`]
    pub fn new(present: &str, former: Option<&str>) -> Result<Self, EmptySecret> {
        let key = |secret: &str| {
            if secret.is_empty() { Err(EmptySecret) } else { Ok(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())) }
        };
        Ok(Self { present: key(present)?, former: former.map(key).transpose()? })
    }

    /// Checks a delivery's signature and age and reads its event. `payload` is the body as it came, to the byte.
    ///
    /// # Errors
    /// [`WebhookError`]; the receiver answers 400 and logs the reason, never the payload.
    pub fn verify(&self, payload: &[u8], signature_header: &str, now_s: i64) -> Result<Event, WebhookError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(WebhookError::TooLong);
        }
        let header = SignatureHeader::parse(signature_header).ok_or(WebhookError::Header)?;
        let mut signed = format!("{}.", header.time).into_bytes();
        signed.extend_from_slice(payload);
        let keys = || std::iter::once(&self.present).chain(&self.former);
        // `ring` compares in constant time.
        let genuine = |signature: &[u8; SHA256_BYTES]| keys().any(|key| hmac::verify(key, &signed, signature).is_ok());
        if !header.signatures.iter().any(genuine) {
            return Err(WebhookError::Signature);
        }
        let age_s = now_s.checked_sub(header.time_s).and_then(i64::checked_abs);
        if age_s.is_none_or(|age_s| age_s > SIGNATURE_TOLERANCE_S) {
            return Err(WebhookError::Age);
        }
        Event::read(payload).ok_or(WebhookError::Payload)
    }
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecrets(redacted)")
    }
}

/// `t=1700000000,v1=<64 hex digits>[,v1=…][,v0=…]`
struct SignatureHeader<'a> {
    /// As written, because that is what was signed.
    time: &'a str,
    time_s: i64,
    signatures: Vec<[u8; SHA256_BYTES]>,
}

impl<'a> SignatureHeader<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut time = None;
        let mut signatures = Vec::new();
        for part in text.split(',') {
            let (name, value) = part.split_once('=')?;
            match name.trim() {
                // Two times would leave open which one was signed.
                "t" if time.is_some() => return None,
                "t" => time = Some(value),
                // What is not a SHA-256 in hex cannot match.
                "v1" if signatures.len() < SIGNATURES_MAX => signatures.extend(from_hex(value)),
                _ => {}
            }
        }
        let time = time?;
        Some(Self { time, time_s: time.parse().ok()?, signatures })
    }
}

fn from_hex(text: &str) -> Option<[u8; SHA256_BYTES]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(SHA256_BYTES);
    for pair in text.trim().as_bytes().chunks(2) {
        let [high, low] = *pair else { return None };
        bytes.push((digit(high)? << 4) | digit(low)?);
    }
    bytes.try_into().ok()
}

/// Something that happened at the provider, as a verified delivery tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// `evt_…`: the same in every delivery of this event.
    pub id: ProviderId,
    /// For example `payment_intent.succeeded`; new ones appear at any time.
    pub kind: String,
    /// When it happened, epoch seconds. Says nothing about the order of events within a second.
    pub created_s: i64,
    /// The object as it was then.
    pub object: EventObject,
}

/// What an event is about. Only what nearly every object has is read at once.
#[derive(Debug, Clone, PartialEq)]
pub struct EventObject {
    /// For example `payment_intent`, `refund`, `dispute`; empty if it does not say.
    pub kind: String,
    /// The object's own id, if it has one.
    pub id: Option<ProviderId>,
    /// The PaymentIntent it belongs to: its own id if it is one.
    pub payment_intent: Option<ProviderId>,
    /// The customer it belongs to: its own id if it is one.
    pub customer: Option<ProviderId>,
    /// The payment we named when the object was made.
    pub payment: Option<String>,
    /// The reservation we named when the object was made.
    pub reservation: Option<String>,
    /// The driver we named when the object was made.
    pub user: Option<String>,
    fields: Value,
}

/// An event's object, read as what it says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// `payment_intent.*`
    PaymentIntent(Charge),
    /// `refund.*`
    Refund(Refund),
    /// `setup_intent.*`
    SetupIntent(Setup),
    /// `charge.dispute.*`
    Dispute(Dispute),
    /// Something else, a card's charge among them (`charge.refunded`): [`EventObject::payment_intent`] says what to retrieve.
    Other,
}

impl Event {
    fn read(payload: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Wire {
            id: ProviderId,
            r#type: String,
            created: i64,
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            object: Value,
        }
        let Wire { id, r#type, created, data } = serde_json::from_slice(payload).ok()?;
        data.object.as_object()?;
        Some(Self { id, kind: r#type, created_s: created, object: EventObject::read(data.object) })
    }
}

impl EventObject {
    fn read(fields: Value) -> Self {
        let text = |pointer: &str| fields.pointer(pointer).and_then(Value::as_str);
        let id_at = |pointer: &str| text(pointer).and_then(|text| ProviderId::new(text).ok());
        let kind = text("/object").unwrap_or_default().to_owned();
        let id = id_at("/id");
        let payment_intent = if kind == "payment_intent" { id.clone() } else { id_at("/payment_intent") };
        let customer = if kind == "customer" { id.clone() } else { id_at("/customer") };
        let named = |what: &str| text(&format!("/metadata/{what}")).map(str::to_owned);
        let (payment, reservation, user) = (named("payment"), named("reservation"), named("user"));
        Self { kind, id, payment_intent, customer, payment, reservation, user, fields }
    }

    /// The object, read by its kind.
    ///
    /// # Errors
    /// [`PaymentError::Unknown`] if it is of a kind we know but cannot be read: retrieve it.
    pub fn subject(&self) -> Result<Subject, PaymentError> {
        match self.kind.as_str() {
            "payment_intent" => self.charge().map(Subject::PaymentIntent),
            "refund" => self.refund().map(Subject::Refund),
            "setup_intent" => self.setup().map(Subject::SetupIntent),
            "dispute" => self.dispute().map(Subject::Dispute),
            _ => Ok(Subject::Other),
        }
    }

    /// The object as a charge, if it is a PaymentIntent.
    ///
    /// # Errors
    /// [`PaymentError::Unknown`] if it is something else or cannot be read: retrieve it.
    pub fn charge(&self) -> Result<Charge, PaymentError> {
        wire::charge_in(&self.fields)
    }

    /// The object as a refund, if it is one.
    ///
    /// # Errors
    /// [`PaymentError::Unknown`] if it is something else or cannot be read: retrieve it.
    pub fn refund(&self) -> Result<Refund, PaymentError> {
        wire::refund_in(&self.fields)
    }

    /// The object as a card's setup, if it is a SetupIntent.
    ///
    /// # Errors
    /// [`PaymentError::Unknown`] if it is something else or cannot be read: retrieve it.
    pub fn setup(&self) -> Result<Setup, PaymentError> {
        saved::setup_in(&self.fields)
    }

    /// The object as a dispute, if it is one.
    ///
    /// # Errors
    /// [`PaymentError::Unknown`] if it is something else or cannot be read: retrieve it.
    pub fn dispute(&self) -> Result<Dispute, PaymentError> {
        dispute::dispute_in(&self.fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispute::DisputeStatus;
    use crate::types::ChargeStatus;

    // The signatures were computed with Python's hmac and are those of the official `stripe` package.
    const SECRET: &str = "whsec_test_secret";
    const FORMER: &str = "whsec_older";
    const SIGNED_AT_S: i64 = 1_700_000_000;
    const PAYLOAD: &str = r#"{"id":"evt_1","object":"event","type":"payment_intent.succeeded","created":1700000000,"data":{"object":{"id":"pi_1","object":"payment_intent","status":"succeeded","amount":1250,"amount_received":1250,"currency":"eur","metadata":{"payment":"pay_0000000000012_1","reservation":"res_0000000000012"}}}}"#;
    const BY_SECRET: &str = "8e977c4282d611f03a249f743aab2feb34b32b7655c348c018c9cd599ea069e0";
    const BY_FORMER: &str = "22be48c3073a5edb4cd107e8fbcc3501fdaabdb9e08ae8b774be58a731d2900b";

    fn secrets() -> WebhookSecrets {
        WebhookSecrets::new(SECRET, Some(FORMER)).unwrap()
    }

    fn refusal(header: &str) -> Option<WebhookError> {
        secrets().verify(PAYLOAD.as_bytes(), header, SIGNED_AT_S).err()
    }

    #[test]
    fn a_signed_event_is_read_with_the_payment_it_is_about() {
        let header = format!(
            "t={SIGNED_AT_S},v1={BY_SECRET},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"
        );
        let event = secrets().verify(PAYLOAD.as_bytes(), &header, SIGNED_AT_S).unwrap();
        assert_eq!((event.id.as_str(), event.kind.as_str()), ("evt_1", "payment_intent.succeeded"));
        assert_eq!(event.created_s, SIGNED_AT_S);
        assert_eq!(event.object.payment.as_deref(), Some("pay_0000000000012_1"));
        assert_eq!(event.object.reservation.as_deref(), Some("res_0000000000012"));
        assert_eq!(event.object.payment_intent, event.object.id);
        let charge = event.object.charge().unwrap();
        assert_eq!((charge.status, charge.received_minor), (ChargeStatus::Succeeded, 1250));
    }

    #[test]
    fn either_secret_is_accepted_while_one_is_rotated_and_neither_after() {
        let wrong = "0".repeat(64);
        assert_eq!(refusal(&format!("t={SIGNED_AT_S},v1={BY_FORMER}")), None);
        assert_eq!(refusal(&format!("t={SIGNED_AT_S},v1={wrong},v1={BY_FORMER}")), None);
        let rotated = WebhookSecrets::new(SECRET, None).unwrap();
        let header = format!("t={SIGNED_AT_S},v1={BY_FORMER}");
        assert_eq!(rotated.verify(PAYLOAD.as_bytes(), &header, SIGNED_AT_S), Err(WebhookError::Signature));
        assert!(WebhookSecrets::new("", None).is_err() && WebhookSecrets::new(SECRET, Some("")).is_err());
        assert!(!format!("{:?}", secrets()).contains("whsec"));
    }

    #[test]
    fn a_forged_changed_or_resigned_delivery_is_refused() {
        let header = format!("t={SIGNED_AT_S},v1={BY_SECRET}");
        let changed = PAYLOAD.replace("1250", "9950");
        assert_eq!(secrets().verify(changed.as_bytes(), &header, SIGNED_AT_S), Err(WebhookError::Signature));
        let later = format!("t={},v1={BY_SECRET}", SIGNED_AT_S + 1);
        assert_eq!(refusal(&later), Some(WebhookError::Signature));
        assert_eq!(refusal(&format!("t={SIGNED_AT_S},v0={BY_SECRET}")), Some(WebhookError::Signature));
        assert_eq!(refusal(&format!("t={SIGNED_AT_S},v1={}", &BY_SECRET[..62])), Some(WebhookError::Signature));
        assert_eq!(refusal(&format!("t={SIGNED_AT_S},v1={BY_SECRET}00")), Some(WebhookError::Signature));
        assert_eq!(refusal(&format!("t={SIGNED_AT_S},v1=é{}", &BY_SECRET[2..])), Some(WebhookError::Signature));
    }

    #[test]
    fn a_header_without_one_time_and_pairs_is_refused() {
        for header in ["", "t", "t=", "v1=00", "t=x,v1=00", "t=1700000000,,v1=00", "t=1,t=1700000000,v1=00"] {
            assert_eq!(refusal(header), Some(WebhookError::Header), "{header}");
        }
    }

    #[test]
    fn a_signature_is_good_for_three_hundred_seconds_either_way() {
        let header = format!("t={SIGNED_AT_S},v1={BY_SECRET}");
        let at = |now_s| secrets().verify(PAYLOAD.as_bytes(), &header, now_s).map(|_| ());
        assert_eq!(at(SIGNED_AT_S + 300), Ok(()));
        assert_eq!(at(SIGNED_AT_S - 300), Ok(()));
        assert_eq!(at(SIGNED_AT_S + 301), Err(WebhookError::Age));
        assert_eq!(at(SIGNED_AT_S - 301), Err(WebhookError::Age));
        assert_eq!(at(i64::MIN), Err(WebhookError::Age));
    }

    #[test]
    fn what_is_signed_but_no_event_or_too_long_is_refused() {
        let former = WebhookSecrets::new(FORMER, None).unwrap();
        let of_empty_object = "4cbbb85dc713e727df9d8f2b9e851557be8fabbd2062f041400afb4dda6be750";
        let header = format!("t={SIGNED_AT_S},v1={of_empty_object}");
        assert_eq!(former.verify(b"{}", &header, SIGNED_AT_S), Err(WebhookError::Payload));
        let long = vec![b' '; PAYLOAD_BYTES_MAX + 1];
        assert_eq!(former.verify(&long, &header, SIGNED_AT_S), Err(WebhookError::TooLong));
    }

    #[test]
    fn an_object_is_read_as_what_it_says_it_is_and_never_as_another_kind() {
        let subject = |object: Value| EventObject::read(object).subject();
        let setup = serde_json::json!({
            "object": "setup_intent", "id": "seti_1", "status": "succeeded", "customer": "cus_1", "payment_method": "pm_1",
            "client_secret": "seti_1_secret_x", "metadata": { "user": "u1" },
        });
        let Ok(Subject::SetupIntent(read)) = subject(setup.clone()) else { panic!("a setup") };
        assert_eq!(
            (read.user.as_deref(), read.customer.is_some(), read.payment_method.is_some()),
            (Some("u1"), true, true)
        );
        let event = EventObject::read(setup);
        assert!(event.charge().is_err() && event.refund().is_err() && event.dispute().is_err());
        assert_eq!((event.user.as_deref(), event.customer), (Some("u1"), read.customer));

        let dispute = serde_json::json!({
            "object": "dispute", "id": "dp_1", "status": "needs_response", "amount": 1250, "currency": "eur", "charge": "ch_1",
            "payment_intent": "pi_1", "reason": "fraudulent", "evidence_details": { "due_by": 1_700_000_000 },
        });
        let Ok(Subject::Dispute(read)) = subject(dispute) else { panic!("a dispute") };
        assert_eq!((read.status, read.amount_minor), (DisputeStatus::NeedsResponse, 1250));
        assert_eq!((read.payment_intent.is_some(), read.evidence_due_s), (true, Some(1_700_000_000)));

        let refunded =
            serde_json::json!({ "object": "charge", "id": "ch_1", "payment_intent": "pi_1", "amount_refunded": 5 });
        assert_eq!(subject(refunded.clone()), Ok(Subject::Other));
        assert_eq!(EventObject::read(refunded).payment_intent.as_ref().map(ProviderId::as_str), Some("pi_1"));
        assert!(subject(serde_json::json!({ "object": "dispute", "id": "dp_1" })).is_err(), "known, but not readable");
    }
}
