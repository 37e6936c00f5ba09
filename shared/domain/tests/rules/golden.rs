//! Published tariffs and worked cases: documents in, totals worked out by hand out.

use parkade_domain::money::Money;
use parkade_domain::policy::LotPolicy;
use parkade_domain::settlement::{self, Stay};
use parkade_domain::tariff::{
    Basis, Facts, Locale, LotCalendar, PriceRequest, Receipt, RuleId, Tariff, TariffError, Ticket, ValidationUse,
    explain, reprice,
};
use parkade_domain::time::Window;
use parkade_domain::vehicle::VehicleClass;
use serde::Deserialize;

use super::given::zone;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Golden {
    source: Source,
    time_zone: String,
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file")]
    note: Option<String>,
    pub(crate) tariff: Tariff,
    stays: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    title: String,
    url: Option<String>,
    seen_on: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    from: String,
    to: String,
    #[serde(default = "standard")]
    class: VehicleClass,
    #[serde(default)]
    basis: Basis,
    #[serde(default)]
    ticket: Ticket,
    #[serde(default)]
    validations: Vec<ValidationUse>,
    #[serde(default)]
    calendar: LotCalendar,
    #[serde(default)]
    permits: std::collections::BTreeSet<RuleId>,
    #[serde(default)]
    left_at: Option<String>,
    #[serde(default)]
    no_show: Option<NoShow>,
    #[serde(default)]
    debit: Option<String>,
    total: String,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoShow {
    gate_offline: bool,
}

fn standard() -> VehicleClass {
    VehicleClass::Standard
}

/// Every golden file by name.
#[expect(clippy::disallowed_methods, reason = "tests read their data")]
pub(crate) fn files() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/tariffs");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

pub(crate) fn goldens() -> Vec<(String, Golden)> {
    let read = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"));
    files().into_iter().map(|(name, text)| (name, read(&text))).collect()
}

fn facts(golden: &Golden, case: &Case) -> Facts {
    let lot = zone(&golden.time_zone);
    Facts {
        time_zone: golden.time_zone.clone(),
        class: case.class,
        start: lot.parse_time(&case.from).unwrap(),
        end: lot.parse_time(&case.to).unwrap(),
        basis: case.basis,
        features: std::collections::BTreeSet::new(),
        permits: case.permits.clone(),
        calendar: case.calendar.clone(),
        validations: case.validations.clone(),
        tax_exempt: false,
        occupancy_percent: None,
        lead_minutes: None,
        ticket: case.ticket,
    }
}

/// What the case says is owed, as text with the currency's digits.
fn owed(golden: &Golden, case: &Case) -> String {
    let tariff = &golden.tariff;
    let facts = facts(golden, case);
    let receipt = match Receipt::issue(tariff, facts.clone()) {
        Ok(receipt) => receipt,
        Err(TariffError::Unavailable | TariffError::MaxStay { .. }) => return "unavailable".to_owned(),
        Err(error) => panic!("{error}"),
    };
    let printed = serde_json::to_string(&receipt).unwrap();
    let read: Receipt = serde_json::from_str(&printed).unwrap();
    assert_eq!(reprice(tariff, &read).as_ref(), Ok(&receipt.price), "re-pricing is the identity");
    assert_eq!(serde_json::to_string(&read).unwrap(), printed, "to the byte");
    super::tariff::assert_adds_up(&receipt.price);
    let lot = zone(&golden.time_zone);
    for locale in [Locale::En, Locale::De] {
        assert!(explain(&receipt.price, locale, &lot).len() > receipt.price.lines().len());
    }
    if let Some(debit) = &case.debit {
        let debits: i64 = receipt.price.debits().iter().map(|debit| debit.amount_minor).sum();
        assert_eq!(text(Money::new(debits, tariff.currency)), *debit, "debit: {}", case.why);
    }
    let booked = Window::new(facts.start, facts.end).unwrap();
    let policy = LotPolicy::default().under(tariff.terms.as_ref());
    let price = &receipt.price;
    if let Some(left_at) = &case.left_at {
        let left_at = lot.parse_time(left_at).unwrap();
        let stay = Stay { tariff, booked: PriceRequest::booking(&lot, case.class, booked), left_at, price };
        return text(settlement::leave(&policy, &stay).unwrap().owed.total());
    }
    if let Some(no_show) = &case.no_show {
        let share = policy.no_show_share(no_show.gate_offline);
        return text(settlement::no_show(price, share, booked).unwrap().owed.total());
    }
    text(price.total())
}

fn text(money: Money) -> String {
    money.format().split_once(' ').unwrap().1.to_owned()
}

#[test]
fn every_golden_tariff_validates_and_survives_storage() {
    for (name, golden) in goldens() {
        assert_eq!(golden.tariff.validate(), [], "{name}");
        let stored = serde_json::to_string(&golden.tariff).unwrap();
        assert_eq!(serde_json::from_str::<Tariff>(&stored).unwrap(), golden.tariff, "{name}");
    }
}

#[test]
fn every_golden_stay_costs_what_was_worked_out_by_hand() {
    let mut wrong = Vec::new();
    for (name, golden) in goldens() {
        for case in &golden.stays {
            let owed = owed(&golden, case);
            if owed != case.total {
                wrong.push(format!("{name}: {} to {}: {owed}, not {} ({})", case.from, case.to, case.total, case.why));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn at_least_25_published_tariffs_name_their_source() {
    let goldens = goldens();
    let published = goldens.iter().filter(|(name, _)| !name.starts_with("worked-"));
    let mut digits = std::collections::BTreeSet::new();
    let mut count = 0;
    for (name, golden) in published {
        assert!(golden.source.url.is_some() && !golden.source.title.is_empty(), "{name}");
        assert_eq!(golden.source.seen_on.len(), 10, "{name}");
        digits.insert(golden.tariff.currency.exponent());
        count += 1;
    }
    assert!(count >= 25, "{count}");
    assert_eq!(digits, [0, 2, 3].into());
}
