//! Cold start of `list-reservations`.
fn main() {}
