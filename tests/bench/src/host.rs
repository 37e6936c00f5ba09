//! What a function meets on AWS, played by this process: Lambda's Runtime API with prepared events, and the store over HTTP.

use std::collections::VecDeque;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use parkade_testkit::{CALENDAR, DERIVED, Engine, LEDGER, RECORDS};
use serde_json::Value;

use crate::Failure;

/// How long a run may take. Valgrind makes a function about fifty times slower.
const PATIENCE: Duration = Duration::from_secs(300);
/// What webhooks are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_bench";
const CALLGRIND_FILE: &str = "target/callgrind.out";

/// A function that was run until it asked for work that is not there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    /// Voluntary context switches of all threads.
    pub(crate) switches: u64,
    /// Calls to the store.
    pub(crate) calls: u64,
    /// Most resident memory, in KB of 1,024 bytes.
    pub(crate) peak_kb: u64,
}

/// The servers, on a thread of their own until the process ends.
pub(crate) struct Host {
    port: u16,
    state: Arc<Shared>,
    idle: Receiver<()>,
}

struct Shared {
    engine: Engine,
    calls: AtomicU64,
    events: Mutex<VecDeque<Value>>,
    failures: Mutex<Vec<String>>,
    idle: Mutex<Sender<()>>,
}

impl Host {
    pub(crate) fn start(engine: Engine) -> Result<Self, Failure> {
        let (sender, idle) = mpsc::channel();
        let state = Arc::new(Shared {
            engine,
            calls: AtomicU64::new(0),
            events: Mutex::default(),
            failures: Mutex::default(),
            idle: Mutex::new(sender),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let router = Router::new()
            .route("/", post(store))
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
            .fallback(failed)
            .with_state(Arc::clone(&state));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            let served =
                runtime.block_on(async { axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await });
            if let Err(error) = served {
                eprintln!("parkade-bench: the servers ended: {error}");
            }
        });
        Ok(Self { port, state, idle })
    }

    /// Runs a function on `events` and measures it where it waits for more.
    pub(crate) fn run(&self, binary: &Path, events: Vec<Value>) -> Result<Subject, Failure> {
        let child = self.spawn(Command::new(binary), events)?;
        let subject = self.observe(&child);
        self.stop(child)?;
        subject
    }

    fn observe(&self, child: &Child) -> Result<Subject, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let mut switches = 0;
        for task in fs::read_dir(format!("/proc/{}/task", child.id()))? {
            let task = fs::read_to_string(task?.path().join("status"))?;
            switches += field(&task, "voluntary_ctxt_switches:").ok_or("no count of switches")?;
        }
        let peak_kb = field(&status, "VmHWM:").ok_or("no peak memory")?;
        Ok(Subject { switches, calls: self.state.calls.load(Ordering::Relaxed), peak_kb })
    }

    /// User-space instructions of a function from its start until it waits for more than `events`.
    pub(crate) fn instructions(&self, binary: &Path, events: Vec<Value>) -> Result<u64, Failure> {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--quiet", &format!("--callgrind-out-file={CALLGRIND_FILE}")]).arg(binary);
        let child = self.spawn(valgrind, events)?;
        self.stop(child)?;
        let profile = fs::read_to_string(CALLGRIND_FILE)?;
        let summary = profile.lines().find_map(|line| line.strip_prefix("summary:").or(line.strip_prefix("totals:")));
        Ok(summary.and_then(|count| count.trim().parse().ok()).ok_or("callgrind wrote no summary")?)
    }

    /// Whether what counts instructions is there.
    pub(crate) fn check_valgrind() -> Result<(), Failure> {
        let found = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
        match found {
            Ok(status) if status.success() => Ok(()),
            _ => {
                Err("valgrind counts the instructions and is missing: install it, e.g. `apt-get install valgrind`"
                    .into())
            }
        }
    }

    /// Starts a function and waits until it has answered all events and asks for another.
    fn spawn(&self, mut command: Command, events: Vec<Value>) -> Result<Child, Failure> {
        self.state.calls.store(0, Ordering::Relaxed);
        *lock(&self.state.events) = events.into();
        let search_path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", search_path).envs(self.environment()).stdout(Stdio::null());
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().map_err(|error| format!("{program} cannot be started: {error}"))?;
        if self.idle.recv_timeout(PATIENCE).is_err() {
            child.kill()?;
            return Err("the function did not ask for work".into());
        }
        match lock(&self.state.failures).pop() {
            None => Ok(child),
            Some(failure) => {
                child.kill()?;
                Err(format!("the function failed: {failure}").into())
            }
        }
    }

    /// Asks the process to end, so that valgrind writes what it counted, and waits for it.
    fn stop(&self, mut child: Child) -> Result<(), Failure> {
        Command::new("kill").arg(child.id().to_string()).status()?;
        child.wait()?;
        Ok(())
    }

    /// What Lambda sets, with a session token as long as theirs, and what the template sets.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let pairs = [
            ("AWS_LAMBDA_FUNCTION_NAME", "bench".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
            ("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{}", self.port)),
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            ("AWS_SESSION_TOKEN", "t".repeat(800)),
            ("STAGE", "bench".to_owned()),
            ("CALENDAR_TABLE", CALENDAR.name.to_owned()),
            ("RECORDS_TABLE", RECORDS.name.to_owned()),
            ("LEDGER_TABLE", LEDGER.name.to_owned()),
            ("DERIVED_TABLE", DERIVED.name.to_owned()),
            ("BUS_NAME", "bench".to_owned()),
            ("STRIPE_BASE_URL", format!("http://127.0.0.1:{}", self.port)),
            ("STRIPE_SECRET_KEY", "sk_test_bench".to_owned()),
            ("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned()),
            ("API_URL", "https://api.example.com".to_owned()),
            ("PARKADE_MASTER_KEY", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".to_owned()),
            ("DEV_TOKENS", "on".to_owned()),
        ];
        pairs.into()
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn store(State(host): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    host.calls.fetch_add(1, Ordering::Relaxed);
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let (status, body) = match host.engine.call(operation, std::str::from_utf8(&body).unwrap_or_default()) {
        Ok(body) => (StatusCode::OK, body),
        Err(refusal) => (StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST), refusal.body),
    };
    (status, [("content-type", "application/x-amz-json-1.0")], body).into_response()
}

/// Hands out the next event; after the last one it says so and never answers.
async fn next(State(host): State<Arc<Shared>>) -> Response {
    let event = lock(&host.events).pop_front();
    let Some(event) = event else {
        if lock(&host.idle).send(()).is_err() {
            eprintln!("parkade-bench: nobody waits for the function any more");
        }
        return std::future::pending().await;
    };
    let headers = [
        (HeaderName::from_static("lambda-runtime-aws-request-id"), "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
        (HeaderName::from_static("lambda-runtime-deadline-ms"), "4102444800000"),
        (
            HeaderName::from_static("lambda-runtime-invoked-function-arn"),
            "arn:aws:lambda:eu-central-1:123456789012:function:bench",
        ),
        (HeaderName::from_static("lambda-runtime-trace-id"), "Root=1-69a5f5c0-0123456789abcdef01234567;Sampled=0"),
    ];
    (headers, event.to_string()).into_response()
}

async fn answered(State(host): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    // Only HTTP answers have a status; the others are read by nobody.
    let status = answer.get("statusCode").and_then(Value::as_u64);
    if status.is_some_and(|status| status >= 300) {
        lock(&host.failures).push(answer.to_string());
    }
    StatusCode::ACCEPTED
}

async fn failed(State(host): State<Arc<Shared>>, request: axum::extract::Request) -> StatusCode {
    lock(&host.failures).push(format!("{} {}", request.method(), request.uri()));
    StatusCode::ACCEPTED
}
