//! What parking means, as pure functions and values.
//!
//! This crate promises: integer money, half-open intervals, the spot calendar's algebra, the reservation's state machine and
//! the arithmetic of prices and refunds. It refuses to know: any I/O, clock, randomness, environment, async or float.

pub mod adjustment;
pub mod breaker;
pub mod calendar;
pub mod claims;
pub mod contact;
pub mod decide;
pub mod document;
pub mod explain;
pub mod geometry;
pub mod ids;
pub mod lot;
pub mod money;
pub mod notice;
pub mod payment;
pub mod plate;
pub mod policy;
pub mod preferences;
pub mod purse;
pub mod recurrence;
pub mod reservation;
pub mod settlement;
pub mod tariff;
pub mod till;
pub mod time;
pub mod vehicle;
pub mod zone;
