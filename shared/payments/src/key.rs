//! Provider keys: the name of one logical call that changes something, the same on every retry.

use parkade_domain::ids::PaymentId;

/// What the provider is asked to do. Two purposes never share a key, because they are two endpoints of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Money asked of a driver.
    Charge,
    /// A prepared charge confirmed, or confirmed again with other means.
    Confirm,
    /// Reserved money taken.
    Capture,
    /// Reserved money released, or a charge given up.
    Cancel,
    /// Money given back.
    Refund,
    /// A driver made known.
    Customer,
    /// A card to be saved.
    Setup,
    /// A card's setup confirmed.
    ConfirmSetup,
    /// A saved card removed.
    Detach,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Confirm => "confirm",
            Self::Capture => "capture",
            Self::Cancel => "cancel",
            Self::Refund => "refund",
            Self::Customer => "customer",
            Self::Setup => "setup",
            Self::ConfirmSetup => "confirm-setup",
            Self::Detach => "detach",
        }
    }
}

/// The provider key `{stage}/{purpose}/{reservation}/{number}/{attempt}` (M1) of what is done for a payment.
///
/// It is derived, so a worker that died mid-call computes the same one. `attempt` counts from 1 and grows only after an
/// outcome that definitely took no money; never after [`crate::PaymentError::Unknown`].
#[must_use]
pub fn provider_key(stage: &str, purpose: Purpose, payment: PaymentId, attempt: u32) -> String {
    format!("{stage}/{}/{}/{}/{attempt}", purpose.name(), payment.reservation.code(), payment.number)
}

/// The provider key `{stage}/{purpose}/{subject}/{attempt}` of what belongs to no payment. The subject is a name of at most 100
/// characters without `/`: our id of the driver, or the provider's id of what is changed. `attempt` as in [`provider_key`].
#[must_use]
pub fn subject_key(stage: &str, purpose: Purpose, subject: &str, attempt: u32) -> String {
    format!("{stage}/{}/{subject}/{attempt}", purpose.name())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
        assert_eq!(subject_key("dev", Purpose::Customer, "user-1", 1), "dev/customer/user-1/1");
    }

    #[test]
    fn no_two_endpoints_share_a_key() {
        let payment: PaymentId = "pay_0000000000012_3".parse().unwrap();
        let purposes = [
            Purpose::Charge,
            Purpose::Confirm,
            Purpose::Capture,
            Purpose::Cancel,
            Purpose::Refund,
            Purpose::Customer,
            Purpose::Setup,
            Purpose::ConfirmSetup,
            Purpose::Detach,
        ];
        let of = |purpose| [provider_key("dev", purpose, payment, 1), subject_key("dev", purpose, "0000000000012", 1)];
        let keys: BTreeSet<_> = purposes.into_iter().flat_map(of).collect();
        assert_eq!(keys.len(), 2 * purposes.len());
    }
}
