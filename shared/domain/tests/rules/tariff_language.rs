//! The written reference, executed; and what is wrong with wrong tariffs.

use std::collections::BTreeMap;

use parkade_domain::policy::LotPolicy;
use parkade_domain::settlement::{self, Stay};
use parkade_domain::tariff::{Facts, Locale, Price, PriceRequest, Tariff, TariffError, explain};
use parkade_domain::time::Window;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::given::zone;
use super::tariff::assert_adds_up;

const REFERENCE: &str = include_str!("../../../../docs/tariffs.md");

/// What happened to a booking of the reference, beside the facts of its price. Times are local.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    booked_at: Option<String>,
    changed_at: Option<String>,
    cancelled_at: Option<String>,
    entered_at: Option<String>,
    left_at: Option<String>,
    #[serde(default)]
    no_show: bool,
    #[serde(default)]
    gate_offline: bool,
    unpaid_days: Option<u32>,
}

/// The fields of [`Story`]; all others are facts of the price.
const STORY: [&str; 8] =
    ["booked_at", "changed_at", "cancelled_at", "entered_at", "left_at", "no_show", "gate_offline", "unpaid_days"];

impl Story {
    /// What is owed in the end, or why there is no such end.
    fn end(&self, tariff: &Tariff, facts: &Facts, price: Price) -> Result<Price, &'static str> {
        let berlin = zone("Europe/Berlin");
        let at = |text: &Option<String>| text.as_ref().map(|text| berlin.parse_time(text).unwrap());
        let booked = Window::new(facts.start, facts.end).unwrap();
        let policy = LotPolicy::default().under(tariff.terms.as_ref());
        let terms = tariff.terms.clone().unwrap_or_default();
        let fee = at(&self.changed_at).map_or(0, |now| terms.modification_fee_minor(now, booked.start()));
        let price = settlement::with_fees(tariff, price, fee, booked).unwrap();
        if at(&self.entered_at).is_some_and(|now| now < booked.start().plus(-i64::from(policy.early_arrival_minutes))) {
            return Err("too early");
        }
        if let Some(now) = at(&self.cancelled_at) {
            let cools_off = at(&self.booked_at).is_some_and(|booked| terms.cools_off(booked, now));
            let settled = if cools_off {
                settlement::withdrawal(&price, booked)
            } else {
                settlement::cancellation(&price, &policy.cancellation, now, booked)
            };
            return Ok(settled.unwrap().owed);
        }
        if self.no_show {
            return Ok(settlement::no_show(&price, policy.no_show_share(self.gate_offline), booked).unwrap().owed);
        }
        if let Some(left_at) = at(&self.left_at) {
            let booked = PriceRequest::booking(&berlin, facts.class, booked);
            let stay = Stay { tariff, booked, left_at, price: &price };
            return Ok(settlement::leave(&policy, &stay).unwrap().owed);
        }
        Ok(tariff.escalated(&price, self.unpaid_days.unwrap_or(0), booked).unwrap())
    }
}

/// What a stay of the reference costs, as text with the currency's digits.
fn costs(tariff: &Tariff, from: &str, to: &str, facts: Value) -> String {
    let berlin = zone("Europe/Berlin");
    let (story, facts): (Map<_, _>, Map<_, _>) =
        facts.as_object().cloned().unwrap().into_iter().partition(|(name, _)| STORY.contains(&name.as_str()));
    let story: Story = serde_json::from_value(Value::Object(story)).unwrap();
    let mut document = json!({
        "time_zone": "Europe/Berlin", "class": "standard",
        "start": berlin.parse_time(from).unwrap().to_string(), "end": berlin.parse_time(to).unwrap().to_string(),
    });
    for (name, value) in facts {
        document[name] = value;
    }
    let facts: Facts = serde_json::from_value(document).unwrap();
    match facts.price(tariff) {
        Ok(price) => {
            assert_adds_up(&price);
            let end = match story.end(tariff, &facts, price) {
                Ok(end) => end,
                Err(refused) => return refused.to_owned(),
            };
            assert_adds_up(&end);
            end.total().format().split_once(' ').unwrap().1.to_owned()
        }
        Err(TariffError::Unavailable | TariffError::MaxStay { .. }) => "unavailable".to_owned(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn every_example_of_the_reference_costs_what_it_says() {
    let mut rows = 0;
    for section in REFERENCE.split("```json tariff\n").skip(1) {
        let (document, rest) = section.split_once("```").unwrap();
        let tariff: Tariff = serde_json::from_str(document).unwrap_or_else(|error| panic!("{error} in {document}"));
        assert_eq!(tariff.validate(), [], "{document}");
        let table = rest.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| 2"));
        for row in table {
            let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            let facts = cells[2].trim_matches('`');
            let facts = serde_json::from_str(facts).unwrap_or_else(|_| json!({}));
            assert_eq!(costs(&tariff, cells[0], cells[1], facts), cells[3], "{row}");
            rows += 1;
        }
    }
    assert!(rows > 50, "{rows} rows");
}

#[test]
fn every_field_of_the_language_is_in_the_reference() {
    let schema = serde_json::to_value(parkade_domain::tariff::json_schema()).unwrap();
    let mut missing = Vec::new();
    let definitions = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    for fields in definitions.filter_map(|definition| definition["properties"].as_object()) {
        missing.extend(fields.keys().filter(|name| !REFERENCE.contains(name.as_str())));
    }
    missing.sort();
    missing.dedup();
    assert!(missing.is_empty(), "{missing:?}");
}

/// A valid tariff with one thing changed.
fn changed(pointer: &str, value: Value) -> Tariff {
    let mut document = json!({
        "currency": "EUR",
        "tables": [
            {"id": "residents", "for": {"permits": ["resident"]}, "base": [{"total": "1.00"}]},
            {"id": "cars", "base": [{"up_to_minutes": 60, "total": "2.00"}, {"every_minutes": 60, "add": "1.50"}],
             "caps": [{"period": "calendar_day", "amount": "15.00"}, {"period": {"days": 7}, "amount": "60.00"}],
             "windows": [{"id": "night", "at": {"from": "20:00", "to": "06:00"}, "free": true},
                         {"id": "noon", "at": {"days": ["sat"], "from": "11:00", "to": "14:00"}, "charge": [{"total": "3.00"}]}],
             "products": [{"id": "day", "max_minutes": 600, "charge": [{"total": "9.00"}]}]}],
        "fees": [{"id": "booking", "amount": "0.50"}],
        "dynamic": {"floor_basis_points": -1000, "ceiling_basis_points": 1000, "largest_step_basis_points": 500,
                    "occupancy": [{"from": 50, "basis_points": 500}]},
    });
    *document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    serde_json::from_value(document).unwrap()
}

#[test]
fn each_mistake_is_named_with_a_pointer_and_a_way_to_mend_it() {
    assert_eq!(changed("/currency", json!("EUR")).validate(), []);
    let cars = "/tables/1";
    for (place, value, pointer, code) in [
        ("/base/0/total", json!("2.0"), "/base/0/total", "currency_digits"),
        ("/base/0/total", json!(-1), "/base/0/total", "out_of_range"),
        ("/base/0/total", json!("20.00"), "/caps/0/amount", "cap_below_tier"),
        ("/base/0", json!({"every_minutes": 60}), "/base/0", "one_of"),
        ("/base/0", json!({"total": 1}), "/base/1", "unreachable"),
        ("/base/1/every_minutes", json!(0), "/base/1/every_minutes", "out_of_range"),
        ("/base/1", json!({"up_to_minutes": 60, "total": 300}), "/base/1/up_to_minutes", "not_ascending"),
        ("/base/1", json!({"up_to_minutes": 600, "total": 300}), "/base", "gap"),
        // A local day may have 25 hours.
        ("/base/1", json!({"up_to_minutes": 1_440, "every_minutes": 60, "add": 150}), "/base", "gap"),
        ("/base", json!([]), "/windows", "gap"),
        ("/caps/1/amount", json!("10.00"), "/caps/1/amount", "cap_below_cap"),
        ("/caps/1/period", json!("rolling_24h"), "/caps/1/period", "not_ascending"),
        ("/windows/1/at/to", json!("21:00"), "/windows/1/at", "overlap"),
        ("/windows/1/at/days", json!([]), "/windows/1/at/days", "empty"),
        ("/windows/1/charge", json!([]), "/windows/1/charge", "free_or_charge"),
        ("/windows/0/at", json!({"from": "00:00", "to": "24:00"}), "/windows/1/at", "overlap"),
        ("/products/0/id", json!("Day"), "/products/0/id", "malformed"),
        ("/products/0/id", json!("night"), "/products/0/id", "duplicate"),
        ("/products/0/charge", json!([]), "/products/0/charge", "empty"),
    ] {
        let errors = changed(&format!("{cars}{place}"), value).validate();
        let found = errors.iter().find(|error| error.pointer == format!("{cars}{pointer}"));
        assert!(found.is_some_and(|error| error.code == code), "{place}: {errors:?}");
        assert!(errors.iter().all(|error| error.detail.len() > 10), "{errors:?}");
    }
    for (place, value, pointer, code) in [
        ("/tables/0/for", json!({}), "/tables/1/for", "unreachable"),
        ("/fees/0", json!({"id": "booking"}), "/fees/0", "one_of"),
        ("/dynamic/occupancy/0/basis_points", json!(900), "/dynamic/occupancy/0/basis_points", "step_too_large"),
    ] {
        let errors = changed(place, value).validate();
        assert!(errors.iter().any(|error| error.pointer == pointer && error.code == code), "{place}: {errors:?}");
    }
}

#[test]
fn a_tariff_that_is_cheaper_for_longer_is_warned_about() {
    let mut base: Vec<Value> = (1..=13)
        .map(|day| json!({"up_to_minutes": day * 1_440, "total": 8_000 + (day - 1) * 808 + i64::from(day == 13) * 4}))
        .collect();
    base.push(json!({"total": "166.37"}));
    let tariff: Tariff =
        serde_json::from_value(json!({"currency": "EUR", "tables": [{"id": "t", "base": base}]})).unwrap();
    assert_eq!(tariff.validate(), []);
    let details: Vec<_> = tariff.warnings().into_iter().map(|warning| warning.detail).collect();
    assert_eq!(details, ["13 days cost EUR 177.00, 14 days EUR 166.37"]);
}

#[test]
fn a_price_is_explained_in_two_languages() {
    let tariff: Tariff = serde_json::from_value(json!({
        "currency": "EUR", "tables": [{"id": "cars", "base": [{"every_minutes": 15, "add": "0.50"}],
            "caps": [{"period": "calendar_day", "amount": "5.00"}]}],
        "taxes": {"prices": "inclusive", "rounding": "combined", "components": [{"id": "vat", "rate_millionths": 190000}]},
    }))
    .unwrap();
    let berlin = zone("Europe/Berlin");
    let window = super::given::window(berlin, "2026-05-04T23:00", "2026-05-05T09:00");
    let price = super::given::price(&tariff, berlin, window);
    assert_eq!(
        explain(&price, Locale::of_tag("en-GB"), &berlin),
        [
            "Parking (cars), 2026-05-04 23:00 – 2026-05-05 00:00: 4 × EUR 0.50 per started 15 min = EUR 2.00",
            "Daily maximum (cars), 2026-05-05 00:00 – 2026-05-05 09:00: 1 × EUR 5.00 = EUR 5.00",
            "Contains 19 % tax: EUR 1.12",
            "Total: EUR 7.00",
        ]
    );
    assert_eq!(
        explain(&price, Locale::of_tag("de-AT"), &berlin),
        [
            "Parken (cars), 04.05.2026 23:00 – 05.05.2026 00:00: 4 × 0,50 EUR je angefangene 15 min = 2,00 EUR",
            "Tageshöchstsatz (cars), 05.05.2026 00:00 – 05.05.2026 09:00: 1 × 5,00 EUR = 5,00 EUR",
            "Enthält 19 % Steuer: 1,12 EUR",
            "Summe: 7,00 EUR",
        ]
    );
}

#[test]
fn an_unpaid_amount_grows_with_its_age() {
    let tariff: Tariff = serde_json::from_value(json!({
        "currency": "EUR", "tables": [{"id": "cars", "base": [{"total": "10.00"}]}],
        "escalation": [{"after_days": 30, "add_basis_points": 5000}, {"after_days": 60, "add_basis_points": 10000, "add": "2.00"}],
    }))
    .unwrap();
    let berlin = zone("Europe/Berlin");
    let window = super::given::window(berlin, "2026-05-04T10:00", "2026-05-04T12:00");
    let price = super::given::price(&tariff, berlin, window);
    let totals: BTreeMap<u32, i64> =
        [29, 30, 59, 60].map(|days| (days, tariff.escalated(&price, days, window).unwrap().total_minor())).into();
    assert_eq!(totals, BTreeMap::from([(29, 1_000), (30, 1_500), (59, 1_500), (60, 2_200)]));
}

#[test]
fn an_event_comes_before_a_product_before_a_window_before_the_base() {
    let document = json!({"currency": "EUR", "tables": [{
        "id": "cars", "base": [{"total": 1}],
        "windows": [{"id": "low", "at": {"from": "12:00", "to": "18:00"}, "charge": [{"total": 20}]},
                    {"id": "high", "at": {"from": "14:00", "to": "15:00"}, "charge": [{"total": 300}], "priority": 1}],
        "products": [{"id": "evening", "within": {"from": "16:00", "to": "20:00"}, "charge": [{"total": 4_000}]}],
        "events": [{"id": "match-rate", "event": "match", "charge": [{"total": 50_000}]},
                   {"id": "final-rate", "event": "final", "charge": [{"total": 600_000}], "priority": 1}]}]});
    let tariff: Tariff = serde_json::from_value(document).unwrap();
    assert_eq!(tariff.validate(), []);
    let at_16 = json!([{"start": "2026-05-04T14:00:00Z", "end": "2026-05-04T15:00:00Z"}]);
    for (from, to, calendar, costs_minor) in [
        ("08:00", "12:00", json!({}), "0.01"),
        ("11:00", "13:00", json!({}), "0.21"),
        // The low window is two pieces around the high one: each counts from its own start.
        ("13:00", "16:00", json!({}), "3.40"),
        ("16:00", "17:00", json!({}), "40.00"),
        ("15:59", "17:00", json!({}), "0.20"),
        ("16:00", "17:00", json!({"match": at_16}), "500.00"),
        ("16:00", "17:01", json!({"match": at_16}), "500.20"),
        ("16:00", "17:00", json!({"match": at_16, "final": at_16}), "6000.00"),
    ] {
        let facts = json!({"calendar": {"events": calendar}});
        let costs = costs(&tariff, &format!("2026-05-04T{from}"), &format!("2026-05-04T{to}"), facts);
        assert_eq!(costs, costs_minor, "{from} to {to}");
    }
}

#[test]
fn an_unknown_or_used_up_validation_is_refused_by_its_position() {
    let document = json!({"currency": "EUR", "unit_minutes": 60, "rates": {"standard": 100}, "validations": [
        {"id": "once", "benefit": {"free": {}}, "limit": {"uses": 1, "period_days": 7}}]});
    let tariff: Tariff = serde_json::from_value(document).unwrap();
    let priced = |validations: Value| {
        let facts: Facts =
            serde_json::from_value(json!({"time_zone": "UTC", "class": "standard", "validations": validations,
            "start": "2026-05-04T10:00:00Z", "end": "2026-05-04T11:00:00Z"}))
            .unwrap();
        facts.price(&tariff).map(|price| price.total_minor())
    };
    assert_eq!(priced(json!([{"id": "once"}])), Ok(0));
    assert_eq!(priced(json!([{"id": "once", "used_before": 1}])), Err(TariffError::ValidationUsedUp { position: 0 }));
    let unknown = json!([{"id": "once"}, {"id": "other"}]);
    assert_eq!(priced(unknown), Err(TariffError::UnknownValidation { position: 1 }));
}

#[test]
fn an_exempt_driver_pays_no_tax_on_top() {
    let document = json!({"currency": "EUR", "unit_minutes": 60, "rates": {"standard": 100},
        "taxes": {"prices": "exclusive", "rounding": "combined", "components": [{"id": "vat", "rate_millionths": 190_000}]}});
    let tariff: Tariff = serde_json::from_value(document).unwrap();
    for (exempt, costs_minor) in [(false, "1.19"), (true, "1.00")] {
        let facts = json!({"tax_exempt": exempt});
        assert_eq!(costs(&tariff, "2026-05-04T10:00", "2026-05-04T11:00", facts), costs_minor);
    }
}
