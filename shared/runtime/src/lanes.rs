//! What entry and exit share: who opens, the command's name, and the stays of a plate.

use chrono::{DateTime, Utc};
use parkade_api::wire::PlateInput;
use parkade_api::{Code, Problem};
use parkade_domain::ids::{LotId, ReservationId, UserId};
use parkade_domain::plate::Plate;
use parkade_domain::reservation::{Mark, Reservation, Seen};
use parkade_domain::time::Minute;
use parkade_identity::{Keys, Principal, permit_gate, permit_operator};
use parkade_store::{Access, Order};

use crate::Deps;
use crate::problems::store_problem;
use crate::stays::mark;

/// Stands for every lot in the index of plates that are enrolled for automatic billing.
const EVERY_LOT: &str = "_every-lot_";

/// The blind index of a plate that is enrolled for automatic billing; `None` without its region, since only an exact match is billed (G7).
#[must_use]
pub fn enrolled_index(keys: &Keys, plate: &Plate) -> Option<[u8; 16]> {
    let every = LotId::new(EVERY_LOT).ok()?;
    Some(keys.plate_index(&every, &format!("{} {}", plate.region()?, plate.canonical())))
}

/// A plate's stays are looked at that begin until then: who comes early has begun before, and who is hours early is told so.
const LOOK_AHEAD_MINUTES: i64 = 24 * 60;

/// One command at one lot's barrier.
#[derive(Debug, Clone)]
pub struct Lane<'a> {
    /// What it needs.
    pub deps: &'a Deps,
    /// The lot, for which the caller holds a permit.
    pub lot: LotId,
    /// Who opens: the lane's controller, or an operator in its place (G14).
    pub subject: UserId,
    /// The client's idempotency key.
    pub key: &'a str,
    /// The present.
    pub now: DateTime<Utc>,
}

impl<'a> Lane<'a> {
    /// The lane of a gate of `lot`, or of an operator who opens in its place.
    ///
    /// # Errors
    /// `forbidden` for everybody else.
    pub fn of(
        deps: &'a Deps,
        principal: &Principal,
        lot: &LotId,
        now: DateTime<Utc>,
        key: &'a str,
    ) -> Result<Self, Problem> {
        permit_gate(principal, lot).map(drop).or_else(|_| permit_operator(principal, lot).map(drop))?;
        Ok(Self { deps, lot: lot.clone(), subject: principal.subject.clone(), key, now })
    }

    /// The command `operation` on a stay of this lot.
    #[must_use]
    pub fn order(&self, id: ReservationId, operation: &str) -> Order {
        Order {
            id,
            access: Access::Lot(self.lot.clone()),
            mark: self.mark(id, operation),
            expected_version: None,
            now_s: self.now.timestamp(),
        }
    }

    fn mark(&self, id: ReservationId, operation: &str) -> Mark {
        let asked: [&[u8]; 2] = [operation.as_bytes(), &id.bits().to_be_bytes()];
        mark(self.deps.identity.keys(), &self.subject, self.key, &asked)
    }

    /// The stays of a plate in this lot that have begun or begin within a day, latest start first, ended ones too.
    ///
    /// # Errors
    /// The store's problem.
    pub async fn stays_of(&self, plate: &PlateInput) -> Result<Vec<Reservation>, Problem> {
        let until = Minute::floor(self.now).plus(LOOK_AHEAD_MINUTES);
        let mut found = Vec::new();
        for index in self.deps.identity.keys().plate_indexes(&self.lot, plate.plate.canonical()) {
            let stays = self.deps.store.by_plate(&self.lot, &index, until).await;
            found.extend(stays.map_err(|error| store_problem(&error))?);
        }
        found.sort_by_key(|stay| std::cmp::Reverse((stay.window.start(), stay.id)));
        Ok(found)
    }

    /// The stay that this very command was carried out on before: a retry finds it whatever became of it.
    #[must_use]
    pub fn answered(&self, stays: &[Reservation], operation: &str) -> Option<ReservationId> {
        let known = |stay: &&Reservation| stay.seen(self.mark(stay.id, operation)) != Seen::New;
        stays.iter().find(known).map(|stay| stay.id)
    }

    /// The one stay of a plate among `stays`, if there is any. Several are told apart by the plate's region, if it was read (G6).
    ///
    /// # Errors
    /// `plate_ambiguous` if several are left: a tie never opens.
    pub fn only_one<'s>(
        &self,
        plate: &PlateInput,
        stays: impl Iterator<Item = &'s Reservation>,
    ) -> Result<Option<ReservationId>, Problem> {
        let stays: Vec<&Reservation> = stays.collect();
        if let [] | [_] = stays.as_slice() {
            return Ok(stays.first().map(|stay| stay.id));
        }
        let mut exact = stays.iter().filter(|stay| plate.plate.region().is_some_and(|region| self.is_of(region, stay)));
        match (exact.next(), exact.next()) {
            (Some(stay), None) => Ok(Some(stay.id)),
            _ => Err(Problem::new(Code::PlateAmbiguous)),
        }
    }

    /// Whether the stay's plate was issued in `region`; not if that is unknown.
    fn is_of(&self, region: &str, stay: &Reservation) -> bool {
        let Some(plate) = &stay.plate else { return false };
        let text = self.deps.identity.keys().decrypt_plate(&stay.lot, stay.id, &plate.sealed);
        text.is_ok_and(|text| text.split_once(' ').is_some_and(|(known, _)| known == region))
    }
}
