//! Accounts: who owns docks and keys.

use serde::Serialize;

use super::{Store, Transaction};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::AccountId;
use crate::name::Name;

/// An account: the institution, or the part of one, that owns docks and keys.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What the operator calls it.
    pub name: Name,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The partition of an account: the account itself, its keys, its docks.
pub(super) fn partition(account: AccountId) -> String {
    format!("ACCOUNT#{account}")
}

/// The sort key of the account itself in its partition.
pub(super) const SORT_KEY: &str = "ACCOUNT";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountItem<'a> {
    pk: String,
    sk: &'static str,
    id: AccountId,
    name: &'a str,
    created_at: Timestamp,
}

impl Store {
    /// Writes a new account; `false` if there is one of this id.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn create_account(&self, account: &Account) -> Result<bool, Error> {
        let item = AccountItem {
            pk: partition(account.id),
            sk: SORT_KEY,
            id: account.id,
            name: account.name.as_str(),
            created_at: account.created_at,
        };
        let written = self.transact(vec![self.put_new(&item)?], account.id.to_string()).await?;
        Ok(matches!(written, Transaction::Done))
    }
}
