//! Receipts and credit notes: one document for every amount that moved, numbered without gaps per lot and year and never edited (M8).
//!
//! A document explains what is owed when it is issued, takes off what earlier documents of the reservation were about, and ends with
//! exactly the money that moved. So the documents of a reservation add up to what was paid less what was refunded, and their taxes to
//! the taxes of the price that the last of them explains. What went wrong is put right by a further document.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::Datelike;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{LotId, PaymentId, ReceiptId, ReservationId};
use crate::lot::Lot;
use crate::money::{Currency, Money};
use crate::payment::{Means, Payment, PaymentKind, PaymentStatus, RefundReason};
use crate::reservation::Reservation;
use crate::tariff::{Price, TariffError, Tax};
use crate::time::Minute;
use crate::vehicle::VehicleClass;
use crate::zone::LotZone;

/// Most lines of a price that a document has: with 350 bytes each it stays at half of what the database takes. What has more, such as a
/// year under a rate for every hour of the day, is told in one line.
pub const LINES_MAX: usize = 600;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// For a charge.
    Receipt,
    /// For a refund; corrects the charge's receipt.
    CreditNote,
    /// Takes a credit note back: the bank returned the refund after it had succeeded.
    CreditNoteReversal,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Receipt, Self::CreditNote, Self::CreditNoteReversal];

    /// The name used in the API, in events and in the stored item.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::CreditNote => "credit_note",
            Self::CreditNoteReversal => "credit_note_reversal",
        }
    }

    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The document of this kind about a payment.
    #[must_use]
    pub const fn id_of(self, payment: PaymentId) -> ReceiptId {
        ReceiptId { payment, reversal: matches!(self, Self::CreditNoteReversal) }
    }

    /// Whether the money went back to the driver.
    #[must_use]
    pub const fn returns_money(self) -> bool {
        matches!(self, Self::CreditNote)
    }
}

/// The documents of one lot and one civil year in its zone: they are numbered together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series {
    /// The lot.
    pub lot: LotId,
    /// The year of the issue on the lot's own calendar.
    pub year: i32,
}

impl Series {
    /// The series of what is issued at an instant.
    #[must_use]
    pub fn at(lot: &Lot, now_s: i64) -> Self {
        Self { lot: lot.id.clone(), year: lot.zone.local(Minute(now_s.div_euclid(60))).year() }
    }
}

/// The number of a document: `central-2026-000001`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number {
    /// What it counts in.
    pub series: Series,
    /// From 1, without gaps.
    pub serial: u32,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:06}", self.series.lot, self.series.year, self.serial)
    }
}

/// The text is no document's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a document's number is a lot, a year and a count from 1, joined by '-'")]
pub struct NumberError;

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let mut parts = text.rsplitn(3, '-');
        let mut part = || parts.next().ok_or(NumberError);
        let serial = part()?.parse().map_err(|_| NumberError)?;
        let year = part()?.parse().map_err(|_| NumberError)?;
        let lot = LotId::new(part()?).map_err(|_| NumberError)?;
        let number = Self { series: Series { lot, year }, serial };
        if serial > 0 && number.to_string() == text { Ok(number) } else { Err(NumberError) }
    }
}

/// What a reservation's record knows of one of its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// From 1, in the order in which they were issued.
    pub position: u8,
    /// The document.
    pub id: ReceiptId,
    /// What it is.
    pub kind: Kind,
    /// Its number.
    pub number: Number,
    /// The money that moved, in minor units; below 0 if it went back.
    pub total_minor: i64,
    /// Of the total.
    pub currency: Currency,
    /// Epoch second of the issue.
    pub issued_at_s: i64,
}

/// A document that has to be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due<'a> {
    /// Which.
    pub id: ReceiptId,
    /// What it is.
    pub kind: Kind,
    /// The payment that it is about.
    pub payment: &'a Payment,
}

/// The next document that a reservation lacks: the earliest payment that moved money without one, so that a receipt is there before the
/// credit note that corrects it. A refund that came back before anybody wrote its credit note needs none.
#[must_use]
pub fn due<'a>(payments: &'a [Payment], issued: &[Entry]) -> Option<Due<'a>> {
    let has = |id: ReceiptId| issued.iter().any(|entry| entry.id == id);
    let wanted = |payment: &'a Payment| {
        let first = ReceiptId::of(payment.id);
        let (id, kind) = match (payment.kind, payment.status) {
            (PaymentKind::Charge(_), PaymentStatus::Succeeded) => (first, Kind::Receipt),
            (PaymentKind::Refund { .. }, PaymentStatus::Succeeded) => (first, Kind::CreditNote),
            (PaymentKind::Refund { .. }, PaymentStatus::Declined) if has(first) => {
                (ReceiptId { reversal: true, ..first }, Kind::CreditNoteReversal)
            }
            _ => return None,
        };
        (!has(id)).then_some(Due { id, kind, payment })
    };
    payments.iter().filter_map(wanted).min_by_key(|due| due.id)
}

/// Who issues it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Name on the lot's sign.
    pub name: String,
    /// Postal address.
    pub address: String,
    /// The lot's IANA zone: its wall clock is what the document shows.
    pub time_zone: String,
}

/// What was bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stay {
    /// The reservation.
    #[serde(with = "as_text")]
    pub reservation: ReservationId,
    /// The spot's number, where a right names a spot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot: Option<String>,
    /// The vehicle's class.
    pub vehicle_class: VehicleClass,
    /// Booked start, or entry of a drive-up.
    #[serde(with = "crate::tariff::minute_text")]
    pub start: Minute,
    /// Booked end.
    #[serde(with = "crate::tariff::minute_text")]
    pub end: Minute,
    /// Epoch second of entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entered_at_s: Option<i64>,
    /// Epoch second of exit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_at_s: Option<i64>,
}

/// By which means money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "means", rename_all = "snake_case", deny_unknown_fields)]
pub enum By {
    /// The payment provider.
    Provider,
    /// Over the counter or into a kiosk (M9).
    Cash {
        /// What was put in, in minor units; what is above the amount was given back as change.
        tendered_minor: i64,
    },
    /// The user's credit.
    Wallet,
}

impl From<&Means> for By {
    fn from(means: &Means) -> Self {
        match means {
            Means::Provider { .. } => Self::Provider,
            Means::Cash { tendered_minor, .. } => Self::Cash { tendered_minor: *tendered_minor },
            Means::Wallet => Self::Wallet,
        }
    }
}

/// Another document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Which.
    #[serde(with = "as_text")]
    pub id: ReceiptId,
    /// Its number.
    #[serde(with = "as_text")]
    pub number: Number,
}

/// A receipt, a credit note, or what takes one back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Which.
    #[serde(with = "as_text")]
    pub id: ReceiptId,
    /// Its number.
    #[serde(with = "as_text")]
    pub number: Number,
    /// What it is.
    pub kind: Kind,
    /// Epoch second of the issue.
    pub issued_at_s: i64,
    /// By whom.
    pub issuer: Issuer,
    /// For what.
    pub stay: Stay,
    /// How the money moved.
    pub by: By,
    /// Why it went back.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "reason_text")]
    pub reason: Option<RefundReason>,
    /// What it corrects: a credit note the receipt, what takes a credit note back that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<Reference>,
    /// What is owed for the stay as of the issue, line by line (P18).
    pub price: Price,
    /// What earlier documents of the reservation add up to, in minor units.
    pub documented_before_minor: i64,
    /// Money that moved beyond, or short of, what was then owed: the stay went on between payment and document. In minor units.
    pub on_account_minor: i64,
    /// The taxes of the price less those of earlier documents.
    pub taxes: Vec<Tax>,
    /// The money that moved, in minor units; below 0 if it went back.
    pub total_minor: i64,
}

/// What a document is made from.
#[derive(Debug, Clone)]
pub struct Evidence<'a> {
    /// Who issues it.
    pub lot: &'a Lot,
    /// The reservation.
    pub reservation: &'a Reservation,
    /// The number of its spot, where a right names a spot.
    pub spot: Option<&'a str>,
    /// What is owed now ([`crate::explain::owed`]).
    pub price: Price,
    /// The documents issued until now.
    pub issued: &'a [Entry],
    /// The taxes of the price that the last of them explains; together they have documented these.
    pub taxed: &'a [Tax],
}

impl Evidence<'_> {
    /// The document that is due.
    ///
    /// # Errors
    /// [`TariffError::Overflow`], [`TariffError::CurrencyMismatch`] if price and payment are in different currencies: both are a bug.
    pub fn issue(&self, due: &Due<'_>, number: Number, now_s: i64) -> Result<Document, TariffError> {
        let (r, payment) = (self.reservation, due.payment);
        if self.price.currency() != payment.currency {
            return Err(TariffError::CurrencyMismatch);
        }
        let price =
            if self.price.lines().len() > LINES_MAX { self.price.in_one_line(r.window) } else { self.price.clone() };
        let total_minor = if due.kind.returns_money() { -payment.amount_minor } else { payment.amount_minor };
        let add = |sum: i64, entry: &Entry| sum.checked_add(entry.total_minor);
        let before = self.issued.iter().try_fold(0, add).ok_or(TariffError::Overflow)?;
        let owed = price.total_minor().checked_sub(before).ok_or(TariffError::Overflow)?;
        Ok(Document {
            id: due.id,
            number,
            kind: due.kind,
            issued_at_s: now_s,
            issuer: Issuer {
                name: self.lot.name.clone(),
                address: self.lot.address.clone(),
                time_zone: self.lot.zone.name().to_owned(),
            },
            stay: Stay {
                reservation: r.id,
                spot: self.spot.map(str::to_owned),
                vehicle_class: r.vehicle.class,
                start: r.window.start(),
                end: r.window.end(),
                entered_at_s: r.entered_at_s,
                left_at_s: r.left_at_s,
            },
            by: By::from(&payment.means),
            reason: match payment.kind {
                PaymentKind::Refund { reason, .. } => Some(reason),
                PaymentKind::Charge(_) => None,
            },
            corrects: self.corrected(due),
            taxes: difference(price.taxes(), self.taxed)?,
            documented_before_minor: before,
            on_account_minor: total_minor.checked_sub(owed).ok_or(TariffError::Overflow)?,
            price,
            total_minor,
        })
    }

    fn corrected(&self, due: &Due<'_>) -> Option<Reference> {
        let charge = |number| ReceiptId::of(PaymentId { number, ..due.payment.id });
        let id = match (due.kind, due.payment.returns()) {
            (Kind::CreditNote, Some(of)) => charge(of),
            (Kind::CreditNoteReversal, _) => ReceiptId::of(due.payment.id),
            _ => return None,
        };
        let entry = self.issued.iter().find(|entry| entry.id == id)?;
        Some(Reference { id, number: entry.number.clone() })
    }
}

impl Document {
    /// What the reservation's record keeps of it.
    #[must_use]
    pub fn entry(&self, position: u8) -> Entry {
        Entry {
            position,
            id: self.id,
            kind: self.kind,
            number: self.number.clone(),
            total_minor: self.total_minor,
            currency: self.price.currency(),
            issued_at_s: self.issued_at_s,
        }
    }

    /// The money that moved.
    #[must_use]
    pub const fn total(&self) -> Money {
        Money::new(self.total_minor, self.price.currency())
    }

    /// The lot's zone; UTC if the database of zones has lost it since.
    #[must_use]
    pub fn zone(&self) -> LotZone {
        LotZone::parse(&self.issuer.time_zone).unwrap_or(LotZone::UTC)
    }

    /// Whether it adds up: the price, less what was documented before, with what is on account, is the money that moved.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let parts = [-i128::from(self.documented_before_minor), i128::from(self.on_account_minor)];
        i128::from(self.price.total_minor()) + parts.iter().sum::<i128>() == i128::from(self.total_minor)
    }
}

/// The taxes `now` less those of `before`, component by component; what does not change is left out.
fn difference(now: &[Tax], before: &[Tax]) -> Result<Vec<Tax>, TariffError> {
    let mut sums = BTreeMap::new();
    for (taxes, sign) in [(now, 1), (before, -1)] {
        for tax in taxes {
            let (base, amount) =
                sums.entry((tax.id.clone(), tax.rate_millionths, tax.included)).or_insert((0_i128, 0_i128));
            *base += sign * i128::from(tax.base_minor);
            *amount += sign * i128::from(tax.amount_minor);
        }
    }
    let minor = |sum: i128| i64::try_from(sum).map_err(|_| TariffError::Overflow);
    let changed = sums.into_iter().filter(|(_, sums)| *sums != (0, 0));
    changed
        .map(|((id, rate_millionths, included), (base, amount))| {
            Ok(Tax { id, rate_millionths, base_minor: minor(base)?, amount_minor: minor(amount)?, included })
        })
        .collect()
}

/// A value by its text.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The reason of a refund by its name.
mod reason_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::payment::RefundReason;

    pub(super) fn serialize<S: Serializer>(reason: &Option<RefundReason>, serializer: S) -> Result<S::Ok, S::Error> {
        reason.map(RefundReason::as_str).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RefundReason>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let known = |text: String| RefundReason::parse(&text).ok_or_else(|| de::Error::custom("an unknown reason"));
        text.map(known).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_back_and_nothing_else_is() {
        for text in ["central-2026-000001", "lot-1-2026-000042", "a-1999-1234567"] {
            assert_eq!(text.parse::<Number>().unwrap().to_string(), text);
        }
        for text in ["", "central-2026", "central-2026-1", "central-2026-000000", "central-026-000001", "-2026-000001"]
        {
            assert_eq!(text.parse::<Number>(), Err(NumberError), "{text}");
        }
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn taxes_are_told_apart_by_component_rate_and_place() {
        let tax = |rate_millionths, base_minor, amount_minor| Tax {
            id: None,
            rate_millionths,
            base_minor,
            amount_minor,
            included: true,
        };
        let now = [tax(190_000, 400, 64), tax(190_000, 100, 16), tax(70_000, 100, 7)];
        let before = [tax(190_000, 1_000, 160), tax(70_000, 100, 7), tax(160_000, 50, 7)];
        let left = difference(&now, &before).unwrap();
        assert_eq!(left, [tax(160_000, -50, -7), tax(190_000, -500, -80)]);
    }
}
