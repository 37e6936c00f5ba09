//! Cold start of `put-spots`.
fn main() {}
