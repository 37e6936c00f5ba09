//! modify
