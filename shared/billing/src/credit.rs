//! What moves without the provider: credit, and cash over the counter.

use parkade_domain::payment::{Means, Payment, PaymentStatus, Word};
use parkade_store::{Intent, Store};
use tracing::info;

use crate::{Cashier, Failure, recorded};

impl Cashier {
    /// Moves credit, unless the reservation ended first. Cash moves where somebody stands and says so, so nothing is done about it here.
    pub(crate) async fn without_provider(&self, intent: Intent, now_s: i64) -> Result<Payment, Failure> {
        let payment = &intent.payment;
        if payment.means != Means::Wallet || payment.status != PaymentStatus::Requested {
            return Ok(intent.payment);
        }
        let id = payment.id;
        if !Store::is_wanted(&intent.dossier, payment) {
            info!(payment.id = %id, "the reservation had ended: nothing is taken for {id}");
            return self.record(intent, &Word::Void, now_s).await;
        }
        recorded(self.store.settle_by_credit(intent, now_s).await?, id)
    }
}
