//! Items of the Records stream as it shows them, before and after a change, in the domain's words.
//!
//! The stream is the outbox: whoever turns its records into events reads the stored format here, where it is written, and nowhere else.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use parkade_domain::document::Entry;
use parkade_domain::ids::{LotId, ReservationId, SpotIndex};
use parkade_domain::payment::Payment;
use parkade_domain::reservation::Reservation;
use parkade_domain::till::Count;
use parkade_domain::time::Window;
use serde_dynamo::AttributeValue as StreamValue;

use crate::attributes::{Item, Reader};
use crate::items::{count, document, payment, reservation};
use crate::keys::{COUNT_PREFIX, ENTRY_PREFIX, PK, RESERVATION_SORT, SK};
use crate::{StoreError, service};

/// An out-of-service interval of one spot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The lot.
    pub lot: LotId,
    /// The spot.
    pub spot: SpotIndex,
    /// What claims the spot in the calendar meanwhile.
    pub id: ReservationId,
    /// When.
    pub window: Window,
}

/// One item as it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// There was no item: before it was created, or after it was deleted.
    Absent,
    /// A reservation.
    Reservation(Box<Reservation>),
    /// A charge or refund.
    Payment(Box<Payment>),
    /// What a reservation knows of a receipt or credit note.
    Document(Box<Entry>),
    /// An out-of-service interval.
    Block(Block),
    /// A count of a till. It is never changed.
    Count(Box<Count>),
    /// A lot, its spots, its tariff, what lies in a wallet or a till: no event tells of them.
    Other,
}

/// Reads one image of a stream record; the stream shows an absent item as an empty one.
///
/// # Errors
/// [`StoreError::Corrupt`] if the item is of a schema that this version does not know, or damaged.
pub fn image(item: serde_dynamo::Item) -> Result<Image, StoreError> {
    let item: Item = item.into_inner().into_iter().map(|(name, value)| (name, attribute(value))).collect();
    if item.is_empty() {
        return Ok(Image::Absent);
    }
    let reader = Reader(&item);
    let (partition, sort) = (reader.text(PK)?, reader.text(SK)?);
    if partition.starts_with("R#") && sort == RESERVATION_SORT {
        return Ok(Image::Reservation(Box::new(reservation::read(&item)?)));
    }
    if partition.starts_with("R#") && sort.starts_with("P#") {
        return Ok(Image::Payment(Box::new(payment::read(&item)?)));
    }
    if partition.starts_with("R#") && sort.starts_with(ENTRY_PREFIX) {
        return Ok(Image::Document(Box::new(document::read_entry(&item)?)));
    }
    if partition.starts_with("L#") && sort.starts_with("OOS#") {
        return Ok(Image::Block(block(&item)?));
    }
    if partition.starts_with("L#") && sort.starts_with(COUNT_PREFIX) {
        return Ok(Image::Count(Box::new(count::read(&item)?)));
    }
    Ok(Image::Other)
}

fn block(item: &Item) -> Result<Block, StoreError> {
    let reader = Reader(item);
    let (id, window) = service::read_block(item)?;
    Ok(Block {
        lot: reader.parsed(PK, |pk| LotId::new(pk.strip_prefix("L#")?).ok())?,
        spot: reader.parsed(SK, |sk| Some(SpotIndex(sk.strip_prefix("OOS#")?.split_once('#')?.0.parse().ok()?)))?,
        id,
        window,
    })
}

/// The four types that our items have. Any other is not read by anyone, so it may become NULL.
fn attribute(value: StreamValue) -> AttributeValue {
    match value {
        StreamValue::S(text) => AttributeValue::S(text),
        StreamValue::N(number) => AttributeValue::N(number),
        StreamValue::B(bytes) => AttributeValue::B(Blob::new(bytes)),
        StreamValue::Bool(flag) => AttributeValue::Bool(flag),
        _ => AttributeValue::Null(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(pairs: &[(&str, &str)]) -> serde_dynamo::Item {
        let pairs = pairs.iter().map(|(name, text)| ((*name).to_owned(), StreamValue::S((*text).to_owned())));
        pairs.collect::<std::collections::HashMap<_, _>>().into()
    }

    #[test]
    fn an_item_of_an_unknown_schema_is_corrupt_and_one_without_events_is_other() {
        assert_eq!(image(item(&[])).unwrap(), Image::Absent);
        for sort in ["META", "DIR", "TARIFF#00000001", "TILL#kiosk-1"] {
            assert_eq!(image(item(&[("pk", "L#central"), ("sk", sort)])).unwrap(), Image::Other, "{sort}");
        }
        for (partition, sort) in [
            ("R#0000000000012", "A"),
            ("R#0000000000012", "P#01"),
            ("R#0000000000012", "C#001"),
            ("L#central", "OOS#00003#0000000000012"),
            ("L#central", "COUNT#kiosk-1#0000000007"),
        ] {
            let mut fields = item(&[("pk", partition), ("sk", sort)]).into_inner();
            fields.insert("_s".to_owned(), StreamValue::N("99".to_owned()));
            let read = image(fields.into());
            assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{sort}: {read:?}");
        }
        assert!(matches!(image(item(&[("pk", "R#0000000000012")])), Err(StoreError::Corrupt { .. })));
    }
}
