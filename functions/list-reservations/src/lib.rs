//! list-reservations
