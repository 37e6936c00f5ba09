//! AWS clients with every option explicit. They are built before the first request, where Lambda lends a whole processor.

use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, IdentityCache, SharedHttpClient, StalledStreamProtectionConfig};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_types::SdkConfig;
use parkade_store::Store;

use crate::environment::{AwsAccess, ConfigError, Environment};

/// Tries of one request, the first included: the only layer that repeats requests to AWS.
pub const ATTEMPTS_MAX: u32 = 3;
/// DynamoDB answers in milliseconds; another connection is better than a second of waiting.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);
/// One try. Far above DynamoDB's slowest usual answer, so a lost answer is noticed and a slow one is not asked twice.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// The one try of a request that is not repeated. Giving up on it is final, so it is far above the slowest usual answer.
const ONCE_TIMEOUT: Duration = Duration::from_secs(5);
/// All tries with their pauses: leaves room for an answer before the function's own limit.
const OPERATION_TIMEOUT: Duration = Duration::from_millis(4_000);
/// Pause before the second try; doubled for the third, and random up to that.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// Longest pause.
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// The roots of Amazon Trust Services, which sign every AWS endpoint. Reading the 145 roots of a system costs seven times the
/// rest of a cold start.
const AMAZON_ROOTS: [&[u8]; 5] = [
    include_bytes!("../roots/amazon-root-ca-1.pem"),
    include_bytes!("../roots/amazon-root-ca-2.pem"),
    include_bytes!("../roots/amazon-root-ca-3.pem"),
    include_bytes!("../roots/amazon-root-ca-4.pem"),
    include_bytes!("../roots/starfield-services-root-g2.pem"),
];

/// The event bus, as the environment names it.
#[derive(Debug, Clone)]
pub struct EventBus {
    /// The client.
    pub client: aws_sdk_eventbridge::Client,
    /// The bus.
    pub name: String,
}

/// The store on the tables that the environment names.
///
/// # Errors
/// [`ConfigError`] naming the first variable that is missing or wrong.
pub fn store(environment: &Environment) -> Result<Store, ConfigError> {
    Ok(Store::new(dynamodb(environment.aws()?), environment.tables()?))
}

/// A DynamoDB client.
#[must_use]
pub fn dynamodb(access: AwsAccess) -> aws_sdk_dynamodb::Client {
    let mut config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(behavior_version())
        .region(access.region)
        .credentials_provider(access.credentials)
        .identity_cache(IdentityCache::no_cache())
        .http_client(http_client())
        .sleep_impl(TokioSleep::new())
        .timeout_config(timeouts())
        .retry_config(retries())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_endpoint_url(access.endpoint_url);
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// The event bus that the environment names.
///
/// # Errors
/// [`ConfigError`] naming the first variable that is missing or wrong.
pub fn event_bus(environment: &Environment) -> Result<EventBus, ConfigError> {
    let access = environment.aws()?;
    let mut config = aws_sdk_eventbridge::Config::builder()
        .behavior_version(behavior_version())
        .region(access.region)
        .credentials_provider(access.credentials)
        .identity_cache(IdentityCache::no_cache())
        .http_client(http_client())
        .sleep_impl(TokioSleep::new())
        .timeout_config(timeouts())
        .retry_config(retries())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_endpoint_url(access.endpoint_url);
    let client = aws_sdk_eventbridge::Client::from_conf(config.build());
    Ok(EventBus { client, name: environment.bus_name()?.to_owned() })
}

/// What clients are built from whose requests must not be repeated: one that was carried out, though its answer was lost, would be
/// carried out twice. Its user decides what comes after a failure.
///
/// # Errors
/// [`ConfigError`] naming the first variable that is missing or wrong.
pub fn once(environment: &Environment) -> Result<SdkConfig, ConfigError> {
    let access = environment.aws()?;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(ONCE_TIMEOUT)
        .operation_attempt_timeout(ONCE_TIMEOUT)
        .operation_timeout(ONCE_TIMEOUT)
        .build();
    let mut config = SdkConfig::builder()
        .behavior_version(behavior_version())
        .region(access.region)
        .credentials_provider(SharedCredentialsProvider::new(access.credentials))
        .identity_cache(IdentityCache::no_cache())
        .http_client(http_client())
        .sleep_impl(TokioSleep::new())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_endpoint_url(access.endpoint_url);
    Ok(config.build())
}

/// Defaults change; this names the ones that were tested.
fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(ATTEMPT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(ATTEMPTS_MAX)
        .with_initial_backoff(BACKOFF_FIRST)
        .with_max_backoff(BACKOFF_MAX)
}

/// HTTP with TLS by ring: the SDK's default library spends most of a cold start on collecting entropy.
fn http_client() -> SharedHttpClient {
    let roots = AMAZON_ROOTS.into_iter().fold(TrustStore::empty(), TrustStore::with_pem_certificate);
    let tls = TlsContext::builder().with_trust_store(roots).build().unwrap_or_default();
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// Common names and SHA-256 fingerprints as <https://www.amazontrust.com/repository/> publishes them.
    const PUBLISHED: [(&str, &str); 5] = [
        ("Amazon Root CA 1", "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e"),
        ("Amazon Root CA 2", "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4"),
        ("Amazon Root CA 3", "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4"),
        ("Amazon Root CA 4", "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092"),
        (
            "Starfield Services Root Certificate Authority - G2",
            "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
        ),
    ];

    fn der(pem: &[u8]) -> Vec<u8> {
        let text = std::str::from_utf8(pem).unwrap();
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        STANDARD.decode(body).unwrap()
    }

    #[test]
    fn the_pinned_roots_are_the_published_ones() {
        for (pem, (name, fingerprint)) in AMAZON_ROOTS.into_iter().zip(PUBLISHED) {
            let der = der(pem);
            assert!(der.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
            let digest = ring::digest::digest(&ring::digest::SHA256, &der);
            let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, fingerprint, "{name}");
        }
    }

    /// The TLS library panics on a root it cannot parse, and only when a client is built.
    #[tokio::test]
    async fn the_clients_accept_the_roots() {
        let pairs = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("BUS_NAME", "bus"),
        ];
        let environment = Environment::from_pairs(pairs);
        let client = dynamodb(environment.aws().unwrap());
        assert!(client.config().retry_config().is_some_and(|retries| retries.max_attempts() == ATTEMPTS_MAX));
        assert!(event_bus(&environment).is_ok());
        let once = once(&environment).unwrap();
        assert!(once.retry_config().is_some_and(|retries| retries.max_attempts() == 1));
    }
}
