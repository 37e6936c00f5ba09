//! Permission as a value. A command that needs one takes the permit as an argument, so leaving the check out does not compile.
//!
//! What belongs to somebody else does not exist for a caller ([`Denied::NotFound`]); what everybody can see but this caller
//! may not do is [`Denied::Forbidden`].

use parkade_domain::ids::{LotId, UserId};
use thiserror::Error;

use crate::principal::{Principal, Role};

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Denied {
    /// Visible, but not for this role or lot: 403.
    #[error("the caller may not do this")]
    Forbidden,
    /// Somebody else's: answered like something that does not exist, 404.
    #[error("the resource belongs to somebody else")]
    NotFound,
}

/// May reserve, pay and quote as this driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverPermit {
    subject: UserId,
}

impl DriverPermit {
    /// The driver acted for: owner of what is created.
    #[must_use]
    pub const fn subject(&self) -> &UserId {
        &self.subject
    }
}

/// May read and change what this user owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerPermit {
    owner: UserId,
}

impl OwnerPermit {
    /// Whose things may be touched.
    #[must_use]
    pub const fn owner(&self) -> &UserId {
        &self.owner
    }
}

/// May read one stay: its owner, or who runs the lot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StayPermit(());

/// May change one stay: its owner, or an operator of the lot on the owner's behalf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePermit {
    by_owner: bool,
}

impl ChangePermit {
    /// Whether the owner acts, so that the reason on the record says who it was (M6).
    #[must_use]
    pub const fn by_owner(&self) -> bool {
        self.by_owner
    }
}

/// May run this lot: settings, spots, service state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorPermit {
    lot: LotId,
}

impl OperatorPermit {
    /// The lot that may be run.
    #[must_use]
    pub const fn lot(&self) -> &LotId {
        &self.lot
    }
}

/// May see and decide what concerns every lot: the account at the payment provider, and what nobody could explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllLotsPermit {
    subject: UserId,
}

impl AllLotsPermit {
    /// Who decides.
    #[must_use]
    pub const fn subject(&self) -> &UserId {
        &self.subject
    }
}

/// May let vehicles into and out of this lot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatePermit {
    lot: LotId,
    device: UserId,
}

impl GatePermit {
    /// The lot of the lane.
    #[must_use]
    pub const fn lot(&self) -> &LotId {
        &self.lot
    }

    /// The lane controller (or the admin) that acts.
    #[must_use]
    pub const fn device(&self) -> &UserId {
        &self.device
    }
}

/// May give validations towards the stays of a lot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationPermit {
    lot: Option<LotId>,
    merchant: Option<UserId>,
}

impl ValidationPermit {
    /// The lot; without one, every lot.
    #[must_use]
    pub const fn lot(&self) -> Option<&LotId> {
        self.lot.as_ref()
    }

    /// The merchant, who gives only what is its own; without one, an operator gives any.
    #[must_use]
    pub const fn merchant(&self) -> Option<&UserId> {
        self.merchant.as_ref()
    }
}

/// Merchants give their own validations in the lot they are bound to, its operators and admins any.
///
/// # Errors
/// [`Denied::Forbidden`] for everybody else.
pub fn permit_validation(principal: &Principal) -> Result<ValidationPermit, Denied> {
    let lot = principal.lot.clone();
    match principal.role {
        // A merchant is always bound; if one ever were not, it gives nothing.
        Role::Merchant if lot.is_some() => Ok(ValidationPermit { lot, merchant: Some(principal.subject.clone()) }),
        Role::Operator | Role::Admin => Ok(ValidationPermit { lot, merchant: None }),
        Role::Merchant | Role::Driver | Role::Gate => Err(Denied::Forbidden),
    }
}

/// Drivers and admins may act as a driver.
///
/// # Errors
/// [`Denied::Forbidden`] for operators and gates.
pub fn permit_driver(principal: &Principal) -> Result<DriverPermit, Denied> {
    match principal.role {
        Role::Driver | Role::Admin => Ok(DriverPermit { subject: principal.subject.clone() }),
        Role::Operator | Role::Gate | Role::Merchant => Err(Denied::Forbidden),
    }
}

/// Owners and admins may touch what `owner` owns.
///
/// # Errors
/// [`Denied::NotFound`] for everybody else.
pub fn permit_own(principal: &Principal, owner: &UserId) -> Result<OwnerPermit, Denied> {
    let own = match principal.role {
        Role::Driver => principal.subject == *owner,
        Role::Admin => true,
        Role::Operator | Role::Gate | Role::Merchant => false,
    };
    if own { Ok(OwnerPermit { owner: owner.clone() }) } else { Err(Denied::NotFound) }
}

/// A stay (reservation or walk-in session) may be read by its owner, the lot's operators and gates, and admins.
///
/// # Errors
/// [`Denied::NotFound`] for everybody else.
pub fn permit_stay(principal: &Principal, owner: &UserId, lot: &LotId) -> Result<StayPermit, Denied> {
    let readable = match principal.role {
        Role::Driver => principal.subject == *owner,
        Role::Admin => true,
        Role::Operator => runs(principal, lot),
        Role::Gate => principal.lot.as_ref() == Some(lot),
        Role::Merchant => false,
    };
    if readable { Ok(StayPermit(())) } else { Err(Denied::NotFound) }
}

/// A stay may be changed (modified, cancelled) by its owner, the lot's operators and admins.
///
/// # Errors
/// [`Denied::NotFound`] for everybody else.
pub fn permit_change(principal: &Principal, owner: &UserId, lot: &LotId) -> Result<ChangePermit, Denied> {
    let allowed = match principal.role {
        Role::Driver => principal.subject == *owner,
        Role::Admin => true,
        Role::Operator => runs(principal, lot),
        Role::Gate | Role::Merchant => false,
    };
    if allowed { Ok(ChangePermit { by_owner: principal.role == Role::Driver }) } else { Err(Denied::NotFound) }
}

/// The lot's operators and admins may run it.
///
/// # Errors
/// [`Denied::Forbidden`] for everybody else: lots are public, so there is nothing to hide.
pub fn permit_operator(principal: &Principal, lot: &LotId) -> Result<OperatorPermit, Denied> {
    let allowed = match principal.role {
        Role::Operator => runs(principal, lot),
        Role::Admin => true,
        Role::Driver | Role::Gate | Role::Merchant => false,
    };
    if allowed { Ok(OperatorPermit { lot: lot.clone() }) } else { Err(Denied::Forbidden) }
}

/// Operators of all lots, and admins.
///
/// # Errors
/// [`Denied::Forbidden`] for everybody else, operators of one lot included.
pub fn permit_all_lots(principal: &Principal) -> Result<AllLotsPermit, Denied> {
    let allowed = match principal.role {
        Role::Operator => principal.lot.is_none(),
        Role::Admin => true,
        Role::Driver | Role::Gate | Role::Merchant => false,
    };
    if allowed { Ok(AllLotsPermit { subject: principal.subject.clone() }) } else { Err(Denied::Forbidden) }
}

/// The lot's own gates and admins may let vehicles in and out.
///
/// # Errors
/// [`Denied::Forbidden`] for everybody else, other lots' gates included.
pub fn permit_gate(principal: &Principal, lot: &LotId) -> Result<GatePermit, Denied> {
    let allowed = match principal.role {
        Role::Gate => principal.lot.as_ref() == Some(lot),
        Role::Admin => true,
        Role::Driver | Role::Operator | Role::Merchant => false,
    };
    if allowed {
        Ok(GatePermit { lot: lot.clone(), device: principal.subject.clone() })
    } else {
        Err(Denied::Forbidden)
    }
}

/// An operator without a lot runs all of them.
fn runs(operator: &Principal, lot: &LotId) -> bool {
    operator.lot.as_ref().is_none_or(|bound| bound == lot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(role: Role, subject: &str, lot: Option<&str>) -> Principal {
        Principal { subject: user(subject), role, lot: lot.map(lot_id) }
    }

    fn user(text: &str) -> UserId {
        UserId::new(text).unwrap()
    }

    fn lot_id(text: &str) -> LotId {
        LotId::new(text).unwrap()
    }

    /// Rows: who asks; columns: driver, own (alice's), read and change alice's stay in lot-1, operator and gate of lot-1.
    #[test]
    fn every_role_gets_exactly_its_permits() {
        use Denied::{Forbidden as F, NotFound as N};
        type Row = (Principal, [Result<(), Denied>; 6]);
        let rows: [Row; 11] = [
            (principal(Role::Driver, "alice", None), [Ok(()), Ok(()), Ok(()), Ok(()), Err(F), Err(F)]),
            (principal(Role::Driver, "bob", None), [Ok(()), Err(N), Err(N), Err(N), Err(F), Err(F)]),
            (principal(Role::Operator, "olga", None), [Err(F), Err(N), Ok(()), Ok(()), Ok(()), Err(F)]),
            (principal(Role::Operator, "olga", Some("lot-1")), [Err(F), Err(N), Ok(()), Ok(()), Ok(()), Err(F)]),
            (principal(Role::Operator, "alice", Some("lot-2")), [Err(F), Err(N), Err(N), Err(N), Err(F), Err(F)]),
            (principal(Role::Gate, "in", Some("lot-1")), [Err(F), Err(N), Ok(()), Err(N), Err(F), Ok(())]),
            (principal(Role::Gate, "alice", Some("lot-2")), [Err(F), Err(N), Err(N), Err(N), Err(F), Err(F)]),
            // A gate is always bound; if one ever were not, it opens nothing.
            (principal(Role::Gate, "in", None), [Err(F), Err(N), Err(N), Err(N), Err(F), Err(F)]),
            (principal(Role::Merchant, "cinema", Some("lot-1")), [Err(F), Err(N), Err(N), Err(N), Err(F), Err(F)]),
            // One that is called like a driver is not that driver.
            (principal(Role::Merchant, "alice", Some("lot-1")), [Err(F), Err(N), Err(N), Err(N), Err(F), Err(F)]),
            (principal(Role::Admin, "root", None), [Ok(()), Ok(()), Ok(()), Ok(()), Ok(()), Ok(())]),
        ];
        let (alice, lot) = (user("alice"), lot_id("lot-1"));
        for (who, expected) in rows {
            let all = who.role == Role::Admin || (who.role == Role::Operator && who.lot.is_none());
            assert_eq!(permit_all_lots(&who).map(drop), if all { Ok(()) } else { Err(F) }, "{who:?}");
            let got = [
                permit_driver(&who).map(drop),
                permit_own(&who, &alice).map(drop),
                permit_stay(&who, &alice, &lot).map(drop),
                permit_change(&who, &alice, &lot).map(drop),
                permit_operator(&who, &lot).map(drop),
                permit_gate(&who, &lot).map(drop),
            ];
            assert_eq!(got, expected, "{who:?}");
        }
    }

    #[test]
    fn merchants_give_their_own_in_their_lot_and_operators_any_in_theirs() {
        let given = |role, subject, lot: Option<&str>| {
            let permit = permit_validation(&principal(role, subject, lot));
            permit.map(|permit| (permit.lot().cloned(), permit.merchant().cloned()))
        };
        let lot = Some(lot_id("lot-1"));
        assert_eq!(given(Role::Merchant, "cinema", Some("lot-1")), Ok((lot.clone(), Some(user("cinema")))));
        assert_eq!(given(Role::Operator, "olga", Some("lot-1")), Ok((lot, None)));
        assert_eq!(given(Role::Operator, "olga", None), Ok((None, None)));
        assert_eq!(given(Role::Admin, "root", None), Ok((None, None)));
        for (role, bound) in [(Role::Driver, None), (Role::Gate, Some("lot-1")), (Role::Merchant, None)] {
            assert_eq!(given(role, "x", bound), Err(Denied::Forbidden), "{role:?}");
        }
    }

    #[test]
    fn permits_carry_what_they_permit() {
        let (alice, lot) = (principal(Role::Driver, "alice", None), lot_id("lot-1"));
        assert_eq!(permit_driver(&alice).unwrap().subject(), &user("alice"));
        let root = principal(Role::Admin, "root", None);
        assert_eq!(permit_own(&root, &user("alice")).unwrap().owner(), &user("alice"));
        assert_eq!(permit_operator(&root, &lot).unwrap().lot(), &lot);
        assert!(permit_change(&alice, &user("alice"), &lot).unwrap().by_owner());
        assert!(!permit_change(&root, &user("alice"), &lot).unwrap().by_owner());
        let permit = permit_gate(&principal(Role::Gate, "in", Some("lot-1")), &lot).unwrap();
        assert_eq!((permit.lot(), permit.device()), (&lot, &user("in")));
    }
}
