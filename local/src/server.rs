//! The process: its folder, its port, its start and its end.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use parkade_identity::{DevTokens, Identity, Keys};
use parkade_testkit::{Engine, EngineError, Faults};
use parkade_twin::{InvalidEndpoint, Twin};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::app::{App, AppError, Platform};
use crate::clock::Clock;
use crate::function::Functions;
use crate::http;
use crate::registry::{self, Foundation, RegistryError};
use crate::table::LocalError;
use crate::template::{self, TemplateError};

/// What the payment twin signs its webhooks with: both ends are in this process.
const WEBHOOK_SECRET: &str = "whsec_local";
/// Bytes of the master key.
const KEY_BYTES: usize = 32;

/// What the command line says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of everything that is kept.
    pub data: PathBuf,
    /// The template.
    pub template: PathBuf,
    /// Loopback port; 0 takes a free one.
    pub port: u16,
    /// Time at the start, instead of the present.
    pub clock: Option<DateTime<Utc>>,
    /// How many times as fast as the wall clock.
    pub clock_speed: u32,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A file of the folder cannot be used.
    #[error("cannot use {0}")]
    File(PathBuf, #[source] std::io::Error),
    /// Another server uses the folder.
    #[error("another parkade uses {0}; stop it or pass --data")]
    InUse(PathBuf),
    /// The key file is not a key.
    #[error("{0} does not hold 32 bytes in base64")]
    Key(PathBuf),
    /// No random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The template cannot be run.
    #[error("the template cannot be run here")]
    Template(#[source] TemplateError),
    /// The engine does not open.
    #[error("the engine's file cannot be opened")]
    Engine(#[source] EngineError),
    /// The local table fails.
    #[error("the local table cannot be used")]
    Local(#[source] LocalError),
    /// Template and functions differ.
    #[error("the template and the functions do not fit")]
    App(#[source] AppError),
    /// The payment twin does not start.
    #[error("the payment twin cannot start")]
    Twin(#[source] parkade_twin::OpenError),
    /// The payment twin cannot send its webhooks.
    #[error("the payment twin cannot send its webhooks")]
    Webhooks(#[from] InvalidEndpoint),
    /// The functions' dependencies cannot be built.
    #[error("the functions cannot be built")]
    Functions(#[source] RegistryError),
    /// The port is taken.
    #[error("cannot listen on {0}; pass --port")]
    Port(SocketAddr, #[source] std::io::Error),
    /// Serving failed.
    #[error("serving failed")]
    Serve(#[source] std::io::Error),
}

/// A server that listens but does not answer yet.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// The functions.
    pub app: Arc<App>,
    listener: TcpListener,
    router: axum::Router,
    /// Held until the end: one process per folder.
    _lock: File,
}

impl Server {
    /// Opens the folder and the port and wires everything.
    ///
    /// # Errors
    /// [`ServerError`] with what to do about it.
    pub async fn open(settings: &Settings) -> Result<Self, ServerError> {
        let data = &settings.data;
        std::fs::create_dir_all(data).map_err(|error| ServerError::File(data.clone(), error))?;
        let lock = lock(&data.join("lock"))?;
        let wiring = template::read(&settings.template).map_err(ServerError::Template)?;
        let identity = Identity::new(Keys::from_master(&master_key(&data.join("master.key"))?), DevTokens::On);
        let engine = Engine::open(&data.join("engine.db")).map_err(ServerError::Engine)?;
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.port));
        let listener = TcpListener::bind(wanted).await.map_err(|error| ServerError::Port(wanted, error))?;
        let address = listener.local_addr().map_err(|error| ServerError::Port(wanted, error))?;

        let platform =
            Platform::open(engine, &wiring, settings.clock, settings.clock_speed).map_err(ServerError::Local)?;
        let twin = twin(data.join("payments.journal"), &platform.clock)?;
        let functions = functions(&platform, identity, address, data)?;
        let app = App::assemble(platform, &wiring, &functions).map_err(ServerError::App)?;
        let router = http::router(app.clone(), Some(twin.router()));
        twin.send_events_to(&format!("http://{address}/v1/webhooks/stripe"), WEBHOOK_SECRET)?;
        Ok(Self { address, app, listener, router, _lock: lock })
    }

    /// Serves until `stop` turns true, then finishes what has begun.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn run(self, stop: watch::Receiver<bool>) -> Result<(), ServerError> {
        let mut stopping = stop.clone();
        let stopped = async move {
            stopping.wait_for(|stop| *stop).await.ok();
        };
        let sources = self.app.run(&stop);
        let serving = async { axum::serve(self.listener, self.router).with_graceful_shutdown(stopped).await };
        let (served, ()) = tokio::join!(serving, sources);
        served.map_err(ServerError::Serve)
    }
}

/// The payment twin, in the time of the platform: its signatures are judged by that, and its books are read by that.
fn twin(journal: PathBuf, clock: &Clock) -> Result<Twin, ServerError> {
    let clock = clock.clone();
    let present_s = move || u64::try_from(clock.now().timestamp()).unwrap_or_default();
    Twin::open_at(Some(journal), present_s).map_err(ServerError::Twin)
}

fn functions(
    platform: &Platform,
    identity: Identity,
    address: SocketAddr,
    data: &Path,
) -> Result<Functions, ServerError> {
    let foundation = Foundation {
        client: platform.engine.client(Faults::none()),
        identity,
        bus: platform.bus.clone(),
        payments_url: format!("http://{address}/_stripe"),
        webhook_secret: WEBHOOK_SECRET.to_owned(),
        api_url: format!("http://{address}"),
        outbox: data.join("outbox"),
    };
    registry::functions(foundation).map_err(ServerError::Functions)
}

fn lock(path: &Path) -> Result<File, ServerError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| ServerError::File(path.to_owned(), error))?;
    // The lock ends with the process, however it ends.
    file.try_lock().map_err(|_| ServerError::InUse(path.parent().unwrap_or(path).to_owned()))?;
    Ok(file)
}

/// The key in `path`, made at the first start. Without it stored plates are unreadable.
fn master_key(path: &Path) -> Result<[u8; KEY_BYTES], ServerError> {
    let failed = |error| ServerError::File(path.to_owned(), error);
    if !path.exists() {
        let mut key = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut key).map_err(|_| ServerError::Random)?;
        // Whole or not at all: half a key file would stop every later start.
        let draft = path.with_extension("draft");
        private_file(&draft).and_then(|mut file| file.write_all(STANDARD.encode(key).as_bytes())).map_err(failed)?;
        std::fs::rename(&draft, path).map_err(failed)?;
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let bytes = STANDARD.decode(text.trim()).map_err(|_| ServerError::Key(path.to_owned()))?;
    bytes.try_into().map_err(|_| ServerError::Key(path.to_owned()))
}

fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
