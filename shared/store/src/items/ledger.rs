//! `L#<book>#<month>` / `E#<id>`: a sealed entry; `S#<number>`: which entries were sealed together from this number on.

use aws_sdk_dynamodb::types::AttributeValue;
use parkade_domain::ids::ReservationId;
use parkade_domain::money::Currency;
use parkade_ledger::{About, Balances, Book, Cause, Entry, Hash, Head, Month, Posting, Sealed};

use crate::attributes::{Item, Reader, SCHEMA, bytes, keyed, number, text};
use crate::error::StoreError;
use crate::keys;

const SCHEMA_VERSION: i64 = 1;

/// Entries that were sealed in one transaction, and how the chain stands after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Number of the first entry.
    pub first: u64,
    /// Ids of the entries, in order.
    pub ids: Vec<String>,
    /// The chain's end with them.
    pub head: Head,
    /// What the whole chain sums to.
    pub balances: Balances,
    /// Epoch second of the sealing.
    pub sealed_at_s: i64,
}

/// Numbers in a chain are counted from 1 and stored as DynamoDB's numbers, which are exact far beyond them.
fn count(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn write_sealed(sealed: &Sealed) -> Item {
    let about = &sealed.entry.about;
    let mut item = keyed(keys::chain_partition(&about.book, about.month), keys::sealed_sort(&about.id));
    let mut put = |name: &str, value: AttributeValue| drop(item.insert(name.to_owned(), value));
    put(SCHEMA, number(SCHEMA_VERSION));
    put("n", count(sealed.seq));
    put("ph", bytes(sealed.previous.0));
    put("h", bytes(sealed.hash.0));
    put("cu", text(about.currency.code()));
    put("at", number(about.at_s));
    put("ca", text(about.cause.as_str()));
    let posting = |posting: &Posting| format!("{} {}", posting.account, posting.amount_minor);
    put("ps", text(sealed.entry.postings().iter().map(posting).collect::<Vec<_>>().join(", ")));
    let references = [
        ("rs", about.reservation.map(|id| id.to_string())),
        ("pa", about.payment.map(|id| id.to_string())),
        ("ref", about.provider_reference.clone()),
    ];
    for (name, reference) in references {
        if let Some(reference) = reference {
            put(name, text(reference));
        }
    }
    item
}

pub(crate) fn read_sealed(item: &Item) -> Result<Sealed, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    let (book, month) = chain(&reader)?;
    let parsed = |name| reader.text_maybe(name).map(|_| reader.parsed(name, |text| text.parse().ok())).transpose();
    let reservation: Option<ReservationId> = parsed("rs")?;
    let payment = reader.text_maybe("pa").map(|_| reader.parsed("pa", |text| text.parse().ok())).transpose()?;
    let about = About {
        id: reader.parsed(keys::SK, |sk| sk.strip_prefix(keys::SEALED).map(str::to_owned))?,
        book,
        month,
        currency: reader.parsed("cu", |code| Currency::from_code(code).ok())?,
        at_s: reader.number("at")?,
        cause: reader.parsed("ca", Cause::parse)?,
        reservation,
        payment,
        provider_reference: reader.text_maybe("ref").map(str::to_owned),
    };
    let posting = |text: &str| {
        let (account, minor) = text.split_once(' ')?;
        Some(Posting { account: account.parse().ok()?, amount_minor: minor.parse().ok()? })
    };
    let postings = reader.parsed("ps", |text| text.split(", ").map(posting).collect())?;
    let entry = Entry::new(about, postings).map_err(|error| reader.corrupt(error.to_string()))?;
    let (previous, hash) = (Hash(reader.array("ph")?), Hash(reader.array("h")?));
    Ok(Sealed { entry, seq: reader.number("n")?, previous, hash })
}

pub(crate) fn write_batch(book: &Book, month: Month, batch: &Batch) -> Item {
    let mut item = keyed(keys::chain_partition(book, month), keys::batch_sort(batch.first));
    let mut put = |name: &str, value: AttributeValue| drop(item.insert(name.to_owned(), value));
    put(SCHEMA, number(SCHEMA_VERSION));
    put("n", count(batch.head.seq));
    put("h", bytes(batch.head.hash.0));
    // An id has no blank.
    put("id", text(batch.ids.join(" ")));
    put("ba", text(batch.balances.to_string()));
    put("at", number(batch.sealed_at_s));
    item
}

pub(crate) fn read_batch(item: &Item) -> Result<Batch, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    Ok(Batch {
        first: reader.parsed(keys::SK, |sk| sk.strip_prefix(keys::BATCH)?.parse().ok())?,
        ids: reader.text("id")?.split(' ').map(str::to_owned).collect(),
        head: Head { seq: reader.number("n")?, hash: Hash(reader.array("h")?) },
        balances: reader.parsed("ba", |text| text.parse().ok())?,
        sealed_at_s: reader.number("at")?,
    })
}

fn chain(reader: &Reader<'_>) -> Result<(Book, Month), StoreError> {
    reader.parsed(keys::PK, |pk| {
        let (book, month) = pk.strip_prefix("L#")?.rsplit_once('#')?;
        Some((book.parse().ok()?, month.parse().ok()?))
    })
}
