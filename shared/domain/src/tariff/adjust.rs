//! From the parking charge to the total: validations, fees, taxes, vouchers; always in this order (P10, P11, P15, P16).

use super::extras::{Benefit, End, Half, Prices, Stacking, TaxRounding, Taxes, Validation};
use super::price::{Debit, Line, Price, Rule, Tax, Unit, sum};
use super::scalar::Amount;
use super::{PriceRequest, Tariff, TariffError, Ticket};
use crate::money::{div_half_even, div_half_up};
use crate::time::Window;
use std::num::NonZeroU64;

/// The whole in millionths.
const MILLIONTHS: u64 = 1_000_000;

/// The price of a stay whose parking lines are known.
pub(super) fn finish(tariff: &Tariff, request: &PriceRequest<'_>, parking: Vec<Line>) -> Result<Price, TariffError> {
    let bill = Bill { tariff, request, parking: &parking };
    let given = bill.given()?;
    let plain = bill.price(&[])?;
    match tariff.validation_stacking {
        _ if given.is_empty() => Ok(plain),
        Stacking::All => bill.stack(plain, &given),
        Stacking::Best => {
            let mut best = plain.clone();
            for validation in given {
                let one = bill.stack(plain.clone(), &[validation])?;
                if one.total_minor() < best.total_minor() {
                    best = one;
                }
            }
            Ok(best)
        }
    }
}

struct Bill<'a> {
    tariff: &'a Tariff,
    request: &'a PriceRequest<'a>,
    parking: &'a [Line],
}

impl<'a> Bill<'a> {
    /// The validations that were given, money last: a voucher pays what is left.
    fn given(&self) -> Result<Vec<&'a Validation>, TariffError> {
        let mut given = Vec::with_capacity(self.request.validations.len());
        for (position, used) in self.request.validations.iter().enumerate() {
            let mut known = self.tariff.validations.iter();
            let validation = known.find(|known| known.id == used.id);
            let validation = validation.ok_or(TariffError::UnknownValidation { position })?;
            if validation.limit.is_some_and(|limit| used.used_before >= limit.uses) {
                return Err(TariffError::ValidationUsedUp { position });
            }
            given.push(validation);
        }
        given.sort_by_key(|validation| matches!(validation.benefit, Benefit::Money { .. }));
        Ok(given)
    }

    /// Applies validations one after the other; each debit is the difference of two prices.
    fn stack(&self, plain: Price, given: &[&'a Validation]) -> Result<Price, TariffError> {
        let mut price = plain;
        let mut debits = Vec::with_capacity(given.len());
        for applied in 1..=given.len() {
            let (Some(used), Some(validation)) = (given.get(..applied), given.get(applied - 1)) else { break };
            let next = self.price(used)?;
            let amount_minor = price.total_minor() - next.total_minor();
            if amount_minor > 0 {
                let merchant = validation.merchant.clone();
                debits.push(Debit { validation: validation.id.clone(), merchant, amount_minor });
            }
            price = next;
        }
        price.debits = debits;
        Ok(price)
    }

    fn price(&self, used: &[&Validation]) -> Result<Price, TariffError> {
        let mut lines = Vec::with_capacity(self.parking.len() + used.len() + self.tariff.fees.len() + 2);
        lines.extend_from_slice(self.parking);
        for validation in used {
            self.take_off(validation, &mut lines)?;
        }
        self.add_fees(&mut lines)?;
        let mut taxes = Vec::new();
        if let Some(rules) = self.tariff.taxes.as_ref().filter(|_| !self.request.tax_exempt) {
            taxes = add_taxes(rules, self.request.window, &mut lines)?;
        }
        for validation in used {
            if let Benefit::Money { amount } = validation.benefit {
                let off = amount.minor().min(sum(&lines)?);
                self.push_off(validation, 1, Unit::Item, -off, &mut lines)?;
            }
        }
        let price = Price::new(self.tariff.currency, self.tariff.version, lines)?;
        Ok(Price { taxes, ..price })
    }

    /// What a validation other than money takes off the parking charge.
    fn take_off(&self, validation: &Validation, lines: &mut Vec<Line>) -> Result<(), TariffError> {
        let charge = sum(lines)?;
        let off = match validation.benefit {
            Benefit::Money { .. } => return Ok(()),
            Benefit::Percent { basis_points } => {
                return self.push_off(validation, -i64::from(basis_points), Unit::BasisPoint, charge, lines);
            }
            Benefit::Override { amount } => charge - amount.minor(),
            Benefit::Free {} => charge,
            Benefit::Time { minutes, end } => sum(self.parking)? - self.shortened(i64::from(minutes), end)?,
        };
        self.push_off(validation, 1, Unit::Item, -off.min(charge), lines)
    }

    fn push_off(
        &self,
        validation: &Validation,
        quantity: i64,
        unit: Unit,
        rate_minor: i64,
        lines: &mut Vec<Line>,
    ) -> Result<(), TariffError> {
        let line = Line::new(Rule::Validation, self.request.window, quantity, unit, rate_minor)?;
        if line.amount_minor() < 0 {
            lines.push(line.of(Some(&validation.id)));
        }
        Ok(())
    }

    /// The parking charge of the stay without some minutes; where that is not for sale, the whole charge.
    fn shortened(&self, minutes: i64, end: End) -> Result<i64, TariffError> {
        let stay = self.request.window;
        let shorter = match end {
            End::Front => Window::new(stay.start().plus(minutes), stay.end()),
            End::Back => Window::new(stay.start(), stay.end().plus(-minutes)),
        };
        let Ok(window) = shorter else { return Ok(0) };
        match self.tariff.parking(&PriceRequest { window, ..*self.request }) {
            Ok(lines) => sum(&lines),
            Err(TariffError::Unavailable) => sum(self.parking),
            Err(other) => Err(other),
        }
    }

    fn add_fees(&self, lines: &mut Vec<Line>) -> Result<(), TariffError> {
        let (charge, window) = (sum(lines)?, self.request.window);
        if let (Ticket::Lost, Some(lost)) = (self.request.ticket, self.tariff.lost_ticket) {
            lines.push(Line::new(Rule::LostTicket, window, 1, Unit::Item, lost.fee.minor())?);
        }
        for fee in &self.tariff.fees {
            if charge == 0 && !fee.when_free {
                continue;
            }
            let rule = if fee.refundable { Rule::ServiceFee } else { Rule::ServiceFeeKept };
            let (quantity, unit, rate_minor) = match fee.rate_millionths {
                Some(rate) => (i64::from(rate), Unit::Millionth, charge),
                None => (1, Unit::Item, fee.amount.map_or(0, Amount::minor)),
            };
            lines.push(Line::new(rule, window, quantity, unit, rate_minor)?.of(Some(&fee.id)));
        }
        Ok(())
    }
}

impl Tariff {
    /// The taxes within an amount that is owed beside the price of a stay. It is part of the same service and is taxed like it; it
    /// contains its taxes, also where the tariff's prices do not, because its payer sees one amount.
    ///
    /// # Errors
    /// [`TariffError::Overflow`] if a tax does not fit 64 bits.
    pub fn taxes_within(&self, gross_minor: i64) -> Result<Vec<Tax>, TariffError> {
        let Some(rules) = self.taxes.as_ref().filter(|_| gross_minor != 0) else { return Ok(Vec::new()) };
        // Of what is net: a compound rate is also of the taxes before it.
        let (mut rates, mut all) = (Vec::with_capacity(rules.components.len()), 0_u64);
        for component in &rules.components {
            let of_taxes = if component.compound { all } else { 0 };
            let rate = u64::from(component.rate_millionths) * (MILLIONTHS + of_taxes) / MILLIONTHS;
            all += rate;
            rates.push((Some(component.id.clone()), component.rate_millionths, rate));
        }
        if rules.rounding == TaxRounding::Combined {
            let declared = rules.components.iter().map(|component| component.rate_millionths).sum();
            rates = vec![(None, declared, all)];
        }
        let tax = |(id, rate_millionths, rate)| {
            let amount_minor = included(gross_minor, rate, all, rules.half)?;
            Ok(Tax { id, rate_millionths, base_minor: gross_minor, amount_minor, included: true })
        };
        rates.into_iter().map(tax).collect()
    }
}

/// Adds the lines of exclusive taxes, and says which taxes the price has.
fn add_taxes(rules: &Taxes, window: Window, lines: &mut Vec<Line>) -> Result<Vec<Tax>, TariffError> {
    let amount_minor = sum(lines)?;
    let all: u32 = rules.components.iter().map(|component| component.rate_millionths).sum();
    let parts: Vec<_> = match rules.rounding {
        TaxRounding::Combined => vec![(None, all, false)],
        TaxRounding::PerComponent => {
            rules.components.iter().map(|tax| (Some(&tax.id), tax.rate_millionths, tax.compound)).collect()
        }
    };
    let mut taxes = Vec::with_capacity(parts.len());
    let mut taxed_minor = amount_minor;
    for (id, rate_millionths, compound) in parts {
        let tax = match rules.prices {
            Prices::Inclusive => {
                let amount_minor = included(amount_minor, rate_millionths.into(), all.into(), rules.half)?;
                Tax { id: id.cloned(), rate_millionths, base_minor: taxed_minor, amount_minor, included: true }
            }
            Prices::Exclusive => {
                let base_minor = if compound { taxed_minor } else { amount_minor };
                let unit = match rules.half {
                    Half::Up => Unit::Millionth,
                    Half::Even => Unit::MillionthHalfEven,
                };
                let line = Line::new(Rule::Tax, window, i64::from(rate_millionths), unit, base_minor)?.of(id);
                let amount_minor = line.amount_minor();
                taxed_minor = taxed_minor.checked_add(amount_minor).ok_or(TariffError::Overflow)?;
                lines.push(line);
                Tax { id: id.cloned(), rate_millionths, base_minor, amount_minor, included: false }
            }
        };
        taxes.push(tax);
    }
    Ok(taxes)
}

/// The tax of `rate` within a gross amount that contains `all` rates.
fn included(gross_minor: i64, rate: u64, all: u64, half: Half) -> Result<i64, TariffError> {
    let divisor = NonZeroU64::new(MILLIONTHS + all).ok_or(TariffError::Overflow)?;
    let product = i128::from(gross_minor) * i128::from(rate);
    let tax = match half {
        Half::Up => div_half_up(product, divisor),
        Half::Even => div_half_even(product, divisor),
    };
    i64::try_from(tax).map_err(|_| TariffError::Overflow)
}
