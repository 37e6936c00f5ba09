//! Cold start of `publish-events`.
fn main() {}
