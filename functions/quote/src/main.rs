//! Cold start of `quote`.
fn main() {}
