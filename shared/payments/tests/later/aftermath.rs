use parkade_payments::{BalanceKind, DisputeStatus, ProviderId, RefundStatus, Subject};

use crate::scene::{Scene, charge_of, code};

/// What the twin keeps of 12.50.
const FEE: i64 = 44;

fn dispute_of(scene: &Scene) -> ProviderId {
    ProviderId::new(scene.twin.books().disputes.last().unwrap().id.clone()).unwrap()
}

#[tokio::test]
async fn a_dispute_takes_the_money_with_a_fee_and_keeps_it_from_being_refunded_until_it_is_won() {
    let mut scene = Scene::new(None).await;
    let charge = scene.charge("k", "pm_card_createDispute").await;
    assert_eq!(scene.refund("r1", &charge, 100).await, Err("charge_disputed".into()));
    let id = dispute_of(&scene);
    let open = scene.client.retrieve_dispute(&id).await.unwrap();
    assert_eq!(
        (open.status, open.amount_minor, open.reason.as_str()),
        (DisputeStatus::NeedsResponse, 1250, "fraudulent")
    );
    assert_eq!((open.payment_intent.as_ref(), open.payment.as_deref()), (Some(&charge.payment_intent), Some("pay_k")));
    assert!(open.evidence_due_s.is_some());
    let balance = scene.balance().await;
    let [paid, withdrawn] = &balance[..] else { panic!("two: {balance:?}") };
    assert_eq!((paid.kind, paid.net_minor), (BalanceKind::Charge, 1250 - FEE));
    assert_eq!((withdrawn.kind, withdrawn.amount_minor, withdrawn.fee_minor), (BalanceKind::Adjustment, -1250, 1500));
    assert_eq!((withdrawn.dispute.as_ref(), withdrawn.payment.as_deref()), (Some(&id), Some("pay_k")));
    assert_eq!((&withdrawn.charge, &withdrawn.payment_intent), (&paid.charge, &paid.payment_intent));

    assert!(scene.turn(&format!("disputes/{id}/won")).await.starts_with("HTTP/1.1 200"));
    assert!(scene.turn(&format!("disputes/{id}/lost")).await.starts_with("HTTP/1.1 400"), "it is decided once");
    assert_eq!(scene.client.retrieve_dispute(&id).await.unwrap().status, DisputeStatus::Won);
    let balance = scene.balance().await;
    assert_eq!(balance.iter().map(|transaction| transaction.net_minor).sum::<i64>(), 1250 - FEE);
    assert_eq!((balance[2].amount_minor, balance[2].fee_minor, &balance[2].dispute), (1250, -1500, &Some(id)));
    scene.refund("r2", &charge, 100).await.unwrap();

    let events = scene.told::<5>("charge.dispute.").await;
    let names = events.each_ref().map(|event| event.kind.trim_start_matches("charge.dispute.").to_owned());
    assert_eq!(names, ["created", "funds_withdrawn", "updated", "closed", "funds_reinstated"]);
    let Ok(Subject::Dispute(told)) = events[0].object.subject() else { panic!("a dispute") };
    assert_eq!((told.status, told.payment_intent), (DisputeStatus::NeedsResponse, Some(charge.payment_intent)));
}

#[tokio::test]
async fn a_lost_dispute_keeps_money_and_fee_and_a_question_takes_nothing() {
    let scene = Scene::new(None).await;
    let charge = scene.charge("k", "pm_card_createDisputeProductNotReceived").await;
    scene.turn(&format!("disputes/{}/lost", dispute_of(&scene))).await;
    assert_eq!(scene.refund("r1", &charge, 100).await, Err("charge_disputed".into()));
    assert_eq!(scene.balance().await.iter().map(|one| one.net_minor).sum::<i64>(), -FEE - 1500);
    let [dispute] = &scene.twin.books().disputes[..] else { panic!("one dispute") };
    assert_eq!((dispute.open, dispute.taken), (false, true));

    let asked = scene.charge("l", "pm_card_createDisputeInquiry").await;
    let id = dispute_of(&scene);
    assert_eq!(scene.client.retrieve_dispute(&id).await.unwrap().status, DisputeStatus::WarningNeedsResponse);
    scene.refund("r2", &asked, 100).await.unwrap();
    scene.turn(&format!("disputes/{id}/lost")).await;
    assert_eq!(scene.client.retrieve_dispute(&id).await.unwrap().status, DisputeStatus::WarningClosed);
    assert_eq!(scene.balance().await.len(), 4, "two charges, one dispute, one refund");
}

#[tokio::test]
async fn reserved_money_is_disputed_when_it_is_taken() {
    let scene = Scene::new(None).await;
    let request = charge_of("k", "pm_card_createDispute");
    let reserved = scene.client.create_payment_intent_on(&request, crate::scene::RESERVED).await.unwrap();
    assert!(scene.twin.books().disputes.is_empty());
    let capture = parkade_payments::CaptureRequest {
        payment_intent: reserved.payment_intent,
        amount_minor: 900,
        currency: reserved.currency,
        idempotency_key: "c".into(),
    };
    scene.client.capture_payment_intent(&capture).await.unwrap();
    assert_eq!(scene.client.retrieve_dispute(&dispute_of(&scene)).await.unwrap().amount_minor, 900);
}

#[tokio::test]
async fn a_refund_that_is_pending_succeeds_later() {
    let mut scene = Scene::new(None).await;
    let charge = scene.charge("k", "pm_card_pendingRefund").await;
    let id = scene.refund("r", &charge, 300).await.unwrap();
    let status = async || scene.client.retrieve_refund(&id).await.unwrap().status;
    assert_eq!(status().await, RefundStatus::Pending);
    assert_eq!(scene.refund("too much", &charge, 951).await.map_err(|_| ()), Err(()), "it counts already");
    scene.turn("clock/61").await;
    assert_eq!(status().await, RefundStatus::Succeeded);
    assert_eq!((scene.balance().await.len(), scene.twin.books().totals["eur"].refunded), (2, 300));
    let [created, updated] = scene.told("refund.").await;
    assert_eq!([created.kind.as_str(), updated.kind.as_str()], ["refund.created", "refund.updated"]);
    assert_eq!(updated.object.refund().unwrap().status, RefundStatus::Succeeded);
}

#[tokio::test]
async fn a_refund_that_fails_later_gives_the_money_back_to_us_and_may_be_given_again() {
    let mut scene = Scene::new(None).await;
    let charge = scene.charge("k", "pm_card_refundFail").await;
    let id = scene.refund("r", &charge, 1250).await.unwrap();
    let status = async || scene.client.retrieve_refund(&id).await.unwrap().status;
    assert_eq!(status().await, RefundStatus::Succeeded);
    assert_eq!(scene.refund("more", &charge, 1).await, Err("charge_already_refunded".into()));
    scene.turn("clock/61").await;
    assert_eq!(status().await, RefundStatus::Failed);
    let balance = scene.balance().await;
    let [_, gone, back] = &balance[..] else { panic!("three: {balance:?}") };
    assert_eq!((gone.amount_minor, back.amount_minor, back.kind), (-1250, 1250, BalanceKind::Refund));
    assert_eq!((&gone.source, gone.payment.as_deref()), (&back.source, Some("pay_r")));
    let books = scene.twin.books();
    assert_eq!((books.refunds[0].failed, books.totals["eur"].refunded), (true, 0));
    scene.refund("again", &charge, 1250).await.unwrap();

    let events = scene.told::<3>("refund.").await;
    assert_eq!(
        events.each_ref().map(|event| event.kind.as_str()),
        ["refund.created", "refund.updated", "refund.failed"]
    );
    assert_eq!(events[2].object.refund().unwrap().status, RefundStatus::Failed);
    assert_eq!(events[2].object.payment.as_deref(), Some("pay_r"));
}

#[tokio::test]
async fn what_time_ends_is_told_without_anybody_asking() {
    let mut scene = Scene::new(None).await;
    let charge = scene.charge("k", "pm_card_pendingRefund").await;
    scene.refund("r", &charge, 300).await.unwrap();
    scene.turn("clock/58").await;
    // Two seconds are left; nobody calls the twin any more.
    let [_, updated] = scene.told("refund.").await;
    assert_eq!(updated.kind, "refund.updated");
}

#[tokio::test]
async fn a_refunded_charge_is_told_with_its_refund() {
    let mut scene = Scene::new(None).await;
    let charge = scene.charge("k", "pm_card_visa").await;
    scene.refund("r", &charge, 300).await.unwrap();
    let [refunded] = scene.told("charge.").await;
    assert_eq!((refunded.kind.as_str(), refunded.object.subject()), ("charge.refunded", Ok(Subject::Other)));
    assert_eq!(
        (refunded.object.payment_intent, refunded.object.payment.as_deref()),
        (Some(charge.payment_intent), Some("pay_k"))
    );
}

#[tokio::test]
async fn a_payout_sends_what_there_is_and_no_more() {
    let scene = Scene::new(None).await;
    let charge = scene.charge("k", "pm_card_visa").await;
    scene.refund("r", &charge, 300).await.unwrap();
    for _ in 0..2 {
        assert!(scene.turn("payout").await.starts_with("HTTP/1.1 200"));
    }
    let balance = scene.balance().await;
    let [.., paid_out] = &balance[..] else { panic!("empty") };
    assert_eq!((balance.len(), paid_out.kind, paid_out.amount_minor), (3, BalanceKind::Payout, -(1250 - FEE - 300)));
    assert_eq!(balance.iter().map(|one| one.net_minor).sum::<i64>(), 0);
    assert_eq!(
        (&paid_out.payment_intent, paid_out.source.as_ref().map(ProviderId::as_str)),
        (&None, Some("po_twin00000001"))
    );
}

#[tokio::test]
async fn a_card_that_belongs_to_nobody_pays_once() {
    let scene = Scene::new(None).await;
    let charge = scene.charge("k", "pm_card_visa").await;
    assert_eq!(charge.customer, None);
    let again = scene.client.create_payment_intent(&charge_of("l", "pm_twin00000001")).await.map_err(code);
    assert_eq!(again, Err("payment_method_unexpected_state".into()));
}
