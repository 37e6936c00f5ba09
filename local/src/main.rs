//! parkade

fn main() {}
