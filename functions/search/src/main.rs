//! Cold start of `search`.
fn main() {}
