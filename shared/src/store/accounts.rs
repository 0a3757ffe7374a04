//! Accounts: who owns docks and API keys.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use serde::{Deserialize, Serialize};

use super::transaction::Transaction;
use super::{Error, Partition, Store, from_item};
use crate::model::account::Account;
use crate::model::audit::Entry;
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

/// What is read of an account's item.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadAccount {
    id: AccountId,
    name: Text,
    created_at: Timestamp,
}

impl From<ReadAccount> for Account {
    fn from(item: ReadAccount) -> Self {
        Self { id: item.id, name: item.name, created_at: item.created_at }
    }
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
    pub async fn create_account(&self, account: &Account, entry: &Entry) -> Result<AccountCreation, Error> {
        let item = AccountItem {
            pk: partition(account.id),
            sk: SORT_KEY,
            id: account.id,
            name: &account.name,
            created_at: account.created_at,
        };
        match self.transact(vec![self.put_new(&item)?], entry).await? {
            Transaction::Done => Ok(AccountCreation::Created),
            Transaction::Refused(_) => Ok(AccountCreation::IdTaken),
        }
    }

    /// Returns the account of this id; one read.
    pub async fn account(&self, id: AccountId) -> Result<Option<Account>, Error> {
        let item: Option<ReadAccount> = self.get(partition(id), SORT_KEY).await?;
        Ok(item.map(Account::from))
    }

    /// Returns all accounts, oldest first. It reads the whole table, since accounts have no index: one Scan for each
    /// MB, 256 read units. For an operator; no request may wait for it.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        let mut accounts = Vec::new();
        let mut scan = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .filter_expression("sk = :account")
            .expression_attribute_values(":account", AttributeValue::S(SORT_KEY.to_owned()))
            // "name" is a word of DynamoDB's own.
            .projection_expression("id, #name, createdAt")
            .expression_attribute_names("#name", "name")
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        loop {
            let page = self.record.call(scan.clone().send()).await;
            let page = page.map_err(|error| Error::of_call("Scan", &error))?;
            self.record.add_read(page.consumed_capacity);
            for item in page.items.unwrap_or_default() {
                accounts.push(Account::from(from_item::<ReadAccount>(item)?));
            }
            if page.last_evaluated_key.is_none() {
                break;
            }
            scan = scan.set_exclusive_start_key(page.last_evaluated_key);
        }
        accounts.sort_by_key(|account| account.id);
        Ok(accounts)
    }
}
