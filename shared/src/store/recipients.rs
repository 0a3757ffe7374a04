//! Recipients: one item in the dock under the email, which makes the email unique there, and a pointer to it under
//! the recipient's id, beside its secrets.
//!
//! Between a read of the pointer and the read or write of the item that it points to, the email can change hands. So the
//! item must have the id that was asked for; if not, the pointer is read again.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnConsumedCapacity, ReturnValue, TransactWriteItem, Update,
};
use serde::{Deserialize, Serialize};

use super::idempotency::Written;
use super::{
    ATTEMPTS, Range, Store, Transaction, backoff, docks, failed, fault, from_item, inexplicable, obstacle,
    token,
};
use crate::auth::Owned;
use crate::clock::Timestamp;
use crate::email::Email;
use crate::error::{Error, Fault};
use crate::id::{AccountId, DockId, RecipientId};
use crate::idempotency::{FirstAnswer, RepeatableRequest};
use crate::identifiers::Identifiers;
use crate::list::{Page, Window};
use crate::name::Name;
use crate::recipient::{Recipient, RecipientChanges, StakeholderClass};

/// The partition of a recipient: the pointer and the secrets.
pub(super) fn partition(recipient: RecipientId) -> String {
    format!("RECIPIENT#{recipient}")
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
    name: String,
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stakeholder_class: Option<StakeholderClass>,
    identifiers: BTreeMap<String, String>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
    /// Counts the changes, so that a change of the email undoes no other one.
    version: u64,
}

impl RecipientItem {
    fn new(recipient: &Recipient, version: u64) -> Self {
        Self {
            pk: docks::partition(recipient.dock),
            sk: sort_key(recipient.email.as_str()),
            id: recipient.id,
            dock: recipient.dock,
            account: recipient.account,
            name: recipient.name.as_str().to_owned(),
            email: recipient.email.as_str().to_owned(),
            stakeholder_class: recipient.stakeholder_class,
            identifiers: recipient.identifiers.entries().clone(),
            created_at: recipient.created_at,
            updated_at: recipient.updated_at,
            version,
        }
    }
}

impl TryFrom<RecipientItem> for Recipient {
    type Error = Error;

    fn try_from(item: RecipientItem) -> Result<Self, Error> {
        let bad = |_| Error::Internal(Fault::new("stored recipient has a bad name or email"));
        Ok(Self {
            id: item.id,
            dock: item.dock,
            account: item.account,
            name: Name::parse(&item.name).map_err(bad)?,
            email: Email::parse(&item.email).map_err(bad)?,
            stakeholder_class: item.stakeholder_class,
            identifiers: Identifiers::from_store(item.identifiers),
            created_at: item.created_at,
            updated_at: item.updated_at,
        })
    }
}

#[derive(Serialize)]
struct PointerItem<'a> {
    pk: String,
    sk: &'static str,
    dock: DockId,
    account: AccountId,
    email: &'a str,
}

/// Where a recipient is: its dock and, at the moment of the read, its email.
#[derive(Clone, Debug, Deserialize)]
pub struct RecipientPointer {
    /// The dock it belongs to.
    pub dock: DockId,
    /// The account it belongs to.
    pub account: AccountId,
    email: String,
}

impl Owned for RecipientPointer {
    fn owner(&self) -> AccountId {
        self.account
    }
}

/// How the creation of a recipient ended.
#[derive(Debug)]
pub enum RecipientCreation {
    /// It is registered.
    Created,
    /// It was registered before, by a request that was answered so.
    Before(FirstAnswer),
    /// Another recipient of the dock has the email: this one.
    EmailTaken(RecipientId),
}

/// How the change of a recipient ended.
#[derive(Debug)]
pub enum RecipientUpdate {
    /// It is now this.
    Updated(Box<Recipient>),
    /// It is gone.
    NoRecipient,
    /// Another recipient of the dock has the new email: this one.
    EmailTaken(RecipientId),
}

impl Store {
    /// Registers a new recipient: the recipient, its pointer, and what is remembered of a request that may be repeated,
    /// or nothing.
    ///
    /// # Errors
    /// [`Error::IdempotencyKeyReused`]; [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn create_recipient(
        &self,
        recipient: &Recipient,
        request: Option<(&RepeatableRequest, &FirstAnswer)>,
    ) -> Result<RecipientCreation, Error> {
        let pointer = PointerItem {
            pk: partition(recipient.id),
            sk: POINTER_SORT_KEY,
            dock: recipient.dock,
            account: recipient.account,
            email: recipient.email.as_str(),
        };
        let items = vec![self.put_new(&RecipientItem::new(recipient, 0))?, self.put_new(&pointer)?];
        let reasons = match self.transact_once(items, recipient.id.to_string(), request).await? {
            Written::Done => return Ok(RecipientCreation::Created),
            Written::Before(answer) => return Ok(RecipientCreation::Before(answer)),
            Written::Refused(reasons) => reasons,
        };
        match obstacle::<RecipientItem>(&reasons, 0)? {
            Some(holder) => Ok(RecipientCreation::EmailTaken(holder.id)),
            None => Err(inexplicable("create recipient")),
        }
    }

    /// Where the recipient of this id is; one `GetItem`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn recipient_pointer(&self, id: RecipientId) -> Result<Option<RecipientPointer>, Error> {
        self.get(partition(id), POINTER_SORT_KEY).await
    }

    /// The recipient that `pointer` was read of; one `GetItem`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn recipient(
        &self,
        id: RecipientId,
        pointer: RecipientPointer,
    ) -> Result<Option<Recipient>, Error> {
        let Some(item) = self.recipient_item(id, Some(pointer)).await? else { return Ok(None) };
        item.try_into().map(Some)
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

    /// The item of this recipient, found by a pointer that was read already or, where it is out of date, by a new one.
    async fn recipient_item(
        &self,
        id: RecipientId,
        pointer: Option<RecipientPointer>,
    ) -> Result<Option<RecipientItem>, Error> {
        let mut pointer = pointer;
        for _ in 0..ATTEMPTS {
            let Some(at) = self.next_pointer(id, &mut pointer).await? else { return Ok(None) };
            let item: Option<RecipientItem> =
                self.get(docks::partition(at.dock), sort_key(&at.email)).await?;
            if let Some(item) = item.filter(|item| item.id == id) {
                return Ok(Some(item));
            }
        }
        Err(Error::Unavailable(Fault::new("recipient: its email keeps changing")))
    }

    /// The recipient of the dock that has this email; one `GetItem`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn recipient_by_email(&self, dock: DockId, email: &Email) -> Result<Option<Recipient>, Error> {
        let item: Option<RecipientItem> = self.get(docks::partition(dock), sort_key(email.as_str())).await?;
        item.map(Recipient::try_from).transpose()
    }

    /// One page of a dock's recipients, by email; one Query.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn recipients(&self, dock: DockId, window: &Window) -> Result<Page<Recipient>, Error> {
        let range = Range { from: "RECIPIENT#", to: AFTER_RECIPIENTS, ascending: true };
        let after = window.after.as_deref().map(sort_key);
        let rows = self.query_page(docks::partition(dock), range, after, window.limit + 1).await?;
        let items = rows.items.into_iter().map(|item: RecipientItem| item.try_into());
        let key = |recipient: &Recipient| recipient.email.as_str().to_owned();
        Ok(Page::of(items.collect::<Result<_, _>>()?, rows.is_last, window.limit, key))
    }

    /// Changes the recipient that `pointer` was read of.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn update_recipient(
        &self,
        id: RecipientId,
        pointer: RecipientPointer,
        changes: &RecipientChanges,
        now: Timestamp,
    ) -> Result<RecipientUpdate, Error> {
        let mut pointer = Some(pointer);
        for attempt in 1..=ATTEMPTS {
            let Some(at) = self.next_pointer(id, &mut pointer).await? else {
                return Ok(RecipientUpdate::NoRecipient);
            };
            let moves = changes.email.as_ref().is_some_and(|email| email.as_str() != at.email);
            let updated = if changes.is_empty() {
                self.recipient_item(id, Some(at))
                    .await?
                    .map(|item| Ok(RecipientUpdate::Updated(Box::new(item.try_into()?))))
            } else if moves {
                self.move_recipient(id, at, changes, now).await?.map(Ok)
            } else {
                let item = self.change_in_place(id, &at, changes, now).await?;
                item.map(|item| Ok(RecipientUpdate::Updated(Box::new(item.try_into()?))))
            };
            if let Some(updated) = updated {
                return updated;
            }
            tokio::time::sleep(backoff(attempt)).await;
        }
        Err(Error::Unavailable(Fault::new("update recipient: too many changes at once")))
    }

    /// Changes what is not the email, in one write; `None` if the pointer is out of date.
    async fn change_in_place(
        &self,
        id: RecipientId,
        at: &RecipientPointer,
        changes: &RecipientChanges,
        now: Timestamp,
    ) -> Result<Option<RecipientItem>, Error> {
        let mut set = vec!["updatedAt = :now", "version = version + :one"];
        let mut remove = "";
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Self::key(docks::partition(at.dock), sort_key(&at.email))))
            .condition_expression("id = :id")
            .expression_attribute_values(":id", AttributeValue::S(id.to_string()))
            .expression_attribute_values(":now", AttributeValue::S(now.to_string()))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        if let Some(name) = &changes.name {
            set.push("#name = :name");
            update = update
                .expression_attribute_names("#name", "name")
                .expression_attribute_values(":name", AttributeValue::S(name.to_string()));
        }
        if let Some(identifiers) = &changes.identifiers {
            set.push("identifiers = :identifiers");
            let entries = identifiers.entries().iter();
            let map = entries.map(|(key, value)| (key.clone(), AttributeValue::S(value.clone()))).collect();
            update = update.expression_attribute_values(":identifiers", AttributeValue::M(map));
        }
        match changes.stakeholder_class {
            None => {}
            Some(None) => remove = " REMOVE stakeholderClass",
            Some(Some(class)) => {
                set.push("stakeholderClass = :class");
                update = update.expression_attribute_values(":class", AttributeValue::S(class.to_string()));
            }
        }
        let update = update
            .update_expression(format!("SET {}{remove}", set.join(", ")))
            .return_values(ReturnValue::AllNew)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        for attempt in 1.. {
            let error = match self.log.call(update.clone().send()).await {
                Ok(output) => {
                    self.log.wrote(output.consumed_capacity);
                    return output.attributes.map(from_item).transpose();
                }
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => return Ok(None),
                // A transaction is at work on the item; the SDK does not try again.
                Some(UpdateItemError::TransactionConflictException(_)) if attempt < ATTEMPTS => {
                    tokio::time::sleep(backoff(attempt)).await;
                }
                _ => return Err(fault("UpdateItem", &error)),
            }
        }
        Err(inexplicable("update recipient"))
    }

    /// Moves a recipient to its new email, and changes the rest, in one transaction; `None` if something changed in
    /// between.
    async fn move_recipient(
        &self,
        id: RecipientId,
        at: RecipientPointer,
        changes: &RecipientChanges,
        now: Timestamp,
    ) -> Result<Option<RecipientUpdate>, Error> {
        let old_key = Self::key(docks::partition(at.dock), sort_key(&at.email));
        let old_email = at.email.clone();
        let Some(item) = self.recipient_item(id, Some(at)).await? else {
            return Ok(Some(RecipientUpdate::NoRecipient));
        };
        if item.email != old_email {
            return Ok(None);
        }
        let version = item.version;
        let recipient = changes.clone().apply(item.try_into()?, now);
        let unchanged = [
            (":id", AttributeValue::S(id.to_string())),
            (":version", AttributeValue::N(version.to_string())),
        ];
        let repoint = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Self::key(partition(id), POINTER_SORT_KEY)))
            .condition_expression("email = :old")
            .update_expression("SET email = :new")
            .expression_attribute_values(":old", AttributeValue::S(old_email))
            .expression_attribute_values(":new", AttributeValue::S(recipient.email.as_str().to_owned()))
            .build()
            .map_err(|_| Error::Internal(Fault::new("Update: incomplete")))?;
        let items = vec![
            self.put_new(&RecipientItem::new(&recipient, version + 1))?,
            self.delete_if(old_key, "id = :id AND version = :version", &unchanged)?,
            TransactWriteItem::builder().update(repoint).build(),
        ];
        match self.transact(items, token()).await? {
            Transaction::Done => Ok(Some(RecipientUpdate::Updated(Box::new(recipient)))),
            // Something of this recipient changed since it was read, which says more than who has the email.
            Transaction::Refused(reasons) if failed(&reasons, 1) || failed(&reasons, 2) => Ok(None),
            Transaction::Refused(reasons) => match obstacle::<RecipientItem>(&reasons, 0)? {
                Some(holder) => Ok(Some(RecipientUpdate::EmailTaken(holder.id))),
                None => Err(inexplicable("move recipient")),
            },
        }
    }

    /// Deletes the recipient that `pointer` was read of, its secrets first; `false` if it is gone. It can be interrupted
    /// anywhere and repeated: what is left is a recipient with fewer secrets.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn delete_recipient(&self, id: RecipientId, pointer: RecipientPointer) -> Result<bool, Error> {
        self.delete_secrets(id).await?;
        let mut pointer = Some(pointer);
        for attempt in 1..=ATTEMPTS {
            let Some(at) = self.next_pointer(id, &mut pointer).await? else { return Ok(false) };
            let recipient_key = Self::key(docks::partition(at.dock), sort_key(&at.email));
            let items = vec![
                self.delete_if(
                    Self::key(partition(id), POINTER_SORT_KEY),
                    "email = :email",
                    &[(":email", AttributeValue::S(at.email))],
                )?,
                self.delete_if(recipient_key, "id = :id", &[(":id", AttributeValue::S(id.to_string()))])?,
            ];
            if let Transaction::Done = self.transact(items, token()).await? {
                // One that was generated in the meantime verifies for nobody, and would stay for ever. What matters is
                // done, so that a failure here is no failure.
                let _ = self.delete_secrets(id).await;
                return Ok(true);
            }
            tokio::time::sleep(backoff(attempt)).await;
        }
        Err(Error::Unavailable(Fault::new("delete recipient: its email keeps changing")))
    }
}
