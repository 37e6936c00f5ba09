//! `R#<code>` / `P#<n>`: one charge or refund.

use aws_sdk_dynamodb::types::AttributeValue;
use parkade_domain::ids::{PaymentId, ReservationId};
use parkade_domain::money::Currency;
use parkade_domain::payment::{Payment, PaymentKind, PaymentStatus, Purpose};
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
    if let PaymentKind::Refund { of } = payment.kind {
        put("of", number(of));
    }
    put("st", text(payment.status.as_str()));
    put("am", number(payment.amount_minor));
    put("cu", text(payment.currency.code()));
    put("mk", text(payment.mark.key.to_string()));
    put("mf", text(payment.mark.fingerprint.to_string()));
    put("ra", number(payment.requested_at_s));
    let optional = [("pm", &payment.method), ("ref", &payment.provider_reference), ("dc", &payment.decline_code)];
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
        "refund" => PaymentKind::Refund { of: reader.number("of")? },
        other => return Err(reader.corrupt(format!("kind {other} is unknown"))),
    };
    Ok(Payment {
        id: PaymentId { reservation, number: reader.parsed(keys::SK, |sk| sk.strip_prefix("P#")?.parse().ok())? },
        kind,
        status: reader.parsed("st", PaymentStatus::parse)?,
        amount_minor: reader.number("am")?,
        currency: reader.parsed("cu", |code| Currency::from_code(code).ok())?,
        method: reader.text_maybe("pm").map(str::to_owned),
        provider_reference: reader.text_maybe("ref").map(str::to_owned),
        decline_code: reader.text_maybe("dc").map(str::to_owned),
        mark: Mark {
            key: reader.parsed("mk", |text| text.parse().ok())?,
            fingerprint: reader.parsed("mf", |text| text.parse().ok())?,
        },
        requested_at_s: reader.number("ra")?,
        version: reader.number(VERSION)?,
    })
}
