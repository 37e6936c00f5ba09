//! Receipts and credit notes.

use parkade_domain::document::{By, Document};
use parkade_domain::ids::PaymentId;
use parkade_domain::tariff::Tax;
use serde::{Deserialize, Serialize};

use crate::wire::{AmountView, PriceView, minute_text, second_text};

/// A receipt, a credit note, or what takes one back. `price` less `documented_before` with `on_account` is `total`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptView {
    /// `rcp_…`.
    pub id: String,
    /// Counts from 1 without gaps, per lot and year.
    pub number: String,
    /// `receipt`, `credit_note` or `credit_note_reversal`.
    pub kind: String,
    /// When it was issued, with the lot's offset.
    pub issued_at: String,
    /// By whom.
    pub issuer: IssuerView,
    /// For what.
    pub stay: ReceiptStayView,
    /// `provider`, `cash` or `wallet`.
    pub means: String,
    /// Of cash: what was put in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tendered: Option<AmountView>,
    /// Of cash: what was given back as change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<AmountView>,
    /// Why money went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The document that this one corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<CorrectedView>,
    /// What is owed for the stay as of the issue, line by line (P18).
    pub price: PriceView,
    /// What earlier documents of the reservation add up to.
    pub documented_before: AmountView,
    /// What moved beyond, or short of, what was then owed.
    pub on_account: AmountView,
    /// The taxes in the total: those of the price less those of earlier documents.
    pub taxes: Vec<Tax>,
    /// The money that moved; below 0 if it went back.
    pub total: AmountView,
    /// Where to look next.
    pub links: ReceiptLinks,
}

/// Who issued a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerView {
    /// The lot.
    pub lot_id: String,
    /// Name on its sign.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its IANA zone.
    pub time_zone: String,
}

/// What a document is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptStayView {
    /// The reservation.
    pub reservation_id: String,
    /// The spot's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_id: Option<String>,
    /// Class of the vehicle.
    pub vehicle_class: String,
    /// Booked start.
    pub start_time: String,
    /// Booked end.
    pub end_time: String,
    /// When the vehicle came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entered_at: Option<String>,
    /// When it went out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_at: Option<String>,
}

/// The document that another one corrects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectedView {
    /// `rcp_…`.
    pub id: String,
    /// Its number.
    pub number: String,
}

/// Where to look next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptLinks {
    /// This document.
    #[serde(rename = "self")]
    pub this: String,
    /// The same as a page.
    pub html: String,
    /// The same as PDF.
    pub pdf: String,
    /// The payment that it is about.
    pub payment: String,
    /// The reservation.
    pub reservation: String,
}

impl ReceiptView {
    /// The view of a document.
    #[must_use]
    pub fn from_domain(document: &Document) -> Self {
        let amount = |minor| AmountView::new(minor, document.price.currency());
        let (means, tendered_minor) = match document.by {
            By::Provider => ("provider", None),
            By::Cash { tendered_minor } => ("cash", Some(tendered_minor)),
            By::Wallet => ("wallet", None),
        };
        Self {
            id: document.id.to_string(),
            number: document.number.to_string(),
            kind: document.kind.as_str().to_owned(),
            issued_at: document.zone().second_with_offset(document.issued_at_s).to_rfc3339(),
            issuer: IssuerView {
                lot_id: document.number.series.lot.to_string(),
                name: document.issuer.name.clone(),
                address: document.issuer.address.clone(),
                time_zone: document.issuer.time_zone.clone(),
            },
            stay: ReceiptStayView::from_domain(document),
            means: means.to_owned(),
            tendered: tendered_minor.map(amount),
            change: tendered_minor.map(|tendered| amount(tendered.saturating_sub(document.total_minor))),
            reason: document.reason.map(|reason| reason.as_str().to_owned()),
            corrects: document
                .corrects
                .as_ref()
                .map(|corrected| CorrectedView { id: corrected.id.to_string(), number: corrected.number.to_string() }),
            price: PriceView::from_domain(&document.price),
            documented_before: amount(document.documented_before_minor),
            on_account: amount(document.on_account_minor),
            taxes: document.taxes.clone(),
            total: amount(document.total_minor),
            links: ReceiptLinks::to(document),
        }
    }
}

impl ReceiptStayView {
    fn from_domain(document: &Document) -> Self {
        let stay = &document.stay;
        Self {
            reservation_id: stay.reservation.to_string(),
            spot_id: stay.spot.clone(),
            vehicle_class: stay.vehicle_class.as_str().to_owned(),
            start_time: minute_text(stay.start),
            end_time: minute_text(stay.end),
            entered_at: stay.entered_at_s.map(second_text),
            left_at: stay.left_at_s.map(second_text),
        }
    }
}

impl ReceiptLinks {
    fn to(document: &Document) -> Self {
        let this = format!("/v1/receipts/{}", document.id);
        let PaymentId { reservation, .. } = document.id.payment;
        Self {
            html: format!("{this}?format=html"),
            pdf: format!("{this}?format=pdf"),
            this,
            payment: format!("/v1/payments/{}", document.id.payment),
            reservation: format!("/v1/reservations/{reservation}"),
        }
    }
}
