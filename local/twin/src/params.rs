//! Forms to commands, refusing what Stripe refuses. A parameter the twin does not model is `parameter_unknown`, so a client cannot come to
//! rely on one.

use std::collections::BTreeMap;

use crate::form::Form;
use crate::reply::ApiError;

/// Stripe's limit on one charge: eight digits.
const AMOUNT_MAX: i64 = 99_999_999;
const SUFFIX_CHARS_MAX: usize = 22;
/// What a PaymentIntent's answer can show whole.
pub(crate) const LATEST_CHARGE: &str = "latest_charge";

/// Smallest charge per currency, in Stripe's units: as documented, or about half a dollar. Others are not supported here.
const MINIMUMS: [(&str, i64); 30] = [
    ("aed", 200),
    ("aud", 50),
    ("bgn", 100),
    ("bhd", 100),
    ("brl", 50),
    ("cad", 50),
    ("chf", 50),
    ("czk", 1_500),
    ("dkk", 250),
    ("eur", 50),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17_500),
    ("inr", 50),
    ("isk", 10_000),
    ("jpy", 50),
    ("krw", 500),
    ("kwd", 100),
    ("mga", 2_500),
    ("mxn", 1_000),
    ("myr", 200),
    ("nok", 300),
    ("nzd", 50),
    ("pln", 200),
    ("ron", 200),
    ("sek", 300),
    ("sgd", 50),
    ("thb", 1_000),
    ("ugx", 200_000),
    ("usd", 50),
];

/// What a caller asked for, checked as far as that goes without looking at what there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    CreateIntent(CreateIntent),
    ConfirmIntent(ConfirmIntent),
    CaptureIntent {
        id: String,
        amount: Option<i64>,
        expand: bool,
    },
    CancelIntent {
        id: String,
        reason: Option<String>,
        expand: bool,
    },
    CreateRefund(CreateRefund),
    CreateCustomer {
        description: Option<String>,
        metadata: BTreeMap<String, String>,
    },
    AttachMethod {
        id: String,
        customer: String,
    },
    DetachMethod {
        id: String,
    },
    CreateSetup(CreateSetup),
    ConfirmSetup {
        id: String,
        method: Option<String>,
    },
    /// Stripe's test words: `winning_evidence`, `losing_evidence`; others leave it to be decided.
    SendEvidence {
        id: String,
        text: String,
    },
    /// Not Stripe's, as all that follow: what the payer does.
    Authenticate {
        id: String,
        success: bool,
    },
    /// What the payer's bank decides.
    CloseDispute {
        id: String,
        won: bool,
    },
    /// Everything there is goes to the bank.
    PayOut,
    /// Time passes.
    AdvanceClock {
        seconds: u64,
    },
    /// A reservation is over.
    Release {
        id: String,
    },
    /// The bank has said how a refund ends.
    SettleRefund {
        id: String,
    },
}

impl Command {
    /// The payment method it names, if it names one.
    pub(crate) fn method(&self) -> Option<&str> {
        match self {
            Self::CreateIntent(CreateIntent { method, .. })
            | Self::ConfirmIntent(ConfirmIntent { method, .. })
            | Self::CreateSetup(CreateSetup { method, .. })
            | Self::ConfirmSetup { method, .. } => method.as_deref(),
            _ => None,
        }
    }

    /// The customer it names, if it names one.
    pub(crate) fn customer(&self) -> Option<&str> {
        match self {
            Self::CreateIntent(CreateIntent { customer, .. }) | Self::CreateSetup(CreateSetup { customer, .. }) => {
                customer.as_deref()
            }
            Self::AttachMethod { customer, .. } => Some(customer),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreateIntent {
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) method: Option<String>,
    pub(crate) customer: Option<String>,
    pub(crate) confirm: bool,
    pub(crate) off_session: bool,
    pub(crate) capture_method: String,
    pub(crate) statement_descriptor_suffix: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) expand: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfirmIntent {
    pub(crate) id: String,
    pub(crate) method: Option<String>,
    pub(crate) off_session: bool,
    pub(crate) expand: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreateRefund {
    pub(crate) payment_intent: String,
    pub(crate) amount: Option<i64>,
    pub(crate) reason: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreateSetup {
    pub(crate) customer: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) usage: String,
    pub(crate) confirm: bool,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Reads the body of `POST /v1/payment_intents`.
pub(crate) fn create_intent(mut form: Form) -> Result<Command, ApiError> {
    let amount = form.amount("amount")?;
    let currency = form.need("currency")?.to_ascii_lowercase();
    let amount = amount.ok_or_else(|| {
        ApiError::invalid("Missing required param: amount.").code("parameter_missing").param("amount")
    })?;
    check_amount(amount, &currency)?;
    let method = form.take("payment_method")?;
    let customer = form.take("customer")?;
    let confirm = form.boolean("confirm")?;
    let off_session = form.boolean("off_session")?;
    let capture_method = form.one_of("capture_method", &["automatic", "automatic_async", "manual"])?;
    let card_only = form.names_only_cards()?;
    let statement_descriptor_suffix = form.take("statement_descriptor_suffix")?;
    let description = form.take("description")?;
    let metadata = form.metadata()?;
    let expand = !form.expand(&[LATEST_CHARGE])?.is_empty();
    form.finish()?;

    if confirm && method.is_none() {
        return Err(missing_method());
    }
    if confirm && !card_only {
        return Err(ApiError::invalid(
            "This PaymentIntent might redirect your customer off of your page: name its `payment_method_types` instead.",
        ));
    }
    if off_session && !confirm {
        let message = "You cannot set `off_session` on a PaymentIntent that is not confirmed.";
        return Err(ApiError::invalid(message).param("off_session"));
    }
    if statement_descriptor_suffix.as_deref().is_some_and(|suffix| !is_statement_suffix(suffix)) {
        let message =
            "The statement descriptor suffix is at most 22 characters with a letter and none of < > \\ ' \" *.";
        return Err(ApiError::invalid(message).param("statement_descriptor_suffix"));
    }
    Ok(Command::CreateIntent(CreateIntent {
        amount,
        currency,
        method,
        customer,
        confirm,
        off_session,
        // What Stripe's newer API versions do when the caller is silent.
        capture_method: capture_method.unwrap_or_else(|| "automatic_async".into()),
        statement_descriptor_suffix,
        description,
        metadata,
        expand,
    }))
}

/// Reads the body of `POST /v1/payment_intents/{id}/confirm`.
pub(crate) fn confirm_intent(id: String, mut form: Form) -> Result<Command, ApiError> {
    let method = form.take("payment_method")?;
    let off_session = form.boolean("off_session")?;
    let expand = !form.expand(&[LATEST_CHARGE])?.is_empty();
    form.finish()?;
    Ok(Command::ConfirmIntent(ConfirmIntent { id, method, off_session, expand }))
}

/// Reads the body of `POST /v1/payment_intents/{id}/capture`.
pub(crate) fn capture_intent(id: String, mut form: Form) -> Result<Command, ApiError> {
    let amount = form.amount("amount_to_capture")?;
    let expand = !form.expand(&[LATEST_CHARGE])?.is_empty();
    form.finish()?;
    Ok(Command::CaptureIntent { id, amount, expand })
}

/// Reads the body of `POST /v1/payment_intents/{id}/cancel`.
pub(crate) fn cancel_intent(id: String, mut form: Form) -> Result<Command, ApiError> {
    let reasons = ["duplicate", "fraudulent", "requested_by_customer", "abandoned"];
    let reason = form.one_of("cancellation_reason", &reasons)?;
    let expand = !form.expand(&[LATEST_CHARGE])?.is_empty();
    form.finish()?;
    Ok(Command::CancelIntent { id, reason, expand })
}

/// Reads the body of `POST /v1/refunds`.
pub(crate) fn create_refund(mut form: Form) -> Result<Command, ApiError> {
    let payment_intent = form.need("payment_intent")?;
    let amount = form.amount("amount")?;
    let reason = form.one_of("reason", &["duplicate", "fraudulent", "requested_by_customer"])?;
    let metadata = form.metadata()?;
    form.finish()?;
    Ok(Command::CreateRefund(CreateRefund { payment_intent, amount, reason, metadata }))
}

/// Reads the body of `POST /v1/customers`. It takes no name and no address: nobody needs them here.
pub(crate) fn create_customer(mut form: Form) -> Result<Command, ApiError> {
    let description = form.take("description")?;
    let metadata = form.metadata()?;
    form.finish()?;
    Ok(Command::CreateCustomer { description, metadata })
}

/// Reads the body of `POST /v1/payment_methods/{id}/attach`.
pub(crate) fn attach_method(id: String, mut form: Form) -> Result<Command, ApiError> {
    let customer = form.need("customer")?;
    form.finish()?;
    Ok(Command::AttachMethod { id, customer })
}

/// Reads the body of `POST /v1/payment_methods/{id}/detach`.
pub(crate) fn detach_method(id: String, form: Form) -> Result<Command, ApiError> {
    form.finish()?;
    Ok(Command::DetachMethod { id })
}

/// Reads the body of `POST /v1/setup_intents`.
pub(crate) fn create_setup(mut form: Form) -> Result<Command, ApiError> {
    let customer = form.take("customer")?;
    let method = form.take("payment_method")?;
    let usage = form.one_of("usage", &["off_session", "on_session"])?.unwrap_or_else(|| "off_session".into());
    let confirm = form.boolean("confirm")?;
    let card_only = form.names_only_cards()?;
    let metadata = form.metadata()?;
    form.finish()?;
    if confirm && method.is_none() {
        let message = "You cannot confirm this SetupIntent because it's missing a payment method.";
        return Err(ApiError::invalid(message).code("setup_intent_unexpected_state"));
    }
    if confirm && !card_only {
        return Err(ApiError::invalid(
            "This SetupIntent might redirect your customer off of your page: name its `payment_method_types` instead.",
        ));
    }
    Ok(Command::CreateSetup(CreateSetup { customer, method, usage, confirm, metadata }))
}

/// Reads the body of `POST /v1/setup_intents/{id}/confirm`.
pub(crate) fn confirm_setup(id: String, mut form: Form) -> Result<Command, ApiError> {
    let method = form.take("payment_method")?;
    form.finish()?;
    Ok(Command::ConfirmSetup { id, method })
}

/// Reads the body of `POST /v1/disputes/{id}`.
pub(crate) fn send_evidence(id: String, mut form: Form) -> Result<Command, ApiError> {
    let text = form.need("evidence[uncategorized_text]")?;
    form.finish()?;
    Ok(Command::SendEvidence { id, text })
}

/// A confirmation without means.
pub(crate) fn missing_method() -> ApiError {
    let message = "You cannot confirm this PaymentIntent because it's missing a payment method. Update the PaymentIntent with a \
                   payment method and then confirm it again.";
    ApiError::invalid(message).code("payment_intent_unexpected_state")
}

fn check_amount(amount: i64, currency: &str) -> Result<(), ApiError> {
    let Some((_, minimum)) = MINIMUMS.iter().find(|(code, _)| *code == currency) else {
        return Err(ApiError::invalid(format!("Invalid currency: {currency}.")).param("currency"));
    };
    if amount < *minimum {
        let message = format!("Amount must be at least {minimum} {currency}");
        return Err(ApiError::invalid(message).code("amount_too_small").param("amount"));
    }
    if amount > AMOUNT_MAX {
        let message = format!("Amount must be no more than {AMOUNT_MAX} {currency}");
        return Err(ApiError::invalid(message).code("amount_too_large").param("amount"));
    }
    Ok(())
}

fn is_statement_suffix(suffix: &str) -> bool {
    suffix.chars().count() <= SUFFIX_CHARS_MAX
        && suffix.chars().any(|c| c.is_ascii_alphabetic())
        && suffix.chars().all(|c| (' '..='~').contains(&c) && !matches!(c, '<' | '>' | '\\' | '\'' | '"' | '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> String {
        create_intent(Form::parse(body.as_bytes())).expect_err("refused").into_reply().body
    }

    #[test]
    fn each_bad_parameter_is_named_in_the_refusal() {
        let cases = [
            ("currency=eur", "parameter_missing", "amount"),
            ("amount=&currency=eur", "parameter_invalid_empty", "amount"),
            ("amount=12.5&currency=eur", "parameter_invalid_integer", "amount"),
            ("amount=-1&currency=eur", "parameter_invalid_integer", "amount"),
            ("amount=49&currency=eur", "amount_too_small", "amount"),
            ("amount=100000000&currency=eur", "amount_too_large", "amount"),
            ("amount=1250&currency=zzz", "Invalid currency: zzz", "currency"),
            ("amount=1250&currency=eur&confirm=yes", "Invalid boolean", "confirm"),
            ("amount=1250&currency=eur&off_session=true", "not confirmed", "off_session"),
            ("amount=1250&currency=eur&capture_method=later", "Invalid capture_method", "capture_method"),
            ("amount=1250&currency=eur&payment_method_types[0]=link", "only", "payment_method_types[0]"),
            ("amount=1250&currency=eur&receipt_email=a@b.c", "parameter_unknown", "receipt_email"),
            ("amount=1250&currency=eur&expand[]=customer", "cannot be expanded", "expand[]"),
            ("amount=1250&currency=eur&metadata[]=x", "Metadata", "metadata[]"),
            ("amount=1250&currency=eur&statement_descriptor_suffix=123", "suffix", "statement_descriptor_suffix"),
        ];
        for (body, expected, param) in cases {
            let answer = refusal(body);
            assert!(answer.contains(expected) && answer.contains(&format!(r#""param":"{param}""#)), "{body}: {answer}");
        }
        assert!(refusal("amount=1250&currency=eur&confirm=true").contains("missing a payment method"));
        assert!(refusal("amount=1250&currency=eur&confirm=true&payment_method=pm_card_visa").contains("redirect"));
    }
}
