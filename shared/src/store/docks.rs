//! Docks: one item under the dock's id, which every request reads, and one in its account, by which it is listed. Both
//! hold all of it.

use serde::{Deserialize, Serialize};

use super::idempotency::Written;
use super::{ATTEMPTS, Range, Store, Transaction, accounts, backoff, failed, inexplicable, token};
use crate::auth::Owned;
use crate::clock::Timestamp;
use crate::dock::{Dock, DockChanges, Profile};
use crate::error::{Error, Fault};
use crate::id::{AccountId, DockId};
use crate::idempotency::{FirstAnswer, RepeatableRequest};
use crate::list::{Page, Window};
use crate::name::Name;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    legal_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    business_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    business_email: Option<String>,
    created_at: Timestamp,
    /// Counts the changes, so that of two at the same time neither undoes the other.
    version: u64,
}

impl DockItem {
    fn by_id(dock: &Dock, version: u64) -> Self {
        let text = |name: &Option<Name>| name.as_ref().map(Name::to_string);
        Self {
            pk: partition(dock.id),
            sk: SORT_KEY.to_owned(),
            id: dock.id,
            account: dock.account,
            name: dock.name.to_string(),
            domain: text(&dock.profile.domain),
            legal_name: text(&dock.profile.legal_name),
            business_type: text(&dock.profile.business_type),
            business_email: text(&dock.profile.business_email),
            created_at: dock.created_at,
            version,
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

impl TryFrom<DockItem> for Dock {
    type Error = Error;

    fn try_from(item: DockItem) -> Result<Self, Error> {
        let name = |text: String| {
            Name::parse(&text).map_err(|_| Error::Internal(Fault::new("stored dock has a bad text")))
        };
        let profile = Profile {
            domain: item.domain.map(name).transpose()?,
            legal_name: item.legal_name.map(name).transpose()?,
            business_type: item.business_type.map(name).transpose()?,
            business_email: item.business_email.map(name).transpose()?,
        };
        Ok(Self {
            id: item.id,
            account: item.account,
            name: name(item.name)?,
            profile,
            created_at: item.created_at,
        })
    }
}

/// A dock and the version that it was read in.
pub struct VersionedDock {
    /// The dock.
    pub dock: Dock,
    version: u64,
}

impl Owned for VersionedDock {
    fn owner(&self) -> AccountId {
        self.dock.account
    }
}

/// How the creation of a dock ended.
#[derive(Debug)]
pub enum DockCreation {
    /// It is made.
    Created,
    /// It was made before, by a request that was answered so.
    Before(FirstAnswer),
}

impl Store {
    /// The dock of this id; one `GetItem`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn dock(&self, id: DockId) -> Result<Option<Dock>, Error> {
        let item: Option<DockItem> = self.get(partition(id), SORT_KEY).await?;
        item.map(Dock::try_from).transpose()
    }

    /// One page of an account's docks, newest first; one Query.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn docks(&self, account: AccountId, window: &Window) -> Result<Page<Dock>, Error> {
        let range = Range { from: "DOCK#", to: "DOCK#~", ascending: false };
        let after = window.after.as_deref().map(sort_key_in_account);
        let rows = self.query_page(accounts::partition(account), range, after, window.limit + 1).await?;
        let items = rows.items.into_iter().map(|item: DockItem| item.try_into());
        Ok(Page::of(items.collect::<Result<_, _>>()?, rows.is_last, window.limit, |dock: &Dock| {
            dock.id.to_string()
        }))
    }

    /// Writes a new dock, and with it what is remembered of a request that may be repeated.
    ///
    /// # Errors
    /// [`Error::IdempotencyKeyReused`]; [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn create_dock(
        &self,
        dock: &Dock,
        request: Option<(&RepeatableRequest, &FirstAnswer)>,
    ) -> Result<DockCreation, Error> {
        let by_id = DockItem::by_id(dock, 0);
        let items = vec![self.put_new(&by_id)?, self.put_new(&by_id.in_account())?];
        match self.transact_once(items, dock.id.to_string(), request).await? {
            Written::Done => Ok(DockCreation::Created),
            Written::Before(answer) => Ok(DockCreation::Before(answer)),
            Written::Refused(_) => Err(inexplicable("create dock")),
        }
    }

    /// The dock of this id, to be changed; one `GetItem`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn versioned_dock(&self, id: DockId) -> Result<Option<VersionedDock>, Error> {
        let Some(item) = self.get::<DockItem>(partition(id), SORT_KEY).await? else { return Ok(None) };
        let version = item.version;
        Ok(Some(VersionedDock { dock: item.try_into()?, version }))
    }

    /// Changes a dock. If another change came between, it is read again and this one tried again. `None` if the dock is
    /// gone.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn update_dock(
        &self,
        read: VersionedDock,
        changes: &DockChanges,
    ) -> Result<Option<Dock>, Error> {
        if changes.is_empty() {
            return Ok(Some(read.dock));
        }
        let id = read.dock.id;
        let mut read = read;
        for attempt in 1..=ATTEMPTS {
            let VersionedDock { dock, version } = read;
            let dock = changes.apply(dock);
            let changed = DockItem::by_id(&dock, version + 1);
            let items = vec![self.put_if_version(&changed, version)?, self.put_over(&changed.in_account())?];
            match self.transact(items, token()).await? {
                Transaction::Done => return Ok(Some(dock)),
                Transaction::Refused(reasons) if failed(&reasons, 0) => {
                    tokio::time::sleep(backoff(attempt)).await;
                    match self.versioned_dock(id).await? {
                        Some(now) => read = now,
                        None => return Ok(None),
                    }
                }
                Transaction::Refused(_) => return Err(inexplicable("update dock")),
            }
        }
        Err(Error::Unavailable(Fault::new("update dock: too many changes at once")))
    }
}
