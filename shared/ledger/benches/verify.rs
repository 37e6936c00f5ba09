//! How fast a chain verifies. `cargo bench -p parkade-ledger`; the target is 100,000 entries a second.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use parkade_domain::ids::{LotId, PaymentId, ReservationId};
use parkade_domain::money::Currency;
use parkade_ledger::{About, Account, Book, Cause, Entry, Month, Posting, Sealed, Verifier, genesis, seal};

/// A busy lot's month is about sixty thousand; its speed does not depend on the number.
const ENTRIES: u64 = 10_000;

fn main() {
    divan::main();
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| unreachable!("{error}"))
}

/// Charges of a month as the store has them.
fn chain() -> (Book, Month, Vec<Sealed>) {
    let (book, month): (Book, Month) = (Book::Lot(parsed::<LotId>("central")), parsed("2026-11"));
    let currency = Currency::from_code("EUR").unwrap_or_else(|error| unreachable!("{error}"));
    let reservation: ReservationId = parsed("res_09VXRDCKM22JF");
    let entry = |n: u64| {
        let about = About {
            id: format!("09VXRDCKM22JF#P01#v{n}#succeeded"),
            book: book.clone(),
            month,
            currency,
            at_s: 1_795_255_210,
            cause: Cause::Charge,
            reservation: Some(reservation),
            payment: Some(PaymentId { reservation, number: 1 }),
            provider_reference: Some("pi_3MtwBwLkdIwHu7ix28a3tqPa".to_owned()),
        };
        let postings = [(Account::Receivable, -1_250), (Account::Clearing, 1_250)];
        let postings = postings.map(|(account, amount_minor)| Posting { account, amount_minor });
        Entry::new(about, postings.to_vec()).unwrap_or_else(|error| unreachable!("{error}"))
    };
    let sealed = seal(genesis(&book, month), (1..=ENTRIES).map(entry));
    (book, month, sealed)
}

#[divan::bench]
fn verify(bencher: Bencher<'_, '_>) {
    let (book, month, chain) = chain();
    bencher.counter(ItemsCount::new(chain.len())).bench(|| {
        let mut verifier = Verifier::new(book.clone(), month);
        let checked = black_box(&chain).iter().try_for_each(|sealed| verifier.check(sealed));
        checked.map(|()| verifier.head())
    });
}
