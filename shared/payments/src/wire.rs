//! Stripe's forms and JSON. Only the fields we need are named; everything else may come, go and change.

use http::StatusCode;
use parkade_domain::money::Currency;
use serde::Deserialize;
use serde_json::Value;

use crate::balance::{BalancePage, BalanceTransactionWire};
use crate::error::{PaymentError, Uncertainty};
use crate::id::ProviderId;
use crate::types::{
    Capture, CaptureRequest, Charge, ChargeRequest, ChargeStatus, ChargeTerms, ClientSecret, ConfirmRequest, Presence,
    Refund, RefundRequest, RefundStatus,
};
use crate::units::{from_stripe, to_stripe};

/// Stripe's largest page, and far more than one payment or one charge ever has.
pub(crate) const PAGE: &str = "100";
/// The charge inside a PaymentIntent says until when money is reserved.
pub(crate) const WITH_CHARGE: (&str, &str) = ("expand[]", "latest_charge");

type Form = form_urlencoded::Serializer<'static, String>;

pub(crate) fn form() -> Form {
    Form::new(String::new())
}

/// The form of a charge: created and confirmed in one call, cards only (no redirects).
pub(crate) fn charge_form(request: &ChargeRequest, terms: ChargeTerms) -> Result<String, PaymentError> {
    let off_session = match terms.presence {
        Presence::OnSession => "false",
        Presence::OffSession => "true",
    };
    let mut form = payment_intent_form(request, terms.capture)?;
    form.append_pair("payment_method", &request.payment_method)
        .append_pair("confirm", "true")
        .append_pair("off_session", off_session);
    if terms.capture == Capture::Manual {
        form.append_pair(WITH_CHARGE.0, WITH_CHARGE.1);
    }
    Ok(form.finish())
}

/// The form of a charge that somebody confirms later.
pub(crate) fn prepare_form(request: &ChargeRequest, capture: Capture) -> Result<String, PaymentError> {
    let mut form = payment_intent_form(request, capture)?;
    if !request.payment_method.is_empty() {
        form.append_pair("payment_method", &request.payment_method);
    }
    Ok(form.finish())
}

fn payment_intent_form(request: &ChargeRequest, capture: Capture) -> Result<Form, PaymentError> {
    let amount = stripe_amount(request.amount_minor, request.currency)?;
    let capture_method = match capture {
        Capture::Automatic => "automatic",
        Capture::Manual => "manual",
    };
    let mut form = form();
    form.append_pair("amount", &amount.to_string())
        .append_pair("currency", &request.currency.code().to_ascii_lowercase())
        .append_pair("payment_method_types[]", "card")
        .append_pair("capture_method", capture_method)
        .append_pair("metadata[reservation]", &request.reservation)
        .append_pair("metadata[payment]", &request.payment);
    if let Some(customer) = &request.customer {
        form.append_pair("customer", customer.as_str());
    }
    if let Some(suffix) = &request.statement_suffix {
        form.append_pair("statement_descriptor_suffix", suffix);
    }
    Ok(form)
}

/// The form of a confirmation.
pub(crate) fn confirm_form(request: &ConfirmRequest) -> String {
    let mut form = form();
    form.append_pair(WITH_CHARGE.0, WITH_CHARGE.1);
    if let Some(method) = &request.payment_method {
        form.append_pair("payment_method", method);
    }
    form.finish()
}

/// The form of a capture.
pub(crate) fn capture_form(request: &CaptureRequest) -> Result<String, PaymentError> {
    let amount = stripe_amount(request.amount_minor, request.currency)?;
    Ok(form().append_pair("amount_to_capture", &amount.to_string()).finish())
}

/// The query for PaymentIntents made for a payment.
pub(crate) fn search_query(payment: &str) -> Result<String, PaymentError> {
    // Our ids are such; nothing else can end the quoted text early.
    if payment.is_empty() || !payment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(PaymentError::Refused { status: 400, code: "payment_invalid".into() });
    }
    let query = format!("metadata['payment']:'{payment}'");
    Ok(form().append_pair("query", &query).append_pair("limit", PAGE).finish())
}

/// The query for a charge's refunds.
pub(crate) fn refunds_query(payment_intent: &ProviderId) -> String {
    form().append_pair("payment_intent", payment_intent.as_str()).append_pair("limit", PAGE).finish()
}

/// The form of a refund.
pub(crate) fn refund_form(request: &RefundRequest) -> Result<String, PaymentError> {
    let amount = stripe_amount(request.amount_minor, request.currency)?;
    let mut form = form();
    form.append_pair("payment_intent", request.payment_intent.as_str())
        .append_pair("amount", &amount.to_string())
        .append_pair("metadata[reservation]", &request.reservation)
        .append_pair("metadata[payment]", &request.payment);
    Ok(form.finish())
}

/// An answer as it came off the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) replayed: bool,
    pub(crate) body: Vec<u8>,
}

/// Reads a PaymentIntent.
pub(crate) fn charge(answer: &Answer) -> Result<Charge, PaymentError> {
    object::<PaymentIntentWire>(answer)?.read()
}

/// Reads a PaymentIntent inside something else.
pub(crate) fn charge_in(fields: &Value) -> Result<Charge, PaymentError> {
    inside::<PaymentIntentWire>(fields, "payment_intent")?.read()
}

/// Reads all PaymentIntents of a search.
pub(crate) fn charges(answer: &Answer) -> Result<Vec<Charge>, PaymentError> {
    whole_list::<PaymentIntentWire>(answer)?.into_iter().map(PaymentIntentWire::read).collect()
}

/// Reads one page of PaymentIntents.
pub(crate) fn charge_page(answer: &Answer) -> Result<(Vec<Charge>, bool), PaymentError> {
    let page: Page<PaymentIntentWire> = object(answer)?;
    Ok((page.data.into_iter().map(PaymentIntentWire::read).collect::<Result<_, _>>()?, page.has_more))
}

/// Reads the refunds of a list that were made for a payment.
pub(crate) fn refunds_for(answer: &Answer, payment: &str) -> Result<Vec<Refund>, PaymentError> {
    let listed = whole_list::<RefundWire>(answer)?.into_iter();
    listed.filter(|refund| refund.metadata.payment.as_deref() == Some(payment)).map(RefundWire::read).collect()
}

/// Reads a Refund.
pub(crate) fn refund(answer: &Answer) -> Result<Refund, PaymentError> {
    object::<RefundWire>(answer)?.read()
}

/// Reads a Refund inside something else.
pub(crate) fn refund_in(fields: &Value) -> Result<Refund, PaymentError> {
    inside::<RefundWire>(fields, "refund")?.read()
}

#[derive(Deserialize)]
struct PaymentIntentWire {
    id: ProviderId,
    status: ChargeStatus,
    amount: i64,
    #[serde(default)]
    amount_received: i64,
    currency: String,
    // What follows says nothing about money: whatever it is, it never makes a charge unreadable.
    #[serde(default)]
    client_secret: Value,
    #[serde(default)]
    metadata: Value,
    #[serde(default)]
    customer: Value,
    #[serde(default)]
    latest_charge: Value,
}

impl PaymentIntentWire {
    fn read(self) -> Result<Charge, PaymentError> {
        let (currency, amount_minor) = our_amount(self.amount, &self.currency)?;
        let received_minor = from_stripe(self.amount_received, currency).ok_or(Uncertainty::Unreadable)?;
        let capture_before = self.latest_charge.pointer("/payment_method_details/card/capture_before");
        let is_reserved = self.status == ChargeStatus::RequiresCapture;
        Ok(Charge {
            payment_intent: self.id,
            status: self.status,
            amount_minor,
            received_minor,
            currency,
            client_secret: self.client_secret.as_str().map(ClientSecret::new),
            payment: self.metadata.get("payment").and_then(Value::as_str).map(str::to_owned),
            customer: id_of(&self.customer),
            capture_before_s: capture_before.and_then(Value::as_i64).filter(|_| is_reserved),
        })
    }
}

#[derive(Deserialize)]
struct RefundWire {
    id: ProviderId,
    status: RefundStatus,
    amount: i64,
    currency: String,
    #[serde(default)]
    metadata: MetadataWire,
}

#[derive(Deserialize, Default)]
struct MetadataWire {
    payment: Option<String>,
}

impl RefundWire {
    fn read(self) -> Result<Refund, PaymentError> {
        let (currency, amount_minor) = our_amount(self.amount, &self.currency)?;
        Ok(Refund { id: self.id, status: self.status, amount_minor, currency })
    }
}

/// Reads one page of the balance.
pub(crate) fn balance(answer: &Answer) -> Result<BalancePage, PaymentError> {
    let page: Page<BalanceTransactionWire> = object(answer)?;
    let transactions = page.data.into_iter().map(BalanceTransactionWire::read).collect::<Result<_, _>>()?;
    Ok(BalancePage { transactions, has_more: page.has_more })
}

#[derive(Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) data: Vec<T>,
    has_more: bool,
}

/// An id, whether the object stands there itself or only its id.
pub(crate) fn id_of(reference: &Value) -> Option<ProviderId> {
    let id = reference.as_str().or_else(|| reference.get("id").and_then(Value::as_str))?;
    ProviderId::new(id).ok()
}

/// The objects of a page that holds all of them. Half of a list would answer "was it done?" with a wrong no.
fn whole_list<T: for<'a> Deserialize<'a>>(answer: &Answer) -> Result<Vec<T>, PaymentError> {
    let page: Page<T> = object(answer)?;
    if page.has_more { Err(Uncertainty::Unreadable.into()) } else { Ok(page.data) }
}

pub(crate) fn inside<T: for<'a> Deserialize<'a>>(fields: &Value, kind: &str) -> Result<T, PaymentError> {
    if fields.get("object").and_then(Value::as_str) != Some(kind) {
        return Err(Uncertainty::Unreadable.into());
    }
    T::deserialize(fields).map_err(|_| Uncertainty::Unreadable.into())
}

pub(crate) fn object<T: for<'a> Deserialize<'a>>(answer: &Answer) -> Result<T, PaymentError> {
    if answer.status != StatusCode::OK {
        return Err(failure(answer));
    }
    serde_json::from_slice(&answer.body).map_err(|_| Uncertainty::Unreadable.into())
}

/// Sorts an answer that is not 200. Definite are only the statuses Stripe documents as such, with Stripe's error inside:
/// a 404 from a proxy says nothing about a charge.
fn failure(answer: &Answer) -> PaymentError {
    #[derive(Deserialize)]
    struct Envelope {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        r#type: String,
        code: Option<String>,
        decline_code: Option<String>,
    }
    let status = answer.status.as_u16();
    match status {
        401 | 403 => return Uncertainty::Unauthorized.into(),
        409 => return Uncertainty::InFlight.into(),
        429 => return Uncertainty::Throttled.into(),
        500.. => return Uncertainty::ServerError { status, replayed: answer.replayed }.into(),
        400 | 402 | 404 => {}
        _ => return Uncertainty::Unreadable.into(),
    }
    let Ok(Envelope { error }) = serde_json::from_slice(&answer.body) else {
        return Uncertainty::Unreadable.into();
    };
    match (status, error.r#type.as_str()) {
        (_, "idempotency_error") => Uncertainty::KeyReused.into(),
        (402, "card_error") => {
            PaymentError::Declined { code: error.code.unwrap_or(error.r#type), decline_code: error.decline_code }
        }
        _ => PaymentError::Refused { status, code: error.code.unwrap_or(error.r#type) },
    }
}

fn stripe_amount(amount_minor: i64, currency: Currency) -> Result<i64, PaymentError> {
    let refused = || PaymentError::Refused { status: 400, code: "amount_not_representable".into() };
    to_stripe(amount_minor, currency).filter(|amount| *amount > 0).ok_or_else(refused)
}

pub(crate) fn our_amount(amount: i64, currency: &str) -> Result<(Currency, i64), PaymentError> {
    let currency = Currency::from_code(&currency.to_ascii_uppercase()).map_err(|_| Uncertainty::Unreadable)?;
    let amount_minor = from_stripe(amount, currency).ok_or(Uncertainty::Unreadable)?;
    Ok((currency, amount_minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status: StatusCode::from_u16(status).unwrap(), replayed: false, body: body.into() }
    }

    #[test]
    fn a_charge_is_read_from_the_few_fields_it_needs_whatever_else_comes() {
        let lean = r#"{"id":"pi_1","status":"succeeded","amount":1250,"currency":"eur"}"#;
        let rich = r#"{"id":"pi_1","object":"x","status":"succeeded","amount":1250,"amount_received":1250,"currency":"eur",
            "latest_charge":{"id":"ch_1"},"new_thing":[1,{"deep":null}],"metadata":7,"customer":{"deleted":true}}"#;
        assert_eq!(charge(&answer(200, lean)).unwrap().status, ChargeStatus::Succeeded);
        let rich = charge(&answer(200, rich)).unwrap();
        assert_eq!((rich.received_minor, rich.payment, rich.customer, rich.client_secret), (1250, None, None, None));
    }

    #[test]
    fn a_reserved_charge_says_for_whom_and_until_when_and_a_secret_never_prints_itself() {
        let body = |status: &str| {
            format!(
                r#"{{"id":"pi_1","status":"{status}","amount":1250,"currency":"eur","client_secret":"pi_1_secret_x",
                "customer":"cus_1","metadata":{{"payment":"pay_1"}},
                "latest_charge":{{"id":"ch_1","payment_method_details":{{"card":{{"capture_before":1700000000}}}}}}}}"#
            )
        };
        let reserved = charge(&answer(200, &body("requires_capture"))).unwrap();
        assert_eq!(reserved.capture_before_s, Some(1_700_000_000));
        assert_eq!(reserved.customer.as_ref().map(ProviderId::as_str), Some("cus_1"));
        assert_eq!(reserved.payment.as_deref(), Some("pay_1"));
        assert_eq!(reserved.client_secret.as_ref().map(ClientSecret::expose), Some("pi_1_secret_x"));
        assert!(!format!("{reserved:?}").contains("secret_x"));
        assert_eq!(charge(&answer(200, &body("succeeded"))).unwrap().capture_before_s, None);
    }

    #[test]
    fn nothing_is_definite_that_the_provider_did_not_say_in_its_own_words() {
        let unreadable = Err(PaymentError::Unknown(Uncertainty::Unreadable));
        for (status, body) in [
            (200, ""),
            (200, "<html>"),
            (200, r#"{"id":"pi_1","status":"succeeded","amount":1250,"#),
            (200, r#"{"id":"pi_1","status":"a_status_of_tomorrow","amount":1250,"currency":"eur"}"#),
            (200, r#"{"id":"pi_1","status":"succeeded","amount":1250,"currency":"zzz"}"#),
            (200, r#"{"id":"pi_1","status":"succeeded","amount":12.5,"currency":"eur"}"#),
            (200, r#"{"error":{"type":"card_error"}}"#),
            (202, r#"{"id":"pi_1","status":"succeeded","amount":1250,"currency":"eur"}"#),
            (302, ""),
            (402, "Payment required by this proxy"),
            (404, "<html>not here</html>"),
            (408, r#"{"error":{"type":"invalid_request_error"}}"#),
        ] {
            assert_eq!(charge(&answer(status, body)), unreadable, "{status} {body}");
        }
    }

    #[test]
    fn each_documented_failure_has_one_meaning() {
        let declined = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"lost_card"}}"#;
        let invalid = r#"{"error":{"type":"invalid_request_error"}}"#;
        let reused = r#"{"error":{"type":"idempotency_error"}}"#;
        let refused = |status| PaymentError::Refused { status, code: "invalid_request_error".into() };
        let cases = [
            (
                402,
                declined,
                PaymentError::Declined { code: "card_declined".into(), decline_code: Some("lost_card".into()) },
            ),
            (402, invalid, refused(402)),
            (400, invalid, refused(400)),
            (401, invalid, Uncertainty::Unauthorized.into()),
            (403, "", Uncertainty::Unauthorized.into()),
            (404, invalid, refused(404)),
            (400, reused, Uncertainty::KeyReused.into()),
            (409, reused, Uncertainty::InFlight.into()),
            (429, "", Uncertainty::Throttled.into()),
            (500, declined, Uncertainty::ServerError { status: 500, replayed: false }.into()),
            (503, "", Uncertainty::ServerError { status: 503, replayed: false }.into()),
        ];
        for (status, body, expected) in cases {
            assert_eq!(charge(&answer(status, body)), Err(expected), "{status} {body}");
        }
    }
}
