//! The books beside the records: what the mapping makes of the stream, and what is sealed.

use std::collections::{BTreeMap, BTreeSet};

use parkade_domain::adjustment::{Adjustment, AdjustmentKind};
use parkade_domain::decide::Dossier;
use parkade_domain::ids::ReservationId;
use parkade_domain::reservation::Status;
use parkade_ledger::{Account, Book, Entry, Month, Sealed, Verifier};
use parkade_store::{Image, Journal, Store, image};
use serde_json::Value;

use crate::{Snapshot, World};

/// Both images of a stream record, as a consumer reads them.
///
/// # Panics
/// If the record cannot be read.
#[must_use]
pub fn images(record: &Value) -> (Image, Image) {
    let one = |name: &str| {
        let item = &record["dynamodb"][name];
        if item.is_null() { Image::Absent } else { image(serde_json::from_value(item.clone()).unwrap()).unwrap() }
    };
    (one("OldImage"), one("NewImage"))
}

/// The entries of stream records, in their order.
///
/// # Panics
/// If a record cannot be mapped.
pub async fn entries(store: &Store, records: &[Value]) -> Vec<Entry> {
    let mut journal = Journal::new(store);
    let mut found = Vec::new();
    for (old, new) in records.iter().map(images) {
        journal.see(&new);
        found.extend(journal.entry(&old, &new).await.unwrap());
    }
    found
}

/// What each reservation's entries sum to, kept up with the stream. A suite that goes back to an earlier state writes records too: they
/// are changes like any other, so the sums stay those of what is stored.
#[derive(Debug, Default)]
pub struct Watch {
    after: Option<String>,
    sums: BTreeMap<(ReservationId, Account), i64>,
}

impl Watch {
    /// Takes in what was written since the last time.
    pub async fn catch_up(&mut self, world: &World, store: &Store) {
        let mut journal = Journal::new(store);
        while let Some(page) = world.stream_page(&mut self.after, 1_000) {
            for (old, new) in page.iter().map(images) {
                // A suite deletes what an earlier state does not have; the product never does.
                let (old, new, sign) = if new == Image::Absent { (new, old, -1) } else { (old, new, 1) };
                journal.see(&new);
                let Some(entry) = journal.entry(&old, &new).await.unwrap() else { continue };
                // A count is nobody's.
                let Some(id) = entry.about.reservation else { continue };
                for posting in entry.postings() {
                    *self.sums.entry((id, posting.account.clone())).or_default() += sign * posting.amount_minor;
                }
            }
        }
    }

    fn on(&self, d: &Dossier, account: Account) -> i64 {
        self.sums.get(&(d.reservation.id, account)).copied().unwrap_or(0)
    }

    /// At any time exactly the price of what has ended is earned of its driver, beside what merchants owe.
    #[must_use]
    pub fn wrongly_earned(&self, d: &Dossier) -> Option<String> {
        let of_merchants = |(key, minor): (&(ReservationId, Account), &i64)| {
            (key.0 == d.reservation.id && matches!(key.1, Account::Merchant(_))).then_some(*minor)
        };
        let merchants: i64 = self.sums.iter().filter_map(of_merchants).sum();
        let earned = -(self.on(d, Account::Revenue) + self.on(d, Account::Tax)) - merchants;
        (earned != earnable_minor(d)).then(|| format!("{}: {earned} was earned; {d:?}", d.reservation.id))
    }

    /// At rest the books, the record and the provider say the same of a reservation.
    #[must_use]
    pub fn wrong(&self, d: &Dossier, kept_minor: i64) -> Vec<String> {
        let r = &d.reservation;
        let on = |account| self.on(d, account);
        let mut wrong: Vec<String> = self.wrongly_earned(d).into_iter().collect();
        // Change that is owed is booked when somebody comes for it.
        let waits: i64 = d.payments.iter().filter(|p| p.is_change_owed()).map(|p| p.amount_minor).sum();
        let owed = earnable_minor(d) - (r.paid_minor - r.refunded_minor) - waits;
        if on(Account::Receivable) != owed {
            wrong.push(format!("{}: {} is receivable, {owed} is owed; {d:?}", r.id, on(Account::Receivable)));
        }
        if on(Account::Clearing) != kept_minor {
            wrong.push(format!(
                "{}: {} is at the provider by the books, {kept_minor} by its own",
                r.id,
                on(Account::Clearing)
            ));
        }
        wrong
    }
}

/// What a reservation may have earned us, by the words of the rule and not by the code under test.
fn earnable_minor(d: &Dossier) -> i64 {
    let adjusted = |known: &Adjustment| match (known.voided_at_s, known.kind) {
        (Some(_), _) => 0,
        (None, AdjustmentKind::Violation(_)) => known.amount_minor,
        (None, AdjustmentKind::Goodwill) => -known.amount_minor,
    };
    match d.reservation.status {
        Status::Completed | Status::Cancelled | Status::NoShow => {
            (d.reservation.price_minor + d.reservation.adjustments.iter().map(adjusted).sum::<i64>()).max(0)
        }
        _ => 0,
    }
}

/// What is sealed is what the stream says, each entry once, in chains that verify and whose balances are their sums.
pub async fn wrongly_sealed(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    let expected = entries(&world.store(), &world.stream()).await;
    let ids: BTreeMap<&str, &Entry> = expected.iter().map(|entry| (entry.about.id.as_str(), entry)).collect();
    if ids.len() != expected.len() {
        wrong.push("two changes have one entry id".to_owned());
    }
    let sealed = sealed(world, &expected, &mut wrong).await;
    for entry in &sealed {
        let about = &entry.entry.about;
        match ids.get(about.id.as_str()) {
            Some(expected) if **expected == entry.entry => {}
            Some(expected) => wrong.push(format!("sealed as {entry:?}, made as {expected:?}")),
            None => wrong.push(format!("nothing in the stream explains {entry:?}")),
        }
    }
    let found: BTreeSet<&str> = sealed.iter().map(|sealed| sealed.entry.about.id.as_str()).collect();
    wrong.extend(ids.keys().filter(|id| !found.contains(*id)).map(|id| format!("{id} is not sealed")));
    if found.len() != sealed.len() {
        wrong.push("an entry is sealed twice".to_owned());
    }
    let stored = Snapshot::take(&world.engine);
    let stored = stored.table(parkade_testkit::LEDGER.name).filter(|(_, sk, _)| sk.starts_with("E#")).count();
    if stored != sealed.len() {
        wrong.push(format!("{stored} entries are stored, {} are in chains", sealed.len()));
    }
    wrong
}

/// The entries of every chain, verified.
async fn sealed(world: &World, expected: &[Entry], wrong: &mut Vec<String>) -> Vec<Sealed> {
    let chains: BTreeSet<_> = expected.iter().map(|entry| (entry.about.book.clone(), entry.about.month)).collect();
    let mut all = Vec::new();
    for (book, month) in chains {
        all.extend(verified(&world.store(), &book, month, 7, wrong).await);
    }
    all
}

/// The entries of one chain, read in pages of `page`. What breaks it, what its last batch says otherwise, and a sum that is not zero are
/// wrong.
pub async fn verified(store: &Store, book: &Book, month: Month, page: usize, wrong: &mut Vec<String>) -> Vec<Sealed> {
    let mut verifier = Verifier::new(book.clone(), month);
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (sealed, next) = store.sealed(book, month, after, page).await.unwrap();
        wrong.extend(sealed.iter().filter_map(|sealed| verifier.check(sealed).err()).map(|broken| broken.to_string()));
        all.extend(sealed);
        after = next;
        if after.is_none() {
            break;
        }
    }
    let last = store.last_batch(book, month).await.unwrap();
    if last.as_ref().map(|batch| (batch.head, &batch.balances)) != Some((verifier.head(), verifier.balances())) {
        wrong.push(format!("the chain {book} {month} ends as {:?}, its last batch says {last:?}", verifier.head()));
    }
    if !verifier.balances().sums_to_zero() {
        wrong.push(format!("the books of {book} {month} do not sum to zero: {}", verifier.balances()));
    }
    all
}
