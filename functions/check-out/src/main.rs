//! Cold start of `check-out`.
fn main() {}
