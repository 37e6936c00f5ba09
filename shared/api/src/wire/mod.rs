//! Request and response bodies.
//!
//! A request type is read by [`crate::read_json`] and says `deny_unknown_fields`; its `check` turns it into an input of domain
//! values, or into all its errors at once. A view is made from domain values by a function of its own and is only ever sent.
//! Policies and tariffs are the exception: they are documents, validated and versioned by the domain, the same everywhere.

pub mod adjustment;
pub mod card;
pub mod exception;
pub mod explain;
pub mod gate;
pub mod ledger;
pub mod lot;
pub mod pay;
pub mod preferences;
pub mod price;
pub mod quote;
pub mod receipt;
pub mod reservation;
pub mod reserve;
pub mod search;
pub mod spot;
pub mod tariff;
pub mod till;
pub mod time;
pub mod validation;
pub mod vehicle;

use chrono::DateTime;
use parkade_domain::money::{Currency, Money};
use parkade_domain::time::Minute;
use serde::{Deserialize, Serialize};

pub use adjustment::{AdjustmentView, GoodwillRequest, ViolationRequest};
pub use exception::{DecideRequest, ExceptionView};
pub use gate::{CheckInInput, CheckInRequest, CheckOutInput, CheckOutRequest, Entry, Exit, ExitView};
pub use ledger::{LedgerEntryView, LedgerSummaryView, LedgerView, PostingView};
pub use lot::{LotView, PositionFields, PutLotInput, PutLotRequest};
pub use pay::{PayInput, PayRequest, PayWith, PaymentView, WalletView};
pub use preferences::{PreferencesInput, PreferencesRequest, PreferencesView};
pub use price::{PriceView, SettlementView};
pub use quote::{QuoteInput, QuoteRequest, QuoteView};
pub use receipt::ReceiptView;
pub use reservation::{OccurrenceView, OccurrencesView, ReservationView};
pub use reserve::{Mode, ModifyInput, ModifyRequest, ReserveInput, ReserveRequest, When};
pub use search::{AvailabilityView, NearbyLotView, NearbyLotsView};
pub use spot::SpotView;
pub use spot::{
    DisplacedView, PutSpotsRequest, PutSpotsView, SpotState, SpotStatusInput, SpotStatusRequest, SpotStatusView,
};
pub use till::{CashView, CountRequest, CountView, PayOutRequest, TakeCashRequest};
pub use time::{refused_window, time_at, window_at};
pub use validation::{ValidateRequest, ValidatedView};
pub use vehicle::{PlateFields, PlateInput, VehicleFields, VehicleView};

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmountView {
    /// Count of the currency's minor units.
    pub amount_minor: i64,
    /// ISO 4217 code.
    pub currency: String,
}

impl AmountView {
    /// `minor` units of `currency`.
    #[must_use]
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { amount_minor: minor, currency: currency.code().to_owned() }
    }
}

impl From<Money> for AmountView {
    fn from(money: Money) -> Self {
        Self::new(money.minor, money.currency)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageView<T> {
    /// The elements.
    pub items: Vec<T>,
    /// What to send as `next` for the following page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A minute as RFC 3339 in UTC.
#[must_use]
pub fn minute_text(minute: Minute) -> String {
    minute.to_string()
}

/// An epoch second as RFC 3339 in UTC.
#[must_use]
pub fn second_text(epoch_s: i64) -> String {
    DateTime::from_timestamp(epoch_s, 0).unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
