//! Cold start of `get-spot`.
fn main() {}
