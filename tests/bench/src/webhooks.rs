//! What the payment webhook does for an event: one that confirms a reservation, and one that was taken before.

use std::path::Path;

use parkade_domain::geometry::Shape;
use parkade_domain::ids::PaymentId;
use parkade_domain::payment::Means;
use parkade_domain::time::{Minute, Window};
use ring::hmac;
use serde_json::{Value, json};

use crate::Failure;
use crate::figure::{Figure, Section};
use crate::fixture::{Fixture, order};
use crate::functions::{COUNTED, WARM, per_request};
use crate::host::{Host, WEBHOOK_SECRET};

/// Reservations on one day, each of two hours on a spot of its own.
const SPOTS: u16 = 100;
const STAY_MINUTES: i64 = 120;

/// Rows of the section on warm requests: payments that wait are told to have succeeded, then are told so again.
pub(crate) async fn rows(section: &mut Section, path: &Path) -> Result<(), Failure> {
    let lot = Fixture::new(SPOTS, Shape::Hourly).await?;
    let host = Host::start(lot.engine.clone())?;
    let mut payments = requested(&lot, 2 * (WARM + WARM + COUNTED)).await?.into_iter();
    let mut events = |count: usize| payments.by_ref().take(count).map(event).collect::<Vec<_>>();
    let (one, all, few, many) = (events(WARM), events(WARM + COUNTED), events(WARM), events(WARM + COUNTED));
    let counted = (host.instructions(path, one.clone())?, host.instructions(path, all.clone())?);
    let ran = (host.run(path, few)?, host.run(path, many)?);
    let again = (host.instructions(path, one.clone())?, host.instructions(path, all.clone())?);
    let ran_again = (host.run(path, one)?, host.run(path, all)?);
    for (name, instructions, runs) in
        [("payment-webhook, a reservation confirmed", counted, ran), ("payment-webhook, told again", again, ran_again)]
    {
        section.row(
            name,
            [
                per_request(instructions.1, instructions.0).into(),
                per_request(runs.1.switches, runs.0.switches).into(),
                per_request(runs.1.calls, runs.0.calls).into(),
                Figure::whole(runs.1.peak_kb),
            ],
        );
    }
    Ok(())
}

/// Payments that the provider has been asked for, of holds that have not expired: the function sees the real clock.
async fn requested(lot: &Fixture, count: usize) -> Result<Vec<(PaymentId, i64)>, Failure> {
    let now_s = chrono::Utc::now().timestamp();
    let tomorrow = Minute((now_s / 86_400 + 1) * 1_440);
    let mut payments = Vec::new();
    for n in 0..u64::try_from(count)? {
        let day = i64::try_from(n / u64::from(SPOTS))? * 1_440;
        let window = Window::new(tomorrow.plus(day + 600), tomorrow.plus(day + 600 + STAY_MINUTES))?;
        let mut request = lot.request(n, vec![window])?;
        request.now_s = now_s;
        lot.store.reserve(&request).await?;
        let payment = lot.store.pay(&order(request.new.id, n, now_s), &Means::card("pm_card_visa")).await?.payment;
        payments.push((payment.id, payment.amount_minor));
    }
    Ok(payments)
}

/// What API Gateway passes on of Stripe's request.
fn event((payment, amount): (PaymentId, i64)) -> Value {
    let body = json!({
        "id": format!("evt_{payment}"),
        "object": "event",
        "api_version": "2025-10-29.clover",
        "created": chrono::Utc::now().timestamp(),
        "type": "payment_intent.succeeded",
        "data": {"object": {
            "id": format!("pi_{payment}"), "object": "payment_intent", "status": "succeeded", "amount": amount,
            "amount_received": amount, "currency": "eur", "latest_charge": format!("ch_{payment}"),
            "metadata": {"payment": payment.to_string(), "reservation": payment.reservation.to_string()},
        }},
    })
    .to_string();
    let time = chrono::Utc::now().timestamp();
    let key = hmac::Key::new(hmac::HMAC_SHA256, WEBHOOK_SECRET.as_bytes());
    let signature = hmac::sign(&key, format!("{time}.{body}").as_bytes());
    let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "version": "2.0",
        "routeKey": "POST /v1/webhooks/stripe",
        "rawPath": "/v1/webhooks/stripe",
        "rawQueryString": "",
        "headers": {
            "accept": "*/*; q=0.5, application/xml",
            "content-type": "application/json; charset=utf-8",
            "host": "api.example.com",
            "stripe-signature": format!("t={time},v1={hex}"),
            "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "bench",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": "POST",
                "path": "/v1/webhooks/stripe",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            },
            "requestId": format!("bench-{payment}"),
            "routeKey": "POST /v1/webhooks/stripe",
            "stage": "$default",
            "time": "02/Mar/2026:08:00:00 +0000",
            "timeEpoch": 1_772_438_400_000_i64,
        },
        "body": body,
        "isBase64Encoded": false,
    })
}
