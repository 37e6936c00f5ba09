//! Cold start of `get-payment`.
fn main() {}
