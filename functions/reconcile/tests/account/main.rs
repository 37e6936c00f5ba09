//! Reconciliation with the payment twin over HTTP: the books are the provider's, or somebody is told why not.
#![cfg(test)]

mod scene;

use parkade_domain::adjustment::ViolationKind;
use parkade_domain::money::Money;
use parkade_domain::payment::{Means, PaymentStatus, Word};
use parkade_domain::reservation::{Reason, Status};
use parkade_ledger::{Account, ExceptionKind};
use parkade_payments::{
    Capture, ChargeStatus, ChargeTerms, Config, ConfirmSetupRequest, CustomerRequest, Presence, SecretKey,
    SetupRequest, StripeClient,
};
use parkade_store::Access;
use parkade_testkit::Faults;
use parkade_tests::Snapshot;
use parkade_tests::given::id;
use parkade_tests::world::order;
use reconcile::ReconcileReport;
use scene::{DAY_S, HOUR_S, PRICE, Scene};

const USUAL: ChargeTerms = ChargeTerms { capture: Capture::Automatic, presence: Presence::OnSession };
const RESERVED: ChargeTerms = ChargeTerms { capture: Capture::Manual, presence: Presence::OnSession };
/// What the twin keeps of [`PRICE`].
const FEE: i64 = 31;

async fn kinds(scene: &Scene) -> Vec<ExceptionKind> {
    scene.open().await.into_iter().map(|exception| exception.kind).collect()
}

/// After all is sealed and read, our books are the provider's.
async fn assert_agrees(scene: &Scene) {
    scene.seal().await;
    assert_eq!(scene.on(&Account::Clearing).await, scene.balance().await);
}

#[tokio::test]
async fn a_day_of_charges_and_refunds_is_explained_with_its_fees_once() {
    let scene = Scene::new().await;
    for key in 1..=3 {
        scene.paid(key, "pm_card_visa").await;
    }
    scene.requested(4, "pm_card_visa_chargeDeclined").await;
    let now_s = scene.world.clock.now_s();
    let cancelled = scene.store.cancel(&order(id(1), 20, 1, now_s), Reason::SpotOutOfService).await.unwrap();
    let refund = cancelled.dossier.payments.last().unwrap().clone();
    scene.cashier.carry_out(refund.id, now_s).await.unwrap();
    scene.seal().await;
    scene.later(HOUR_S);
    let first = scene.reconcile().await;
    assert_eq!(first, ReconcileReport { transactions: 4, ..ReconcileReport::default() });
    assert_eq!(scene.on(&Account::Fees).await, 3 * FEE);
    assert_agrees(&scene).await;
    let before = Snapshot::take(&scene.world.engine);
    assert_eq!(scene.reconcile().await, ReconcileReport::default(), "nothing is new");
    assert_eq!(Snapshot::take(&scene.world.engine).table("Ledger").count(), before.table("Ledger").count());
    scene.later(2 * DAY_S);
    scene.reconcile().await;
    assert!(scene.open().await.is_empty(), "each payment was found again: {:?}", scene.open().await);
}

#[tokio::test]
async fn a_charge_that_the_records_have_not_heard_of_is_recorded_after_its_own_flow_had_time() {
    let scene = Scene::new().await;
    let payment = scene.requested(1, "pm_card_visa").await;
    let intent = scene.charged("test/charge/lost", &payment.id.to_string(), PRICE, USUAL).await;
    scene.later(600);
    assert_eq!(scene.reconcile().await.settled, 0);
    assert_eq!(scene.payment(&payment).await.status, PaymentStatus::Requested);
    scene.later(600);
    assert_eq!(scene.reconcile().await.settled, 1);
    let recorded = scene.payment(&payment).await;
    assert_eq!(
        (recorded.status, recorded.provider_reference.as_deref()),
        (PaymentStatus::Succeeded, Some(intent.as_str()))
    );
    let d = scene.store.dossier(id(1), &Access::System).await.unwrap();
    assert_eq!(d.reservation.status, Status::Confirmed);
    assert_agrees(&scene).await;
}

#[tokio::test]
async fn the_providers_word_wins_over_a_void_or_declined_charge() {
    let scene = Scene::new().await;
    for (key, word) in [(1, Word::Void), (2, Word::Declined { code: "card_declined".to_owned() })] {
        let payment = scene.requested(key, "pm_card_visa").await;
        scene.store.settle(payment.id, &word, scene.world.clock.now_s()).await.unwrap();
        scene.charged(&format!("k{key}"), &payment.id.to_string(), PRICE, USUAL).await;
        scene.later(60);
        assert_eq!(scene.reconcile().await.settled, 1);
        assert_eq!(scene.payment(&payment).await.status, PaymentStatus::Succeeded);
    }
    assert!(scene.open().await.is_empty());
    assert_agrees(&scene).await;
}

#[tokio::test]
async fn a_refund_that_comes_back_weeks_later_is_owed_again() {
    let scene = Scene::new().await;
    scene.paid(1, "pm_card_refundFail").await;
    let now_s = scene.world.clock.now_s();
    let cancelled = scene.store.cancel(&order(id(1), 20, 1, now_s), Reason::SpotOutOfService).await.unwrap();
    let refund = cancelled.dossier.payments.last().unwrap().clone();
    assert_eq!(scene.cashier.carry_out(refund.id, now_s).await.unwrap().status, PaymentStatus::Succeeded);
    scene.later(HOUR_S);
    assert_eq!(scene.reconcile().await.settled, 0);
    scene.happens("clock/61").await;
    scene.later(HOUR_S);
    assert_eq!(scene.reconcile().await.settled, 1);
    assert_eq!(scene.payment(&refund).await.status, PaymentStatus::Declined);
    assert_eq!(scene.reconcile().await, ReconcileReport { open: 1, ..ReconcileReport::default() });
    assert_agrees(&scene).await;
    let listed = scene.open().await.remove(0);
    assert_eq!((listed.kind, listed.payment()), (ExceptionKind::RefundReturned, Some(refund.id)));
    assert_eq!((listed.facts.ours_minor, listed.facts.our_status.as_deref()), (Some(-PRICE), Some("declined")));
}

#[tokio::test]
async fn a_refund_whose_return_the_records_know_before_the_provider_lists_it_is_no_riddle() {
    let scene = Scene::new().await;
    scene.paid(1, "pm_card_refundFail").await;
    let now_s = scene.world.clock.now_s();
    let cancelled = scene.store.cancel(&order(id(1), 20, 1, now_s), Reason::SpotOutOfService).await.unwrap();
    let refund = cancelled.dossier.payments.last().unwrap().id;
    scene.cashier.carry_out(refund, now_s).await.unwrap();
    scene.happens("clock/61").await;
    // The webhook was faster.
    scene.store.settle(refund, &Word::Declined { code: "lost".to_owned() }, now_s).await.unwrap();
    scene.later(30);
    assert_eq!((scene.reconcile().await.opened, kinds(&scene).await), (0, Vec::new()));
    scene.later(HOUR_S);
    scene.reconcile().await;
    assert_eq!(kinds(&scene).await, [ExceptionKind::RefundReturned]);
    assert_agrees(&scene).await;
}

#[tokio::test]
async fn a_fine_does_not_explain_a_refund_that_came_back() {
    let scene = Scene::new().await;
    scene.paid(1, "pm_card_refundFail").await;
    scene.later(10 * DAY_S + 15 * 60);
    let stay = |mark| order(id(1), mark, 1, scene.world.clock.now_s());
    scene.store.check_in(&stay(20)).await.unwrap();
    scene.later(59 * 60);
    scene.store.check_out(&stay(21)).await.unwrap();
    let some = Money::new(100, scene.world.lot.currency);
    let given = scene.store.give_goodwill(&stay(22), some).await.unwrap();
    let refund = given.dossier.payments.last().unwrap().id;
    scene.cashier.carry_out(refund, scene.world.clock.now_s()).await.unwrap();
    scene.happens("clock/61").await;
    scene.later(HOUR_S);
    scene.reconcile().await;
    assert_eq!(kinds(&scene).await, [ExceptionKind::RefundReturned]);
    let fined = scene.store.record_violation(&stay(23), ViolationKind::WrongSpot).await.unwrap();
    assert!(fined.dossier.reservation.due_minor() > 0);
    assert_eq!(scene.reconcile().await.open, 1, "nobody has given the driver the money");
}

#[tokio::test]
async fn a_refund_that_comes_back_while_its_record_cannot_be_read_is_listed_once_it_can() {
    let scene = Scene::new().await;
    scene.paid(1, "pm_card_refundFail").await;
    let now_s = scene.world.clock.now_s();
    let cancelled = scene.store.cancel(&order(id(1), 20, 1, now_s), Reason::SpotOutOfService).await.unwrap();
    let refund = cancelled.dossier.payments.last().unwrap().clone();
    scene.cashier.carry_out(refund.id, now_s).await.unwrap();
    scene.later(HOUR_S);
    scene.reconcile().await;
    scene.happens("clock/61").await;
    let item = scene.break_record(&refund);
    scene.later(HOUR_S);
    scene.reconcile().await;
    assert_eq!(kinds(&scene).await, [ExceptionKind::NotTaken]);
    scene.mend_record(&item);
    scene.later(HOUR_S);
    let report = scene.reconcile().await;
    assert_eq!((report.settled, report.closed, report.opened), (1, 1, 1));
    assert_eq!(kinds(&scene).await, [ExceptionKind::RefundReturned], "the money is still the driver's");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_listed_and_keeps_no_other_from_being_reconciled() {
    let scene = Scene::new().await;
    let broken = scene.paid(1, "pm_card_visa").await;
    let unheard = scene.requested(2, "pm_card_visa").await;
    scene.charged("test/charge/lost", &unheard.id.to_string(), PRICE, USUAL).await;
    let item = scene.break_record(&broken);
    scene.later(HOUR_S);
    let report = scene.reconcile().await;
    assert_eq!((report.settled, report.opened, report.open), (1, 1, 1));
    assert_eq!(scene.payment(&unheard).await.status, PaymentStatus::Succeeded);
    let listed = scene.open().await.remove(0);
    assert_eq!((listed.kind, listed.payment()), (ExceptionKind::NotTaken, Some(broken.id)));
    assert!(listed.facts.tried.unwrap().contains("cannot be read"), "why is said");

    scene.mend_record(&item);
    scene.later(HOUR_S);
    assert_eq!((scene.reconcile().await.closed, scene.open().await.len()), (1, 0), "mended, it closes itself");
}

#[tokio::test]
async fn payouts_and_disputes_are_booked_and_an_open_dispute_waits_for_a_person_until_the_bank_decides() {
    let scene = Scene::new().await;
    scene.paid(1, "pm_card_createDispute").await;
    scene.paid(2, "pm_card_createDispute").await;
    for key in 3..=10 {
        scene.paid(key, "pm_card_visa").await;
    }
    scene.later(HOUR_S);
    let report = scene.reconcile().await;
    assert_eq!((report.transactions, report.opened, report.open), (12, 2, 2));
    let open = scene.open().await;
    assert!(open.iter().all(|exception| exception.kind == ExceptionKind::DisputeOpen), "{open:?}");
    assert_eq!(open.iter().filter(|exception| exception.payment().is_some()).count(), 2, "a person sees whose it is");
    assert_eq!(scene.on(&Account::Disputed).await, 2 * PRICE);
    assert_agrees(&scene).await;

    let disputes: Vec<String> = scene.twin.books().disputes.iter().map(|dispute| dispute.id.clone()).collect();
    scene.happens(&format!("disputes/{}/won", disputes[0])).await;
    scene.happens(&format!("disputes/{}/lost", disputes[1])).await;
    scene.happens("payout").await;
    scene.later(HOUR_S);
    let report = scene.reconcile().await;
    assert_eq!((report.closed, report.open), (2, 0));
    let sums = [scene.on(&Account::Disputed).await, scene.on(&Account::Loss).await];
    assert_eq!(sums, [0, PRICE]);
    assert!(scene.on(&Account::Bank).await > 0);
    assert_agrees(&scene).await;
    scene.later(HOUR_S);
    let again = scene.reconcile().await;
    assert_eq!((again.opened, again.closed, scene.on(&Account::Loss).await), (0, 0, PRICE));
}

#[tokio::test]
async fn what_cannot_be_explained_is_listed_with_both_sides_and_leaves_the_rest_alone() {
    let scene = Scene::new().await;
    let good = scene.paid(1, "pm_card_visa").await;
    let other_amount = scene.requested(2, "pm_card_visa").await;
    scene.charged("by hand", "somebody", 900, USUAL).await;
    scene.charged("another stage", "pay_09VXRDCKM22JF_1", 900, USUAL).await;
    scene.charged("other amount", &other_amount.id.to_string(), 399, USUAL).await;
    scene.charged("twice", &good.id.to_string(), PRICE, USUAL).await;
    scene.later(HOUR_S);
    let report = scene.reconcile().await;
    assert_eq!((report.transactions, report.opened, report.open), (5, 4, 4));
    let mut found = kinds(&scene).await;
    found.sort_unstable();
    use ExceptionKind as K;
    assert_eq!(found, [K::NamesNoPayment, K::UnknownPayment, K::Differs, K::TakenTwice]);
    let differs = scene.open().await.into_iter().find(|exception| exception.kind == K::Differs).unwrap();
    let theirs = differs.facts.transaction.unwrap();
    assert_eq!((differs.facts.ours_minor, theirs.amount_minor, theirs.fee_minor), (Some(PRICE), 399, FEE));
    assert_eq!(differs.facts.lot.as_deref(), Some("lot-1"));
    assert_eq!(scene.on(&Account::Fees).await, FEE, "of the good one only");
    scene.later(HOUR_S);
    let again = scene.reconcile().await;
    assert_eq!((again.opened, again.closed, again.open), (0, 0, 4), "they are told once");
}

#[tokio::test]
async fn an_exception_whose_record_arrives_closes_itself() {
    let scene = Scene::new().await;
    let booked_later = parkade_domain::ids::PaymentId { reservation: id(1), number: 1 };
    scene.charged("early", &booked_later.to_string(), PRICE, USUAL).await;
    scene.later(HOUR_S);
    assert_eq!((scene.reconcile().await.opened, kinds(&scene).await), (1, vec![ExceptionKind::UnknownPayment]));
    let payment = scene.requested(1, "pm_card_visa").await;
    scene.later(HOUR_S);
    let report = scene.reconcile().await;
    assert_eq!((report.closed, report.open, report.settled), (1, 0, 1));
    assert_eq!(scene.payment(&payment).await.status, PaymentStatus::Succeeded);
    let closed = scene.store.exceptions(false, None, 10).await.unwrap().items.remove(0).closed.unwrap();
    assert_eq!((closed.by.as_str(), closed.note), ("reconcile", None));
    assert_agrees(&scene).await;
}

#[tokio::test]
async fn money_of_our_books_that_the_provider_does_not_list_a_day_later_is_an_exception_until_it_does() {
    let scene = Scene::new().await;
    let payment = scene.requested(1, "pm_card_visa").await;
    let word = Word::Succeeded { reference: "pi_twin00000001".to_owned() };
    scene.store.settle(payment.id, &word, scene.world.clock.now_s()).await.unwrap();
    scene.seal().await;
    scene.later(HOUR_S);
    assert_eq!(scene.reconcile().await.opened, 0, "a list may lag");
    scene.later(DAY_S);
    assert_eq!((scene.reconcile().await.opened, kinds(&scene).await), (1, vec![ExceptionKind::NoTransaction]));
    let open = scene.open().await.remove(0);
    assert_eq!((open.payment(), open.facts.ours_minor), (Some(payment.id), Some(PRICE)));
    assert_eq!(scene.charged("late", &payment.id.to_string(), PRICE, USUAL).await.as_str(), "pi_twin00000001");
    scene.later(HOUR_S);
    let report = scene.reconcile().await;
    assert_eq!((report.closed, report.open), (1, 0));
    assert_agrees(&scene).await;
}

#[tokio::test]
async fn cash_is_never_looked_for_at_the_provider() {
    let scene = Scene::new().await;
    let till = parkade_domain::ids::TillId::new("kiosk").unwrap();
    let payment = scene.requested_by(1, &Means::Cash { till, tendered_minor: 500 }).await;
    let word = Word::Succeeded { reference: "slip".to_owned() };
    scene.store.settle(payment.id, &word, scene.world.clock.now_s()).await.unwrap();
    scene.seal().await;
    scene.later(3 * DAY_S);
    assert_eq!(scene.reconcile().await, ReconcileReport::default());
}

#[tokio::test]
async fn an_entry_that_the_stream_lost_is_sealed_from_the_record() {
    let scene = Scene::new().await;
    scene.paid(1, "pm_card_visa").await;
    scene.later(600);
    assert_eq!(scene.reconcile().await.resealed, 0, "the books may be behind");
    scene.paid(2, "pm_card_visa").await;
    scene.later(2 * HOUR_S);
    assert_eq!(scene.reconcile().await.resealed, 1);
    let clearing = scene.on(&Account::Clearing).await;
    assert_eq!(clearing, PRICE - 2 * FEE);
    assert_agrees(&scene).await;
}

#[tokio::test]
async fn a_run_that_dies_at_any_call_is_finished_by_the_next() {
    let reference = trade().await;
    let faults = Faults::none();
    reference.reconcile_with(&faults).await.unwrap();
    let expected = told(&reference).await;
    for call in 1..=faults.calls() {
        // Dying before a call leaves what dying after the one before it leaves.
        let scene = trade().await;
        scene.reconcile_with(&Faults::stop_after(call)).await.unwrap_err();
        scene.reconcile().await;
        assert_eq!(told(&scene).await, expected, "died after call {call} of {}", faults.calls());
    }
}

/// A charge, one that nobody has heard of, a dispute, one by hand, a refund that the bank sent back.
async fn trade() -> Scene {
    let scene = Scene::new().await;
    scene.paid(1, "pm_card_visa").await;
    let payment = scene.requested(2, "pm_card_visa").await;
    scene.charged("lost", &payment.id.to_string(), PRICE, USUAL).await;
    scene.paid(3, "pm_card_createDispute").await;
    scene.charged("by hand", "somebody", 900, USUAL).await;
    scene.paid(4, "pm_card_refundFail").await;
    let now_s = scene.world.clock.now_s();
    let cancelled = scene.store.cancel(&order(id(4), 20, 1, now_s), Reason::SpotOutOfService).await.unwrap();
    let refund = cancelled.dossier.payments.last().unwrap().id;
    assert_eq!(scene.cashier.carry_out(refund, now_s).await.unwrap().status, PaymentStatus::Succeeded);
    scene.happens("clock/61").await;
    scene.seal().await;
    scene.later(HOUR_S);
    scene
}

/// Balances and exceptions, without what depends on when they were written.
async fn told(scene: &Scene) -> (Vec<i64>, Vec<String>) {
    scene.seal().await;
    let accounts = [Account::Clearing, Account::Fees, Account::Disputed, Account::Receivable, Account::Revenue];
    let mut sums = Vec::new();
    for account in &accounts {
        sums.push(scene.on(account).await);
    }
    let open = scene.open().await;
    (sums, open.iter().map(|exception| format!("{} {}", exception.id, exception.kind.as_str())).collect())
}

#[tokio::test]
async fn two_runs_at_once_book_everything_once() {
    let scene = trade().await;
    let (a, b) = (Faults::none(), Faults::none());
    a.interleave(1);
    b.interleave(2);
    let (first, second) = tokio::join!(scene.reconcile_with(&a), scene.reconcile_with(&b));
    first.unwrap();
    second.unwrap();
    let reference = trade().await;
    reference.reconcile().await;
    assert_eq!(told(&scene).await, told(&reference).await);
}

#[tokio::test]
async fn a_provider_that_is_away_fails_the_run_and_the_next_one_misses_nothing() {
    let scene = Scene::new().await;
    scene.paid(1, "pm_card_visa").await;
    scene.later(HOUR_S);
    let nobody = Config::new("http://127.0.0.1:1", SecretKey::new("sk_test_nobody"));
    let away = scene.reconcile_at(StripeClient::new(&nobody).unwrap(), &Faults::none()).await;
    assert_eq!(away, Err("reconcile_provider_failed"));
    scene.later(5 * DAY_S);
    assert_eq!(scene.reconcile().await.transactions, 1);
    assert_agrees(&scene).await;
}

#[tokio::test]
async fn reserved_money_that_ages_is_reserved_anew_for_who_needs_it_and_released_for_who_does_not() {
    let scene = Scene::new().await;
    let unwanted = scene.paid(1, "pm_card_visa").await;
    let unwanted_intent = scene.charged("r1", &unwanted.id.to_string(), PRICE, RESERVED).await;
    let foreign = scene.charged("r2", "somebody", PRICE, RESERVED).await;
    let cardless = scene.requested(2, "pm_card_visa").await;
    let cardless_intent = scene.charged("r3", &cardless.id.to_string(), PRICE, RESERVED).await;
    let customer = scene
        .stripe
        .create_customer(&CustomerRequest { user: "u".to_owned(), idempotency_key: "c".to_owned() })
        .await
        .unwrap();
    let setup = SetupRequest { customer: customer.clone(), user: "u".to_owned(), idempotency_key: "s".to_owned() };
    let setup = scene.stripe.create_setup_intent(&setup).await.unwrap();
    let confirm = ConfirmSetupRequest {
        setup_intent: setup.setup_intent,
        payment_method: Some("pm_card_visa".to_owned()),
        idempotency_key: "cs".to_owned(),
    };
    let method = scene.stripe.confirm_setup_intent(&confirm).await.unwrap().payment_method.unwrap();
    let means = Means::Provider { method: Some(method.to_string()), customer: Some(customer.to_string()) };
    let wanted = scene.requested_by(3, &means).await;
    let wanted_intent = scene.charged("r4", &wanted.id.to_string(), PRICE, RESERVED).await;
    let status = async |id| scene.stripe.retrieve_payment_intent(id).await.unwrap().status;
    // Both bookings are held so long.
    scene.later(4 * DAY_S);
    let early = scene.reconcile().await;
    assert_eq!((early.renewed, early.released), (0, 0));
    scene.later(DAY_S + HOUR_S);
    let report = scene.reconcile().await;
    assert_eq!((report.renewed, report.released, report.opened), (1, 1, 1));
    assert_eq!(status(&unwanted_intent).await, ChargeStatus::Canceled);
    assert_eq!(status(&foreign).await, ChargeStatus::RequiresCapture, "not ours to release");
    assert_eq!(status(&wanted_intent).await, ChargeStatus::Canceled);
    assert_eq!(status(&cardless_intent).await, ChargeStatus::RequiresCapture);
    assert_eq!(kinds(&scene).await, [ExceptionKind::AuthorisationEnds]);
    let of = scene.stripe.find_payment_intents(&wanted.id.to_string()).await.unwrap();
    assert_eq!(of.iter().filter(|charge| charge.status == ChargeStatus::RequiresCapture).count(), 1);
    scene.later(HOUR_S);
    let again = scene.reconcile().await;
    assert_eq!((again.renewed, again.released, again.opened), (0, 0, 0));
    scene.stripe.cancel_payment_intent(&cardless_intent, "given up").await.unwrap();
    scene.later(HOUR_S);
    assert_eq!(scene.reconcile().await.closed, 1);
}
