//! `R#<code>` / `A`: the reservation, its session and its idempotency record in one item, below 1 KB so that a write is one unit.

use aws_sdk_dynamodb::types::AttributeValue;
use parkade_domain::adjustment::{Adjustment, AdjustmentKind, ViolationKind};
use parkade_domain::ids::{CalendarVersion, Claimant, LotId, ReservationId, SpotIndex, TariffVersion, UserId};
use parkade_domain::money::Currency;
use parkade_domain::reservation::{Circumstances, Mark, Reason, Reservation, SealedPlate, Status};
use parkade_domain::tariff::{RuleId, ValidationUse};
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::{SpotKind, SpotSize, Vehicle, VehicleClass};

use crate::attributes::{Item, Reader, SCHEMA, bytes, keyed, number, text};
use crate::error::StoreError;
use crate::keys;

const SCHEMA_VERSION: i64 = 1;
/// Of a record with adjustments: a version that does not know them must refuse it, because writing it back would lose them.
const SCHEMA_ADJUSTED: i64 = 2;
/// Bytes of one packed window: two unsigned 32-bit minutes.
const WINDOW_BYTES: usize = 8;
/// Bytes of one packed mark: two 64-bit hashes.
const MARK_BYTES: usize = 16;

/// Bytes of one packed adjustment: its kind; its amount, at most [`parkade_domain::decide::CASH_MINOR_MAX`], and two epoch seconds in 32
/// bits each.
const ADJUSTMENT_BYTES: usize = 13;

/// The version attribute, the condition of every change.
pub(crate) const VERSION: &str = "v";

/// Builds the item. `no_show_grace_minutes` is the lot's policy, from which the next due instant follows.
///
/// A due instant that has passed is written as `now_s`: a sweep may be done with the hour in which it lay.
pub(crate) fn write(reservation: &Reservation, no_show_grace_minutes: i64, now_s: i64) -> Item {
    let r = reservation;
    let mut item = keyed(keys::reservation_partition(r.id), keys::RESERVATION_SORT);
    let mut put = |name: &str, value: AttributeValue| drop(item.insert(name.to_owned(), value));
    put(SCHEMA, number(if r.adjustments.is_empty() { SCHEMA_VERSION } else { SCHEMA_ADJUSTED }));
    put(VERSION, number(r.version));
    put("lot", text(r.lot.as_str()));
    put("own", text(r.user.as_str()));
    put("st", text(r.status.as_str()));
    put("sp", number(r.spot.0));
    put("w", bytes(pack_windows(&[r.window])));
    put("c", bytes(pack_windows(&r.claims)));
    put("vc", text(r.vehicle.class.as_str()));
    put("tv", number(r.tariff.0));
    put("cu", text(r.currency.code()));
    put("pr", number(r.price_minor));
    put("km", number(r.kept_minor));
    put("pd", number(r.paid_minor));
    put("rf", number(r.refunded_minor));
    put("ca", number(r.created_at_s));
    put("fp", bytes(r.fingerprint));
    put("mk", bytes(pack_marks(&r.marks)));
    for (name, flag) in
        [("ev", r.vehicle.ev), ("ap", r.vehicle.accessible_permit), ("sb", r.spot_blocked), ("se", r.series)]
    {
        if flag {
            put(name, AttributeValue::Bool(true));
        }
    }
    for (name, at_s) in [("hx", r.hold_expires_at_s), ("en", r.entered_at_s), ("lv", r.left_at_s), ("ea", r.ended_at_s)]
    {
        if let Some(at_s) = at_s {
            put(name, number(at_s));
        }
    }
    let circumstances = r.circumstances;
    let numbers = [
        ("cv", i64::from(circumstances.calendar.0)),
        ("fe", i64::from(SpotKind { size: SpotSize::Motorcycle, features: circumstances.features }.to_byte())),
        ("fm", r.fees_minor),
    ];
    for (name, value) in numbers.into_iter().filter(|(_, value)| *value != 0) {
        put(name, number(value));
    }
    for (name, value) in [("oc", circumstances.occupancy_percent.map(u32::from)), ("ld", circumstances.lead_minutes)] {
        if let Some(value) = value {
            put(name, number(value));
        }
    }
    if let (Status::Completed, Some(left_at_s)) = (r.status, r.left_at_s) {
        let left_at = Minute(left_at_s.div_euclid(60));
        put("e", text(keys::exit_partition(&r.lot, keys::exit_period(left_at))));
        put("es", text(keys::exit_sort(left_at, r.id)));
    }
    if !r.validations.is_empty() {
        put("va", text(pack_validations(&r.validations)));
    }
    if !r.adjustments.is_empty() {
        put("aj", bytes(pack_adjustments(&r.adjustments)));
    }
    if let Some(reason) = r.reason {
        put("rs", text(reason.as_str()));
    }
    if let Some(plate) = &r.plate {
        put("pl", bytes(plate.sealed.as_slice()));
        put("pi", bytes(plate.index));
        put("p", text(keys::plate_partition(&r.lot, &plate.index)));
        put("ps", text(keys::plate_sort(r.window.start())));
    }
    if r.id.claimant() == Claimant::Reservation {
        put("u", text(keys::owner_partition(&r.user)));
        put("us", text(keys::owner_sort(r.window.start(), r.id)));
    }
    if let Some((kind, at_s)) = r.due(no_show_grace_minutes) {
        let at_s = at_s.max(now_s);
        put("du", text(keys::due_partition(kind, at_s.div_euclid(3_600), keys::due_shard(r.id))));
        put("ds", number(at_s));
    }
    item
}

/// Reads the item.
pub(crate) fn read(item: &Item) -> Result<Reservation, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_ADJUSTED).or_else(|_| reader.schema(SCHEMA_VERSION))?;
    let id = reader.parsed(keys::PK, |pk| ReservationId::from_code(pk.strip_prefix("R#")?).ok())?;
    let window = unpack_windows(reader.bytes("w")?).filter(|windows| windows.len() == 1);
    let windows = |name| {
        let read = reader.bytes(name).ok().and_then(unpack_windows);
        read.ok_or_else(|| reader.corrupt(format!("attribute {name} is not a list of windows")))
    };
    let plate = match reader.bytes_maybe("pl") {
        Some(sealed) => Some(SealedPlate { sealed: sealed.to_vec(), index: reader.array("pi")? }),
        None => None,
    };
    let reason = match reader.text_maybe("rs") {
        Some(_) => Some(reader.parsed("rs", Reason::parse)?),
        None => None,
    };
    let window = window.and_then(|w| w.first().copied()).ok_or_else(|| reader.corrupt("w is not one window"))?;
    let claims = windows("c")?;
    // Before there was the flag, a series told itself by its claims.
    let several = claims.len() > 1 || claims.first().is_some_and(|claim| claim.start() > window.start());
    Ok(Reservation {
        id,
        lot: reader.parsed("lot", |text| LotId::new(text).ok())?,
        user: reader.parsed("own", |text| UserId::new(text).ok())?,
        status: reader.parsed("st", Status::parse)?,
        version: reader.number(VERSION)?,
        spot: SpotIndex(reader.number("sp")?),
        window,
        claims,
        series: reader.flag("se") || several,
        vehicle: Vehicle {
            class: reader.parsed("vc", VehicleClass::parse)?,
            ev: reader.flag("ev"),
            accessible_permit: reader.flag("ap"),
        },
        plate,
        hold_expires_at_s: reader.number_maybe("hx")?,
        tariff: TariffVersion(reader.number("tv")?),
        circumstances: circumstances(&reader)?,
        validations: match reader.text_maybe("va") {
            None => Vec::new(),
            Some(_) => reader.parsed("va", unpack_validations)?,
        },
        currency: reader.parsed("cu", |code| Currency::from_code(code).ok())?,
        fees_minor: reader.number_maybe("fm")?.unwrap_or(0),
        price_minor: reader.number("pr")?,
        kept_minor: reader.number("km")?,
        adjustments: match reader.bytes_maybe("aj") {
            None => Vec::new(),
            Some(packed) => {
                unpack_adjustments(packed).ok_or_else(|| reader.corrupt("aj is not a list of adjustments"))?
            }
        },
        paid_minor: reader.number("pd")?,
        refunded_minor: reader.number("rf")?,
        created_at_s: reader.number("ca")?,
        entered_at_s: reader.number_maybe("en")?,
        left_at_s: reader.number_maybe("lv")?,
        ended_at_s: reader.number_maybe("ea")?,
        reason,
        spot_blocked: reader.flag("sb"),
        fingerprint: reader.array("fp")?,
        marks: unpack_marks(reader.bytes("mk")?).ok_or_else(|| reader.corrupt("mk is not a list of marks"))?,
    })
}

fn circumstances(reader: &Reader<'_>) -> Result<Circumstances, StoreError> {
    let features: Option<u8> = reader.number_maybe("fe")?;
    let kind = SpotKind::from_byte(features.unwrap_or(0)).ok_or_else(|| reader.corrupt("fe has an unknown feature"))?;
    Ok(Circumstances {
        calendar: CalendarVersion(reader.number_maybe("cv")?.unwrap_or(0)),
        features: kind.features,
        occupancy_percent: reader.number_maybe("oc")?,
        lead_minutes: reader.number_maybe("ld")?,
    })
}

/// `<id>:<used before>`, separated by commas; neither is part of a name.
fn pack_validations(validations: &[ValidationUse]) -> String {
    let pack = |given: &ValidationUse| format!("{}:{}", given.id, given.used_before);
    validations.iter().map(pack).collect::<Vec<_>>().join(",")
}

fn unpack_validations(packed: &str) -> Option<Vec<ValidationUse>> {
    let unpack = |given: &str| {
        let (id, used_before) = given.split_once(':')?;
        Some(ValidationUse { id: RuleId::new(id), used_before: used_before.parse().ok()? })
    };
    packed.split(',').map(unpack).collect()
}

/// Of each: the kind, the amount, when it was recorded, and when it was voided or 0.
fn pack_adjustments(adjustments: &[Adjustment]) -> Vec<u8> {
    let pack = |known: &Adjustment| {
        let numbers = [known.amount_minor, known.at_s, known.voided_at_s.unwrap_or(0)];
        let bytes = numbers.into_iter().flat_map(|number| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
        std::iter::once(kind_byte(known.kind)).chain(bytes).collect::<Vec<_>>()
    };
    adjustments.iter().flat_map(pack).collect()
}

fn unpack_adjustments(packed: &[u8]) -> Option<Vec<Adjustment>> {
    let (chunks, rest) = packed.as_chunks::<ADJUSTMENT_BYTES>();
    let unpack = |chunk: &[u8; ADJUSTMENT_BYTES]| {
        let (kind, numbers) = chunk.split_first()?;
        let ([amount, at, voided], _) = numbers.as_chunks::<4>() else { return None };
        let number = |bytes: &[u8; 4]| i64::from(u32::from_be_bytes(*bytes));
        Some(Adjustment {
            kind: KINDS.into_iter().find(|known| kind_byte(*known) == *kind)?,
            amount_minor: number(amount),
            at_s: number(at),
            voided_at_s: Some(number(voided)).filter(|at_s| *at_s > 0),
        })
    };
    if rest.is_empty() { chunks.iter().map(unpack).collect() } else { None }
}

/// Every kind of adjustment.
const KINDS: [AdjustmentKind; 5] = [
    AdjustmentKind::Violation(ViolationKind::Overstay),
    AdjustmentKind::Violation(ViolationKind::WrongSpot),
    AdjustmentKind::Violation(ViolationKind::NoRight),
    AdjustmentKind::Violation(ViolationKind::Unpaid),
    AdjustmentKind::Goodwill,
];

/// Its letter in the item.
const fn kind_byte(kind: AdjustmentKind) -> u8 {
    match kind {
        AdjustmentKind::Violation(ViolationKind::Overstay) => b'o',
        AdjustmentKind::Violation(ViolationKind::WrongSpot) => b'w',
        AdjustmentKind::Violation(ViolationKind::NoRight) => b'n',
        AdjustmentKind::Violation(ViolationKind::Unpaid) => b'u',
        AdjustmentKind::Goodwill => b'g',
    }
}

pub(crate) fn pack_windows(windows: &[Window]) -> Vec<u8> {
    let minute = |m: Minute| u32::try_from(m.0).unwrap_or(u32::MAX).to_be_bytes();
    windows.iter().flat_map(|w| [minute(w.start()), minute(w.end())]).flatten().collect()
}

pub(crate) fn unpack_windows(packed: &[u8]) -> Option<Vec<Window>> {
    let (chunks, rest) = packed.as_chunks::<WINDOW_BYTES>();
    if !rest.is_empty() {
        return None;
    }
    let minute = |bytes: [u8; 4]| Minute(i64::from(u32::from_be_bytes(bytes)));
    chunks
        .iter()
        .map(|[a, b, c, d, e, f, g, h]| Window::new(minute([*a, *b, *c, *d]), minute([*e, *f, *g, *h])).ok())
        .collect()
}

fn pack_marks(marks: &[Mark]) -> Vec<u8> {
    marks.iter().flat_map(|mark| [mark.key.to_be_bytes(), mark.fingerprint.to_be_bytes()]).flatten().collect()
}

fn unpack_marks(packed: &[u8]) -> Option<Vec<Mark>> {
    let (chunks, rest) = packed.as_chunks::<MARK_BYTES>();
    let mark = |chunk: &[u8; MARK_BYTES]| {
        let number = u128::from_be_bytes(*chunk);
        let (key, fingerprint) =
            (u64::try_from(number >> 64).ok()?, u64::try_from(number & u128::from(u64::MAX)).ok()?);
        Some(Mark { key, fingerprint })
    };
    if rest.is_empty() { chunks.iter().map(mark).collect() } else { None }
}
