//! Secrets: items beside their recipient's pointer, active and retired ones under different sort keys, so that one
//! Query reads the pointer and the active ones and never the retired.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem};
use serde::{Deserialize, Serialize};

use super::{Store, Transaction, inexplicable, recipients};
use crate::clock::Timestamp;
use crate::error::{Error, Fault};
use crate::id::{AccountId, RecipientId, SecretId};
use crate::secret::NewSecret;

const ACTIVE_PREFIX: &str = "SECRET#";
/// Sorts behind every active secret and before every retired one, `SECRET_RETIRED#…`.
const ACTIVE_END: &str = "SECRET#~";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecretItem<'a> {
    pk: String,
    sk: String,
    id: SecretId,
    recipient: RecipientId,
    name: &'a str,
    /// The SHA-256 of the value, 64 hex digits.
    digest: String,
    created_at: Timestamp,
    /// `expiresInDays`, which a replacement inherits.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime_days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// Lets DynamoDB remove the item some days after its expiry, in epoch seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
}

/// What the Query of a recipient's partition fetches of a pointer or an active secret.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartitionItem {
    sk: String,
    account: Option<AccountId>,
    expires_at: Option<Timestamp>,
}

/// A recipient as its secrets' partition knows it.
#[derive(Clone, Debug)]
pub struct RecipientWithSecrets {
    /// The account it belongs to.
    pub account: AccountId,
    /// How many of its secrets are active and not expired.
    pub active_secrets: usize,
}

/// How the creation of a secret ended.
#[derive(Debug)]
pub enum SecretCreation {
    /// It is there.
    Created,
    /// The recipient is gone.
    NoRecipient,
}

impl Store {
    /// The recipient of this id with a count of its active secrets at `now`; one Query.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn recipient_with_secrets(
        &self,
        id: RecipientId,
        now: Timestamp,
    ) -> Result<Option<RecipientWithSecrets>, Error> {
        let items: Vec<PartitionItem> = self
            .query(
                recipients::partition(id),
                recipients::POINTER_SORT_KEY,
                ACTIVE_END,
                &["sk", "account", "expiresAt"],
            )
            .await?;
        let mut pointer = None;
        let mut active_secrets = 0;
        for item in items {
            if item.sk == recipients::POINTER_SORT_KEY {
                let account = item
                    .account
                    .ok_or_else(|| Error::Internal(Fault::new("stored recipient has no account")))?;
                pointer = Some(account);
            } else if item.expires_at.is_none_or(|expiry| now < expiry) {
                active_secrets += 1;
            }
        }
        Ok(pointer.map(|account| RecipientWithSecrets { account, active_secrets }))
    }

    /// Writes a new secret of a recipient that exists at that instant.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn create_secret(&self, secret: &NewSecret) -> Result<SecretCreation, Error> {
        let expires_at = secret.expires_at();
        let item = SecretItem {
            pk: recipients::partition(secret.recipient),
            sk: format!("{ACTIVE_PREFIX}{}", secret.id),
            id: secret.id,
            recipient: secret.recipient,
            name: secret.name.as_str(),
            digest: secret.digest.expose_hex(),
            created_at: secret.created_at,
            lifetime_days: secret.lifetime.days(),
            expires_at,
            ttl: expires_at.map(Timestamp::unix_seconds_rounded_up),
        };
        let recipient_exists = ConditionCheck::builder()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(item.pk.clone()))
            .key("sk", AttributeValue::S(recipients::POINTER_SORT_KEY.to_owned()))
            .condition_expression("attribute_exists(pk)")
            .build()
            .map_err(|_| Error::Internal(Fault::new("ConditionCheck: incomplete")))?;
        let items = vec![
            TransactWriteItem::builder().condition_check(recipient_exists).build(),
            self.put_new(&item)?,
        ];
        match self.transact(items, secret.id.to_string()).await? {
            Transaction::Done => Ok(SecretCreation::Created),
            Transaction::Refused(reasons)
                if reasons.first().and_then(|reason| reason.code()) == Some("ConditionalCheckFailed") =>
            {
                Ok(SecretCreation::NoRecipient)
            }
            Transaction::Refused(_) => Err(inexplicable("create secret")),
        }
    }
}
