//! Stripe's JSON shapes of what the ledger holds.

use serde_json::{Value, json};

use crate::balance::transaction_of;
use crate::cards::Decline;
use crate::ledger::{Intent, Outcome, Refund};

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
pub(crate) fn event_kind(intent: &Intent) -> Option<&'static str> {
    match &intent.outcome {
        Outcome::Unpaid => None,
        Outcome::RequiresAction => Some("payment_intent.requires_action"),
        Outcome::Declined { .. } | Outcome::AuthenticationFailed => Some("payment_intent.payment_failed"),
        Outcome::Authorised { .. } => Some("payment_intent.amount_capturable_updated"),
        Outcome::Succeeded { .. } => Some("payment_intent.succeeded"),
        Outcome::Canceled { .. } => Some("payment_intent.canceled"),
    }
}

/// A PaymentIntent as `GET /v1/payment_intents/{id}` shows it.
pub(crate) fn intent(intent: &Intent) -> Value {
    let status = status(intent);
    let declined = match &intent.outcome {
        Outcome::Declined { error, .. } => error.clone(),
        Outcome::AuthenticationFailed => json!({
            "type": "invalid_request_error",
            "code": "payment_intent_authentication_failure",
            "message": "The provided PaymentMethod has failed authentication.",
        }),
        _ => Value::Null,
    };
    let next_action = match &intent.outcome {
        Outcome::RequiresAction => {
            json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect" } })
        }
        _ => Value::Null,
    };
    let cancellation_reason = match &intent.outcome {
        Outcome::Canceled { reason } => reason.as_deref(),
        _ => None,
    };
    // A declined payment method is taken off the intent again.
    let payment_method = if declined.is_null() { json!(intent.payment_method) } else { Value::Null };
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
        "customer": null,
        "description": intent.description,
        "last_payment_error": declined,
        "latest_charge": intent.charge_id(),
        "livemode": false,
        "metadata": intent.metadata,
        "next_action": next_action,
        "on_behalf_of": null,
        "payment_method": payment_method,
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

/// The inside of a `card_error`, without the PaymentIntent it is about.
pub(crate) fn card_error(decline: &Decline, charge: &str, payment_method: &str) -> Value {
    let mut error = json!({
        "type": "card_error",
        "code": decline.code,
        "decline_code": decline.decline_code,
        "message": decline.message,
        "charge": charge,
        "doc_url": format!("https://stripe.com/docs/error-codes/{}", decline.code.replace('_', "-")),
        "payment_method": { "id": payment_method, "object": "payment_method", "type": "card" },
    });
    if let (Some(param), Some(fields)) = (decline.param, error.as_object_mut()) {
        fields.insert("param".into(), param.into());
    }
    error
}

/// A Refund as `GET /v1/refunds/{id}` shows it.
pub(crate) fn refund(refund: &Refund, intent: &Intent) -> Value {
    json!({
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
        "status": "succeeded",
        "transfer_reversal": null,
    })
}
