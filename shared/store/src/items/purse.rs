//! `U#<user>` / `WALLET#<currency>`: a user's credit. `L#<lot>` / `TILL#<till>`: the cash that a till should hold.

use parkade_domain::money::Currency;
use parkade_domain::purse::Purse;

use crate::attributes::{Item, Reader, SCHEMA, number, text};
use crate::error::StoreError;
use crate::items::reservation::VERSION;

const SCHEMA_VERSION: i64 = 1;

/// Builds the item that has this key.
pub(crate) fn write(key: Item, purse: &Purse) -> Item {
    let mut item = key;
    item.insert(SCHEMA.to_owned(), number(SCHEMA_VERSION));
    item.insert(VERSION.to_owned(), number(purse.version));
    item.insert("am".to_owned(), number(purse.minor));
    item.insert("cu".to_owned(), text(purse.currency.code()));
    item
}

/// Reads the item.
pub(crate) fn read(item: &Item) -> Result<Purse, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    Ok(Purse {
        currency: reader.parsed("cu", |code| Currency::from_code(code).ok())?,
        minor: reader.number("am")?,
        version: reader.number(VERSION)?,
    })
}
