//! Cold start of `occupancy`.
fn main() {}
