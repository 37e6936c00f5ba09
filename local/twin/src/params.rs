//! Form bodies to commands, refusing what Stripe refuses.
//!
//! Nothing is ignored: a parameter the twin does not model is `parameter_unknown`, so a client cannot come to rely on one.

use std::collections::BTreeMap;

use crate::cards::{self, Behaviour};
use crate::reply::ApiError;

/// Stripe's limit on one charge: eight digits.
const AMOUNT_MAX: i64 = 99_999_999;
const METADATA_KEYS_MAX: usize = 50;
const METADATA_KEY_CHARS_MAX: usize = 40;
const METADATA_VALUE_CHARS_MAX: usize = 500;
const SUFFIX_CHARS_MAX: usize = 22;

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

/// What a caller asked for, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    CreateIntent(CreateIntent),
    CaptureIntent(CaptureIntent),
    CancelIntent {
        id: String,
        reason: Option<String>,
    },
    /// Not Stripe's: what the payer does.
    Authenticate {
        id: String,
        success: bool,
    },
    /// Not Stripe's: time passes.
    AdvanceClock {
        seconds: u64,
    },
    CreateRefund(CreateRefund),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CaptureIntent {
    pub(crate) payment_intent: String,
    pub(crate) amount_to_capture: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreateIntent {
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) method: Option<(String, Behaviour)>,
    pub(crate) confirm: bool,
    pub(crate) off_session: bool,
    pub(crate) capture_method: String,
    pub(crate) statement_descriptor_suffix: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreateRefund {
    pub(crate) payment_intent: String,
    pub(crate) amount: Option<i64>,
    pub(crate) reason: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A decoded form body.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut pairs: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        // Of the same name they keep their order, which is a list's.
        pairs.sort_by(|one, other| one.0.cmp(&other.0));
        Self(pairs)
    }

    /// The parameters in one fixed order and spelling: what the idempotency layer compares.
    pub(crate) fn canonical(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    pub(crate) fn take(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        let Some(index) = self.0.iter().position(|(own, _)| own == name) else { return Ok(None) };
        let (_, value) = self.0.remove(index);
        if value.is_empty() {
            let error = ApiError::invalid(format!("You passed an empty string for '{name}'."));
            return Err(error.code("parameter_invalid_empty").param(name));
        }
        Ok(Some(value))
    }

    pub(crate) fn need(&mut self, name: &str) -> Result<String, ApiError> {
        self.take(name)?.ok_or_else(|| {
            ApiError::invalid(format!("Missing required param: {name}.")).code("parameter_missing").param(name)
        })
    }

    fn boolean(&mut self, name: &str) -> Result<bool, ApiError> {
        match self.take(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(ApiError::invalid(format!("Invalid boolean: {other}")).param(name)),
        }
    }

    fn one_of(&mut self, name: &str, allowed: &[&str]) -> Result<Option<String>, ApiError> {
        match self.take(name)? {
            Some(value) if !allowed.contains(&value.as_str()) => {
                Err(ApiError::invalid(format!("Invalid {name}: must be one of {}", allowed.join(", "))).param(name))
            }
            value => Ok(value),
        }
    }

    pub(crate) fn epoch_s(&mut self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        let time = text.parse().map_err(|_| ApiError::invalid(format!("Invalid timestamp: {text}")).param(name))?;
        Ok(Some(time))
    }

    fn all(&mut self, prefix: &str) -> Vec<(String, String)> {
        self.0.extract_if(.., |(name, _)| name.starts_with(prefix)).collect()
    }

    /// Which properties the caller wants as objects; only these can be.
    pub(crate) fn expand(&mut self, allowed: &[&str]) -> Result<Vec<String>, ApiError> {
        let asked = self.all("expand[");
        match asked.iter().find(|(_, property)| !allowed.contains(&property.as_str())) {
            None => Ok(asked.into_iter().map(|(_, property)| property).collect()),
            Some((name, property)) => {
                Err(ApiError::invalid(format!("This property cannot be expanded ({property}).")).param(name))
            }
        }
    }

    /// How many objects a page has; Stripe's default is ten.
    pub(crate) fn limit(&mut self, max: usize) -> Result<usize, ApiError> {
        let Some(text) = self.take("limit")? else { return Ok(10) };
        let limit = text.parse().ok().filter(|limit| (1..=max).contains(limit));
        limit.ok_or_else(|| ApiError::invalid(format!("Invalid limit: {text}")).param("limit"))
    }

    /// Whether the caller named its payment method types; `[]` and `[0]` are both in use.
    fn names_only_cards(&mut self) -> Result<bool, ApiError> {
        let types = self.all("payment_method_types[");
        match types.iter().find(|(_, value)| value != "card") {
            None => Ok(!types.is_empty()),
            Some((name, _)) => Err(ApiError::invalid("The twin takes only the payment method type card.").param(name)),
        }
    }

    fn metadata(&mut self) -> Result<BTreeMap<String, String>, ApiError> {
        let mut metadata = BTreeMap::new();
        for (name, value) in self.all("metadata[") {
            let key = name.strip_prefix("metadata[").and_then(|rest| rest.strip_suffix(']')).unwrap_or_default();
            let fits = (1..=METADATA_KEY_CHARS_MAX).contains(&key.chars().count());
            if !fits || value.chars().count() > METADATA_VALUE_CHARS_MAX || metadata.len() == METADATA_KEYS_MAX {
                return Err(
                    ApiError::invalid("Metadata has a key, a value or a number of keys out of range.").param(&name)
                );
            }
            metadata.insert(key.to_owned(), value);
        }
        Ok(metadata)
    }

    pub(crate) fn finish(self) -> Result<(), ApiError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(ApiError::invalid(format!("Received unknown parameter: {name}"))
                .code("parameter_unknown")
                .param(&name)),
        }
    }
}

/// Reads the body of `POST /v1/payment_intents`.
pub(crate) fn create_intent(mut form: Form) -> Result<Command, ApiError> {
    let amount = integer(&form.need("amount")?)?;
    let currency = form.need("currency")?.to_ascii_lowercase();
    check_amount(amount, &currency)?;
    let method = form.take("payment_method")?.map(payment_method).transpose()?;
    let confirm = form.boolean("confirm")?;
    let off_session = form.boolean("off_session")?;
    let capture_method = form.one_of("capture_method", &["automatic", "automatic_async", "manual"])?;
    let card_only = form.names_only_cards()?;
    let statement_descriptor_suffix = form.take("statement_descriptor_suffix")?;
    let description = form.take("description")?;
    let metadata = form.metadata()?;
    form.expand(&["latest_charge"])?;
    form.finish()?;

    if confirm && method.is_none() {
        let message = "You cannot confirm this PaymentIntent because it's missing a payment method.";
        return Err(ApiError::invalid(message).code("payment_intent_unexpected_state"));
    }
    if confirm && !card_only {
        return Err(ApiError::invalid(
            "This PaymentIntent might redirect your customer off of your page: name its `payment_method_types` instead.",
        ));
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
        confirm,
        off_session,
        // What Stripe's newer API versions do when the caller is silent.
        capture_method: capture_method.unwrap_or_else(|| "automatic_async".into()),
        statement_descriptor_suffix,
        description,
        metadata,
    }))
}

/// Reads the body of `POST /v1/payment_intents/{id}/capture`.
pub(crate) fn capture_intent(id: String, mut form: Form) -> Result<Command, ApiError> {
    let amount_to_capture = form.take("amount_to_capture")?.map(|text| integer(&text)).transpose()?;
    form.finish()?;
    Ok(Command::CaptureIntent(CaptureIntent { payment_intent: id, amount_to_capture }))
}

/// Reads the body of `POST /v1/payment_intents/{id}/cancel`.
pub(crate) fn cancel_intent(id: String, mut form: Form) -> Result<Command, ApiError> {
    let reasons = ["duplicate", "fraudulent", "requested_by_customer", "abandoned"];
    let reason = form.one_of("cancellation_reason", &reasons)?;
    form.finish()?;
    Ok(Command::CancelIntent { id, reason })
}

/// Reads the body of `POST /v1/refunds`.
pub(crate) fn create_refund(mut form: Form) -> Result<Command, ApiError> {
    let payment_intent = form.need("payment_intent")?;
    let amount = form.take("amount")?.map(|text| integer(&text)).transpose()?;
    let reason = form.one_of("reason", &["duplicate", "fraudulent", "requested_by_customer"])?;
    let metadata = form.metadata()?;
    form.finish()?;
    Ok(Command::CreateRefund(CreateRefund { payment_intent, amount, reason, metadata }))
}

fn integer(text: &str) -> Result<i64, ApiError> {
    let refused = |message: String| ApiError::invalid(message).code("parameter_invalid_integer").param("amount");
    let amount: i64 = text.parse().map_err(|_| refused(format!("Invalid integer: {text}")))?;
    if amount < 1 {
        return Err(refused("This value must be greater than or equal to 1.".into()));
    }
    Ok(amount)
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

fn payment_method(name: String) -> Result<(String, Behaviour), ApiError> {
    match cards::behaviour(&name) {
        Some(behaviour) => Ok((name, behaviour)),
        None => {
            let message = format!("No such PaymentMethod: '{name}'");
            Err(ApiError::invalid(message).code("resource_missing").param("payment_method"))
        }
    }
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
            ("amount=1250&currency=eur&payment_method=pm_x", "resource_missing", "payment_method"),
            ("amount=1250&currency=eur&confirm=yes", "Invalid boolean", "confirm"),
            ("amount=1250&currency=eur&capture_method=later", "Invalid capture_method", "capture_method"),
            ("amount=1250&currency=eur&payment_method_types[0]=link", "only", "payment_method_types[0]"),
            ("amount=1250&currency=eur&customer=cus_1", "parameter_unknown", "customer"),
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

    #[test]
    fn the_order_of_parameters_does_not_make_another_request() {
        let first = Form::parse(b"amount=1250&currency=eur").canonical();
        assert_eq!(first, Form::parse(b"currency=eur&amount=1250").canonical());
        assert_ne!(first, Form::parse(b"amount=1251&currency=eur").canonical());
    }
}
