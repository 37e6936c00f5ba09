//! Cold start of `discover`.
fn main() {}
