//! Cold start of `put-lot`.
fn main() {}
