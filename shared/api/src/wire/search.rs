//! What is free: in one lot, and around a point.

use serde::{Deserialize, Serialize};

use crate::wire::lot::PositionFields;
use crate::wire::price::PriceView;
use crate::wire::spot::SpotView;

/// Answer of `GET /v1/spots/available`: what is free in one lot for a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvailabilityView {
    /// The lot.
    pub lot_id: String,
    /// The class that was asked for.
    pub vehicle_class: String,
    /// Start of the window.
    pub start_time: String,
    /// First instant after it.
    pub end_time: String,
    /// How many fitting spots are free, larger ones included.
    pub free_spots: usize,
    /// What the window costs: the same on every spot.
    pub price: PriceView,
    /// The best of them, best fit first, at most `limit`; empty where a right names no spot.
    pub items: Vec<SpotView>,
}

/// Answer of `GET /v1/lots`: lots around a point, nearest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearbyLotsView {
    /// How many lots are within the radius.
    pub total: usize,
    /// The nearest of them, at most `limit`.
    pub items: Vec<NearbyLotView>,
}

/// A lot near a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearbyLotView {
    /// The lot.
    pub lot_id: String,
    /// Name on the sign.
    pub name: String,
    /// Where it is.
    pub position: PositionFields,
    /// Metres as the crow flies.
    pub distance_m: u32,
    /// Spots of the class or larger that are free in every hour of the window, as last counted: a hint, not a promise.
    pub free_spots: u16,
}
