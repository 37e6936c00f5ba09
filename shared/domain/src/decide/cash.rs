//! Cash at a till: taking it, and giving back over the counter what is owed (M9). What lies in the till changes with it, in the same
//! transaction; that is the store's to read and to write.

use super::money::{chargeable, charged, requested};
use super::{Change, Dossier, Refusal};
use crate::ids::{PaymentId, TillId};
use crate::payment::{Means, Payment, PaymentKind, PaymentStatus, Word};
use crate::reservation::{Mark, Status};

/// Most cash that is taken at once, in minor units: ten million euros, and a sum of many still fits 64 bits.
pub const CASH_MINOR_MAX: i64 = 1_000_000_000;

/// What somebody puts into a till.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cash {
    /// The till.
    pub till: TillId,
    /// What was put in, in minor units, above 0.
    pub tendered_minor: i64,
    /// What was given back at once, at most what was put in. Without it all that is too much is.
    pub change_minor: Option<i64>,
}

/// Takes cash for what is due. The money is there, so the charge has succeeded when it is stored. A booking is paid in full; of a stay any
/// part is taken. What the till keeps beyond what is due, for want of coins, is refunded: to a driver as credit, to anybody else as change
/// that is owed until somebody pays it out.
///
/// # Errors
/// As [`super::pay`]; [`Refusal::TooLittle`] if nothing is kept, or less than a booking costs.
pub fn take_cash(d: &Dossier, cash: &Cash, now_s: i64, mark: Mark) -> Result<Change, Refusal> {
    let (number, purpose) = chargeable(d, now_s)?;
    let (r, due_minor) = (&d.reservation, d.reservation.due_minor());
    let change_minor = cash.change_minor.unwrap_or((cash.tendered_minor - due_minor).max(0));
    let kept_minor = cash.tendered_minor - change_minor;
    let least_minor = if r.status == Status::Held { due_minor } else { 1 };
    if kept_minor < least_minor {
        return Err(Refusal::TooLittle { due_minor });
    }
    let means = Means::Cash { till: cash.till.clone(), tendered_minor: cash.tendered_minor };
    let paid = Payment {
        status: PaymentStatus::Succeeded,
        settled_at_s: Some(now_s),
        ..requested(r, number, PaymentKind::Charge(purpose), kept_minor, means, mark, now_s)
    };
    let mut payments = d.payments.clone();
    payments.push(paid.clone());
    let known = Dossier { reservation: r.clone(), payments };
    charged(&known, &paid, now_s, mark, r.spot)
}

/// Pays out change that is owed, at any till of the lot, and tells how much.
///
/// # Errors
/// [`Refusal::NothingToPay`] if it was paid out before, or is not to be paid out in cash.
pub fn pay_out(d: &Dossier, id: PaymentId, till: &TillId, now_s: i64, mark: Mark) -> Result<(Change, i64), Refusal> {
    let owed = d.payments.iter().find(|payment| payment.id == id && payment.is_change_owed());
    let mut paid = owed.and_then(|owed| owed.after(&Word::CarriedOut, now_s)).ok_or(Refusal::NothingToPay)?;
    let amount_minor = paid.amount_minor;
    paid.means = Means::Cash { till: till.clone(), tendered_minor: amount_minor };
    // The record changes only so that it remembers the command.
    let reservation = d.reservation.next(d.reservation.status, mark);
    Ok((Change { reservation, payments: vec![paid] }, amount_minor))
}
