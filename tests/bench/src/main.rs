//! Measures what the project promises: capacity, contention, search, sweeps, and the functions' binaries.
//!
//! `make bench` runs everything; `parkade-bench <section>…` runs some: units, search, crowd, sweeps, ledger, functions, warm.
//! Prints one table per section, which figures miss their targets, and writes all figures to `target/bench.json`.

mod crowd;
mod figure;
mod fixture;
mod functions;
mod host;
mod ledger;
mod search;
mod sweeps;
mod units;
mod webhooks;

use std::error::Error;
use std::process::ExitCode;

use tokio::runtime::Builder;

use figure::Report;

/// Why a measurement could not be made.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

const REPORT_FILE: &str = "target/bench.json";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parkade-bench: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn run() -> Result<(), Failure> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let wants = |section: &str| wanted.is_empty() || wanted.iter().any(|name| name == section);
    let mut report = Report::default();
    if wants("functions") || wants("warm") {
        host::Host::check_valgrind()?;
    }
    if wants("units") {
        // Time is simulated there: it counts the round trips.
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build()?;
        report.add(runtime.block_on(units::measure())?);
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    if wants("search") {
        report.add(runtime.block_on(search::measure())?);
        report.add(runtime.block_on(search::long_stays())?);
        report.add(runtime.block_on(search::groups())?);
    }
    if wants("crowd") {
        report.add(runtime.block_on(crowd::measure())?);
    }
    if wants("sweeps") {
        report.add(runtime.block_on(sweeps::measure())?);
    }
    if wants("ledger") {
        report.add(runtime.block_on(ledger::sealing())?);
        report.add(ledger::verification()?);
    }
    if wants("functions") {
        report.add(runtime.block_on(functions::measure())?);
        report.add(functions::stripe_client()?);
    }
    if wants("warm") {
        report.add(runtime.block_on(functions::warm())?);
    }
    std::fs::write(REPORT_FILE, serde_json::to_string_pretty(&report.to_json())?)?;
    let (targets, missed) = report.verdict();
    println!("\n{} of {targets} targets reached; all figures are in {REPORT_FILE}", targets - missed.len());
    missed.iter().for_each(|figure| println!("missed: {figure}"));
    Ok(())
}
