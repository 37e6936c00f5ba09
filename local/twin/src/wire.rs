//! Stripe's JSON shapes of what the ledger holds.

use serde_json::{Value, json};

use crate::balance::{Transaction, reversal_of, transaction_of};
use crate::cards::{self, Card, Decline};
use crate::objects::{
    Customer, Dispute, DisputeStatus, Intent, Method, Outcome, Payout, Refund, RefundStatus, Setup, SetupOutcome,
};

/// Every test card expires in the month and year of Stripe's examples.
const EXP_MONTH: u8 = 12;
const EXP_YEAR: u16 = 2034;
/// How long a merchant has to send evidence.
const EVIDENCE_S: u64 = 7 * 24 * 3_600;

/// An intent's status in Stripe's word.
pub(crate) fn status(intent: &Intent) -> &'static str {
    match &intent.outcome {
        Outcome::Unpaid if intent.payment_method.is_some() => "requires_confirmation",
        Outcome::Unpaid | Outcome::Declined { .. } | Outcome::AuthenticationFailed => "requires_payment_method",
        Outcome::RequiresAction => "requires_action",
        Outcome::Authorised { .. } => "requires_capture",
        Outcome::Succeeded { .. } => "succeeded",
        Outcome::Canceled { .. } => "canceled",
    }
}

/// The event of an intent's present state, if there is one.
pub(crate) fn event_of_intent(intent: &Intent) -> Option<&'static str> {
    match &intent.outcome {
        Outcome::Unpaid => None,
        Outcome::RequiresAction => Some("payment_intent.requires_action"),
        Outcome::Declined { .. } | Outcome::AuthenticationFailed => Some("payment_intent.payment_failed"),
        Outcome::Authorised { .. } => Some("payment_intent.amount_capturable_updated"),
        Outcome::Succeeded { .. } => Some("payment_intent.succeeded"),
        Outcome::Canceled { .. } => Some("payment_intent.canceled"),
    }
}

/// The events of a dispute that had the status `known` before.
pub(crate) fn events_of_dispute(known: Option<DisputeStatus>, dispute: &Dispute) -> &'static [&'static str] {
    match (known, dispute.status) {
        (None, _) if dispute.is_inquiry() => &["charge.dispute.created"],
        (None, _) => &["charge.dispute.created", "charge.dispute.funds_withdrawn"],
        (Some(_), DisputeStatus::Won) => {
            &["charge.dispute.updated", "charge.dispute.closed", "charge.dispute.funds_reinstated"]
        }
        (Some(_), DisputeStatus::Lost | DisputeStatus::WarningClosed) => {
            &["charge.dispute.updated", "charge.dispute.closed"]
        }
        (Some(_), _) => &["charge.dispute.updated"],
    }
}

/// The test card an intent was last tried with.
pub(crate) fn card_of(intent: &Intent) -> Option<&'static Card> {
    cards::find(intent.card.as_deref()?)
}

/// Whether an intent still has its payment method: one that did not do is taken off it again.
pub(crate) fn shows_method(intent: &Intent) -> bool {
    !matches!(intent.outcome, Outcome::Declined { .. } | Outcome::AuthenticationFailed)
}

/// The intent whose first or later attempt a charge was.
pub(crate) fn intent_of_charge(charge: &str) -> String {
    let first =
        charge.rsplit_once('_').filter(|(first, _)| first.starts_with("ch_")).map_or(charge, |(first, _)| first);
    first.replacen("ch_", "pi_", 1)
}

/// A PaymentIntent as `GET /v1/payment_intents/{id}` shows it, with its charge's id or the charge itself.
pub(crate) fn intent(intent: &Intent, expand_charge: bool) -> Value {
    let status = status(intent);
    let last_error = match &intent.outcome {
        Outcome::Declined { error, .. } => error.clone(),
        Outcome::AuthenticationFailed => json!({
            "type": "invalid_request_error",
            "code": "payment_intent_authentication_failure",
            "message": "The provided PaymentMethod has failed authentication.",
        }),
        _ => Value::Null,
    };
    let next_action = match &intent.outcome {
        Outcome::RequiresAction => three_d_secure(),
        _ => Value::Null,
    };
    let cancellation_reason = match &intent.outcome {
        Outcome::Canceled { reason } => reason.as_deref(),
        _ => None,
    };
    let latest = if expand_charge && intent.charge_id().is_some() {
        charge(intent)
    } else {
        json!(intent.charge_id().or_else(|| intent.failed.last().map(|failed| failed.charge.as_str())))
    };
    json!({
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": if status == "requires_capture" { intent.amount } else { 0 },
        "amount_details": { "tip": {} },
        "amount_received": intent.captured(),
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": null,
        "canceled_at": null,
        "cancellation_reason": cancellation_reason,
        "capture_method": intent.capture_method,
        "client_secret": format!("{}_secret_twin", intent.id),
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": intent.currency,
        "customer": intent.customer,
        "description": intent.description,
        "last_payment_error": last_error,
        "latest_charge": latest,
        "livemode": false,
        "metadata": intent.metadata,
        "next_action": next_action,
        "on_behalf_of": null,
        "payment_method": intent.payment_method.as_ref().filter(|_| shows_method(intent)),
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "processing": null,
        "receipt_email": null,
        "review": null,
        "setup_future_usage": null,
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": intent.statement_descriptor_suffix,
        "status": status,
        "transfer_data": null,
        "transfer_group": null,
    })
}

fn three_d_secure() -> Value {
    json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect" } })
}

/// An intent's last charge. What only matters between connected accounts is left out.
pub(crate) fn charge(intent: &Intent) -> Value {
    let id = intent.charge_id().unwrap_or_default();
    let declined = match &intent.outcome {
        Outcome::Declined { error, .. } => Some(error),
        _ => None,
    };
    let (captured, refunded) = (intent.captured(), intent.refunded());
    let capture_before = match intent.outcome {
        Outcome::Authorised { capture_before, .. } => Some(capture_before),
        _ => None,
    };
    let mut card = card_fields(intent.card.as_deref());
    if let (Some(fields), Some(time)) = (card.as_object_mut(), capture_before) {
        fields.insert("capture_before".into(), time.into());
    }
    json!({
        "id": id,
        "object": "charge",
        "amount": intent.amount,
        "amount_captured": captured,
        "amount_refunded": refunded,
        "balance_transaction": (captured > 0).then(|| transaction_of(id)),
        "billing_details": billing_details(),
        "calculated_statement_descriptor": null,
        "captured": captured > 0,
        "created": intent.created,
        "currency": intent.currency,
        "customer": intent.customer,
        "description": intent.description,
        "disputed": intent.dispute.is_some(),
        "failure_balance_transaction": null,
        "failure_code": declined.and_then(|error| error.get("code")),
        "failure_message": declined.and_then(|error| error.get("message")),
        "fraud_details": {},
        "livemode": false,
        "metadata": intent.metadata,
        "outcome": outcome(declined),
        "paid": declined.is_none(),
        "payment_intent": intent.id,
        "payment_method": intent.payment_method,
        "payment_method_details": { "card": card, "type": "card" },
        "receipt_email": null,
        "receipt_number": null,
        "receipt_url": null,
        "refunded": captured > 0 && refunded == captured,
        "review": null,
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": intent.statement_descriptor_suffix,
        "status": if declined.is_some() { "failed" } else { "succeeded" },
    })
}

fn outcome(declined: Option<&Value>) -> Value {
    let (network_status, kind, message) = match declined {
        Some(_) => ("declined_by_network", "issuer_declined", "The bank did not return any further details."),
        None => ("approved_by_network", "authorized", "Payment complete."),
    };
    let reason = declined.and_then(|error| error.get("decline_code"));
    json!({ "network_status": network_status, "reason": reason, "seller_message": message, "type": kind })
}

/// The inside of a `card_error`, without the object it is about.
pub(crate) fn card_error(decline: &Decline, charge: Option<&str>, method: Option<&str>, card: Option<&str>) -> Value {
    let mut error = json!({
        "type": "card_error",
        "code": decline.code,
        "decline_code": decline.decline_code,
        "message": decline.message,
        "doc_url": format!("https://stripe.com/docs/error-codes/{}", decline.code.replace('_', "-")),
        "payment_method": method_fields(method.unwrap_or_default(), 0, card, None),
    });
    if let Some(fields) = error.as_object_mut() {
        fields.extend(decline.param.map(|param| ("param".into(), param.into())));
        fields.extend(charge.map(|charge| ("charge".into(), charge.into())));
    }
    error
}

/// A Refund as `GET /v1/refunds/{id}` shows it.
pub(crate) fn refund(refund: &Refund, intent: &Intent) -> Value {
    let status = match refund.status {
        RefundStatus::Pending => "pending",
        RefundStatus::Succeeded => "succeeded",
        RefundStatus::Failed => "failed",
    };
    let mut shown = json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": transaction_of(&refund.id),
        "charge": intent.charge_id(),
        "created": refund.created,
        "currency": intent.currency,
        "destination_details": { "card": { "type": "refund" }, "type": "card" },
        "metadata": refund.metadata,
        "payment_intent": intent.id,
        "reason": refund.reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": status,
        "transfer_reversal": null,
    });
    if let (Some(fields), RefundStatus::Failed) = (shown.as_object_mut(), refund.status) {
        fields.insert("failure_balance_transaction".into(), reversal_of(&refund.id).into());
        fields.insert("failure_reason".into(), "expired_or_canceled_card".into());
    }
    shown
}

/// A Dispute as `GET /v1/disputes/{id}` shows it, with its intent's id or the intent itself.
pub(crate) fn dispute(dispute: &Dispute, whole_intent: Option<&Intent>) -> Value {
    let transactions = Transaction::of_dispute(dispute);
    let has_evidence = matches!(dispute.status, DisputeStatus::UnderReview | DisputeStatus::WarningUnderReview);
    json!({
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transactions": transactions.iter().map(|transaction| transaction.wire(None)).collect::<Vec<_>>(),
        "charge": dispute.charge,
        "created": dispute.created,
        "currency": dispute.currency,
        "enhanced_eligibility_types": [],
        "evidence": { "enhanced_evidence": {} },
        "evidence_details": {
            "due_by": dispute.created + EVIDENCE_S,
            "enhanced_eligibility": {},
            "has_evidence": has_evidence,
            "past_due": false,
            "submission_count": u8::from(has_evidence),
        },
        "is_charge_refundable": dispute.is_inquiry(),
        "livemode": false,
        "metadata": {},
        "payment_intent": whole_intent.map_or_else(|| json!(dispute.payment_intent), |whole| intent(whole, false)),
        "reason": dispute.reason,
        "status": dispute.status,
    })
}

/// A Customer as `GET /v1/customers/{id}` shows it.
pub(crate) fn customer(customer: &Customer) -> Value {
    json!({
        "id": customer.id,
        "object": "customer",
        "address": null,
        "balance": 0,
        "created": customer.created,
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": customer.description,
        "email": null,
        "invoice_prefix": null,
        "invoice_settings": {
            "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null,
        },
        "livemode": false,
        "metadata": customer.metadata,
        "name": null,
        "next_invoice_sequence": 1,
        "phone": null,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    })
}

/// A PaymentMethod as `GET /v1/payment_methods/{id}` shows it.
pub(crate) fn method(method: &Method) -> Value {
    method_fields(&method.id, method.created, Some(&method.card), method.customer.as_deref())
}

fn method_fields(id: &str, created: u64, card: Option<&str>, customer: Option<&str>) -> Value {
    json!({
        "id": id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(),
        "card": card_fields(card),
        "created": created,
        "customer": customer,
        "livemode": false,
        "metadata": {},
        "type": "card",
    })
}

fn card_fields(name: Option<&str>) -> Value {
    let (brand, last4) = name.and_then(cards::find).map_or(("unknown", "0000"), |card| (card.brand, card.last4));
    json!({
        "brand": brand,
        "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
        "country": "DE",
        "exp_month": EXP_MONTH,
        "exp_year": EXP_YEAR,
        "fingerprint": format!("twin{last4}"),
        "funding": "credit",
        "last4": last4,
        "network": brand,
        "three_d_secure": null,
        "wallet": null,
    })
}

fn billing_details() -> Value {
    json!({ "address": null, "email": null, "name": null, "phone": null, "tax_id": null })
}

/// A SetupIntent as `GET /v1/setup_intents/{id}` shows it.
pub(crate) fn setup(setup: &Setup) -> Value {
    let status = match &setup.outcome {
        SetupOutcome::Open if setup.payment_method.is_some() => "requires_confirmation",
        SetupOutcome::Open | SetupOutcome::Failed { .. } => "requires_payment_method",
        SetupOutcome::RequiresAction => "requires_action",
        SetupOutcome::Succeeded => "succeeded",
    };
    let last_error = match &setup.outcome {
        SetupOutcome::Failed { error } => error.clone(),
        _ => Value::Null,
    };
    let failed = !last_error.is_null();
    json!({
        "id": setup.id,
        "object": "setup_intent",
        "application": null,
        "automatic_payment_methods": null,
        "cancellation_reason": null,
        "client_secret": format!("{}_secret_twin", setup.id),
        "created": setup.created,
        "customer": setup.customer,
        "description": null,
        "flow_directions": null,
        "last_setup_error": last_error,
        "latest_attempt": null,
        "livemode": false,
        "mandate": null,
        "metadata": setup.metadata,
        "next_action": if status == "requires_action" { three_d_secure() } else { Value::Null },
        "on_behalf_of": null,
        "payment_method": setup.payment_method.as_ref().filter(|_| !failed),
        "payment_method_options": { "card": { "mandate_options": null, "network": null, "request_three_d_secure": "automatic" } },
        "payment_method_types": ["card"],
        "single_use_mandate": null,
        "status": status,
        "usage": setup.usage,
    })
}

/// A Payout.
pub(crate) fn payout(payout: &Payout) -> Value {
    json!({
        "id": payout.id,
        "object": "payout",
        "amount": payout.amount,
        "arrival_date": payout.created,
        "automatic": true,
        "balance_transaction": transaction_of(&payout.id),
        "created": payout.created,
        "currency": payout.currency,
        "description": null,
        "destination": null,
        "failure_balance_transaction": null,
        "failure_code": null,
        "failure_message": null,
        "livemode": false,
        "metadata": {},
        "method": "standard",
        "original_payout": null,
        "reconciliation_status": "completed",
        "reversed_by": null,
        "source_type": "card",
        "statement_descriptor": null,
        "status": "paid",
        "type": "bank_account",
    })
}
