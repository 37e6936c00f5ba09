//! What a failed command tells the client: one place, so that every function says it alike.

use parkade_api::wire::refused_window;
use parkade_api::{Code, FieldCode, FieldErrors, Problem};
use parkade_domain::decide::Refusal;
use parkade_domain::lot::DirectoryError;
use parkade_domain::tariff::TariffError;
use parkade_store::{CommandError, LotError, StoreError};

/// The problem of a store that failed: 503 if asking again helps, else 500.
#[must_use]
pub fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable { .. } => Problem::new(Code::StoreUnavailable).cause(error),
        StoreError::Corrupt { .. } | StoreError::Refused { .. } => Problem::internal(error),
    }
}

/// The problem of a command on a reservation that was not carried out.
#[must_use]
pub fn command_problem(error: CommandError) -> Problem {
    match error {
        CommandError::NotFound => Problem::new(Code::ReservationNotFound),
        CommandError::KeyReused => Problem::new(Code::IdempotencyKeyReused),
        CommandError::VersionMismatch { current } => Problem::new(Code::VersionMismatch).member("version", current),
        CommandError::Refused(refusal) => refusal_problem(refusal),
        CommandError::UnknownLot => Problem::new(Code::LotNotFound),
        CommandError::UnknownSpot => Problem::new(Code::SpotNotFound),
        CommandError::FitsNowhere => Problem::new(Code::VehicleFitsNowhere),
        CommandError::SpotTaken => Problem::new(Code::SpotNotAvailable),
        CommandError::NoSpot => Problem::new(Code::NoSpotAvailable),
        CommandError::Store(error) => store_problem(&error),
    }
}

/// The problem of a rule that forbids a command.
#[must_use]
pub fn refusal_problem(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::State(conflict) => conflict.into(),
        Refusal::WasFree => Problem::new(Code::BookingWasFree),
        Refusal::QuoteExpired => Problem::new(Code::QuoteExpired),
        Refusal::HoldExpired => Problem::new(Code::HoldExpired),
        Refusal::AlreadyStarted => Problem::new(Code::AlreadyStarted),
        Refusal::Ended => Problem::new(Code::StayEnded),
        Refusal::TooEarly { opens_at } => Problem::new(Code::TooEarly).member("opens_at", opens_at.to_string()),
        Refusal::Window(refusal) => refused_window(refusal),
        Refusal::Series => Problem::new(Code::SeriesUnchangeable),
        Refusal::TooManyDays => Problem::at(
            Code::InvalidFields,
            "",
            "the booking touches more days than one reservation can; book fewer occurrences",
        ),
        Refusal::OccurrencesOverlap => {
            let mut errors = FieldErrors::new();
            errors.push("/recurrence", FieldCode::NotAllowed, refusal.to_string());
            errors.into_result().err().unwrap_or_else(|| Code::InvalidFields.into())
        }
        Refusal::Tariff(error) => tariff_problem(error),
        Refusal::NothingToPay => Problem::new(Code::NothingToPay),
        Refusal::TooLittle { due_minor } => Problem::new(Code::TooLittleCash).member("due_minor", due_minor),
        Refusal::AlreadyValidated => Problem::new(Code::AlreadyValidated),
        Refusal::PlateNeeded => Problem::new(Code::PlateNeeded),
        Refusal::TooManyValidations => {
            let mut errors = FieldErrors::new();
            errors.push("/validation", FieldCode::TooMany, refusal.to_string());
            errors.into_result().err().unwrap_or_else(|| Code::InvalidFields.into())
        }
        Refusal::NoViolationFee(_) => Problem::new(Code::ViolationNotPriced),
        Refusal::AlreadyRecorded(_) => Problem::new(Code::ViolationRecorded),
        Refusal::NoSuchViolation => Problem::new(Code::ViolationNotFound),
        Refusal::GoodwillGiven => Problem::new(Code::GoodwillGiven),
        Refusal::MoreThanOwed { owed_minor, currency } => {
            Problem::new(Code::MoreThanOwed).member("owed_minor", owed_minor).member("currency", currency.code())
        }
        Refusal::TooManyAdjustments => Problem::new(Code::TooManyAdjustments),
        Refusal::NotInTill => Problem::new(Code::NotInTill),
        Refusal::PaymentInProgress(id) => Problem::new(Code::PaymentInProgress).member("payment_id", id.to_string()),
        Refusal::AmountChanged { due_minor, currency } => {
            Problem::new(Code::AmountChanged).member("due_minor", due_minor).member("currency", currency.code())
        }
        Refusal::TooManyPayments => Problem::new(Code::PaymentsExhausted),
        // Sweeps ask for what is due, and stored payments add up: anything else is a defect.
        refusal @ (Refusal::NotDue(_) | Refusal::Refund(_)) => Problem::internal(&refusal),
    }
}

/// The problem of a stay that the tariff cannot price.
#[must_use]
pub fn tariff_problem(error: TariffError) -> Problem {
    match error {
        TariffError::NoRate { .. } | TariffError::TooLong | TariffError::Unavailable | TariffError::MaxStay { .. } => {
            Problem::new(Code::NotPriced).detail(error.to_string())
        }
        TariffError::UnknownValidation { .. } => Problem::new(Code::ValidationNotFound),
        TariffError::ValidationUsedUp { .. } => Problem::new(Code::ValidationUsedUp),
        TariffError::Overflow | TariffError::CurrencyMismatch | TariffError::OtherVersion | TariffError::Unreadable => {
            Problem::internal(&error)
        }
    }
}

/// The problem of a lot that could not be stored.
#[must_use]
pub fn lot_problem(error: LotError) -> Problem {
    let mut errors = FieldErrors::new();
    match error {
        LotError::UnknownLot => return Problem::new(Code::LotNotFound),
        LotError::VersionMismatch { current } => {
            return Problem::new(Code::VersionMismatch).member("version", current);
        }
        LotError::Immutable { field } => {
            errors.push(format!("/{field}"), FieldCode::NotAllowed, "cannot change once the lot exists");
        }
        LotError::TariffRequired => errors.push("/tariff", FieldCode::Required, "a new lot needs a tariff"),
        LotError::UnknownTariff => return Problem::new(Code::TariffNotFound),
        LotError::TooManyUpcoming => return Problem::new(Code::TooManyPublications),
        LotError::InForce => return Problem::new(Code::TariffInForce),
        LotError::Directory(error) => {
            let code = match &error {
                DirectoryError::Duplicate(_) => FieldCode::Duplicate,
                DirectoryError::TooMany => FieldCode::TooMany,
            };
            errors.push("/spots", code, error.to_string());
        }
        LotError::Store(error) => return store_problem(&error),
    }
    errors.into_result().err().unwrap_or_else(|| Code::InvalidFields.into())
}

#[cfg(test)]
mod tests {
    use parkade_domain::reservation::{Command, Status};
    use parkade_domain::time::Minute;

    use super::*;

    #[test]
    fn each_way_a_command_fails_has_its_status() {
        let unavailable = || StoreError::Unavailable { operation: "Query", cause: "timed out".to_owned() };
        let corrupt = StoreError::Corrupt { key: "R#1/A".to_owned(), why: "no status".to_owned() };
        let conflict = Status::Completed.after(Command::Cancel).unwrap_err();
        let cases = [
            (CommandError::NotFound, 404),
            (CommandError::KeyReused, 422),
            (CommandError::VersionMismatch { current: 3 }, 412),
            (CommandError::SpotTaken, 409),
            (CommandError::NoSpot, 409),
            (CommandError::FitsNowhere, 422),
            (CommandError::Refused(Refusal::State(conflict)), 409),
            (CommandError::Refused(Refusal::HoldExpired), 410),
            (CommandError::Refused(Refusal::TooEarly { opens_at: Minute(0) }), 409),
            (CommandError::Refused(Refusal::NotDue(Minute(0))), 500),
            (CommandError::Store(unavailable()), 503),
            (CommandError::Store(corrupt), 500),
        ];
        for (error, status) in cases {
            let text = error.to_string();
            assert_eq!(command_problem(error).status(), status, "{text}");
        }
        assert_eq!(lot_problem(LotError::Store(unavailable())).status(), 503);
        assert_eq!(lot_problem(LotError::Immutable { field: "currency" }).errors()[0].pointer, "/currency");
    }
}
