//! The time the functions see. It follows the wall clock, at a speed, and can be moved forward; never back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

/// A clock. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    base: Arc<Mutex<Base>>,
    speed: u32,
}

#[derive(Debug, Clone, Copy)]
struct Base {
    at: DateTime<Utc>,
    since: Instant,
}

impl Clock {
    /// A clock that shows `start` now and runs `speed` times as fast as the wall clock; 0 stands still.
    pub fn new(start: DateTime<Utc>, speed: u32) -> Self {
        Self { base: Arc::new(Mutex::new(Base { at: start, since: Instant::now() })), speed }
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        let base = *self.base.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = base.since.elapsed().saturating_mul(self.speed);
        TimeDelta::from_std(passed).ok().and_then(|passed| base.at.checked_add_signed(passed)).unwrap_or(base.at)
    }

    /// Moves the time forward.
    pub fn advance(&self, by: std::time::Duration) {
        let mut base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = TimeDelta::from_std(by).ok().and_then(|by| base.at.checked_add_signed(by));
        base.at = moved.unwrap_or(base.at);
    }
}

/// Whole minutes since the epoch.
pub fn minute_of(instant: DateTime<Utc>) -> i64 {
    instant.timestamp().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_at_speed_zero_moves_only_when_moved() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = Clock::new(start, 0);
        assert_eq!(clock.now(), start);
        clock.clone().advance(Duration::from_secs(90));
        assert_eq!((clock.now() - start).num_seconds(), 90);
    }

    #[test]
    fn minutes_before_the_epoch_round_down_too() {
        assert_eq!(minute_of(DateTime::from_timestamp(119, 0).unwrap()), 1);
        assert_eq!(minute_of(DateTime::from_timestamp(-1, 0).unwrap()), -1);
    }
}
