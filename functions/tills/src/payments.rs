//! Taking cash, and paying out change that is owed.

use parkade_api::wire::{AmountView, CashView, PayOutRequest, PaymentView, TakeCashRequest};
use parkade_api::{Answer, Code, Problem, read_json};
use parkade_domain::decide::{Cash, Dossier};
use parkade_domain::payment::{Payment, PaymentKind};
use parkade_domain::reservation::Mark;
use parkade_runtime::problems::command_problem;
use parkade_runtime::stays::stay_view;
use parkade_store::CommandError;

use crate::Desk;

/// `POST …/payments`: cash for what is due.
pub(crate) async fn take(desk: &Desk<'_>) -> Result<Answer, Problem> {
    let input = read_json::<TakeCashRequest>(desk.request)?.check(desk.facts.lot.currency)?;
    let (tendered_minor, change_minor) = (input.tendered_minor, input.change_minor);
    let change = change_minor.map_or_else(Vec::new, |minor| minor.to_be_bytes().to_vec());
    let asked: [&[u8]; 3] = [&input.reservation.bits().to_be_bytes(), &tendered_minor.to_be_bytes(), &change];
    let mark = desk.mark("take cash", &asked)?;
    let cash = Cash { till: desk.till.clone(), tendered_minor, change_minor };
    let done = desk.deps.store.take_cash(&desk.order(input.reservation, mark), &cash).await.map_err(command_problem)?;
    let charge = of(&done.dossier, mark, |kind| matches!(kind, PaymentKind::Charge(_))).next();
    let charge = charge.ok_or_else(|| Problem::new(Code::Internal))?;
    if !done.replayed {
        tracing::info!(payment.id = %charge.id, till.id = %desk.till, "took cash for {}", charge.id);
    }
    let payment = PaymentView::from_domain(charge);
    let owed = of(&done.dossier, mark, |kind| matches!(kind, PaymentKind::Refund { .. }));
    let view = CashView {
        change: AmountView::new(tendered_minor - charge.amount_minor, charge.currency),
        owed: owed.map(PaymentView::from_domain).collect(),
        reservation: stay_view(&desk.deps.store, &done.dossier.reservation).await?,
        payment,
    };
    Ok(Answer::created(&view.payment.links.this, &view)?.replayed(done.replayed))
}

/// The payments of a kind that a command has made.
fn of(d: &Dossier, mark: Mark, is: impl Fn(PaymentKind) -> bool) -> impl Iterator<Item = &Payment> {
    d.payments.iter().filter(move |payment| payment.mark == mark && is(payment.kind))
}

/// `POST …/payouts`: change that is owed leaves the till.
pub(crate) async fn pay_out(desk: &Desk<'_>) -> Result<Answer, Problem> {
    let id = read_json::<PayOutRequest>(desk.request)?.check()?;
    let mark = desk.mark("pay out", &[id.to_string().as_bytes()])?;
    let done = desk.deps.store.pay_out(&desk.order(id.reservation, mark), id, &desk.till).await;
    let done = done.map_err(|error| match error {
        CommandError::NotFound => Problem::new(Code::PaymentNotFound),
        other => command_problem(other),
    })?;
    let payment = done.dossier.payments.iter().find(|payment| payment.id == id);
    let payment = payment.ok_or_else(|| Problem::new(Code::PaymentNotFound))?;
    if !done.replayed {
        tracing::info!(payment.id = %id, till.id = %desk.till, "paid out {id}");
    }
    Ok(Answer::ok(&PaymentView::from_domain(payment))?.version(payment.version).replayed(done.replayed))
}
