//! Cold start of `pay`.
fn main() {}
