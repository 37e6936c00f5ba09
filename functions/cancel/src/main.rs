//! Cold start of `cancel`.
fn main() {}
