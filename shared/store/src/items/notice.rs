//! `N#<event id>` / `A`: what is known of the message that an event causes. It holds no text and no contact: a message is made of the
//! records when it is sent.

use parkade_domain::ids::{ReservationId, SpotIndex};
use parkade_domain::notice::{Occasion, Placement};
use parkade_domain::time::Minute;

use crate::attributes::{Item, Reader, SCHEMA, bytes, keyed, number, text};
use crate::error::StoreError;
use crate::items::reservation::{pack_windows, unpack_windows};
use crate::keys;
use crate::notices::WaitingNotice;

const SCHEMA_VERSION: i64 = 1;
/// Who sends or has sent it; absent while it waits.
pub(crate) const CLAIM: &str = "by";

/// A message that somebody sends or has sent.
pub(crate) fn claimed(event_id: &str, claim: &str, expires_at_s: i64) -> Item {
    let mut item = keyed(keys::notice_partition(event_id), keys::RESERVATION_SORT);
    item.insert(SCHEMA.to_owned(), number(SCHEMA_VERSION));
    item.insert(CLAIM.to_owned(), text(claim));
    item.insert(keys::TTL.to_owned(), number(expires_at_s));
    item
}

/// A message that waits.
pub(crate) fn waiting(notice: &WaitingNotice, expires_at_s: i64) -> Item {
    let mut item = keyed(keys::notice_partition(&notice.event_id), keys::RESERVATION_SORT);
    let shard = keys::due_shard(notice.reservation);
    let hour = notice.due_at_s.div_euclid(3_600);
    item.extend([
        (SCHEMA.to_owned(), number(SCHEMA_VERSION)),
        (keys::TTL.to_owned(), number(expires_at_s)),
        ("r".to_owned(), text(notice.reservation.code())),
        ("si".to_owned(), number(notice.since_s)),
        ("du".to_owned(), text(keys::due_partition(keys::Due::Notice, hour, shard))),
        ("ds".to_owned(), number(notice.due_at_s)),
    ]);
    write_occasion(&mut item, &notice.occasion);
    item
}

/// Reads a message that waits; `None` if it was claimed since the index was read.
pub(crate) fn read_waiting(item: &Item) -> Result<Option<WaitingNotice>, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    if reader.text_maybe(CLAIM).is_some() {
        return Ok(None);
    }
    Ok(Some(WaitingNotice {
        event_id: reader.parsed(keys::PK, |pk| pk.strip_prefix("N#").map(str::to_owned))?,
        reservation: reader.parsed("r", |code| ReservationId::from_code(code).ok())?,
        occasion: read_occasion(&reader)?,
        since_s: reader.number("si")?,
        due_at_s: reader.number("ds")?,
    }))
}

fn write_occasion(item: &mut Item, occasion: &Occasion) {
    let mut put = |name: &str, value| drop(item.insert(name.to_owned(), value));
    let kind = match occasion {
        Occasion::Confirmed => "confirmed",
        Occasion::Moved { from, to } => {
            put("w", bytes(pack_windows(&[from.window, to.window])));
            put("s1", number(from.spot.0));
            put("s2", number(to.spot.0));
            "moved"
        }
        Occasion::NotCome => "not_come",
        Occasion::PaymentFailed(payment) => {
            put("n", number(*payment));
            "payment_failed"
        }
        Occasion::Refunded(payment) => {
            put("n", number(*payment));
            "refunded"
        }
        Occasion::ReceiptIssued(receipt) => {
            put("rc", text(receipt.as_str()));
            "receipt_issued"
        }
        Occasion::Fined(violation) => {
            put("n", number(*violation));
            "fined"
        }
        Occasion::Annulled(violation) => {
            put("n", number(*violation));
            "annulled"
        }
        Occasion::StartsSoon(start) => {
            put("at", number(start.0));
            "starts_soon"
        }
        Occasion::EndsSoon(end) => {
            put("at", number(end.0));
            "ends_soon"
        }
    };
    put("oc", text(kind));
}

fn read_occasion(reader: &Reader<'_>) -> Result<Occasion, StoreError> {
    Ok(match reader.text("oc")? {
        "confirmed" => Occasion::Confirmed,
        "moved" => {
            let windows = unpack_windows(reader.bytes("w")?);
            let Some([from, to]) = windows.as_deref() else { return Err(reader.corrupt("w is not two windows")) };
            let spot = |name| reader.number(name).map(SpotIndex);
            Occasion::Moved {
                from: Placement { window: *from, spot: spot("s1")? },
                to: Placement { window: *to, spot: spot("s2")? },
            }
        }
        "not_come" => Occasion::NotCome,
        "payment_failed" => Occasion::PaymentFailed(reader.number("n")?),
        "refunded" => Occasion::Refunded(reader.number("n")?),
        "receipt_issued" => Occasion::ReceiptIssued(reader.text("rc")?.to_owned()),
        "fined" => Occasion::Fined(reader.number("n")?),
        "annulled" => Occasion::Annulled(reader.number("n")?),
        "starts_soon" => Occasion::StartsSoon(Minute(reader.number("at")?)),
        "ends_soon" => Occasion::EndsSoon(Minute(reader.number("at")?)),
        other => return Err(reader.corrupt(format!("occasion {other} is unknown"))),
    })
}

#[cfg(test)]
mod tests {
    use parkade_domain::ids::Claimant;
    use parkade_domain::time::Window;

    use super::*;

    #[test]
    fn a_message_that_waits_is_read_as_it_was_written_and_a_claimed_one_is_none() {
        let place =
            |end, spot| Placement { window: Window::new(Minute(10), Minute(end)).unwrap(), spot: SpotIndex(spot) };
        let occasions = [
            Occasion::Confirmed,
            Occasion::Moved { from: place(20, 1), to: place(30, 2) },
            Occasion::NotCome,
            Occasion::PaymentFailed(3),
            Occasion::Refunded(4),
            Occasion::ReceiptIssued("rcp_1".to_owned()),
            Occasion::Fined(2),
            Occasion::Annulled(2),
            Occasion::StartsSoon(Minute(5)),
            Occasion::EndsSoon(Minute(6)),
        ];
        for occasion in occasions {
            let notice = WaitingNotice {
                event_id: "0000000000001#v2#reservation.modified.v1".to_owned(),
                reservation: ReservationId::new(Claimant::Reservation, 1),
                occasion,
                since_s: 100,
                due_at_s: 7_200,
            };
            let mut item = waiting(&notice, 9);
            assert_eq!(item["du"], text("D#Q#2#01"));
            assert_eq!(read_waiting(&item).unwrap().as_ref(), Some(&notice));
            item.insert(CLAIM.to_owned(), text("somebody"));
            assert_eq!(read_waiting(&item).unwrap(), None);
        }
    }
}
