//! Cold start of `expire-holds`.
fn main() {}
