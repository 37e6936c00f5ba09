//! Cold start of `list-spots`.
fn main() {}
