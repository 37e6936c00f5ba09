//! ISO 4217 minor units to Stripe's units and back.
//!
//! They are the same but for a few currencies: Stripe keeps two decimals for ISK and UGX, which have none, has none for
//! MGA, and rounds three-decimal currencies to tens.

use parkade_domain::money::Currency;

enum Unit {
    Same,
    /// Stripe's unit is a hundredth of ISO's.
    Hundredth,
    /// Stripe's unit is a hundred of ISO's.
    Hundred,
    /// Three decimals, the last one zero.
    Tens,
}

fn unit(currency: Currency) -> Unit {
    match (currency.code(), currency.card_step_minor()) {
        ("ISK" | "UGX", _) => Unit::Hundredth,
        (_, 100) => Unit::Hundred,
        (_, 10) => Unit::Tens,
        _ => Unit::Same,
    }
}

/// Stripe's count for an amount in minor units; `None` if Stripe cannot express it.
pub(crate) fn to_stripe(amount_minor: i64, currency: Currency) -> Option<i64> {
    match unit(currency) {
        Unit::Same => Some(amount_minor),
        Unit::Hundredth => amount_minor.checked_mul(100),
        Unit::Hundred => (amount_minor % 100 == 0).then_some(amount_minor / 100),
        Unit::Tens => (amount_minor % 10 == 0).then_some(amount_minor),
    }
}

/// Minor units for Stripe's count; `None` if it is a fraction of one.
pub(crate) fn from_stripe(amount: i64, currency: Currency) -> Option<i64> {
    match unit(currency) {
        Unit::Same | Unit::Tens => Some(amount),
        Unit::Hundredth => (amount % 100 == 0).then_some(amount / 100),
        Unit::Hundred => amount.checked_mul(100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_cross_to_the_provider_and_back_in_every_kind_of_currency() {
        let cases = [
            ("EUR", 1250, Some(1250)),
            ("JPY", 1250, Some(1250)),
            ("ISK", 1250, Some(125_000)),
            ("UGX", i64::MAX, None),
            ("MGA", 125_000, Some(1250)),
            ("MGA", 125_001, None),
            ("KWD", 1250, Some(1250)),
            ("KWD", 1251, None),
        ];
        for (code, minor, stripe) in cases {
            let currency = Currency::from_code(code).unwrap();
            assert_eq!(to_stripe(minor, currency), stripe, "{code} {minor}");
            if let Some(stripe) = stripe {
                assert_eq!(from_stripe(stripe, currency), Some(minor), "{code} {stripe}");
            }
        }
        assert_eq!(from_stripe(1250, Currency::from_code("ISK").unwrap()), None);
    }
}
