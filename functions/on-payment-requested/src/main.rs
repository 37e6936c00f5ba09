//! Cold start of `on-payment-requested`.
fn main() {}
