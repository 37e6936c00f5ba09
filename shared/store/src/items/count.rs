//! `L#<lot>` / `COUNT#<till>#<number>`: one count of a till. It is never changed.

use parkade_domain::ids::{LotId, TillId, UserId};
use parkade_domain::money::Currency;
use parkade_domain::reservation::Mark;
use parkade_domain::till::Count;

use crate::attributes::{Item, Reader, SCHEMA, keyed, number, text};
use crate::error::StoreError;
use crate::keys;

const SCHEMA_VERSION: i64 = 1;

/// Builds the item.
pub(crate) fn write(count: &Count) -> Item {
    let mut item = keyed(keys::lot_partition(&count.lot), keys::count_sort(&count.till, count.number));
    let mut put = |name: &str, value| drop(item.insert(name.to_owned(), value));
    put(SCHEMA, number(SCHEMA_VERSION));
    put("cu", text(count.currency.code()));
    put("ex", number(count.expected_minor));
    put("co", number(count.counted_minor));
    put("lf", number(count.left_minor));
    put("by", text(count.by.as_str()));
    put("at", number(count.at_s));
    put("mk", text(count.mark.key.to_string()));
    put("mf", text(count.mark.fingerprint.to_string()));
    item
}

/// Reads the item.
pub(crate) fn read(item: &Item) -> Result<Count, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    let (till, number) = reader.parsed(keys::SK, |sk| {
        let (till, number) = sk.strip_prefix(keys::COUNT_PREFIX)?.split_once('#')?;
        Some((TillId::new(till).ok()?, number.parse().ok()?))
    })?;
    Ok(Count {
        lot: reader.parsed(keys::PK, |pk| LotId::new(pk.strip_prefix("L#")?).ok())?,
        till,
        number,
        currency: reader.parsed("cu", |code| Currency::from_code(code).ok())?,
        expected_minor: reader.number("ex")?,
        counted_minor: reader.number("co")?,
        left_minor: reader.number("lf")?,
        by: reader.parsed("by", |user| UserId::new(user).ok())?,
        at_s: reader.number("at")?,
        mark: Mark {
            key: reader.parsed("mk", |text| text.parse().ok())?,
            fingerprint: reader.parsed("mf", |text| text.parse().ok())?,
        },
    })
}
