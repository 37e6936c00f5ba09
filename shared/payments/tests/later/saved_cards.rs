use std::path::PathBuf;

use parkade_payments::{ChargeRequest, ChargeStatus, PaymentError, ProviderId, SetupStatus, Subject};
use parkade_twin::{Fault, FaultKind, Target};

use crate::scene::{AWAY, Scene, charge_of, code};

fn saved(key: &str, customer: &ProviderId, method: &ProviderId) -> ChargeRequest {
    ChargeRequest { customer: Some(customer.clone()), ..charge_of(key, method.as_str()) }
}

#[tokio::test]
async fn a_card_that_was_set_up_once_is_charged_while_its_driver_is_away() {
    let mut scene = Scene::new(None).await;
    let customer = scene.customer("u1").await;
    let setup = scene.setup("s", &customer).await;
    assert_eq!((setup.status, setup.user.as_deref()), (SetupStatus::RequiresPaymentMethod, Some("u1")));
    assert!(setup.client_secret.is_some());
    let asked = scene.confirm_setup("c", &setup, "pm_card_authenticationRequiredOnSetup").await.unwrap();
    assert_eq!(asked.status, SetupStatus::RequiresAction);
    assert_eq!(scene.client.list_payment_methods(&customer).await, Ok(vec![]), "not before the issuer consents");
    scene.turn(&format!("authenticate/{}/success", setup.setup_intent)).await;
    let done = scene.client.retrieve_setup_intent(&setup.setup_intent).await.unwrap();
    assert_eq!((done.status, done.customer.as_ref()), (SetupStatus::Succeeded, Some(&customer)));

    let cards = scene.client.list_payment_methods(&customer).await.unwrap();
    let [card] = &cards[..] else { panic!("one card: {cards:?}") };
    assert_eq!((card.brand.as_str(), card.last4.as_str(), card.exp_month, card.exp_year), ("visa", "3155", 12, 2034));
    assert_eq!((Some(&card.payment_method), card.customer.as_ref()), (done.payment_method.as_ref(), Some(&customer)));
    assert_eq!(scene.client.retrieve_payment_method(&card.payment_method).await.as_ref(), Ok(card));

    let charge = scene.away(&saved("k", &customer, &card.payment_method)).await.unwrap();
    assert_eq!((charge.status, charge.customer.as_ref()), (ChargeStatus::Succeeded, Some(&customer)));
    let present = scene.client.create_payment_intent(&saved("l", &customer, &card.payment_method)).await.unwrap();
    assert_eq!(present.status, ChargeStatus::RequiresAction, "whoever is present is asked all the same");

    let [created, action, succeeded] = scene.told("setup_intent.").await;
    let kinds = [created, action, succeeded.clone()].map(|event| event.kind);
    assert_eq!(kinds, ["setup_intent.created", "setup_intent.requires_action", "setup_intent.succeeded"]);
    assert_eq!(succeeded.object.subject(), Ok(Subject::SetupIntent(done)));
    assert_eq!((succeeded.object.user.as_deref(), succeeded.object.customer), (Some("u1"), Some(customer)));
}

#[tokio::test]
async fn who_is_away_is_declined_by_a_card_that_asks_every_time_or_was_never_set_up() {
    let scene = Scene::new(None).await;
    let customer = scene.customer("u1").await;
    let strict = scene.save(&customer, "pm_card_authenticationRequired").await;
    let away = scene.away(&saved("a", &customer, &strict)).await;
    assert_eq!(away, Err("authentication_required".into()));
    let never = scene.away(&charge_of("b", "pm_card_authenticationRequiredOnSetup")).await;
    assert_eq!(never, Err("authentication_required".into()));
    let broke = scene.save(&customer, "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds").await;
    assert_eq!(scene.away(&saved("c", &customer, &broke)).await, Err("insufficient_funds".into()));
    assert_eq!(scene.twin.books().totals["eur"].charges, 0);
}

#[tokio::test]
async fn a_card_is_saved_only_with_its_issuers_consent() {
    let mut scene = Scene::new(None).await;
    let customer = scene.customer("u1").await;
    let setup = scene.setup("s", &customer).await;
    let declined = scene.confirm_setup("a", &setup, "pm_card_visa_chargeDeclinedInsufficientFunds").await;
    assert_eq!(declined.map_err(code), Err("insufficient_funds".into()));
    scene.confirm_setup("b", &setup, "pm_card_authenticationRequired").await.unwrap();
    scene.turn(&format!("authenticate/{}/failure", setup.setup_intent)).await;
    let failed = scene.client.retrieve_setup_intent(&setup.setup_intent).await.unwrap();
    assert_eq!((failed.status, failed.payment_method), (SetupStatus::RequiresPaymentMethod, None));
    assert_eq!(scene.client.list_payment_methods(&customer).await, Ok(vec![]));

    let fickle = scene.confirm_setup("c", &setup, "pm_card_chargeCustomerFail").await.unwrap();
    assert_eq!(fickle.status, SetupStatus::Succeeded);
    let again = scene.confirm_setup("d", &setup, "pm_card_visa").await.map_err(code);
    assert_eq!(again, Err("setup_intent_unexpected_state".into()), "one setup, one card");
    let charge = scene.away(&saved("k", &customer, &fickle.payment_method.unwrap())).await;
    assert_eq!(charge, Err("generic_decline".into()));

    let kinds = scene.told::<5>("setup_intent.").await.map(|event| event.kind);
    let [created, failed, action] = ["created", "setup_failed", "requires_action"].map(|s| format!("setup_intent.{s}"));
    assert_eq!(kinds, [created, failed.clone(), action, failed, "setup_intent.succeeded".into()]);
}

#[tokio::test]
async fn a_saved_card_serves_its_owner_and_nobody_else_until_it_is_removed() {
    let scene = Scene::new(None).await;
    let (owner, other) = (scene.customer("u1").await, scene.customer("u2").await);
    assert_ne!(owner, other);
    assert_eq!(scene.customer("u1").await, owner, "the key repeats its answer");
    let card = scene.save(&owner, "pm_card_visa").await;
    let stolen = scene.client.create_payment_intent_on(&saved("a", &other, &card), AWAY).await;
    assert!(matches!(stolen, Err(PaymentError::Refused { status: 400, .. })), "{stolen:?}");
    let nobodys = scene.client.create_payment_intent_on(&charge_of("b", card.as_str()), AWAY).await;
    assert!(matches!(nobodys, Err(PaymentError::Refused { status: 400, .. })), "{nobodys:?}");
    assert_eq!(scene.client.list_payment_methods(&other).await, Ok(vec![]));
    for key in ["c", "d"] {
        scene.away(&saved(key, &owner, &card)).await.unwrap();
    }

    assert_eq!(scene.client.detach_payment_method(&card, "detach").await.unwrap().customer, None);
    assert_eq!(scene.client.detach_payment_method(&card, "detach").await.unwrap().customer, None, "the same key");
    assert!(matches!(scene.client.detach_payment_method(&card, "once more").await, Err(PaymentError::Refused { .. })));
    assert_eq!(scene.client.list_payment_methods(&owner).await, Ok(vec![]));
    let gone = scene.away(&saved("e", &owner, &card)).await;
    assert_eq!(gone, Err("payment_method_unexpected_state".into()));
    assert_eq!(scene.twin.books().totals["eur"].charges, 2);
}

#[tokio::test]
async fn a_customer_or_setup_whose_answer_was_lost_is_made_once() {
    let scene = Scene::new(None).await;
    let lost = |on| Fault { on: Some(on), ..Fault::new(FaultKind::ExecuteThenDropReply) };
    scene.twin.inject(lost(Target::Customer)).unwrap();
    let request = parkade_payments::CustomerRequest { user: "u1".into(), idempotency_key: "k".into() };
    assert!(matches!(scene.client.create_customer(&request).await, Err(PaymentError::Unknown(_))));
    let customer = scene.client.create_customer(&request).await.unwrap();
    assert_eq!(customer.as_str(), "cus_twin00000001");

    let setup = scene.setup("s", &customer).await;
    scene.twin.inject(lost(Target::ConfirmSetup)).unwrap();
    assert!(scene.confirm_setup("c", &setup, "pm_card_visa").await.is_err());
    assert_eq!(scene.confirm_setup("c", &setup, "pm_card_visa").await.unwrap().status, SetupStatus::Succeeded);
    assert_eq!(scene.client.list_payment_methods(&customer).await.unwrap().len(), 1);
}

#[test]
fn saved_cards_and_open_questions_survive_a_restart() {
    let journal = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("saved-{}.jsonl", std::process::id()));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (customer, card, asked) = runtime().block_on(async {
        let scene = Scene::new(Some(journal.clone())).await;
        let customer = scene.customer("u1").await;
        let card = scene.save(&customer, "pm_card_authenticationRequiredOnSetup").await;
        let asked = scene.setup("s", &customer).await;
        scene.confirm_setup("c", &asked, "pm_card_authenticationRequired").await.unwrap();
        scene.charge("k", "pm_card_createDispute").await;
        (customer, card, asked)
    });
    runtime().block_on(async {
        let scene = Scene::new(Some(journal.clone())).await;
        assert_eq!(scene.twin.books().disputes.len(), 1);
        let charge = scene.away(&saved("l", &customer, &card)).await.unwrap();
        assert_eq!(charge.status, ChargeStatus::Succeeded);
        scene.turn(&format!("authenticate/{}/success", asked.setup_intent)).await;
        assert_eq!(scene.client.list_payment_methods(&customer).await.unwrap().len(), 2);
        assert_ne!(scene.customer("u2").await, customer);
    });
    std::fs::remove_file(journal).unwrap();
}
