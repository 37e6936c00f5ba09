//! Cold start of `overstay-sweep`.
fn main() {}
