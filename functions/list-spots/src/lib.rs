//! list-spots
