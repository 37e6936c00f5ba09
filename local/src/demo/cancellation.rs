//! The demo's second act: a driver pays, the provider says so twice more, the driver thinks better of it, and what is left behind is
//! a receipt, a credit note and the entries of the books.

use axum::http::StatusCode;

use super::*;

/// How far ahead the second booking begins: within the lot's step that gives half of the price back.
const AHEAD: TimeDelta = TimeDelta::hours(3);
/// The charge, what the cancellation keeps, and the refund, which its queue delays.
const ENTRIES: usize = 3;

impl Story<'_> {
    /// # Errors
    /// When the server does not answer, or answers what the story does not have.
    pub(super) async fn second_act(&self) -> Result<(), DemoError> {
        say("\n\n══ Second act: paid, told twice, cancelled ═════════════");
        let now = local_time(self.api).await.unwrap_or_else(Utc::now);
        let start = now + TimeDelta::seconds(QUARTER_S - now.timestamp().rem_euclid(QUARTER_S)) + AHEAD;
        let body = json!({
            "lot_id": LOT,
            "vehicle": {"class": "standard"},
            "start_time": text(start),
            "end_time": text(start + STAY),
        });
        let ask = Ask::new(Method::POST, "/v1/reservations").by(DRIVER).key(self.key("reserve-2")).json(body);
        let reservation = self.step("Reserve", ask).await?.text("/id").to_owned();
        let body = json!({"reservation_id": reservation, "payment_method": "pm_card_visa"});
        let ask = Ask::new(Method::POST, "/v1/payments").by(DRIVER).key(self.key("pay-2")).json(body);
        let payment = self.step("Pay", ask).await?.text("/id").to_owned();
        let paid = self.settle_payment(&payment).await?;
        self.replay_webhook(&payment, &paid).await?;
        let cancel = Ask::new(Method::PUT, format!("/v1/reservations/{reservation}/cancel")).by(DRIVER);
        self.step("Cancel", cancel.key(self.key("cancel-2"))).await?;
        for document in self.documents(&reservation).await?.iter().rev() {
            print_document(document);
        }
        self.books(&reservation).await
    }

    /// The provider tells of the charge twice more; the payment stays as it is.
    async fn replay_webhook(&self, payment: &str, paid: &Answer) -> Result<(), DemoError> {
        let Some(twin) = &self.twin else {
            say("\n   … no payment twin is named (--twin), so no webhook is replayed");
            return Ok(());
        };
        for time in ["once", "twice"] {
            let resend = Ask::new(Method::POST, format!("/_twin/resend/{payment}"));
            let answer = resent(twin, &resend).await?;
            say(&format!("\n── Webhook, {time} more: POST {} → {}", resend.path, answer.status.as_u16()));
            if !answer.status.is_success() {
                return Err(unexpected("replaying the webhook", &answer));
            }
            say(&format!("   {}", answer.body));
        }
        let ask = Ask::new(Method::GET, format!("/v1/payments/{payment}")).by(DRIVER);
        let after = expect("asking for the payment", self.api.ask(&ask).await)?;
        if after.body != paid.body {
            return Err(unexpected("a webhook that came again", &after));
        }
        say("   the payment is what it was: charged once");
        Ok(())
    }

    /// The entries of a reservation, as soon as all of them are sealed.
    async fn books(&self, reservation: &str) -> Result<(), DemoError> {
        let ask = Ask::new(Method::GET, format!("/v1/lots/{LOT}/ledger?reservation_id={reservation}")).by(ADMIN);
        for _ in 0..POLLS_MAX {
            let answer = expect("asking for the books", self.api.ask(&ask).await)?;
            let entries = answer.body.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if entries.len() >= ENTRIES - usize::from(!self.time_passes()) {
                say("\n── Ledger ──────────────────────────────────────────────");
                entries.iter().for_each(print_entry);
                say(&format!("\nNext: parkade ledger verify --lot {LOT}"));
                return Ok(());
            }
            tokio::time::sleep(POLL_WAIT).await;
        }
        let answer = expect("asking for the books", self.api.ask(&ask).await)?;
        Err(unexpected("waiting for the books", &answer))
    }
}

/// Sends the newest webhook again as soon as all came for the first time: the charge may be answered before.
async fn resent(twin: &Api, resend: &Ask) -> Result<Answer, DemoError> {
    for _ in 1..POLLS_MAX {
        let answer = twin.ask(resend).await.map_err(DemoError::Client)?;
        if answer.status != StatusCode::NOT_FOUND {
            return Ok(answer);
        }
        tokio::time::sleep(POLL_WAIT).await;
    }
    twin.ask(resend).await.map_err(DemoError::Client)
}

/// A receipt or credit note as lines of text.
fn print_document(document: &Answer) {
    say(&format!("\n── {} {} ──", document.text("/kind").replace('_', " "), document.text("/number")));
    let line = |label: &str, value: &str| say(&format!("{label:<24}{value}"));
    line("issued", &format!("{} by {}", document.text("/issued_at"), document.text("/issuer/name")));
    let lines = document.body.pointer("/price/lines").and_then(Value::as_array);
    lines
        .into_iter()
        .flatten()
        .for_each(|of| line(of.get("rule").and_then(Value::as_str).unwrap_or_default(), &priced(of)));
    for (label, field) in [
        ("owed now", "price/total"),
        ("documented before", "documented_before"),
        ("on account", "on_account"),
        ("total", "total"),
    ] {
        line(label, &amount(document, field));
    }
}

/// How a line's amount comes about.
fn priced(line: &Value) -> String {
    let number = |name: &str| line.get(name).and_then(Value::as_i64).unwrap_or_default();
    let unit = line.get("unit").and_then(Value::as_str).unwrap_or_default().replace('_', " ");
    let (quantity, rate, amount) =
        (number("quantity"), minor_units(number("unit_rate_minor")), minor_units(number("amount_minor")));
    match unit.as_str() {
        "basis point" => format!("{}.{:02} % of {rate} = {amount}", quantity / 100, quantity % 100),
        _ => format!("{quantity} × {rate} per {unit} = {amount}"),
    }
}

fn print_entry(entry: &Value) {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    say(&format!("{}  {}", text(entry, "at"), text(entry, "cause")));
    for posting in entry.get("postings").and_then(Value::as_array).into_iter().flatten() {
        let minor = posting.get("amount_minor").and_then(Value::as_i64).unwrap_or_default();
        say(&format!("  {:<20}{:>8}", text(posting, "account"), minor_units(minor)));
    }
}
