//! Keys of every item, in one place.

use parkade_domain::calendar::TileKey;
use parkade_domain::document::Series;
use parkade_domain::ids::{CalendarVersion, LotId, PaymentId, ReservationId, TariffVersion, TillId, UserId};
use parkade_domain::money::Currency;
use parkade_domain::reservation::DueKind;
use parkade_domain::time::Minute;
use parkade_ledger::{Book, Month};

use crate::reconciliation::Confirmation;

/// Partition key.
pub(crate) const PK: &str = "pk";
/// Sort key.
pub(crate) const SK: &str = "sk";
/// Time to live, epoch seconds: housekeeping only, never part of a decision (I4).
pub(crate) const TTL: &str = "x";

/// Index of reservations by user.
pub(crate) const BY_OWNER: &str = "by-owner";
/// Index of reservations by lot and plate.
pub(crate) const BY_PLATE: &str = "by-plate";
/// Index of the stays of a lot that ended, by when.
pub(crate) const BY_EXIT: &str = "by-exit";
/// Index of what a sweep has to do.
pub(crate) const DUE: &str = "due";

/// Partitions per hour and kind of the due index: 16 × 1,000 writes a second are far above one lot's traffic.
pub(crate) const DUE_SHARDS: u64 = 16;

pub(crate) fn calendar_partition(lot: &LotId, group: u16) -> String {
    format!("{lot}#{group}")
}

pub(crate) fn calendar_sort(key: TileKey) -> String {
    format!("{:05}#{:04}", key.page.0, key.tile.0)
}

pub(crate) fn lot_partition(lot: &LotId) -> String {
    format!("L#{lot}")
}

pub(crate) const LOT_META: &str = "META";
pub(crate) const LOT_DIRECTORY: &str = "DIR";

pub(crate) fn tariff_sort(version: TariffVersion) -> String {
    format!("TARIFF#{:08}", version.0)
}

pub(crate) fn lot_calendar_sort(version: CalendarVersion) -> String {
    format!("CALENDAR#{:08}", version.0)
}

/// The cash that a till should hold.
pub(crate) fn till_sort(till: &TillId) -> String {
    format!("TILL#{till}")
}

pub(crate) const COUNT_PREFIX: &str = "COUNT#";

/// The counts of one till.
pub(crate) fn counts_prefix(till: &TillId) -> String {
    format!("{COUNT_PREFIX}{till}#")
}

pub(crate) fn count_sort(till: &TillId, number: u32) -> String {
    format!("{}{number:010}", counts_prefix(till))
}

pub(crate) fn reservation_partition(id: ReservationId) -> String {
    format!("R#{}", id.code())
}

pub(crate) const RESERVATION_SORT: &str = "A";

pub(crate) fn payment_sort(number: u8) -> String {
    format!("P#{number:02}")
}

pub(crate) fn payment_key(id: PaymentId) -> (String, String) {
    (reservation_partition(id.reservation), payment_sort(id.number))
}

/// What a reservation knows of its documents, in the order of their issue.
pub(crate) const ENTRY_PREFIX: &str = "C#";

pub(crate) fn document_entry_sort(position: u8) -> String {
    format!("{ENTRY_PREFIX}{position:03}")
}

/// The documents of a lot and a year, by their number.
pub(crate) fn series_partition(series: &Series) -> String {
    format!("RCP#{}#{}", series.lot, series.year)
}

pub(crate) fn serial_sort(serial: u32) -> String {
    format!("{serial:010}")
}

pub(crate) fn owner_partition(user: &UserId) -> String {
    format!("U#{user}")
}

pub(crate) const PAYER: &str = "PAYER";
pub(crate) const CARD_PREFIX: &str = "CARD#";

pub(crate) fn card_sort(method: &str) -> String {
    format!("{CARD_PREFIX}{method}")
}

pub(crate) const WALLET_PREFIX: &str = "WALLET#";

/// A user's credit in one currency.
pub(crate) fn wallet_sort(currency: Currency) -> String {
    format!("{WALLET_PREFIX}{currency}")
}

/// Of a plate that is enrolled for automatic billing.
pub(crate) fn enrolled_partition(index: &[u8; 16]) -> String {
    format!("PLATE#{}", hex(index))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a vehicle has used in a lot.
pub(crate) fn vehicle_partition(lot: &LotId, index: &[u8; 16]) -> String {
    format!("V#{lot}#{}", hex(index))
}

/// Sorts a user's reservations by start; the id makes it unique, so a cursor never skips one.
pub(crate) fn owner_sort(start: Minute, id: ReservationId) -> String {
    format!("{:010}#{}", start.0, id.code())
}

pub(crate) fn plate_partition(lot: &LotId, index: &[u8; 16]) -> String {
    format!("P#{lot}#{}", hex(index))
}

pub(crate) fn plate_sort(start: Minute) -> String {
    format!("{:010}", start.0)
}

/// Days of stays in one partition of [`BY_EXIT`]: a lot of 2,000 spots ends some ten thousand stays in it, far below any limit.
pub(crate) const EXIT_PERIOD_DAYS: i64 = 7;

pub(crate) fn exit_period(left_at: Minute) -> i64 {
    left_at.0.div_euclid(EXIT_PERIOD_DAYS * parkade_domain::time::DAY_MINUTES)
}

pub(crate) fn exit_partition(lot: &LotId, period: i64) -> String {
    format!("E#{lot}#{period}")
}

pub(crate) fn exit_sort(left_at: Minute, id: ReservationId) -> String {
    format!("{:010}#{}", left_at.0, id.code())
}

/// What stands in the due index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// A reservation.
    Reservation(DueKind),
    /// A message that waits for the end of quiet hours.
    Notice,
}

impl From<DueKind> for Due {
    fn from(kind: DueKind) -> Self {
        Self::Reservation(kind)
    }
}

/// One partition per kind, hour and shard: a sweep of one kind never reads another's items.
pub(crate) fn due_partition(due: impl Into<Due>, hour: i64, shard: u64) -> String {
    let kind = match due.into() {
        Due::Reservation(DueKind::HoldExpiry) => "H",
        Due::Reservation(DueKind::NoShow) => "N",
        Due::Reservation(DueKind::Overstay) => "O",
        Due::Notice => "Q",
    };
    format!("D#{kind}#{hour}#{shard:02}")
}

pub(crate) fn due_shard(id: ReservationId) -> u64 {
    id.bits() % DUE_SHARDS
}

/// Side of a cell of the position index, in millionths of a degree (0.1°, about 11 km from south to north).
pub const CELL_MICRODEGREES: i64 = 100_000;

/// The cell of a position, in millionths of a degree.
pub(crate) fn geo_partition(row: i64, column: i64) -> String {
    format!("GEO#{row}#{column}")
}

pub(crate) fn occupancy_partition(lot: &LotId) -> String {
    format!("OCC#{lot}")
}

pub(crate) fn watermark_partition(due: Due) -> String {
    match due {
        Due::Reservation(kind) => format!("SWEEP#{kind:?}"),
        Due::Notice => "SWEEP#Notice".to_owned(),
    }
}

/// How far the due instants of a kind lie behind the times that drivers know, one item per distance that any lot ever had.
pub(crate) fn offset_partition(kind: DueKind) -> String {
    format!("OFFSET#{kind:?}")
}

pub(crate) fn offset_sort(minutes: u32) -> String {
    format!("{minutes:05}")
}

/// The minute up to which drivers were reminded.
pub(crate) const REMINDED: &str = "REMINDED";

/// A user's contacts and wishes, in the user's own partition.
pub(crate) const PREFERENCES_SORT: &str = "NOTIFY";

/// What is known of the message that an event causes.
pub(crate) fn notice_partition(event_id: &str) -> String {
    format!("N#{event_id}")
}

/// Out-of-service intervals of a spot.
pub(crate) fn block_prefix(spot: parkade_domain::ids::SpotIndex) -> String {
    format!("OOS#{:05}#", spot.0)
}

pub(crate) fn block_sort(spot: parkade_domain::ids::SpotIndex, id: ReservationId) -> String {
    format!("{}{}", block_prefix(spot), id.code())
}

/// The hash chain of a book's month.
pub(crate) fn chain_partition(book: &Book, month: Month) -> String {
    format!("L#{book}#{month}")
}

/// An entry by its id, so that it cannot be sealed twice.
pub(crate) fn sealed_sort(id: &str) -> String {
    format!("{SEALED}{id}")
}

pub(crate) const SEALED: &str = "E#";

/// The entries that were sealed together, by the number of the first: two writers who both plan for one place cannot both have it.
pub(crate) fn batch_sort(first: u64) -> String {
    format!("{BATCH}{first:012}")
}

pub(crate) const BATCH: &str = "S#";

/// The books that have entries in a month.
pub(crate) fn books_partition(month: Month) -> String {
    format!("BOOKS#{month}")
}

/// What nobody could explain: few, so one partition holds them all.
pub(crate) const EXCEPTIONS: &str = "X";

/// How far reconciliation has come.
pub(crate) const RECONCILED: &str = "RECONCILED";

/// That the provider's account has a payment's money.
pub(crate) fn confirmation(of: &Confirmation) -> (String, String) {
    let back = if of.came_back { "#back" } else { "" };
    (format!("M#{}", of.payment.reservation.code()), format!("P#{:02}{back}", of.payment.number))
}
