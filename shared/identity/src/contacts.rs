//! Encryption of e-mail addresses and phone numbers, with a key of its own.

use parkade_domain::ids::UserId;
use ring::aead::Aad;

use crate::keys::{CIPHER_HEADER_BYTES, CipherError, Keys, length_prefix};

/// Longest contact that is encrypted, in bytes: an e-mail address.
pub const CONTACT_BYTES_MAX: usize = 254;

/// Which contact of a user a ciphertext holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// The e-mail address.
    Email,
    /// The phone number.
    Phone,
}

impl Contact {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Email => b"email",
            Self::Phone => b"phone",
        }
    }
}

impl Keys {
    /// Encrypts a contact of a user (AES-256-GCM, a random nonce per call).
    ///
    /// # Errors
    /// [`CipherError::TooLong`] or [`CipherError::NoRandomness`].
    pub fn seal_contact(&self, user: &UserId, contact: Contact, text: &str) -> Result<Vec<u8>, CipherError> {
        if text.len() > CONTACT_BYTES_MAX {
            return Err(CipherError::TooLong);
        }
        self.seal(text, |generation| &generation.contact, |header| associated(header, user, contact))
    }

    /// Reads what [`Keys::seal_contact`] wrote for the same user and contact.
    ///
    /// # Errors
    /// [`CipherError`] if the bytes were changed, moved, or written with an unknown layout or key.
    pub fn open_contact(&self, user: &UserId, contact: Contact, bytes: &[u8]) -> Result<String, CipherError> {
        self.open(bytes, |generation| &generation.contact, |header| associated(header, user, contact))
    }
}

/// Binds a ciphertext to its header, user and kind of contact: moved anywhere else, it does not open.
fn associated(header: [u8; CIPHER_HEADER_BYTES], user: &UserId, contact: Contact) -> Aad<Vec<u8>> {
    let user = user.as_str().as_bytes();
    Aad::from([header.as_slice(), &length_prefix(user), user, contact.label()].concat())
}

#[cfg(test)]
mod tests {
    use parkade_domain::ids::{Claimant, LotId, ReservationId};

    use super::*;

    fn keys(byte: u8) -> Keys {
        Keys::from_master(&[byte; 32])
    }

    fn user(text: &str) -> UserId {
        UserId::new(text).unwrap()
    }

    #[test]
    fn a_contact_opens_only_for_its_user_and_kind_and_after_a_rotation() {
        let (alice, bob) = (user("alice"), user("bob"));
        let sealed = keys(1).seal_contact(&alice, Contact::Email, "a@example.com").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"example"));
        let open = |keys: &Keys, user, contact| keys.open_contact(user, contact, &sealed);
        assert_eq!(open(&keys(1), &alice, Contact::Email).unwrap(), "a@example.com");
        assert_eq!(open(&keys(2).with_previous(&[1; 32]), &alice, Contact::Email).unwrap(), "a@example.com");
        assert_eq!(open(&keys(1), &bob, Contact::Email), Err(CipherError::Tampered));
        assert_eq!(open(&keys(1), &alice, Contact::Phone), Err(CipherError::Tampered));
        let (lot, stay) = (LotId::new("alice").unwrap(), ReservationId::new(Claimant::Reservation, 5));
        assert_eq!(keys(1).decrypt_plate(&lot, stay, &sealed), Err(CipherError::Tampered), "the keys differ");
        let long = "x".repeat(CONTACT_BYTES_MAX + 1);
        assert_eq!(keys(1).seal_contact(&alice, Contact::Email, &long), Err(CipherError::TooLong));
    }

    /// A change of the derivation or the binding loses every stored contact. The ciphertext comes from another implementation
    /// (Python's cryptography package), with a nonce of zeros.
    #[test]
    fn the_derivation_never_changes() {
        let tail = b"\xa1\x40\x04\x50\x6d\x8d\xb1\xa7\x85\x35\xa5\x4d\xc4\xd6\x51\x61\x93\x19\xd3\x24\xb8\x7a";
        let sealed = [[1, 0x2c].as_slice(), &[0; 12], tail].concat();
        assert_eq!(keys(1).open_contact(&user("alice"), Contact::Email, &sealed).unwrap(), "a@b.de");
    }
}
