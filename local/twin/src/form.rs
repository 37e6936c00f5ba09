//! A request's parameters, taken one by one. Nothing is ignored: what nobody has taken in the end is refused.

use std::collections::BTreeMap;

use crate::reply::ApiError;

const METADATA_KEYS_MAX: usize = 50;
const METADATA_KEY_CHARS_MAX: usize = 40;
const METADATA_VALUE_CHARS_MAX: usize = 500;
/// Stripe's default length of a page, and its longest.
const PAGE: usize = 10;
const PAGE_MAX: usize = 100;

/// A decoded form body or query, sorted by name; of the same name in the order they came, which is a list's.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut pairs: Vec<(String, String)> = form_urlencoded::parse(text).into_owned().collect();
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

    pub(crate) fn boolean(&mut self, name: &str) -> Result<bool, ApiError> {
        match self.take(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(ApiError::invalid(format!("Invalid boolean: {other}")).param(name)),
        }
    }

    pub(crate) fn one_of(&mut self, name: &str, allowed: &[&str]) -> Result<Option<String>, ApiError> {
        match self.take(name)? {
            Some(value) if !allowed.contains(&value.as_str()) => {
                Err(ApiError::invalid(format!("Invalid {name}: must be one of {}", allowed.join(", "))).param(name))
            }
            value => Ok(value),
        }
    }

    /// An amount: above zero.
    pub(crate) fn amount(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        let refused = |message: String| ApiError::invalid(message).code("parameter_invalid_integer").param(name);
        let amount: i64 = text.parse().map_err(|_| refused(format!("Invalid integer: {text}")))?;
        if amount < 1 {
            return Err(refused("This value must be greater than or equal to 1.".into()));
        }
        Ok(Some(amount))
    }

    pub(crate) fn epoch_s(&mut self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        let time = text.parse().map_err(|_| ApiError::invalid(format!("Invalid timestamp: {text}")).param(name))?;
        Ok(Some(time))
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

    /// How many objects a page has.
    pub(crate) fn limit(&mut self) -> Result<usize, ApiError> {
        let Some(text) = self.take("limit")? else { return Ok(PAGE) };
        let limit = text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
        limit.ok_or_else(|| ApiError::invalid(format!("Invalid limit: {text}")).param("limit"))
    }

    /// Whether the caller named its payment method types; `[]` and `[0]` are both in use.
    pub(crate) fn names_only_cards(&mut self) -> Result<bool, ApiError> {
        let types = self.all("payment_method_types[");
        match types.iter().find(|(_, value)| value != "card") {
            None => Ok(!types.is_empty()),
            Some((name, _)) => Err(ApiError::invalid("The twin takes only the payment method type card.").param(name)),
        }
    }

    pub(crate) fn metadata(&mut self) -> Result<BTreeMap<String, String>, ApiError> {
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

    fn all(&mut self, prefix: &str) -> Vec<(String, String)> {
        self.0.extract_if(.., |(name, _)| name.starts_with(prefix)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_parameters_does_not_make_another_request_but_the_order_of_a_list_does() {
        let canonical = |text: &str| Form::parse(text.as_bytes()).canonical();
        assert_eq!(canonical("amount=1250&currency=eur"), canonical("currency=eur&amount=1250"));
        assert_ne!(canonical("amount=1250&currency=eur"), canonical("amount=1251&currency=eur"));
        assert_ne!(canonical("expand[]=a&expand[]=b"), canonical("expand[]=b&expand[]=a"));
    }

    #[test]
    fn what_is_sent_twice_or_unasked_is_refused() {
        let mut form = Form::parse(b"limit=5&limit=6");
        assert_eq!(form.limit(), Ok(5));
        assert!(form.finish().is_err());
        assert!(Form::parse(b"expand[]=customer").expand(&["latest_charge"]).is_err());
    }
}
