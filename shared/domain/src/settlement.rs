//! What is owed after plans change (T4, T5, I13): always the difference of two explained prices.
//!
//! What is paid for parking contains the taxes of the price, in proportion; also the fees for late exits and changes, which are part of the
//! same service (Court of Justice of the EU, C-90/20). What is kept from somebody who did not park is compensation and contains none
//! (C-277/05).
//!
//! Nothing here knows what was paid. A caller computes `due = owed − (paid − refunded)`; a negative due is a refund, which
//! [`allocate_refund`] spreads over the charges.

use std::num::NonZeroU64;

use serde::Serialize;
use thiserror::Error;

use crate::money::BASIS_POINTS;
use crate::policy::{CancellationStep, EarlyExit, LotPolicy};
use crate::tariff::{
    Basis, Debit, Line, OverstayRule, Price, PriceRequest, Rule, Tariff, TariffError, Unit, started_units,
};
use crate::time::{DAY_MINUTES, Minute, Window};

/// Why what is owed was settled anew (M6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SettlementReason {
    /// The driver left within the booked time and the exit grace, or the policy refunds nothing: the price stands.
    AsBooked,
    /// Cancelled before the start.
    Cancellation,
    /// Nobody came.
    NoShow,
    /// Left before the booked end.
    EarlyExit,
    /// Left after the booked end.
    Overstay,
    /// The booking was changed.
    Modification,
}

/// Two explained prices: what was owed, and what is owed now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settlement {
    /// Why.
    pub reason: SettlementReason,
    /// What was owed until now.
    pub before: Price,
    /// What is owed from now on, in the same currency.
    pub owed: Price,
}

impl Settlement {
    /// `owed − before` in minor units: negative is the driver's, positive the lot's.
    #[must_use]
    pub const fn difference_minor(&self) -> i64 {
        // Both are at least 0, so the difference fits.
        self.owed.total_minor() - self.before.total_minor()
    }

    fn new(reason: SettlementReason, before: &Price, owed: Price) -> Self {
        Self { reason, before: before.clone(), owed }
    }

    fn as_booked(before: &Price) -> Self {
        Self::new(SettlementReason::AsBooked, before, before.clone())
    }
}

/// A stay that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Stay<'a> {
    /// The tariff version pinned at booking.
    pub tariff: &'a Tariff,
    /// What was booked, as it was priced.
    pub booked: PriceRequest<'a>,
    /// When the car left.
    pub left_at: Minute,
    /// The agreed price of the booked window.
    pub price: &'a Price,
}

/// What is owed when the car leaves, early, in time or late.
///
/// # Errors
/// [`TariffError`] if the pinned tariff cannot price the stay.
pub fn leave(policy: &LotPolicy, stay: &Stay<'_>) -> Result<Settlement, TariffError> {
    if stay.left_at < stay.booked.window.end() { early_exit(policy, stay) } else { overstay(policy, stay) }
}

/// What is owed after leaving before the booked end, by the lot's policy; never more than the agreed price (T4).
///
/// # Errors
/// [`TariffError`] if the pinned tariff cannot price the time used (`reprice`).
pub fn early_exit(policy: &LotPolicy, stay: &Stay<'_>) -> Result<Settlement, TariffError> {
    let (price, booked) = (stay.price, stay.booked.window);
    if stay.left_at >= booked.end() {
        return Ok(Settlement::as_booked(price));
    }
    let kept = |mut lines: Vec<Line>, debits| {
        lines.extend(kept_lines(price));
        let owed = Price::new(price.currency(), price.tariff_version(), lines)?;
        owed.with_debits(debits).with_share_of_taxes(price, stay.tariff)
    };
    let owed = match policy.early_exit {
        EarlyExit::None => return Ok(Settlement::as_booked(price)),
        EarlyExit::Prorated => kept(vec![prorated(stay)?], prorated_debits(stay)?)?,
        EarlyExit::ProratedMinusFee { fee_minor_min } => {
            // A fee that leaves nothing to refund ends below: the price stands.
            let fee = Line::new(Rule::EarlyExitFee, booked, 1, Unit::Item, fee_minor_min)?;
            kept(vec![prorated(stay)?, fee], prorated_debits(stay)?)?
        }
        EarlyExit::Reprice => match Window::new(booked.start(), stay.left_at).map(|window| price_of(stay, window)) {
            // The new price has the tariff's own fees.
            Ok(Ok(used)) => {
                let changes = price.lines().iter().filter(|line| line.rule() == Rule::ModificationFee);
                used.with_taxed_lines(changes.cloned().collect(), stay.tariff)?
            }
            // A tariff that does not sell the time used has no lower price for it, and the exit must not wait for one (G1).
            Ok(Err(TariffError::Unavailable | TariffError::MaxStay { .. } | TariffError::TooLong)) => {
                return Ok(Settlement::as_booked(price));
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => kept(Vec::new(), Vec::new())?,
        },
    };
    // Who pays nothing saves nothing by leaving; the merchant who pays does (P16).
    if (owed.total_minor(), owed.debited_minor()) >= (price.total_minor(), price.debited_minor()) {
        return Ok(Settlement::as_booked(price));
    }
    Ok(Settlement::new(SettlementReason::EarlyExit, price, owed))
}

/// What is owed after leaving later than the booked end and the exit grace, by the tariff's rule (T5). The excess counts
/// from the booked end, not from the end of the grace (T1).
///
/// # Errors
/// [`TariffError`] if the pinned tariff cannot price the whole stay.
pub fn overstay(policy: &LotPolicy, stay: &Stay<'_>) -> Result<Settlement, TariffError> {
    let (price, booked) = (stay.price, stay.booked.window);
    let Ok(late) = Window::new(booked.end(), stay.left_at) else {
        return Ok(Settlement::as_booked(price));
    };
    if late.minutes() <= i64::from(policy.exit_grace_minutes) {
        return Ok(Settlement::as_booked(price));
    }
    let lines = match stay.tariff.overstay {
        OverstayRule::PerStartedUnit { unit_minutes, rate_minor, admin_fee_minor } => vec![
            started_units(Rule::OverstayRate, late, unit_minutes, rate_minor)?,
            Line::new(Rule::OverstayFee, late, 1, Unit::Item, admin_fee_minor)?,
        ],
        OverstayRule::TariffContinues => {
            let whole = Window::new(booked.start(), stay.left_at).map_err(|_| TariffError::Overflow)?;
            let (whole, shorter) = match price_of(stay, whole) {
                Ok(whole) => (whole, price_of(stay, booked)?),
                // A tariff that sells no stay so long has no price for it, and the exit must not wait for one (G1).
                Err(TariffError::Unavailable | TariffError::MaxStay { .. } | TariffError::TooLong) => {
                    return excess(stay, late);
                }
                Err(error) => return Err(error),
            };
            let more = whole.total_minor() - shorter.total_minor();
            let line = Line::new(Rule::OverstayTariff, late, 1, Unit::Item, more.max(0))?;
            let owed = if more < 0 {
                // Where longer is cheaper (P5), staying too long is still no discount.
                price.with_lines(vec![line])?
            } else {
                // What was given is given towards the whole stay.
                price.with_line_to(line, &whole, &shorter)?.with_debits(whole.debits().to_vec())
            };
            return Ok(Settlement::new(SettlementReason::Overstay, price, owed));
        }
        OverstayRule::DriveUp => return excess(stay, late),
    };
    Ok(Settlement::new(SettlementReason::Overstay, price, price.with_taxed_lines(lines, stay.tariff)?))
}

/// What is owed with the time after the booked end as a stay of its own; nothing more if the tariff sells no such stay.
fn excess(stay: &Stay<'_>, late: Window) -> Result<Settlement, TariffError> {
    // What was given was given towards what was booked, and is used once.
    let request = PriceRequest { basis: Basis::Stay, window: late, validations: &[], ..stay.booked };
    match drive_up(stay.tariff, &request) {
        Ok(more) => Ok(Settlement::new(SettlementReason::Overstay, stay.price, stay.price.clone().plus(more)?)),
        Err(TariffError::Unavailable | TariffError::TooLong) => Ok(Settlement::as_booked(stay.price)),
        Err(error) => Err(error),
    }
}

/// How finely the sold part of a stay is looked for that the tariff does not sell as a whole: the usual unit of a tariff.
const SOLD_STEP_MINUTES: i64 = 15;
/// Most parts that such a stay is charged in: a receipt has no more lines than a year has days, and an exit must not wait for more.
pub const SOLD_PARTS_MAX: usize = 400;

/// What a stay costs that nobody booked. Where the tariff does not sell it as a whole, the longest part of it that is sold from its
/// beginning (a day at most) is charged, with what was given towards it, and what follows is a stay of its own; time that nobody sells
/// costs nothing, nor does what follows [`SOLD_PARTS_MAX`] parts.
///
/// # Errors
/// [`TariffError::Unavailable`] if no part of it is sold, else as [`Tariff::price`].
pub fn drive_up(tariff: &Tariff, request: &PriceRequest<'_>) -> Result<Price, TariffError> {
    let whole = tariff.price(request);
    if !matches!(whole, Err(TariffError::Unavailable)) {
        return whole;
    }
    let (mut start, end) = (request.window.start(), request.window.end());
    let (mut sum, mut parts) = (Price::new(tariff.currency, tariff.version, Vec::new())?, 0);
    while start < end && parts < SOLD_PARTS_MAX {
        let until = end.min(start.plus(DAY_MINUTES));
        let validations = if parts == 0 { request.validations } else { &[] };
        start = match sold_part(tariff, &PriceRequest { validations, ..*request }, start, until)? {
            Some((price, sold_until)) => {
                (sum, parts) = (sum.plus(price)?, parts + 1);
                sold_until
            }
            None => start.plus(SOLD_STEP_MINUTES),
        };
    }
    if sum.lines().is_empty() { whole } else { Ok(sum) }
}

/// The longest part of `[start, until)` from its beginning that the tariff sells, with its end. After the entry it is looked for only
/// where a first minute is sold, so that a closed night costs two questions a step.
fn sold_part(
    tariff: &Tariff,
    request: &PriceRequest<'_>,
    start: Minute,
    until: Minute,
) -> Result<Option<(Price, Minute)>, TariffError> {
    let sold = |end: Minute| {
        let window = Window::new(start, end).map_err(|_| TariffError::Overflow)?;
        match tariff.price(&PriceRequest { window, ..*request }) {
            Ok(price) => Ok(Some((price, end))),
            Err(TariffError::Unavailable) => Ok(None),
            Err(error) => Err(error),
        }
    };
    let first = until.min(start.plus(1));
    let at_once = [sold(until)?, sold(first)?];
    if let [Some(all), _] = at_once {
        return Ok(Some(all));
    }
    let [_, minute] = at_once;
    if minute.is_none() && start != request.window.start() {
        return Ok(None);
    }
    // By the step where it can be longer than one, by the minute below.
    let looked_at = |minutes: &i64| *minutes < SOLD_STEP_MINUTES || minutes % SOLD_STEP_MINUTES == 0;
    for minutes in (1..until.0 - start.0).rev().filter(looked_at) {
        if let Some(part) = sold(start.plus(minutes))? {
            return Ok(Some(part));
        }
    }
    Ok(minute)
}

/// What is owed after cancelling `booked` at `now`: the fees that are kept, and the rest less the refund of the
/// best step of the ladder that is met.
///
/// # Errors
/// [`TariffError::Overflow`] never happens for a price that was made here.
pub fn cancellation(
    price: &Price,
    ladder: &[CancellationStep],
    now: Minute,
    booked: Window,
) -> Result<Settlement, TariffError> {
    let minutes_before = booked.start().0.saturating_sub(now.0);
    let met = |step: &&CancellationStep| minutes_before >= i64::from(step.hours_before_start) * 60;
    let refund = ladder.iter().filter(met).map(|step| step.refund_basis_points).max().unwrap_or(0);
    let share = BASIS_POINTS - refund.min(BASIS_POINTS);
    let owed = kept_and_share(price, Rule::CancellationKept, share, booked)?;
    Ok(Settlement::new(SettlementReason::Cancellation, price, owed))
}

/// What is owed after cancelling so soon that nothing is kept, not even a fee ([`crate::policy::Terms::cools_off`]).
///
/// # Errors
/// [`TariffError::Overflow`] never happens.
pub fn withdrawal(price: &Price, booked: Window) -> Result<Settlement, TariffError> {
    let nothing = Line::new(Rule::CancellationKept, booked, 0, Unit::BasisPoint, price.total_minor())?;
    let owed = Price::new(price.currency(), price.tariff_version(), vec![nothing])?;
    Ok(Settlement::new(SettlementReason::Cancellation, price, owed))
}

/// What is owed by a drive-up that paid at `paid_at` for the time until then and left at `left_at`: within the exit grace
/// nothing more, later the price of the whole stay (T1). `price` is what was paid.
///
/// # Errors
/// [`TariffError`] if the pinned tariff cannot price the whole stay.
pub fn top_up(
    tariff: &Tariff,
    price: &Price,
    request: &PriceRequest<'_>,
    paid_at: Minute,
) -> Result<Settlement, TariffError> {
    let left_at = request.window.end();
    let Ok(late) = Window::new(paid_at, left_at) else { return Ok(Settlement::as_booked(price)) };
    if late.minutes() <= i64::from(tariff.graces.exit_minutes) {
        return Ok(Settlement::as_booked(price));
    }
    let whole = tariff.price(request)?;
    if whole.currency() != price.currency() {
        return Err(TariffError::CurrencyMismatch);
    }
    let more_minor = (whole.total_minor() - price.total_minor()).max(0);
    let line = Line::new(Rule::TopUp, late, 1, Unit::Item, more_minor)?;
    Ok(Settlement::new(SettlementReason::Overstay, price, price.with_taxed_lines(vec![line], tariff)?))
}

/// What is owed by somebody who never came: the fees that are kept, and `fee_basis_points` of the rest, never more than was shown (M10).
/// With the gate offline in the window nothing is owed: see [`LotPolicy::no_show_share`].
///
/// # Errors
/// [`TariffError::Overflow`] never happens for a price that was made here.
pub fn no_show(price: &Price, fee_basis_points: u32, booked: Window) -> Result<Settlement, TariffError> {
    let owed = kept_and_share(price, Rule::NoShowFee, fee_basis_points.min(BASIS_POINTS), booked)?;
    Ok(Settlement::new(SettlementReason::NoShow, price, owed))
}

/// A booking's price with what its changes cost ([`crate::policy::Terms::modification_fee_minor`]).
///
/// # Errors
/// [`TariffError::Overflow`].
pub fn with_fees(tariff: &Tariff, price: Price, fees_minor: i64, booked: Window) -> Result<Price, TariffError> {
    if fees_minor == 0 {
        return Ok(price);
    }
    price.with_taxed_lines(vec![Line::new(Rule::ModificationFee, booked, 1, Unit::Item, fees_minor)?], tariff)
}

/// The lines that are kept in full. None if they are more than the price: a voucher has paid the fee, and then what is left of the price is
/// all that can be kept.
fn kept_lines(price: &Price) -> Vec<Line> {
    let lines: Vec<Line> = price.lines().iter().filter(|line| kept_in_full(line.rule())).cloned().collect();
    if lines.iter().map(Line::amount_minor).sum::<i64>() > price.total_minor() { Vec::new() } else { lines }
}

/// A price of the lines that are kept in full and a share of the rest. The share owed is rounded half-up, the refund is what remains.
fn kept_and_share(price: &Price, rule: Rule, basis_points: u32, booked: Window) -> Result<Price, TariffError> {
    let mut lines = kept_lines(price);
    let rest_minor = price.total_minor() - lines.iter().map(Line::amount_minor).sum::<i64>();
    lines.push(Line::new(rule, booked, i64::from(basis_points), Unit::BasisPoint, rest_minor)?);
    Price::new(price.currency(), price.tariff_version(), lines)
}

/// Whether neither a cancellation, an early exit nor a no-show gives a line back (P11).
const fn kept_in_full(rule: Rule) -> bool {
    matches!(rule, Rule::ServiceFeeKept | Rule::ModificationFee)
}

fn price_of(stay: &Stay<'_>, window: Window) -> Result<Price, TariffError> {
    stay.tariff.price(&PriceRequest { window, ..stay.booked })
}

/// What merchants owe in proportion to the minutes used.
fn prorated_debits(stay: &Stay<'_>) -> Result<Vec<Debit>, TariffError> {
    let mut debits = stay.price.debits().to_vec();
    for debit in &mut debits {
        debit.amount_minor = used_share(stay, debit.amount_minor)?.amount_minor();
    }
    Ok(debits)
}

/// The agreed price in proportion to the minutes used; nothing if the car left before the start.
fn prorated(stay: &Stay<'_>) -> Result<Line, TariffError> {
    let fees_minor = kept_lines(stay.price).iter().map(Line::amount_minor).sum::<i64>();
    used_share(stay, stay.price.total_minor() - fees_minor)
}

fn used_share(stay: &Stay<'_>, whole_minor: i64) -> Result<Line, TariffError> {
    let booked = stay.booked.window;
    let used_minutes = (stay.left_at.0.saturating_sub(booked.start().0)).max(0);
    let booked_minutes = u64::try_from(booked.minutes()).ok().and_then(NonZeroU64::new);
    let unit = Unit::MinuteOf { minutes: booked_minutes.unwrap_or(NonZeroU64::MIN) };
    Line::new(Rule::EarlyExitProrated, booked, used_minutes, unit, whole_minor)
}

/// A successful charge and what was refunded of it so far, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// Payment number within the reservation.
    pub number: u8,
    /// What was captured, at least 0.
    pub captured_minor: i64,
    /// What was refunded or is being refunded, at least 0.
    pub refunded_minor: i64,
}

/// Why a refund cannot be spread over charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RefundError {
    /// The amount is negative.
    #[error("a refund is not negative")]
    Negative,
    /// More than is left of what was captured (M5).
    #[error("only {available_minor} minor units are left to refund")]
    ExceedsCaptured {
        /// What is left.
        available_minor: i64,
    },
    /// A charge says that more was refunded than captured, or has a negative amount.
    #[error("charge {number} does not add up")]
    Inconsistent {
        /// The charge.
        number: u8,
    },
}

/// Spreads a refund over charges, newest (highest number) first, never above what is left of each (M5).
/// Returns (charge number, minor units) pairs of positive amounts that sum to `amount_minor`.
///
/// # Errors
/// [`RefundError`] if the amount is negative or more than is left, or a charge does not add up.
pub fn allocate_refund(charges: &[Charge], amount_minor: i64) -> Result<Vec<(u8, i64)>, RefundError> {
    let mut rest_minor = amount_minor;
    if rest_minor < 0 {
        return Err(RefundError::Negative);
    }
    let mut newest_first: Vec<&Charge> = charges.iter().collect();
    newest_first.sort_by_key(|charge| std::cmp::Reverse(charge.number));
    let mut parts = Vec::new();
    for charge in newest_first {
        if charge.refunded_minor < 0 || charge.captured_minor < charge.refunded_minor {
            return Err(RefundError::Inconsistent { number: charge.number });
        }
        let part_minor = rest_minor.min(charge.captured_minor - charge.refunded_minor);
        if part_minor > 0 {
            parts.push((charge.number, part_minor));
            rest_minor -= part_minor;
        }
    }
    if rest_minor > 0 {
        return Err(RefundError::ExceedsCaptured { available_minor: amount_minor - rest_minor });
    }
    Ok(parts)
}
