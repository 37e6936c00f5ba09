//! Validations: what merchants and the operator give towards stays, and how often a vehicle has used what is limited (P15).
//!
//! The uses of one vehicle and validation are one item that lists each of them (`V#<lot>#<plate>` / `<validation>`). It changes in the
//! transaction that gives the validation, under the condition of the version that was read: so two desks at once never give more than
//! the limit, and no count goes wrong, because there is none.

use parkade_domain::decide::{self, Refusal, Uses};
use parkade_domain::ids::{ReservationId, UserId};
use parkade_domain::tariff::{Limit, RuleId, TariffError, ValidationUse};

use crate::attributes::{Item, Reader, SCHEMA, bytes, keyed, number};
use crate::error::classify;
use crate::execute::{Begun, CommandError, Done, Order, PLANS_MAX, contended};
use crate::items::reservation::VERSION;
use crate::{Store, StoreError, keys};

const SCHEMA_VERSION: i64 = 1;
/// Bytes of one packed use: its epoch second in 32 bits, its stay in 64.
const USE_BYTES: usize = 12;

impl Store {
    /// Gives a validation of the pinned tariff to a stay: one of `merchant`'s own, or any if the operator gives it.
    ///
    /// # Errors
    /// [`CommandError`]; what [`decide::validate`] refuses, [`Refusal::PlateNeeded`] for one that is limited per vehicle.
    pub async fn validate(&self, order: &Order, id: &RuleId, merchant: Option<&UserId>) -> Result<Done, CommandError> {
        for _ in 0..PLANS_MAX {
            let (before, context) = match self.begin(order).await? {
                Begun::Replay(done) => return Ok(done),
                Begun::New(before, context) => (before, context),
            };
            let r = &before.reservation;
            let theirs = |owner: Option<&RuleId>| {
                merchant.is_none_or(|merchant| owner.is_some_and(|owner| owner.as_str() == merchant.as_str()))
            };
            let mut known = context.tariff.validations.iter();
            let validation = known.find(|known| known.id == *id && theirs(known.merchant.as_ref()));
            let position = r.validations.len();
            let validation = validation.ok_or(Refusal::Tariff(TariffError::UnknownValidation { position }))?;
            let (used_before, beside) = match validation.limit {
                None => (0, Vec::new()),
                Some(limit) => {
                    let plate = r.plate.as_ref().ok_or(Refusal::PlateNeeded)?;
                    let key = || keyed(keys::vehicle_partition(&r.lot, &plate.index), id.as_str());
                    let uses = self.uses(key()).await?;
                    // It was given between the two reads, perhaps by this very command: the record, read anew, knows by which.
                    if uses.uses.iter().any(|(_, by)| *by == r.id) && r.validations.iter().all(|given| given.id != *id)
                    {
                        continue;
                    }
                    let after = uses.with(r.id, limit, order.now_s);
                    let version = Some(uses.version).filter(|version| *version > 0);
                    (uses.counting(limit, order.now_s), vec![(write_uses(key(), &after, limit), version)])
                }
            };
            let given = ValidationUse { id: id.clone(), used_before };
            let change = decide::validate(&before, context.rules(), order.now_s, order.mark, &given)?;
            if let Some(done) = self.finish(order, &context, before, change, beside).await? {
                return Ok(done);
            }
        }
        Err(contended())
    }

    async fn uses(&self, key: Item) -> Result<Uses, StoreError> {
        let get = self.client.get_item().table_name(&self.tables.records).set_key(Some(key)).consistent_read(true);
        let answer = get.send().await.map_err(|error| classify("GetItem", &error))?;
        answer.item.as_ref().map_or(Ok(Uses::default()), read_uses)
    }
}

fn write_uses(key: Item, uses: &Uses, limit: Limit) -> Item {
    let pack = |(at_s, by): &(i64, ReservationId)| {
        let at_s = u32::try_from(*at_s).unwrap_or(u32::MAX);
        at_s.to_be_bytes().into_iter().chain(by.bits().to_be_bytes())
    };
    let mut item = key;
    item.insert(SCHEMA.to_owned(), number(SCHEMA_VERSION));
    item.insert(VERSION.to_owned(), number(uses.version));
    item.insert("ul".to_owned(), bytes(uses.uses.iter().flat_map(pack).collect::<Vec<u8>>()));
    item.insert(keys::TTL.to_owned(), number(uses.end_s(limit)));
    item
}

fn read_uses(item: &Item) -> Result<Uses, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    let (packed, rest) = reader.bytes("ul")?.as_chunks::<USE_BYTES>();
    let unpack = |[a, b, c, d, id @ ..]: &[u8; USE_BYTES]| {
        let by = ReservationId::from_bits(u64::from_be_bytes(*id))?;
        Some((i64::from(u32::from_be_bytes([*a, *b, *c, *d])), by))
    };
    let uses = packed.iter().map(unpack).collect::<Option<Vec<_>>>().filter(|_| rest.is_empty());
    let uses = uses.ok_or_else(|| reader.corrupt("ul is not a list of uses"))?;
    Ok(Uses { uses, version: reader.number(VERSION)? })
}
