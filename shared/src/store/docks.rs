//! Docks: one item under the dock's id, which every request reads, and one in its account, by which it is listed. Both
//! hold all of it.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use super::retry::{MAX_ATTEMPTS, back_off};
use super::transaction::Transaction;
use super::{Error, KeyRange, Partition, Store, accounts};
use crate::model::audit::Entry;
use crate::model::dock::{Dock, Profile};
use crate::model::idempotency::{IdempotentRequest, Outcome, StoredResponse};
use crate::values::clock::Timestamp;
use crate::values::id::{AccountId, DockId};
use crate::values::page::{Page, PageRequest};
use crate::values::text::Text;

/// The partition of a dock: the dock and its recipients.
pub(super) fn partition(dock: DockId) -> String {
    Partition::Dock.of(dock)
}

const SORT_KEY: &str = "DOCK";

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DockItem {
    pk: String,
    sk: String,
    id: DockId,
    account: AccountId,
    name: Text,
    #[serde(flatten)]
    profile: Profile,
    created_at: Timestamp,
    /// Counts the changes, so that of two concurrent ones neither overwrites the other.
    version: u64,
}

impl DockItem {
    fn by_id(dock: &Dock) -> Self {
        Self {
            pk: partition(dock.id),
            sk: SORT_KEY.to_owned(),
            id: dock.id,
            account: dock.account,
            name: dock.name.clone(),
            profile: dock.profile.clone(),
            created_at: dock.created_at,
            version: dock.version,
        }
    }

    fn in_account(&self) -> Self {
        Self {
            pk: accounts::partition(self.account),
            sk: sort_key_in_account(&self.id.to_string()),
            ..self.clone()
        }
    }
}

fn sort_key_in_account(id: &str) -> String {
    format!("DOCK#{id}")
}

impl From<DockItem> for Dock {
    fn from(item: DockItem) -> Self {
        Self {
            id: item.id,
            account: item.account,
            name: item.name,
            profile: item.profile,
            created_at: item.created_at,
            version: item.version,
        }
    }
}

impl Store {
    /// Returns the dock of this id; one read.
    pub async fn dock(&self, id: DockId) -> Result<Option<Dock>, Error> {
        let item: Option<DockItem> = self.get(partition(id), SORT_KEY).await?;
        Ok(item.map(Dock::from))
    }

    /// Returns one page of an account's docks, newest first; one Query.
    pub async fn docks(&self, account: AccountId, page: &PageRequest) -> Result<Page<Dock>, Error> {
        let range = KeyRange { from: "DOCK#", to: "DOCK#~", ascending: false };
        let after = page.after.as_deref().map(sort_key_in_account);
        let read = self.query_page(accounts::partition(account), range, after, page.limit + 1).await?;
        let docks = read.items.into_iter().map(|item: DockItem| Dock::from(item)).collect();
        Ok(Page::of(docks, read.is_last, page.limit, |dock| dock.id.to_string()))
    }

    /// Creates a dock, and stores the response if the request carries an idempotency key.
    pub async fn create_dock(
        &self,
        dock: &Dock,
        entry: &Entry,
        idempotency: Option<(&IdempotentRequest, &StoredResponse)>,
    ) -> Result<Outcome<Infallible>, Error> {
        let by_id = DockItem::by_id(dock);
        let items = vec![self.put_new(&by_id)?, self.put_new(&by_id.in_account())?];
        self.transact_idempotently(items, entry, idempotency, |_| {
            Err(Error::unexpected_refusal("create dock"))
        })
        .await
    }

    /// Changes a dock, which was read already, to what `change` makes of it, and returns it; `None` if it no longer
    /// exists. `entry` makes the entry on it, of the dock before and after. If another change came between, it reads the dock
    /// again and repeats `change`.
    ///
    /// # Errors
    /// Those of `change`, and those of the store.
    pub async fn update_dock<E: From<Error>>(
        &self,
        mut read: Dock,
        change: impl Fn(Dock) -> Result<Dock, E>,
        entry: impl Fn(&Dock, &Dock) -> Entry,
    ) -> Result<Option<Dock>, E> {
        const VERSION: usize = 0;
        let (id, mut version) = (read.id, read.version);
        for attempt in 1..=MAX_ATTEMPTS {
            let dock = change(read.clone())?;
            if dock.version == version {
                return Ok(Some(dock));
            }
            let changed = DockItem::by_id(&dock);
            let items = vec![self.put_if_version(&changed, id, version)?, self.put(&changed.in_account())?];
            match self.transact(items, &entry(&read, &dock)).await? {
                Transaction::Done => return Ok(Some(dock)),
                Transaction::Refused(refusal) if refusal.condition_failed(VERSION) => {
                    back_off(attempt).await;
                    match self.dock(id).await? {
                        Some(current) => (version, read) = (current.version, current),
                        None => return Ok(None),
                    }
                }
                Transaction::Refused(_) => return Err(Error::unexpected_refusal("update dock").into()),
            }
        }
        Err(Error::unavailable("update dock: too many changes at once").into())
    }
}
