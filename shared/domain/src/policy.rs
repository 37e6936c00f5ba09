//! A lot's rules for bookings, as data with defaults: which windows may be booked (T11), the graces (T1, T3), and how much
//! of a price is kept when plans change (T4, I13).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::money::BASIS_POINTS;
use crate::tariff::{FieldError, RATE_MINOR_MAX};
use crate::time::{DAY_MINUTES, Minute, Window};

/// Grids that divide the quarter-hour. Every zone's offset is a multiple of 15 minutes, so these fall on the same local
/// minutes everywhere; a grid of 30 would not in Kathmandu.
pub const GRIDS_MINUTES: [u32; 3] = [1, 5, 15];
/// Longest booking: at one calendar page a day, with its record, still one transaction of 100 items.
pub const LENGTH_MINUTES_MAX: u32 = 92 * 1_440;
/// Farthest booking: a leap year.
pub const HORIZON_DAYS_MAX: u32 = 366;
/// Shortest hold: a person has to type a card number.
pub const HOLD_TTL_S_MIN: u32 = 60;
/// Longest hold: an unpaid spot is not sold meanwhile.
pub const HOLD_TTL_S_MAX: u32 = 3_600;
/// Longest notice a lot may ask for: a week.
pub const NOTICE_MINUTES_MAX: u32 = 7 * 1_440;
/// Longest grace or buffer: four hours. More is another booking.
pub const GRACE_MINUTES_MAX: u32 = 240;
/// Longest time a no-show's spot stays empty: a day.
pub const NO_SHOW_GRACE_MINUTES_MAX: u32 = 1_440;
/// Most steps of a cancellation ladder.
pub const CANCELLATION_STEPS_MAX: usize = 8;
/// Earliest step of a cancellation ladder: the horizon.
pub const CANCELLATION_HOURS_MAX: u32 = HORIZON_DAYS_MAX * 24;

/// What happens to the price when a driver leaves before the booked end (T4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EarlyExit {
    /// Nothing is refunded.
    None,
    /// The price is owed in proportion to the minutes used.
    Prorated,
    /// As prorated, and a fee; never more than the price.
    ProratedMinusFee {
        /// The fee in minor units of money.
        fee_minor_min: i64,
    },
    /// The tariff's price of the time used is owed; never more than the price.
    #[default]
    Reprice,
}

/// Where refunds go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum RefundTo {
    /// Where the money came from.
    #[default]
    Origin,
    /// Into the driver's wallet, as credit for the next booking.
    Wallet,
}

/// One step of the cancellation ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancellationStep {
    /// The step holds from this many hours before the start, and earlier.
    pub hours_before_start: u32,
    /// How much of the price is refunded, in basis points.
    pub refund_basis_points: u32,
}

/// A lot's rules; `{}` is a usable policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LotPolicy {
    /// Bookings start and end on multiples of this: 1, 5 or 15.
    pub grid_minutes: u32,
    /// Shortest booking.
    pub min_length_minutes: u32,
    /// Longest booking, at most [`LENGTH_MINUTES_MAX`].
    pub max_length_minutes: u32,
    /// How long before its start a booking must be made.
    pub min_notice_minutes: u32,
    /// How far ahead a booking may start, at most [`HORIZON_DAYS_MAX`].
    pub horizon_days: u32,
    /// How long an unpaid reservation keeps its spot, in seconds.
    pub hold_ttl_s: u32,
    /// How much longer a hold is kept whose payment is under way while the provider does not answer; 0 keeps none.
    pub payment_wait_minutes: u32,
    /// Minutes a spot stays claimed after a booking's end (T10).
    pub turnover_buffer_minutes: u32,
    /// A driver may enter this long before the start, free, if the spot is free (T3).
    pub early_arrival_minutes: u32,
    /// After the start plus this without an entry, a reservation is a no-show.
    pub no_show_grace_minutes: u32,
    /// How much of the price a no-show forfeits, in basis points (I13).
    pub no_show_fee_basis_points: u32,
    /// Leaving this long after the end costs nothing; later counts from the end (T1).
    pub exit_grace_minutes: u32,
    /// What an early exit refunds (T4).
    pub early_exit: EarlyExit,
    /// How much an overstaying car's claim grows at a time, 15 to 30.
    pub overstay_step_minutes: u32,
    /// How long a drive-up's first claim is.
    pub walk_in_initial_minutes: u32,
    /// Longest session; then it is closed without exit evidence (G3).
    pub max_session_minutes: u32,
    /// What a cancellation refunds: the earliest step first. Later than the last step nothing is.
    pub cancellation: Vec<CancellationStep>,
    /// Where a driver's refunds go; what was paid too late or too much goes back where it came from.
    pub refund_to: RefundTo,
}

impl Default for LotPolicy {
    fn default() -> Self {
        Self {
            grid_minutes: 15,
            min_length_minutes: 15,
            max_length_minutes: 31 * 1_440,
            min_notice_minutes: 0,
            horizon_days: 180,
            hold_ttl_s: 600,
            payment_wait_minutes: 60,
            turnover_buffer_minutes: 0,
            early_arrival_minutes: 15,
            no_show_grace_minutes: 30,
            no_show_fee_basis_points: 5_000,
            exit_grace_minutes: 10,
            early_exit: EarlyExit::Reprice,
            overstay_step_minutes: 15,
            walk_in_initial_minutes: 120,
            max_session_minutes: 31 * 1_440,
            cancellation: vec![
                CancellationStep { hours_before_start: 24, refund_basis_points: 10_000 },
                CancellationStep { hours_before_start: 1, refund_basis_points: 5_000 },
            ],
            refund_to: RefundTo::default(),
        }
    }
}

/// Terms of bookings that a tariff version carries, so that a booking keeps those it was made under (M6, P19). A field that is
/// left out is the lot's policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// What a cancellation refunds: the earliest step first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<Vec<CancellationStep>>,
    /// Who cancels this soon after booking, and before the start, gets everything back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cool_off_minutes: Option<u32>,
    /// What an early exit refunds (T4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_exit: Option<EarlyExit>,
    /// How much of the price a no-show forfeits, in basis points; nothing if the gate was offline (I13).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_show_fee_basis_points: Option<u32>,
    /// A driver may enter this long before the start, free, if the spot is free (T3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_arrival_minutes: Option<u32>,
    /// Leaving this long after the end costs nothing; later counts from the end (T1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_grace_minutes: Option<u32>,
    /// What changing a booking costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modification: Option<ModificationTerms>,
    /// Where a driver's refunds go; what was paid too late or too much goes back where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_to: Option<RefundTo>,
}

/// What changing a booking costs, on top of the new price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModificationTerms {
    /// Minor units of money.
    pub fee_minor: i64,
    /// Earlier than this before the start it is free.
    #[serde(default)]
    pub free_until_hours_before: Option<u32>,
}

impl Terms {
    /// Everything wrong with it, by field; empty if it can be used.
    #[must_use]
    pub fn validate(&self) -> Vec<FieldError> {
        // What the policy would say to these values, in the fields that are given; the rest is the default and right.
        let mut errors = LotPolicy::default().under(Some(self)).validate();
        if self.cool_off_minutes.is_some_and(|minutes| minutes > NOTICE_MINUTES_MAX) {
            errors.push(FieldError::range("/cool_off_minutes", 0, i64::from(NOTICE_MINUTES_MAX)));
        }
        if let Some(terms) = self.modification {
            if !(0..=RATE_MINOR_MAX).contains(&terms.fee_minor) {
                errors.push(FieldError::range("/modification/fee_minor", 0, RATE_MINOR_MAX));
            }
            if terms.free_until_hours_before.is_some_and(|hours| hours > CANCELLATION_HOURS_MAX) {
                let pointer = "/modification/free_until_hours_before";
                errors.push(FieldError::range(pointer, 0, i64::from(CANCELLATION_HOURS_MAX)));
            }
        }
        errors
    }

    /// The fee for changing a booking at `now` that begins at `start`, in minor units.
    #[must_use]
    pub fn modification_fee_minor(&self, now: Minute, start: Minute) -> i64 {
        let Some(terms) = self.modification else { return 0 };
        let minutes_before = start.0.saturating_sub(now.0);
        let free = terms.free_until_hours_before.is_some_and(|hours| minutes_before >= i64::from(hours) * 60);
        if free { 0 } else { terms.fee_minor }
    }

    /// Whether a booking made at `booked` may still be cancelled for nothing at `now`.
    #[must_use]
    pub fn cools_off(&self, booked: Minute, now: Minute) -> bool {
        self.cool_off_minutes.is_some_and(|minutes| now.0.saturating_sub(booked.0) <= i64::from(minutes))
    }
}

/// Why a window may not be booked (T11): one reason, one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WindowRefusal {
    /// Starts before now.
    #[error("the window starts in the past")]
    InPast,
    /// Start or end is not on the lot's grid.
    #[error("start and end must be multiples of {grid_minutes} minutes")]
    OffGrid {
        /// The lot's grid.
        grid_minutes: u32,
    },
    /// Shorter than the lot allows.
    #[error("the shortest booking is {min_minutes} minutes")]
    TooShort {
        /// The lot's minimum.
        min_minutes: u32,
    },
    /// Longer than the lot allows.
    #[error("the longest booking is {max_minutes} minutes")]
    TooLong {
        /// The lot's maximum.
        max_minutes: u32,
    },
    /// Starts sooner than the lot's notice.
    #[error("bookings are made at least {notice_minutes} minutes ahead")]
    TooSoon {
        /// The lot's notice.
        notice_minutes: u32,
    },
    /// Starts later than the lot's horizon.
    #[error("bookings start at most {days} days ahead")]
    BeyondHorizon {
        /// The lot's horizon.
        days: u32,
    },
}

impl WindowRefusal {
    /// The stable code that clients match.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InPast => "window_in_past",
            Self::OffGrid { .. } => "window_off_grid",
            Self::TooShort { .. } => "window_too_short",
            Self::TooLong { .. } => "window_too_long",
            Self::TooSoon { .. } => "window_too_soon",
            Self::BeyondHorizon { .. } => "window_beyond_horizon",
        }
    }
}

impl LotPolicy {
    /// Whether a booking of `window` may be made at `now` ([`Minute::floor`] of the present). Bounds are inclusive.
    ///
    /// # Errors
    /// The first [`WindowRefusal`] in the order of its variants.
    pub fn check_window(&self, now: Minute, window: Window) -> Result<(), WindowRefusal> {
        let ahead_minutes = window.start().0.saturating_sub(now.0);
        let grid = i64::from(self.grid_minutes.max(1));
        if ahead_minutes < 0 {
            return Err(WindowRefusal::InPast);
        }
        if !window.start().is_on_grid(grid) || !window.end().is_on_grid(grid) {
            return Err(WindowRefusal::OffGrid { grid_minutes: self.grid_minutes });
        }
        if window.minutes() < i64::from(self.min_length_minutes) {
            return Err(WindowRefusal::TooShort { min_minutes: self.min_length_minutes });
        }
        if window.minutes() > i64::from(self.max_length_minutes) {
            return Err(WindowRefusal::TooLong { max_minutes: self.max_length_minutes });
        }
        if ahead_minutes < i64::from(self.min_notice_minutes) {
            return Err(WindowRefusal::TooSoon { notice_minutes: self.min_notice_minutes });
        }
        if ahead_minutes > i64::from(self.horizon_days) * DAY_MINUTES {
            return Err(WindowRefusal::BeyondHorizon { days: self.horizon_days });
        }
        Ok(())
    }

    /// The policy with what the terms of a tariff version say instead.
    #[must_use]
    pub fn under(&self, terms: Option<&Terms>) -> Self {
        let mut policy = self.clone();
        let Some(terms) = terms else { return policy };
        policy.cancellation = terms.cancellation.clone().unwrap_or(policy.cancellation);
        policy.early_exit = terms.early_exit.unwrap_or(policy.early_exit);
        policy.no_show_fee_basis_points = terms.no_show_fee_basis_points.unwrap_or(policy.no_show_fee_basis_points);
        policy.early_arrival_minutes = terms.early_arrival_minutes.unwrap_or(policy.early_arrival_minutes);
        policy.exit_grace_minutes = terms.exit_grace_minutes.unwrap_or(policy.exit_grace_minutes);
        policy.refund_to = terms.refund_to.unwrap_or(policy.refund_to);
        policy
    }

    /// How much of the price a no-show forfeits: nothing if the entry gate was offline in the window, for then there is no
    /// evidence that the driver did not come (I13).
    #[must_use]
    pub const fn no_show_share(&self, gate_was_offline: bool) -> u32 {
        if gate_was_offline { 0 } else { self.no_show_fee_basis_points }
    }

    /// Everything wrong with it, by field; empty if it can be used.
    #[must_use]
    pub fn validate(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if !GRIDS_MINUTES.contains(&self.grid_minutes) {
            errors.push(FieldError::new("/grid_minutes", "out_of_range", "must be 1, 5 or 15"));
        }
        let ranges = [
            ("/min_length_minutes", self.min_length_minutes, 1, LENGTH_MINUTES_MAX),
            ("/max_length_minutes", self.max_length_minutes, self.min_length_minutes.max(1), LENGTH_MINUTES_MAX),
            ("/min_notice_minutes", self.min_notice_minutes, 0, NOTICE_MINUTES_MAX),
            ("/horizon_days", self.horizon_days, 1, HORIZON_DAYS_MAX),
            ("/hold_ttl_s", self.hold_ttl_s, HOLD_TTL_S_MIN, HOLD_TTL_S_MAX),
            ("/payment_wait_minutes", self.payment_wait_minutes, 0, GRACE_MINUTES_MAX),
            ("/turnover_buffer_minutes", self.turnover_buffer_minutes, 0, GRACE_MINUTES_MAX),
            ("/early_arrival_minutes", self.early_arrival_minutes, 0, GRACE_MINUTES_MAX),
            ("/no_show_grace_minutes", self.no_show_grace_minutes, 0, NO_SHOW_GRACE_MINUTES_MAX),
            ("/no_show_fee_basis_points", self.no_show_fee_basis_points, 0, BASIS_POINTS),
            ("/exit_grace_minutes", self.exit_grace_minutes, 0, GRACE_MINUTES_MAX),
            ("/overstay_step_minutes", self.overstay_step_minutes, 15, 30),
            ("/walk_in_initial_minutes", self.walk_in_initial_minutes, 15, 1_440),
            ("/max_session_minutes", self.max_session_minutes, self.max_length_minutes, LENGTH_MINUTES_MAX),
        ];
        for (pointer, value, min, max) in ranges {
            if !(min..=max).contains(&value) {
                errors.push(FieldError::range(pointer, i64::from(min), i64::from(max)));
            }
        }
        if let EarlyExit::ProratedMinusFee { fee_minor_min } = self.early_exit
            && !(0..=RATE_MINOR_MAX).contains(&fee_minor_min)
        {
            let pointer = "/early_exit/prorated_minus_fee/fee_minor_min";
            errors.push(FieldError::range(pointer, 0, RATE_MINOR_MAX));
        }
        self.validate_cancellation(&mut errors);
        errors
    }

    fn validate_cancellation(&self, errors: &mut Vec<FieldError>) {
        if self.cancellation.len() > CANCELLATION_STEPS_MAX {
            let detail = format!("at most {CANCELLATION_STEPS_MAX} steps");
            errors.push(FieldError::new("/cancellation", "too_many", &detail));
            return;
        }
        let mut earlier: Option<CancellationStep> = None;
        for (position, step) in self.cancellation.iter().enumerate() {
            let at = |field: &str| format!("/cancellation/{position}/{field}");
            if step.hours_before_start > CANCELLATION_HOURS_MAX {
                errors.push(FieldError::range(at("hours_before_start"), 0, i64::from(CANCELLATION_HOURS_MAX)));
            }
            if step.refund_basis_points > BASIS_POINTS {
                errors.push(FieldError::range(at("refund_basis_points"), 0, i64::from(BASIS_POINTS)));
            }
            if earlier.is_some_and(|earlier| step.hours_before_start >= earlier.hours_before_start) {
                let detail = "each step must be closer to the start than the one before";
                errors.push(FieldError::new(at("hours_before_start"), "not_descending", detail));
            }
            if earlier.is_some_and(|earlier| step.refund_basis_points > earlier.refund_basis_points) {
                let detail = "a later cancellation must not refund more than an earlier one";
                errors.push(FieldError::new(at("refund_basis_points"), "not_descending", detail));
            }
            earlier = Some(*step);
        }
    }
}
