//! From who asks to what the store lets them reach.

use parkade_identity::{Denied, GatePermit, Principal, Role, ValidationPermit};
use parkade_store::Access;

/// Whose stays `principal` may read: drivers their own, operators and gates their lot's, admins all, merchants nobody's.
#[must_use]
pub fn read_access(principal: &Principal) -> Access {
    match (principal.role, &principal.lot) {
        (Role::Driver, _) => Access::Owner(principal.subject.clone()),
        (Role::Operator | Role::Gate, Some(lot)) => Access::Lot(lot.clone()),
        (Role::Operator | Role::Admin, _) => Access::All,
        (Role::Merchant, _) => Access::Nothing,
        // A gate is always bound to a lot; without one it reaches what belongs to itself.
        (Role::Gate, None) => Access::Owner(principal.subject.clone()),
    }
}

/// Whose stays `principal` may modify or cancel: drivers their own, operators their lot's, admins all.
///
/// # Errors
/// [`Denied::Forbidden`] for gates and merchants: they let vehicles in and out, and give towards stays.
pub fn change_access(principal: &Principal) -> Result<Access, Denied> {
    match principal.role {
        Role::Driver | Role::Operator | Role::Admin => Ok(read_access(principal)),
        Role::Gate | Role::Merchant => Err(Denied::Forbidden),
    }
}

/// The stays that `principal` may add violations to, or give something back of: operators their lot's, admins all.
///
/// # Errors
/// [`Denied::Forbidden`] for everybody else: drivers read their own and change none of it.
pub fn adjust_access(principal: &Principal) -> Result<Access, Denied> {
    match principal.role {
        Role::Operator | Role::Admin => Ok(read_access(principal)),
        Role::Driver | Role::Gate | Role::Merchant => Err(Denied::Forbidden),
    }
}

/// The stays that validations may be given towards.
#[must_use]
pub fn validation_access(permit: &ValidationPermit) -> Access {
    permit.lot().map_or(Access::All, |lot| Access::Lot(lot.clone()))
}

/// The stays of the gate's lot.
#[must_use]
pub fn gate_access(permit: &GatePermit) -> Access {
    Access::Lot(permit.lot().clone())
}

#[cfg(test)]
mod tests {
    use parkade_domain::ids::{LotId, UserId};

    use super::*;

    #[test]
    fn everybody_reaches_what_is_theirs() {
        let user = UserId::new("x").unwrap();
        let lot = LotId::new("lot-1").unwrap();
        let own = || Access::Owner(user.clone());
        let of_lot = || Access::Lot(lot.clone());
        let rows = [
            (Role::Driver, None, own(), Ok(own())),
            (Role::Operator, Some(lot.clone()), of_lot(), Ok(of_lot())),
            (Role::Operator, None, Access::All, Ok(Access::All)),
            (Role::Gate, Some(lot.clone()), of_lot(), Err(Denied::Forbidden)),
            (Role::Gate, None, own(), Err(Denied::Forbidden)),
            (Role::Merchant, Some(lot.clone()), Access::Nothing, Err(Denied::Forbidden)),
            (Role::Admin, None, Access::All, Ok(Access::All)),
        ];
        for (role, bound, read, change) in rows {
            let principal = Principal { subject: user.clone(), role, lot: bound };
            assert_eq!(read_access(&principal), read, "{principal:?}");
            assert_eq!(change_access(&principal), change, "{principal:?}");
            let adjust = if role == Role::Driver { Err(Denied::Forbidden) } else { change };
            assert_eq!(adjust_access(&principal), adjust, "{principal:?}");
        }
    }
}
