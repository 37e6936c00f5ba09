//! Every problem the registry knows is reached by a request, and a store that fails is told from a defect.

use std::collections::BTreeSet;

use parkade_api::Code;
use parkade_domain::adjustment::ADJUSTMENTS_MAX;
use parkade_testkit::Fault;
use serde_json::{Value, json};

use crate::harness::{ALICE, Api, BOB, GATE, OLGA, ROOT, Reply, booking, lot, with};

/// Codes that no function of this crate's routes answers with: the first is the gateway's, the others belong to what is not built yet
/// or cannot be provoked here; those of saved cards need the payment twin, see `cards.rs`.
const UNREACHED: [Code; 7] = [
    Code::RouteNotFound,
    Code::IdempotencyInProgress,
    Code::PaymentsExhausted,
    Code::CardNotEntered,
    Code::CardRefused,
    Code::TooManyCards,
    Code::PlateEnrolled,
];

#[tokio::test]
async fn every_problem_is_reached_with_its_status() {
    let api = Api::new().await;
    let mut reached = BTreeSet::new();
    let mut saw = |reply: Reply, code: Code| {
        reached.insert(code);
        let entry = code.entry();
        reply.refused(entry.status.as_u16(), entry.code)
    };
    let new = |key: &'static str, body: Value| api.post("/v1/reservations", ALICE, key, body);
    let base = || booking("12:00", "14:00");

    saw(api.call("POST", "/v1/reservations", ALICE).key("k").bytes(b"{".to_vec()).await, Code::MalformedJson);
    saw(api.call("POST", "/v1/reservations", ALICE).json(base()).await, Code::MissingIdempotencyKey);
    saw(new("a b", base()).await, Code::InvalidIdempotencyKey);
    saw(api.anonymous("GET", "/v1/reservations/res_0000000000001").send().await, Code::Unauthenticated);
    saw(api.call("PUT", "/v1/lots/central", ALICE).json(lot()).await, Code::Forbidden);
    saw(new("k", with(base(), "lot_id", json!("nowhere"))).await, Code::LotNotFound);
    saw(new("k", with(base(), "spot_id", json!("Z9"))).await, Code::SpotNotFound);
    saw(api.get("/v1/reservations/res_0000000000001", ALICE).await, Code::ReservationNotFound);
    saw(api.get("/v1/payments/pay_0000000000001_1", ALICE).await, Code::PaymentNotFound);
    saw(api.get("/v1/receipts/rcp_0000000000001_1", ALICE).await, Code::ReceiptNotFound);
    // On the heap, as every call: together they are more than a test's stack.
    Box::pin(operators(&api, &mut saw)).await;
    saw(api.call("POST", "/v1/quotes", ALICE).bytes(vec![b' '; 2_000_000]).await, Code::BodyTooLarge);
    saw(new("k", with(base(), "admin", json!(true))).await, Code::InvalidFields);
    saw(new("k", booking("09:00", "14:00")).await, Code::WindowInPast);
    saw(new("k", booking("14:00", "12:00")).await, Code::WindowReversed);
    saw(new("k", booking("12:00", "12:10")).await, Code::WindowOffGrid);
    saw(new("k", with(base(), "end_time", json!("2026-11-23T14:00"))).await, Code::WindowTooLong);
    let gap = with(with(base(), "start_time", json!("2027-03-28T02:30")), "end_time", json!("2027-03-28T04:00"));
    saw(new("k", gap).await, Code::LocalTimeGap);
    let far = with(with(base(), "start_time", json!("2027-03-28T12:30")), "end_time", json!("2027-03-28T14:00"));
    saw(new("k", far).await, Code::WindowBeyondHorizon);
    saw(new("k", with(base(), "vehicle", json!({"class": "motorcycle"}))).await, Code::NotPriced);
    saw(
        new("k", with(with(base(), "vehicle", json!({"class": "large"})), "spot_id", json!("A1"))).await,
        Code::VehicleFitsNowhere,
    );

    let evening = json!({"currency": "EUR", "tables": [{"id": "all", "base": [{"every_minutes": 60, "add": 200}],
        "windows": [{"id": "evening", "at": {"from": "22:00", "to": "06:00"}, "free": true}]}]});
    api.call("PUT", "/v1/lots/central", OLGA).json(with(lot(), "tariff", evening)).await.expect(200);
    let free = api.held("free", booking("21:00", "22:00")).await;
    let dearer = json!({"start_time": "2026-11-21T20:00:00Z"});
    saw(api.call("PATCH", &format!("/v1/reservations/{free}"), ALICE).json(dearer).await, Code::BookingWasFree);
    api.call("PUT", "/v1/lots/central", OLGA).json(lot()).await.expect(200);

    let quoted = api.call("POST", "/v1/quotes", ALICE).json(json!({"lot_id": "central", "vehicle_class": "standard",
        "start_time": "2026-11-21T18:00:00Z", "end_time": "2026-11-21T19:00:00Z"}));
    let quote = quoted.await.expect(200).body["price"]["quote"].clone();
    api.at("10:10:00");
    saw(new("k", with(booking("18:00", "19:00"), "quote", quote)).await, Code::QuoteExpired);
    api.at("10:00:00");

    Box::pin(a_stay(&api, &mut saw)).await;
    Box::pin(cash(&api, &mut saw)).await;
    Box::pin(gifts(&api, &mut saw)).await;
    Box::pin(adjustments(&api, &mut saw)).await;
    Box::pin(of_exceptions(&api, &mut saw)).await;
    Box::pin(others(&api, &mut saw)).await;
    let missing: Vec<_> =
        Code::ALL.iter().filter(|code| !reached.contains(code) && !UNREACHED.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What a booking, its payment and its gate refuse.
async fn a_stay(api: &Api, saw: &mut impl FnMut(Reply, Code) -> Reply) {
    let new = |key: &'static str, body: Value| api.post("/v1/reservations", ALICE, key, body);
    let base = || booking("12:00", "14:00");
    let id = api.held("a1", with(base(), "spot_id", json!("A1"))).await;
    let path = format!("/v1/reservations/{id}");
    saw(new("a1", base()).await, Code::IdempotencyKeyReused);
    saw(new("k", with(base(), "spot_id", json!("A1"))).await, Code::SpotNotAvailable);
    api.held("a2", base()).await;
    api.held("b1", base()).await;
    saw(new("k", base()).await, Code::NoSpotAvailable);
    saw(
        api.call("PATCH", &path, ALICE).header("if-match", "\"v9\"").json(json!({"spot_id": "A2"})).await,
        Code::VersionMismatch,
    );
    saw(api.anonymous("POST", "/v1/webhooks/stripe").send().await, Code::WebhookRefused);
    saw(api.post("/v1/users/alice/payment-methods", ALICE, "c", json!({})).await, Code::ProviderUnavailable);
    let none = api.call("PUT", "/v1/users/alice/automatic-payment", ALICE).json(json!({"payment_method": "pm_1"}));
    saw(none.await, Code::PaymentMethodNotFound);
    let pay = |id: &str| json!({"reservation_id": id, "payment_method": "pm_1"});
    let other = with(pay(&id), "amount", json!({"amount_minor": 1, "currency": "EUR"}));
    saw(api.post("/v1/payments", ALICE, "p0", other).await, Code::AmountChanged);
    let payment = api.post("/v1/payments", ALICE, "p1", pay(&id)).await.expect(202).text("id");
    let open = saw(api.post("/v1/payments", ALICE, "p2", pay(&id)).await, Code::PaymentInProgress);
    assert_eq!((open.text("payment_id"), open.header("retry-after")), (payment.clone(), "1"));
    api.settle(&payment, false).await;
    saw(api.post("/v1/payments", ALICE, "p1", pay(&id)).await, Code::PaymentDeclined);
    api.paid(&id, "p3").await;
    saw(api.post("/v1/payments", ALICE, "p4", pay(&id)).await, Code::NothingToPay);
    let enter = json!({"lot_id": "central", "reservation_id": id});
    saw(api.post("/v1/gate/check-in", GATE, "1", enter.clone()).await, Code::TooEarly);

    let conflict = saw(api.post("/v1/gate/check-out", GATE, "2", enter.clone()).await, Code::StateConflict);
    assert_eq!((conflict.text("state"), &conflict.body["allowed"]), ("confirmed".into(), &json!(["checked_in"])));
    let unpaid = api.held("late", booking("16:00", "17:00")).await;
    api.at("10:10:00");
    saw(api.post("/v1/payments", ALICE, "p5", pay(&unpaid)).await, Code::HoldExpired);
    api.at("12:00:00");
    saw(api.call("DELETE", &path, ALICE).send().await, Code::AlreadyStarted);
    api.at("14:00:00");
    saw(api.post("/v1/gate/check-in", GATE, "3", enter).await, Code::StayEnded);
}

/// What an operator is told of tariffs and tills.
async fn operators(api: &Api, saw: &mut impl FnMut(Reply, Code) -> Reply) {
    saw(api.get("/v1/lots/central/tariffs/9", OLGA).await, Code::TariffNotFound);
    saw(api.get("/v1/lots/central/tills/no!/counts", OLGA).await, Code::TillNotFound);
    let publication = "/v1/lots/central/tariffs/1/publication";
    saw(api.call("DELETE", publication, OLGA).send().await, Code::TariffInForce);
    for day in 0..16 {
        let from = json!({"from": format!("2027-01-{:02}T00:00", day + 1)});
        api.call("PUT", publication, OLGA).json(from).await.expect(200);
    }
    let late = json!({"from": "2027-02-01T00:00"});
    saw(api.call("PUT", publication, OLGA).json(late).await, Code::TooManyPublications);
}

/// What a merchant is refused.
async fn gifts(api: &Api, saw: &mut impl FnMut(Reply, Code) -> Reply) {
    let benefit = json!({"percent": {"basis_points": 1_000}});
    let limit = json!({"uses": 1, "period_days": 1});
    let validations = json!([{"id": "once", "benefit": benefit, "limit": limit}]);
    let tariff = with(lot()["tariff"].clone(), "validations", validations);
    api.call("PUT", "/v1/lots/central", OLGA).json(with(lot(), "tariff", tariff)).await.expect(200);
    let plate = || json!({"text": "AB 2"});
    let known = api.held("g1", with(booking("17:00", "18:00"), "plate", plate())).await;
    let other = api.held("g2", with(booking("18:00", "19:00"), "plate", plate())).await;
    let unknown = api.held("g3", booking("18:00", "19:00")).await;
    let give = |id: &str, key: &'static str, validation: &str| {
        let (path, body) = (format!("/v1/reservations/{id}/validations"), json!({"validation": validation}));
        async move { api.post(&path, OLGA, key, body).await }
    };
    saw(give(&known, "g4", "nothing").await, Code::ValidationNotFound);
    saw(give(&unknown, "g5", "once").await, Code::PlateNeeded);
    give(&known, "g6", "once").await.expect(201);
    saw(give(&known, "g7", "once").await, Code::AlreadyValidated);
    saw(give(&other, "g8", "once").await, Code::ValidationUsedUp);
    for id in [known, other, unknown] {
        api.call("DELETE", &format!("/v1/reservations/{id}"), ALICE).send().await.expect(200);
    }
}

/// What an operator is refused who adds to a stay or takes off it.
async fn adjustments(api: &Api, saw: &mut impl FnMut(Reply, Code) -> Reply) {
    let violations = json!({"unpaid": 100});
    let tariff = with(lot()["tariff"].clone(), "violations", violations);
    api.call("PUT", "/v1/lots/central", OLGA).json(with(lot(), "tariff", tariff)).await.expect(200);
    let walk_in = json!({"lot_id": "central", "walk_in": {"class": "standard"}});
    let stay = api.post("/v1/gate/check-in", GATE, "adjusted", walk_in).await.expect(200).text("id");
    let exit = json!({"lot_id": "central", "reservation_id": stay});
    api.post("/v1/gate/check-out", GATE, "adjusted", exit).await.expect(200);
    let path = |below: &str| format!("/v1/reservations/{stay}/{below}");
    let (violations, first) = (path("violations"), path("violations/1"));
    saw(api.post(&violations, OLGA, "j1", json!({"kind": "no_right"})).await, Code::ViolationNotPriced);
    saw(api.call("DELETE", &first, OLGA).send().await, Code::ViolationNotFound);
    api.post(&violations, OLGA, "j2", json!({"kind": "unpaid"})).await.expect(201);
    saw(api.post(&violations, OLGA, "j3", json!({"kind": "unpaid"})).await, Code::ViolationRecorded);
    let some = |minor: i64| json!({"amount": {"amount_minor": minor, "currency": "EUR"}});
    saw(api.post(&path("refunds"), OLGA, "j4", some(100_000)).await, Code::MoreThanOwed);
    for number in 2..=ADJUSTMENTS_MAX {
        api.post(&path("refunds"), OLGA, &format!("j5-{number}"), some(1)).await.expect(201);
    }
    saw(api.call("DELETE", &first, OLGA).send().await, Code::GoodwillGiven);
    saw(api.post(&path("refunds"), OLGA, "j6", some(1)).await, Code::TooManyAdjustments);
}

/// What a till refuses.
async fn cash(api: &Api, saw: &mut impl FnMut(Reply, Code) -> Reply) {
    let till = "/v1/lots/central/tills/kiosk-1";
    let euros = |minor: i64| json!({"amount_minor": minor, "currency": "EUR"});
    let walk_in = json!({"lot_id": "central", "walk_in": {"class": "standard"}});
    let stay = api.post("/v1/gate/check-in", GATE, "cash", walk_in).await.expect(200).text("id");
    api.at("14:30:00");
    let exit = json!({"lot_id": "central", "reservation_id": stay});
    api.post("/v1/gate/check-out", GATE, "cash", exit).await.expect(200);
    let pay =
        |tendered, change| json!({"reservation_id": stay, "tendered": euros(tendered), "change_given": euros(change)});
    saw(api.post(&format!("{till}/payments"), GATE, "c1", pay(100, 100)).await, Code::TooLittleCash);
    let paid = api.post(&format!("{till}/payments"), GATE, "c2", pay(500, 0)).await.expect(201);
    let owed = json!({"payment_id": paid.body["owed"][0]["id"]});
    let other = "/v1/lots/central/tills/kiosk-2/payouts";
    saw(api.post(other, GATE, "c3", owed).await, Code::NotInTill);
}

async fn of_exceptions(api: &Api, saw: &mut impl FnMut(Reply, Code) -> Reply) {
    let path = "/v1/reconciliation/exceptions/2026-11.txn_1";
    let decision = json!({"resolution": "explained", "note": "known"});
    saw(api.call("PUT", path, ROOT).json(decision.clone()).await, Code::ExceptionNotFound);
    api.deps.store.open_exception(&crate::exceptions::exception("txn_1")).await.unwrap();
    api.call("PUT", path, ROOT).json(decision.clone()).await.expect(200);
    saw(api.call("PUT", path, ROOT).json(with(decision, "note", json!("other"))).await, Code::ExceptionDecided);
}

/// What needs another policy, a tie, a series, or a store that fails.
async fn others(api: &Api, saw: &mut impl FnMut(Reply, Code) -> Reply) {
    let strict = json!({"min_length_minutes": 60, "min_notice_minutes": 120});
    api.call("PUT", "/v1/lots/strict", ROOT).json(with(lot(), "policy", strict)).await.expect(201);
    let spots = json!({"spots": [{"number": "1", "zone": "A", "size": "large"}]});
    api.call("PUT", "/v1/lots/strict/spots", ROOT).json(spots).await.expect(200);
    let strict = |start: &str, end: &str| with(booking(start, end), "lot_id", json!("strict"));
    saw(api.post("/v1/reservations", ALICE, "s", strict("17:00", "17:30")).await, Code::WindowTooShort);
    saw(api.post("/v1/reservations", ALICE, "s", strict("15:00", "17:00")).await, Code::WindowTooSoon);

    let series = json!({"lot_id": "central", "vehicle": {"class": "large"}, "recurrence":
        {"weekdays": ["mon", "tue"], "start": "09:00", "end": "17:00", "from": "2026-11-23", "until": "2026-11-25"}});
    let series = format!("/v1/reservations/{}", api.held("series", series).await);
    saw(api.call("PATCH", &series, ALICE).json(json!({"spot_id": "B1"})).await, Code::SeriesUnchangeable);
    for key in ["t1", "t2"] {
        api.confirmed(key, with(booking("15:00", "16:00"), "plate", json!({"text": "AB 1"}))).await;
    }
    api.at("15:00:00");
    let plate = json!({"lot_id": "central", "plate": {"text": "AB 1"}});
    saw(api.post("/v1/gate/check-in", GATE, "t", plate).await, Code::PlateAmbiguous);

    api.faults.add_rule(|_| Some(Fault::Throttled));
    let unavailable = saw(api.get(&series, ALICE).await, Code::StoreUnavailable);
    assert_eq!(unavailable.header("retry-after"), "2");
    api.faults.lift();
    let code = series.trim_start_matches("/v1/reservations/res_");
    let damage = json!({
        "TableName": "Records",
        "Key": {"pk": {"S": format!("R#{code}")}, "sk": {"S": "A"}},
        "UpdateExpression": "SET st = :s",
        "ExpressionAttributeValues": {":s": {"S": "vanished"}},
    });
    api.engine.call("UpdateItem", &damage.to_string()).unwrap();
    let internal = saw(api.get(&series, ALICE).await, Code::Internal);
    let members: Vec<_> = internal.body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["code", "instance", "status", "title", "type"], "nothing else is told");
}

#[tokio::test]
async fn a_store_that_fails_at_any_moment_is_503_and_asking_again_is_safe() {
    let pay = |id: &str| json!({"reservation_id": id, "payment_method": "pm_1"});
    for operation in ["Query", "GetItem", "BatchGetItem", "TransactWriteItems", "PutItem"] {
        let api = Api::new().await;
        let fail = move || api_rule(operation);
        let mut failed = 0;
        let mut again = async |path: &str, key: &str, body: Value, status: u16| {
            api.faults.add_rule(fail());
            let first = api.post(path, ALICE, key, body.clone()).await;
            if first.status != status {
                failed += 1;
                assert_eq!(first.refused(503, "store_unavailable").header("retry-after"), "2", "{operation}");
            }
            api.faults.lift();
            api.post(path, ALICE, key, body).await.expect(status)
        };
        let id = again("/v1/reservations", "k", booking("12:00", "14:00"), 201).await.text("id");
        again("/v1/payments", "p", pay(&id), 202).await;
        let listed = api.get("/v1/users/alice/reservations", ALICE).await.expect(200).body;
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{operation}");
        assert!(failed > 0 || matches!(operation, "GetItem" | "BatchGetItem"), "{operation} was never called");
    }
}

fn api_rule(operation: &'static str) -> impl Fn(&parkade_testkit::Call) -> Option<Fault> + Send + Sync + 'static {
    move |call| (call.operation == operation).then_some(Fault::LostReply)
}

#[tokio::test]
async fn a_late_payment_takes_the_time_again_or_comes_back() {
    let api = Api::new().await;
    let at = || with(booking("12:00", "14:00"), "spot_id", json!("B1"));
    let large = |key: &'static str, token: &'static str| {
        api.post("/v1/reservations", token, key, with(at(), "vehicle", json!({"class": "large"})))
    };
    let pay = |id: &str| json!({"reservation_id": id, "payment_method": "pm_1"});
    let first = large("k1", ALICE).await.expect(201).text("id");
    let payment = api.post("/v1/payments", ALICE, "p1", pay(&first)).await.expect(202).text("id");
    api.at("10:11:00");
    let second = large("k2", BOB).await.expect(201).text("id");
    api.settle(&payment, true).await;
    let refunded = api.get(&format!("/v1/reservations/{first}"), ALICE).await.expect(200);
    assert_eq!((refunded.text("status"), refunded.text("reason")), ("expired".into(), "paid_too_late".into()));
    assert_eq!(refunded.body["paid"], refunded.body["refunded"]);

    let payment = api.post("/v1/payments", BOB, "p2", pay(&second)).await.expect(202).text("id");
    api.at("10:30:00");
    api.settle(&payment, true).await;
    assert_eq!(api.get(&format!("/v1/reservations/{second}"), OLGA).await.expect(200).text("status"), "confirmed");
}
