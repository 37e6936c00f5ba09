//! The books beside the trade: the stream's consumer seals, and every hour reconciliation compares them with the provider's account.

use std::collections::BTreeMap;

use aws_lambda_events::dynamodb::Event as StreamEvent;
use chrono::DateTime;
use parkade_domain::decide::Dossier;
use parkade_domain::ids::{PaymentId, ReservationId};
use parkade_domain::money::Currency;
use parkade_ledger::{Account, Balances, Month};
use parkade_tests::books::{Watch, verified};
use parkade_tests::given::T0_S;
use reconcile::ReconcileReport;
use serde_json::json;

use crate::scene::Scene;

/// Records of one batch, and entries of one page.
const PAGE: usize = 500;

/// Keeps up with the stream and the provider.
pub(crate) struct Bookkeeper {
    after: Option<String>,
    watch: Watch,
    deps: reconcile::Deps,
}

impl Bookkeeper {
    pub(crate) fn of(scene: &Scene) -> Self {
        let deps =
            reconcile::Deps { store: scene.store.clone(), stripe: scene.stripe.clone(), stage: "money".to_owned() };
        Self { after: None, watch: Watch::default(), deps }
    }

    /// What an hour brings; `None` if the provider's account could not be read.
    pub(crate) async fn hour(&mut self, scene: &Scene) -> Option<ReconcileReport> {
        let now = DateTime::from_timestamp(scene.world.clock.now_s(), 0).unwrap();
        while let Some(page) = scene.world.stream_page(&mut self.after, PAGE) {
            let batch: StreamEvent = serde_json::from_value(json!({"Records": page})).unwrap();
            let answer = Box::pin(seal_ledger::handle(&scene.store, now, batch)).await;
            assert!(answer.batch_item_failures.is_empty(), "{answer:?}");
        }
        let done = Box::pin(reconcile::handle(&self.deps, now)).await;
        done.inspect_err(|failure| println!("the next hour goes on: {failure:?}")).ok()
    }

    /// Where the books, the records and the provider differ once all is quiet: reservation by reservation, and in sum.
    pub(crate) async fn wrong(&mut self, scene: &Scene, dossiers: &[Dossier]) -> Vec<String> {
        self.watch.catch_up(&scene.world, &scene.store).await;
        let kept = kept_by_the_provider(scene);
        let mut wrong: Vec<String> = dossiers
            .iter()
            .flat_map(|d| self.watch.wrong(d, kept.get(&d.reservation.id).copied().unwrap_or(0)))
            .collect();
        let sealed = sealed(scene, &mut wrong).await;
        let total = |account: &Account| sealed.of(Currency::from_code("EUR").unwrap(), account);
        let (clearing, fees) = (total(&Account::Clearing), total(&Account::Fees));
        let books = scene.twin.books();
        let net = books.totals.get("eur").map_or(0, |totals| totals.net);
        // Stripe's price of a European card, whose fee it keeps when it refunds: 1.5 % and 0.25.
        let charged = books.charges.iter().filter(|charge| charge.decline_code.is_none());
        let priced: i64 = charged.map(|charge| 25 + (charge.amount * 15 + 500) / 1_000).sum();
        if (clearing, fees) != (net - priced, priced) {
            wrong.push(format!("the books have {clearing} and {fees} of fees, the provider {net} less {priced}"));
        }
        wrong
    }
}

/// What the provider has charged and not given back, for each reservation.
fn kept_by_the_provider(scene: &Scene) -> BTreeMap<ReservationId, i64> {
    let books = scene.twin.books();
    let of = |metadata: &BTreeMap<String, String>| metadata["payment"].parse::<PaymentId>().unwrap().reservation;
    let mut kept = BTreeMap::new();
    for charge in books.charges.iter().filter(|charge| charge.decline_code.is_none()) {
        *kept.entry(of(&charge.metadata)).or_default() += charge.amount;
    }
    for refund in books.refunds.iter().filter(|refund| !refund.failed) {
        *kept.entry(of(&refund.metadata)).or_default() -= refund.amount;
    }
    kept
}

/// The balances over all chains, each verified.
async fn sealed(scene: &Scene, wrong: &mut Vec<String>) -> Balances {
    let mut balances = Balances::default();
    let mut month = Month::utc(scene.world.clock.now_s());
    while month >= Month::utc(T0_S) {
        for book in scene.store.books_of(month).await.unwrap() {
            for sealed in verified(&scene.store, &book, month, PAGE, wrong).await {
                balances.add(&sealed.entry).unwrap();
            }
        }
        month = month.previous();
    }
    balances
}
