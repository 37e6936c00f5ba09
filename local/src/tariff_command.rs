//! `parkade tariff`: checks a tariff, prices a stay and re-prices a receipt, without any server.
//!
//! Promises: results on standard output, refusals on standard error with the way to mend them. Refuses to know: the present,
//! the network, any lot.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use parkade_domain::ids::TariffVersion;
use parkade_domain::tariff::{Locale, Receipt, Tariff, explain, reprice};
use parkade_domain::zone::LotZone;
use serde_json::Value;

use crate::log::say;

mod document;
mod stay;
mod table;

use document::Refusal;
use stay::Stay;

/// What to do with a tariff document.
#[derive(Debug, Subcommand)]
pub enum TariffCommand {
    /// Names everything wrong with a tariff, or what it consists of and what may surprise.
    Check {
        /// The tariff, a JSON document; `-` is standard input.
        file: PathBuf,
    },
    /// Prices a stay and prints the lines.
    Price {
        /// The tariff, a JSON document; `-` is standard input.
        file: PathBuf,
        /// Which stay.
        #[command(flatten)]
        stay: Box<Stay>,
        /// How to print it.
        #[command(flatten)]
        output: Output,
    },
    /// Prices the facts of a receipt again and compares.
    Reprice {
        /// The tariff that made the receipt.
        file: PathBuf,
        /// The receipt, as `price --json` prints it.
        receipt: PathBuf,
        /// The version that the file is of; what the receipt names unless given.
        #[arg(long)]
        version: Option<u32>,
    },
}

/// How a price is printed.
#[derive(Debug, Args)]
pub struct Output {
    /// Sentences for the driver beneath the table, in this language.
    #[arg(long, value_parser = ["en", "de"])]
    locale: Option<String>,
    /// The receipt (facts and price) for `reprice` instead of the table; a settlement where the stay ended otherwise.
    #[arg(long, conflicts_with = "locale")]
    json: bool,
}

/// Runs the command. The code is 0, or 1 for what is refused.
#[must_use]
pub fn run(command: &TariffCommand) -> ExitCode {
    let outcome = match command {
        TariffCommand::Check { file } => check(file),
        TariffCommand::Price { file, stay, output } => price(file, stay, output),
        TariffCommand::Reprice { file, receipt, version } => compare(file, receipt, *version),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("{refusal}");
            ExitCode::FAILURE
        }
    }
}

fn check(file: &Path) -> Result<(), Refusal> {
    let tariff = document::tariff(file)?;
    say(&table::summary(&tariff));
    for warning in tariff.warnings() {
        say(&format!("warning: {}  {}  {}", warning.pointer, warning.code, warning.detail));
    }
    let name = file.display();
    say(&format!(
        "\nNext: parkade tariff price {name} --zone Europe/Berlin --from 2026-05-04T10:00 --to 2026-05-04T12:00"
    ));
    Ok(())
}

fn price(file: &Path, stay: &Stay, output: &Output) -> Result<(), Refusal> {
    let tariff = document::tariff(file)?;
    let facts = stay.facts()?;
    let zone = stay.zone()?;
    let refused = |error| stay.refused(&tariff, error);
    let receipt = Receipt::issue(&tariff, facts).map_err(refused)?;
    let settlement = stay.settle(&tariff, &receipt)?;
    if output.json {
        let json = match &settlement {
            Some(settlement) => serde_json::to_string_pretty(settlement),
            None => serde_json::to_string_pretty(&receipt),
        };
        say(&json.map_err(|error| Refusal::of(format!("the receipt cannot be written: {error}")))?);
        return Ok(());
    }
    say(&table::price(&receipt.price, zone));
    if let Some(settlement) = &settlement {
        say(&format!("\nOwed in the end:\n\n{}", table::price(&settlement.owed, zone)));
    }
    if let Some(locale) = output.locale() {
        let price = settlement.as_ref().map_or(&receipt.price, |settlement| &settlement.owed);
        say("");
        explain(price, locale, &zone).iter().for_each(|sentence| say(sentence));
    }
    Ok(())
}

impl Output {
    fn locale(&self) -> Option<Locale> {
        self.locale.as_deref().map(Locale::of_tag)
    }
}

fn compare(file: &Path, receipt: &Path, version: Option<u32>) -> Result<(), Refusal> {
    let tariff = document::tariff(file)?;
    let receipt: Receipt = document::read(receipt)?;
    // A file has no version of its own.
    let version = version.map_or(receipt.price.tariff_version(), TariffVersion);
    let anew = reprice(&tariff.at_version(version), &receipt).map_err(|error| {
        let named = receipt.price.tariff_version().0;
        Refusal::of(format!("{error}: the receipt names version {named}; give its tariff, and leave out --version"))
    })?;
    let json = |price| serde_json::to_value(price).map_err(|error| Refusal::of(error.to_string()));
    let mut differences = Vec::new();
    collect_differences("/price", &json(&receipt.price)?, &json(&anew)?, &mut differences);
    if differences.is_empty() {
        say("same, byte for byte");
        return Ok(());
    }
    differences.push("The receipt was not made by this tariff: give the version that it names.".to_owned());
    Err(Refusal::of(differences.join("\n")))
}

/// Where two documents differ, by JSON pointer.
fn collect_differences(pointer: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    let none = &Value::Null;
    match (old, new) {
        (Value::Object(left), Value::Object(right)) => {
            let added = right.keys().filter(|key| !left.contains_key(*key));
            for key in left.keys().chain(added) {
                let (left, right) = (left.get(key).unwrap_or(none), right.get(key).unwrap_or(none));
                collect_differences(&format!("{pointer}/{key}"), left, right, found);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for position in 0..left.len().max(right.len()) {
                let (left, right) = (left.get(position).unwrap_or(none), right.get(position).unwrap_or(none));
                collect_differences(&format!("{pointer}/{position}"), left, right, found);
            }
        }
        _ if old != new => found.push(format!("{pointer}  {old} on the receipt, {new} now")),
        _ => {}
    }
}

/// The zone of a name, refused in the words of the flag.
fn zone(name: &str) -> Result<LotZone, Refusal> {
    let how = "give a name of the IANA database such as Europe/Berlin";
    LotZone::parse(name).map_err(|error| Refusal::of(format!("--zone {name}: {error}: {how}")))
}

/// Whether anything in `tariff` is wrong, as one refusal with a line each.
fn validated(tariff: Tariff) -> Result<Tariff, Refusal> {
    let errors = tariff.validate();
    if errors.is_empty() {
        return Ok(tariff);
    }
    let lines = errors.iter().map(|error| document::finding(&error.pointer, error.code, &error.detail));
    Err(Refusal::of(lines.collect::<Vec<_>>().join("\n")))
}
