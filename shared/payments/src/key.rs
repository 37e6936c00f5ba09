//! Provider keys: the name of one logical charge or refund, the same on every retry.

use parkade_domain::ids::PaymentId;

/// What money is moved for. Two purposes never share a key, because they are two endpoints of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Money asked of a driver.
    Charge,
    /// Money given back.
    Refund,
}

/// The provider key `{stage}/{purpose}/{reservation}/{number}/{attempt}` (M1).
///
/// It is derived, so a worker that died mid-call computes the same one. `attempt` counts from 1 and grows only after an
/// outcome that definitely took no money; never after [`crate::PaymentError::Unknown`].
#[must_use]
pub fn provider_key(stage: &str, purpose: Purpose, payment: PaymentId, attempt: u32) -> String {
    let purpose = match purpose {
        Purpose::Charge => "charge",
        Purpose::Refund => "refund",
    };
    format!("{stage}/{purpose}/{}/{}/{attempt}", payment.reservation.code(), payment.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_on_every_retry_and_differs_in_every_part() {
        let payment: PaymentId = "pay_0000000000012_3".parse().unwrap();
        let key = provider_key("dev", Purpose::Charge, payment, 1);
        assert_eq!(key, "dev/charge/0000000000012/3/1");
        let others = [
            provider_key("prod", Purpose::Charge, payment, 1),
            provider_key("dev", Purpose::Refund, payment, 1),
            provider_key("dev", Purpose::Charge, PaymentId { number: 4, ..payment }, 1),
            provider_key("dev", Purpose::Charge, "pay_0000000000013_3".parse().unwrap(), 1),
            provider_key("dev", Purpose::Charge, payment, 2),
        ];
        assert!(others.iter().all(|other| *other != key));
    }
}
