//! The demo: a lot, and the main job played over HTTP against it — find, price, reserve, pay, enter, leave; then a second booking that is
//! paid, told of twice and cancelled.

mod cancellation;

use std::time::Duration;

use axum::http::Method;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Answer, Api, Ask, ClientError};
use crate::log::say;

/// The demo lot.
pub const LOT: &str = "demo";
/// A driver's development token.
pub const DRIVER: &str = "dev.driver.dora";
/// Whose token that is.
const DRIVER_NAME: &str = "dora";
/// The demo lot's gate.
pub const GATE: &str = "dev.gate.gate-1.demo";
/// Somebody who may register lots.
pub const ADMIN: &str = "dev.admin.ada";

const QUARTER_S: i64 = 15 * 60;
/// How long the demo's booking is.
const STAY: TimeDelta = TimeDelta::hours(2);
/// How long the car stays of it, where the clock can be moved.
const STAYED_MINUTES: i64 = 70;
/// Schedules need not run at every minute that the demo skips.
const STEP_MINUTES: u32 = 10;
/// Polls of a payment, [`POLL_WAIT`] apart; on AWS the first one starts several functions.
const POLLS_MAX: usize = 60;
const POLL_WAIT: Duration = Duration::from_millis(500);
/// Tries at the gate, [`CHECK_IN_WAIT`] apart: a little more than a minute.
const CHECK_INS_MAX: usize = 7;
const CHECK_IN_WAIT: Duration = Duration::from_secs(10);
/// Lines of an answer that are printed.
const PRINTED_LINES_MAX: usize = 28;

/// Why the demo stopped.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No answer.
    #[error("the demo cannot reach the server")]
    Client(#[source] ClientError),
    /// An answer the story does not have.
    #[error("{step} was answered with {status}: {body}")]
    Unexpected {
        /// The step.
        step: &'static str,
        /// HTTP status.
        status: u16,
        /// What it said.
        body: String,
    },
}

/// Creates the demo lot and its spots where they do not exist; whether it did.
///
/// # Errors
/// When the server does not answer or refuses.
pub async fn seed(api: &Api) -> Result<bool, DemoError> {
    let spots = Ask::new(Method::GET, format!("/v1/lots/{LOT}/spots?limit=1")).by(ADMIN);
    let found = api.ask(&spots).await.map_err(DemoError::Client)?;
    if found.status.is_success() && !found.text("/items/0/spot_id").is_empty() {
        return Ok(false);
    }
    let lot = Ask::new(Method::PUT, format!("/v1/lots/{LOT}")).by(ADMIN).json(lot());
    let put = api.ask(&lot).await.map_err(DemoError::Client)?;
    // A lot whose spots were not written before a crash exists already; only the spots are missing.
    if put.status.is_server_error() || put.status.as_u16() == 401 {
        return Err(unexpected("registering the demo lot", &put));
    }
    let spots = Ask::new(Method::PUT, format!("/v1/lots/{LOT}/spots")).by(ADMIN).json(spots_body());
    expect("registering its spots", api.ask(&spots).await)?;
    Ok(true)
}

fn lot() -> Value {
    let rates = json!({"motorcycle": 25, "compact": 50, "standard": 50, "large": 75});
    let caps = json!({"motorcycle": 600, "compact": 1200, "standard": 1200, "large": 1800});
    json!({
        "name": "Demo garage",
        "address": "Alexanderplatz 1, 10178 Berlin",
        "position": {"latitude_microdegrees": 52_521_900, "longitude_microdegrees": 13_413_200},
        "time_zone": "Europe/Berlin",
        "currency": "EUR",
        "tariff": {"currency": "EUR", "unit_minutes": 15, "rates": rates, "daily_cap": caps},
    })
}

/// 40 spots on two floors: some of each size, chargers, an accessible one per floor.
fn spots_body() -> Value {
    let spot = |floor: u32, number: u32| {
        let size = match number {
            1..=2 => "motorcycle",
            3..=8 => "compact",
            9..=17 => "standard",
            _ => "large",
        };
        let features = match number {
            9 => json!(["accessible"]),
            10..=11 => json!(["ev_charger"]),
            _ => json!([]),
        };
        json!({"number": format!("{floor}-{number:02}"), "zone": format!("F{floor}"), "size": size, "features": features})
    };
    let spots: Vec<Value> = (1..=2).flat_map(|floor| (1..=20).map(move |number| spot(floor, number))).collect();
    json!({"spots": spots})
}

/// Plays the main job, then a cancellation, and prints each answer. `twin` is where the payment twin of a deployed stack answers. Where
/// the server's clock can be moved and `moves_clock` says so, the car parks for more than an hour; elsewhere it comes early and leaves at
/// once.
///
/// # Errors
/// When the server does not answer, or answers what the story does not have.
pub async fn play(api: &Api, twin: Option<&str>, moves_clock: bool) -> Result<(), DemoError> {
    let created = seed(api).await?;
    say(&format!("Demo lot `{LOT}` {}.", if created { "registered" } else { "is there" }));
    let clock = local_time(api).await;
    let twin = match twin {
        Some(url) => Some(Api::new(url).map_err(DemoError::Client)?),
        // The laptop's server has the twin within.
        None => clock.map(|_| api.below("/_stripe")),
    };
    let story = Story { api, twin, run: Uuid::new_v4(), clock, moves_clock };
    story.play().await?;
    story.second_act().await
}

/// The server's own time, where it can be moved.
async fn local_time(api: &Api) -> Option<DateTime<Utc>> {
    let health = api.ask(&Ask::new(Method::GET, "/_local/health")).await.ok()?;
    health.text("/now").parse().ok()
}

struct Story<'a> {
    api: &'a Api,
    /// The payment twin, whose webhooks can be replayed.
    twin: Option<Api>,
    /// Part of the idempotency keys: each run of the demo is a new story.
    run: Uuid,
    clock: Option<DateTime<Utc>>,
    moves_clock: bool,
}

impl Story<'_> {
    async fn play(&self) -> Result<(), DemoError> {
        let now = self.clock.unwrap_or_else(Utc::now);
        // The next quarter-hour is never more than the lot's early arrival away, so the gate opens at once.
        let start = now + TimeDelta::seconds(QUARTER_S - now.timestamp().rem_euclid(QUARTER_S));
        let end = start + STAY;
        let quote = self.search(start, end).await?;
        let reservation = self.reserve(start, end, &quote).await?;
        self.pay(&reservation).await?;
        self.move_clock_to(start, now).await?;
        self.check_in(&reservation).await?;
        self.move_clock_to(start + TimeDelta::minutes(STAYED_MINUTES), start).await?;
        let exit = Ask::new(Method::POST, "/v1/gate/check-out").by(GATE).key(self.key("check-out"));
        self.step("Check out", exit.json(json!({"lot_id": LOT, "reservation_id": reservation}))).await?;
        self.summary(&reservation).await
    }

    /// Looks and asks for a price; the quote that promises it.
    async fn search(&self, start: DateTime<Utc>, end: DateTime<Utc>) -> Result<String, DemoError> {
        let (from, until) = (text(start), text(end));
        let query = format!("lot_id={LOT}&vehicle_class=standard&start_time={from}&end_time={until}&limit=2");
        self.step("Search", Ask::new(Method::GET, format!("/v1/spots/available?{query}")).by(DRIVER)).await?;
        let body = json!({"lot_id": LOT, "vehicle_class": "standard", "start_time": from, "end_time": until});
        let ask = Ask::new(Method::POST, "/v1/quotes").by(DRIVER).key(self.key("quote")).json(body);
        Ok(self.step("Quote", ask).await?.text("/price/quote").to_owned())
    }

    async fn reserve(&self, start: DateTime<Utc>, end: DateTime<Utc>, quote: &str) -> Result<String, DemoError> {
        let body = json!({
            "lot_id": LOT,
            "vehicle": {"class": "standard"},
            "plate": {"region": "DE", "text": "B PK 2026"},
            "start_time": text(start),
            "end_time": text(end),
            "quote": quote,
        });
        let ask = Ask::new(Method::POST, "/v1/reservations").by(DRIVER).key(self.key("reserve")).json(body);
        Ok(self.step("Reserve", ask).await?.text("/id").to_owned())
    }

    /// Asks for the charge and waits until it is decided.
    async fn pay(&self, reservation: &str) -> Result<(), DemoError> {
        let body = json!({"reservation_id": reservation, "payment_method": "pm_card_visa"});
        let ask = Ask::new(Method::POST, "/v1/payments").by(DRIVER).key(self.key("pay")).json(body);
        let payment = self.step("Pay", ask).await?.text("/id").to_owned();
        self.settle_payment(&payment).await.map(|_| ())
    }

    async fn settle_payment(&self, payment: &str) -> Result<Answer, DemoError> {
        let ask = Ask::new(Method::GET, format!("/v1/payments/{payment}")).by(DRIVER);
        let mut polls = 0;
        loop {
            let answer = expect("asking for the payment", self.api.ask(&ask).await)?;
            polls += 1;
            if answer.text("/status") != "requested" {
                print("Payment", &ask, &answer);
                let paid = answer.text("/status") == "succeeded";
                return if paid { Ok(answer) } else { Err(unexpected("the payment", &answer)) };
            }
            if polls == POLLS_MAX {
                return Err(unexpected("waiting for the payment", &answer));
            }
            tokio::time::sleep(POLL_WAIT).await;
        }
    }

    /// Enters as soon as the spot is free: whoever left it has it to the end of the minute.
    async fn check_in(&self, reservation: &str) -> Result<(), DemoError> {
        let ask = Ask::new(Method::POST, "/v1/gate/check-in").by(GATE).key(self.key("check-in"));
        let ask = ask.json(json!({"lot_id": LOT, "reservation_id": reservation}));
        for _ in 0..CHECK_INS_MAX {
            let answer = self.api.ask(&ask).await.map_err(DemoError::Client)?;
            if answer.text("/code") != "spot_not_available" {
                break;
            }
            say("\n   … the spot was left within this minute; the gate opens in the next");
            tokio::time::sleep(CHECK_IN_WAIT).await;
        }
        self.step("Check in", ask).await.map(|_| ())
    }

    async fn summary(&self, reservation: &str) -> Result<(), DemoError> {
        let ask = Ask::new(Method::GET, format!("/v1/reservations/{reservation}")).by(DRIVER);
        let owed = |answer: &Answer| answer.number("/paid/amount_minor") - answer.number("/price/amount_minor");
        let mut answer = expect("asking for the reservation", self.api.ask(&ask).await)?;
        for _ in 0..POLLS_MAX {
            if answer.number("/refunded/amount_minor") >= owed(&answer) {
                break;
            }
            tokio::time::sleep(POLL_WAIT).await;
            answer = expect("asking for the reservation", self.api.ask(&ask).await)?;
        }
        print("Reservation", &ask, &answer);
        say("\n── Summary ─────────────────────────────────────────────");
        let line = |label: &str, value: &str| say(&format!("{label:<12}{value}"));
        line("reservation", answer.text("/id"));
        line("status", answer.text("/status"));
        line("spot", answer.text("/spot_id"));
        line("booked", &format!("{} – {}", answer.text("/start_time"), answer.text("/end_time")));
        line("parked", &format!("{} – {}", answer.text("/entered_at"), answer.text("/left_at")));
        let words = Ask::new(Method::GET, format!("/v1/reservations/{reservation}/price?locale=en")).by(DRIVER);
        let words = expect("asking for the price in words", self.api.ask(&words).await)?;
        for sentence in words.body.get("sentences").and_then(Value::as_array).into_iter().flatten() {
            line("", sentence.as_str().unwrap_or_default());
        }
        for (label, field) in [("price", "price"), ("paid", "paid"), ("refunded", "refunded"), ("due", "balance_due")] {
            line(label, &amount(&answer, field));
        }
        if answer.text("/status") != "completed" {
            return Err(unexpected("the end of the story", &answer));
        }
        self.receipts(reservation).await
    }

    /// Names the document of every amount that moved.
    async fn receipts(&self, reservation: &str) -> Result<(), DemoError> {
        for document in self.documents(reservation).await?.iter().rev() {
            let (kind, number) = (document.text("/kind"), document.text("/number"));
            say(&format!("{kind:<12}{number}, {}", amount(document, "total")));
        }
        Ok(())
    }

    /// The document of every amount that moved, newest first, as soon as all are written; of the refund too, which its queue delays, unless
    /// the server's clock stands.
    async fn documents(&self, reservation: &str) -> Result<Vec<Answer>, DemoError> {
        let now = self.clock.unwrap_or_else(Utc::now);
        self.move_clock_to(now, now).await?;
        let list = Ask::new(Method::GET, format!("/v1/users/{DRIVER_NAME}/payments?limit=20")).by(DRIVER);
        let mut polls = 0;
        loop {
            let answer = expect("asking for the payments", self.api.ask(&list).await)?;
            let payments = answer.body.get("items").and_then(Value::as_array).into_iter().flatten();
            let ours = |payment: &&Value| payment.pointer("/reservation_id").is_some_and(|id| id == reservation);
            let open = |payment: &Value| payment.pointer("/status").is_some_and(|status| status == "requested");
            let payments: Vec<&Value> =
                payments.filter(ours).filter(|payment| self.time_passes() || !open(payment)).collect();
            let mut documents = Vec::new();
            for link in payments.iter().filter_map(|payment| payment.pointer("/links/receipt")?.as_str()) {
                let document =
                    self.api.ask(&Ask::new(Method::GET, link).by(DRIVER)).await.map_err(DemoError::Client)?;
                documents.extend(document.status.is_success().then_some(document));
            }
            if !payments.is_empty() && documents.len() == payments.len() {
                return Ok(documents);
            }
            polls += 1;
            if polls == POLLS_MAX {
                return Err(unexpected("waiting for the receipts", &answer));
            }
            tokio::time::sleep(POLL_WAIT).await;
        }
    }

    async fn step(&self, step: &'static str, ask: Ask) -> Result<Answer, DemoError> {
        let answer = self.api.ask(&ask).await.map_err(DemoError::Client)?;
        print(step, &ask, &answer);
        if answer.status.is_success() { Ok(answer) } else { Err(unexpected(step, &answer)) }
    }

    /// Lets time pass where that is possible; elsewhere the car comes early and leaves early.
    async fn move_clock_to(&self, to: DateTime<Utc>, from: DateTime<Utc>) -> Result<(), DemoError> {
        if self.clock.is_none() || !self.moves_clock {
            return Ok(());
        }
        let minutes = (to - from).num_seconds().div_euclid(60) + 1;
        let ask = Ask::new(Method::POST, "/_local/clock")
            .json(json!({"advance_minutes": minutes, "step_minutes": STEP_MINUTES}));
        let moved = expect("moving the clock", self.api.ask(&ask).await)?;
        say(&format!("\n   … {minutes} minutes later, {}", moved.text("/now")));
        Ok(())
    }

    /// What a queue delays comes.
    const fn time_passes(&self) -> bool {
        self.clock.is_none() || self.moves_clock
    }

    fn key(&self, step: &str) -> String {
        format!("demo-{}-{step}", self.run)
    }
}

fn text(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn amount(answer: &Answer, field: &str) -> String {
    let minor = answer.number(&format!("/{field}/amount_minor"));
    format!("{} {}", minor_units(minor), answer.text(&format!("/{field}/currency")))
}

/// Of the demo's currency, which has two decimals.
fn minor_units(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", minor.abs() / 100, minor.abs() % 100)
}

fn expect(step: &'static str, answer: Result<Answer, ClientError>) -> Result<Answer, DemoError> {
    let answer = answer.map_err(DemoError::Client)?;
    if answer.status.is_success() { Ok(answer) } else { Err(unexpected(step, &answer)) }
}

fn unexpected(step: &'static str, answer: &Answer) -> DemoError {
    DemoError::Unexpected { step, status: answer.status.as_u16(), body: answer.body.to_string() }
}

fn print(step: &str, ask: &Ask, answer: &Answer) {
    say(&format!("\n── {step}: {} {} → {}", ask.method, ask.path, answer.status.as_u16()));
    let text = serde_json::to_string_pretty(&answer.body).unwrap_or_default();
    let lines = text.lines().count();
    text.lines().take(PRINTED_LINES_MAX).for_each(say);
    if lines > PRINTED_LINES_MAX {
        say(&format!("… {} more lines", lines - PRINTED_LINES_MAX));
    }
}
