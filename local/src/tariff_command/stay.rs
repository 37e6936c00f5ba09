//! A stay as flags: the facts of a price, and how the stay ended.

use std::path::PathBuf;

use clap::Args;
use parkade_domain::policy::LotPolicy;
use parkade_domain::settlement::{self, Settlement};
use parkade_domain::tariff::{
    Basis, Facts, Feature, LotCalendar, PriceRequest, Receipt, RuleId, Tariff, TariffError, Ticket, ValidationUse,
};
use parkade_domain::time::{Minute, Window, elapsed_text};
use parkade_domain::vehicle::VehicleClass;
use parkade_domain::zone::{LotZone, ZoneError};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::{self, Refusal};

/// The facts that a price depends on. Times are RFC 3339 with an offset, or local as `2026-05-04T10:00` in the zone.
#[derive(Debug, Args)]
pub struct Stay {
    /// Entry, or the booked start.
    #[arg(long)]
    from: String,
    /// Exit, or the booked end.
    #[arg(long)]
    to: String,
    /// The vehicle's class: motorcycle, compact, standard or large.
    #[arg(long, default_value = "standard", value_parser = word::<VehicleClass>)]
    class: VehicleClass,
    /// The lot's zone, a name of the IANA database.
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// The times are entry and exit of a drive-up, not a booking: graces of drive-ups hold.
    #[arg(long)]
    stay: bool,
    /// A feature of the spot: ev_charger, accessible, premium or covered.
    #[arg(long = "feature", value_name = "FEATURE", value_parser = word::<Feature>)]
    features: Vec<Feature>,
    /// A permit of the driver.
    #[arg(long = "permit", value_name = "PERMIT", value_parser = rule_id)]
    permits: Vec<RuleId>,
    /// A validation given to the driver, and how often the vehicle used it before.
    #[arg(long = "validation", value_name = "ID[:USED_BEFORE]", value_parser = validation)]
    validations: Vec<ValidationUse>,
    /// The lot's holidays and events, a JSON document.
    #[arg(long, value_name = "FILE")]
    calendar: Option<PathBuf>,
    /// The driver pays no taxes on top.
    #[arg(long)]
    tax_exempt: bool,
    /// Per cent of the lot that is taken when the price is asked for.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    occupancy: Option<u8>,
    /// Minutes from then to the start.
    #[arg(long, value_name = "MINUTES")]
    lead: Option<u32>,
    /// The driver has lost the ticket.
    #[arg(long)]
    lost_ticket: bool,
    /// When the car of a booking left, early or late: what is owed then is printed too.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["stay", "no_show"])]
    left_at: Option<String>,
    /// Nobody came: what is kept of the booking's price is printed too.
    #[arg(long, conflicts_with = "stay")]
    no_show: bool,
    /// The gate was offline meanwhile, so that nobody can tell.
    #[arg(long, requires = "no_show")]
    gate_offline: bool,
}

impl Stay {
    pub(super) fn zone(&self) -> Result<LotZone, Refusal> {
        super::zone(&self.zone)
    }

    /// The facts, with the calendar read from its file.
    pub(super) fn facts(&self) -> Result<Facts, Refusal> {
        let zone = self.zone()?;
        let (start, end) = (time(zone, "--from", &self.from)?, time(zone, "--to", &self.to)?);
        if end <= start {
            let (from, to) = (&self.from, &self.to);
            return Err(Refusal::of(format!(
                "--to {to}: a stay ends after it starts: give a time after --from {from}"
            )));
        }
        let calendar = self.calendar.as_ref().map(|file| document::read::<LotCalendar>(file)).transpose()?;
        Ok(Facts {
            time_zone: self.zone.clone(),
            class: self.class,
            start,
            end,
            basis: if self.stay { Basis::Stay } else { Basis::Booking },
            features: self.features.iter().copied().collect(),
            permits: self.permits.iter().cloned().collect(),
            calendar: calendar.unwrap_or_default(),
            validations: self.validations.clone(),
            tax_exempt: self.tax_exempt,
            occupancy_percent: self.occupancy,
            lead_minutes: self.lead,
            ticket: if self.lost_ticket { Ticket::Lost } else { Ticket::Present },
        })
    }

    /// What is owed in the end under the default policy and the tariff's terms; `None` if the stay went as booked.
    pub(super) fn settle(&self, tariff: &Tariff, receipt: &Receipt) -> Result<Option<Settlement>, Refusal> {
        let zone = self.zone()?;
        let (facts, price) = (&receipt.facts, &receipt.price);
        let booked = Window::new(facts.start, facts.end).map_err(|error| Refusal::of(error.to_string()))?;
        let policy = LotPolicy::default().under(tariff.terms.as_ref());
        let settled = if let Some(left_at) = &self.left_at {
            let left_at = time(zone, "--left-at", left_at)?;
            // Validations and an exemption are for what was paid; time that is added has none.
            let booked = PriceRequest {
                features: &facts.features,
                permits: &facts.permits,
                calendar: &facts.calendar,
                occupancy_percent: facts.occupancy_percent,
                lead_minutes: facts.lead_minutes,
                ..PriceRequest::booking(&zone, facts.class, booked)
            };
            settlement::leave(&policy, &settlement::Stay { tariff, booked, left_at, price })
        } else if self.no_show {
            settlement::no_show(price, policy.no_show_share(self.gate_offline), booked)
        } else {
            return Ok(None);
        };
        settled.map(Some).map_err(|error| self.refused(tariff, error))
    }

    /// Why the stay has no price, and what to change.
    pub(super) fn refused(&self, tariff: &Tariff, error: TariffError) -> Refusal {
        let named = |position: usize| self.validations.get(position).map_or("", |given| given.id.as_str());
        let (code, mend) = match error {
            TariffError::NoRate { .. } => ("no_rate", "ask for another --class, or give this one a rate".to_owned()),
            TariffError::Unavailable => {
                ("unavailable", "change --from and --to, or price such stays in the tariff".to_owned())
            }
            TariffError::MaxStay { max_minutes } => {
                let longest = elapsed_text(i64::from(max_minutes));
                ("unavailable", format!("move --to to at most {longest} after --from, or raise max_stay_minutes"))
            }
            TariffError::UnknownValidation { position } => {
                let known: Vec<_> = tariff.validations.iter().map(|validation| validation.id.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                ("unknown_validation", format!("change --validation {}; the tariff has {known}", named(position)))
            }
            TariffError::ValidationUsedUp { position } => {
                ("validation_used_up", format!("leave out --validation {}, or lower its USED_BEFORE", named(position)))
            }
            TariffError::TooLong => ("too_long", "move --to nearer to --from".to_owned()),
            _ => ("unpriced", "lower the amounts of the tariff".to_owned()),
        };
        Refusal::of(format!("{code}  {error}: {mend}"))
    }
}

/// A time as a flag gives it.
fn time(zone: LotZone, flag: &str, text: &str) -> Result<Minute, Refusal> {
    zone.parse_time(text).map_err(|error| {
        let mend = match error {
            ZoneError::Gap { .. } => {
                "by rule T9 it is no time: give one before or after the change, or one with an offset"
            }
            ZoneError::NotWholeMinute => "leave the seconds out",
            ZoneError::Malformed | ZoneError::UnknownZone => "such as 2026-05-04T10:00 or 2026-05-04T10:00:00+02:00",
        };
        Refusal::of(format!("{flag} {text}: {error}: {mend}"))
    })
}

/// A word of the tariff language; the error lists the words there are.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_value(Value::String(text.to_owned()))
}

fn rule_id(text: &str) -> Result<RuleId, String> {
    let id = RuleId::new(text);
    if id.is_valid() { Ok(id) } else { Err("use 1 to 40 of a-z, 0-9, - and _".to_owned()) }
}

fn validation(text: &str) -> Result<ValidationUse, String> {
    let (id, used) = text.split_once(':').unwrap_or((text, "0"));
    let used_before = used.parse().map_err(|_| "after the colon comes how often it was used, such as 1".to_owned())?;
    Ok(ValidationUse { id: rule_id(id)?, used_before })
}
