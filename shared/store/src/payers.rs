//! What a user pays with: the provider's customer, saved cards, and whether an exit may bill one of them by itself.
//!
//! The payer's item (`U#<user>` / `PAYER`) names the customer, the card that is billed automatically and the plates that are enrolled
//! for it; each card is an item of its own (`U#<user>` / `CARD#<method>`), each enrolled plate one under its blind index
//! (`PLATE#<index>` / `A`), so that no plate belongs to two users.

use aws_sdk_dynamodb::types::builders::ConditionCheckBuilder;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, TransactWriteItem};
use parkade_domain::ids::UserId;
use parkade_domain::payment::Means;

use crate::Store;
use crate::attributes::{Item, Reader, SCHEMA, bytes, keyed, number, text};
use crate::error::{StoreError, classify};
use crate::items::reservation::VERSION;
use crate::keys::{self, RESERVATION_SORT};
use crate::transact::{self, Outcome};

const SCHEMA_VERSION: i64 = 1;
const CUSTOMER: &str = "cm";
/// Cards per user: more are not told apart by their last four digits.
pub const CARDS_MAX: usize = 10;
/// Plates that a user may enrol for automatic billing: a household's cars.
pub const PLATES_MAX: usize = 5;
/// Rounds of a change that meets another one.
const TRIES_MAX: u32 = 6;

/// A card that the provider keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The provider's id of it.
    pub method: String,
    /// For example `visa`.
    pub brand: String,
    /// The last four digits.
    pub last4: String,
    /// 1 to 12.
    pub exp_month: u8,
    /// Four digits.
    pub exp_year: u16,
}

/// A user at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payer {
    /// The provider's id of the user.
    pub customer: String,
    /// The card that an exit bills by itself, if the user wants that.
    pub automatic: Option<String>,
    /// Blind indexes of the plates that are enrolled.
    pub plates: Vec<[u8; 16]>,
    /// Optimistic version, from 1.
    pub version: u32,
}

/// Why a change of what a user pays with was not made.
#[derive(Debug, thiserror::Error)]
pub enum PayerError {
    /// The user has no such card.
    #[error("there is no such card")]
    UnknownCard,
    /// The user has not saved any card yet.
    #[error("no card is saved")]
    NoCard,
    /// [`CARDS_MAX`] are saved.
    #[error("at most {CARDS_MAX} cards can be saved")]
    TooManyCards,
    /// Somebody else has enrolled the plate.
    #[error("the plate is enrolled by another user")]
    PlateTaken,
    /// The store failed, or others changed the same all the time; asking again is safe.
    #[error("the store failed")]
    Store(#[source] StoreError),
}

impl From<StoreError> for PayerError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Store {
    /// A user at the provider; `None` before anything was saved.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn payer(&self, user: &UserId) -> Result<Option<Payer>, StoreError> {
        let key = keyed(keys::owner_partition(user), keys::PAYER);
        let get = self.client.get_item().table_name(&self.tables.records).set_key(Some(key)).consistent_read(true);
        let answer = get.send().await.map_err(|error| classify("GetItem", &error))?;
        answer.item.as_ref().map(read_payer).transpose()
    }

    /// Remembers the provider's id of a user; the first one stays. Returns what is remembered.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remember_customer(&self, user: &UserId, customer: &str) -> Result<Payer, StoreError> {
        let new = Payer { customer: customer.to_owned(), automatic: None, plates: Vec::new(), version: 1 };
        if self.put_alone(write_payer(user, &new), None).await? {
            return Ok(new);
        }
        self.payer(user).await?.ok_or_else(lost)
    }

    /// The saved cards of a user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cards(&self, user: &UserId) -> Result<Vec<Card>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.records)
            .key_condition_expression("pk = :pk AND begins_with(sk, :card)")
            .expression_attribute_values(":pk", text(keys::owner_partition(user)))
            .expression_attribute_values(":card", text(keys::CARD_PREFIX))
            .consistent_read(true);
        let answer = query.send().await.map_err(|error| classify("Query", &error))?;
        answer.items().iter().map(read_card).collect()
    }

    /// Keeps a card that the provider has saved; keeping it again changes nothing.
    ///
    /// # Errors
    /// [`PayerError::TooManyCards`], [`PayerError::NoCard`] of who is no customer of the provider's, or the store's.
    pub async fn keep_card(&self, user: &UserId, card: &Card) -> Result<(), PayerError> {
        for _ in 0..TRIES_MAX {
            let before = self.payer(user).await?.ok_or(PayerError::NoCard)?;
            let known = self.cards(user).await?;
            if known.iter().any(|known| known.method == card.method) {
                return Ok(());
            }
            if known.len() >= CARDS_MAX {
                return Err(PayerError::TooManyCards);
            }
            // The count holds as long as nobody else has kept one: each raises the payer's version.
            let version = before.version;
            let after = Payer { version: version + 1, ..before };
            let writes = vec![
                self.put(write_card(user, &after.customer, card), None)?,
                self.put(write_payer(user, &after), Some(version))?,
            ];
            if matches!(transact::write(&self.client, writes).await?, Outcome::Committed) {
                return Ok(());
            }
        }
        Err(lost().into())
    }

    /// Says which card an exit bills by itself (`None` for none), and for which plates: exactly these, so that one that is left out is free
    /// for others again. All of it or nothing; saying it again changes nothing.
    ///
    /// # Errors
    /// [`PayerError::NoCard`], [`PayerError::UnknownCard`], [`PayerError::PlateTaken`], or the store's.
    pub async fn bill_automatically(
        &self,
        user: &UserId,
        method: Option<&str>,
        plates: &[[u8; 16]],
    ) -> Result<Payer, PayerError> {
        for _ in 0..TRIES_MAX {
            let before = self.payer(user).await?.ok_or(PayerError::NoCard)?;
            if before.automatic.as_deref() == method && before.plates == plates {
                return Ok(before);
            }
            let added: Vec<_> = plates.iter().filter(|plate| !before.plates.contains(plate)).collect();
            let removed = before.plates.iter().filter(|plate| !plates.contains(plate));
            let mut writes = Vec::new();
            for plate in &added {
                let mut item = keyed(keys::enrolled_partition(plate), RESERVATION_SORT);
                item.insert("own".to_owned(), text(user.as_str()));
                writes.push(self.put(item, None)?);
            }
            for plate in removed {
                writes.push(self.delete_of(keyed(keys::enrolled_partition(plate), RESERVATION_SORT), Some(user))?);
            }
            let card_at = writes.len();
            if let Some(method) = method {
                writes.push(self.card_exists(user, method)?);
            }
            let version = before.version;
            let automatic = method.map(str::to_owned);
            let after = Payer { automatic, plates: plates.to_vec(), version: version + 1, ..before };
            writes.push(self.put(write_payer(user, &after), Some(version))?);
            match transact::write(&self.client, writes).await? {
                Outcome::Committed => return Ok(after),
                // What is refused below may also be this very request, whose answer got lost.
                Outcome::Cancelled(_) if self.payer(user).await?.is_some_and(|payer| payer.version != version) => {}
                Outcome::Cancelled(reasons) if method.is_some() && failed(&reasons, card_at) => {
                    return Err(PayerError::UnknownCard);
                }
                Outcome::Cancelled(reasons) if (0..added.len()).any(|at| failed(&reasons, at)) => {
                    return Err(PayerError::PlateTaken);
                }
                Outcome::Cancelled(_) => {}
            }
        }
        Err(lost().into())
    }

    /// Forgets a card, and with it that it is billed automatically: the plates that were billed to it are free again. Forgetting it again
    /// changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_card(&self, user: &UserId, method: &str) -> Result<(), StoreError> {
        for _ in 0..TRIES_MAX {
            let Some(before) = self.payer(user).await? else { return Ok(()) };
            let delete = self.delete_of(keyed(keys::owner_partition(user), keys::card_sort(method)), None)?;
            let mut writes = vec![delete];
            let version = before.version;
            if before.automatic.as_deref() == Some(method) {
                for plate in &before.plates {
                    writes.push(self.delete_of(keyed(keys::enrolled_partition(plate), RESERVATION_SORT), Some(user))?);
                }
                let after = Payer { automatic: None, plates: Vec::new(), version: version + 1, ..before };
                writes.push(self.put(write_payer(user, &after), Some(version))?);
            } else {
                // Nobody has it billed automatically meanwhile.
                writes.push(self.payer_is(user, version)?);
            }
            if matches!(transact::write(&self.client, writes).await?, Outcome::Committed) {
                return Ok(());
            }
        }
        Err(lost())
    }

    /// Who has enrolled a plate for automatic billing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enrolled(&self, plate: &[u8; 16]) -> Result<Option<UserId>, StoreError> {
        let key = keyed(keys::enrolled_partition(plate), RESERVATION_SORT);
        let get = self.client.get_item().table_name(&self.tables.records).set_key(Some(key));
        let answer = get.send().await.map_err(|error| classify("GetItem", &error))?;
        answer.item.as_ref().map(|item| Reader(item).parsed("own", |user| UserId::new(user).ok())).transpose()
    }

    /// What an exit may bill for a user by itself.
    pub(crate) async fn automatic_means(&self, user: &UserId) -> Result<Option<Means>, StoreError> {
        let Some(Payer { customer, automatic: Some(method), .. }) = self.payer(user).await? else { return Ok(None) };
        Ok(Some(Means::Provider { method: Some(method), customer: Some(customer) }))
    }

    /// The customer whose saved card this is; `None` if the user has saved no such card.
    pub(crate) async fn customer_of(&self, user: &UserId, method: &str) -> Result<Option<String>, StoreError> {
        let key = keyed(keys::owner_partition(user), keys::card_sort(method));
        // Consistent: a card that was saved a moment ago is refused without its customer, and the key's charge with it.
        let get = self.client.get_item().table_name(&self.tables.records).set_key(Some(key)).consistent_read(true);
        let answer = get.send().await.map_err(|error| classify("GetItem", &error))?;
        answer.item.as_ref().map(|item| Ok(Reader(item).text(CUSTOMER)?.to_owned())).transpose()
    }

    fn card_exists(&self, user: &UserId, method: &str) -> Result<TransactWriteItem, StoreError> {
        let card = keyed(keys::owner_partition(user), keys::card_sort(method));
        self.checked(ConditionCheck::builder().set_key(Some(card)).condition_expression("attribute_exists(pk)"))
    }

    fn payer_is(&self, user: &UserId, version: u32) -> Result<TransactWriteItem, StoreError> {
        let check = ConditionCheck::builder()
            .set_key(Some(keyed(keys::owner_partition(user), keys::PAYER)))
            .condition_expression("#v = :v")
            .expression_attribute_names("#v", VERSION)
            .expression_attribute_values(":v", number(version));
        self.checked(check)
    }

    fn checked(&self, check: ConditionCheckBuilder) -> Result<TransactWriteItem, StoreError> {
        let check = check.table_name(&self.tables.records).build();
        let refused = |error: aws_sdk_dynamodb::error::BuildError| StoreError::Refused {
            operation: "ConditionCheck",
            cause: error.to_string(),
        };
        Ok(TransactWriteItem::builder().condition_check(check.map_err(refused)?).build())
    }

    /// A deletion as part of a transaction: of what `owner` owns, or of what is there or not.
    fn delete_of(&self, key: Item, owner: Option<&UserId>) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder().table_name(&self.tables.records).set_key(Some(key));
        let delete = match owner {
            None => delete,
            Some(owner) => {
                delete.condition_expression("own = :own").expression_attribute_values(":own", text(owner.as_str()))
            }
        };
        let delete = delete.build();
        let delete = delete.map_err(|error| StoreError::Refused { operation: "Delete", cause: error.to_string() })?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

/// Whether the condition of the write at `position` did not hold.
fn failed(reasons: &[aws_sdk_dynamodb::types::CancellationReason], position: usize) -> bool {
    reasons.get(position).and_then(|reason| reason.code()) == Some("ConditionalCheckFailed")
}

fn lost() -> StoreError {
    let cause = "the payer changed faster than the change could be planned".to_owned();
    StoreError::Unavailable { operation: "payer", cause }
}

fn write_payer(user: &UserId, payer: &Payer) -> Item {
    let mut item = keyed(keys::owner_partition(user), keys::PAYER);
    item.insert(SCHEMA.to_owned(), number(SCHEMA_VERSION));
    item.insert(VERSION.to_owned(), number(payer.version));
    item.insert(CUSTOMER.to_owned(), text(payer.customer.as_str()));
    if let Some(method) = &payer.automatic {
        item.insert("am".to_owned(), text(method.as_str()));
    }
    if !payer.plates.is_empty() {
        item.insert("ep".to_owned(), bytes(payer.plates.concat()));
    }
    item
}

fn read_payer(item: &Item) -> Result<Payer, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    let (plates, _) = reader.bytes_maybe("ep").unwrap_or_default().as_chunks::<16>();
    Ok(Payer {
        customer: reader.text(CUSTOMER)?.to_owned(),
        automatic: reader.text_maybe("am").map(str::to_owned),
        plates: plates.to_vec(),
        version: reader.number(VERSION)?,
    })
}

/// With the customer, so that who pays with the card reads one item and not the payer's as well; it never changes.
fn write_card(user: &UserId, customer: &str, card: &Card) -> Item {
    let mut item = keyed(keys::owner_partition(user), keys::card_sort(&card.method));
    item.insert(SCHEMA.to_owned(), number(SCHEMA_VERSION));
    item.insert(CUSTOMER.to_owned(), text(customer));
    item.insert("br".to_owned(), text(card.brand.as_str()));
    item.insert("l4".to_owned(), text(card.last4.as_str()));
    item.insert("em".to_owned(), number(card.exp_month));
    item.insert("ey".to_owned(), number(card.exp_year));
    item
}

fn read_card(item: &Item) -> Result<Card, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    Ok(Card {
        method: reader.parsed(keys::SK, |sk| Some(sk.strip_prefix(keys::CARD_PREFIX)?.to_owned()))?,
        brand: reader.text("br")?.to_owned(),
        last4: reader.text("l4")?.to_owned(),
        exp_month: reader.number("em")?,
        exp_year: reader.number("ey")?,
    })
}
