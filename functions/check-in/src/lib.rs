//! check-in
