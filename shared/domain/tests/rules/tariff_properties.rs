//! What holds for any tariff and any stay: generated from the published ones, and from arbitrary JSON.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use parkade_domain::ids::TariffVersion;
use parkade_domain::settlement::{Charge, allocate_refund};
use parkade_domain::tariff::{
    Basis, Facts, Price, Receipt, Rule, RuleId, Tariff, TariffError, Ticket, ValidationUse, json_schema, reprice,
};
use parkade_domain::time::Minute;
use parkade_domain::vehicle::VehicleClass;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::golden::{files, goldens};
use super::tariff::assert_adds_up;

const ZONES: [&str; 5] = ["UTC", "Europe/London", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu"];

static TARIFFS: LazyLock<Vec<Tariff>> = LazyLock::new(|| goldens().into_iter().map(|(_, g)| g.tariff).collect());
static DOCUMENTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    files().iter().map(|(_, text)| serde_json::from_str::<Value>(text).unwrap()["tariff"].clone()).collect()
});

fn any_published() -> impl Strategy<Value = Tariff> {
    (0..TARIFFS.len()).prop_map(|position| TARIFFS[position].clone().at_version(TariffVersion(3)))
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let length = prop_oneof![1_i64..2_000, 1_i64..20_000];
    let class = prop::sample::select(&VehicleClass::ALL[..]);
    let basis = prop::sample::select(&[Basis::Booking, Basis::Stay][..]);
    let ticket = prop::sample::select(&[Ticket::Present, Ticket::Present, Ticket::Lost][..]);
    let zone = prop::sample::select(&ZONES[..]);
    let facts = (zone, class, 29_440_000_i64..30_400_000, length, basis, ticket, 0_u8..=100, 0_u32..20_000);
    facts.prop_map(|(zone, class, start, length, basis, ticket, occupancy, lead)| Facts {
        time_zone: zone.to_owned(),
        class,
        start: Minute(start),
        end: Minute(start + length),
        basis,
        features: BTreeSet::new(),
        permits: BTreeSet::new(),
        calendar: Default::default(),
        validations: Vec::new(),
        tax_exempt: false,
        occupancy_percent: Some(occupancy),
        lead_minutes: Some(lead),
        ticket,
    })
}

/// The price, or nothing where the tariff does not sell such a stay.
fn sold(tariff: &Tariff, facts: &Facts) -> Option<Price> {
    match facts.price(tariff) {
        Ok(price) => Some(price),
        Err(TariffError::Unavailable | TariffError::MaxStay { .. } | TariffError::NoRate { .. }) => None,
        Err(error) => panic!("{error} for {facts:?}"),
    }
}

/// A tariff with every validation there is, and taxes on top.
fn validated(stacking: &str) -> Tariff {
    let validation = |id: &str, benefit: Value| json!({"id": id, "merchant": "shop", "benefit": benefit});
    let document = json!({
        "currency": "EUR", "validation_stacking": stacking,
        "tables": [{"id": "cars", "base": [{"every_minutes": 20, "add": "0.70"}],
            "caps": [{"period": "calendar_day", "amount": "19.50"}, {"period": {"days": 7}, "amount": "60.00"}]}],
        "fees": [{"id": "booking", "amount": "0.35"}, {"id": "share", "rate_millionths": 33333}],
        "taxes": {"prices": "exclusive", "rounding": "per_component", "components": [
            {"id": "vat", "rate_millionths": 190000}, {"id": "city", "rate_millionths": 12345, "compound": true}]},
        "validations": [validation("half", json!({"percent": {"basis_points": 5000}})), validation("two", json!({"money": {"amount": "2.00"}})),
            validation("front", json!({"time": {"minutes": 90, "end": "front"}})), validation("back", json!({"time": {"minutes": 45, "end": "back"}})),
            validation("flat", json!({"override": {"amount": "5.00"}})), validation("free", json!({"free": {}}))],
    });
    serde_json::from_value(document).unwrap()
}

/// Puts any value at any place of a document.
fn mutated(document: &mut Value, path: &[usize], new: Value) {
    let Some((step, rest)) = path.split_first() else { return *document = new };
    match document {
        Value::Object(fields) if !fields.is_empty() => {
            let name = fields.keys().nth(step % fields.len()).unwrap().clone();
            mutated(&mut fields[&name], rest, new);
        }
        Value::Array(items) if !items.is_empty() => {
            let position = step % items.len();
            mutated(&mut items[position], rest, new);
        }
        _ => *document = new,
    }
}

const WORDS: [&str; 12] =
    ["mon", "holiday", "rolling_24h", "24:00", "25:00", "0.5", "12.50", "stay", "a", "Ä", "best_price", ""];
const NAMES: [&str; 11] =
    ["total", "add", "every_minutes", "up_to_minutes", "days", "from", "to", "id", "period", "free", "x"];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![any::<i64>(), -2_i64..1_500].prop_map(Value::from),
        prop::sample::select(vec![json!(0.5), json!(-1.0), json!(1e300)]),
        prop::sample::select(&WORDS[..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(&NAMES[..]), inner, 0..4)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

#[test]
fn the_published_schema_is_the_one_of_the_types() {
    #[expect(clippy::disallowed_methods, reason = "tests read their data")]
    let published = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tariff.schema.json"));
    let printed = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    assert!(
        published.ok().as_deref() == Some(&printed),
        "run: cargo run -p parkade-domain --example tariff_schema > docs/tariff.schema.json"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_price_adds_up_and_is_its_own_repricing(tariff in any_published(), facts in any_facts()) {
        if let Some(price) = sold(&tariff, &facts) {
            assert_adds_up(&price);
            let receipt = Receipt::issue(&tariff, facts).unwrap();
            let printed = serde_json::to_vec(&receipt).unwrap();
            let read: Receipt = serde_json::from_slice(&printed).unwrap();
            prop_assert_eq!(serde_json::to_vec(&reprice(&tariff, &read).unwrap()).unwrap(), serde_json::to_vec(&price).unwrap());
            prop_assert_eq!(reprice(&tariff.at_version(TariffVersion(4)), &read), Err(TariffError::OtherVersion));
        }
    }

    #[test]
    fn a_quote_is_the_same_before_and_after_another_version(tariff in any_published(), other in any_published(), facts in any_facts()) {
        let before = sold(&tariff, &facts);
        let published = other.at_version(TariffVersion(4));
        drop(sold(&published, &facts));
        prop_assert_eq!(before, sold(&tariff, &facts));
    }

    #[test]
    fn staying_longer_costs_no_less_unless_a_warning_or_a_product_says_so(tariff in any_published(), facts in any_facts(), more in 1_i64..2_000) {
        // Products, windows of which a part is free and lost tickets are not about length.
        let by_length = tariff.tables.iter().all(|table| table.products.is_empty());
        prop_assume!(by_length && tariff.warnings().is_empty() && facts.ticket == Ticket::Present);
        let longer = Facts { end: facts.end.plus(more), ..facts.clone() };
        if let (Some(short), Some(long)) = (sold(&tariff, &facts), sold(&tariff, &longer)) {
            prop_assert!(short.total_minor() <= long.total_minor(), "{} > {}", short.total_minor(), long.total_minor());
        }
    }

    #[test]
    fn a_linear_stay_can_be_split(rate in 0_i64..100, facts in any_facts(), cut in 1_i64..20_000) {
        let tariff: Tariff = serde_json::from_value(json!({"currency": "EUR", "tables": [
            {"id": "t", "base": [{"every_minutes": 1, "add": rate}], "windows": [
                {"id": "w", "at": {"from": "22:00", "to": "06:00"}, "charge": [{"every_minutes": 1, "add": rate / 2}]}]}]})).unwrap();
        let middle = facts.start.plus(cut);
        prop_assume!(middle < facts.end);
        let part = |start, end| Facts { start, end, ..facts.clone() }.price(&tariff).unwrap().total_minor();
        prop_assert_eq!(part(facts.start, middle) + part(middle, facts.end), part(facts.start, facts.end));
    }

    #[test]
    fn a_zone_moves_windows_not_elapsed_time(facts in any_facts()) {
        let tariff: Tariff = serde_json::from_value(json!({"currency": "EUR", "tables": [
            {"id": "t", "base": [{"up_to_minutes": 90, "total": 300}, {"every_minutes": 20, "add": 100}], "caps": [{"period": "rolling_24h", "amount": 1500}]}]})).unwrap();
        let elsewhere = Facts { time_zone: "Pacific/Auckland".to_owned(), ..facts.clone() };
        prop_assert_eq!(facts.price(&tariff).unwrap(), elsewhere.price(&tariff).unwrap());
    }

    #[test]
    fn a_total_keeps_its_caps(facts in any_facts()) {
        let tariff = validated("best");
        let price = facts.price(&tariff).unwrap();
        let parking: i64 = price.lines().iter()
            .filter(|line| !matches!(line.rule(), Rule::Tax | Rule::ServiceFeeKept)).map(|line| line.amount_minor()).sum();
        let minutes = facts.end.0 - facts.start.0;
        prop_assert!(parking <= (minutes / 1_440 + 2) * 1_950);
        prop_assert!(parking <= (minutes / 10_080 + 1) * 6_000);
    }

    #[test]
    fn validations_never_cost_the_driver_and_merchants_pay_what_they_save(
        facts in any_facts(),
        ids in prop::collection::vec(prop::sample::select(&["half", "two", "front", "back", "flat", "free"][..]), 0..4),
        stacking in prop::sample::select(&["best", "all"][..]),
    ) {
        let tariff = validated(stacking);
        let full = facts.price(&tariff).unwrap();
        let validations = ids.iter().map(|id| ValidationUse { id: RuleId::new(id), used_before: 0 }).collect();
        let price = Facts { validations, ..facts }.price(&tariff).unwrap();
        assert_adds_up(&price);
        let debited: i64 = price.debits().iter().map(|debit| debit.amount_minor).sum();
        prop_assert_eq!(debited, full.total_minor() - price.total_minor());
        for debit in price.debits() {
            prop_assert!(debit.amount_minor > 0);
            prop_assert!(debit.validation.as_str() != "two" || debit.amount_minor <= 200);
        }
    }

    #[test]
    fn refunds_never_exceed_what_was_paid(tariff in any_published(), facts in any_facts(), lengths in prop::collection::vec(1_i64..5_000, 1..8)) {
        let mut charges: Vec<Charge> = Vec::new();
        for length in lengths {
            let Some(price) = sold(&tariff, &Facts { end: facts.start.plus(length), ..facts.clone() }) else { continue };
            let net: i64 = charges.iter().map(|charge| charge.captured_minor - charge.refunded_minor).sum();
            let due = price.total_minor() - net;
            if due >= 0 {
                let number = u8::try_from(charges.len() + 1).unwrap();
                charges.push(Charge { number, captured_minor: due, refunded_minor: 0 });
            } else {
                for (number, minor) in allocate_refund(&charges, -due).unwrap() {
                    charges[usize::from(number) - 1].refunded_minor += minor;
                }
            }
            for charge in &charges {
                prop_assert!((0..=charge.captured_minor).contains(&charge.refunded_minor));
            }
        }
    }

    #[test]
    fn an_uploaded_document_is_refused_or_prices(
        position in 0..DOCUMENTS.len(),
        changes in prop::collection::vec((prop::collection::vec(0_usize..9, 1..7), any_json()), 1..3),
        facts in any_facts(),
    ) {
        let mut document = DOCUMENTS[position].clone();
        for (path, new) in changes {
            mutated(&mut document, &path, new);
        }
        if let Ok(tariff) = serde_json::from_value::<Tariff>(document) {
            if tariff.validate().is_empty() {
                prop_assert!(tariff.warnings().len() < 1_000);
                sold(&tariff, &facts);
            } else {
                // Not accepted, but still no panic.
                drop(facts.price(&tariff));
            }
        }
    }

    #[test]
    fn arbitrary_json_is_refused_or_read(document in any_json()) {
        if let Ok(tariff) = serde_json::from_value::<Tariff>(document) {
            drop(tariff.validate());
        }
    }
}

#[test]
fn a_month_under_20_rules_takes_few_allocations() {
    let tariff: Tariff = serde_json::from_str(include_str!("../twenty_rules.json")).unwrap();
    assert_eq!(tariff.validate(), []);
    let zone = super::given::zone("Europe/Berlin");
    let start = zone.parse_time("2026-03-16T08:07").unwrap();
    let window = parkade_domain::time::Window::new(start, start.plus(31 * 1_440)).unwrap();
    let request = parkade_domain::tariff::PriceRequest::booking(&zone, VehicleClass::Standard, window);
    let mut lines = 0;
    let counted = allocation_counter::measure(|| lines = tariff.price(&request).unwrap().lines().len());
    assert!(lines >= 5, "{lines}");
    assert!(counted.count_total <= 200, "{} allocations", counted.count_total);
}
