//! The function on the real store engine: whatever happens to messages and processes, documents are numbered 1…n, and say what moved.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use chrono::{DateTime, Utc};
use futures::future::join_all;
use issue_receipts::handle;
use parkade_domain::document::{Document, Kind, Number};
use parkade_domain::geometry::Shape;
use parkade_domain::ids::{PaymentId, ReceiptId};
use parkade_domain::payment::{Means, Word};
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::Reason;
use parkade_store::{Access, CommandError, Reserve, Store};
use parkade_testkit::{Faults, LEDGER, Rates};
use parkade_tests::given::{T0_S, booking, id, window};
use parkade_tests::random::seeds;
use parkade_tests::world::order;
use parkade_tests::{Random, Snapshot, World, invariants};
use serde_json::json;

const CHARGED: &str = "payment.processed.v1";
const REFUNDED: &str = "refund.processed.v1";
const REFUND_FAILED: &str = "refund.failed.v1";
/// An hour in the suite's lot.
const PRICE: i64 = 400;

async fn world(spots: u16) -> World {
    World::new(Shape::Hourly, spots, LotPolicy::default()).await
}

/// Driver `n` has booked the second hour and paid for it.
async fn paid(store: &Store, n: u64) -> PaymentId {
    let request = Reserve { new: booking(n, n, vec![window(60, 120)]), spot: None, promise: None, now_s: T0_S };
    store.reserve(&request).await.unwrap();
    let payment = store.pay(&order(id(n), 1_000, 1, T0_S + 10), &Means::card("pm_card_visa")).await.unwrap().payment;
    succeed(store, payment.id).await;
    payment.id
}

async fn succeed(store: &Store, payment: PaymentId) {
    let word = Word::Succeeded { reference: format!("pi_{payment}") };
    store.settle(payment, &word, T0_S + 20).await.unwrap();
}

/// The operator cancels, and all of it goes back: the refund's id.
async fn refunded(store: &Store, charge: PaymentId) -> PaymentId {
    let cancelled = store.cancel(&order(charge.reservation, 2_000, 1, T0_S + 30), Reason::SpotOutOfService).await;
    let refund = cancelled.unwrap().dossier.payments.last().unwrap().id;
    succeed(store, refund).await;
    refund
}

/// The bank sends a refund back.
async fn send_back(store: &Store, refund: PaymentId) {
    let word = Word::Declined { code: "bank_account_closed".to_owned() };
    assert!(!store.settle(refund, &word, T0_S + 40).await.unwrap().replayed);
}

fn message(name: &str, payment: PaymentId) -> SqsMessage {
    let detail = json!({"event_id": "e", "payment_id": payment.to_string()});
    let mut message = SqsMessage::default();
    message.message_id = Some(payment.to_string());
    message.body = Some(json!({"source": "parkade", "detail-type": name, "detail": detail}).to_string());
    message
}

/// One delivery; whether it was done.
async fn deliver(store: &Store, name: &str, payment: PaymentId, now: DateTime<Utc>) -> bool {
    let mut batch = SqsEvent::default();
    batch.records = vec![message(name, payment)];
    handle(store, now, batch).await.batch_item_failures.is_empty()
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(T0_S + 60, 0).unwrap()
}

fn at(time: &str) -> DateTime<Utc> {
    time.parse().unwrap()
}

async fn receipt(store: &Store, payment: PaymentId) -> Document {
    store.receipt(ReceiptId::of(payment), &Access::System).await.unwrap()
}

/// The numbers that are taken, by series.
fn taken(world: &World) -> BTreeMap<String, Vec<u32>> {
    let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (pk, sk, _) in Snapshot::take(&world.engine).table(LEDGER.name).filter(|(pk, ..)| pk.starts_with("RCP#")) {
        found.entry(pk.to_owned()).or_default().push(sk.parse().unwrap());
    }
    found
}

async fn assert_sound(world: &World) {
    assert_eq!(invariants::documents(&Snapshot::take(&world.engine)), Vec::<String>::new());
    assert_eq!(world.wrong().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn sixty_four_payments_at_once_with_random_crashes_are_numbered_without_gap_or_repeat() {
    const PAYMENTS: u32 = 64;
    for seed in seeds(&[1]) {
        let world = world(64).await;
        let store = world.store();
        let mut open = BTreeSet::new();
        for n in 1..=u64::from(PAYMENTS) {
            open.insert(paid(&store, n).await);
        }
        let mut random = Random::new(seed);
        let mut crashes = 0;
        for round in 0..200_u64 {
            if open.is_empty() {
                break;
            }
            // Each message in a process of its own: some die before or after one of their calls, all meet faults.
            let tries = open.iter().map(|payment| {
                let call = u64::try_from(random.below(8)).unwrap() + 1;
                let faults = match random.below(4) {
                    0 => Faults::stop_before(call),
                    1 => Faults::stop_after(call),
                    _ => Faults::none(),
                };
                let rates = Rates { lost_reply: 60, timed_out: 30, transaction_conflict: 60, ..Rates::default() };
                faults.set_rates(random.next(), rates);
                faults.interleave(random.next());
                let process = world.process(&faults);
                async move { (*payment, deliver(&process, CHARGED, *payment, now()).await) }
            });
            let outcomes = join_all(tries.collect::<Vec<_>>()).await;
            crashes += outcomes.iter().filter(|(_, done)| !done).count();
            open.retain(|payment| !outcomes.contains(&(*payment, true)));
            assert!(round < 199, "seed {seed} never comes to rest");
        }
        assert!(crashes > 10, "seed {seed} provoked only {crashes} failures");
        let expected = BTreeMap::from([("RCP#lot-1#2025".to_owned(), (1..=PAYMENTS).collect::<Vec<_>>())]);
        assert_eq!(taken(&world), expected, "seed {seed}");
        assert_sound(&world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn five_deliveries_of_everything_in_any_order_write_each_document_once() {
    for seed in 1..=8_u64 {
        let world = world(8).await;
        let store = world.store();
        let mut messages = Vec::new();
        for n in 1..=4 {
            let charge = paid(&store, n).await;
            let refund = refunded(&store, charge).await;
            messages.extend([(CHARGED, charge), (REFUNDED, refund)]);
        }
        let mut random = Random::new(seed);
        let mut deliveries: Vec<_> = std::iter::repeat_n(messages, 5).flatten().collect();
        for last in (1..deliveries.len()).rev() {
            deliveries.swap(last, random.below(last + 1));
        }
        for (name, payment) in deliveries {
            assert!(deliver(&store, name, payment, now()).await, "seed {seed}");
        }
        assert_eq!(taken(&world)["RCP#lot-1#2025"], (1..=8).collect::<Vec<_>>(), "seed {seed}");
        assert_sound(&world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn deliveries_of_one_stay_at_once_write_each_document_once_and_know_of_each_other() {
    for seed in seeds(&[1, 2, 3]) {
        let world = world(2).await;
        let store = world.store();
        let charge = paid(&store, 1).await;
        let refund = refunded(&store, charge).await;
        let deliveries = (0..10_u64).map(|n| {
            let faults = Faults::none();
            faults.interleave(seed.wrapping_add(n));
            let (process, message) =
                (world.process(&faults), if n % 2 == 0 { (CHARGED, charge) } else { (REFUNDED, refund) });
            async move { deliver(&process, message.0, message.1, now()).await }
        });
        let done = join_all(deliveries.collect::<Vec<_>>()).await;
        assert!(done.into_iter().all(|done| done), "seed {seed}");
        assert_eq!(taken(&world)["RCP#lot-1#2025"], [1, 2], "seed {seed}");
        assert_eq!(receipt(&store, refund).await.documented_before_minor, PRICE, "seed {seed}");
        assert_sound(&world).await;
    }
}

#[tokio::test]
async fn a_refund_makes_a_credit_note_that_names_the_receipt_it_corrects() {
    let world = world(2).await;
    let store = world.store();
    let charge = paid(&store, 1).await;
    let refund = refunded(&store, charge).await;
    // The credit note's message comes first: the receipt is written before it all the same.
    assert!(deliver(&store, REFUNDED, refund, now()).await);
    let (receipt, note) = (receipt(&store, charge).await, receipt(&store, refund).await);
    assert_eq!((receipt.kind, receipt.number.to_string().as_str()), (Kind::Receipt, "lot-1-2025-000001"));
    assert_eq!((note.kind, note.number.to_string().as_str()), (Kind::CreditNote, "lot-1-2025-000002"));
    assert_eq!(note.corrects.unwrap().number, receipt.number);
    assert_eq!((receipt.total_minor, note.total_minor), (PRICE, -PRICE));
    // The stay was cancelled before the receipt was written: what was paid for nothing is on account, and then given back.
    assert_eq!((receipt.price.total_minor(), receipt.on_account_minor), (0, PRICE));
    assert_eq!((note.documented_before_minor, note.on_account_minor), (PRICE, 0));
    assert_sound(&world).await;
}

#[tokio::test]
async fn a_refund_that_the_bank_sends_back_takes_its_credit_note_back() {
    let world = world(2).await;
    let store = world.store();
    let charge = paid(&store, 1).await;
    assert!(deliver(&store, CHARGED, charge, now()).await);
    let refund = refunded(&store, charge).await;
    assert!(deliver(&store, REFUNDED, refund, now()).await);
    send_back(&store, refund).await;
    for name in [REFUND_FAILED, REFUNDED, REFUND_FAILED] {
        assert!(deliver(&store, name, refund, now()).await);
    }
    let note = receipt(&store, refund).await;
    let back = store.receipt(ReceiptId { payment: refund, reversal: true }, &Access::System).await.unwrap();
    assert_eq!((back.kind, back.total_minor, back.on_account_minor), (Kind::CreditNoteReversal, PRICE, PRICE));
    assert_eq!(back.corrects.unwrap().number, note.number);
    assert_eq!(taken(&world)["RCP#lot-1#2025"], [1, 2, 3]);
    assert_eq!(invariants::documents(&Snapshot::take(&world.engine)), Vec::<String>::new());
}

#[tokio::test]
async fn a_refund_that_came_back_before_its_credit_note_was_written_has_none() {
    let world = world(2).await;
    let store = world.store();
    let charge = paid(&store, 1).await;
    let refund = refunded(&store, charge).await;
    send_back(&store, refund).await;
    assert!(deliver(&store, REFUNDED, refund, now()).await);
    assert!(deliver(&store, REFUND_FAILED, refund, now()).await);
    assert_eq!(taken(&world)["RCP#lot-1#2025"], [1]);
    let none = store.receipt(ReceiptId::of(refund), &Access::System).await;
    assert!(matches!(none, Err(CommandError::NotFound)), "{none:?}");
}

#[tokio::test]
async fn a_refund_that_comes_back_while_its_credit_note_is_written_has_none() {
    let world = world(2).await;
    let store = world.store();
    let charge = paid(&store, 1).await;
    assert!(deliver(&store, CHARGED, charge, now()).await);
    let refund = refunded(&store, charge).await;
    let (faults, meanwhile, once) = (Faults::none(), world.store(), Arc::new(AtomicBool::new(true)));
    faults.add_hook(move |call| {
        let now = call.operation == "TransactWriteItems" && once.swap(false, Ordering::SeqCst);
        let meanwhile = meanwhile.clone();
        async move {
            if now {
                send_back(&meanwhile, refund).await;
            }
        }
    });
    assert!(deliver(&world.process(&faults), REFUNDED, refund, now()).await);
    assert_eq!(taken(&world)["RCP#lot-1#2025"], [1], "the payment is not what the credit note would say");
}

#[tokio::test]
async fn the_year_changes_at_midnight_on_the_lots_own_clock() {
    let world = world(4).await;
    let store = world.store();
    for (n, time) in [(1, "2025-12-31T22:59:59Z"), (2, "2025-12-31T23:00:00Z"), (3, "2026-01-01T00:00:00Z")] {
        let charge = paid(&store, n).await;
        assert!(deliver(&store, CHARGED, charge, at(time)).await);
    }
    let expected = BTreeMap::from([("RCP#lot-1#2025".to_owned(), vec![1]), ("RCP#lot-1#2026".to_owned(), vec![1, 2])]);
    assert_eq!(taken(&world), expected);
    assert_sound(&world).await;
}

#[tokio::test]
async fn what_is_no_movement_of_money_comes_again_and_the_rest_of_the_batch_is_done() {
    let world = world(2).await;
    let store = world.store();
    let charge = paid(&store, 1).await;
    let unknown = PaymentId { reservation: id(9), number: 1 };
    let mut batch = SqsEvent::default();
    batch.records = vec![message(CHARGED, unknown), message("payment.requested.v1", charge), message(CHARGED, charge)];
    batch.records.iter_mut().zip(["unknown", "misrouted", "good"]).for_each(|(record, id)| {
        record.message_id = Some(id.to_owned());
    });
    let response = handle(&store, now(), batch).await;
    let failed: Vec<_> = response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
    assert_eq!(failed, ["unknown", "misrouted"]);
    assert_eq!(receipt(&store, charge).await.number, "lot-1-2025-000001".parse::<Number>().unwrap());
}

#[tokio::test]
async fn a_payment_without_money_has_no_document() {
    let world = world(2).await;
    let store = world.store();
    let request = Reserve { new: booking(1, 1, vec![window(60, 120)]), spot: None, promise: None, now_s: T0_S };
    store.reserve(&request).await.unwrap();
    let open = store.pay(&order(id(1), 1_000, 1, T0_S + 10), &Means::card("pm_card_visa")).await.unwrap().payment;
    assert!(deliver(&store, CHARGED, open.id, now()).await, "the event is ahead of the record only in a test");
    store.settle(open.id, &Word::Declined { code: "no".to_owned() }, T0_S + 20).await.unwrap();
    assert!(deliver(&store, CHARGED, open.id, now()).await);
    assert_eq!(taken(&world), BTreeMap::new());
}
