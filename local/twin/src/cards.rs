//! Stripe's published test payment methods, and what its testing guide says happens with each of them.

/// A test card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) name: &'static str,
    pub(crate) brand: &'static str,
    pub(crate) last4: &'static str,
    rule: Rule,
    pub(crate) later: Later,
}

/// What the issuer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Approve,
    Decline(Decline),
    /// It can be saved, but does not pay.
    DeclineCharges(Decline),
    /// Asks a payer who is present to authenticate (3-D Secure); one who is away passes as `absent` says.
    Ask {
        absent: Absent,
        /// A decline that follows the authentication.
        then: Option<Decline>,
    },
}

/// Which cards pass while their payer is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    Never,
    OnceSetUp,
    Always,
}

/// What happens after a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Later {
    Nothing,
    /// A dispute with this reason.
    Dispute(&'static str),
    /// A question of the bank's with this reason.
    Inquiry(&'static str),
    /// Its refunds are pending at first.
    RefundPending,
    /// Its refunds succeed, and fail later.
    RefundFails,
}

/// The issuer's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Approved,
    Declined(Decline),
    /// The payer has to authenticate.
    Asked,
}

/// How a declined charge reads in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decline {
    pub(crate) code: &'static str,
    pub(crate) decline_code: &'static str,
    pub(crate) param: Option<&'static str>,
    pub(crate) message: &'static str,
}

const AUTHENTICATION_REQUIRED: Decline = Decline {
    code: "authentication_required",
    decline_code: "authentication_required",
    param: None,
    message: "Your card was declined. This transaction requires authentication.",
};
const GENERIC: Decline = declined("generic_decline", "Your card was declined.");
const INSUFFICIENT: Decline = declined("insufficient_funds", "Your card has insufficient funds.");
const PROCESSING: Decline =
    failed("processing_error", None, "An error occurred while processing your card. Try again in a little bit.");

const fn declined(decline_code: &'static str, message: &'static str) -> Decline {
    Decline { code: "card_declined", decline_code, param: None, message }
}

const fn failed(code: &'static str, param: Option<&'static str>, message: &'static str) -> Decline {
    Decline { code, decline_code: code, param, message }
}

const fn card(name: &'static str, brand: &'static str, last4: &'static str, rule: Rule) -> Card {
    Card { name, brand, last4, rule, later: Later::Nothing }
}

const fn pays(name: &'static str, brand: &'static str, last4: &'static str) -> Card {
    card(name, brand, last4, Rule::Approve)
}

const fn pays_and(name: &'static str, last4: &'static str, later: Later) -> Card {
    Card { later, ..pays(name, "visa", last4) }
}

const fn declines(name: &'static str, last4: &'static str, decline: Decline) -> Card {
    card(name, "visa", last4, Rule::Decline(decline))
}

const fn asks(name: &'static str, last4: &'static str, absent: Absent, then: Option<Decline>) -> Card {
    card(name, "visa", last4, Rule::Ask { absent, then })
}

const CARDS: [Card; 36] = [
    pays("pm_card_visa", "visa", "4242"),
    pays("pm_card_visa_debit", "visa", "5556"),
    pays("pm_card_mastercard", "mastercard", "4444"),
    pays("pm_card_mastercard_debit", "mastercard", "8210"),
    pays("pm_card_mastercard_prepaid", "mastercard", "5100"),
    pays("pm_card_amex", "amex", "0005"),
    pays("pm_card_discover", "discover", "1117"),
    pays("pm_card_diners", "diners", "0004"),
    pays("pm_card_jcb", "jcb", "0505"),
    pays("pm_card_unionpay", "unionpay", "0005"),
    pays("pm_card_threeDSecureOptional", "visa", "3055"),
    declines("pm_card_visa_chargeDeclined", "0002", GENERIC),
    declines("pm_card_visa_chargeDeclinedInsufficientFunds", "9995", INSUFFICIENT),
    declines("pm_card_visa_chargeDeclinedLostCard", "9987", declined("lost_card", GENERIC.message)),
    declines("pm_card_visa_chargeDeclinedStolenCard", "9979", declined("stolen_card", GENERIC.message)),
    declines(
        "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
        "6975",
        declined("card_velocity_exceeded", GENERIC.message),
    ),
    declines("pm_card_chargeDeclinedFraudulent", "0019", declined("fraudulent", GENERIC.message)),
    declines("pm_card_radarBlock", "0019", declined("fraudulent", GENERIC.message)),
    declines(
        "pm_card_chargeDeclinedExpiredCard",
        "0069",
        failed("expired_card", Some("exp_month"), "Your card has expired."),
    ),
    declines(
        "pm_card_chargeDeclinedIncorrectCvc",
        "0127",
        failed("incorrect_cvc", Some("cvc"), "Your card's security code is incorrect."),
    ),
    declines("pm_card_chargeDeclinedProcessingError", "0119", PROCESSING),
    card("pm_card_chargeCustomerFail", "visa", "0341", Rule::DeclineCharges(GENERIC)),
    asks("pm_card_authenticationRequired", "3184", Absent::Never, None),
    asks("pm_card_authenticationRequiredOnSetup", "3155", Absent::OnceSetUp, None),
    asks("pm_card_authenticationRequiredSetupForOffSession", "0446", Absent::Always, None),
    asks(
        "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
        "3178",
        Absent::OnceSetUp,
        Some(INSUFFICIENT),
    ),
    asks("pm_card_threeDSecure2Required", "3220", Absent::OnceSetUp, None),
    asks("pm_card_threeDSecureRequired", "3063", Absent::OnceSetUp, None),
    asks("pm_card_threeDSecureRequiredChargeDeclined", "1629", Absent::OnceSetUp, Some(GENERIC)),
    asks("pm_card_threeDSecureRequiredProcessingError", "1280", Absent::OnceSetUp, Some(PROCESSING)),
    pays_and("pm_card_createDispute", "0259", Later::Dispute("fraudulent")),
    pays_and("pm_card_createDisputeProductNotReceived", "2685", Later::Dispute("product_not_received")),
    pays_and("pm_card_createDisputeInquiry", "1976", Later::Inquiry("fraudulent")),
    pays_and("pm_card_pendingRefund", "7726", Later::RefundPending),
    pays_and("pm_card_refundFail", "5126", Later::RefundFails),
    pays_and("pm_card_bypassPending", "0077", Later::Nothing),
];

/// The test card of this name, if Stripe publishes it.
pub(crate) fn find(name: &str) -> Option<&'static Card> {
    CARDS.iter().find(|card| card.name == name)
}

impl Card {
    /// What the issuer says to a charge.
    pub(crate) const fn charge(&self, off_session: bool, set_up: bool) -> Verdict {
        match self.rule {
            Rule::Approve => Verdict::Approved,
            Rule::Decline(decline) | Rule::DeclineCharges(decline) => Verdict::Declined(decline),
            Rule::Ask { .. } if !off_session => Verdict::Asked,
            Rule::Ask { absent: Absent::Always, .. } => self.after_authentication(),
            Rule::Ask { absent: Absent::OnceSetUp, .. } if set_up => self.after_authentication(),
            Rule::Ask { .. } => Verdict::Declined(AUTHENTICATION_REQUIRED),
        }
    }

    /// What it says to a charge whose payer has authenticated.
    pub(crate) const fn after_authentication(&self) -> Verdict {
        match self.rule {
            Rule::Ask { then: Some(decline), .. } => Verdict::Declined(decline),
            _ => Verdict::Approved,
        }
    }

    /// What it says to being saved.
    pub(crate) const fn setup(&self) -> Verdict {
        match self.rule {
            Rule::Approve | Rule::DeclineCharges(_) => Verdict::Approved,
            Rule::Decline(decline) => Verdict::Declined(decline),
            Rule::Ask { .. } => Verdict::Asked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_card_does_away_from_its_payer_what_the_guide_says() {
        let away = |name: &str, set_up| match find(name).unwrap().charge(true, set_up) {
            Verdict::Approved => "paid",
            Verdict::Declined(decline) => decline.decline_code,
            Verdict::Asked => "asked",
        };
        for (name, before, after) in [
            ("pm_card_visa", "paid", "paid"),
            ("pm_card_authenticationRequired", "authentication_required", "authentication_required"),
            ("pm_card_authenticationRequiredOnSetup", "authentication_required", "paid"),
            ("pm_card_authenticationRequiredSetupForOffSession", "paid", "paid"),
            (
                "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
                "authentication_required",
                "insufficient_funds",
            ),
            ("pm_card_chargeCustomerFail", "generic_decline", "generic_decline"),
        ] {
            assert_eq!([away(name, false), away(name, true)], [before, after], "{name}");
        }
    }

    #[test]
    fn whoever_is_present_is_asked_by_every_card_that_asks_whether_set_up_or_not() {
        for card in CARDS.iter().filter(|card| matches!(card.rule, Rule::Ask { .. })) {
            assert_eq!([card.charge(false, false), card.charge(false, true)], [Verdict::Asked; 2], "{}", card.name);
        }
    }
}
