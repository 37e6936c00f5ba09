//! `R#<code>` / `P#<n>`: one charge or refund.

use aws_sdk_dynamodb::types::AttributeValue;
use parkade_domain::ids::{PaymentId, ReservationId, TillId};
use parkade_domain::money::Currency;
use parkade_domain::payment::{ClientSecret, Means, Payment, PaymentKind, PaymentStatus, Purpose, RefundReason};
use parkade_domain::reservation::Mark;

use crate::attributes::{Item, Reader, SCHEMA, keyed, number, text};
use crate::error::StoreError;
use crate::items::reservation::VERSION;
use crate::keys;

const SCHEMA_VERSION: i64 = 1;

/// Builds the item.
pub(crate) fn write(payment: &Payment) -> Item {
    let (partition, sort) = keys::payment_key(payment.id);
    let mut item = keyed(partition, sort);
    let mut put = |name: &str, value: AttributeValue| drop(item.insert(name.to_owned(), value));
    put(SCHEMA, number(SCHEMA_VERSION));
    put(VERSION, number(payment.version));
    put("k", text(payment.kind.as_str()));
    if let PaymentKind::Refund { of, reason } = payment.kind {
        put("of", number(of));
        put("rr", text(reason.as_str()));
    }
    put("st", text(payment.status.as_str()));
    put("am", number(payment.amount_minor));
    put("cu", text(payment.currency.code()));
    put("mk", text(payment.mark.key.to_string()));
    put("mf", text(payment.mark.fingerprint.to_string()));
    put("ra", number(payment.requested_at_s));
    let (method, customer) = match &payment.means {
        Means::Provider { method, customer } => (method, customer),
        Means::Cash { till, tendered_minor } => {
            put("ti", text(till.as_str()));
            put("te", number(*tendered_minor));
            (&None, &None)
        }
        Means::Wallet => (&None, &None),
    };
    if !matches!(payment.means, Means::Provider { .. }) {
        put("me", text(payment.means.as_str()));
    }
    if let Some(settled_at_s) = payment.settled_at_s {
        put("sa", number(settled_at_s));
    }
    let optional =
        [("pm", method), ("cm", customer), ("ref", &payment.provider_reference), ("dc", &payment.decline_code)];
    if let Some(secret) = &payment.client_secret {
        put("cs", text(secret.expose()));
    }
    for (name, value) in optional {
        if let Some(value) = value {
            put(name, text(value.as_str()));
        }
    }
    item
}

/// Reads the item.
pub(crate) fn read(item: &Item) -> Result<Payment, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    let reservation = reader.parsed(keys::PK, |pk| ReservationId::from_code(pk.strip_prefix("R#")?).ok())?;
    let kind = match reader.text("k")? {
        "booking" => PaymentKind::Charge(Purpose::Booking),
        "balance" => PaymentKind::Charge(Purpose::Balance),
        "exit" => PaymentKind::Charge(Purpose::Exit),
        "refund" => PaymentKind::Refund { of: reader.number("of")?, reason: refund_reason(&reader)? },
        other => return Err(reader.corrupt(format!("kind {other} is unknown"))),
    };
    Ok(Payment {
        id: PaymentId { reservation, number: reader.parsed(keys::SK, |sk| sk.strip_prefix("P#")?.parse().ok())? },
        kind,
        status: reader.parsed("st", PaymentStatus::parse)?,
        amount_minor: reader.number("am")?,
        currency: reader.parsed("cu", |code| Currency::from_code(code).ok())?,
        means: means(&reader)?,
        provider_reference: reader.text_maybe("ref").map(str::to_owned),
        decline_code: reader.text_maybe("dc").map(str::to_owned),
        client_secret: reader.text_maybe("cs").map(ClientSecret::new),
        mark: Mark {
            key: reader.parsed("mk", |text| text.parse().ok())?,
            fingerprint: reader.parsed("mf", |text| text.parse().ok())?,
        },
        requested_at_s: reader.number("ra")?,
        settled_at_s: reader.number_maybe("sa")?,
        version: reader.number(VERSION)?,
    })
}

/// Refunds of before there were reasons are overpayments: money beyond what was owed.
fn refund_reason(reader: &Reader<'_>) -> Result<RefundReason, StoreError> {
    match reader.text_maybe("rr") {
        Some(_) => reader.parsed("rr", RefundReason::parse),
        None => Ok(RefundReason::Overpaid),
    }
}

fn means(reader: &Reader<'_>) -> Result<Means, StoreError> {
    match reader.text_maybe("me") {
        None => Ok(Means::Provider {
            method: reader.text_maybe("pm").map(str::to_owned),
            customer: reader.text_maybe("cm").map(str::to_owned),
        }),
        Some("cash") => Ok(Means::Cash {
            till: reader.parsed("ti", |text| TillId::new(text).ok())?,
            tendered_minor: reader.number("te")?,
        }),
        Some("wallet") => Ok(Means::Wallet),
        Some(other) => Err(reader.corrupt(format!("means {other} is unknown"))),
    }
}
