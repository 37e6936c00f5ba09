//! The hash chain of one book and month: each entry's hash covers the entry, its place and the hash before it.
//!
//! The bytes that are hashed (SHA-256), so that anybody can compute them: a sequence of fields, each a length (32 bits, big-endian) and as
//! many bytes. Text is UTF-8, a number is 8 bytes, big-endian, two's complement, an absent reference is an empty field.
//!
//! - The hash before the first entry: `parkade-ledger/1`, the book, the month (`2026-11`).
//! - An entry's hash: the hash before it (32 bytes), its number from 1, id, currency, epoch second, cause, reservation, payment, provider
//!   reference, the number of postings, and for each posting, sorted as stored, account and amount.

use std::fmt;
use std::io::Write as _;
use std::str::FromStr;

use parkade_domain::ids::LotId;
use ring::digest::{SHA256, digest};

use crate::entry::Entry;
use crate::month::Month;

/// Names the encoding; another encoding is another name.
const ENCODING: &str = "parkade-ledger/1";
/// No lot can have this name.
const PROVIDER: &str = "*provider";

/// Whose books.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Book {
    /// A lot's.
    Lot(LotId),
    /// What concerns the account at the payment provider and no lot: payouts, fees for the account.
    Provider,
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lot(lot) => write!(f, "{lot}"),
            Self::Provider => f.write_str(PROVIDER),
        }
    }
}

impl FromStr for Book {
    type Err = parkade_domain::ids::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == PROVIDER { Ok(Self::Provider) } else { LotId::new(text).map(Self::Lot) }
    }
}

/// A SHA-256 hash; printed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// Not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hexadecimal digits")]
pub struct NotAHash;

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        let bytes: Option<[u8; 32]> = bytes.filter(|_| rest.is_empty()).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(NotAHash)
    }
}

/// The end of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of entries.
    pub seq: u64,
    /// Hash of the last one.
    pub hash: Hash,
}

/// An entry at its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The entry.
    pub entry: Entry,
    /// Its number in the chain, from 1.
    pub seq: u64,
    /// The hash of the entry before it.
    pub previous: Hash,
    /// Its own hash.
    pub hash: Hash,
}

impl Sealed {
    /// The chain's end if this is the last entry.
    #[must_use]
    pub const fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash }
    }
}

/// Where a chain begins: no entry, and a hash that belongs to this book and month alone.
#[must_use]
pub fn genesis(book: &Book, month: Month) -> Head {
    let mut bytes = Vec::new();
    for text in [ENCODING, &book.to_string(), &month.to_string()] {
        field(&mut bytes, text.as_bytes());
    }
    Head { seq: 0, hash: hashed(&bytes) }
}

/// The hash of an entry as number `seq` after `previous`.
#[must_use]
pub fn link(previous: Hash, seq: u64, entry: &Entry) -> Hash {
    hashed(&encoded(previous, seq, entry))
}

/// Puts entries at the end of a chain.
#[must_use]
pub fn seal(head: Head, entries: impl IntoIterator<Item = Entry>) -> Vec<Sealed> {
    let mut head = head;
    let one = |entry: Entry| {
        let (previous, seq) = (head.hash, head.seq + 1);
        head = Head { seq, hash: link(previous, seq, &entry) };
        Sealed { entry, seq, previous, hash: head.hash }
    };
    entries.into_iter().map(one).collect()
}

fn encoded(previous: Hash, seq: u64, entry: &Entry) -> Vec<u8> {
    let about = &entry.about;
    let mut bytes = Vec::with_capacity(512);
    field(&mut bytes, &previous.0);
    field(&mut bytes, &seq.to_be_bytes());
    field(&mut bytes, about.id.as_bytes());
    field(&mut bytes, about.currency.code().as_bytes());
    field(&mut bytes, &about.at_s.to_be_bytes());
    field(&mut bytes, about.cause.as_str().as_bytes());
    printed(&mut bytes, about.reservation);
    printed(&mut bytes, about.payment);
    printed(&mut bytes, about.provider_reference.as_ref());
    let count = u64::try_from(entry.postings().len()).unwrap_or(u64::MAX);
    field(&mut bytes, &count.to_be_bytes());
    for posting in entry.postings() {
        printed(&mut bytes, Some(&posting.account));
        field(&mut bytes, &posting.amount_minor.to_be_bytes());
    }
    bytes
}

fn field(bytes: &mut Vec<u8>, value: &[u8]) {
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(value);
}

/// A field of printed text, without an allocation of its own; nothing is an empty field.
fn printed(bytes: &mut Vec<u8>, value: Option<impl fmt::Display>) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    if let Some(value) = value {
        // Writing to a vector never fails.
        write!(bytes, "{value}").unwrap_or_default();
    }
    let length = u32::try_from(bytes.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(place) = bytes.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

fn hashed(bytes: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Hash(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::charge;

    #[test]
    fn the_hashes_of_stored_chains_never_change() {
        let book = Book::Lot(LotId::new("central").unwrap());
        let begin = genesis(&book, "2026-11".parse().unwrap());
        assert_eq!(begin.hash.to_string(), GENESIS);
        let sealed = seal(begin, [charge("a", 400), charge("b", -150)]);
        let hashes: Vec<String> = sealed.iter().map(|sealed| sealed.hash.to_string()).collect();
        assert_eq!(hashes, HASHES);
        assert_eq!((sealed[0].previous, sealed[1].previous), (begin.hash, sealed[0].hash));
        assert_eq!(GENESIS.parse(), Ok(begin.hash));
    }

    /// Computed by another program from the description above.
    const GENESIS: &str = "f716cb080eebfed261a118045fc0370f852d1fed40d79c2abb7f9e8cf3c9b15b";
    const HASHES: [&str; 2] = [
        "03e342b3860581f8077e2092590aa2f918d4740bd00b1bdaf4cc67c5225b3524",
        "2f4a5b75bc6d6d843bec97fa6dae579ab7475de2f7318c9b2003b0815d6d097a",
    ];

    #[test]
    fn every_field_is_part_of_the_hash() {
        let head = genesis(&Book::Provider, "2026-11".parse().unwrap());
        let base = charge("a", 400);
        let with = |change: fn(&mut crate::About)| {
            let mut entry = base.clone();
            change(&mut entry.about);
            link(head.hash, 1, &entry)
        };
        let mut hashes = vec![
            link(head.hash, 1, &base),
            link(head.hash, 2, &base),
            link(genesis(&Book::Provider, "2026-12".parse().unwrap()).hash, 1, &base),
            link(head.hash, 1, &charge("a", 401)),
            with(|about| about.id = "b".to_owned()),
            with(|about| about.currency = parkade_domain::money::Currency::from_code("USD").unwrap()),
            with(|about| about.at_s += 1),
            with(|about| about.cause = crate::Cause::Refund),
            with(|about| about.reservation = None),
            with(|about| about.payment = None),
            with(|about| about.provider_reference = None),
            // What moves from one field into the next is another entry.
            with(|about| (about.id, about.provider_reference) = ("apa".to_owned(), Some("pi_1".to_owned()))),
        ];
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }

    #[test]
    fn a_lot_can_never_have_the_providers_book() {
        assert_eq!("*provider".parse(), Ok(Book::Provider));
        assert!(LotId::new("*provider").is_err());
        assert!("a b".parse::<Book>().is_err());
        for text in ["", "00", "zz", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)] {
            assert_eq!(text.parse::<Hash>(), Err(NotAHash), "{text}");
        }
    }
}
