//! Prices and tariffs as text for a terminal.

use std::collections::BTreeSet;

use parkade_domain::money::Money;
use parkade_domain::tariff::{Line, Price, Tariff};
use parkade_domain::zone::LotZone;

/// The lines of a price, then subtotal and total, included taxes and what merchants owe. Times are the lot's.
pub(super) fn price(price: &Price, zone: LotZone) -> String {
    let amount = |minor| digits(Money::new(minor, price.currency()));
    let boundaries = || price.lines().iter().flat_map(|line| [line.interval().start(), line.interval().end()]);
    let offsets: BTreeSet<i32> =
        boundaries().map(|minute| zone.local_with_offset(minute).offset().local_minus_utc()).collect();
    // Around a clock change a local time alone would be ambiguous (T9).
    let pattern = if offsets.len() > 1 { "%Y-%m-%d %H:%M %:z" } else { "%Y-%m-%d %H:%M" };
    let time = |minute| zone.local_with_offset(minute).format(pattern).to_string();
    let total_name = format!("amount {}", price.currency());
    let mut rows =
        vec![["rule", "id", "from", "to", "quantity × unit", "rate", "rounding", &total_name].map(str::to_owned)];
    rows.extend(price.lines().iter().map(|line| {
        [
            line.rule().as_str().to_owned(),
            line.id().map_or_else(String::new, ToString::to_string),
            time(line.interval().start()),
            time(line.interval().end()),
            quantity(line),
            amount(line.unit_rate_minor()),
            line.rounding().as_str().to_owned(),
            amount(line.amount_minor()),
        ]
    }));
    for (name, minor) in [("subtotal", price.subtotal_minor()), ("total", price.total_minor())] {
        let mut row: [String; 8] = Default::default();
        let [first, .., last] = &mut row;
        (*first, *last) = (name.to_owned(), amount(minor));
        rows.push(row);
    }
    let mut text = aligned(&rows, [5, 7]);
    for tax in price.taxes() {
        let id = tax.id.as_ref().map_or_else(|| "taxes together".to_owned(), ToString::to_string);
        let (rate, base, sum) = (percent(tax.rate_millionths), amount(tax.base_minor), amount(tax.amount_minor));
        let how = if tax.included { "included" } else { "added" };
        text.push_str(&format!("\ntax {id}: {rate} of {base} = {sum}, {how}"));
    }
    for debit in price.debits() {
        let payer = debit.merchant.as_ref().map_or("the operator", |merchant| merchant.as_str());
        text.push_str(&format!("\ndebit {}: {payer} owes {}", debit.validation, amount(debit.amount_minor)));
    }
    text
}

/// What a valid tariff consists of.
pub(super) fn summary(tariff: &Tariff) -> String {
    let mut text = format!("valid: {}, {} digits after the point", tariff.currency, tariff.currency.exponent());
    for (class, rate) in &tariff.rates {
        let rate = digits(Money::new(*rate, tariff.currency));
        text.push_str(&format!("\n  {class}: {rate} per started {} min", tariff.unit_minutes));
    }
    for table in &tariff.tables {
        let counts = [
            (table.base.len(), "bands"),
            (table.caps.len(), "caps"),
            (table.windows.len(), "windows"),
            (table.events.len(), "events"),
            (table.products.len(), "products"),
        ];
        text.push_str(&format!("\n  table {}: {}", table.id, counted(&counts)));
    }
    let taxes = tariff.taxes.as_ref().map_or(0, |taxes| taxes.components.len());
    let others = [(tariff.fees.len(), "fees"), (taxes, "taxes"), (tariff.validations.len(), "validations")];
    if others.iter().any(|(count, _)| *count > 0) {
        text.push_str(&format!("\n  all tables: {}", counted(&others)));
    }
    text
}

fn counted(counts: &[(usize, &str)]) -> String {
    let some = counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{name} {count}"));
    some.collect::<Vec<_>>().join(", ")
}

fn quantity(line: &Line) -> String {
    let unit = format!("{} × {}", line.quantity(), line.unit().as_str());
    line.unit().minutes().map_or_else(|| unit.clone(), |minutes| format!("{unit} of {minutes} min"))
}

/// The amount without its currency, which the table's head names.
fn digits(money: Money) -> String {
    let text = money.format();
    text.split_once(' ').map_or_else(|| text.clone(), |(_, amount)| amount.to_owned())
}

/// `183750` as `18.375 %`.
fn percent(millionths: u32) -> String {
    let text = format!("{}.{:04}", millionths / 10_000, millionths % 10_000);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Rows padded to columns; those at `numbers` are aligned to the right.
fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]], numbers: [usize; 2]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = cell.chars().count().max(*width));
    }
    let padded = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if numbers.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(padded).collect::<Vec<_>>().join("\n")
}
