//! What a merchant or the operator gives towards a stay (P15, P16): pinned on the record, and part of every price from then on.

use super::money::with_refunds;
use super::{Change, Dossier, Refusal, Rules, after, agreed};
use crate::ids::{Claimant, ReservationId};
use crate::payment::{Payment, RefundReason};
use crate::reservation::{Command, Mark, Status, VALIDATIONS_MAX};
use crate::tariff::{Limit, TariffError, ValidationUse};

/// Seconds of a day of a limit's period.
const DAY_S: i64 = 86_400;

/// What a vehicle has used of one validation, each use for itself, with the version under which it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Uses {
    /// Epoch second and stay of each, oldest first.
    pub uses: Vec<(i64, ReservationId)>,
    /// Optimistic version; 0 before the first use.
    pub version: u32,
}

impl Uses {
    /// Those that count at `now_s`: of the limit's period until then.
    #[must_use]
    pub fn counting(&self, limit: Limit, now_s: i64) -> u32 {
        let counts = self.uses.iter().filter(|(at_s, _)| now_s - at_s < i64::from(limit.period_days) * DAY_S);
        u32::try_from(counts.count()).unwrap_or(u32::MAX)
    }

    /// With one more, and without those that no longer count.
    #[must_use]
    pub fn with(&self, by: ReservationId, limit: Limit, now_s: i64) -> Self {
        let counts = |(at_s, _): &&(i64, ReservationId)| now_s - at_s < i64::from(limit.period_days) * DAY_S;
        let uses = self.uses.iter().filter(counts).copied().chain([(now_s, by)]).collect();
        Self { uses, version: self.version + 1 }
    }

    /// Epoch second at which none of them counts any more.
    #[must_use]
    pub fn end_s(&self, limit: Limit) -> i64 {
        self.uses.last().map_or(0, |(at_s, _)| at_s + i64::from(limit.period_days) * DAY_S)
    }
}

/// Gives a validation of the pinned tariff to a stay that has not ended. What is paid beyond the new price is refunded; a drive-up is
/// priced at its exit.
///
/// # Errors
/// [`Refusal::State`], [`Refusal::Series`], [`Refusal::HoldExpired`], [`Refusal::PaymentInProgress`], [`Refusal::AlreadyValidated`],
/// [`Refusal::TooManyValidations`]; [`Refusal::Tariff`] if the tariff does not know it or the vehicle has used it up.
pub fn validate(
    d: &Dossier,
    rules: Rules<'_>,
    now_s: i64,
    mark: Mark,
    given: &ValidationUse,
) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let status = after(r.status, Command::Validate)?;
    if r.series {
        return Err(Refusal::Series);
    }
    if r.status == Status::Held && r.hold_expires_at_s.is_some_and(|at_s| at_s <= now_s) {
        return Err(Refusal::HoldExpired);
    }
    // A hold's price must not change under a charge that will confirm it.
    if let Some(open) = d.payments.iter().find(|p| Payment::is_open_charge(p) && r.status == Status::Held) {
        return Err(Refusal::PaymentInProgress(open.id));
    }
    if r.validations.iter().any(|known| known.id == given.id) {
        return Err(Refusal::AlreadyValidated);
    }
    let position = r.validations.len();
    if position >= VALIDATIONS_MAX {
        return Err(Refusal::TooManyValidations);
    }
    let known = rules.tariff.validations.iter().find(|known| known.id == given.id);
    let limit = known.ok_or(Refusal::Tariff(TariffError::UnknownValidation { position }))?.limit;
    if limit.is_some_and(|limit| given.used_before >= limit.uses) {
        return Err(Refusal::Tariff(TariffError::ValidationUsedUp { position }));
    }
    let mut next = r.next(status, mark);
    next.validations.push(given.clone());
    if r.id.claimant() != Claimant::WalkIn {
        // What a change of the booking has kept is not given back, and nobody pays more for being given something.
        next.price_minor = agreed(&next, rules)?.total_minor().max(next.kept_minor).min(r.price_minor);
    }
    if r.status == Status::Held && next.price_minor == 0 {
        (next.status, next.hold_expires_at_s) = (after(r.status, Command::Confirm)?, None);
    }
    with_refunds(d, next, (RefundReason::Change, rules.policy().refund_to), mark, now_s)
}
