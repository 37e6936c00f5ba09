//! What a client sees of a reservation.

use parkade_domain::ids::Claimant;
use parkade_domain::money::Currency;
use parkade_domain::reservation::{Command, Reservation, Status};
use serde::{Deserialize, Serialize};

use crate::wire::adjustment::AdjustmentView;
use crate::wire::price::{LineView, PriceView};
use crate::wire::vehicle::VehicleView;
use crate::wire::{AmountView, minute_text, second_text};

/// A reservation, and the session once the vehicle is inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationView {
    /// `res_…`.
    pub id: String,
    /// What a driver types at a gate.
    pub code: String,
    /// `reservation` or `walk_in`.
    pub kind: String,
    /// The lot.
    pub lot_id: String,
    /// The spot's number; absent where spots are not assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_id: Option<String>,
    /// `held`, `confirmed`, `checked_in`, `completed`, `cancelled`, `expired` or `no_show`.
    pub status: String,
    /// Version, also the entity tag.
    pub version: u32,
    /// What is parked.
    pub vehicle: VehicleView,
    /// Whether a plate is known; the plate itself is not shown.
    pub has_plate: bool,
    /// Start of what was booked.
    pub start_time: String,
    /// First instant after it.
    pub end_time: String,
    /// When the hold ends; only while held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_expires_at: Option<String>,
    /// What merchants and the operator have given towards it, by the names in its tariff.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validations: Vec<String>,
    /// Violations, and goodwill, which are part of what is owed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<AdjustmentView>,
    /// What is owed now.
    pub price: AmountView,
    /// What makes it up, where it was just computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_lines: Option<Vec<LineView>>,
    /// What was charged.
    pub paid: AmountView,
    /// What was or is being refunded.
    pub refunded: AmountView,
    /// What is still to be paid; negative while a refund is owed.
    pub balance_due: AmountView,
    /// The tariff pinned at booking or entry (P7).
    pub tariff_version: u32,
    /// Entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entered_at: Option<String>,
    /// Exit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_at: Option<String>,
    /// Why it ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The spot cannot be had at the booked time and no other fits.
    #[serde(default, skip_serializing_if = "is_false")]
    pub spot_blocked: bool,
    /// Of a recurring reservation: what became of each occurrence (I11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurrences: Option<Vec<OccurrenceView>>,
    /// What can be done next.
    pub links: ReservationLinks,
}

/// What can be done next, as paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationLinks {
    /// This reservation.
    #[serde(rename = "self")]
    pub this: String,
    /// `POST` here pays what is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay: Option<String>,
    /// `PUT` here cancels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<String>,
}

/// What became of one date of a recurring reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OccurrenceView {
    /// The local date on which it starts.
    pub date: String,
    /// Its start, if it has a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// Its end, if it has a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// `booked`, `conflict`, or the problem code that keeps it outside the lot's policy.
    pub outcome: String,
    /// The spot's number, if it is booked and occurrences can differ in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_id: Option<String>,
    /// The reservation that holds it, if occurrences are separate ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<String>,
}

/// Answer of `POST /v1/reservations` for a recurrence in `best_effort`: every occurrence that could be had is a reservation of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OccurrencesView {
    /// How many are booked.
    pub booked: usize,
    /// What became of each, by date.
    pub occurrences: Vec<OccurrenceView>,
}

impl ReservationView {
    /// The view of a stored reservation on the spot with this number.
    #[must_use]
    pub fn from_domain(reservation: &Reservation, spot_number: Option<&str>) -> Self {
        let amount = |minor: i64| amount(minor, reservation.currency);
        Self {
            id: reservation.id.to_string(),
            code: reservation.id.code(),
            kind: kind(reservation.id.claimant()).to_owned(),
            lot_id: reservation.lot.to_string(),
            spot_id: spot_number.map(str::to_owned),
            status: reservation.status.as_str().to_owned(),
            version: reservation.version,
            vehicle: reservation.vehicle.into(),
            has_plate: reservation.plate.is_some(),
            start_time: minute_text(reservation.window.start()),
            end_time: minute_text(reservation.window.end()),
            hold_expires_at: reservation
                .hold_expires_at_s
                .filter(|_| reservation.status == Status::Held)
                .map(second_text),
            validations: reservation.validations.iter().map(|given| given.id.as_str().to_owned()).collect(),
            adjustments: AdjustmentView::of(&reservation.adjustments, reservation.currency),
            price: amount(reservation.owed_minor()),
            price_lines: None,
            paid: amount(reservation.paid_minor),
            refunded: amount(reservation.refunded_minor),
            balance_due: amount(reservation.due_minor()),
            tariff_version: reservation.tariff.0,
            entered_at: reservation.entered_at_s.map(second_text),
            left_at: reservation.left_at_s.map(second_text),
            reason: reservation.reason.map(|reason| reason.as_str().to_owned()),
            spot_blocked: reservation.spot_blocked,
            occurrences: None,
            links: ReservationLinks::of(reservation),
        }
    }

    /// With the lines of its price.
    #[must_use]
    pub fn with_price(mut self, price: &PriceView) -> Self {
        self.price_lines = Some(price.lines.clone());
        self
    }

    /// With what became of each occurrence.
    #[must_use]
    pub fn with_occurrences(mut self, occurrences: Vec<OccurrenceView>) -> Self {
        self.occurrences = Some(occurrences);
        self
    }
}

impl ReservationLinks {
    fn of(reservation: &Reservation) -> Self {
        let this = format!("/v1/reservations/{}", reservation.id);
        let takes = |command: Command| reservation.status.after(command).is_ok();
        Self {
            pay: (takes(Command::Pay) && reservation.due_minor() > 0).then(|| "/v1/payments".to_owned()),
            cancel: takes(Command::Cancel).then(|| format!("{this}/cancel")),
            this,
        }
    }
}

fn amount(minor: i64, currency: Currency) -> AmountView {
    AmountView::new(minor, currency)
}

const fn kind(claimant: Claimant) -> &'static str {
    match claimant {
        Claimant::Reservation => "reservation",
        Claimant::WalkIn => "walk_in",
        Claimant::OutOfService => "out_of_service",
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use parkade_domain::ids::{LotId, ReservationId, SpotIndex, TariffVersion, UserId};
    use parkade_domain::reservation::{Circumstances, Reason, SealedPlate};
    use parkade_domain::time::{Minute, Window};
    use parkade_domain::vehicle::{Vehicle, VehicleClass};
    use serde_json::{Value, json};

    use super::*;

    fn held() -> Reservation {
        let start = Minute(29_900_160);
        Reservation {
            id: ReservationId::from_bits(1).unwrap(),
            lot: LotId::new("lot-1").unwrap(),
            user: UserId::new("alice").unwrap(),
            status: Status::Held,
            version: 1,
            spot: SpotIndex(3),
            window: Window::new(start, start.plus(120)).unwrap(),
            claims: vec![Window::new(start, start.plus(130)).unwrap()],
            series: false,
            vehicle: Vehicle { class: VehicleClass::Compact, ev: true, accessible_permit: false },
            plate: Some(SealedPlate { sealed: vec![1, 2, 3], index: [9; 16] }),
            hold_expires_at_s: Some(1_794_000_600),
            tariff: TariffVersion(2),
            circumstances: Circumstances::default(),
            validations: Vec::new(),
            currency: Currency::from_code("EUR").unwrap(),
            fees_minor: 0,
            price_minor: 400,
            adjustments: Vec::new(),
            kept_minor: 0,
            paid_minor: 0,
            refunded_minor: 0,
            created_at_s: 1_794_000_000,
            entered_at_s: None,
            left_at_s: None,
            ended_at_s: None,
            reason: None,
            spot_blocked: false,
            fingerprint: [0; 16],
            marks: Vec::new(),
        }
    }

    fn view(reservation: &Reservation) -> Value {
        serde_json::to_value(ReservationView::from_domain(reservation, Some("A-4"))).unwrap()
    }

    #[test]
    fn a_hold_shows_what_it_costs_and_until_when_and_nothing_personal() {
        let eur = |minor: i64| json!({"amount_minor": minor, "currency": "EUR"});
        let expected = json!({
            "id": "res_0000000000001",
            "code": "0000000000001",
            "kind": "reservation",
            "lot_id": "lot-1",
            "spot_id": "A-4",
            "status": "held",
            "version": 1,
            "vehicle": {"class": "compact", "ev": true, "accessible_permit": false},
            "has_plate": true,
            "start_time": "2026-11-07T00:00:00Z",
            "end_time": "2026-11-07T02:00:00Z",
            "hold_expires_at": "2026-11-06T21:30:00Z",
            "price": eur(400),
            "paid": eur(0),
            "refunded": eur(0),
            "balance_due": eur(400),
            "tariff_version": 2,
            "links": {
                "self": "/v1/reservations/res_0000000000001",
                "pay": "/v1/payments",
                "cancel": "/v1/reservations/res_0000000000001/cancel",
            },
        });
        assert_eq!(view(&held()), expected);
    }

    #[test]
    fn what_is_over_offers_nothing_and_says_why() {
        let mut cancelled = held();
        cancelled.status = Status::Cancelled;
        cancelled.reason = Some(Reason::DriverCancelled);
        let view = view(&cancelled);
        assert_eq!(view["reason"], "driver_cancelled");
        assert_eq!(view["links"], json!({"self": "/v1/reservations/res_0000000000001"}));
        assert_eq!(view.get("hold_expires_at"), None);
    }
}
