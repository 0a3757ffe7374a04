//! API keys: one item under the key's digest, by which requests find it, and one in its account, by which it is listed
//! and revoked.

use serde::{Deserialize, Serialize};

use super::transaction::Transaction;
use super::{Error, Partition, Store, accounts, text};
use crate::model::api_key::{ApiKeyRecord, Mode};
use crate::model::audit::Entry;
use crate::values::clock::Timestamp;
use crate::values::digest::Digest;
use crate::values::id::{AccountId, ApiKeyId};
use crate::values::text::Text;

const SORT_KEY: &str = "KEY";

const OF_ANOTHER_KEY: &str = "revoke API key: its item in the account belongs to another key";

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiKeyItem {
    pk: String,
    sk: String,
    id: ApiKeyId,
    account: AccountId,
    mode: Mode,
    name: Text,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    /// The partition of the item under the digest; only in the account's copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest_pk: Option<String>,
}

impl From<ApiKeyItem> for ApiKeyRecord {
    fn from(item: ApiKeyItem) -> Self {
        Self {
            id: item.id,
            account: item.account,
            mode: item.mode,
            name: item.name,
            created_at: item.created_at,
            expires_at: item.expires_at,
            revoked_at: item.revoked_at,
        }
    }
}

fn partition(digest: &Digest) -> String {
    Partition::Key.of(digest.expose_hex())
}

fn sort_key_in_account(key: ApiKeyId) -> String {
    format!("KEY#{key}")
}

/// Outcome of the creation of an API key.
#[derive(Debug, PartialEq, Eq)]
pub enum ApiKeyCreation {
    /// It is created.
    Created,
    /// Its account does not exist.
    NoAccount,
}

/// Outcome of the revocation of an API key.
#[derive(Debug, PartialEq, Eq)]
pub enum ApiKeyRevocation {
    /// It is revoked, now or earlier.
    Revoked,
    /// The account has no such key.
    NoKey,
}

impl Store {
    /// Returns the key with this digest; one read.
    pub async fn api_key(&self, digest: &Digest) -> Result<Option<ApiKeyRecord>, Error> {
        let item: Option<ApiKeyItem> = self.get(partition(digest), SORT_KEY).await?;
        Ok(item.map(ApiKeyRecord::from))
    }

    /// Creates a key of an existing account.
    pub async fn create_api_key(
        &self,
        key: &ApiKeyRecord,
        digest: &Digest,
        entry: &Entry,
    ) -> Result<ApiKeyCreation, Error> {
        const ACCOUNT: usize = 0;
        let by_digest = ApiKeyItem {
            pk: partition(digest),
            sk: SORT_KEY.to_owned(),
            id: key.id,
            account: key.account,
            mode: key.mode,
            name: key.name.clone(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            digest_pk: None,
        };
        let in_account = ApiKeyItem {
            pk: accounts::partition(key.account),
            sk: sort_key_in_account(key.id),
            digest_pk: Some(by_digest.pk.clone()),
            ..by_digest.clone()
        };
        let items = vec![
            self.check_exists(Self::key(accounts::partition(key.account), accounts::SORT_KEY))?,
            self.put_new(&by_digest)?,
            self.put_new(&in_account)?,
        ];
        match self.transact(items, entry).await? {
            Transaction::Done => Ok(ApiKeyCreation::Created),
            Transaction::Refused(refusal) if refusal.condition_failed(ACCOUNT) => {
                Ok(ApiKeyCreation::NoAccount)
            }
            Transaction::Refused(_) => Err(Error::unexpected_refusal("create API key")),
        }
    }

    /// Returns all keys of an account, oldest first.
    pub async fn api_keys(&self, account: AccountId) -> Result<Vec<ApiKeyRecord>, Error> {
        let items: Vec<ApiKeyItem> = self.query(accounts::partition(account), "KEY#", "KEY#~").await?;
        Ok(items.into_iter().map(ApiKeyRecord::from).collect())
    }

    /// Revokes a key: once this returns, every request with it is refused. A key that is revoked already stays as it is.
    ///
    /// The account's item says where the key's own item is, by which requests are judged. Both must say that they are of
    /// this key and this account: else it fails, and nothing is revoked. If something other than this code has revoked one
    /// of them, the other one is revoked too.
    pub async fn revoke_api_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        entry: impl Fn() -> Entry,
        now: Timestamp,
    ) -> Result<ApiKeyRevocation, Error> {
        const IS_OF_KEY: &str = "id = :id AND account = :account";
        const IS_VALID: &str = "id = :id AND account = :account AND attribute_not_exists(revokedAt)";
        let (pk, sk) = (accounts::partition(account), sort_key_in_account(id));
        // A second time if another one has revoked it since the read.
        for _ in 1..=2 {
            let Some(listed) = self.get::<ApiKeyItem>(&pk, &sk).await? else {
                return Ok(ApiKeyRevocation::NoKey);
            };
            let digest_pk = listed.digest_pk.ok_or_else(|| Error::internal("stored key has no digest"))?;
            let own: Option<ApiKeyItem> = self.get(&digest_pk, SORT_KEY).await?;
            let own = own.filter(|own| own.id == id && own.account == account);
            let own = own.ok_or_else(|| Error::internal(OF_ANOTHER_KEY))?;
            if own.revoked_at.is_some() && listed.revoked_at.is_some() {
                return Ok(ApiKeyRevocation::Revoked);
            }
            let revoke = |key, revoked_at: Option<Timestamp>| {
                let condition = if revoked_at.is_some() { IS_OF_KEY } else { IS_VALID };
                let values = [(":now", text(now)), (":id", text(id)), (":account", text(account))];
                self.update(key, condition, "SET revokedAt = if_not_exists(revokedAt, :now)", &values)
            };
            let items = vec![
                revoke(Self::key(digest_pk, SORT_KEY), own.revoked_at)?,
                revoke(Self::key(&pk, &sk), listed.revoked_at)?,
            ];
            if let Transaction::Done = self.transact(items, &entry()).await? {
                return Ok(ApiKeyRevocation::Revoked);
            }
        }
        Err(Error::internal(OF_ANOTHER_KEY))
    }
}
