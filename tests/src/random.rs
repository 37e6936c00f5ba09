//! Repeatable randomness.

/// SplitMix64. The same seed gives the same numbers on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts a sequence.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A sequence of its own for part `n`, so that one part's draws do not move another's.
    #[must_use]
    pub fn fork(&self, n: u64) -> Self {
        let mut child = Self(self.0 ^ n.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        child.next();
        child
    }

    /// 64 random bits.
    #[expect(clippy::should_implement_trait, reason = "an endless source of numbers, not a sequence to iterate over")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound` - 1; 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    /// `true` in `percent` of 100 cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of a slice, if there is one.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        among.get(self.below(among.len()))
    }
}

/// The seeds of a suite: the fixed ones and one nobody has tried, or only the one in `PARKADE_SEED`, to repeat a failure.
#[must_use]
pub fn seeds(fixed: &[u64]) -> Vec<u64> {
    if let Some(seed) = std::env::var("PARKADE_SEED").ok().and_then(|text| text.parse().ok()) {
        return vec![seed];
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let new = u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap();
    fixed.iter().copied().chain([new]).collect()
}
