//! Measuring stick: what settles a payment that somebody else charged. Its twin, `with_stripe`, charges as well.

use std::error::Error;

use parkade_domain::ids::PaymentId;
use parkade_domain::payment::Word;
use parkade_runtime::{Environment, clients};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let environment = Environment::from_process();
    let store = clients::store(&environment)?;
    let id: PaymentId = environment.required("PAYMENT")?.parse()?;
    let word = Word::Succeeded { reference: environment.required("REFERENCE")?.to_owned() };
    store.settle(id, &word, 0).await?;
    Ok(())
}
