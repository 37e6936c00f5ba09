//! overstay-sweep
