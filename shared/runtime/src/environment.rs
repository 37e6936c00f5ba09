//! Configuration from environment variables, typed, with errors that name the variable and never its value.

use std::collections::BTreeMap;
use std::fmt;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::Region;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parkade_identity::keys::MASTER_KEY_BYTES;
use parkade_identity::{DevTokens, Identity, Keys};
use parkade_payments::{Config, SecretKey};
use parkade_store::TableNames;
use thiserror::Error;

/// Why a variable cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("environment variable {variable} {why}")]
pub struct ConfigError {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Not set, or empty.
    Missing,
    /// Not of the form that is named.
    Not(&'static str),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is not set"),
            Self::Not(form) => write!(f, "is not {form}"),
        }
    }
}

/// The environment of one function.
pub struct Environment(BTreeMap<String, String>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// Where AWS is, and as whom to speak to it.
#[derive(Debug, Clone)]
pub struct AwsAccess {
    /// The region.
    pub region: Region,
    /// The function's own credentials.
    pub credentials: Credentials,
    /// An emulator instead of AWS.
    pub endpoint_url: Option<String>,
}

/// What messages to drivers need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationAccess {
    /// The verified address that e-mails come from; none if there are no e-mails.
    pub from: Option<String>,
    /// Where the API answers, for links.
    pub api_url: String,
}

impl Environment {
    /// The process's environment. Variables that are not UTF-8 count as missing.
    #[must_use]
    pub fn from_process() -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(utf8).collect())
    }

    /// An environment made of these variables, for tests and for a process that hosts several functions.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// A variable that may be absent; empty counts as absent.
    #[must_use]
    pub fn optional(&self, variable: &'static str) -> Option<&str> {
        self.0.get(variable).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A variable that must be there.
    ///
    /// # Errors
    /// [`ConfigError`] if it is absent or empty.
    pub fn required(&self, variable: &'static str) -> Result<&str, ConfigError> {
        self.optional(variable).ok_or(ConfigError { variable, why: Why::Missing })
    }

    /// `STAGE`: which deployment this is; part of provider keys.
    ///
    /// # Errors
    /// [`ConfigError`] if it is absent.
    pub fn stage(&self) -> Result<&str, ConfigError> {
        self.required("STAGE")
    }

    /// `BUS_NAME`: the event bus.
    ///
    /// # Errors
    /// [`ConfigError`] if it is absent.
    pub fn bus_name(&self) -> Result<&str, ConfigError> {
        self.required("BUS_NAME")
    }

    /// `CALENDAR_TABLE`, `RECORDS_TABLE`, `LEDGER_TABLE`, `DERIVED_TABLE`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the first that is absent.
    pub fn tables(&self) -> Result<TableNames, ConfigError> {
        Ok(TableNames {
            calendar: self.required("CALENDAR_TABLE")?.to_owned(),
            records: self.required("RECORDS_TABLE")?.to_owned(),
            ledger: self.required("LEDGER_TABLE")?.to_owned(),
            derived: self.required("DERIVED_TABLE")?.to_owned(),
        })
    }

    /// `STRIPE_BASE_URL` (the local twin's, or `https://api.stripe.com`) and `STRIPE_SECRET_KEY`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the first that is absent.
    pub fn stripe(&self) -> Result<Config, ConfigError> {
        let key = SecretKey::new(self.required("STRIPE_SECRET_KEY")?);
        Ok(Config::new(self.required("STRIPE_BASE_URL")?, key))
    }

    /// `NOTIFICATIONS_FROM` (may be empty) and `API_URL`.
    ///
    /// # Errors
    /// [`ConfigError`] if the URL is absent.
    pub fn notifications(&self) -> Result<NotificationAccess, ConfigError> {
        let from = self.optional("NOTIFICATIONS_FROM").map(str::to_owned);
        Ok(NotificationAccess { from, api_url: self.required("API_URL")?.to_owned() })
    }

    /// `PARKADE_MASTER_KEY`, `PARKADE_MASTER_KEY_PREVIOUS` (while rotating) and `DEV_TOKENS` (`on` or `off`, by default off).
    ///
    /// # Errors
    /// [`ConfigError`] if the key is absent or not 32 bytes, or if development tokens are on in a production stage.
    pub fn identity(&self) -> Result<Identity, ConfigError> {
        let mut keys = Keys::from_master(&master_key("PARKADE_MASTER_KEY", self.required("PARKADE_MASTER_KEY")?)?);
        if let Some(previous) = self.optional("PARKADE_MASTER_KEY_PREVIOUS") {
            keys = keys.with_previous(&master_key("PARKADE_MASTER_KEY_PREVIOUS", previous)?);
        }
        Ok(Identity::new(keys, self.dev_tokens()?))
    }

    fn dev_tokens(&self) -> Result<DevTokens, ConfigError> {
        let production = self.optional("STAGE").is_some_and(|stage| stage.starts_with("prod"));
        let refused = |form| Err(ConfigError { variable: "DEV_TOKENS", why: Why::Not(form) });
        match self.optional("DEV_TOKENS") {
            None | Some("off") => Ok(DevTokens::Off),
            Some("on") if production => refused("allowed to be on in production"),
            Some("on") => Ok(DevTokens::On),
            Some(_) => refused("on or off"),
        }
    }

    /// `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and `AWS_ENDPOINT_URL`.
    ///
    /// Lambda puts a role's credentials here and ends the process before they do, so no chain of providers is needed.
    ///
    /// # Errors
    /// [`ConfigError`] naming the first that is absent or wrong.
    pub fn aws(&self) -> Result<AwsAccess, ConfigError> {
        let region = Region::new(self.required("AWS_REGION")?.to_owned());
        let session_token = self.optional("AWS_SESSION_TOKEN").map(str::to_owned);
        let (id, secret) = (self.required("AWS_ACCESS_KEY_ID")?, self.required("AWS_SECRET_ACCESS_KEY")?);
        let credentials = Credentials::new(id, secret, session_token, None, "environment");
        let endpoint_url = self.optional("AWS_ENDPOINT_URL");
        if endpoint_url.is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            return Err(ConfigError { variable: "AWS_ENDPOINT_URL", why: Why::Not("an http or https URL") });
        }
        Ok(AwsAccess { region, credentials, endpoint_url: endpoint_url.map(str::to_owned) })
    }
}

fn master_key(variable: &'static str, text: &str) -> Result<[u8; MASTER_KEY_BYTES], ConfigError> {
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| <[u8; MASTER_KEY_BYTES]>::try_from(bytes).ok());
    bytes.ok_or(ConfigError { variable, why: Why::Not("32 bytes in base64") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn environment(changes: &[(&str, &str)]) -> Environment {
        let mut pairs = BTreeMap::from([
            ("STAGE", "dev"),
            ("CALENDAR_TABLE", "c"),
            ("RECORDS_TABLE", "r"),
            ("LEDGER_TABLE", "l"),
            ("DERIVED_TABLE", "d"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "the-secret"),
            ("PARKADE_MASTER_KEY", KEY),
        ]);
        pairs.extend(changes.iter().copied());
        Environment::from_pairs(pairs)
    }

    #[test]
    fn a_complete_environment_makes_everything() {
        let environment = environment(&[("DEV_TOKENS", "on"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")]);
        assert_eq!(environment.tables().unwrap().records, "r");
        assert!(environment.identity().is_ok());
        assert_eq!(environment.aws().unwrap().endpoint_url.as_deref(), Some("http://127.0.0.1:4566"));
    }

    #[test]
    fn without_a_sender_there_are_no_e_mails() {
        let access = |from| environment(&[("API_URL", "https://x"), ("NOTIFICATIONS_FROM", from)]).notifications();
        assert_eq!(access("").unwrap().from, None);
        assert_eq!(access("a@b.de").unwrap().from.as_deref(), Some("a@b.de"));
        assert_eq!(environment(&[]).notifications().unwrap_err().variable, "API_URL");
    }

    #[test]
    fn each_missing_variable_is_named() {
        for variable in ["CALENDAR_TABLE", "RECORDS_TABLE", "LEDGER_TABLE", "DERIVED_TABLE"] {
            let error = environment(&[(variable, "")]).tables().unwrap_err();
            assert_eq!(error, ConfigError { variable, why: Why::Missing });
        }
        for variable in ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            assert_eq!(environment(&[(variable, "")]).aws().unwrap_err().variable, variable);
        }
        let error = environment(&[("PARKADE_MASTER_KEY", "")]).identity().unwrap_err();
        assert_eq!(error.to_string(), "environment variable PARKADE_MASTER_KEY is not set");
    }

    #[test]
    fn wrong_values_are_refused_without_repeating_them() {
        let wrong = [
            ("PARKADE_MASTER_KEY", "not-a-key"),
            ("PARKADE_MASTER_KEY", "AQEB"),
            ("PARKADE_MASTER_KEY_PREVIOUS", "AQEB"),
            ("DEV_TOKENS", "yes"),
        ];
        for (variable, value) in wrong {
            let error = environment(&[(variable, value)]).identity().unwrap_err();
            assert_eq!(error.variable, variable);
            assert!(!error.to_string().contains(value), "{error}");
        }
        assert_eq!(environment(&[("AWS_ENDPOINT_URL", "ftp://x")]).aws().unwrap_err().variable, "AWS_ENDPOINT_URL");
    }

    #[test]
    fn development_tokens_are_off_by_default_and_never_on_in_production() {
        assert_eq!(environment(&[]).dev_tokens().unwrap(), DevTokens::Off);
        assert_eq!(environment(&[("DEV_TOKENS", "on")]).dev_tokens().unwrap(), DevTokens::On);
        for stage in ["prod", "production", "prod-eu"] {
            assert!(environment(&[("STAGE", stage), ("DEV_TOKENS", "on")]).dev_tokens().is_err(), "{stage}");
        }
    }

    #[test]
    fn nothing_prints_a_secret() {
        let environment = environment(&[("STRIPE_BASE_URL", "http://twin"), ("STRIPE_SECRET_KEY", "sk_test_x")]);
        let printed = format!("{environment:?} {:?} {:?}", environment.aws().unwrap(), environment.stripe().unwrap());
        for secret in ["the-secret", "sk_test_x", KEY] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}
