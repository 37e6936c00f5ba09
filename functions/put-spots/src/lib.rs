//! put-spots
