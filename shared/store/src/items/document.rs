//! `RCP#<lot>#<year>` / `<serial>` in the books: a document under its number. `R#<code>` / `C#<position>` in the records: what the
//! reservation knows of it. Neither is ever written again.

use parkade_domain::document::{Document, Entry, Kind, Number};
use parkade_domain::ids::{PaymentId, ReservationId};
use parkade_domain::money::Currency;

use crate::attributes::{Item, Reader, SCHEMA, from_json, json, keyed, number, text};
use crate::error::StoreError;
use crate::keys;

const SCHEMA_VERSION: i64 = 1;

pub(crate) fn write(document: &Document) -> Result<Item, StoreError> {
    let mut item = keyed(keys::series_partition(&document.number.series), keys::serial_sort(document.number.serial));
    item.insert(SCHEMA.to_owned(), number(SCHEMA_VERSION));
    item.insert("doc".to_owned(), json(document)?);
    Ok(item)
}

pub(crate) fn read(item: &Item) -> Result<Document, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    let document: Document = from_json(&reader, "doc")?;
    if document.adds_up() { Ok(document) } else { Err(reader.corrupt("the document does not add up")) }
}

pub(crate) fn write_entry(entry: &Entry) -> Item {
    let mut item =
        keyed(keys::reservation_partition(entry.id.payment.reservation), keys::document_entry_sort(entry.position));
    item.extend([
        (SCHEMA.to_owned(), number(SCHEMA_VERSION)),
        ("n".to_owned(), number(entry.id.payment.number)),
        ("k".to_owned(), text(entry.kind.as_str())),
        ("no".to_owned(), text(entry.number.to_string())),
        ("am".to_owned(), number(entry.total_minor)),
        ("cu".to_owned(), text(entry.currency.code())),
        ("ia".to_owned(), number(entry.issued_at_s)),
    ]);
    item
}

pub(crate) fn read_entry(item: &Item) -> Result<Entry, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    let reservation = reader.parsed(keys::PK, |pk| ReservationId::from_code(pk.strip_prefix("R#")?).ok())?;
    let kind = reader.parsed("k", Kind::parse)?;
    Ok(Entry {
        position: reader.parsed(keys::SK, |sk| sk.strip_prefix(keys::ENTRY_PREFIX)?.parse().ok())?,
        id: kind.id_of(PaymentId { reservation, number: reader.number("n")? }),
        kind,
        number: reader.parsed("no", |number| number.parse::<Number>().ok())?,
        total_minor: reader.number("am")?,
        currency: reader.parsed("cu", |code| Currency::from_code(code).ok())?,
        issued_at_s: reader.number("ia")?,
    })
}
