//! What a user has paid and got back, without an index of its own: payments follow their reservations.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use parkade_domain::ids::{PAYMENTS_PER_RESERVATION_MAX, ReservationId, UserId};
use parkade_domain::payment::Payment;
use parkade_domain::time::Minute;

use crate::attributes::{Item, Reader, text};
use crate::error::{StoreError, classify};
use crate::items::payment as payment_item;
use crate::{Listing, Store, keys};

/// Reservations whose payments one page looks at: of a user who books and never pays, a page may be short or empty and still have a next.
const RESERVATIONS_PER_PAGE_MAX: usize = 100;
/// Queries at once.
const PARALLEL: usize = 10;

/// A payment's place among a user's: those that come after it are earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    start: Minute,
    reservation: ReservationId,
    /// Of this reservation, payments below this number are still to come.
    below: u8,
}

impl Position {
    fn text(self) -> String {
        format!("{}#{:02}", keys::owner_sort(self.start, self.reservation), self.below)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('#');
        let start = Minute(parts.next()?.parse().ok()?);
        let reservation = ReservationId::from_code(parts.next()?).ok()?;
        let below = parts.next()?.parse().ok()?;
        let position = Self { start, reservation, below };
        (position.text() == text).then_some(position)
    }
}

/// Whether a text is a position of [`Store::payments_of`].
#[must_use]
pub fn is_payment_position(text: &str) -> bool {
    Position::parse(text).is_some()
}

impl Store {
    /// A user's payments: those of the reservation with the latest start first, and of one reservation the newest first. `after` is a
    /// [`Listing::next`] of an earlier page. Reads keys of the index, half a unit for some forty reservations, and half a unit for each
    /// reservation on the page; what a reservation has become since is not read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn payments_of(
        &self,
        user: &UserId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listing<Payment>, StoreError> {
        let after = after.and_then(Position::parse);
        let mut reservations = self.stays_of(user, after).await?;
        // One more than a page looks at tells whether there are more.
        let more = (reservations.len() > RESERVATIONS_PER_PAGE_MAX).then(|| reservations.pop()).flatten();
        let mut found: Vec<(Position, Payment)> = Vec::new();
        let mut pages = stream::iter(reservations).map(|stay| self.payments_below(stay)).buffered(PARALLEL);
        while let Some(payments) = pages.try_next().await? {
            found.extend(payments);
            if found.len() > limit {
                break;
            }
        }
        let next = match found.get(limit.saturating_sub(1)) {
            Some((last, _)) if found.len() > limit => Some(*last),
            _ => more,
        };
        found.truncate(limit);
        Ok(Listing { items: found.into_iter().map(|(_, payment)| payment).collect(), next: next.map(Position::text) })
    }

    /// A user's reservations from `from` on, each as the position before its newest payment.
    async fn stays_of(&self, user: &UserId, from: Option<Position>) -> Result<Vec<Position>, StoreError> {
        // "~" sorts after every minute.
        let first = from.map_or_else(|| "~".to_owned(), |from| keys::owner_sort(from.start, from.reservation));
        let query = self
            .client
            .query()
            .table_name(&self.tables.records)
            .index_name(keys::BY_OWNER)
            .key_condition_expression("u = :u AND us <= :first")
            .expression_attribute_values(":u", text(keys::owner_partition(user)))
            .expression_attribute_values(":first", text(first))
            .scan_index_forward(false)
            .limit(i32::try_from(RESERVATIONS_PER_PAGE_MAX + 1).unwrap_or(i32::MAX));
        let answer = query.send().await.map_err(|error| classify("Query", &error))?;
        let below = PAYMENTS_PER_RESERVATION_MAX + 1;
        let position = |item: &Item| {
            let sort = |us: &str| Position::parse(&format!("{us}#{below}"));
            let stay = Reader(item).parsed("us", sort)?;
            let continued = from.filter(|from| from.reservation == stay.reservation);
            Ok(Position { below: continued.map_or(below, |from| from.below), ..stay })
        };
        answer.items().iter().map(position).collect()
    }

    /// The payments of a reservation below a number, newest first, each with its place.
    async fn payments_below(&self, stay: Position) -> Result<Vec<(Position, Payment)>, StoreError> {
        if stay.below <= 1 {
            return Ok(Vec::new());
        }
        let query = self
            .client
            .query()
            .table_name(&self.tables.records)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", text(keys::reservation_partition(stay.reservation)))
            .expression_attribute_values(":first", text(keys::payment_sort(1)))
            .expression_attribute_values(":last", text(keys::payment_sort(stay.below - 1)))
            .scan_index_forward(false);
        let answer = query.send().await.map_err(|error| classify("Query", &error))?;
        let placed = |item: &Item| {
            let payment = payment_item::read(item)?;
            Ok((Position { below: payment.id.number, ..stay }, payment))
        };
        answer.items().iter().map(placed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_and_nothing_else_is_one() {
        let good = format!("0029000010#{}#07", "0123456789ABC");
        assert!(is_payment_position(&good));
        for bad in ["", "0029000010", "0029000010#0123456789ABC", "29000010#0123456789ABC#07", "0029000010#x#07", "#"] {
            assert!(!is_payment_position(bad), "{bad}");
        }
        assert!(!is_payment_position(&format!("{good}#1")));
    }
}
