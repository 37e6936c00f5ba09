//! What the books cost: units to seal entries, and how fast a chain verifies.

use std::time::Instant;

use parkade_domain::geometry::Shape;
use parkade_domain::ids::{PaymentId, ReservationId};
use parkade_domain::money::Currency;
use parkade_ledger::{About, Account, Book, Cause, Entry, Month, Posting, Verifier, genesis, seal};

use crate::Failure;
use crate::figure::{Figure, Milli, Section};
use crate::fixture::{Fixture, NOW_S};

/// Entries of the chain that is verified: more than a busy lot's month.
const ENTRIES: u64 = 100_000;
/// What verification must reach.
const PER_SECOND_MIN: u64 = 100_000;

fn entry(book: &Book, month: Month, n: u64) -> Result<Entry, Failure> {
    let reservation: ReservationId = "res_09VXRDCKM22JF".parse()?;
    let about = About {
        id: format!("{}#P01#v{n}#succeeded", reservation.code()),
        book: book.clone(),
        month,
        currency: Currency::from_code("EUR")?,
        at_s: NOW_S,
        cause: Cause::Charge,
        reservation: Some(reservation),
        payment: Some(PaymentId { reservation, number: 1 }),
        provider_reference: Some("pi_3MtwBwLkdIwHu7ix28a3tqPa".to_owned()),
    };
    let postings = [(Account::Clearing, 1_250), (Account::Receivable, -1_250)];
    let postings = postings.map(|(account, amount_minor)| Posting { account, amount_minor });
    Ok(Entry::new(about, postings.to_vec())?)
}

/// Verification of a month's chain.
pub(crate) fn verification() -> Result<Section, Failure> {
    let (book, month): (Book, Month) = ("central".parse()?, "2026-11".parse()?);
    let entries = (1..=ENTRIES).map(|n| entry(&book, month, n)).collect::<Result<Vec<_>, _>>()?;
    let chain = seal(genesis(&book, month), entries);
    let began = Instant::now();
    let mut verifier = Verifier::new(book, month);
    chain.iter().try_for_each(|sealed| verifier.check(sealed))?;
    let elapsed_us = began.elapsed().as_micros().max(1);
    let per_second = u128::from(ENTRIES) * 1_000_000 / elapsed_us;
    let mut section = Section::new("Verification of the books", &["entries", "entries per second"]);
    let speed = Figure::whole(i64::try_from(per_second)?).at_least(Milli::whole(PER_SECOND_MIN));
    section.row("one chain, in memory", [Figure::whole(verifier.head().seq), speed]);
    Ok(section)
}

/// Units of sealing, by the size of the batch.
pub(crate) async fn sealing() -> Result<Section, Failure> {
    let town = Fixture::new(8, Shape::Hourly).await?;
    let (book, month): (Book, Month) = ("central".parse()?, "2026-11".parse()?);
    let mut section = Section::new("Sealing entries", &["calls", "WRU", "WRU per entry", "RRU"]);
    let mut n = 0;
    for size in [1_u64, 1, 10, 98] {
        let batch = (n..n + size).map(|n| entry(&book, month, n)).collect::<Result<Vec<_>, _>>()?;
        n += size;
        town.meter.reset();
        for fate in town.store.seal(&batch, NOW_S).await {
            fate?;
        }
        let usage = town.meter.reset();
        let halves = |halves: u64| Milli(i64::try_from(halves).unwrap_or(i64::MAX) * 500);
        let per_entry = Milli::ratio(usage.wru.as_halves(), 2 * size);
        let name = if n == 1 { "the first entry of a month".to_owned() } else { format!("{size} at once") };
        section.row(
            name,
            [
                Figure::whole(usage.calls),
                halves(usage.wru.as_halves()).into(),
                per_entry.into(),
                halves(usage.rru.as_halves()).into(),
            ],
        );
    }
    Ok(section)
}
