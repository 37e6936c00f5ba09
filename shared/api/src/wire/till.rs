//! Cash at a till.

use parkade_domain::decide::CASH_MINOR_MAX;
use parkade_domain::ids::{PaymentId, ReservationId};
use parkade_domain::money::Currency;
use parkade_domain::till::Count;
use serde::{Deserialize, Serialize};

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;
use crate::wire::pay::PaymentView;
use crate::wire::reservation::ReservationView;
use crate::wire::{AmountView, second_text};

/// An amount of cash in a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmountFields {
    /// Count of the currency's minor units.
    pub amount_minor: i64,
    /// ISO 4217 code; the lot's.
    pub currency: String,
}

/// Body of `POST /v1/lots/{lot}/tills/{till}/payments`: one of `reservation_id` and `code`, and what was put in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeCashRequest {
    /// `res_…`, also of a walk-in's session.
    pub reservation_id: Option<String>,
    /// The 13 characters as a driver types them.
    pub code: Option<String>,
    /// What was put in.
    pub tendered: AmountFields,
    /// What was given back at once; by default all that is too much.
    pub change_given: Option<AmountFields>,
}

/// Body of `POST /v1/lots/{lot}/tills/{till}/payouts`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayOutRequest {
    /// The change that is owed.
    pub payment_id: String,
}

/// Body of `POST /v1/lots/{lot}/tills/{till}/counts`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountRequest {
    /// What was there.
    pub counted: AmountFields,
    /// What is left there for the next day, or put there; by default all that was counted.
    pub left_in_till: Option<AmountFields>,
}

/// A checked [`TakeCashRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeCashInput {
    /// What is paid.
    pub reservation: ReservationId,
    /// What was put in, in minor units of the lot's currency.
    pub tendered_minor: i64,
    /// What was given back at once.
    pub change_minor: Option<i64>,
}

impl TakeCashRequest {
    /// The input, or everything wrong with the request. `currency` is the lot's.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self, currency: Currency) -> Result<TakeCashInput, Problem> {
        let mut errors = FieldErrors::new();
        let reservation = match (self.reservation_id, self.code) {
            (Some(id), None) => errors.parse("/reservation_id", &id),
            (None, Some(code)) => errors.take("/code", ReservationId::from_code(&code)),
            (None, None) => one_of("/reservation_id", &mut errors),
            (Some(_), Some(_)) => one_of("/code", &mut errors),
        };
        let tendered = self.tendered.check("/tendered", (1, CASH_MINOR_MAX), currency, &mut errors);
        let most_minor = tendered.unwrap_or(CASH_MINOR_MAX);
        let change =
            self.change_given.map(|change| change.check("/change_given", (0, most_minor), currency, &mut errors));
        let input = reservation.zip(tendered).map(|(reservation, tendered_minor)| TakeCashInput {
            reservation,
            tendered_minor,
            change_minor: change.flatten(),
        });
        errors.finish(input)
    }
}

fn one_of(pointer: &str, errors: &mut FieldErrors) -> Option<ReservationId> {
    errors.push(pointer, FieldCode::OneOf, "give one of reservation_id and code");
    None
}

impl PayOutRequest {
    /// The payment, or what is wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<PaymentId, Problem> {
        let mut errors = FieldErrors::new();
        let payment = errors.parse("/payment_id", &self.payment_id);
        errors.finish(payment)
    }
}

impl CountRequest {
    /// What was there and what is left, in minor units, or everything wrong with the request. `currency` is the lot's.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self, currency: Currency) -> Result<(i64, Option<i64>), Problem> {
        let mut errors = FieldErrors::new();
        let range = (0, CASH_MINOR_MAX);
        let counted = self.counted.check("/counted", range, currency, &mut errors);
        let left = self.left_in_till.map(|left| left.check("/left_in_till", range, currency, &mut errors));
        errors.finish(counted.map(|counted| (counted, left.flatten())))
    }
}

impl AmountFields {
    fn check(self, pointer: &str, (min, max): (i64, i64), currency: Currency, errors: &mut FieldErrors) -> Option<i64> {
        let known = self.currency == currency.code();
        if !known {
            errors.push(
                format!("{pointer}/currency"),
                FieldCode::CurrencyMismatch,
                format!("the lot takes {currency}"),
            );
        }
        let fits = (min..=max).contains(&self.amount_minor);
        if !fits {
            errors.push(format!("{pointer}/amount_minor"), FieldCode::OutOfRange, format!("from {min} to {max}"));
        }
        (known && fits).then_some(self.amount_minor)
    }
}

/// Answer of `POST /v1/lots/{lot}/tills/{till}/payments`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CashView {
    /// The charge.
    pub payment: PaymentView,
    /// What is given back now.
    pub change: AmountView,
    /// What was kept beyond the price: credit of the driver, or change that is owed and waits to be paid out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<PaymentView>,
    /// What was paid.
    pub reservation: ReservationView,
}

/// A count of a till.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountView {
    /// Its number among the changes of the till.
    pub number: u32,
    /// The till.
    pub till_id: String,
    /// When.
    pub counted_at: String,
    /// Who.
    pub counted_by: String,
    /// What should have been there.
    pub expected: AmountView,
    /// What was there.
    pub counted: AmountView,
    /// Counted less expected: below zero it is missing.
    pub difference: AmountView,
    /// What was left there for the next day.
    pub left_in_till: AmountView,
    /// What went to the bank; below zero it came from there.
    pub banked: AmountView,
}

impl CountView {
    /// The view of a stored count.
    #[must_use]
    pub fn from_domain(count: &Count) -> Self {
        let amount = |minor| AmountView::new(minor, count.currency);
        Self {
            number: count.number,
            till_id: count.till.to_string(),
            counted_at: second_text(count.at_s),
            counted_by: count.by.to_string(),
            expected: amount(count.expected_minor),
            counted: amount(count.counted_minor),
            difference: amount(count.difference_minor()),
            left_in_till: amount(count.left_minor),
            banked: amount(count.banked_minor()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use serde_json::{Value, json};

    use super::*;
    use crate::request::read_json;

    fn check(body: &Value) -> Result<TakeCashInput, Vec<(String, &'static str)>> {
        let euro = Currency::from_code("EUR").unwrap();
        let request = Request::new(body.to_string().into_bytes());
        let read = read_json::<TakeCashRequest>(&request).and_then(|request| request.check(euro));
        read.map_err(|problem| problem.errors().iter().map(|e| (e.pointer.clone(), e.code)).collect())
    }

    #[test]
    fn cash_is_in_the_lots_currency_and_change_is_not_more_than_was_put_in() {
        let amount = |minor: i64, currency: &str| json!({"amount_minor": minor, "currency": currency});
        let base =
            json!({"code": "ooooo-ooooo-ool", "tendered": amount(1_000, "EUR"), "change_given": amount(1_000, "EUR")});
        let input = check(&base).unwrap();
        assert_eq!((input.reservation.bits(), input.tendered_minor, input.change_minor), (1, 1_000, Some(1_000)));
        let cases = [
            ("tendered", amount(1_000, "USD"), "/tendered/currency", "currency_mismatch"),
            ("tendered", amount(0, "EUR"), "/tendered/amount_minor", "out_of_range"),
            ("tendered", amount(i64::MAX, "EUR"), "/tendered/amount_minor", "out_of_range"),
            ("change_given", amount(1_001, "EUR"), "/change_given/amount_minor", "out_of_range"),
            ("change_given", amount(-1, "EUR"), "/change_given/amount_minor", "out_of_range"),
            ("change_given", amount(1, "eur"), "/change_given/currency", "currency_mismatch"),
            ("reservation_id", json!("res_0000000000001"), "/code", "one_of"),
            ("code", Value::Null, "/reservation_id", "one_of"),
        ];
        for (field, value, pointer, code) in cases {
            let mut body = base.clone();
            body[field] = value;
            assert_eq!(check(&body), Err(vec![(pointer.to_owned(), code)]), "{body}");
        }
    }
}
