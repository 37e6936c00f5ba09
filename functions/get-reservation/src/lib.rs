//! get-reservation
