//! on-payment-requested
