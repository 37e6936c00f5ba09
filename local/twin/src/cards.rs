//! Stripe's published test payment methods and what a charge on each of them does.

/// What the issuer does with a charge on a test card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Approve,
    Decline(Decline),
    /// Asks the payer to authenticate (3-D Secure).
    Authenticate,
}

/// How a declined charge reads in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decline {
    pub(crate) code: &'static str,
    pub(crate) decline_code: &'static str,
    pub(crate) param: Option<&'static str>,
    pub(crate) message: &'static str,
}

/// What an off-session charge on a card that wants authentication answers.
pub(crate) const AUTHENTICATION_REQUIRED: Decline = Decline {
    code: "authentication_required",
    decline_code: "authentication_required",
    param: None,
    message: "Your card was declined. This transaction requires authentication.",
};

const DECLINED: &str = "Your card was declined.";

const fn declined(decline_code: &'static str, message: &'static str) -> Behaviour {
    Behaviour::Decline(Decline { code: "card_declined", decline_code, param: None, message })
}

const fn failed(code: &'static str, param: Option<&'static str>, message: &'static str) -> Behaviour {
    Behaviour::Decline(Decline { code, decline_code: code, param, message })
}

/// The behaviour of a test payment method; `None` if Stripe publishes no such name.
pub(crate) fn behaviour(payment_method: &str) -> Option<Behaviour> {
    let found = match payment_method {
        "pm_card_visa"
        | "pm_card_visa_debit"
        | "pm_card_mastercard"
        | "pm_card_mastercard_debit"
        | "pm_card_mastercard_prepaid"
        | "pm_card_amex"
        | "pm_card_discover"
        | "pm_card_diners"
        | "pm_card_jcb"
        | "pm_card_unionpay" => Behaviour::Approve,
        "pm_card_visa_chargeDeclined" => declined("generic_decline", DECLINED),
        "pm_card_visa_chargeDeclinedInsufficientFunds" => {
            declined("insufficient_funds", "Your card has insufficient funds.")
        }
        "pm_card_visa_chargeDeclinedLostCard" => declined("lost_card", DECLINED),
        "pm_card_visa_chargeDeclinedStolenCard" => declined("stolen_card", DECLINED),
        "pm_card_visa_chargeDeclinedVelocityLimitExceeded" => declined("card_velocity_exceeded", DECLINED),
        "pm_card_chargeDeclinedFraudulent" | "pm_card_radarBlock" => declined("fraudulent", DECLINED),
        "pm_card_chargeCustomerFail" => declined("generic_decline", DECLINED),
        "pm_card_chargeDeclinedExpiredCard" => failed("expired_card", Some("exp_month"), "Your card has expired."),
        "pm_card_chargeDeclinedIncorrectCvc" => {
            failed("incorrect_cvc", Some("cvc"), "Your card's security code is incorrect.")
        }
        "pm_card_chargeDeclinedProcessingError" => {
            failed("processing_error", None, "An error occurred while processing your card. Try again in a little bit.")
        }
        "pm_card_authenticationRequired"
        | "pm_card_authenticationRequiredOnSetup"
        | "pm_card_threeDSecure2Required" => Behaviour::Authenticate,
        _ => return None,
    };
    Some(found)
}
