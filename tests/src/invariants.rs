//! What must hold of everything stored, whatever happened. Each check lists what is wrong; an empty list is a pass.

use std::collections::{BTreeMap, BTreeSet};

use parkade_domain::claims::{Claim, entries};
use parkade_domain::decide::Dossier;
use parkade_domain::geometry::{Geometry, Page, Tile};
use parkade_domain::ids::{ReservationId, SpotIndex};
use parkade_domain::payment::{Payment, PaymentKind, PaymentStatus};
use parkade_domain::reservation::{Status, TRANSITIONS};
use parkade_domain::time::{Minute, Window};
use parkade_testkit::{CALENDAR, LEDGER, RECORDS};
use serde_json::Value;

use crate::Snapshot;

/// One entry of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The spot.
    pub spot: SpotIndex,
    /// The page.
    pub page: Page,
    /// The claim.
    pub claim: Claim,
}

/// All entries of a lot's calendar, read from the stored bytes.
#[must_use]
pub fn standing(snapshot: &Snapshot, geometry: Geometry) -> Vec<Standing> {
    let mut found = Vec::new();
    for (_, sk, item) in snapshot.table(CALENDAR.name) {
        let (page, tile) = sk.split_once('#').unwrap();
        let (page, tile) = (Page(page.parse().unwrap()), Tile(tile.parse().unwrap()));
        for (slot, name) in (0..).zip(["a", "b", "c", "d", "e", "f", "g", "h"]) {
            let Some(base64) = item[name]["B"].as_str() else { continue };
            let bytes = aws_smithy_types::base64::decode(base64).unwrap();
            let spot = geometry.spot(tile, slot);
            found.extend(entries(&bytes).unwrap().map(|claim| Standing { spot, page, claim: claim.unwrap() }));
        }
    }
    found
}

/// No two live claims share a minute of a spot: the capacity invariant, on the stored bytes alone.
#[must_use]
pub fn overlaps(standing: &[Standing], now_s: i64) -> Vec<String> {
    let mut by_place: BTreeMap<(SpotIndex, Page), Vec<Claim>> = BTreeMap::new();
    for entry in standing.iter().filter(|entry| is_live(entry.claim.lease_s, now_s)) {
        by_place.entry((entry.spot, entry.page)).or_default().push(entry.claim);
    }
    let mut wrong = Vec::new();
    for (place, mut claims) in by_place {
        claims.sort_by_key(|claim| claim.start);
        for pair in claims.windows(2) {
            if let [a, b] = pair
                && a.start < b.end
                && b.start < a.end
            {
                wrong.push(format!("double booking on {place:?}: {a:?} and {b:?}"));
            }
        }
    }
    wrong
}

/// Whether a claim keeps others out, by the words of the rule and not by the code under test (I4).
const fn is_live(lease_s: u32, now_s: i64) -> bool {
    lease_s == 0 || lease_s as i64 > now_s
}

/// What a record says that it claims, read from the stored attributes.
struct Claiming {
    id: ReservationId,
    spot: SpotIndex,
    windows: Vec<Window>,
    lease_s: u32,
}

/// The calendar and the records say the same: every entry belongs to a record that claims exactly it, and every claim of a record stands
/// in the calendar, unless it is a hold that ran out, whose time anybody may have taken.
#[must_use]
pub fn disagreements(snapshot: &Snapshot, standing: &[Standing], geometry: Geometry, now_s: i64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expected: BTreeSet<Place> = BTreeSet::new();
    let mut optional: BTreeSet<Place> = BTreeSet::new();
    for claiming in records(snapshot).iter().chain(&blocks(snapshot)) {
        let places = if is_live(claiming.lease_s, now_s) { &mut expected } else { &mut optional };
        places.extend(places_of(claiming, geometry));
    }
    let place = |s: &Standing| (s.claim.id, s.spot, s.page, s.claim.start, s.claim.end, s.claim.lease_s);
    let found: Vec<Place> = standing.iter().map(place).collect();
    for place in &found {
        if !expected.contains(place) && !optional.contains(place) {
            wrong.push(format!("the calendar has {place:?}, which no record claims"));
        }
    }
    let stood: BTreeSet<Place> = found.iter().copied().collect();
    if stood.len() != found.len() {
        wrong.push("the calendar has an entry twice".to_owned());
    }
    wrong.extend(
        expected.difference(&stood).map(|place| format!("a record claims {place:?}, which the calendar has not")),
    );
    wrong
}

/// One entry, with its owner first.
type Place = (ReservationId, SpotIndex, Page, u16, u16, u32);

fn places_of(claiming: &Claiming, geometry: Geometry) -> Vec<Place> {
    let Claiming { id, spot, windows, lease_s } = claiming;
    let segments = windows.iter().flat_map(|window| geometry.segments(*window));
    segments.map(|segment| (*id, *spot, segment.page, segment.start, segment.end, *lease_s)).collect()
}

/// The reservations and walk-ins whose claims stand.
fn records(snapshot: &Snapshot) -> Vec<Claiming> {
    let mut found = Vec::new();
    for (pk, _, item) in snapshot.table(RECORDS.name).filter(|(pk, sk, _)| pk.starts_with("R#") && *sk == "A") {
        let number = |name: &str| item[name]["N"].as_str().map(|n| n.parse::<u32>().unwrap());
        let status = Status::parse(item["st"]["S"].as_str().unwrap()).unwrap();
        if !matches!(status, Status::Held | Status::Confirmed | Status::CheckedIn | Status::Completed) {
            continue;
        }
        let packed = aws_smithy_types::base64::decode(item["c"]["B"].as_str().unwrap()).unwrap();
        let minutes: Vec<Minute> =
            packed.as_chunks::<4>().0.iter().map(|bytes| Minute(i64::from(u32::from_be_bytes(*bytes)))).collect();
        let windows = minutes.as_chunks::<2>().0.iter().map(|[from, until]| Window::new(*from, *until).unwrap());
        found.push(Claiming {
            id: ReservationId::from_code(pk.strip_prefix("R#").unwrap()).unwrap(),
            spot: SpotIndex(u16::try_from(number("sp").unwrap()).unwrap()),
            windows: windows.collect(),
            lease_s: if status == Status::Held { number("hx").unwrap() } else { 0 },
        });
    }
    found
}

/// The recorded out-of-service intervals.
fn blocks(snapshot: &Snapshot) -> Vec<Claiming> {
    let mut found = Vec::new();
    for (_, sk, item) in snapshot.table(RECORDS.name) {
        let Some((spot, code)) = sk.strip_prefix("OOS#").and_then(|rest| rest.split_once('#')) else { continue };
        let minute = |name: &str| Minute(item[name]["N"].as_str().unwrap().parse().unwrap());
        found.push(Claiming {
            id: ReservationId::from_code(code).unwrap(),
            spot: SpotIndex(spot.parse().unwrap()),
            windows: vec![Window::new(minute("from"), minute("until")).unwrap()],
            lease_s: 0,
        });
    }
    found
}

/// After the sweeps: no hold outlives its time, neither as a record nor as an entry.
#[must_use]
pub fn leftovers(standing: &[Standing], dossiers: &[Dossier], now_s: i64) -> Vec<String> {
    let held = dossiers.iter().map(|d| &d.reservation).filter(|r| r.status == Status::Held);
    let records = held.filter(|r| i64::from(r.lease_s()) <= now_s).map(|r| format!("{} is still held", r.id));
    let lapsed = standing.iter().filter(|entry| !is_live(entry.claim.lease_s, now_s));
    records.chain(lapsed.map(|entry| format!("an expired hold still stands: {entry:?}"))).collect()
}

/// The money of one reservation adds up: what the record says is what its payments say, nothing is refunded that was not captured, no
/// charge is refunded beyond itself, nothing paid too much is kept, and nobody is confirmed for free.
#[must_use]
pub fn money(d: &Dossier) -> Vec<String> {
    let r = &d.reservation;
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            wrong.push(format!("{}: {what}; {r:?} {:?}", r.id, d.payments));
        }
    };
    let charges = || d.payments.iter().filter(|p| matches!(p.kind, PaymentKind::Charge(_)));
    let captured: i64 = charges().filter(|p| p.status == PaymentStatus::Succeeded).map(|p| p.amount_minor).sum();
    let refunds = || d.payments.iter().filter(|p| matches!(p.kind, PaymentKind::Refund { .. }));
    let given = |p: &&Payment| p.status != PaymentStatus::Declined;
    let returned: i64 = refunds().filter(given).map(|p| p.amount_minor).sum();
    check(captured == r.paid_minor, format!("{captured} was captured, the record says {}", r.paid_minor));
    check(returned == r.refunded_minor, format!("{returned} is refunded, the record says {}", r.refunded_minor));
    check(returned <= captured, format!("{returned} is refunded of {captured}"));
    // What the provider would not return is owed, and shown, until it is asked again.
    let owed: i64 = refunds().filter(|p| !given(p)).map(|p| p.amount_minor).sum();
    check(-r.due_minor() <= owed, format!("{} too much is kept", -r.due_minor()));
    for charge in charges() {
        let of = Some(charge.id.number);
        let back: i64 = refunds().filter(|p| p.returns() == of).filter(given).map(|p| p.amount_minor).sum();
        let bound = if charge.status == PaymentStatus::Succeeded { charge.amount_minor } else { 0 };
        check(back <= bound, format!("{back} is refunded of charge {}", charge.id.number));
    }
    let numbers: Vec<u8> = d.payments.iter().map(|p| p.id.number).collect();
    check(numbers.iter().copied().eq((1..).take(numbers.len())), format!("payments are numbered {numbers:?}"));
    check(charges().filter(|p| p.is_open_charge()).count() <= 1, "two charges are under way".to_owned());
    let booked = r.id.claimant() == parkade_domain::ids::Claimant::Reservation;
    let stays = matches!(r.status, Status::Confirmed | Status::CheckedIn | Status::Completed | Status::NoShow);
    let given = !r.validations.is_empty();
    check(!(booked && stays && captured == 0 && !given), "parks for free".to_owned());
    check(!(r.status == Status::Expired && r.paid_minor != r.refunded_minor), "paid and has no spot".to_owned());
    check(!(r.status == Status::Held && captured > 0), "paid and is not confirmed".to_owned());
    wrong
}

/// The documents are numbered 1…n in every series, each is known to its reservation and to no other, and those of a payment add up to
/// what it moved.
#[must_use]
pub fn documents(snapshot: &Snapshot) -> Vec<String> {
    let mut wrong = Vec::new();
    // Most suites have none, and look at thousands of states.
    if !snapshot.has(LEDGER.name, |pk, _| pk.starts_with("RCP#"))
        && !snapshot.has(RECORDS.name, |_, sk| sk.starts_with("C#"))
    {
        return wrong;
    }
    let mut serials: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut numbers = BTreeSet::new();
    for (pk, sk, item) in snapshot.table(LEDGER.name).filter(|(pk, ..)| pk.starts_with("RCP#")) {
        serials.entry(pk.to_owned()).or_default().push(sk.parse().unwrap());
        let document: Value = serde_json::from_str(item["doc"]["S"].as_str().unwrap()).unwrap();
        numbers.insert((document["number"].as_str().unwrap().to_owned(), document["total_minor"].as_i64().unwrap()));
    }
    for (series, serials) in &serials {
        if !serials.iter().copied().eq((1..).take(serials.len())) {
            wrong.push(format!("{series} has the numbers {serials:?}"));
        }
    }
    let mut known = BTreeSet::new();
    let mut documented: BTreeMap<(String, i64), i64> = BTreeMap::new();
    let mut moved: BTreeMap<(String, i64), (bool, i64)> = BTreeMap::new();
    for (pk, sk, item) in snapshot.table(RECORDS.name).filter(|(pk, ..)| pk.starts_with("R#")) {
        let number = |name: &str| item[name]["N"].as_str().map_or(0, |n| n.parse::<i64>().unwrap());
        if sk.starts_with("C#") {
            *documented.entry((pk.to_owned(), number("n"))).or_default() += number("am");
            if !known.insert((item["no"]["S"].as_str().unwrap().to_owned(), number("am"))) {
                wrong.push(format!("{pk} {sk} is the second of its number"));
            }
        } else if let Some(n) = sk.strip_prefix("P#") {
            let sign = if item["k"]["S"] == "refund" { -1 } else { 1 };
            let succeeded = item["st"]["S"] == "succeeded";
            moved.insert((pk.to_owned(), n.parse().unwrap()), (succeeded, sign * number("am")));
        }
    }
    if known != numbers {
        wrong.push(format!("reservations know {known:?}, the books have {numbers:?}"));
    }
    for (payment, total) in &documented {
        let right = match moved[payment] {
            (true, amount) => *total == amount,
            // A refund that came back: its credit note stands until it is taken back.
            (false, amount) => amount < 0 && (*total == 0 || *total == amount),
        };
        if !right {
            wrong.push(format!("{payment:?} has documents of {total}"));
        }
    }
    wrong
}

/// What the stream of the records tells: versions follow each other without a gap, states only along the table of transitions, a payment
/// moves once from requested to its end and never changes its amount, and no hold expires twice.
#[must_use]
pub fn history(stream: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expired: BTreeSet<String> = BTreeSet::new();
    for record in stream {
        let change = &record["dynamodb"];
        let (Some(pk), Some(sk)) = (change["Keys"]["pk"]["S"].as_str(), change["Keys"]["sk"]["S"].as_str()) else {
            continue;
        };
        if !pk.starts_with("R#") {
            continue;
        }
        let (old, new) = (&change["OldImage"], &change["NewImage"]);
        if new.is_null() {
            wrong.push(format!("{pk} {sk} was deleted"));
            continue;
        }
        let number = |image: &Value, name: &str| image[name]["N"].as_str().map_or(0, |n| n.parse::<i64>().unwrap());
        if sk.starts_with("C#") {
            if !old.is_null() {
                wrong.push(format!("{pk} {sk}, a document, was written again"));
            }
            continue;
        }
        if number(new, "v") != number(old, "v") + 1 {
            wrong.push(format!("{pk} {sk} went from version {} to {}", number(old, "v"), number(new, "v")));
        }
        let (from, to) = (old["st"]["S"].as_str(), new["st"]["S"].as_str().unwrap_or_default());
        if sk == "A" {
            wrong.extend(step(pk, from, to));
            if from == Some("held") && to == "expired" && !expired.insert(pk.to_owned()) {
                wrong.push(format!("{pk} expired twice"));
            }
        } else {
            let moves = from.is_none_or(|from| from == "requested" && to != "requested");
            if !moves || (from.is_some() && number(old, "am") != number(new, "am")) {
                wrong.push(format!("payment {pk} {sk} went from {old} to {new}"));
            }
        }
    }
    wrong
}

fn step(pk: &str, from: Option<&str>, to: &str) -> Option<String> {
    let (from, to) = (from.and_then(Status::parse), Status::parse(to)?);
    let allowed = match from {
        None => matches!(to, Status::Held | Status::CheckedIn),
        // A charge that lands after the end changes only the money.
        Some(from) if from == to => true,
        Some(from) => TRANSITIONS.iter().any(|(before, _, after)| (*before, *after) == (from, to)),
    };
    (!allowed).then(|| format!("{pk} went from {from:?} to {to:?}"))
}
