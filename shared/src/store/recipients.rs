//! Recipients: one item in the dock under the email, which makes the email unique there, and a pointer to it under
//! the recipient's id, beside its secrets.
//!
//! Between a read of the pointer and the read or write of the item that it points to, the email can change hands. So
//! the item must have the id that was asked for; if not, the pointer is read again.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValue};
use serde::{Deserialize, Serialize};

use super::retry::{MAX_ATTEMPTS, back_off};
use super::transaction::{Transaction, token};
use super::{Error, KeyRange, Partition, Store, docks, from_item, text};
use crate::model::idempotency::{IdempotentRequest, Outcome, StoredResponse};
use crate::model::identifiers::Identifiers;
use crate::model::owned::Owned;
use crate::model::recipient::{Recipient, RecipientChanges, StakeholderClass};
use crate::values::clock::Timestamp;
use crate::values::email::Email;
use crate::values::id::{AccountId, DockId, RecipientId};
use crate::values::page::{Page, PageRequest};
use crate::values::patch::Patch;
use crate::values::text::Text;

/// The partition of a recipient: the pointer and the secrets.
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
    /// Counts the changes, so that a change of the email overwrites no other change.
    version: u64,
}

impl RecipientItem {
    fn new(recipient: Recipient, version: u64) -> Self {
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
            version,
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
        }
    }
}

#[derive(Serialize)]
struct PointerItem<'a> {
    pk: String,
    sk: &'static str,
    dock: DockId,
    account: AccountId,
    email: &'a Email,
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

impl From<RecipientItem> for RecipientUpdate {
    fn from(item: RecipientItem) -> Self {
        Self::Updated(Box::new(item.into()))
    }
}

/// Outcome of a deletion of a recipient.
#[derive(Debug, PartialEq, Eq)]
pub enum RecipientDeletion {
    /// It is deleted.
    Deleted,
    /// It no longer exists.
    NoRecipient,
}

impl Store {
    /// Creates a recipient and its pointer, and stores the response if the request carries an idempotency key.
    pub async fn create_recipient(
        &self,
        recipient: &Recipient,
        idempotency: Option<(&IdempotentRequest, &StoredResponse)>,
    ) -> Result<Outcome<EmailTaken>, Error> {
        const RECIPIENT: usize = 0;
        let pointer = PointerItem {
            pk: partition(recipient.id),
            sk: POINTER_SORT_KEY,
            dock: recipient.dock,
            account: recipient.account,
            email: &recipient.email,
        };
        let item = RecipientItem::new(recipient.clone(), 0);
        let items = vec![self.put_new(&item)?, self.put_new(&pointer)?];
        self.transact_idempotently(items, recipient.id.to_string(), idempotency, |refusal| {
            match refusal.existing_item::<RecipientItem>(RECIPIENT)? {
                Some(holder) => Ok(EmailTaken(holder.id)),
                None => Err(Error::unexpected_refusal("create recipient")),
            }
        })
        .await
    }

    /// Returns where the recipient of this id is; one `GetItem`.
    pub async fn recipient_pointer(&self, id: RecipientId) -> Result<Option<RecipientPointer>, Error> {
        self.get(partition(id), POINTER_SORT_KEY).await
    }

    /// Returns the recipient whose pointer was read; one `GetItem`.
    pub async fn recipient(
        &self,
        id: RecipientId,
        pointer: RecipientPointer,
    ) -> Result<Option<Recipient>, Error> {
        Ok(self.recipient_item(id, Some(pointer)).await?.map(Recipient::from))
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
        mut pointer: Option<RecipientPointer>,
    ) -> Result<Option<RecipientItem>, Error> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(at) = self.next_pointer(id, &mut pointer).await? else { return Ok(None) };
            let item: Option<RecipientItem> =
                self.get(docks::partition(at.dock), sort_key(&at.email)).await?;
            if let Some(item) = item.filter(|item| item.id == id) {
                return Ok(Some(item));
            }
        }
        Err(Error::unavailable("recipient: its email keeps changing"))
    }

    /// Returns the recipient of the dock that has this email; one `GetItem`.
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

    /// Changes the recipient whose pointer was read.
    pub async fn update_recipient(
        &self,
        id: RecipientId,
        pointer: RecipientPointer,
        changes: &RecipientChanges,
        now: Timestamp,
    ) -> Result<RecipientUpdate, Error> {
        let mut pointer = Some(pointer);
        for attempt in 1..=MAX_ATTEMPTS {
            let Some(at) = self.next_pointer(id, &mut pointer).await? else {
                return Ok(RecipientUpdate::NoRecipient);
            };
            let moves = changes.email.as_ref().is_some_and(|email| email.as_str() != at.email);
            let updated = if changes.is_empty() {
                self.recipient_item(id, Some(at)).await?.map(RecipientUpdate::from)
            } else if moves {
                self.move_recipient(id, at, changes, now).await?
            } else {
                self.update_in_place(id, &at, changes, now).await?.map(RecipientUpdate::from)
            };
            if let Some(updated) = updated {
                return Ok(updated);
            }
            back_off(attempt).await;
        }
        Err(Error::unavailable("update recipient: too many changes at once"))
    }

    /// Changes everything but the email, in one write; `None` if the pointer is out of date.
    async fn update_in_place(
        &self,
        id: RecipientId,
        at: &RecipientPointer,
        changes: &RecipientChanges,
        now: Timestamp,
    ) -> Result<Option<RecipientItem>, Error> {
        let mut expression = UpdateExpression::default();
        expression.set("updatedAt = :now", ":now", text(now));
        expression.set("version = version + :one", ":one", AttributeValue::N("1".to_owned()));
        if let Some(name) = &changes.name {
            expression.set("#name = :name", ":name", text(name));
        }
        let mut set_identifiers = |identifiers: &Identifiers| {
            expression.set("identifiers = :identifiers", ":identifiers", attribute(identifiers));
        };
        match &changes.identifiers {
            Patch::Keep => {}
            Patch::Clear => set_identifiers(&Identifiers::default()),
            Patch::Set(identifiers) => set_identifiers(identifiers),
        }
        match changes.stakeholder_class {
            Patch::Keep => {}
            Patch::Clear => expression.remove = " REMOVE stakeholderClass",
            Patch::Set(class) => expression.set("stakeholderClass = :class", ":class", text(class)),
        }
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Self::key(docks::partition(at.dock), sort_key(&at.email))))
            .condition_expression("id = :id")
            .update_expression(format!("SET {}{}", expression.set.join(", "), expression.remove))
            .set_expression_attribute_names(
                changes.name.is_some().then(|| [("#name".to_owned(), "name".to_owned())].into()),
            )
            .set_expression_attribute_values(Some(expression.values))
            .expression_attribute_values(":id", text(id))
            .return_values(ReturnValue::AllNew)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        for attempt in 1.. {
            let error = match self.record.call(update.clone().send()).await {
                Ok(output) => {
                    self.record.add_write(output.consumed_capacity);
                    return output.attributes.map(from_item).transpose();
                }
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => return Ok(None),
                // A transaction is at work on the item; the SDK does not retry.
                Some(UpdateItemError::TransactionConflictException(_)) if attempt < MAX_ATTEMPTS => {
                    back_off(attempt).await;
                }
                _ => return Err(Error::of_call("UpdateItem", &error)),
            }
        }
        Err(Error::unexpected_refusal("update recipient"))
    }

    /// Moves a recipient to its new email, and changes the rest, in one transaction; `None` if the recipient changed
    /// since it was read.
    async fn move_recipient(
        &self,
        id: RecipientId,
        at: RecipientPointer,
        changes: &RecipientChanges,
        now: Timestamp,
    ) -> Result<Option<RecipientUpdate>, Error> {
        const NEW: usize = 0;
        const OLD: usize = 1;
        const POINTER: usize = 2;
        let old_key = Self::key(docks::partition(at.dock), sort_key(&at.email));
        let old_email = at.email.clone();
        let Some(item) = self.recipient_item(id, Some(at)).await? else {
            return Ok(Some(RecipientUpdate::NoRecipient));
        };
        if item.email.as_str() != old_email {
            return Ok(None);
        }
        let version = item.version;
        let recipient = changes.clone().apply(item.into(), now);
        let is_unchanged = [(":id", text(id)), (":version", AttributeValue::N(version.to_string()))];
        let emails = [(":old", text(old_email)), (":new", text(recipient.email.as_str()))];
        let pointer_key = Self::key(partition(id), POINTER_SORT_KEY);
        let items = vec![
            self.put_new(&RecipientItem::new(recipient.clone(), version + 1))?,
            self.delete(old_key, "id = :id AND version = :version", &is_unchanged)?,
            self.update(pointer_key, "email = :old", "SET email = :new", &emails)?,
        ];
        match self.transact(items, token()).await? {
            Transaction::Done => Ok(Some(RecipientUpdate::Updated(Box::new(recipient)))),
            // The recipient changed since it was read, whoever has the email.
            Transaction::Refused(refusal)
                if refusal.condition_failed(OLD) || refusal.condition_failed(POINTER) =>
            {
                Ok(None)
            }
            Transaction::Refused(refusal) => match refusal.existing_item::<RecipientItem>(NEW)? {
                Some(holder) => Ok(Some(RecipientUpdate::EmailTaken(EmailTaken(holder.id)))),
                None => Err(Error::unexpected_refusal("move recipient")),
            },
        }
    }

    /// Deletes the recipient whose pointer was read, its secrets first. It can be interrupted anywhere and repeated:
    /// what is left is a recipient with fewer secrets.
    pub async fn delete_recipient(
        &self,
        id: RecipientId,
        pointer: RecipientPointer,
    ) -> Result<RecipientDeletion, Error> {
        self.delete_secrets(id).await?;
        let mut pointer = Some(pointer);
        for attempt in 1..=MAX_ATTEMPTS {
            let Some(at) = self.next_pointer(id, &mut pointer).await? else {
                return Ok(RecipientDeletion::NoRecipient);
            };
            let recipient_key = Self::key(docks::partition(at.dock), sort_key(&at.email));
            let pointer_key = Self::key(partition(id), POINTER_SORT_KEY);
            let items = vec![
                self.delete(pointer_key, "email = :email", &[(":email", text(at.email))])?,
                self.delete(recipient_key, "id = :id", &[(":id", text(id))])?,
            ];
            if let Transaction::Done = self.transact(items, token()).await? {
                // A secret that was generated in the meantime verifies for nobody, but would stay forever. The
                // recipient is deleted, so a failure here is not reported.
                let _ = self.delete_secrets(id).await;
                return Ok(RecipientDeletion::Deleted);
            }
            back_off(attempt).await;
        }
        Err(Error::unavailable("delete recipient: its email keeps changing"))
    }
}

/// The parts of an update expression.
#[derive(Default)]
struct UpdateExpression {
    set: Vec<&'static str>,
    remove: &'static str,
    values: super::Item,
}

impl UpdateExpression {
    fn set(&mut self, assignment: &'static str, placeholder: &str, value: AttributeValue) {
        self.set.push(assignment);
        self.values.insert(placeholder.to_owned(), value);
    }
}

fn attribute(identifiers: &Identifiers) -> AttributeValue {
    let entries = identifiers.entries().iter();
    AttributeValue::M(entries.map(|(key, value)| (key.clone(), text(value))).collect())
}
