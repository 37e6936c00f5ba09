//! Cold start of `reserve`.
fn main() {}
