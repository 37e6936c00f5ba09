//! get-payment
