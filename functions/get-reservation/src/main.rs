//! Cold start of `get-reservation`.
fn main() {}
