//! Keys derived from one master secret: encryption of plates and contacts, the plate's blind index, reservation ids, quotes.
//!
//! Each use has its own key (HKDF-SHA256 with a label), so learning one says nothing about another. Every ciphertext and
//! every index begins with bytes that name layout and master key, so that a master key can be rotated while old records
//! stay readable.

use std::fmt;

use parkade_domain::ids::{LotId, ReservationId, UserId};
use parkade_domain::plate::Plate;
use parkade_domain::reservation::SealedPlate;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hkdf, hmac};
use thiserror::Error;

/// Bytes of the master secret.
pub const MASTER_KEY_BYTES: usize = 32;
/// Longest plate text that is encrypted, in bytes: the longest that parses, in UTF-8, with its region.
pub const PLATE_BYTES_MAX: usize = 160;

/// Bytes of a quote's seal: a whole HMAC-SHA256.
pub const QUOTE_TAG_BYTES: usize = 32;

/// First byte of a ciphertext: `layout | key id | nonce (12) | ciphertext | tag (16)`.
const CIPHER_LAYOUT: u8 = 1;
pub(crate) const CIPHER_HEADER_BYTES: usize = 2;
const SALT: &[u8] = b"parkade keys v1";

/// Why a plate or a contact cannot be encrypted or read. Says nothing about keys or content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CipherError {
    /// The text is longer than [`PLATE_BYTES_MAX`] or [`crate::contacts::CONTACT_BYTES_MAX`].
    #[error("the text is too long")]
    TooLong,
    /// The operating system gave no random bytes.
    #[error("no randomness available")]
    NoRandomness,
    /// The bytes are not of a known layout.
    #[error("the ciphertext has an unknown layout")]
    UnknownLayout,
    /// The bytes were made with a master key that is not loaded.
    #[error("the ciphertext was made with an unknown key")]
    UnknownKey,
    /// Changed bytes, or a ciphertext moved from where it belongs.
    #[error("the ciphertext does not belong here or was changed")]
    Tampered,
}

/// The derived keys of one master secret, and those of its predecessors for reading.
pub struct Keys {
    current: Generation,
    previous: Vec<Generation>,
    random: SystemRandom,
}

impl Keys {
    /// Derives all keys from the master secret.
    #[must_use]
    pub fn from_master(master: &[u8; MASTER_KEY_BYTES]) -> Self {
        Self { current: Generation::derive(master), previous: Vec::new(), random: SystemRandom::new() }
    }

    /// Also reads what an earlier master secret wrote. New plates and ids use the current one only; a request retried
    /// across a rotation is therefore a new request.
    #[must_use]
    pub fn with_previous(mut self, master: &[u8; MASTER_KEY_BYTES]) -> Self {
        self.previous.push(Generation::derive(master));
        self
    }

    /// The blind index of a canonical plate in one lot: key id, then 15 bytes of HMAC-SHA256. Equal plates of different
    /// lots have different indexes.
    #[must_use]
    pub fn plate_index(&self, lot: &LotId, canonical: &str) -> [u8; 16] {
        self.current.plate_index(lot, canonical)
    }

    /// Every index under which this plate may be stored: the current one first, then those of earlier master secrets.
    pub fn plate_indexes<'a>(&'a self, lot: &'a LotId, canonical: &'a str) -> impl Iterator<Item = [u8; 16]> + 'a {
        self.generations().map(move |generation| generation.plate_index(lot, canonical))
    }

    /// A plate as a reservation keeps it: the typed text with its region encrypted, the canonical form as blind index (G6).
    ///
    /// # Errors
    /// As [`Keys::encrypt_plate`].
    pub fn seal_plate(
        &self,
        lot: &LotId,
        reservation: ReservationId,
        plate: &Plate,
        typed: &str,
    ) -> Result<SealedPlate, CipherError> {
        let text = format!("{} {typed}", plate.region().unwrap_or("-"));
        let sealed = self.encrypt_plate(lot, reservation, &text)?;
        Ok(SealedPlate { sealed, index: self.plate_index(lot, plate.canonical()) })
    }

    /// Encrypts a plate for one reservation of one lot (AES-256-GCM, a random nonce per call).
    ///
    /// One master key is good for 2^32 plates, far beyond its rotation.
    ///
    /// # Errors
    /// [`CipherError::TooLong`] or [`CipherError::NoRandomness`].
    pub fn encrypt_plate(&self, lot: &LotId, reservation: ReservationId, text: &str) -> Result<Vec<u8>, CipherError> {
        if text.len() > PLATE_BYTES_MAX {
            return Err(CipherError::TooLong);
        }
        self.seal(text, |generation| &generation.plate, |header| of_reservation(header, lot, reservation))
    }

    /// Reads what [`Keys::encrypt_plate`] wrote for the same lot and reservation.
    ///
    /// # Errors
    /// [`CipherError`] if the bytes were changed, moved, or written with an unknown layout or key.
    pub fn decrypt_plate(&self, lot: &LotId, reservation: ReservationId, bytes: &[u8]) -> Result<String, CipherError> {
        self.open(bytes, |generation| &generation.plate, |header| of_reservation(header, lot, reservation))
    }

    pub(crate) fn seal(
        &self,
        text: &str,
        key: fn(&Generation) -> &LessSafeKey,
        associated: impl Fn([u8; CIPHER_HEADER_BYTES]) -> Aad<Vec<u8>>,
    ) -> Result<Vec<u8>, CipherError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| CipherError::NoRandomness)?;
        let header = [CIPHER_LAYOUT, self.current.id];
        let mut sealed = text.as_bytes().to_vec();
        key(&self.current)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), associated(header), &mut sealed)
            .map_err(|_| CipherError::TooLong)?;
        Ok([header.as_slice(), &nonce, &sealed].concat())
    }

    pub(crate) fn open(
        &self,
        bytes: &[u8],
        key: fn(&Generation) -> &LessSafeKey,
        associated: impl Fn([u8; CIPHER_HEADER_BYTES]) -> Aad<Vec<u8>>,
    ) -> Result<String, CipherError> {
        let (header, rest) = bytes.split_first_chunk::<CIPHER_HEADER_BYTES>().ok_or(CipherError::UnknownLayout)?;
        let [layout, key_id] = *header;
        if layout != CIPHER_LAYOUT {
            return Err(CipherError::UnknownLayout);
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(CipherError::UnknownLayout)?;
        let mut outcome = Err(CipherError::UnknownKey);
        // Two master keys share an id once in 256 pairs; then the tag decides.
        for generation in self.generations().filter(|generation| generation.id == key_id) {
            outcome = opened(key(generation), *nonce, associated(*header), sealed);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// The hash part of a reservation's id: it names the command, so a retry finds its own record, and nobody without the
    /// key can guess the id of somebody else's reservation.
    #[must_use]
    pub fn reservation_hash(&self, subject: &UserId, idempotency_key: &str) -> u64 {
        let tag = keyed(&self.current.reservation, &[subject.as_str().as_bytes(), idempotency_key.as_bytes()]);
        tag.as_ref().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    /// Seals what a quote promises, so that it can travel through the client and come back unchanged (HMAC-SHA256).
    #[must_use]
    pub fn quote_tag(&self, promise: &[u8]) -> [u8; QUOTE_TAG_BYTES] {
        let tag = hmac::sign(&self.current.quote, promise);
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// Whether [`Self::quote_tag`] sealed exactly this promise, with this master secret or an earlier one.
    #[must_use]
    pub fn is_quote(&self, promise: &[u8], tag: &[u8]) -> bool {
        self.generations().any(|generation| hmac::verify(&generation.quote, promise, tag).is_ok())
    }

    fn generations(&self) -> impl Iterator<Item = &Generation> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(redacted)")
    }
}

/// 16 bytes that change when any part or any boundary between parts changes (SHA-256 over length-prefixed parts).
///
/// It has no key: never pass a plate or anything else that can be guessed by trying; pass its blind index.
#[must_use]
pub fn fingerprint(parts: &[&[u8]]) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&length_prefix(part));
        context.update(part);
    }
    first_16(context.finish().as_ref())
}

/// All keys of one master secret.
pub(crate) struct Generation {
    id: u8,
    plate: LessSafeKey,
    pub(crate) contact: LessSafeKey,
    index: hmac::Key,
    reservation: hmac::Key,
    quote: hmac::Key,
}

impl Generation {
    fn derive(master: &[u8; MASTER_KEY_BYTES]) -> Self {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(master);
        let id_key = hmac_key(&secret, b"key id");
        let id = hmac::sign(&id_key, b"id").as_ref().first().copied().unwrap_or_default();
        Self {
            id,
            plate: LessSafeKey::new(aead_key(&secret, b"plate encryption")),
            contact: LessSafeKey::new(aead_key(&secret, b"contact encryption")),
            index: hmac_key(&secret, b"plate index"),
            reservation: hmac_key(&secret, b"reservation id"),
            quote: hmac_key(&secret, b"quote"),
        }
    }

    fn plate_index(&self, lot: &LotId, canonical: &str) -> [u8; 16] {
        let mut index = first_16(keyed(&self.index, &[lot.as_str().as_bytes(), canonical.as_bytes()]).as_ref());
        if let Some(first) = index.first_mut() {
            *first = self.id;
        }
        index
    }
}

fn opened(key: &LessSafeKey, nonce: [u8; NONCE_LEN], aad: Aad<Vec<u8>>, sealed: &[u8]) -> Result<String, CipherError> {
    let mut buffer = sealed.to_vec();
    let text =
        key.open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut buffer).map_err(|_| CipherError::Tampered)?;
    String::from_utf8(text.to_vec()).map_err(|_| CipherError::Tampered)
}

fn hmac_key(secret: &hkdf::Prk, label: &[u8]) -> hmac::Key {
    match secret.expand(&[label], hmac::HMAC_SHA256) {
        Ok(okm) => hmac::Key::from(okm),
        Err(ring::error::Unspecified) => unreachable!("an HKDF output of one hash length always exists"),
    }
}

fn aead_key(secret: &hkdf::Prk, label: &[u8]) -> UnboundKey {
    match secret.expand(&[label], &AES_256_GCM) {
        Ok(okm) => UnboundKey::from(okm),
        Err(ring::error::Unspecified) => unreachable!("an HKDF output of one hash length always exists"),
    }
}

fn keyed(key: &hmac::Key, parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&length_prefix(part));
        context.update(part);
    }
    context.sign()
}

/// Binds a ciphertext to its header, lot and reservation: moved anywhere else, it does not open.
fn of_reservation(header: [u8; CIPHER_HEADER_BYTES], lot: &LotId, reservation: ReservationId) -> Aad<Vec<u8>> {
    let lot = lot.as_str().as_bytes();
    Aad::from([header.as_slice(), &length_prefix(lot), lot, &reservation.bits().to_be_bytes()].concat())
}

pub(crate) fn length_prefix(part: &[u8]) -> [u8; 8] {
    // `usize` has at most 64 bits on every platform this runs on.
    u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes()
}

fn first_16(bytes: &[u8]) -> [u8; 16] {
    bytes.first_chunk::<16>().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use parkade_domain::ids::Claimant;

    use super::*;

    const PLATE: &str = "B NO 1234";

    fn keys(byte: u8) -> Keys {
        Keys::from_master(&[byte; 32])
    }

    fn lot(text: &str) -> LotId {
        LotId::new(text).unwrap()
    }

    fn user(text: &str) -> UserId {
        UserId::new(text).unwrap()
    }

    fn reservation(hash: u64) -> ReservationId {
        ReservationId::new(Claimant::Reservation, hash)
    }

    #[test]
    fn a_plate_reads_back_and_never_encrypts_to_the_same_bytes() {
        let keys = keys(1);
        let first = keys.encrypt_plate(&lot("l"), reservation(5), PLATE).unwrap();
        let second = keys.encrypt_plate(&lot("l"), reservation(5), PLATE).unwrap();
        assert_ne!(first, second);
        assert_eq!(first.len(), 2 + 12 + PLATE.len() + 16);
        assert!(!first.windows(4).any(|window| window == b"1234"));
        assert_eq!(keys.decrypt_plate(&lot("l"), reservation(5), &first).unwrap(), PLATE);
        assert_eq!(keys.decrypt_plate(&lot("l"), reservation(5), &second).unwrap(), PLATE);
    }

    #[test]
    fn a_sealed_plate_keeps_what_was_typed_and_is_found_by_what_it_means() {
        let keys = keys(1);
        let plate = Plate::parse(Some("de"), "b-no 1234").unwrap();
        let sealed = keys.seal_plate(&lot("l"), reservation(5), &plate, "b-no 1234").unwrap();
        assert_eq!(sealed.index, keys.plate_index(&lot("l"), "BNO1234"));
        assert_eq!(keys.decrypt_plate(&lot("l"), reservation(5), &sealed.sealed).unwrap(), "DE b-no 1234");
    }

    #[test]
    fn flipping_any_bit_is_noticed() {
        let keys = keys(1);
        let sealed = keys.encrypt_plate(&lot("l"), reservation(5), PLATE).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(keys.decrypt_plate(&lot("l"), reservation(5), &changed).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(keys.decrypt_plate(&lot("l"), reservation(5), &sealed[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_ciphertext_opens_only_for_its_lot_and_reservation() {
        let keys = keys(1);
        let sealed = keys.encrypt_plate(&lot("l"), reservation(5), PLATE).unwrap();
        assert_eq!(keys.decrypt_plate(&lot("m"), reservation(5), &sealed), Err(CipherError::Tampered));
        assert_eq!(keys.decrypt_plate(&lot("l"), reservation(6), &sealed), Err(CipherError::Tampered));
    }

    #[test]
    fn after_a_rotation_old_plates_open_and_new_ones_name_the_new_key() {
        let old = keys(1).encrypt_plate(&lot("l"), reservation(5), PLATE).unwrap();
        let rotated = keys(2).with_previous(&[1; 32]);
        assert_eq!(rotated.decrypt_plate(&lot("l"), reservation(5), &old).unwrap(), PLATE);
        let new = rotated.encrypt_plate(&lot("l"), reservation(5), PLATE).unwrap();
        assert_ne!(old[1], new[1], "the key id byte tells the generations apart");
        assert_eq!(keys(2).decrypt_plate(&lot("l"), reservation(5), &old), Err(CipherError::UnknownKey));
        assert_eq!(keys(2).decrypt_plate(&lot("l"), reservation(5), &new).unwrap(), PLATE);
        let (plate_lot, indexes) = (lot("l"), [keys(2), keys(1)].map(|keys| keys.plate_index(&lot("l"), "BNO1234")));
        assert_eq!(rotated.plate_indexes(&plate_lot, "BNO1234").collect::<Vec<_>>(), indexes);
        assert_eq!(indexes.map(|index| index[0]), [new[1], old[1]]);
    }

    #[test]
    fn an_unknown_layout_is_told_apart_from_a_wrong_key() {
        let mut sealed = keys(1).encrypt_plate(&lot("l"), reservation(5), PLATE).unwrap();
        sealed[0] = 2;
        assert_eq!(keys(1).decrypt_plate(&lot("l"), reservation(5), &sealed), Err(CipherError::UnknownLayout));
        assert_eq!(keys(1).decrypt_plate(&lot("l"), reservation(5), &[]), Err(CipherError::UnknownLayout));
        let long = "x".repeat(PLATE_BYTES_MAX + 1);
        assert_eq!(keys(1).encrypt_plate(&lot("l"), reservation(5), &long), Err(CipherError::TooLong));
    }

    #[test]
    fn an_index_is_stable_per_lot_and_plate_and_key() {
        let index = keys(1).plate_index(&lot("l"), "BNO1234");
        assert_eq!(index, keys(1).plate_index(&lot("l"), "BNO1234"));
        let different = BTreeSet::from([
            index,
            keys(1).plate_index(&lot("m"), "BNO1234"),
            keys(1).plate_index(&lot("l"), "BNO1235"),
            keys(1).plate_index(&lot("lB"), "NO1234"),
            keys(2).plate_index(&lot("l"), "BNO1234"),
        ]);
        assert_eq!(different.len(), 5);
    }

    #[test]
    fn reservation_hashes_need_the_key_and_keep_subject_and_key_apart() {
        let hash = keys(1).reservation_hash(&user("alice"), "k1");
        assert_eq!(hash, keys(1).reservation_hash(&user("alice"), "k1"));
        let different = BTreeSet::from([
            hash,
            keys(1).reservation_hash(&user("alice"), "k2"),
            keys(1).reservation_hash(&user("alicek"), "1"),
            keys(1).reservation_hash(&user("bob"), "k1"),
            keys(2).reservation_hash(&user("alice"), "k1"),
        ]);
        assert_eq!(different.len(), 5);
    }

    /// Stored ids, indexes and ciphertexts depend on these derivations: a change here loses data. The numbers come from
    /// another implementation (Python's hmac and hashlib).
    #[test]
    fn the_derivations_never_change() {
        assert_eq!(keys(1).reservation_hash(&user("alice"), "k1"), 10_072_032_828_794_934_419);
        assert_eq!(
            u128::from_be_bytes(keys(1).plate_index(&lot("l"), "BNO1234")),
            0x2cd3_2609_c4f2_36cc_0d90_26cc_fa6d_29a0
        );
        assert_eq!(u128::from_be_bytes(fingerprint(&[b"a", b"b"])), 0x3c9d_5910_45bc_8876_f9d0_399b_bfb0_5c6a);
    }

    #[test]
    fn a_fingerprint_sees_every_part_and_boundary() {
        let different = BTreeSet::from([
            fingerprint(&[]),
            fingerprint(&[b""]),
            fingerprint(&[b"ab"]),
            fingerprint(&[b"a", b"b"]),
            fingerprint(&[b"b", b"a"]),
            fingerprint(&[b"", b"ab"]),
        ]);
        assert_eq!(different.len(), 6);
    }

    #[test]
    fn debug_output_shows_no_key() {
        assert_eq!(format!("{:?}", keys(1)), "Keys(redacted)");
    }
}
