//! Cold start of `no-show-sweep`.
fn main() {}
