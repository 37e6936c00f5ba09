//! What must hold of credit and of cash: what lies in a purse is what the payments put into it and took out.

use std::collections::{BTreeMap, BTreeSet};

use parkade_domain::decide::Dossier;
use parkade_domain::payment::{Means, Payment, PaymentKind, PaymentStatus};
use parkade_testkit::RECORDS;

use crate::Snapshot;

/// What a payment that was carried out has moved to us, in minor units; below zero for a refund.
const fn moved_minor(payment: &Payment) -> i64 {
    match (payment.status, payment.kind) {
        (PaymentStatus::Succeeded, PaymentKind::Charge(_)) => payment.amount_minor,
        (PaymentStatus::Succeeded, PaymentKind::Refund { .. }) => -payment.amount_minor,
        _ => 0,
    }
}

/// A user's credit is what refunds put into the wallet less what charges took out of it, in each currency, and never below nothing.
#[must_use]
pub fn wallets(snapshot: &Snapshot, dossiers: &[Dossier]) -> Vec<String> {
    let mut expected: BTreeMap<(String, String), i64> = BTreeMap::new();
    for d in dossiers {
        for payment in d.payments.iter().filter(|payment| payment.means == Means::Wallet) {
            let wallet = (format!("U#{}", d.reservation.user), format!("WALLET#{}", payment.currency));
            *expected.entry(wallet).or_default() -= moved_minor(payment);
        }
    }
    let mut wrong = Vec::new();
    for (pk, sk, item) in snapshot.table(RECORDS.name).filter(|(_, sk, _)| sk.starts_with("WALLET#")) {
        let holds: i64 = item["am"]["N"].as_str().unwrap().parse().unwrap();
        let should = expected.remove(&(pk.to_owned(), sk.to_owned())).unwrap_or(0);
        if holds != should || holds < 0 {
            wrong.push(format!("{pk} {sk} holds {holds}, the payments say {should}"));
        }
    }
    let missing = expected.into_iter().filter(|(_, minor)| *minor != 0);
    wrong.extend(missing.map(|((pk, sk), minor)| format!("{pk} {sk} is missing and should hold {minor}")));
    wrong
}

/// A till should hold what was paid into it less what was paid out, and what its counts put in or took away; never less than nothing. A
/// count is what the till said then.
#[must_use]
pub fn tills(snapshot: &Snapshot, dossiers: &[Dossier]) -> Vec<String> {
    let mut expected: BTreeMap<String, i64> = BTreeMap::new();
    for payment in dossiers.iter().flat_map(|d| &d.payments) {
        if let Means::Cash { till, .. } = &payment.means {
            *expected.entry(till.to_string()).or_default() += moved_minor(payment);
        }
    }
    let mut wrong = Vec::new();
    for (_, sk, item) in snapshot.table(RECORDS.name) {
        let minor = |name: &str| item[name]["N"].as_str().unwrap().parse::<i64>().unwrap();
        if let Some((till, _)) = sk.strip_prefix("COUNT#").and_then(|rest| rest.split_once('#')) {
            *expected.entry(till.to_owned()).or_default() += minor("lf") - minor("ex");
        }
    }
    for (_, sk, item) in snapshot.table(RECORDS.name) {
        let Some(till) = sk.strip_prefix("TILL#") else { continue };
        let holds: i64 = item["am"]["N"].as_str().unwrap().parse().unwrap();
        let should = expected.remove(till).unwrap_or(0);
        if holds != should || holds < 0 {
            wrong.push(format!("till {till} says {holds}, the payments and counts say {should}"));
        }
    }
    let missing = expected.into_iter().filter(|(_, minor)| *minor != 0);
    wrong.extend(missing.map(|(till, minor)| format!("till {till} is missing and should hold {minor}")));
    wrong
}

/// What a vehicle has used of a limited validation is exactly what its stays were given, and never more than the tariff allows. For
/// suites that last less than the limit's period.
#[must_use]
pub fn uses(snapshot: &Snapshot, dossiers: &[Dossier]) -> Vec<String> {
    let tariff = crate::given::tariff();
    let limits: BTreeMap<String, u32> =
        tariff.validations.iter().filter_map(|v| v.limit.map(|limit| (v.id.to_string(), limit.uses))).collect();
    let mut expected: BTreeMap<(String, String), BTreeSet<u64>> = BTreeMap::new();
    for r in dossiers.iter().map(|d| &d.reservation) {
        for given in r.validations.iter().filter(|given| limits.contains_key(given.id.as_str())) {
            let plate: String = r.plate.as_ref().unwrap().index.iter().map(|byte| format!("{byte:02x}")).collect();
            let vehicle = (format!("V#{}#{plate}", r.lot), given.id.to_string());
            expected.entry(vehicle).or_default().insert(r.id.bits());
        }
    }
    let mut wrong = Vec::new();
    for (pk, sk, item) in snapshot.table(RECORDS.name).filter(|(pk, ..)| pk.starts_with("V#")) {
        let packed = aws_smithy_types::base64::decode(item["ul"]["B"].as_str().unwrap()).unwrap();
        let stay = |used: &[u8; 12]| u64::from_be_bytes(used[4..].try_into().unwrap());
        let stored: Vec<u64> = packed.as_chunks::<12>().0.iter().map(stay).collect();
        let given = expected.remove(&(pk.to_owned(), sk.to_owned())).unwrap_or_default();
        if stored.iter().copied().collect::<BTreeSet<_>>() != given || stored.len() != given.len() {
            wrong.push(format!("{pk} has used {sk} for {stored:?}, it was given to {given:?}"));
        }
        if stored.len() > usize::try_from(limits[sk]).unwrap() {
            wrong.push(format!("{pk} has used {sk} {} times", stored.len()));
        }
    }
    wrong.extend(expected.into_keys().map(|(pk, sk)| format!("{pk} was given {sk}, and nobody knows")));
    wrong
}

/// What the payment provider should have kept of a reservation's money, in minor units: refunds are taken off when they are asked for.
#[must_use]
pub fn with_provider_minor(d: &Dossier) -> i64 {
    let minor = |payment: &Payment| match (payment.kind, payment.status) {
        (PaymentKind::Charge(_), PaymentStatus::Succeeded) => payment.amount_minor,
        (PaymentKind::Refund { .. }, PaymentStatus::Requested | PaymentStatus::Succeeded) => -payment.amount_minor,
        _ => 0,
    };
    d.payments.iter().filter(|payment| payment.by_provider()).map(minor).sum()
}
