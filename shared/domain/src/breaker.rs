//! A circuit breaker that several processes share: while the provider does not answer, nobody waits for it.
//!
//! Closed: calls go through. After [`FAILURES_MAX`] failures within [`WINDOW_S`] it opens for [`OPEN_S`]; then one caller after the other
//! probes, each for [`OPEN_S`], until a call succeeds.

/// Failures that open it: one or two happen on any day.
pub const FAILURES_MAX: usize = 5;
/// Within so many seconds.
pub const WINDOW_S: i64 = 30;
/// How long it stays open: longer than a call's time-out, short enough that drivers are served soon after the provider is back.
pub const OPEN_S: i64 = 30;

/// What is known of the provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Breaker {
    /// Epoch seconds of the last failures, oldest first, at most [`FAILURES_MAX`].
    pub failures_s: Vec<i64>,
    /// Epoch second until which nobody calls; 0 while closed.
    pub open_until_s: i64,
    /// Optimistic version; 0 is not stored.
    pub version: u32,
}

/// Whether to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    /// Call.
    Go,
    /// Call if this can be stored: then nobody else does meanwhile.
    Probe(Breaker),
    /// Do not call.
    Wait,
}

impl Breaker {
    /// Whether to call at `now_s`.
    #[must_use]
    pub fn permit(&self, now_s: i64) -> Permit {
        match self.open_until_s {
            0 => Permit::Go,
            until_s if now_s < until_s => Permit::Wait,
            _ => Permit::Probe(self.next(self.failures_s.clone(), now_s + OPEN_S)),
        }
    }

    /// After a call at `now_s` that the provider did not answer, or answered with a fault of its own; `None` if that is no news.
    #[must_use]
    pub fn failed(&self, now_s: i64) -> Option<Self> {
        if self.open_until_s > 0 {
            return None;
        }
        let recent = self.failures_s.iter().copied().filter(|at_s| now_s - at_s < WINDOW_S);
        let failures: Vec<i64> = recent.chain([now_s]).collect();
        let open_until_s = if failures.len() >= FAILURES_MAX { now_s + OPEN_S } else { 0 };
        Some(self.next(failures, open_until_s))
    }

    /// After a call that the provider answered; `None` if that is no news. A single failure is forgotten by time, not by a write.
    #[must_use]
    pub fn succeeded(&self) -> Option<Self> {
        (self.open_until_s > 0).then(|| self.next(Vec::new(), 0))
    }

    const fn next(&self, failures_s: Vec<i64>, open_until_s: i64) -> Self {
        Self { failures_s, open_until_s, version: self.version + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> Breaker {
        (100..105).fold(Breaker::default(), |breaker, now_s| breaker.failed(now_s).unwrap())
    }

    #[test]
    fn five_failures_in_half_a_minute_open_it_and_four_or_slow_ones_do_not() {
        let slow = (0..20).fold(Breaker::default(), |breaker, n| breaker.failed(n * 8).unwrap());
        assert_eq!(slow.permit(200), Permit::Go);
        assert!(slow.failures_s.len() < FAILURES_MAX);
        let four = (100..104).fold(Breaker::default(), |breaker, now_s| breaker.failed(now_s).unwrap());
        assert_eq!(four.permit(104), Permit::Go);
        assert_eq!(broken().permit(104), Permit::Wait);
        assert_eq!(broken().permit(104 + OPEN_S - 1), Permit::Wait);
    }

    #[test]
    fn one_at_a_time_probes_until_an_answer_closes_it() {
        let broken = broken();
        let later_s = 104 + OPEN_S;
        let Permit::Probe(probing) = broken.permit(later_s) else { panic!("{broken:?}") };
        assert_eq!(probing.permit(later_s), Permit::Wait, "for everybody else");
        assert_eq!(probing.failed(later_s), None);
        assert!(matches!(probing.permit(later_s + OPEN_S), Permit::Probe(_)));
        let closed = probing.succeeded().unwrap();
        assert_eq!((closed.permit(later_s), closed.succeeded()), (Permit::Go, None));
        assert_eq!(closed.version, broken.version + 2);
    }
}
