//! API keys: one item under the key's digest, by which it is recognised, and one in its account, by which it is listed
//! and revoked.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem, Update};
use serde::{Deserialize, Serialize};

use super::{Store, Transaction, accounts, inexplicable};
use crate::api_key::{ApiKeyRecord, Mode};
use crate::clock::Timestamp;
use crate::digest::Digest;
use crate::error::{Error, Fault};
use crate::id::{AccountId, KeyId};
use crate::name::Name;

const SORT_KEY: &str = "KEY";

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiKeyItem {
    pk: String,
    sk: String,
    id: KeyId,
    account: AccountId,
    mode: Mode,
    name: String,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    /// The partition of the item under the digest; only in the account's copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest_pk: Option<String>,
}

impl TryFrom<ApiKeyItem> for ApiKeyRecord {
    type Error = Error;

    fn try_from(item: ApiKeyItem) -> Result<Self, Error> {
        Ok(Self {
            id: item.id,
            account: item.account,
            mode: item.mode,
            name: Name::parse(&item.name)
                .map_err(|_| Error::Internal(Fault::new("stored key has a bad name")))?,
            created_at: item.created_at,
            expires_at: item.expires_at,
            revoked_at: item.revoked_at,
        })
    }
}

fn partition(digest: &Digest) -> String {
    format!("KEY#{}", digest.expose_hex())
}

fn sort_key_in_account(key: KeyId) -> String {
    format!("KEY#{key}")
}

impl Store {
    /// The key of this digest; one `GetItem`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn api_key(&self, digest: &Digest) -> Result<Option<ApiKeyRecord>, Error> {
        let item: Option<ApiKeyItem> = self.get(partition(digest), SORT_KEY).await?;
        item.map(ApiKeyRecord::try_from).transpose()
    }

    /// Writes a new key of an account that exists; `false` if it does not.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn create_api_key(&self, key: &ApiKeyRecord, digest: &Digest) -> Result<bool, Error> {
        let by_digest = ApiKeyItem {
            pk: partition(digest),
            sk: SORT_KEY.to_owned(),
            id: key.id,
            account: key.account,
            mode: key.mode,
            name: key.name.as_str().to_owned(),
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
        let account_exists = ConditionCheck::builder()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(accounts::partition(key.account)))
            .key("sk", AttributeValue::S(accounts::SORT_KEY.to_owned()))
            .condition_expression("attribute_exists(pk)")
            .build()
            .map_err(|_| Error::Internal(Fault::new("ConditionCheck: incomplete")))?;
        let items = vec![
            TransactWriteItem::builder().condition_check(account_exists).build(),
            self.put_new(&by_digest)?,
            self.put_new(&in_account)?,
        ];
        match self.transact(items, key.id.to_string()).await? {
            Transaction::Done => Ok(true),
            Transaction::Refused(reasons)
                if reasons.first().and_then(|reason| reason.code()) == Some("ConditionalCheckFailed") =>
            {
                Ok(false)
            }
            Transaction::Refused(_) => Err(inexplicable("create API key")),
        }
    }

    /// All keys of an account, oldest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn api_keys(&self, account: AccountId) -> Result<Vec<ApiKeyRecord>, Error> {
        let items: Vec<ApiKeyItem> = self.query(accounts::partition(account), "KEY#", "KEY#~").await?;
        items.into_iter().map(ApiKeyRecord::try_from).collect()
    }

    /// Revokes a key: from the answer on it opens nothing. `false` if the account has no such key. A key that was
    /// revoked before keeps its first time.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn revoke_api_key(
        &self,
        account: AccountId,
        key: KeyId,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let (pk, sk) = (accounts::partition(account), sort_key_in_account(key));
        let Some(item) = self.get::<ApiKeyItem>(&pk, &sk).await? else { return Ok(false) };
        let digest_pk =
            item.digest_pk.ok_or_else(|| Error::Internal(Fault::new("stored key has no digest")))?;
        let revoke = |pk: String, sk: String| {
            let update = Update::builder()
                .table_name(&self.table)
                .key("pk", AttributeValue::S(pk))
                .key("sk", AttributeValue::S(sk))
                .condition_expression("attribute_exists(pk)")
                .update_expression("SET revokedAt = if_not_exists(revokedAt, :now)")
                .expression_attribute_values(":now", AttributeValue::S(now.to_string()))
                .build()
                .map_err(|_| Error::Internal(Fault::new("Update: incomplete")))?;
            Ok(TransactWriteItem::builder().update(update).build())
        };
        let items = vec![revoke(digest_pk, SORT_KEY.to_owned())?, revoke(pk, sk)?];
        let token = KeyId::generate(now, &mut crate::random::system()).to_string();
        match self.transact(items, token).await? {
            Transaction::Done => Ok(true),
            Transaction::Refused(_) => Err(inexplicable("revoke API key")),
        }
    }
}
