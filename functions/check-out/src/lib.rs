//! check-out
