//! get-spot
