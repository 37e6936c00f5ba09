//! The payment provider's circuit breaker: one item that all processes share. It is never part of a money decision: losing a race over it
//! costs a call, so what is read may be stale.

use parkade_domain::breaker::Breaker;

use crate::attributes::{Item, Reader, bytes, keyed, number};
use crate::error::classify;
use crate::items::reservation::VERSION;
use crate::keys::RESERVATION_SORT;
use crate::{Store, StoreError, transact};

const PARTITION: &str = "BREAKER#payments";
const FAILURES: &str = "f";
const OPEN_UNTIL: &str = "o";

impl Store {
    /// The provider's breaker; closed if nothing is stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn breaker(&self) -> Result<Breaker, StoreError> {
        self.read_breaker(false).await
    }

    /// As [`Self::breaker`], with what others have just written: for who is about to change it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn breaker_now(&self) -> Result<Breaker, StoreError> {
        self.read_breaker(true).await
    }

    async fn read_breaker(&self, consistent: bool) -> Result<Breaker, StoreError> {
        let key = keyed(PARTITION, RESERVATION_SORT);
        let get = self.client.get_item().table_name(&self.tables.derived).set_key(Some(key));
        let get = get.consistent_read(consistent);
        let answer = get.send().await.map_err(|error| classify("GetItem", &error))?;
        answer.item.as_ref().map_or_else(|| Ok(Breaker::default()), read)
    }

    /// Stores the next state; `false` if another process was faster.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_breaker(&self, next: &Breaker) -> Result<bool, StoreError> {
        let put = self.client.put_item().table_name(&self.tables.derived).set_item(Some(write(next)));
        let put = match next.version - 1 {
            0 => put.condition_expression("attribute_not_exists(pk)"),
            seen => put
                .condition_expression("#v = :v")
                .expression_attribute_names("#v", VERSION)
                .expression_attribute_values(":v", number(seen)),
        };
        transact::put(put).await
    }
}

fn write(breaker: &Breaker) -> Item {
    let mut item = keyed(PARTITION, RESERVATION_SORT);
    let failures: Vec<u8> = breaker.failures_s.iter().flat_map(|at_s| at_s.to_be_bytes()).collect();
    item.insert(VERSION.to_owned(), number(breaker.version));
    item.insert(FAILURES.to_owned(), bytes(failures));
    item.insert(OPEN_UNTIL.to_owned(), number(breaker.open_until_s));
    item
}

fn read(item: &Item) -> Result<Breaker, StoreError> {
    let reader = Reader(item);
    let (failures, _) = reader.bytes(FAILURES)?.as_chunks::<8>();
    Ok(Breaker {
        failures_s: failures.iter().map(|at_s| i64::from_be_bytes(*at_s)).collect(),
        open_until_s: reader.number(OPEN_UNTIL)?,
        version: reader.number(VERSION)?,
    })
}
