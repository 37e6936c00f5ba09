//! A user's contacts and wishes.

use parkade_domain::ids::UserId;
use parkade_domain::preferences::Preferences;
use thiserror::Error;

use crate::attributes::keyed;
use crate::error::{StoreError, classify};
use crate::items::preferences as items;
use crate::{Store, keys};

/// Why preferences could not be stored.
#[derive(Debug, Error)]
pub enum PreferencesError {
    /// They are not at the version the client named, or somebody else changed them at the same time.
    #[error("the preferences have changed; they are at version {current}")]
    VersionMismatch {
        /// The stored version; 0 = not stored.
        current: u32,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
}

impl From<StoreError> for PreferencesError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Store {
    /// What a user wants to be told; of somebody who has said nothing, [`Preferences::none`]. Strongly consistent, so that who has just
    /// asked for silence has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn preferences(&self, user: &UserId) -> Result<Preferences, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.tables.records)
            .set_key(Some(keyed(keys::owner_partition(user), keys::PREFERENCES_SORT)))
            .consistent_read(true);
        let answer = get.send().await.map_err(|error| classify("GetItem", &error))?;
        answer.item.as_ref().map_or_else(|| Ok(Preferences::none(user.clone())), items::read)
    }

    /// Replaces a user's preferences; `wanted.version` is the version that they replace, 0 for none.
    ///
    /// # Errors
    /// [`PreferencesError`].
    pub async fn put_preferences(&self, wanted: Preferences) -> Result<Preferences, PreferencesError> {
        let replaced = Some(wanted.version).filter(|version| *version > 0);
        let next = Preferences { version: wanted.version + 1, ..wanted };
        if self.put_alone(items::write(&next), replaced).await? {
            return Ok(next);
        }
        // Our own first try, whose answer was lost, counts as success: its ciphertexts are like no others.
        let stored = self.preferences(&next.user).await?;
        if stored == next { Ok(next) } else { Err(PreferencesError::VersionMismatch { current: stored.version }) }
    }
}
