//! Docks: one item under the dock's id, which every request reads, and one in its account, by which it is listed.

use serde::{Deserialize, Serialize};

use super::{Store, Transaction, accounts, inexplicable};
use crate::clock::Timestamp;
use crate::error::{Error, Fault};
use crate::id::{AccountId, DockId};
use crate::name::Name;

/// A dock: where an institution keeps documents for its recipients.
#[derive(Clone, Debug)]
pub struct Dock {
    /// Its id.
    pub id: DockId,
    /// Whose it is.
    pub account: AccountId,
    /// How it is displayed.
    pub name: Name,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The partition of a dock: the dock itself and its recipients.
pub(super) fn partition(dock: DockId) -> String {
    format!("DOCK#{dock}")
}

const SORT_KEY: &str = "DOCK";

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DockItem {
    pk: String,
    sk: String,
    id: DockId,
    account: AccountId,
    name: String,
    created_at: Timestamp,
}

impl Store {
    /// The dock of this id; one `GetItem`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn dock(&self, id: DockId) -> Result<Option<Dock>, Error> {
        let Some(item) = self.get::<DockItem>(partition(id), SORT_KEY).await? else { return Ok(None) };
        let name =
            Name::parse(&item.name).map_err(|_| Error::Internal(Fault::new("stored dock has a bad name")))?;
        Ok(Some(Dock { id: item.id, account: item.account, name, created_at: item.created_at }))
    }

    /// Writes a new dock.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn create_dock(&self, dock: &Dock) -> Result<(), Error> {
        let by_id = DockItem {
            pk: partition(dock.id),
            sk: SORT_KEY.to_owned(),
            id: dock.id,
            account: dock.account,
            name: dock.name.as_str().to_owned(),
            created_at: dock.created_at,
        };
        let in_account = DockItem {
            pk: accounts::partition(dock.account),
            sk: format!("DOCK#{}", dock.id),
            ..by_id.clone()
        };
        match self
            .transact(vec![self.put_new(&by_id)?, self.put_new(&in_account)?], dock.id.to_string())
            .await?
        {
            Transaction::Done => Ok(()),
            Transaction::Refused(_) => Err(inexplicable("create dock")),
        }
    }
}
