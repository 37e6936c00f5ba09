//! Cold start of `set-spot-status`.
fn main() {}
