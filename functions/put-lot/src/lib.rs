//! put-lot
