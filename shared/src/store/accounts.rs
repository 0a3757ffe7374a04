//! Accounts: who owns docks and API keys.

use serde::Serialize;

use super::transaction::Transaction;
use super::{Error, Partition, Store};
use crate::model::account::Account;
use crate::values::clock::Timestamp;
use crate::values::id::AccountId;
use crate::values::text::Text;

/// The partition of an account: the account, its API keys and its docks.
pub(super) fn partition(account: AccountId) -> String {
    Partition::Account.of(account)
}

/// The sort key of the account in its partition.
pub(super) const SORT_KEY: &str = "ACCOUNT";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountItem<'a> {
    pk: String,
    sk: &'static str,
    id: AccountId,
    name: &'a Text,
    created_at: Timestamp,
}

/// Outcome of the creation of an account.
#[derive(Debug, PartialEq, Eq)]
pub enum AccountCreation {
    /// It is created.
    Created,
    /// An account of this id exists.
    IdTaken,
}

impl Store {
    /// Creates an account.
    pub async fn create_account(&self, account: &Account) -> Result<AccountCreation, Error> {
        let item = AccountItem {
            pk: partition(account.id),
            sk: SORT_KEY,
            id: account.id,
            name: &account.name,
            created_at: account.created_at,
        };
        match self.transact(vec![self.put_new(&item)?], account.id.to_string()).await? {
            Transaction::Done => Ok(AccountCreation::Created),
            Transaction::Refused(_) => Ok(AccountCreation::IdTaken),
        }
    }
}
