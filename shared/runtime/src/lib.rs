//! Cold start of a function: configuration, telemetry, clients, and the loop that asks Lambda for work.
//!
//! This crate promises: the environment is read here and nowhere else, the clock of a request is read here once, clients are
//! built before the first request and with explicit options. It refuses to know: what any function does.
//!
//! ```no_run
//! # mod reserve {
//! #     use {chrono::{DateTime, Utc}, http::{Request, Response}, parkade_runtime::Deps};
//! #     pub async fn handle(_: &Deps, _: DateTime<Utc>, _: Request<Vec<u8>>) -> Response<Vec<u8>> { Response::default() }
//! # }
//! # async fn main_() -> Result<(), parkade_runtime::Fatal> {
//! let environment = parkade_runtime::Environment::from_process();
//! parkade_runtime::telemetry::init(&environment);
//! let deps = parkade_runtime::Deps::from_environment(&environment)?;
//! parkade_runtime::run_http(&deps, reserve::handle).await
//! # }
//! ```

pub mod access;
pub mod clients;
pub mod environment;
pub mod events;
mod gateway;
mod http_events;
pub mod lanes;
pub mod problems;
pub mod quotes;
pub mod stays;
pub mod telemetry;

use std::fmt;

use parkade_identity::Identity;
use parkade_store::Store;

pub use environment::{ConfigError, Environment};
pub use events::{EventFailure, run_schedule, run_sqs, run_stream};
pub use http_events::run_http;

/// What most functions need. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The tables.
    pub store: Store,
    /// Principals and keys.
    pub identity: Identity,
}

impl Deps {
    /// Everything of a function that serves requests or keeps plates.
    ///
    /// # Errors
    /// [`ConfigError`] naming the first variable that is missing or wrong.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self { store: clients::store(environment)?, identity: environment.identity()? })
    }
}

/// Why a function ends. Its `Debug` text, which is what `main` prints, is the error with all its causes.
pub struct Fatal(String);

impl Fatal {
    fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        Self(parkade_api::chain(error))
    }
}

impl fmt::Debug for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error + 'static> From<E> for Fatal {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}
