//! Measuring stick: what settles a payment that it has charged at Stripe, with all calls that charging, looking up and giving back need. Its
//! twin, `without_stripe`, only settles.

use std::error::Error;

use parkade_domain::ids::PaymentId;
use parkade_domain::money::Currency;
use parkade_domain::payment::Word;
use parkade_payments::{Charge, ChargeRequest, RefundRequest, StripeClient};
use parkade_runtime::{Environment, clients};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let environment = Environment::from_process();
    let store = clients::store(&environment)?;
    let id: PaymentId = environment.required("PAYMENT")?.parse()?;
    let stripe = StripeClient::new(&environment.stripe()?)?;
    let charge = charged(&stripe, id).await?;
    let word = Word::Succeeded { reference: charge.payment_intent.to_string() };
    store.settle(id, &word, 0).await?;
    give_back(&stripe, &charge, id).await
}

async fn charged(stripe: &StripeClient, id: PaymentId) -> Result<Charge, Box<dyn Error>> {
    let request = ChargeRequest {
        amount_minor: 100,
        currency: Currency::from_code("EUR")?,
        payment_method: "pm_card_visa".to_owned(),
        customer: None,
        idempotency_key: id.to_string(),
        reservation: id.reservation.to_string(),
        payment: id.to_string(),
        statement_suffix: None,
    };
    if let Some(known) = stripe.find_payment_intents(&request.payment).await?.pop() {
        return Ok(stripe.retrieve_payment_intent(&known.payment_intent).await?);
    }
    Ok(stripe.create_payment_intent(&request).await?)
}

async fn give_back(stripe: &StripeClient, charge: &Charge, id: PaymentId) -> Result<(), Box<dyn Error>> {
    let request = RefundRequest {
        payment_intent: charge.payment_intent.clone(),
        amount_minor: charge.amount_minor,
        currency: charge.currency,
        idempotency_key: id.to_string(),
        reservation: id.reservation.to_string(),
        payment: id.to_string(),
    };
    if stripe.find_refunds(&charge.payment_intent, &request.payment).await?.is_empty() {
        stripe.refund(&request).await?;
    }
    stripe.cancel_payment_intent(&charge.payment_intent, &request.idempotency_key).await?;
    Ok(())
}
