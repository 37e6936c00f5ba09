//! The table of actions.

use parkade_domain::adjustment::ViolationKind;
use parkade_domain::claims::{Claim, SpotPage};
use parkade_domain::decide::Cash;
use parkade_domain::geometry::{Geometry, Shape, Tile};
use parkade_domain::ids::{ReceiptId, TillId, UserId};
use parkade_domain::money::Money;
use parkade_domain::payment::Means;
use parkade_domain::policy::{LotPolicy, RefundTo};
use parkade_domain::reservation::{DueKind, Reason, Status};
use parkade_domain::tariff::RuleId;
use parkade_domain::till::Counted;
use parkade_domain::time::Window;
use parkade_store::{Access, Intent, Modification, Reserve, Store, WalkIn};
use parkade_testkit::{CALENDAR, Units};
use parkade_tests::World;
use parkade_tests::given::{CAR, T0, T0_S, booking, drive_up, id, window};
use parkade_tests::world::{order, sweep_one};

use serde_json::json;

use crate::{Bench, at_most, print_head};

async fn hold(world: &World, store: &Store, key: u64, windows: Vec<Window>, spot: Option<&str>) {
    let request = Reserve {
        new: booking(key, key, windows),
        spot: spot.map(str::to_owned),
        promise: None,
        now_s: world.clock.now_s(),
    };
    assert!(!store.reserve(&request).await.unwrap().replayed);
}

async fn pay(world: &World, store: &Store, key: u64) -> Intent {
    store.pay(&order(id(key), 1, 1, world.clock.now_s()), &Means::card("pm_card")).await.unwrap()
}

async fn settle(world: &World, store: &Store, key: u64, number: u8) {
    let payment = parkade_domain::ids::PaymentId { reservation: id(key), number };
    world.deliver(store, payment, false).await.unwrap();
}

async fn modify(world: &World, store: &Store, key: u64, mark: u64, wish: Modification) {
    store.modify(&order(id(key), mark, 1, world.clock.now_s()), &wish).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_whole_life_of_a_two_hour_stay_is_within_its_budget() {
    let mut bench = Bench::new(Shape::Hourly, 64).await;
    // The pages are not empty: others have been here.
    for key in 100..130 {
        hold(&bench.world, &bench.world.store(), key, vec![window(600, 705)], None).await;
    }
    print_head("8 spots x 1 day, 64 spots");
    let windows = vec![window(60, 180)];
    bench.measure("hold 2 h, best spot", at_most(7, 4, 2), async |w, s| hold(w, s, 1, windows, None).await).await;
    // While the driver waits: three round trips of ours, and the provider's call between the second and the third.
    let (intent, asked) = bench.measure("pay (intent)", at_most(1, 2, 2), async |w, s| pay(w, s, 1).await).await;
    let intent_id = intent.payment.id;
    let confirm = async |w: &World, s: &Store| {
        let word = w.provider().ask(&intent.payment, false);
        s.settle_known(intent, &word, w.clock.now_s()).await.unwrap()
    };
    let (_, answered) = bench.measure("confirm (charged, ledger entry)", at_most(8, 0, 1), confirm).await;
    assert!(asked.deep + answered.deep <= 3, "{asked:?} {answered:?}");
    // Not on the driver's path: the queue's consumer does it.
    let receipt = async |w: &World, s: &Store| s.issue_documents(id(1), w.clock.now_s()).await.unwrap();
    let (issued, _) = bench.measure("issue a receipt", at_most(8, 3, 4), receipt).await;
    assert_eq!(issued.len(), 1);
    let again = async |w: &World, s: &Store| s.issue_documents(id(1), w.clock.now_s()).await.unwrap();
    bench.measure("be told again of money that is documented", at_most(0, 1, 1), again).await;
    let rcp = ReceiptId::of(intent_id);
    bench.measure("show a receipt", at_most(0, 2, 2), async |_, s| s.receipt(rcp, &Access::All).await.unwrap()).await;
    bench.world.clock.advance(60 * 60);
    let enter = async |w: &World, s: &Store| s.check_in(&order(id(1), 2, 1, w.clock.now_s())).await.unwrap();
    bench.measure("check in", at_most(3, 2, 3), enter).await;
    bench.world.clock.advance(115 * 60);
    let leave = async |w: &World, s: &Store| s.check_out(&order(id(1), 3, 1, w.clock.now_s())).await.unwrap();
    let (done, _) = bench.measure("check out", at_most(6, 2, 3), leave).await;
    assert_eq!(done.dossier.reservation.status, Status::Completed);
    let whole = bench.whole;
    println!(
        "{:<44} {:>5} {:>5}   at most 34 14",
        "whole life, with its receipt",
        whole.wru.to_string(),
        whole.rru.to_string()
    );
    assert!(whole.wru <= Units::whole(34) && whole.rru <= Units::whole(14), "{whole:?}");
    let fine = async |w: &World, s: &Store| {
        s.record_violation(&order(id(1), 4, 1, w.clock.now_s()), ViolationKind::WrongSpot).await.unwrap()
    };
    bench.measure("record a violation", at_most(1, 2, 3), fine).await;
    let void = async |w: &World, s: &Store| s.void_violation(&order(id(1), 5, 1, w.clock.now_s()), 1).await.unwrap();
    bench.measure("annul it", at_most(1, 2, 3), void).await;
    let some = Money::new(100, bench.world.lot.currency);
    let give = async |w: &World, s: &Store| s.give_goodwill(&order(id(1), 6, 1, w.clock.now_s()), some).await.unwrap();
    bench.measure("give goodwill, with its refund", at_most(4, 2, 3), give).await;
    bench.finish();
}

#[tokio::test(start_paused = true)]
async fn paying_without_the_provider_is_within_its_budget() {
    let policy = LotPolicy { refund_to: RefundTo::Wallet, ..LotPolicy::default() };
    let mut bench = Bench::under(Shape::Hourly, 64, policy).await;
    let (world, store) = (&bench.world, bench.world.store());
    let now_s = world.clock.now_s();
    // A wallet that was put into before: a booking that was paid and cancelled.
    hold(world, &store, 1, vec![window(3_000, 3_120)], None).await;
    pay(world, &store, 1).await;
    settle(world, &store, 1, 1).await;
    store.cancel(&order(id(1), 5, 1, now_s), Reason::DriverCancelled).await.unwrap();
    for key in 2..=3 {
        let new = parkade_domain::decide::NewReservation {
            user: booking(1, 1, Vec::new()).user,
            ..booking(key, key, vec![window(60, 120)])
        };
        store.reserve(&Reserve { new, spot: None, promise: None, now_s }).await.unwrap();
    }
    print_head("without the provider");
    let carry_out = async |s: &Store, of: Intent| s.settle_by_credit(of, T0_S).await.unwrap();
    let refund = store.payment(parkade_domain::ids::PaymentId { reservation: id(1), number: 2 }, &Access::System).await;
    let (payment, dossier) = refund.unwrap();
    let refund = Intent::known(payment, dossier);
    bench.measure("put a refund into the wallet", at_most(4, 1, 2), async |_, s| carry_out(s, refund).await).await;
    let by_credit = async |s: &Store| s.pay(&order(id(2), 1, 1, T0_S), &Means::Wallet).await.unwrap();
    let (intent, _) = bench.measure("pay by credit (intent)", at_most(1, 2, 2), async |_, s| by_credit(s).await).await;
    bench.measure("take credit, confirm", at_most(10, 1, 2), async |_, s| carry_out(s, intent).await).await;
    let half = RuleId::new("half");
    let give = async |s: &Store| s.validate(&order(id(3), 7, 1, T0_S), &half, None).await.unwrap();
    bench.measure("give half of a hold, once for the vehicle", at_most(4, 2, 4), async |_, s| give(s).await).await;
    let till = TillId::new("kiosk-1").unwrap();
    let cash = Cash { till: till.clone(), tendered_minor: 500, change_minor: None };
    let take = async |s: &Store| s.take_cash(&order(id(3), 1, 1, T0_S), &cash).await.unwrap();
    bench.measure("take cash, confirm", at_most(10, 3, 4), async |_, s| take(s).await).await;
    let lot = bench.world.lot.clone();
    let by = booking(1, 1, Vec::new()).user;
    let counted = Counted { lot: lot.id.clone(), till: till.clone(), counted_minor: 400, left_minor: None, by };
    let count = async |s: &Store| s.count_till(&counted, lot.currency, order(id(3), 2, 1, 0).mark, T0_S).await.unwrap();
    bench.measure("count a till", at_most(4, 2, 3), async |_, s| count(s).await).await;
    let drove_up = drive_up(4, 4).id;
    store.walk_in(&WalkIn { new: drive_up(4, 4), now_s: T0_S }).await.unwrap();
    store.check_out(&order(drove_up, 1, 1, T0_S + 3_000)).await.unwrap();
    let cash = Cash { change_minor: Some(0), ..cash };
    let owed = store.take_cash(&order(drove_up, 2, 1, T0_S), &cash).await.unwrap().dossier.payments.last().unwrap().id;
    let pay_out = async |s: &Store| s.pay_out(&order(drove_up, 3, 1, T0_S), owed, &till).await.unwrap();
    bench.measure("pay out change", at_most(6, 3, 3), async |_, s| pay_out(s).await).await;
    bench.finish();
}

#[tokio::test(start_paused = true)]
async fn changes_of_plan_are_within_their_budgets() {
    let mut bench = Bench::new(Shape::Hourly, 64).await;
    for key in 1..=8 {
        let (world, store) = (&bench.world, bench.world.store());
        hold(world, &store, key, vec![window(60, 180)], Some(&format!("{key:04}"))).await;
        if key != 8 {
            pay(world, &store, key).await;
            settle(world, &store, key, 1).await;
        }
    }
    let nothing = Modification { start: None, end: None, spot: None };
    let end = |m: i64| Modification { end: Some(T0.plus(m)), ..nothing.clone() };
    let spot = |number: &str| Modification { spot: Some(number.to_owned()), ..nothing.clone() };
    print_head("changes of plan");
    let cancel = async |w: &World, s: &Store, key| {
        s.cancel(&order(id(key), 5, 1, w.clock.now_s()), Reason::DriverCancelled).await.unwrap();
    };
    bench.measure("extend by an hour", at_most(4, 2, 3), async |w, s| modify(w, s, 1, 2, end(240)).await).await;
    bench
        .measure("shorten by half an hour, refund", at_most(6, 2, 3), async |w, s| modify(w, s, 2, 2, end(150)).await)
        .await;
    bench.measure("move to another tile", at_most(6, 3, 3), async |w, s| modify(w, s, 3, 2, spot("0012")).await).await;
    let later = Modification { start: Some(T0.plus(300)), end: Some(T0.plus(375)), ..nothing.clone() };
    bench
        .measure("move in time (changes all three indexes)", at_most(12, 3, 3), async |w, s| {
            modify(w, s, 4, 2, later).await
        })
        .await;
    bench.measure("cancel, refund", at_most(8, 2, 3), async |w, s| cancel(w, s, 5).await).await;
    bench.measure("cancel a hold", at_most(6, 2, 3), async |w, s| cancel(w, s, 8).await).await;
    let show = bench.world.clock.advance(90 * 60 + 1);
    bench
        .measure("give up on a no-show, refund", at_most(8, 3, 4), async |_, s| {
            sweep_one(s, DueKind::NoShow, id(6), show).await.unwrap()
        })
        .await;
    bench.finish();
}

#[tokio::test(start_paused = true)]
async fn a_page_of_payments_reads_half_a_unit_for_each_reservation_on_it() {
    let mut bench = Bench::new(Shape::Hourly, 64).await;
    for key in 1..=30 {
        let (world, store) = (&bench.world, bench.world.store());
        let mut new = booking(key, 1, vec![window(60, 180)]);
        new.fingerprint = u128::from(key).to_be_bytes();
        store.reserve(&Reserve { new, spot: None, promise: None, now_s: T0_S }).await.unwrap();
        pay(world, &store, key).await;
        settle(world, &store, key, 1).await;
        store.issue_documents(id(key), T0_S).await.unwrap();
    }
    print_head("history");
    let user = UserId::new("driver-1").unwrap();
    // The queries go out ten at a time, so a few more than are shown.
    let page = async |_: &World, s: &Store| s.payments_of(&user, None, 20).await.unwrap();
    let (page, _) = bench.measure("20 payments of 20 reservations", at_most(0, 17, 4), page).await;
    assert_eq!((page.items.len(), page.next.is_some()), (20, true));
    bench.finish();
}

#[tokio::test(start_paused = true)]
async fn a_month_of_weekdays_is_one_transaction_of_ten_units() {
    let mut bench = Bench::new(Shape::LongStay, 64).await;
    print_head("2 spots x 32 days, 64 spots");
    // 22 weekdays from 9 to 17 within one page of 32 days.
    let page = bench.world.lot.geometry.page(T0);
    let first = bench.world.lot.geometry.page_start(page).plus(32 * 1_440);
    let day = |n: i64| first.plus(n * 1_440 + 5 * 60);
    let windows: Vec<Window> =
        (0..31).filter(|n| n % 7 < 5).take(22).map(|n| Window::new(day(n), day(n).plus(8 * 60)).unwrap()).collect();
    assert_eq!(windows.len(), 22);
    bench
        .measure("recurring, 22 weekdays 9-17", at_most(10, 4, 2), async |w, s| hold(w, s, 1, windows, None).await)
        .await;
    let stay = vec![Window::new(first, first.plus(31 * 1_440)).unwrap()];
    bench.measure("hold 31 days", at_most(9, 4, 2), async |w, s| hold(w, s, 2, stay, None).await).await;
    bench.finish();
}

/// Fills a day of every spot to about 65 % with three stays that leave `[105, 225)` free, as stored bytes: through the store it would
/// take a minute.
fn fill(world: &World, spots: u16) {
    let geometry = world.lot.geometry;
    let page = geometry.page(T0);
    let at = |minutes: i64| u16::try_from(T0.0 + minutes - geometry.page_start(page).0).unwrap();
    for tile in 0..spots.div_ceil(8) {
        let group = Geometry::group(geometry.spot(Tile(tile), 0));
        let pk = format!("{}#{group}", world.lot.id);
        let mut item = json!({"pk": {"S": pk}, "sk": {"S": format!("{:05}#{tile:04}", page.0)}});
        for (slot, name) in (0..).zip(["a", "b", "c", "d", "e", "f", "g", "h"]) {
            let mut spot_page = SpotPage::default();
            for (stay, (from, until)) in (0..).zip([(-900, -420), (-390, 100), (230, 380)]) {
                let id = id(u64::from(tile) * 100 + slot * 10 + stay);
                spot_page.claim(Claim { start: at(from), end: at(until), lease_s: 0, id }, T0_S).unwrap();
            }
            item[name] = json!({"B": aws_smithy_types::base64::encode(spot_page.encode().unwrap())});
        }
        let put = json!({"TableName": CALENDAR.name, "Item": item});
        world.engine.call("PutItem", &put.to_string()).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_of_two_thousand_spots_reads_twenty_three_units_and_waits_once() {
    let mut bench = Bench::new(Shape::Hourly, 2_000).await;
    fill(&bench.world, 2_000);
    print_head("search, 2,000 spots, 3 stays each");
    let look = async |w: &World, s: &Store, from: i64| {
        s.search(&w.lot.id, CAR, window(from, from + 105), w.clock.now_s()).await.unwrap().unwrap().free.len()
    };
    let (free, cost) = bench.measure("free everywhere", at_most(0, 23, 1), async |w, s| look(w, s, 120).await).await;
    assert_eq!((free, cost.usage.calls), (2_000, 16), "one query per group of 128 spots");
    let (free, _) = bench.measure("free nowhere", at_most(0, 23, 1), async |w, s| look(w, s, 135).await).await;
    assert_eq!(free, 0);
    let reserve = async |w: &World, s: &Store| hold(w, s, 1, vec![window(120, 210)], None).await;
    bench.measure("hold the best of 2,000", at_most(7, 23, 2), reserve).await;
    bench.finish();
}

#[tokio::test(start_paused = true)]
async fn a_sweep_reads_only_what_is_due() {
    let mut bench = Bench::new(Shape::Hourly, 64).await;
    let store = bench.world.store();
    for key in 1..=40 {
        hold(&bench.world, &store, key, vec![window(600, 705)], None).await;
    }
    let due = T0_S + 601;
    for kind in [DueKind::HoldExpiry, DueKind::NoShow] {
        store.due(kind, due).await.unwrap();
    }
    for key in 41..=60 {
        bench.world.clock.advance(if key == 41 { 300 } else { 0 });
        hold(&bench.world, &store, key, vec![window(810, 900)], None).await;
    }
    print_head("sweeps");
    let (sweep, cost) = bench
        .measure("expire-holds, 40 due of 60", at_most(1, 17, 3), async |_, s| {
            s.due(DueKind::HoldExpiry, due).await.unwrap()
        })
        .await;
    assert_eq!((sweep.due.len(), sweep.items_read), (40, 40));
    // The watermark is one item more.
    assert!(cost.usage.items_read <= 41, "{} items read for 40 due", cost.usage.items_read);
    let (sweep, _) = bench
        .measure("no-show-sweep, nothing due", at_most(1, 17, 3), async |_, s| {
            s.due(DueKind::NoShow, due).await.unwrap()
        })
        .await;
    assert_eq!((sweep.due.len(), sweep.items_read), (0, 0));
    bench.finish();
}
