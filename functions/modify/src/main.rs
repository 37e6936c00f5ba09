//! Cold start of `modify`.
fn main() {}
