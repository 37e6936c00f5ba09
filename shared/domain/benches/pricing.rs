//! What pricing costs: time per price, and allocations by divan's own counting allocator. `cargo bench -p parkade-domain`

use divan::{AllocProfiler, Bencher, black_box};
use parkade_domain::tariff::{PriceRequest, Tariff};
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::VehicleClass;
use parkade_domain::zone::LotZone;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A stay from Monday 2026-03-16 08:07 UTC, so that a month contains Europe's clock change.
fn stay(days: i64) -> Window {
    let start = Minute(29_560_327);
    Window::new(start, start.plus(days * 1_440)).unwrap_or_else(|error| unreachable!("{error}"))
}

fn read(text: &str) -> Tariff {
    serde_json::from_str(text).unwrap_or_else(|error| unreachable!("{error}"))
}

fn price(bencher: Bencher<'_, '_>, tariff: &Tariff, days: i64) {
    let zone = LotZone::parse("Europe/Berlin").unwrap_or_else(|error| unreachable!("{error}"));
    let request = PriceRequest::booking(&zone, VehicleClass::Standard, stay(days));
    assert!(tariff.validate().is_empty(), "the benchmark's tariff is valid");
    bencher.bench(|| black_box(tariff).price(black_box(&request)));
}

/// The target: at most 50 µs and 200 allocations.
#[divan::bench]
fn month_under_20_rules(bencher: Bencher<'_, '_>) {
    price(bencher, &read(include_str!("../tests/twenty_rules.json")), 31);
}

#[divan::bench]
fn day_under_20_rules(bencher: Bencher<'_, '_>) {
    price(bencher, &read(include_str!("../tests/twenty_rules.json")), 1);
}

#[divan::bench]
fn month_under_one_rate(bencher: Bencher<'_, '_>) {
    let text = r#"{"currency": "EUR", "unit_minutes": 15, "rates": {"standard": 50}, "daily_cap": {"standard": 1500}}"#;
    price(bencher, &read(text), 31);
}

#[divan::bench]
fn upload_of_20_rules(bencher: Bencher<'_, '_>) {
    let text = include_str!("../tests/twenty_rules.json");
    bencher.bench(|| read(black_box(text)).validate());
}
