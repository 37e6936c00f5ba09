//! Prices before anything is booked, and what a change of plans would cost.

use parkade_domain::ids::{LotId, ReservationId};
use parkade_domain::vehicle::VehicleClass;
use serde::{Deserialize, Serialize};

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;
use crate::wire::AmountView;
use crate::wire::price::{PriceView, SettlementView};
use crate::wire::reserve::{ModifyInput, ModifyRequest};
use crate::wire::spot::NUMBER_CHARS_MAX;
use crate::wire::vehicle::vehicle_class;

/// Body of `POST /v1/quotes`: `lot_id`, `vehicle_class`, `start_time` and `end_time` for a stay; without the times what driving in now
/// costs by when one leaves; or `reservation_id` and `action` for what a change of plans would cost or return.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// The lot.
    pub lot_id: Option<String>,
    /// The vehicle's class.
    pub vehicle_class: Option<String>,
    /// The number of a spot, whose features the price then includes; with `action` `modify`: the new spot.
    pub spot_id: Option<String>,
    /// Start of the stay; with `action` `modify`: the new start.
    pub start_time: Option<String>,
    /// End of the stay; with `action` `modify`: the new end.
    pub end_time: Option<String>,
    /// The reservation that would be changed.
    pub reservation_id: Option<String>,
    /// What would be done.
    pub action: Option<QuoteAction>,
}

/// What would be done to a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuoteAction {
    /// Cancel it now.
    Cancel,
    /// Leave now.
    CheckOut,
    /// Change its times.
    Modify,
}

/// A checked [`QuoteRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuoteInput {
    /// What a stay costs.
    Stay {
        /// The lot.
        lot: LotId,
        /// The vehicle's class.
        class: VehicleClass,
        /// The number of the spot that is asked for.
        spot: Option<String>,
        /// `start_time` and `end_time` as sent; read them with [`crate::wire::window_at`]. `None`: from now on, without an end.
        times: Option<[String; 2]>,
    },
    /// What cancelling now leaves owed.
    Cancel(ReservationId),
    /// What leaving now leaves owed.
    CheckOut(ReservationId),
    /// What other times would cost.
    Modify(ReservationId, ModifyInput),
}

impl QuoteRequest {
    /// The input, or everything wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<QuoteInput, Problem> {
        if self.reservation_id.is_some() || self.action.is_some() { self.check_change() } else { self.check_stay() }
    }

    fn check_stay(self) -> Result<QuoteInput, Problem> {
        let mut errors = FieldErrors::new();
        let lot = errors.required("/lot_id", self.lot_id).and_then(|lot| errors.parse::<LotId>("/lot_id", &lot));
        let class = errors.required("/vehicle_class", self.vehicle_class);
        let class = class.and_then(|class| vehicle_class("/vehicle_class", &class, &mut errors));
        let spot = self.spot_id.and_then(|spot| errors.text("/spot_id", spot, NUMBER_CHARS_MAX));
        let times = match (self.start_time, self.end_time) {
            (None, None) => Some(None),
            (start, end) => {
                let start = errors.required("/start_time", start);
                start.zip(errors.required("/end_time", end)).map(|(start, end)| Some([start, end]))
            }
        };
        let input = match (lot, class, times) {
            (Some(lot), Some(class), Some(times)) => Some(QuoteInput::Stay { lot, class, spot, times }),
            _ => None,
        };
        errors.finish(input)
    }

    fn check_change(self) -> Result<QuoteInput, Problem> {
        let mut errors = FieldErrors::new();
        let id = errors.required("/reservation_id", self.reservation_id);
        let id = id.and_then(|id| errors.parse::<ReservationId>("/reservation_id", &id));
        let action = errors.required("/action", self.action);
        for (pointer, given) in [("/lot_id", self.lot_id.is_some()), ("/vehicle_class", self.vehicle_class.is_some())] {
            if given {
                errors.push(pointer, FieldCode::NotAllowed, "the reservation says it");
            }
        }
        if action != Some(QuoteAction::Modify) {
            for (pointer, given) in [
                ("/start_time", self.start_time.is_some()),
                ("/end_time", self.end_time.is_some()),
                ("/spot_id", self.spot_id.is_some()),
            ] {
                if given {
                    errors.push(pointer, FieldCode::NotAllowed, "only with the action modify");
                }
            }
        }
        let (id, action) = errors.finish(id.zip(action))?;
        Ok(match action {
            QuoteAction::Cancel => QuoteInput::Cancel(id),
            QuoteAction::CheckOut => QuoteInput::CheckOut(id),
            QuoteAction::Modify => {
                let Self { start_time, end_time, spot_id, .. } = self;
                QuoteInput::Modify(id, ModifyRequest { start_time, end_time, spot_id }.check()?)
            }
        })
    }
}

/// Answer of `POST /v1/quotes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuoteView {
    /// What the stay costs, and what staying longer would cost (T5).
    Price {
        /// The price.
        price: PriceView,
        /// The lot's rule for staying too long, as in its tariff.
        overstay: serde_json::Value,
        /// The promise of this price: send it with the reservation. Opaque.
        quote: String,
        /// Until when the price holds.
        expires_at: String,
    },
    /// What driving in now costs.
    DriveUp {
        /// The entry.
        start_time: String,
        /// The tariff it was computed with.
        tariff_version: u32,
        /// What leaving at some instants costs, of the next day; between two of them the later one's price is the most.
        steps: Vec<StepView>,
    },
    /// What the change leaves owed and returns.
    Settlement(SettlementView),
}

/// What leaving at an instant costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// The exit.
    pub end_time: String,
    /// The price of the stay until then.
    pub total: AmountView,
}

#[cfg(test)]
mod tests {
    use http::Request;
    use serde_json::{Value, json};

    use super::*;
    use crate::request::read_json;

    fn check(body: Value) -> Result<QuoteInput, Vec<(String, &'static str)>> {
        let request = Request::new(body.to_string().into_bytes());
        let read = read_json::<QuoteRequest>(&request).and_then(QuoteRequest::check);
        read.map_err(|problem| problem.errors().iter().map(|e| (e.pointer.clone(), e.code)).collect())
    }

    #[test]
    fn a_stay_or_a_change_is_quoted() {
        let id = ReservationId::from_bits(1).unwrap();
        let stay = json!({"lot_id": "l", "vehicle_class": "suv", "start_time": "a", "end_time": "b"});
        assert!(matches!(check(stay), Ok(QuoteInput::Stay { class: VehicleClass::Large, .. })));
        let change = |action: &str| json!({"reservation_id": "res_0000000000001", "action": action});
        assert_eq!(check(change("cancel")), Ok(QuoteInput::Cancel(id)));
        assert_eq!(check(change("check_out")), Ok(QuoteInput::CheckOut(id)));
        let mut modify = change("modify");
        modify["end_time"] = json!("b");
        assert!(matches!(check(modify), Ok(QuoteInput::Modify(_, ModifyInput { end: Some(_), .. }))));
    }

    #[test]
    fn what_does_not_belong_together_is_named() {
        assert_eq!(
            check(json!({"lot_id": "l", "action": "cancel", "end_time": "b"})).unwrap_err(),
            [("/reservation_id", "required"), ("/lot_id", "not_allowed"), ("/end_time", "not_allowed")]
                .map(|(pointer, code)| (pointer.to_owned(), code))
        );
        let missing = ["/lot_id", "/vehicle_class"];
        assert_eq!(check(json!({})).unwrap_err(), missing.map(|pointer| (pointer.to_owned(), "required")));
        let half = json!({"lot_id": "l", "vehicle_class": "suv", "start_time": "a"});
        assert_eq!(check(half).unwrap_err(), [("/end_time".to_owned(), "required")]);
        let now = check(json!({"lot_id": "l", "vehicle_class": "suv"}));
        assert!(matches!(now, Ok(QuoteInput::Stay { times: None, .. })));
        assert!(check(json!({"reservation_id": "res_0000000000001", "action": "modify"})).is_err());
    }
}
