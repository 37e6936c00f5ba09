//! The whole program: the demo, SIGKILL in the middle of a load and a second start, one process per folder, Ctrl-C.
#![cfg(test)]
#![cfg(unix)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::Method;
use parkade_local::client::{Answer, Api, Ask};
use parkade_testkit::Engine;
use serde_json::{Value, json};

const DRIVER: &str = "dev.driver.dora";
const ADMIN: &str = "dev.admin.ada";
const SPOTS: usize = 200;
const CLIENTS: usize = 8;
/// Acknowledged holds after which the server is killed; the clients go on asking.
const KILLED_AFTER: usize = 60;
/// Of a fixed clock, so that the window below is always tomorrow.
const CLOCK: &str = "2027-03-01T08:00:00Z";

struct Server {
    process: Child,
    url: String,
    api: Api,
}

impl Server {
    /// Starts in an empty folder of its own.
    fn fresh(name: &str) -> (Self, PathBuf) {
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::remove_dir_all(&data).ok();
        (Self::start(&data, Some(CLOCK)), data)
    }

    fn start(data: &Path, clock: Option<&str>) -> Self {
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_parkade"));
        command.args(["--port", "0", "--quiet", "--clock-speed", "0", "--data"]).arg(data);
        command.arg("--template").arg(template);
        if let Some(clock) = clock {
            command.args(["--clock", clock]);
        }
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.find_map(|line| line.unwrap().strip_prefix("Parkade runs at ").map(str::to_owned));
        let url = line.as_ref().and_then(|line| line.split_whitespace().next()).expect("the server starts");
        Self { process, url: url.to_owned(), api: Api::new(url).unwrap() }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    async fn ask(&self, ask: Ask) -> Answer {
        self.api.ask(&ask).await.unwrap()
    }

    /// Moves the clock; 0 delivers what is waiting.
    async fn advance(&self, minutes: u32) {
        let moved = self
            .ask(Ask::new(Method::POST, "/_local/clock").json(json!({"advance_minutes": minutes, "step_minutes": 10})))
            .await;
        assert!(moved.status.is_success(), "{moved:?}");
    }

    async fn get(&self, path: String) -> Answer {
        self.ask(Ask::new(Method::GET, path).by(DRIVER)).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

async fn register_lot(server: &Server) {
    let rates = json!({"motorcycle": 25, "compact": 50, "standard": 50, "large": 75});
    let lot = json!({
        "name": "Load", "address": "Street 1", "time_zone": "Europe/Berlin", "currency": "EUR",
        "position": {"latitude_microdegrees": 52_000_000, "longitude_microdegrees": 13_000_000},
        "tariff": {"currency": "EUR", "unit_minutes": 15, "rates": rates},
    });
    let spot = |n: usize| json!({"number": format!("{n:03}"), "zone": "A", "size": "standard"});
    let spots = json!({"spots": (0..SPOTS).map(spot).collect::<Vec<_>>()});
    for (path, body) in [("/v1/lots/load", lot), ("/v1/lots/load/spots", spots)] {
        let put = server.ask(Ask::new(Method::PUT, path).by(ADMIN).json(body)).await;
        assert!(put.status.is_success(), "{put:?}");
    }
}

fn reserve(key: &str) -> Ask {
    let body = json!({
        "lot_id": "load", "vehicle": {"class": "standard"},
        "start_time": "2027-03-02T10:00:00Z", "end_time": "2027-03-02T12:00:00Z",
    });
    Ask::new(Method::POST, "/v1/reservations").by(DRIVER).key(key).json(body)
}

fn pay(reservation: &str) -> Ask {
    let body = json!({"reservation_id": reservation, "payment_method": "pm_card_visa"});
    Ask::new(Method::POST, "/v1/payments").by(DRIVER).key(format!("pay-{reservation}")).json(body)
}

#[derive(Debug, Default, Clone)]
struct Acknowledged {
    /// Key and reservation.
    held: Vec<(String, String)>,
    /// Reservation and payment.
    asked_to_pay: Vec<(String, String)>,
}

/// One client: holds, pays every third, until the server is gone.
async fn client(api: Api, number: usize, acknowledged: Arc<Mutex<Acknowledged>>) {
    for turn in 0.. {
        let key = format!("k-{number}-{turn}");
        let Ok(answer) = api.ask(&reserve(&key)).await else { return };
        assert_eq!(answer.status.as_u16(), 201, "{answer:?}");
        let id = answer.text("/id").to_owned();
        acknowledged.lock().unwrap().held.push((key, id.clone()));
        if turn % 3 == 0 {
            let Ok(answer) = api.ask(&pay(&id)).await else { return };
            assert!([201, 202].contains(&answer.status.as_u16()), "{answer:?}");
            acknowledged.lock().unwrap().asked_to_pay.push((id, answer.text("/id").to_owned()));
        }
    }
}

/// Runs the load, kills the server in its middle, and returns what was acknowledged.
async fn load_and_kill(server: &mut Server) -> Acknowledged {
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    let clients: Vec<_> =
        (0..CLIENTS).map(|number| tokio::spawn(client(server.api.clone(), number, acknowledged.clone()))).collect();
    while acknowledged.lock().unwrap().held.len() < KILLED_AFTER {
        assert!(!clients.iter().all(tokio::task::JoinHandle::is_finished), "the load stopped by itself");
        tokio::task::yield_now().await;
    }
    server.kill();
    for client in clients {
        client.await.unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap();
    acknowledged.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_in_a_load_loses_nothing_acknowledged_and_leaves_no_orphan_claim() {
    let (mut first, data) = Server::fresh("kill");
    register_lot(&first).await;
    let acknowledged = load_and_kill(&mut first).await;
    assert!(acknowledged.held.len() >= KILLED_AFTER && !acknowledged.asked_to_pay.is_empty());

    let second = Server::start(&data, None);
    let mut spots = BTreeSet::new();
    for (key, id) in &acknowledged.held {
        let found = second.get(format!("/v1/reservations/{id}")).await;
        assert_eq!((found.status.as_u16(), found.text("/id")), (200, id.as_str()), "{key}");
        assert!(spots.insert(found.text("/spot_id").to_owned()), "two stays on one spot: {found:?}");
        let again = second.ask(reserve(key)).await;
        assert_eq!((again.status.as_u16(), again.text("/id")), (201, id.as_str()), "a retry gets the first answer");
    }

    second.advance(0).await;
    let mut paid = 0;
    for (reservation, payment) in &acknowledged.asked_to_pay {
        assert_eq!(second.get(format!("/v1/payments/{payment}")).await.text("/status"), "succeeded", "{payment}");
        let found = second.get(format!("/v1/reservations/{reservation}")).await;
        assert_eq!(found.text("/status"), "confirmed", "{found:?}");
        paid += 1;
    }

    // A payment may have been written whose answer the client never saw; those are confirmed as well.
    second.advance(12).await;
    let listed = second.get("/v1/users/dora/reservations?limit=100".to_owned()).await;
    let all = listed.body.pointer("/items").and_then(Value::as_array).unwrap();
    let confirmed = all.iter().filter(|stay| stay["status"] == "confirmed").count();
    let expired = all.iter().filter(|stay| stay["status"] == "expired").count();
    assert!(all.len() < 100, "one page holds them all");
    assert_eq!(confirmed + expired, all.len(), "every hold is paid for or over");
    assert!((paid..=paid + CLIENTS).contains(&confirmed), "{paid} paid, {confirmed} confirmed");
    let query = "lot_id=load&vehicle_class=standard&start_time=2027-03-02T10:00:00Z&end_time=2027-03-02T12:00:00Z";
    let free = second.get(format!("/v1/spots/available?{query}&limit=1")).await;
    assert_eq!(free.number("/free_spots"), i64::try_from(SPOTS - confirmed).unwrap(), "{free:?}");
    let queues = second.ask(Ask::new(Method::GET, "/_local/queues")).await;
    for (name, queue) in queues.body.as_object().unwrap() {
        assert_eq!(queue["visible"], 0, "{name}: {queue}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_folder_is_refused() {
    let (_first, data) = Server::fresh("twice");
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_parkade"));
    let second = command.args(["--port", "0", "--data"]).arg(&data).arg("--template").arg(template).output().unwrap();
    assert!(!second.status.success());
    let text = String::from_utf8(second.stderr).unwrap();
    assert!(text.contains("another parkade"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_stops_it_cleanly() {
    let (mut server, _) = Server::fresh("interrupt");
    assert!(server.get("/v1/reservations/res_0000000000000".to_owned()).await.status.is_client_error());
    let interrupted = Command::new("kill").args(["-INT", &server.process.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert!(server.process.wait().unwrap().success());
}

/// What `parkade dlq` prints, and whether it is content.
fn dead_letters(server: &Server, arguments: &[&str]) -> (String, bool) {
    let mut parkade = Command::new(env!("CARGO_BIN_EXE_parkade"));
    let ran = parkade.arg("dlq").args(arguments).args(["--url", &server.url]).output().unwrap();
    let text = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (text, ran.status.success())
}

/// The laptop's queues as the real SDK reaches them.
fn sqs(server: &Server) -> aws_sdk_sqs::Client {
    let endpoint = format!("{}/_local/sqs", server.url);
    let environment = parkade_runtime::Environment::from_pairs([
        ("AWS_REGION", "local"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
    ]);
    aws_sdk_sqs::Client::new(&parkade_runtime::clients::once(&environment).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_and_sent_back_and_what_was_done_already_is_not_done_again() {
    let (server, _) = Server::fresh("dead-letters");
    register_lot(&server).await;
    let reservation = server.ask(reserve("given-up")).await.text("/id").to_owned();
    let payment = server.ask(pay(&reservation)).await.text("/id").to_owned();
    let (nothing, sound) = dead_letters(&server, &["list"]);
    assert!(sound && nothing.contains("Nothing was given up."), "{nothing}");

    let given_up = json!({
        "version": "0", "id": "7d0c1f6e-0000-4000-8000-000000000001", "detail-type": "payment.requested.v1",
        "source": "parkade", "account": "123456789012", "region": "local", "resources": [], "time": "2027-03-01T08:00:00Z",
        "detail": {
            "event_id": "given-up", "occurred_at": "2027-03-01T08:00:00Z", "lot_id": "load",
            "reservation_id": reservation, "payment_id": payment,
        },
    });
    let queue = sqs(&server).send_message().queue_url(format!("{}/_local/sqs/PaymentsDeadLetters", server.url));
    queue.message_body(given_up.to_string()).send().await.unwrap();
    let (listed, _) = dead_letters(&server, &["list"]);
    let row = listed.lines().find(|line| line.starts_with("PaymentsDeadLetters")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["PaymentsDeadLetters", "1", "0"], "{listed}");
    let (shown, _) = dead_letters(&server, &["show", "payments"]);
    assert!(shown.contains(&format!("payment.requested.v1  {payment}  received 1 times")), "{shown}");
    let (hidden, _) = dead_letters(&server, &["redrive", "payments"]);
    assert!(hidden.contains("0 messages went"), "whoever looks at a message has it for a while: {hidden}");
    server.advance(1).await;
    let (sent, sound) = dead_letters(&server, &["redrive", "payments"]);
    assert!(sound && sent.contains("1 messages went from PaymentsDeadLetters back to Payments."), "{sent}");
    let (nothing, _) = dead_letters(&server, &["list"]);
    assert!(nothing.contains("Nothing was given up."), "{nothing}");

    server.advance(1).await;
    let queues = server.ask(Ask::new(Method::GET, "/_local/queues")).await;
    assert_eq!((queues.number("/Payments/visible"), queues.number("/Payments/in_flight")), (0, 0), "{queues:?}");
    let books = server.ask(Ask::new(Method::GET, "/_stripe/_twin/books")).await;
    assert_eq!(books.body["charges"].as_array().unwrap().len(), 1, "{books:?}");

    let (refused, sound) = dead_letters(&server, &["redrive", "sweep"]);
    assert!(!sound && refused.contains("a stream or a schedule"), "{refused}");
    let (refused, sound) = dead_letters(&server, &["show", "letters"]);
    assert!(!sound && refused.contains("dead-letter queues match \"letters\""), "{refused}");
}

/// Plays the demo and returns the lines of its summary.
fn demo(server: &Server, arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parkade"));
    let played = command.arg("demo").args(["--url", &server.url]).args(arguments).output().unwrap();
    let text = String::from_utf8(played.stdout).unwrap();
    assert!(played.status.success(), "{text}\n{}", String::from_utf8_lossy(&played.stderr));
    text.lines().skip_while(|line| !line.contains("Summary")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_ends_with_receipts_and_books_of_a_stay_and_of_a_cancellation_whose_webhook_came_thrice() {
    let (server, _) = Server::fresh("demo");
    let summary = demo(&server, &[]).join("\n");
    for line in [
        "status      completed",
        "price       2.50 EUR",
        "paid        4.00 EUR",
        "refunded    1.50 EUR",
        "credit_note demo-2027-000002, -1.50 EUR",
        "the payment is what it was: charged once",
        "── receipt demo-2027-000003 ──",
        "── credit note demo-2027-000004 ──",
        "cancellation_kept       50.00 % of 4.00 = 2.00",
        "total                   -2.00 EUR",
        "  cancellation\n  receivable              2.00\n  revenue                -2.00",
    ] {
        assert!(summary.contains(line), "{line} in\n{summary}");
    }
    let books = server.ask(Ask::new(Method::GET, "/_stripe/_twin/books")).await;
    let total = |of: &str| books.body[of].as_array().unwrap().len();
    assert_eq!((total("charges"), total("refunds")), (2, 2), "{books:?}");
}

/// The files of messages, by what follows the reservation's code in their names.
fn messages(data: &Path, reservation: &str) -> Vec<String> {
    let code = reservation.trim_start_matches("res_");
    let files = std::fs::read_dir(data.join("outbox")).unwrap().map(|file| file.unwrap().file_name());
    let mut found: Vec<String> =
        files.filter_map(|name| name.to_str()?.strip_prefix(code).map(str::to_owned)).collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_who_asks_for_it_is_told_of_booking_start_and_no_show_in_files() {
    let (server, data) = Server::fresh("outbox");
    register_lot(&server).await;
    let wanted = json!({"email": "dora@example.com", "phone": "+4915112345678", "channels": {"reminders": "text"}});
    let put = Ask::new(Method::PUT, "/v1/users/dora/preferences").by(DRIVER).json(wanted);
    assert_eq!(server.ask(put).await.status.as_u16(), 201);
    let id = server.ask(reserve("told")).await.text("/id").to_owned();
    assert!(server.ask(pay(&id)).await.status.is_success());
    server.advance(0).await;
    assert_eq!(messages(&data, &id), ["-C001-receipt.issued.v1.eml", "-v2-reservation.confirmed.v1.eml"]);
    // Beyond the start in 26 hours and its grace of half an hour. Schedules need not run at every minute that is skipped.
    for _ in 0..9 {
        let moved = json!({"advance_minutes": 180, "step_minutes": 60});
        assert!(server.ask(Ask::new(Method::POST, "/_local/clock").json(moved)).await.status.is_success());
    }
    // The refund waits for a few seconds in its queue, then its document in the next.
    for _ in 0..3 {
        server.advance(1).await;
    }
    let told = messages(&data, &id);
    assert_eq!(told.len(), 6, "{told:?}");
    for part in [
        "-C001-receipt.issued.v1.eml",
        "-C002-receipt.issued.v1.eml",
        "-v2-reservation.confirmed.v1.eml",
        "-reminder-",
        "-reservation.no-show.v1.eml",
        "-refund.processed.v1.eml",
    ] {
        assert_eq!(told.iter().filter(|name| name.contains(part)).count(), 1, "{part} in {told:?}");
    }
}

/// What `parkade ledger` prints, and whether it is content.
fn ledger(server: &Server, command: &str, arguments: &[&str]) -> (String, bool) {
    let mut parkade = Command::new(env!("CARGO_BIN_EXE_parkade"));
    let ran =
        parkade.args(["ledger", command, "--lot", "demo", "--url", &server.url]).args(arguments).output().unwrap();
    let text = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (text, ran.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_of_the_demo_verify_until_somebody_alters_an_entry() {
    let (mut server, data) = Server::fresh("ledger");
    demo(&server, &[]);
    // The refund is carried out a little later, reconciliation runs at the full hour, and nobody waits for who books it.
    let hour = json!({"advance_minutes": 70, "step_minutes": 10});
    server.ask(Ask::new(Method::POST, "/_local/clock").json(hour)).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let verified = loop {
        server.advance(1).await;
        let (verified, sound) = ledger(&server, "verify", &[]);
        assert!(sound && Instant::now() < deadline, "{verified}");
        if verified.contains("demo 2027-03  8 entries, unbroken and in balance") {
            break verified;
        }
    };
    let (balances, _) = ledger(&server, "show", &[]);
    let row = |account: &str| {
        let row = balances.lines().find(|line| line.trim_start().starts_with(account)).unwrap_or_default();
        row.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("clearing"), "clearing EUR 3.88");
    assert_eq!(row("fees"), "fees EUR 0.62");
    assert_eq!(row("receivable"), "receivable EUR 0.00");
    assert_eq!(row("revenue"), "revenue EUR 4.50");
    let stays = server.get("/v1/users/dora/reservations?limit=1".to_owned()).await;
    let (entries, _) = ledger(&server, "show", &["--reservation", stays.text("/items/0/id")]);
    let causes =
        ["charge", "cancellation", "refund", "provider_fee"].map(|cause| entries.contains(&format!("  {cause}  ")));
    assert_eq!(causes, [true; 4], "{entries}");
    let head = verified.split("end with ").nth(1).and_then(|rest| rest.lines().next()).unwrap().to_owned();
    assert!(ledger(&server, "verify", &["--month", "2027-03", "--known", &head]).1);
    let other = format!("8:{}", "0".repeat(64));
    let (text, sound) = ledger(&server, "verify", &["--month", "2027-03", "--known", &other]);
    assert!(!sound && text.contains("had another hash"), "{text}");

    server.kill();
    let engine = Engine::open(&data.join("engine.db")).unwrap();
    let scan = engine.call("Scan", r#"{"TableName": "Ledger"}"#).unwrap();
    let items: Value = serde_json::from_str(&scan).unwrap();
    let mut entry = items["Items"].as_array().unwrap().iter().find(|item| item["ca"]["S"] == "charge").unwrap().clone();
    entry["ps"]["S"] = "clearing 9400, receivable -9400".into();
    engine.call("PutItem", &json!({"TableName": "Ledger", "Item": entry}).to_string()).unwrap();
    drop(engine);
    let server = Server::start(&data, None);
    let (text, sound) = ledger(&server, "verify", &[]);
    assert!(!sound && text.contains("BROKEN: entry ") && text.contains("#v2#succeeded) is broken"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_needs_no_clock_that_moves() {
    let (server, _) = Server::fresh("demo-real-time");
    let summary = demo(&server, &["--real-time"]).join("\n");
    assert!(summary.contains("status      completed") && summary.contains("due         0.00 EUR"), "{summary}");
}
