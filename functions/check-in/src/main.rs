//! Cold start of `check-in`.
fn main() {}
