//! What a sweep reads to find what is due, in a small and in a large table.

use std::time::Instant;

use parkade_domain::geometry::Shape;
use parkade_domain::ids::{Claimant, ReservationId};
use parkade_domain::payment::{Means, Word};
use parkade_domain::reservation::DueKind;
use parkade_domain::time::Window;
use parkade_testkit::{Engine, RECORDS};
use serde_json::{Value, json};

use crate::Failure;
use crate::figure::{Figure, Milli, Section};
use crate::fixture::{Fixture, NOW_S, Sequence, order};

/// Reservations of each kind that are due, at either size.
const DUE: i64 = 400;
/// Reservations loaded at a time.
const PART: u64 = 10_000;

/// Both sweeps that read the due index, at 10 thousand and at 1 million reservations with the same ones due.
pub(crate) async fn measure() -> Result<Section, Failure> {
    let columns = &["due", "items read per due item", "RRU", "RRU of a tick with nothing due"];
    let mut section = Section::new("Sweeps", columns);
    for size in [10_000, 1_000_000] {
        let began = Instant::now();
        let lot = Fixture::new(200, Shape::Hourly).await?;
        load(&lot, size).await?;
        eprintln!("loaded {size} reservations in {} s", began.elapsed().as_secs());
        for (kind, name) in [(DueKind::HoldExpiry, "expire-holds"), (DueKind::NoShow, "no-show-sweep")] {
            lot.meter.reset();
            let nothing = lot.store.due(kind, NOW_S - 2 * 3_600).await?;
            let idle = lot.meter.reset().rru;
            if !nothing.due.is_empty() {
                return Err("something was due too early".into());
            }
            let sweep = lot.store.due(kind, NOW_S).await?;
            let (usage, rru) = (lot.meter.snapshot(), lot.meter.total().rru);
            let read = usage.get("Query").map_or(0, |usage| usage.items_read);
            section.row(
                format!("{name}, {size} reservations"),
                [
                    Figure::whole(sweep.due.len()).at_least(Milli::whole(DUE)),
                    Figure::from(Milli::ratio(read, sweep.due.len())).at_most(Milli::whole(1)),
                    halves(rru.as_halves()),
                    halves(idle.as_halves()),
                ],
            );
        }
    }
    Ok(section)
}

fn halves(halves: u64) -> Figure {
    Milli(i64::try_from(halves).unwrap_or(i64::MAX) * 500).into()
}

/// Fills the Records table with copies of a held and of a confirmed reservation: half of each, a few of them due now.
async fn load(lot: &Fixture, size: u64) -> Result<(), Failure> {
    let window = lot.window(1, 6, 8)?;
    let mut held = template(lot, 1, window, false).await?;
    let mut confirmed = template(lot, 2, window, true).await?;
    let mut sequence = Sequence(5);
    // The other two indexes have no part in a sweep, and without them a million items load in a third of the time.
    for template in [&mut held, &mut confirmed] {
        let fields = template.as_object_mut().ok_or("an item is an object")?;
        fields.retain(|name, _| !matches!(name.as_str(), "u" | "us" | "p" | "ps"));
    }
    let due = u64::try_from(DUE)?;
    let mut n = 0;
    while n < size {
        let part = n..size.min(n + PART);
        n = part.end;
        let items = part.map(|n| {
            let (template, kind) = if n % 2 == 0 { (&held, "H") } else { (&confirmed, "N") };
            // The first ones became due within the last half hour, the others will during the next 90 days.
            let at_s =
                if n < 2 * due { NOW_S - sequence.between(0, 1_800) } else { NOW_S + sequence.between(1, 90 * 86_400) };
            copy(template, kind, ReservationId::new(Claimant::Reservation, sequence.next()), at_s)
        });
        lot.engine.import(RECORDS.name, items.collect::<Result<_, _>>()?)?;
    }
    Ok(())
}

/// A reservation as the store writes it.
async fn template(lot: &Fixture, n: u64, window: Window, pay: bool) -> Result<Value, Failure> {
    let request = lot.request(n, vec![window])?;
    let id = request.new.id;
    lot.store.reserve(&request).await?;
    if pay {
        let payment = lot.store.pay(&order(id, n, NOW_S), &Means::card("pm_card_visa")).await?.payment;
        let outcome = Word::Succeeded { reference: "pi_1".to_owned() };
        lot.store.settle(payment.id, &outcome, NOW_S).await?;
    }
    read(&lot.engine, id)
}

fn read(engine: &Engine, id: ReservationId) -> Result<Value, Failure> {
    let key = json!({"pk": {"S": format!("R#{}", id.code())}, "sk": {"S": "A"}});
    let body = json!({"TableName": RECORDS.name, "Key": key, "ConsistentRead": true});
    let reply = engine.call("GetItem", &body.to_string()).map_err(|refusal| refusal.body)?;
    let mut reply: Value = serde_json::from_str(&reply)?;
    Ok(reply.get_mut("Item").map(Value::take).ok_or("the template was not stored")?)
}

/// The same record under another id and due at another instant. The keys are those of the store: if it changes them, nothing is found
/// to be due and the measurement fails.
fn copy(template: &Value, kind: &str, id: ReservationId, at_s: i64) -> Result<Value, Failure> {
    let mut item = template.clone();
    let fields = item.as_object_mut().ok_or("an item is an object")?;
    let (code, hour, shard) = (id.code(), at_s.div_euclid(3_600), id.bits() % 16);
    fields.insert("pk".into(), json!({"S": format!("R#{code}")}));
    fields.insert("du".into(), json!({"S": format!("D#{kind}#{hour}#{shard:02}")}));
    fields.insert("ds".into(), json!({"N": at_s.to_string()}));
    Ok(item)
}
