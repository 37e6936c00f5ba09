//! What goes over the wire: requests read with limits, answers, problems, and the types of both.
//!
//! This crate promises: one registry of problems, request types that refuse unknown fields, errors that point to the field.
//! It refuses to know: storage, decisions, the environment. Wire types are never domain types; explicit conversions join them.

pub mod answer;
pub mod card;
pub mod fields;
pub mod negotiation;
pub mod problem;
pub mod query;
pub mod registry;
pub mod request;
pub mod wire;

pub use answer::{Answer, respond, respond_to};
pub use fields::{FieldError, FieldErrors};
pub use negotiation::Format;
pub use problem::{Problem, chain};
pub use query::{Query, cursor, read_cursor};
pub use registry::{Code, FieldCode};
pub use request::{PathParameters, RequestId, idempotency_key, if_match_version, read_json};
pub use request::{path_lot, path_payment, path_receipt, path_reservation, path_text, path_user};
