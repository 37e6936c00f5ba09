//! The one table of problems. `docs/errors.md` is generated from it; clients match on `code` and nothing else.

use std::fmt::Write as _;

use http::StatusCode;

/// What the registry says about a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Stable name, the last part of the `type` URI.
    pub code: &'static str,
    /// HTTP status.
    pub status: StatusCode,
    /// One clause, the same for every occurrence.
    pub title: &'static str,
    /// Whether the same request can succeed later without being changed.
    pub retryable: bool,
    /// What happened and what the client does about it, for people.
    pub doc: &'static str,
}

macro_rules! problems {
    ($($variant:ident = $code:literal, $status:ident, $title:literal, $retryable:literal, $doc:literal;)+) => {
        /// Every problem the API answers with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $doc] $variant,)+
        }

        impl Code {
            /// Every code, in the order of the document.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The registry's entry.
            #[must_use]
            pub const fn entry(self) -> Entry {
                match self {
                    $(Self::$variant => Entry {
                        code: $code,
                        status: StatusCode::$status,
                        title: $title,
                        retryable: $retryable,
                        doc: $doc,
                    },)+
                }
            }
        }
    };
}

problems! {
    MalformedJson = "malformed_json", BAD_REQUEST, "The body is not JSON", false,
        "The body is not well-formed JSON in UTF-8, or not an object.";
    MissingIdempotencyKey = "missing_idempotency_key", BAD_REQUEST, "The Idempotency-Key header is missing", false,
        "A request that changes something carries an `Idempotency-Key`. Choose a new one per command and keep it for every retry of that command.";
    InvalidIdempotencyKey = "invalid_idempotency_key", BAD_REQUEST, "The Idempotency-Key header is invalid", false,
        "An idempotency key is given once and has 1 to 255 visible ASCII characters.";
    WebhookRefused = "webhook_refused", BAD_REQUEST, "The delivery is not the payment provider's", false,
        "The signature does not fit the body, is older than five minutes, or the body is no event.";
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "Credentials are missing or not accepted", false,
        "Send `Authorization: Bearer <token>` with a valid token.";
    Forbidden = "forbidden", FORBIDDEN, "The caller may not do this", false,
        "The credentials are valid, but not for this role or lot.";
    LotNotFound = "lot_not_found", NOT_FOUND, "There is no such lot", false,
        "The lot does not exist.";
    SpotNotFound = "spot_not_found", NOT_FOUND, "There is no such spot", false,
        "The lot has no spot of this number.";
    ReservationNotFound = "reservation_not_found", NOT_FOUND, "There is no such reservation", false,
        "The reservation does not exist or is not yours.";
    TariffNotFound = "tariff_not_found", NOT_FOUND, "There is no such tariff version", false,
        "The lot has no tariff of this version.";
    PaymentNotFound = "payment_not_found", NOT_FOUND, "There is no such payment", false,
        "The payment does not exist or is not yours.";
    PaymentMethodNotFound = "payment_method_not_found", NOT_FOUND, "There is no such saved card", false,
        "The card or its setup does not exist or is not yours. Save a card first.";
    ReceiptNotFound = "receipt_not_found", NOT_FOUND, "There is no such receipt", false,
        "The receipt does not exist or is not yours. It is issued within seconds after the money moved.";
    ExceptionNotFound = "exception_not_found", NOT_FOUND, "There is no such exception", false,
        "Reconciliation has listed no exception of this id.";
    ValidationNotFound = "validation_not_found", NOT_FOUND, "There is no such validation", false,
        "The tariff of the stay has no validation of this name, or it is another merchant's.";
    ViolationNotFound = "violation_not_found", NOT_FOUND, "There is no such violation", false,
        "The stay has no violation of this number, or it was annulled.";
    TillNotFound = "till_not_found", NOT_FOUND, "There is no such till", false,
        "A till's name has 1 to 64 characters out of letters, digits, `-`, `_` and `.`.";
    RouteNotFound = "route_not_found", NOT_FOUND, "There is no such route", false,
        "No operation has this method and path.";
    PaymentDeclined = "payment_declined", PAYMENT_REQUIRED, "The payment was declined", false,
        "The provider declined the charge. Pay again, with a new idempotency key and another payment method, while the hold lasts.";
    IdempotencyInProgress = "idempotency_in_progress", CONFLICT, "A request with this key is still being carried out", true,
        "Repeat the request after `Retry-After`; it then gets the first request's answer.";
    NoSpotAvailable = "no_spot_available", CONFLICT, "No fitting spot is free", true,
        "Every spot that fits the vehicle is taken at some time of the window. Try another window or lot.";
    SpotNotAvailable = "spot_not_available", CONFLICT, "The spot is not free", true,
        "The named spot is taken or out of service at some time of the window. Leave `spot_id` out to take the best free one.";
    PaymentInProgress = "payment_in_progress", CONFLICT, "A payment is in progress", true,
        "A payment of this reservation has not finished. Read it until it has; a second charge is never started beside it.";
    StateConflict = "state_conflict", CONFLICT, "The state forbids the command", false,
        "`state` is where the reservation stands, `allowed` lists the states in which the command is possible.";
    AlreadyStarted = "already_started", CONFLICT, "The reservation has begun", false,
        "Cancelling, or moving the start, is over once the booked time has begun.";
    StayEnded = "stay_ended", CONFLICT, "The booked time is over", false,
        "The reservation's time has passed.";
    BookingWasFree = "booking_was_free", CONFLICT, "A free booking cannot be changed to one that costs", false,
        "Nobody has paid for the booking. Reserve the other time, pay it, and cancel this one.";
    SeriesUnchangeable = "series_unchangeable", CONFLICT, "A series cannot be modified", false,
        "A recurring reservation can only be cancelled as a whole and reserved anew.";
    PaymentsExhausted = "payments_exhausted", CONFLICT, "The reservation has too many payments", false,
        "A reservation has at most 99 charges and refunds. An operator has to settle the rest.";
    PlateAmbiguous = "plate_ambiguous", CONFLICT, "The plate tells no single stay", false,
        "Several stays of the lot have this plate now. Ask for the code or the reservation id.";
    CardNotEntered = "card_not_entered", CONFLICT, "The card is not entered yet", true,
        "Enter the card with the payment provider's library and the setup's client secret, then ask again.";
    CardRefused = "card_refused", CONFLICT, "The provider does not keep the card", false,
        "The payment provider refuses to keep cards of this user, or this card. Asking again changes nothing; an operator can look into it.";
    TooManyCards = "too_many_cards", CONFLICT, "Too many cards are saved", false,
        "A user keeps at most 10 cards. Remove one first.";
    PlateEnrolled = "plate_enrolled", CONFLICT, "The plate is enrolled by somebody else", false,
        "Another user has enrolled the plate for automatic billing. An operator can settle whose it is.";
    AmountChanged = "amount_changed", CONFLICT, "Another amount is due", false,
        "`due_minor` minor units of `currency` are due now; nothing was charged. Show it to the payer, then pay with a new idempotency key.";
    NothingToPay = "nothing_to_pay", CONFLICT, "Nothing is owed", false,
        "The reservation is paid in full, or the change that was owed has been paid out.";
    AlreadyValidated = "already_validated", CONFLICT, "The stay has this validation already", false,
        "Each validation is given once towards a stay.";
    ValidationUsedUp = "validation_used_up", CONFLICT, "The vehicle has used the validation up", false,
        "The tariff says how often a vehicle may use it within how many days.";
    PlateNeeded = "plate_needed", CONFLICT, "The vehicle's plate is unknown", false,
        "The validation is limited per vehicle, so the stay must know its plate.";
    ViolationNotPriced = "violation_not_priced", CONFLICT, "The tariff has no price for the violation", false,
        "The tariff that the stay was booked under says nothing about it, so nobody has agreed to pay for it.";
    ViolationRecorded = "violation_recorded", CONFLICT, "The violation is recorded already", false,
        "Each kind of violation is recorded once for a visit. Annul the first one if it was wrong.";
    GoodwillGiven = "goodwill_given", CONFLICT, "Goodwill was given since", false,
        "What was given after the violation may have been for it. Give the rest as goodwill as well, instead of annulling it.";
    MoreThanOwed = "more_than_owed", CONFLICT, "More is to be given than is owed", false,
        "`owed_minor` minor units of `currency` are owed for the stay; give at most that.";
    TooManyAdjustments = "too_many_adjustments", CONFLICT, "The stay has too many adjustments", false,
        "A stay has at most 5 violations and refunds out of goodwill, annulled ones included.";
    NotInTill = "not_in_till", CONFLICT, "The till does not hold so much", true,
        "By the payments and the last count the till holds less than is to be paid out. Use another till, or count this one.";
    TariffInForce = "tariff_in_force", CONFLICT, "The tariff is in force", false,
        "A tariff that is in force cannot be taken back. Publish another version instead.";
    TooManyPublications = "too_many_publications", CONFLICT, "Too many tariffs wait to come into force", false,
        "A lot has at most 16 tariffs with a later instant. Withdraw one first.";
    ExceptionDecided = "exception_decided", CONFLICT, "The exception has been decided", false,
        "Somebody has decided it otherwise, or it has explained itself meanwhile. Read it again.";
    TooEarly = "too_early", CONFLICT, "It is too early to enter", true,
        "The reservation has not begun and the spot is not free yet. `opens_at` says when entry becomes possible.";
    HoldExpired = "hold_expired", GONE, "The hold has expired", false,
        "The hold ended before it was paid, and the spot is free for others. Reserve again with a new idempotency key.";
    QuoteExpired = "quote_expired", GONE, "The quote has expired", false,
        "A quote's price holds until its `expires_at`. Ask for a new quote and reserve with that.";
    VersionMismatch = "version_mismatch", PRECONDITION_FAILED, "The resource has changed", false,
        "`If-Match` names another version than the current one. Read the resource again and decide anew.";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large", false,
        "A body has at most 1 MiB (1,048,576 bytes).";
    InvalidFields = "invalid_fields", UNPROCESSABLE_ENTITY, "The request has invalid fields", false,
        "`errors` lists what is wrong, each with a JSON pointer into the body (`/query/<name>` for a query parameter).";
    WindowInPast = "window_in_past", UNPROCESSABLE_ENTITY, "The window begins in the past", false,
        "`start_time` is before the present time.";
    WindowReversed = "window_reversed", UNPROCESSABLE_ENTITY, "The window ends before it begins", false,
        "`end_time` is after `start_time`; a window contains its start and not its end.";
    WindowTooShort = "window_too_short", UNPROCESSABLE_ENTITY, "The window is too short", false,
        "The lot has a minimum length of stay.";
    WindowTooLong = "window_too_long", UNPROCESSABLE_ENTITY, "The window is too long", false,
        "The lot has a maximum length of stay.";
    WindowOffGrid = "window_off_grid", UNPROCESSABLE_ENTITY, "The window is off the lot's grid", false,
        "Start and end are multiples of the lot's grid, by default quarters of an hour, without seconds.";
    WindowTooSoon = "window_too_soon", UNPROCESSABLE_ENTITY, "The window begins too soon", false,
        "The lot wants to know of a reservation some time before it begins.";
    WindowBeyondHorizon = "window_beyond_horizon", UNPROCESSABLE_ENTITY, "The window is too far away", false,
        "The lot takes reservations only up to its booking horizon.";
    LocalTimeGap = "local_time_gap", UNPROCESSABLE_ENTITY, "The local time does not exist", false,
        "The lot's clocks are set forward over this time. Give another time, or one with a UTC offset.";
    VehicleFitsNowhere = "vehicle_fits_nowhere", UNPROCESSABLE_ENTITY, "The vehicle fits no spot of the lot", false,
        "The lot has no spot that is large enough and permitted for the vehicle, free or not (or the named one is not).";
    NotPriced = "not_priced", UNPROCESSABLE_ENTITY, "The tariff does not price the stay", false,
        "The lot's tariff has no rate for the vehicle class, or the stay is longer than any price.";
    TooLittleCash = "too_little_cash", UNPROCESSABLE_ENTITY, "Less cash than is taken", false,
        "A booking is paid in full, `due_minor` is what it costs; of a stay any part is taken, but not nothing.";
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The idempotency key was used for another request", false,
        "The same key came with another request before. Use a new key for a new command.";
    ProviderUnavailable = "provider_unavailable", SERVICE_UNAVAILABLE, "The payment provider cannot answer now", true,
        "Repeat the same request, with the same idempotency key, after `Retry-After`.";
    StoreUnavailable = "store_unavailable", SERVICE_UNAVAILABLE, "The service cannot answer now", true,
        "The database did not answer in time or throttles. Repeat the same request, with the same idempotency key, after `Retry-After`.";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong on our side", false,
        "A defect of ours. `instance` identifies the request in our logs.";
}

macro_rules! field_codes {
    ($($variant:ident = $code:literal, $doc:literal;)+) => {
        /// What is wrong with one field.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum FieldCode {
            $(#[doc = $doc] $variant,)+
        }

        impl FieldCode {
            /// Every code, in the order of the document.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Stable name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What it means.
            #[must_use]
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$variant => $doc,)+ }
            }
        }
    };
}

field_codes! {
    Invalid = "invalid", "Not of the expected form: wrong type, unknown or missing field, a number out of its type's range.";
    Required = "required", "Needed here and absent.";
    Unknown = "unknown", "Not a parameter of this operation.";
    NotAllowed = "not_allowed", "Not possible together with the other fields.";
    OutOfRange = "out_of_range", "Outside the range the detail names.";
    TooLong = "too_long", "More characters than allowed.";
    TooMany = "too_many", "More elements than allowed.";
    Duplicate = "duplicate", "Given twice where each must be different.";
    Empty = "empty", "Needs at least one element.";
    UnknownClass = "unknown_class", "Speaks of a vehicle class that has no rate.";
    NotDescending = "not_descending", "Each step must be lower than the one before.";
    TimeMalformed = "time_malformed", "Neither RFC 3339 with an offset nor local as `YYYY-MM-DDTHH:MM`.";
    TimeNotWholeMinute = "time_not_whole_minute", "A time with seconds.";
    TimeZoneUnknown = "time_zone_unknown", "Not a name of the IANA time zone database.";
    WindowReversed = "window_reversed", "Ends before it begins.";
    Malformed = "malformed", "A name that is empty, too long, or has characters that it must not have.";
    CurrencyDigits = "currency_digits", "Not as many digits after the point as the currency has.";
    TwoForms = "two_forms", "The simple and the full form of a tariff at once.";
    OneOf = "one_of", "Exactly one of the named fields is needed.";
    FreeOrCharge = "free_or_charge", "Either free or with a charge, not both and not neither.";
    NotAscending = "not_ascending", "Each step must be higher, longer or later than the one before.";
    Gap = "gap", "Some time or length of stay has no price.";
    Overlap = "overlap", "Two rules of the same priority hold the same time.";
    Unreachable = "unreachable", "A rule that no stay can ever meet.";
    BelowMinimum = "below_minimum", "A maximum below its minimum.";
    CapBelowCap = "cap_below_cap", "A cap of a longer period below that of a shorter one.";
    CapBelowTier = "cap_below_tier", "A cap that cuts off a price of the tiers below it.";
    StepTooLarge = "step_too_large", "A step changes the price by more than the tariff allows in all.";
    Unsupported = "unsupported", "A combination that is not priced.";
    RecurrenceEmpty = "recurrence_empty", "No date of the range is one of the weekdays.";
    RecurrenceTooMany = "recurrence_too_many", "More occurrences than one request may book.";
    CurrencyMismatch = "currency_mismatch", "Another currency than the lot's.";
    QuoteMismatch = "quote_mismatch", "The quote is for another lot, vehicle class, spot or time.";
    CardNumber = "card_number", "Looks like a payment card's number. Card numbers never come here: send the payment provider's token.";
}

/// The text of `docs/errors.md`.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(
        "# Problems\n\n\
        Generated from the registry in `shared/api/src/registry.rs`; `UPDATE=1 cargo test -p parkade-api --test errors_document`\n\
        writes it anew.\n\n\
        Every refusal is an `application/problem+json` object (RFC 9457): `type` (`https://parkade.dev/problems/<code>`),\n\
        `title`, `status`, `detail`, `instance` (`urn:request:<id>`), `code` and, where fields are wrong, `errors` with a\n\
        `pointer`, a `code` and a `detail` each. Match on `code`. *Retryable* means that the same request, with the same\n\
        idempotency key, can succeed later.\n\n\
        | code | status | title | retryable | what to do |\n|---|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let Entry { code, status, title, retryable, doc } = code.entry();
        let retryable = if retryable { "yes" } else { "no" };
        let row = writeln!(text, "| `{code}` | {} | {title} | {retryable} | {doc} |", status.as_u16());
        debug_assert!(row.is_ok(), "writing to a string never fails");
    }
    text.push_str("\n## Codes of single fields\n\n| code | meaning |\n|---|---|\n");
    for code in FieldCode::ALL {
        let row = writeln!(text, "| `{}` | {} |", code.as_str(), code.doc());
        debug_assert!(row.is_ok(), "writing to a string never fails");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_unique_and_snake_case() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.entry().code).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        let fields: BTreeSet<_> = FieldCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(fields.len(), FieldCode::ALL.len());
        for code in codes.into_iter().chain(fields) {
            assert!(code.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{code}");
        }
    }

    #[test]
    fn every_entry_is_a_refusal_with_a_table_row_of_one_line() {
        for code in Code::ALL {
            let Entry { status, title, doc, .. } = code.entry();
            assert!(status.is_client_error() || status.is_server_error(), "{code:?}");
            assert!(!title.ends_with('.') && !title.contains(['|', '\n']), "{code:?}");
            assert!(doc.ends_with('.') && !doc.contains(['|', '\n']), "{code:?}");
        }
    }
}
