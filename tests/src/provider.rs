//! A payment provider reduced to what matters: it remembers what it did for every key, and answers the same again.

use std::collections::BTreeMap;

use parkade_domain::ids::PaymentId;
use parkade_domain::payment::{Payment, Word};

/// One entry of the provider's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// Minor units moved; 0 if it said no.
    pub amount_minor: i64,
    /// For a refund the number of the charge it returns, for a charge 0.
    pub of: u8,
    /// How often it was asked.
    pub asked: u32,
}

/// The provider's books, by our payment (which is its idempotency key).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Provider {
    books: BTreeMap<(u64, u8), Entry>,
}

impl Provider {
    /// Carries out a charge or refund once per key; `declines` says what to answer if the key is new.
    ///
    /// # Panics
    /// If more is refunded than was captured, or the same key comes with another amount: both would be our bug.
    pub fn ask(&mut self, payment: &Payment, declines: bool) -> Word {
        let key = key(payment.id);
        let of = payment.returns().unwrap_or(0);
        let amount_minor = if declines { 0 } else { payment.amount_minor };
        let known = self.books.entry(key).or_insert(Entry { amount_minor, of, asked: 0 });
        known.asked += 1;
        let entry = *known;
        let declined = entry.amount_minor == 0;
        assert!(declined || entry.amount_minor == payment.amount_minor, "key {key:?} was used for another amount");
        if of > 0 {
            let captured = self.books.get(&(key.0, of)).map_or(0, |charge| charge.amount_minor);
            assert!(self.refunded(payment.id, of) <= captured, "more than {captured} is refunded of charge {of}");
        }
        if declined {
            return Word::Declined { code: "card_declined".to_owned() };
        }
        Word::Succeeded { reference: format!("pi_{}_{}", payment.id.reservation.code(), payment.id.number) }
    }

    /// The driver's bank sends a refund back: what it says of it from now on is no.
    pub fn send_back(&mut self, id: PaymentId) {
        if let Some(entry) = self.books.get_mut(&key(id)) {
            entry.amount_minor = 0;
        }
    }

    /// Whether the driver's bank sent a refund back.
    #[must_use]
    pub fn is_sent_back(&self, id: PaymentId) -> bool {
        self.entry(id).is_some_and(|entry| entry.of > 0 && entry.amount_minor == 0)
    }

    /// What it did for a payment, if it was asked.
    #[must_use]
    pub fn entry(&self, id: PaymentId) -> Option<Entry> {
        self.books.get(&key(id)).copied()
    }

    /// Minor units captured minus refunded for a reservation.
    #[must_use]
    pub fn kept_minor(&self, reservation: parkade_domain::ids::ReservationId) -> i64 {
        let own = self.books.range((reservation.bits(), 0)..=(reservation.bits(), u8::MAX));
        own.map(|(_, entry)| if entry.of == 0 { entry.amount_minor } else { -entry.amount_minor }).sum()
    }

    /// Forgets how often it was asked, so that books that differ only in that are equal.
    #[must_use]
    pub fn without_counts(&self) -> Self {
        let entry = |(key, entry): (&(u64, u8), &Entry)| (*key, Entry { asked: 1, ..*entry });
        Self { books: self.books.iter().map(entry).collect() }
    }

    fn refunded(&self, id: PaymentId, of: u8) -> i64 {
        let own = self.books.range((id.reservation.bits(), 0)..=(id.reservation.bits(), u8::MAX));
        own.filter(|(_, entry)| entry.of == of).map(|(_, entry)| entry.amount_minor).sum()
    }
}

fn key(id: PaymentId) -> (u64, u8) {
    (id.reservation.bits(), id.number)
}
