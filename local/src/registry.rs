//! Every function of `functions/`, by name: the only list of them in code. A test compares it with the folders.

use std::path::PathBuf;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use parkade_billing::Cashier;
use parkade_identity::Identity;
use parkade_notify::{Courier, Files, FilesError};
use parkade_payments::{Config, ConfigError, EmptySecret, SecretKey, StripeClient, WebhookSecrets};
use parkade_runtime::{Deps, EventFailure};
use parkade_store::{Store, TableNames};
use parkade_testkit::{CALENDAR, DERIVED, LEDGER, RECORDS};

use crate::bus::LocalBus;
use crate::function::{Functions, Handler};

/// What the functions stand on.
pub struct Foundation {
    /// The store's client.
    pub client: Client,
    /// Tokens and keys.
    pub identity: Identity,
    /// Where events go.
    pub bus: LocalBus,
    /// Where the payment provider answers.
    pub payments_url: String,
    /// What the payment provider signs its webhooks with.
    pub webhook_secret: String,
    /// Where the API answers.
    pub api_url: String,
    /// Folder of the messages that would be sent to drivers.
    pub outbox: PathBuf,
}

/// The functions' own dependencies cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The payment client.
    #[error("the payment client cannot be built")]
    Client(#[source] ConfigError),
    /// The secret of the webhook.
    #[error("the webhook has no secret")]
    Webhook(#[source] EmptySecret),
    /// The folder of messages cannot be used.
    #[error("messages to drivers cannot be written")]
    Outbox(#[source] FilesError),
}

/// Part of the keys that the payment twin knows charges by.
const STAGE: &str = "local";

/// A function that answers requests.
macro_rules! http {
    ($function:ident, $deps:expr) => {{
        let deps = $deps.clone();
        Handler::Http(Arc::new(move |now, request| {
            let deps = deps.clone();
            Box::pin(async move { ::$function::handle(&deps, now, request).await })
        }))
    }};
}

/// A function that the clock runs.
macro_rules! schedule {
    ($function:ident, $deps:expr) => {{
        let deps = $deps.clone();
        Handler::Schedule(Arc::new(move |now, ()| {
            let deps = deps.clone();
            Box::pin(async move {
                let report = ::$function::handle(&deps, now).await.map_err(failure)?;
                tracing::debug!(?report, "swept");
                Ok(())
            })
        }))
    }};
}

/// A function that consumes a queue.
macro_rules! queue {
    ($function:ident, $deps:expr) => {{
        let deps = $deps.clone();
        Handler::Queue(Arc::new(move |now, event| {
            let deps = deps.clone();
            Box::pin(async move { ::$function::handle(&deps, now, event).await })
        }))
    }};
}

/// A function that consumes a stream.
macro_rules! stream {
    ($function:ident, $deps:expr) => {{
        let deps = $deps.clone();
        Handler::Stream(Arc::new(move |now, event| {
            let deps = deps.clone();
            Box::pin(async move { ::$function::handle(&deps, now, event).await })
        }))
    }};
}

fn failure(error: impl Into<EventFailure>) -> String {
    let EventFailure { code, message } = error.into();
    format!("{code}: {message}")
}

/// The functions, ready to be invoked.
///
/// # Errors
/// When the payment client or the folder of messages cannot be used.
pub fn functions(foundation: Foundation) -> Result<Functions, RegistryError> {
    let tables = TableNames {
        calendar: CALENDAR.name.to_owned(),
        records: RECORDS.name.to_owned(),
        ledger: LEDGER.name.to_owned(),
        derived: DERIVED.name.to_owned(),
    };
    let store = Store::new(foundation.client, tables);
    let deps = Deps { store: store.clone(), identity: foundation.identity };
    let config = Config::new(foundation.payments_url, SecretKey::new("sk_test_local"));
    let stripe = StripeClient::new(&config).map_err(RegistryError::Client)?;
    let reconcile = reconcile::Deps { store: store.clone(), stripe: stripe.clone(), stage: STAGE.to_owned() };
    let cashier = Cashier::new(store.clone(), stripe, STAGE);
    let pay = pay::Deps { common: deps.clone(), cashier: cashier.clone() };
    let cards = payment_methods::Deps { common: deps.clone(), cashier: cashier.clone() };
    let secrets = WebhookSecrets::new(&foundation.webhook_secret, None).map_err(RegistryError::Webhook)?;
    let webhook = payment_webhook::Deps { cashier: cashier.clone(), secrets };
    let courier = Courier {
        store: store.clone(),
        identity: deps.identity.clone(),
        notifier: Files::open(foundation.outbox).map_err(RegistryError::Outbox)?,
        api_url: foundation.api_url,
    };
    Ok([
        ("search", http!(search, deps)),
        ("discover", http!(discover, deps)),
        ("quote", http!(quote, deps)),
        ("reserve", http!(reserve, deps)),
        ("get-reservation", http!(get_reservation, deps)),
        ("list-reservations", http!(list_reservations, deps)),
        ("modify", http!(modify, deps)),
        ("cancel", http!(cancel, deps)),
        ("validate", http!(validate, deps)),
        ("adjust", http!(adjust, deps)),
        ("pay", http!(pay, pay)),
        ("payment-methods", http!(payment_methods, cards)),
        ("payment-webhook", http!(payment_webhook, webhook)),
        ("get-payment", http!(get_payment, deps)),
        ("list-payments", http!(list_payments, deps)),
        ("get-receipt", http!(get_receipt, deps)),
        ("get-wallet", http!(get_wallet, deps)),
        ("list-spots", http!(list_spots, deps)),
        ("get-spot", http!(get_spot, deps)),
        ("put-lot", http!(put_lot, deps)),
        ("put-spots", http!(put_spots, deps)),
        ("set-spot-status", http!(set_spot_status, deps)),
        ("check-in", http!(check_in, deps)),
        ("check-out", http!(check_out, deps)),
        ("no-show-sweep", schedule!(no_show_sweep, deps)),
        ("expire-holds", schedule!(expire_holds, deps)),
        ("overstay-sweep", schedule!(overstay_sweep, deps)),
        ("on-payment-requested", queue!(on_payment_requested, cashier)),
        ("issue-receipts", queue!(issue_receipts, store)),
        ("tariffs", http!(tariffs, deps)),
        ("tills", http!(tills, deps)),
        ("price-explain", http!(price_explain, deps)),
        ("preferences", http!(preferences, deps)),
        ("notify", queue!(notify, courier)),
        ("remind", schedule!(remind, courier)),
        ("get-ledger", http!(get_ledger, deps)),
        ("exceptions", http!(exceptions, deps)),
        ("reconcile", schedule!(reconcile, reconcile)),
        ("publish-events", stream!(publish_events, foundation.bus)),
        ("occupancy", stream!(occupancy, store.clone())),
        ("seal-ledger", stream!(seal_ledger, store)),
    ]
    .into())
}
