//! Recipients: one item in the dock under the email, which makes the email unique there, and a pointer to it under
//! the recipient's id, beside its certificates, memberships and secrets.
//!
//! Between a read of the pointer and the read or write of the item that it points to, the email can change hands. So
//! the item must have the id that was asked for; if not, the pointer is read again.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};

use super::cleanup::{Cleanup, Leftover};
use super::retry::{MAX_ATTEMPTS, back_off};
use super::transaction::Transaction;
use super::{Error, KeyRange, Partition, Store, docks, text};
use crate::model::audit::Entry;
use crate::model::idempotency::{IdempotentRequest, Outcome, StoredResponse};
use crate::model::identifiers::Identifiers;
use crate::model::owned::Owned;
use crate::model::recipient::{Recipient, StakeholderClass};
use crate::values::clock::Timestamp;
use crate::values::email::Email;
use crate::values::id::{AccountId, DockId, RecipientId};
use crate::values::page::{Page, PageRequest};
use crate::values::text::Text;

/// The partition of a recipient: the pointer, the certificates, the memberships and the secrets.
pub(super) fn partition(recipient: RecipientId) -> String {
    Partition::Recipient.of(recipient)
}

/// The sort key of the pointer in a recipient's partition.
pub(super) const POINTER_SORT_KEY: &str = "RECIPIENT";

/// Sorts behind every recipient of a dock, whatever character its email begins with.
const AFTER_RECIPIENTS: &str = "RECIPIENT$";

fn sort_key(email: &str) -> String {
    format!("RECIPIENT#{email}")
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecipientItem {
    pk: String,
    sk: String,
    id: RecipientId,
    dock: DockId,
    account: AccountId,
    name: Text,
    email: Email,
    #[serde(skip_serializing_if = "Option::is_none")]
    stakeholder_class: Option<StakeholderClass>,
    identifiers: Identifiers,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
    /// Counts the changes, so that none overwrites another.
    version: u64,
}

impl RecipientItem {
    fn new(recipient: Recipient) -> Self {
        Self {
            pk: docks::partition(recipient.dock),
            sk: sort_key(recipient.email.as_str()),
            id: recipient.id,
            dock: recipient.dock,
            account: recipient.account,
            name: recipient.name,
            email: recipient.email,
            stakeholder_class: recipient.stakeholder_class,
            identifiers: recipient.identifiers,
            created_at: recipient.created_at,
            updated_at: recipient.updated_at,
            version: recipient.version,
        }
    }
}

impl From<RecipientItem> for Recipient {
    fn from(item: RecipientItem) -> Self {
        Self {
            id: item.id,
            dock: item.dock,
            account: item.account,
            name: item.name,
            email: item.email,
            stakeholder_class: item.stakeholder_class,
            identifiers: item.identifiers,
            created_at: item.created_at,
            updated_at: item.updated_at,
            version: item.version,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PointerItem<'a> {
    pk: String,
    sk: &'static str,
    dock: DockId,
    account: AccountId,
    email: &'a Email,
    /// So that a decision can read the policies of its class at once with the recipient.
    #[serde(skip_serializing_if = "Option::is_none")]
    stakeholder_class: Option<StakeholderClass>,
}

impl<'a> PointerItem<'a> {
    fn new(recipient: &'a Recipient) -> Self {
        Self {
            pk: partition(recipient.id),
            sk: POINTER_SORT_KEY,
            dock: recipient.dock,
            account: recipient.account,
            email: &recipient.email,
            stakeholder_class: recipient.stakeholder_class,
        }
    }
}

/// Where a recipient is: its dock and, at the moment of the read, its email and its class.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecipientPointer {
    /// The dock it belongs to.
    pub dock: DockId,
    /// The account it belongs to.
    pub account: AccountId,
    email: String,
    /// The class it is of.
    pub stakeholder_class: Option<StakeholderClass>,
    /// How often all its tokens were revoked. A token is good for the generation in which it was issued.
    #[serde(default)]
    pub token_generation: u64,
}

impl Owned for RecipientPointer {
    fn owner(&self) -> AccountId {
        self.account
    }
}

/// Another recipient of the dock has the email: this one.
#[derive(Debug, PartialEq, Eq)]
pub struct EmailTaken(pub RecipientId);

/// Outcome of a change of a recipient.
#[derive(Debug)]
pub enum RecipientUpdate {
    /// The recipient after the change.
    Updated(Box<Recipient>),
    /// It no longer exists.
    NoRecipient,
    /// The new email is taken.
    EmailTaken(EmailTaken),
}

/// Outcome of a deletion of a recipient.
#[derive(Debug, PartialEq, Eq)]
pub enum RecipientDeletion {
    /// It is deleted.
    Deleted,
    /// It no longer exists.
    NoRecipient,
    /// It has another version than the one that was to be deleted.
    Changed,
}

impl Store {
    /// Creates a recipient and its pointer, and stores the response if the request carries an idempotency key.
    pub async fn create_recipient(
        &self,
        recipient: &Recipient,
        entry: &Entry,
        idempotency: Option<(&IdempotentRequest, &StoredResponse)>,
    ) -> Result<Outcome<EmailTaken>, Error> {
        const RECIPIENT: usize = 0;
        let item = RecipientItem::new(recipient.clone());
        let items = vec![self.put_new(&item)?, self.put_new(&PointerItem::new(recipient))?];
        self.transact_idempotently(items, entry, idempotency, |refusal| {
            match refusal.existing_item::<RecipientItem>(RECIPIENT)? {
                Some(holder) => Ok(EmailTaken(holder.id)),
                None => Err(Error::unexpected_refusal("create recipient")),
            }
        })
        .await
    }

    /// Returns where the recipient of this id is; one read.
    pub async fn recipient_pointer(&self, id: RecipientId) -> Result<Option<RecipientPointer>, Error> {
        self.get(partition(id), POINTER_SORT_KEY).await
    }

    /// The pointer that was read already, the first time; from then on a new one.
    async fn next_pointer(
        &self,
        id: RecipientId,
        read: &mut Option<RecipientPointer>,
    ) -> Result<Option<RecipientPointer>, Error> {
        match read.take() {
            Some(at) => Ok(Some(at)),
            None => self.recipient_pointer(id).await,
        }
    }

    /// Returns the recipient whose pointer was read; one read, and more where its email moves meanwhile.
    pub async fn recipient(
        &self,
        id: RecipientId,
        pointer: RecipientPointer,
    ) -> Result<Option<Recipient>, Error> {
        let mut pointer = Some(pointer);
        for attempt in 1..=MAX_ATTEMPTS {
            let Some(at) = self.next_pointer(id, &mut pointer).await? else { return Ok(None) };
            if let Some(recipient) = self.recipient_at(id, &at).await? {
                return Ok(Some(recipient));
            }
            // The first time the pointer is merely out of date.
            if attempt > 1 {
                back_off(attempt).await;
            }
        }
        Err(Error::unavailable("recipient: its email keeps changing"))
    }

    /// Returns the recipient if it is where its pointer says; one read. `None` if its email moved since the pointer was
    /// read.
    pub(super) async fn recipient_at(
        &self,
        id: RecipientId,
        at: &RecipientPointer,
    ) -> Result<Option<Recipient>, Error> {
        let item: Option<RecipientItem> = self.get(docks::partition(at.dock), sort_key(&at.email)).await?;
        Ok(item.filter(|item| item.id == id).map(Recipient::from))
    }

    /// Returns the recipient of the dock that has this email; one read.
    pub async fn recipient_by_email(&self, dock: DockId, email: &Email) -> Result<Option<Recipient>, Error> {
        let item: Option<RecipientItem> = self.get(docks::partition(dock), sort_key(email.as_str())).await?;
        Ok(item.map(Recipient::from))
    }

    /// Returns one page of a dock's recipients, by email; one Query.
    pub async fn recipients(&self, dock: DockId, page: &PageRequest) -> Result<Page<Recipient>, Error> {
        let range = KeyRange { from: "RECIPIENT#", to: AFTER_RECIPIENTS, ascending: true };
        let after = page.after.as_deref().map(sort_key);
        let read = self.query_page(docks::partition(dock), range, after, page.limit + 1).await?;
        let recipients = read.items.into_iter().map(|item: RecipientItem| Recipient::from(item)).collect();
        let key = |recipient: &Recipient| recipient.email.as_str().to_owned();
        Ok(Page::of(recipients, read.is_last, page.limit, key))
    }

    /// Changes the recipient whose pointer was read to what `change` makes of it. `entry` makes the entry on it, of the
    /// recipient before and after. If another change came between, it reads the recipient again and repeats `change`.
    ///
    /// # Errors
    /// Those of `change`, and those of the store.
    pub async fn update_recipient<E: From<Error>>(
        &self,
        id: RecipientId,
        pointer: RecipientPointer,
        change: impl Fn(Recipient) -> Result<Recipient, E>,
        entry: impl Fn(&Recipient, &Recipient) -> Entry,
    ) -> Result<RecipientUpdate, E> {
        const NEW: usize = 0;
        const POINTER: usize = 1;
        const OLD: usize = 2;
        let mut pointer = Some(pointer);
        for attempt in 1..=MAX_ATTEMPTS {
            let Some(at) = self.next_pointer(id, &mut pointer).await? else {
                return Ok(RecipientUpdate::NoRecipient);
            };
            let Some(old) = self.recipient(id, at).await? else { return Ok(RecipientUpdate::NoRecipient) };
            let version = old.version;
            let recipient = change(old.clone())?;
            if recipient.version == version {
                return Ok(RecipientUpdate::Updated(Box::new(recipient)));
            }
            let item = RecipientItem::new(recipient.clone());
            let moves = recipient.email != old.email;
            let mut items = vec![match moves {
                true => self.put_new(&item)?,
                false => self.put_if_version(&item, id, version)?,
            }];
            if moves || recipient.stakeholder_class != old.stakeholder_class {
                items.push(self.change_pointer(&recipient, &old.email)?);
            }
            if moves {
                let old_key = Self::key(docks::partition(recipient.dock), sort_key(old.email.as_str()));
                items.push(self.delete_if_version(old_key, id, version)?);
            }
            match self.transact(items, &entry(&old, &recipient)).await? {
                Transaction::Done => return Ok(RecipientUpdate::Updated(Box::new(recipient))),
                // The email is taken, unless the recipient itself changed since it was read.
                Transaction::Refused(refusal)
                    if moves && !refusal.condition_failed(OLD) && !refusal.condition_failed(POINTER) =>
                {
                    let holder = refusal.existing_item::<RecipientItem>(NEW)?;
                    let holder = holder.ok_or_else(|| Error::unexpected_refusal("update recipient"))?;
                    return Ok(RecipientUpdate::EmailTaken(EmailTaken(holder.id)));
                }
                Transaction::Refused(_) => back_off(attempt).await,
            }
        }
        Err(Error::unavailable("update recipient: too many changes at once").into())
    }

    /// Points to where a recipient is, if its pointer points to where it was. What else the pointer holds stays.
    fn change_pointer(&self, recipient: &Recipient, old: &Email) -> Result<TransactWriteItem, Error> {
        let mut values = vec![(":old", text(old.as_str())), (":email", text(recipient.email.as_str()))];
        let expression = match recipient.stakeholder_class {
            Some(class) => {
                values.push((":class", text(class)));
                "SET email = :email, stakeholderClass = :class"
            }
            None => "SET email = :email REMOVE stakeholderClass",
        };
        let key = Self::key(partition(recipient.id), POINTER_SORT_KEY);
        self.update(key, "email = :old", expression, &values)
    }

    /// Deletes the recipient whose pointer was read, if it has this version where one is given, and has its certificates, secrets
    /// and memberships cleaned up. Without the pointer they open nothing.
    pub async fn delete_recipient(
        &self,
        id: RecipientId,
        pointer: RecipientPointer,
        version: Option<u64>,
        now: Timestamp,
        entry: impl Fn() -> Entry,
    ) -> Result<RecipientDeletion, Error> {
        let cleanup = Cleanup::new(Leftover::Belongings { recipient: id }, now);
        let mut pointer = Some(pointer);
        for attempt in 1..=MAX_ATTEMPTS {
            let Some(at) = self.next_pointer(id, &mut pointer).await? else {
                return Ok(RecipientDeletion::NoRecipient);
            };
            let (dock, mut email) = (at.dock, at.email.clone());
            if let Some(version) = version {
                let Some(current) = self.recipient(id, at).await? else {
                    return Ok(RecipientDeletion::NoRecipient);
                };
                if current.version != version {
                    return Ok(RecipientDeletion::Changed);
                }
                email = current.email.as_str().to_owned();
            }
            let key = Self::key(docks::partition(dock), sort_key(email.as_str()));
            let recipient = match version {
                Some(version) => self.delete_if_version(key, id, version)?,
                None => self.delete(key, "id = :id", &[(":id", text(id))])?,
            };
            let key = Self::key(partition(id), POINTER_SORT_KEY);
            let pointer = self.delete(key, "email = :email", &[(":email", text(email.as_str()))])?;
            let items = vec![pointer, recipient, self.put(&cleanup.item())?];
            if let Transaction::Done = self.transact(items, &entry()).await? {
                return Ok(RecipientDeletion::Deleted);
            }
            back_off(attempt).await;
        }
        Err(Error::unavailable("delete recipient: its email keeps changing"))
    }

    /// Returns the recipients of these ids in their order, without those that no longer exist; two round trips for each
    /// hundred of them, and more while the email of one moves.
    pub async fn recipients_of(&self, ids: &[RecipientId]) -> Result<Vec<Recipient>, Error> {
        let mut found: BTreeMap<RecipientId, Recipient> = BTreeMap::new();
        for attempt in 1..=MAX_ATTEMPTS {
            let left = ids.iter().filter(|id| !found.contains_key(id));
            let keys = left.map(|id| Self::key(partition(*id), POINTER_SORT_KEY)).collect();
            let pointers: Vec<RecipientPointer> = self.get_many(keys).await?;
            // Two pointers can name one email, while it changes hands.
            let places: BTreeSet<(DockId, &str)> =
                pointers.iter().map(|at| (at.dock, at.email.as_str())).collect();
            let keys =
                places.into_iter().map(|(dock, email)| Self::key(docks::partition(dock), sort_key(email)));
            let items: Vec<RecipientItem> = self.get_many(keys.collect()).await?;
            let there = pointers.len();
            let before = found.len();
            let asked = items.into_iter().filter(|item| ids.contains(&item.id));
            found.extend(asked.map(|item| (item.id, item.into())));
            if found.len() - before == there {
                return Ok(ids.iter().filter_map(|id| found.remove(id)).collect());
            }
            back_off(attempt).await;
        }
        Err(Error::unavailable("recipients: their emails keep changing"))
    }

    /// Whether all of these recipients exist in the dock; one round trip.
    pub async fn are_in_dock(&self, dock: DockId, ids: &BTreeSet<RecipientId>) -> Result<bool, Error> {
        let keys = ids.iter().map(|id| Self::key(partition(*id), POINTER_SORT_KEY)).collect();
        let pointers: Vec<RecipientPointer> = self.get_many(keys).await?;
        Ok(pointers.iter().filter(|pointer| pointer.dock == dock).count() == ids.len())
    }
}
