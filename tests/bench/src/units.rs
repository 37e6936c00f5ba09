//! What each action costs: calls to the store, how deep they are nested, write and read units as the engine reports them.

use std::future::Future;
use std::time::Duration;

use parkade_domain::geometry::Shape;
use parkade_domain::ids::{Claimant, PaymentId, ReservationId};
use parkade_domain::payment::{Means, Word};
use parkade_domain::reservation::{DueKind, Reason};
use parkade_domain::time::{Minute, Window};
use parkade_store::{Cause, LotPage, Modification, Order, OutOfService, WalkIn};
use parkade_testkit::{Units, Usage};
use tokio::time::Instant;

use crate::Failure;
use crate::figure::{Figure, Milli, Section};
use crate::fixture::{DRIVER, Fixture, NOW_S, busy_day, even_day, order, vehicle};

/// A round trip in simulated time: calls in parallel take one, calls in sequence one each.
const ROUND_TRIP: Duration = Duration::from_secs(1);

/// What one action used.
#[derive(Debug, Clone, Copy)]
struct Cost {
    usage: Usage,
    deep: u64,
}

/// The units of a [`Cost`] that have a target.
#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    deep: Option<u64>,
    wru: Option<u64>,
    rru: Option<u64>,
}

const NO_LIMITS: Limits = Limits { deep: None, wru: None, rru: None };

impl Fixture {
    /// Runs one action and takes the meter's reading of it.
    async fn cost<T, E: Into<Failure>>(
        &self,
        action: impl Future<Output = Result<T, E>>,
    ) -> Result<(T, Cost), Failure> {
        self.meter.reset();
        let began = Instant::now();
        let result = action.await.map_err(Into::into)?;
        let deep = began.elapsed().as_secs() / ROUND_TRIP.as_secs();
        Ok((result, Cost { usage: self.meter.reset(), deep }))
    }
}

fn milli(units: Units) -> Milli {
    Milli(i64::try_from(units.as_halves()).unwrap_or(i64::MAX) * 500)
}

struct Table(Section);

impl Table {
    fn row(&mut self, name: &str, cost: Cost, limits: Limits) {
        let limited = |value: Milli, limit: Option<u64>| match limit {
            Some(limit) => Figure::from(value).at_most(Milli::whole(limit)),
            None => value.into(),
        };
        let figures = [
            Figure::whole(cost.usage.calls),
            limited(Milli::whole(cost.deep), limits.deep),
            limited(milli(cost.usage.wru), limits.wru),
            limited(milli(cost.usage.rru), limits.rru),
        ];
        self.0.row(name, figures);
    }
}

/// Every action on a warm instance: the lot and its tariff are remembered, the calendar never is.
pub(crate) async fn measure() -> Result<Section, Failure> {
    let mut table = Table(Section::new("Capacity of each action", &["calls", "round trips deep", "WRU", "RRU"]));
    let town = Fixture::new(200, Shape::Hourly).await?;
    town.fill(|_| even_day(2, 120), 1).await?;
    town.faults.add_hook(|_| tokio::time::sleep(ROUND_TRIP));
    whole_life(&town, &mut table).await?;
    drivers(&town, &mut table).await?;
    system(&town, &mut table).await?;
    operators(&town, &mut table).await?;
    large_and_long(&mut table).await?;
    Ok(table.0)
}

async fn whole_life(town: &Fixture, table: &mut Table) -> Result<(), Failure> {
    let mut life = Cost { usage: Usage::default(), deep: 0 };
    let mut step = |table: &mut Table, name: &str, cost: Cost, limits: Limits| {
        life.usage += cost.usage;
        life.deep += cost.deep;
        table.row(name, cost, limits);
    };
    let window = town.window(1, 3, 5)?;
    let request = town.request(1, vec![window])?;
    let id = request.new.id;
    let (_, cost) = town.cost(town.store.search(&town.lot, vehicle(), window, NOW_S)).await?;
    table.row("search 2 h, 200 spots with 2 bookings each", cost, Limits { deep: Some(1), ..NO_LIMITS });
    let (_, cost) = town.cost(town.store.reserve(&request)).await?;
    step(table, "reserve: hold 2 h, best spot", cost, Limits { deep: Some(2), wru: Some(7), ..NO_LIMITS });
    let (intent, asked) = town.cost(town.store.pay(&order(id, 2, NOW_S), &Means::card("pm_card_visa"))).await?;
    step(table, "pay: intent", asked, NO_LIMITS);
    let (_, cost) = town.cost(town.store.settle_known(intent, &succeeded(), NOW_S + 1)).await?;
    step(table, "pay: charged, confirmed", cost, NO_LIMITS);
    let mut whole = asked;
    whole.usage += cost.usage;
    whole.deep += cost.deep;
    table.row("**pay, as a whole**", whole, Limits { deep: Some(3), wru: Some(8), ..NO_LIMITS });
    let (_, cost) = town.cost(town.store.check_in(&order(id, 3, window.start().epoch_s()))).await?;
    step(table, "check-in", cost, NO_LIMITS);
    let (_, cost) = town.cost(town.store.check_out(&order(id, 4, window.end().epoch_s()))).await?;
    step(table, "check-out on time", cost, NO_LIMITS);
    table.row(
        "**whole life** (reserve, pay, check-in, check-out)",
        life,
        Limits { deep: None, wru: Some(28), rru: Some(14) },
    );
    let (replay, cost) = town.cost(town.store.reserve(&request)).await?;
    if !replay.replayed {
        return Err("the replay was not recognised".into());
    }
    table.row("reserve, asked again", cost, NO_LIMITS);
    Ok(())
}

/// A confirmed reservation, not counted.
async fn confirmed(town: &Fixture, n: u64, window: Window) -> Result<ReservationId, Failure> {
    let request = town.request(n, vec![window])?;
    town.store.reserve(&request).await?;
    let payment = town.store.pay(&order(request.new.id, n, NOW_S), &Means::card("pm_card_visa")).await?.payment;
    town.store.settle(payment.id, &succeeded(), NOW_S + 1).await?;
    Ok(request.new.id)
}

fn succeeded() -> Word {
    Word::Succeeded { reference: "pi_0123456789abcdefghijklmn".to_owned() }
}

async fn drivers(town: &Fixture, table: &mut Table) -> Result<(), Failure> {
    let window = town.window(1, 6, 8)?;
    let mut named = town.request(10, vec![window])?;
    named.spot = Some("0100".to_owned());
    let (_, cost) = town.cost(town.store.reserve(&named)).await?;
    table.row("reserve: hold 2 h, named spot", cost, Limits { deep: Some(2), wru: Some(7), ..NO_LIMITS });
    let (_, cost) = town.cost(town.store.cancel(&order(named.new.id, 11, NOW_S), Reason::DriverCancelled)).await?;
    table.row("cancel a hold", cost, NO_LIMITS);
    let id = confirmed(town, 12, window).await?;
    let keep = Modification { start: None, end: None, spot: None };
    let longer = Modification { end: Some(window.end().plus(60)), ..keep.clone() };
    let (_, cost) = town.cost(town.store.modify(&order(id, 13, NOW_S), &longer)).await?;
    table.row("modify: extend by an hour", cost, NO_LIMITS);
    let other = Modification { spot: Some("0101".to_owned()), ..keep };
    let (_, cost) = town.cost(town.store.modify(&order(id, 14, NOW_S), &other)).await?;
    table.row("modify: another spot", cost, NO_LIMITS);
    let (_, cost) = town.cost(town.store.cancel(&order(id, 15, NOW_S), Reason::DriverCancelled)).await?;
    table.row("cancel a paid reservation, with refund", cost, NO_LIMITS);
    let refund = PaymentId { reservation: id, number: 2 };
    let (_, cost) = town.cost(town.store.settle(refund, &succeeded(), NOW_S + 2)).await?;
    table.row("refund carried out", cost, NO_LIMITS);
    let id = confirmed(town, 16, window).await?;
    town.store.check_in(&order(id, 17, window.start().epoch_s())).await?;
    let early = order(id, 18, window.start().plus(45).epoch_s());
    let (_, cost) = town.cost(town.store.check_out(&early)).await?;
    table.row("check-out early, with refund", cost, NO_LIMITS);
    let (_, cost) = town.cost(town.store.dossier(id, &parkade_store::Access::All)).await?;
    table.row("get a reservation with its payments", cost, NO_LIMITS);
    let user = parkade_domain::ids::UserId::new(DRIVER)?;
    let (_, cost) = town.cost(town.store.reservations_of(&user, None, 20)).await?;
    table.row("list 20 of a driver's reservations", cost, NO_LIMITS);
    let until = window.end();
    let (_, cost) = town.cost(town.store.by_plate(&town.lot, &[0; 16], until)).await?;
    table.row("look a plate up at the gate: unknown", cost, NO_LIMITS);
    let index = named.new.plate.map(|plate| plate.index).unwrap_or_default();
    let (_, cost) = town.cost(town.store.by_plate(&town.lot, &index, until)).await?;
    table.row("look a plate up at the gate: known", cost, NO_LIMITS);
    Ok(())
}

async fn system(town: &Fixture, table: &mut Table) -> Result<(), Failure> {
    let window = town.window(1, 10, 11)?;
    let held = town.request(30, vec![window])?;
    town.store.reserve(&held).await?;
    let late_s = NOW_S + 7_200;
    let expire = Order::system(held.new.id, Cause::HoldExpiry, late_s, late_s);
    let (_, cost) = town.cost(town.store.expire(&expire)).await?;
    table.row("expire a hold", cost, NO_LIMITS);
    let id = confirmed(town, 31, window).await?;
    let missed_s = window.start().plus(31).epoch_s();
    let (_, cost) = town.cost(town.store.no_show(&Order::system(id, Cause::NoShow, missed_s, missed_s), false)).await?;
    table.row("no-show", cost, NO_LIMITS);
    let id = confirmed(town, 32, window).await?;
    town.store.check_in(&order(id, 33, window.start().epoch_s())).await?;
    let end_s = window.end().plus(15).epoch_s();
    let (_, cost) = town.cost(town.store.overstay(&Order::system(id, Cause::Overstay, end_s, end_s))).await?;
    table.row("overstay: the claim follows", cost, NO_LIMITS);
    let mut new = town.request(34, Vec::new())?.new;
    new.id = ReservationId::new(Claimant::WalkIn, 34);
    let walk_in = WalkIn { new, now_s: NOW_S };
    let (_, cost) = town.cost(town.store.walk_in(&walk_in)).await?;
    table.row("walk-in", cost, NO_LIMITS);
    town.store.due(DueKind::HoldExpiry, NOW_S).await?;
    let (_, cost) = town.cost(town.store.due(DueKind::HoldExpiry, NOW_S)).await?;
    table.row("sweep with nothing due", cost, NO_LIMITS);
    let page = LotPage { lot: town.lot.clone(), page: town.geometry.page(window.start()).0 };
    let (days, cost) = town.cost(town.store.recompute_occupancy(&page, NOW_S)).await?;
    table.row("recompute a lot-day's occupancy", cost, NO_LIMITS);
    let day = days.first().map_or(0, |day| day.day);
    let (_, cost) = town.cost(town.store.occupancy(&[(town.lot.clone(), day)])).await?;
    table.row("discovery, per lot-day", cost, NO_LIMITS);
    Ok(())
}

async fn operators(town: &Fixture, table: &mut Table) -> Result<(), Failure> {
    let block = OutOfService {
        lot: town.lot.clone(),
        spot: "0150".to_owned(),
        window: town.window(1, 20, 22)?,
        reason: "cleaning".to_owned(),
        key: 40,
        now_s: NOW_S,
    };
    let (_, cost) = town.cost(town.store.take_out_of_service(&block)).await?;
    table.row("take a spot out of service", cost, NO_LIMITS);
    let (_, cost) = town.cost(town.store.put_in_service(&town.lot, "0150", NOW_S)).await?;
    table.row("put it back", cost, NO_LIMITS);
    Ok(())
}

/// Weekdays 9 to 17 from tomorrow on, local winter time.
fn weekdays(lot: &Fixture, count: usize) -> Result<Vec<Window>, Failure> {
    let of = |days: i64| lot.window(days, 5, 13);
    (1..).filter(|days| days % 7 < 5).take(count).map(of).collect()
}

async fn large_and_long(table: &mut Table) -> Result<(), Failure> {
    for (shape, name, limit) in [(Shape::Hourly, "8×1", None), (Shape::LongStay, "2×32", Some(10))] {
        let lot = Fixture::new(200, shape).await?;
        lot.faults.add_hook(|_| tokio::time::sleep(ROUND_TRIP));
        for (n, (stay, minutes)) in (50..).zip([("2 h", 120), ("24 h", 1_440), ("7 days", 10_080), ("31 days", 44_640)])
        {
            let start: Minute = lot.day(1).plus(360);
            let request = lot.request(n, vec![Window::new(start, start.plus(minutes))?])?;
            let (_, cost) = lot.cost(lot.store.reserve(&request)).await?;
            table.row(&format!("hold {stay}, {name}"), cost, NO_LIMITS);
        }
        let request = lot.request(60, weekdays(&lot, 22)?)?;
        let (_, cost) = lot.cost(lot.store.reserve(&request)).await?;
        table.row(&format!("recurring: 22 weekdays 9–17, {name}"), cost, Limits { wru: limit, ..NO_LIMITS });
    }
    let garage = Fixture::new(2_000, Shape::Hourly).await?;
    garage.fill(busy_day, 1).await?;
    garage.faults.add_hook(|_| tokio::time::sleep(ROUND_TRIP));
    let request = garage.request(61, vec![garage.window(1, 6, 8)?])?;
    let (_, cost) = garage.cost(garage.store.reserve(&request)).await?;
    table.row("hold 2 h, best of 2 000 spots 65 % full", cost, Limits { deep: Some(2), wru: Some(7), ..NO_LIMITS });
    let mut named = garage.request(62, vec![garage.window(2, 6, 8)?])?;
    named.spot = Some("1000".to_owned());
    let (_, cost) = garage.cost(garage.store.reserve(&named)).await?;
    table.row("hold 2 h, named spot of 2 000", cost, Limits { deep: Some(2), wru: Some(7), ..NO_LIMITS });
    Ok(())
}
