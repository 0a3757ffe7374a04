//! Recipients: one item in the dock under the email, which makes the email unique there, and a pointer to it under
//! the recipient's id, beside its secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Store, Transaction, docks, inexplicable, obstacle};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::{AccountId, DockId, RecipientId};
use crate::recipient::{Recipient, StakeholderClass};

/// The partition of a recipient: the pointer and the secrets.
pub(super) fn partition(recipient: RecipientId) -> String {
    format!("RECIPIENT#{recipient}")
}

/// The sort key of the pointer in a recipient's partition.
pub(super) const POINTER_SORT_KEY: &str = "RECIPIENT";

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
}

#[derive(Serialize)]
struct PointerItem<'a> {
    pk: String,
    sk: &'static str,
    dock: DockId,
    account: AccountId,
    email: &'a str,
}

/// How the creation of a recipient ended.
#[derive(Debug)]
pub enum RecipientCreation {
    /// It is registered.
    Created,
    /// Another recipient of the dock has the email: this one.
    EmailTaken(RecipientId),
}

impl Store {
    /// Registers a new recipient: the recipient and its pointer, or neither.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn create_recipient(&self, recipient: &Recipient) -> Result<RecipientCreation, Error> {
        let email = recipient.email.as_str();
        let item = RecipientItem {
            pk: docks::partition(recipient.dock),
            sk: format!("RECIPIENT#{email}"),
            id: recipient.id,
            dock: recipient.dock,
            account: recipient.account,
            name: recipient.name.as_str().to_owned(),
            email: email.to_owned(),
            stakeholder_class: recipient.stakeholder_class,
            identifiers: recipient.identifiers.entries().clone(),
            created_at: recipient.created_at,
        };
        let pointer = PointerItem {
            pk: partition(recipient.id),
            sk: POINTER_SORT_KEY,
            dock: recipient.dock,
            account: recipient.account,
            email,
        };
        let items = vec![self.put_new(&item)?, self.put_new(&pointer)?];
        let reasons = match self.transact(items, recipient.id.to_string()).await? {
            Transaction::Done => return Ok(RecipientCreation::Created),
            Transaction::Refused(reasons) => reasons,
        };
        match obstacle::<RecipientItem>(reasons, 0)? {
            // An earlier attempt of this very request, whose answer was lost longer ago than the token lasts.
            Some(holder) if holder.id == recipient.id => Ok(RecipientCreation::Created),
            Some(holder) => Ok(RecipientCreation::EmailTaken(holder.id)),
            None => Err(inexplicable("create recipient")),
        }
    }
}
