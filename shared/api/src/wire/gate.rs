//! Entry and exit.

use parkade_domain::ids::{LotId, ReservationId};
use parkade_domain::vehicle::Vehicle;
use serde::{Deserialize, Serialize};

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;
use crate::wire::AmountView;
use crate::wire::price::PriceView;
use crate::wire::reservation::ReservationView;
use crate::wire::vehicle::{PlateFields, PlateInput, VehicleFields};

/// Body of `POST /v1/gate/check-in`: one of `reservation_id`, `code` and `plate`, or a drive-up's `walk_in`, with its plate if
/// it was read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckInRequest {
    /// The gate's lot.
    pub lot_id: String,
    /// `res_…`.
    pub reservation_id: Option<String>,
    /// The 13 characters as a driver types them.
    pub code: Option<String>,
    /// The plate as read.
    pub plate: Option<PlateFields>,
    /// A vehicle without a reservation.
    pub walk_in: Option<VehicleFields>,
}

/// Body of `POST /v1/gate/check-out`: one of `reservation_id`, `code` and `plate`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckOutRequest {
    /// The gate's lot.
    pub lot_id: String,
    /// `res_…`, also of a walk-in's session.
    pub reservation_id: Option<String>,
    /// The 13 characters as a driver types them.
    pub code: Option<String>,
    /// The plate as read.
    pub plate: Option<PlateFields>,
}

/// A checked [`CheckInRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckInInput {
    /// The gate's lot.
    pub lot: LotId,
    /// Who wants to enter.
    pub entry: Entry,
}

/// Who wants to enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Somebody with a reservation.
    Reservation(ReservationId),
    /// A vehicle whose plate may have one.
    Plate(PlateInput),
    /// A drive-up.
    WalkIn {
        /// The vehicle.
        vehicle: Vehicle,
        /// Its plate, if it was read.
        plate: Option<PlateInput>,
    },
}

/// A checked [`CheckOutRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOutInput {
    /// The gate's lot.
    pub lot: LotId,
    /// Who wants to leave.
    pub exit: Exit,
}

/// Who wants to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// A session that is known.
    Reservation(ReservationId),
    /// A vehicle whose plate tells the session.
    Plate(PlateInput),
}

/// Answer of `POST /v1/gate/check-out`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitView {
    /// The stay.
    pub reservation: ReservationView,
    /// What the stay costs, with its lines (P18).
    pub price: PriceView,
    /// What this exit gives back.
    pub refund: AmountView,
    /// What is still to be paid; the barrier opens all the same (G1).
    pub balance_due: AmountView,
    /// The charge of a saved card that this exit asked for, if its user wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<String>,
}

impl CheckInRequest {
    /// The input, or everything wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<CheckInInput, Problem> {
        let mut errors = FieldErrors::new();
        let lot = errors.parse("/lot_id", &self.lot_id);
        let plate = self.plate.and_then(|plate| plate.check("/plate", &mut errors));
        let reservation = reservation(self.reservation_id, self.code, &mut errors);
        let walk_in = self.walk_in.and_then(|vehicle| vehicle.check("/walk_in", &mut errors));
        let entry = match (reservation, walk_in, plate) {
            (Some(id), None, None) => Some(Entry::Reservation(id)),
            (None, None, Some(plate)) => Some(Entry::Plate(plate)),
            (None, Some(vehicle), plate) => Some(Entry::WalkIn { vehicle, plate }),
            (None, None, None) => nothing_given(&mut errors, "give reservation_id, code, plate or walk_in"),
            (Some(_), _, _) => too_much_given(&mut errors),
        };
        errors.finish(lot.zip(entry).map(|(lot, entry)| CheckInInput { lot, entry }))
    }
}

impl CheckOutRequest {
    /// The input, or everything wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<CheckOutInput, Problem> {
        let mut errors = FieldErrors::new();
        let lot = errors.parse("/lot_id", &self.lot_id);
        let plate = self.plate.and_then(|plate| plate.check("/plate", &mut errors));
        let reservation = reservation(self.reservation_id, self.code, &mut errors);
        let exit = match (reservation, plate) {
            (Some(id), None) => Some(Exit::Reservation(id)),
            (None, Some(plate)) => Some(Exit::Plate(plate)),
            (None, None) => nothing_given(&mut errors, "give reservation_id, code or plate"),
            (Some(_), Some(_)) => too_much_given(&mut errors),
        };
        errors.finish(lot.zip(exit).map(|(lot, exit)| CheckOutInput { lot, exit }))
    }
}

fn reservation(id: Option<String>, code: Option<String>, errors: &mut FieldErrors) -> Option<ReservationId> {
    match (id, code) {
        (Some(id), None) => errors.parse("/reservation_id", &id),
        (None, Some(code)) => errors.take("/code", ReservationId::from_code(&code)),
        (None, None) => None,
        (Some(_), Some(_)) => too_much_given(errors),
    }
}

/// Says that nothing was given, unless what was given is already known to be wrong.
fn nothing_given<T>(errors: &mut FieldErrors, detail: &str) -> Option<T> {
    if errors.is_empty() {
        errors.push("", FieldCode::Required, detail);
    }
    None
}

fn too_much_given<T>(errors: &mut FieldErrors) -> Option<T> {
    errors.push("", FieldCode::NotAllowed, "give one of reservation_id, code and plate");
    None
}

#[cfg(test)]
mod tests {
    use http::Request;
    use serde_json::{Value, json};

    use super::*;
    use crate::request::read_json;

    fn check_in(body: &Value) -> Result<Entry, Vec<(String, &'static str)>> {
        let request = Request::new(body.to_string().into_bytes());
        let read = read_json::<CheckInRequest>(&request).and_then(CheckInRequest::check);
        read.map(|input| input.entry)
            .map_err(|problem| problem.errors().iter().map(|e| (e.pointer.clone(), e.code)).collect())
    }

    #[test]
    fn each_way_to_enter_is_understood() {
        let id = ReservationId::from_bits(1).unwrap();
        let body = json!({"lot_id": "l", "reservation_id": "res_0000000000001"});
        assert_eq!(check_in(&body), Ok(Entry::Reservation(id)));
        let body = json!({"lot_id": "l", "code": "ooooo-ooooo-ool"});
        assert_eq!(check_in(&body), Ok(Entry::Reservation(id)));
        let body = json!({"lot_id": "l", "plate": {"text": "B NO 1234"}});
        assert!(matches!(check_in(&body), Ok(Entry::Plate(_))));
        let body = json!({"lot_id": "l", "walk_in": {"class": "compact"}, "plate": {"text": "B NO 1234"}});
        assert!(matches!(check_in(&body), Ok(Entry::WalkIn { plate: Some(_), .. })));
    }

    #[test]
    fn ambiguous_and_empty_requests_are_refused() {
        let cases = [
            (json!({"lot_id": "l"}), "", "required"),
            (json!({"lot_id": "l", "code": "x"}), "/code", "invalid"),
            (json!({"lot_id": "l", "code": "0000000000001", "plate": {"text": "AB 1"}}), "", "not_allowed"),
            (json!({"lot_id": "l", "code": "0000000000001", "walk_in": {"class": "large"}}), "", "not_allowed"),
            (json!({"lot_id": "l", "code": "0000000000001", "reservation_id": "res_0000000000001"}), "", "not_allowed"),
        ];
        for (body, pointer, code) in cases {
            assert_eq!(check_in(&body), Err(vec![(pointer.to_owned(), code)]), "{body}");
        }
    }

    #[test]
    fn leaving_names_one_session() {
        let check = |body: Value| {
            let read = read_json::<CheckOutRequest>(&Request::new(body.to_string().into_bytes()));
            read.and_then(CheckOutRequest::check).map(|input| input.exit).map_err(|problem| problem.code())
        };
        let id = ReservationId::from_bits(1).unwrap();
        assert_eq!(check(json!({"lot_id": "l", "code": "0000000000001"})), Ok(Exit::Reservation(id)));
        assert!(check(json!({"lot_id": "l"})).is_err());
        assert!(check(json!({"lot_id": "l", "walk_in": {"class": "large"}})).is_err());
    }
}
