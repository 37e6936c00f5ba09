//! `parkade`: the whole product in one process, and a demo that plays against it.

use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Parser, Subcommand};
use parkade_events::chain;
use parkade_local::client::Api;
use parkade_local::dead_letters::{self, DeadLetterCommand};
use parkade_local::ledger_command::{self, LedgerCommand};
use parkade_local::server::{Server, Settings};
use parkade_local::tariff_command::{self, TariffCommand};
use parkade_local::{demo, log};
use tokio::sync::watch;

/// Parkade on a laptop: every function of the template behind one loopback port.
#[derive(Debug, Parser)]
#[command(name = "parkade", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays search, quote, reserve, pay, check-in and check-out over HTTP and prints each answer.
    Demo {
        /// Where the API answers: this server or a deployed stack that takes development tokens.
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        url: String,
        /// Where the payment twin of a deployed stack answers, so that its webhooks can be replayed.
        #[arg(long)]
        twin: Option<String>,
        /// Leaves the clock alone even where it can be moved: the car comes early and leaves at once.
        #[arg(long)]
        real_time: bool,
    },
    /// Looks after what was given up: dead letters of the laptop's queues or a stage's.
    Dlq {
        #[command(subcommand)]
        command: DeadLetterCommand,
    },
    /// Verifies and shows the sealed books, over the API.
    Ledger {
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// Checks a tariff and prices stays by it, without any server.
    Tariff {
        #[command(subcommand)]
        command: TariffCommand,
    },
}

#[derive(Debug, Args)]
struct Serve {
    /// Folder of the engine's file, the key, the payment twin's journal and the messages to drivers (`outbox`).
    #[arg(long, default_value = ".parkade")]
    data: PathBuf,
    /// The SAM template with the wiring.
    #[arg(long, default_value = "template.yaml")]
    template: PathBuf,
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Time to start at (RFC 3339), instead of the present.
    #[arg(long)]
    clock: Option<DateTime<Utc>>,
    /// How many times as fast as the wall clock the time runs; 0 stands still.
    #[arg(long, default_value_t = 1)]
    clock_speed: u32,
    /// Prints problems only, not each request.
    #[arg(long)]
    quiet: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Some(Command::Demo { url, twin, real_time }) => play(&url, twin.as_deref(), !real_time).await,
        Some(Command::Dlq { command }) => return dead_letters::run(&command).await,
        Some(Command::Ledger { command }) => return ledger_command::run(&command).await,
        Some(Command::Tariff { command }) => return tariff_command::run(&command),
        None => serve(arguments.serve).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parkade: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

async fn play(url: &str, twin: Option<&str>, moves_clock: bool) -> Outcome {
    demo::play(&Api::new(url)?, twin, moves_clock).await?;
    Ok(())
}

async fn serve(arguments: Serve) -> Outcome {
    log::init(if arguments.quiet { tracing::Level::WARN } else { tracing::Level::INFO });
    let settings = Settings {
        data: arguments.data,
        template: arguments.template,
        port: arguments.port,
        clock: arguments.clock,
        clock_speed: arguments.clock_speed,
    };
    let server = Server::open(&settings).await?;
    let url = format!("http://{}", server.address);
    let app = server.app.clone();
    let (stop, stopping) = watch::channel(false);
    let mut serving = tokio::spawn(server.run(stopping));
    let api = Api::new(&url)?;
    tokio::select! {
        seeded = demo::seed(&api) => { seeded?; }
        served = &mut serving => return Ok(served??),
    }
    log::say(&welcome(&url, app.routes.len(), app.platform.clock.now()));
    tokio::select! {
        signal = stop_signal() => signal?,
        served = &mut serving => return Ok(served??),
    }
    log::say("Stopping: finishing what has begun. Everything acknowledged is on disk.");
    stop.send(true)?;
    tokio::select! {
        served = serving => served??,
        signal = stop_signal() => signal?,
    }
    Ok(())
}

/// Ctrl-C, or the signal service managers send.
async fn stop_signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

fn welcome(url: &str, routes: usize, now: DateTime<Utc>) -> String {
    let hour = now.timestamp().div_euclid(3600) * 3600 + 3600;
    let at = |second| DateTime::from_timestamp(second, 0).unwrap_or(now).to_rfc3339_opts(SecondsFormat::Secs, true);
    let (from, until) = (at(hour), at(hour + 7200));
    let (lot, driver) = (demo::LOT, demo::DRIVER);
    format!(
        r#"
Parkade runs at {url} with {routes} routes; it is {now} there. Ctrl-C stops it. Try:

  curl '{url}/v1/spots/available?lot_id={lot}&vehicle_class=standard&start_time={from}&end_time={until}' \
    -H 'Authorization: Bearer {driver}'

  curl {url}/v1/reservations -H 'Authorization: Bearer {driver}' -H 'Idempotency-Key: my-first' \
    -d '{{"lot_id":"{lot}","vehicle":{{"class":"standard"}},"start_time":"{from}","end_time":"{until}"}}'

  curl {url}/_local/clock -d '{{"advance_minutes":15}}'    # and the unpaid hold has expired

`parkade demo` plays the whole story."#,
        now = now.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}
