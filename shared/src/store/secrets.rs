//! Secrets: items beside their recipient's pointer, active and retired ones under different sort keys, so that one
//! Query reads the pointer and the active ones and never the retired.

use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};

use super::recipients::{self, POINTER_SORT_KEY, RecipientPointer};
use super::retry::{MAX_ATTEMPTS, back_off};
use super::transaction::{Refusal, Transaction};
use super::{Error, Item, KeyRange, QueryPage, Store};
use crate::model::audit::Entry;
use crate::model::idempotency::{IdempotentRequest, Outcome, StoredResponse};
use crate::model::owned::Owned;
use crate::model::secret::{
    ActiveSecret, Lifetime, RETIRED_DAYS, Replacement, RetiredSecret, Retirement, RotatedAway, Rotation,
    Secret,
};
use crate::values::clock::Timestamp;
use crate::values::digest::Digest;
use crate::values::id::{AccountId, DockId, RecipientId, SecretId};
use crate::values::page::{Page, PageRequest};
use crate::values::text::Text;

const ACTIVE_PREFIX: &str = "SECRET#";
/// Sorts behind every active secret and before every retired one.
pub(super) const ACTIVE_END: &str = "SECRET#~";
const RETIRED_PREFIX: &str = "SECRET_RETIRED#";
const RETIRED_END: &str = "SECRET_RETIRED#~";

/// A secret in either state. What retired it is only set if something did.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretItem {
    pk: String,
    sk: String,
    id: SecretId,
    recipient: RecipientId,
    name: Text,
    /// The SHA-256 of the value, 64 hex digits.
    digest: String,
    created_at: Timestamp,
    /// `expiresInDays`, which a replacement inherits.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime_days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotated_from: Option<SecretId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotated_to: Option<SecretId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotated_at: Option<Timestamp>,
    /// Until when a rotated secret verifies. Meanwhile it has an item among the active ones too.
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_ends_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    /// When DynamoDB may delete the item: at its expiry, or [`RETIRED_DAYS`] after its retirement; in epoch seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
}

impl SecretItem {
    fn active(secret: &ActiveSecret) -> Self {
        Self {
            pk: recipients::partition(secret.recipient),
            sk: format!("{ACTIVE_PREFIX}{}", secret.id),
            id: secret.id,
            recipient: secret.recipient,
            name: secret.name.clone(),
            digest: secret.digest.expose_hex(),
            created_at: secret.created_at,
            lifetime_days: secret.lifetime.days(),
            expires_at: secret.expires_at,
            rotated_from: secret.rotated_from,
            rotated_to: None,
            rotated_at: None,
            grace_ends_at: None,
            revoked_at: None,
            ttl: secret.expires_at.map(Timestamp::unix_seconds_rounded_up),
        }
    }

    fn retired(retired: &RetiredSecret) -> Self {
        let mut item = Self::active(&retired.secret);
        item.sk = format!("{RETIRED_PREFIX}{}", item.id);
        item.ttl = Some(retired.retired_at().plus_days(RETIRED_DAYS).unix_seconds_rounded_up());
        let replacement = match retired.retirement {
            Retirement::Rotated(replacement) => Some(replacement),
            Retirement::Revoked { at, rotated } => {
                item.revoked_at = Some(at);
                rotated
            }
        };
        if let Some(Replacement { at, to, grace_ends_at }) = replacement {
            (item.rotated_at, item.rotated_to, item.grace_ends_at) = (Some(at), Some(to), grace_ends_at);
        }
        item
    }
}

impl TryFrom<SecretItem> for Secret {
    type Error = Error;

    fn try_from(item: SecretItem) -> Result<Self, Error> {
        let bad = || Error::internal("stored secret has a bad digest or retirement");
        let secret = ActiveSecret {
            id: item.id,
            recipient: item.recipient,
            name: item.name,
            digest: Digest::from_hex(&item.digest).ok_or_else(bad)?,
            lifetime: Lifetime::from_store(item.lifetime_days),
            created_at: item.created_at,
            expires_at: item.expires_at,
            rotated_from: item.rotated_from,
        };
        let rotated = match (item.rotated_at, item.rotated_to) {
            (None, None) => None,
            (Some(at), Some(to)) => Some(Replacement { at, to, grace_ends_at: item.grace_ends_at }),
            _ => return Err(bad()),
        };
        let retirement = match (item.revoked_at, rotated) {
            (Some(at), rotated) => Retirement::Revoked { at, rotated },
            (None, Some(rotated)) => Retirement::Rotated(rotated),
            (None, None) => return Ok(Self::Active(secret)),
        };
        Ok(Self::Retired(RetiredSecret { secret, retirement }))
    }
}

/// An item of a recipient's partition.
#[derive(Deserialize)]
#[serde(untagged)]
enum PartitionItem {
    Secret(Box<SecretItem>),
    Pointer(RecipientPointer),
}

/// A recipient with its active secrets. Some of them may have expired.
pub struct RecipientWithSecrets {
    /// The account it belongs to.
    pub account: AccountId,
    /// The dock it belongs to.
    pub dock: DockId,
    /// Its active secrets.
    pub active: Vec<ActiveSecret>,
}

impl Owned for RecipientWithSecrets {
    fn owner(&self) -> AccountId {
        self.account
    }
}

/// A secret of an existing recipient.
pub struct FoundSecret {
    /// The account it belongs to.
    pub account: AccountId,
    /// The dock that its recipient belongs to.
    pub dock: DockId,
    /// The secret.
    pub secret: Secret,
}

impl Owned for FoundSecret {
    fn owner(&self) -> AccountId {
        self.account
    }
}

/// The recipient no longer exists.
#[derive(Debug, PartialEq, Eq)]
pub struct NoRecipient;

/// Why a secret was not rotated.
#[derive(Debug, PartialEq, Eq)]
pub enum RotationRefused {
    /// It was retired first, by another request.
    Retired(Retirement),
    /// It or its recipient no longer exists.
    Gone,
}

/// Outcome of the revocation of a secret.
#[derive(Debug, PartialEq, Eq)]
pub enum SecretRevocation {
    /// It is revoked, by this call.
    Revoked,
    /// It was revoked before.
    Repeated,
    /// It was rotated, and its grace, if it had one, is over.
    RotatedAway,
    /// It no longer exists.
    Gone,
}

impl Store {
    /// Returns the recipient of this id with its active secrets; one Query.
    pub async fn recipient_with_secrets(
        &self,
        id: RecipientId,
    ) -> Result<Option<RecipientWithSecrets>, Error> {
        let items = self.query(recipients::partition(id), POINTER_SORT_KEY, ACTIVE_END).await?;
        let mut pointer = None;
        let mut active = Vec::new();
        for item in items {
            match item {
                PartitionItem::Pointer(found) => pointer = Some(found),
                PartitionItem::Secret(item) => active.push(active_secret(*item)?),
            }
        }
        Ok(pointer.map(|pointer| RecipientWithSecrets {
            account: pointer.account,
            dock: pointer.dock,
            active,
        }))
    }

    /// Returns one secret in any state; `None` if it or its recipient does not exist. One read, and a
    /// read after it if it finds no secret.
    pub async fn secret(&self, recipient: RecipientId, id: SecretId) -> Result<Option<FoundSecret>, Error> {
        let sort_keys =
            [POINTER_SORT_KEY.to_owned(), format!("{ACTIVE_PREFIX}{id}"), format!("{RETIRED_PREFIX}{id}")];
        let keys = sort_keys.into_iter().map(|sk| Self::key(recipients::partition(recipient), sk)).collect();
        let (mut pointer, mut secret) = (None, None);
        for item in self.get_all(keys).await? {
            match item {
                PartitionItem::Pointer(found) => pointer = Some(found),
                // A secret in its grace has both items. A batch is no snapshot: it may also show both of one that is
                // being retired.
                PartitionItem::Secret(item) => match ((*item).try_into()?, &secret) {
                    (Secret::Active(_), Some(Secret::Retired(_))) => {}
                    (found, _) => secret = Some(found),
                },
            }
        }
        if pointer.is_some() && secret.is_none() {
            // It may also show neither. A secret never becomes active again, so this read settles it.
            let retired = format!("{RETIRED_PREFIX}{id}");
            let item: Option<SecretItem> = self.get(recipients::partition(recipient), retired).await?;
            secret = item.map(Secret::try_from).transpose()?;
        }
        Ok(pointer.zip(secret).map(|(pointer, secret)| FoundSecret {
            account: pointer.account,
            dock: pointer.dock,
            secret,
        }))
    }

    /// Returns one page of a recipient's secrets, newest first; two Queries in sequence. A secret moves from the active
    /// to the retired ones and never back, so reading them in this order misses none; read at once, a secret that is
    /// being retired could be on neither page.
    pub async fn secrets(&self, recipient: RecipientId, page: &PageRequest) -> Result<Page<Secret>, Error> {
        let query = |prefix, to| {
            let range = KeyRange { from: prefix, to, ascending: false };
            let after = page.after.as_ref().map(|id| format!("{prefix}{id}"));
            self.query_page::<SecretItem>(recipients::partition(recipient), range, after, page.limit + 1)
        };
        let active = query(ACTIVE_PREFIX, ACTIVE_END).await?;
        let retired = query(RETIRED_PREFIX, RETIRED_END).await?;
        // A secret in its grace, or one that is retired between the two Queries, is in both: the retired one comes first.
        let QueryPage { items, is_last } = QueryPage::merge(vec![retired, active], |item| item.id);
        let mut secrets = items.into_iter().map(Secret::try_from).collect::<Result<Vec<_>, _>>()?;
        secrets.dedup_by_key(|secret| secret.id());
        Ok(Page::of(secrets, is_last, page.limit, |secret| secret.id().to_string()))
    }

    /// Creates a secret if its recipient exists, and stores the response if the request carries an idempotency key.
    pub async fn create_secret(
        &self,
        secret: &ActiveSecret,
        entry: &Entry,
        idempotency: Option<(&IdempotentRequest, &StoredResponse)>,
    ) -> Result<Outcome<NoRecipient>, Error> {
        const RECIPIENT: usize = 0;
        let items = vec![
            self.check_exists(Self::key(recipients::partition(secret.recipient), POINTER_SORT_KEY))?,
            self.put_new(&SecretItem::active(secret))?,
        ];
        self.transact_idempotently(items, entry, idempotency, |refusal| {
            if refusal.condition_failed(RECIPIENT) {
                Ok(NoRecipient)
            } else {
                Err(Error::unexpected_refusal("create secret"))
            }
        })
        .await
    }

    /// Stores a rotation: the old secret is retired and the new one created at the same instant. In its grace the old
    /// one keeps an item among the active ones, which DynamoDB deletes once that is over.
    pub async fn rotate_secret(
        &self,
        rotation: &Rotation,
        entry: &Entry,
        idempotency: Option<(&IdempotentRequest, &StoredResponse)>,
    ) -> Result<Outcome<RotationRefused>, Error> {
        let mut items = self.retirement(&rotation.old, rotation.in_grace.as_ref())?;
        items.push(
            self.check_exists(Self::key(recipients::partition(rotation.new.recipient), POINTER_SORT_KEY))?,
        );
        items.push(self.put_new(&SecretItem::active(&rotation.new))?);
        self.transact_idempotently(items, entry, idempotency, |refusal| rotation_refused(&refusal)).await
    }

    /// Revokes a secret that was read: once this returns, it no longer verifies. If another request retired it
    /// meanwhile, it goes on from what that one left.
    pub async fn revoke_secret(
        &self,
        mut secret: Secret,
        entry: impl Fn() -> Entry,
        now: Timestamp,
    ) -> Result<SecretRevocation, Error> {
        for attempt in 1..=MAX_ATTEMPTS {
            let items = match secret {
                Secret::Active(active) => self.retirement(&active.revoke(now), None)?,
                Secret::Retired(rotated) => match rotated.revoke(now) {
                    Ok(None) => return Ok(SecretRevocation::Repeated),
                    Err(RotatedAway) => return Ok(SecretRevocation::RotatedAway),
                    Ok(Some(revoked)) => self.revocation_in_grace(&revoked)?,
                },
            };
            let refusal = match self.transact(items, &entry()).await? {
                Transaction::Done => return Ok(SecretRevocation::Revoked),
                Transaction::Refused(refusal) => refusal,
            };
            secret = match refusal.existing_item::<SecretItem>(RETIRED)? {
                Some(item) => item.try_into()?,
                None => return Ok(SecretRevocation::Gone),
            };
            back_off(attempt).await;
        }
        Err(Error::unavailable("revoke secret: too many changes at once"))
    }

    /// Moves a secret from active to retired; with `in_grace`, it stays among the active ones in that form. Of
    /// concurrent callers only the first succeeds.
    fn retirement(
        &self,
        retired: &RetiredSecret,
        in_grace: Option<&ActiveSecret>,
    ) -> Result<Vec<TransactWriteItem>, Error> {
        const IS_ACTIVE: &str = "attribute_exists(pk)";
        Ok(vec![
            self.put_new(&SecretItem::retired(retired))?,
            match in_grace {
                Some(secret) => self.put_new_or_if(&SecretItem::active(secret), IS_ACTIVE, &[])?,
                None => self.delete(active_key(&retired.secret), IS_ACTIVE, &[])?,
            },
        ])
    }

    /// Revokes a rotated secret in its grace, unless it was revoked before.
    fn revocation_in_grace(&self, revoked: &RetiredSecret) -> Result<Vec<TransactWriteItem>, Error> {
        const IS_ROTATED: &str = "attribute_exists(rotatedTo) AND attribute_not_exists(revokedAt)";
        Ok(vec![
            self.put_new_or_if(&SecretItem::retired(revoked), IS_ROTATED, &[])?,
            // DynamoDB may have deleted it already.
            self.delete_if_exists(active_key(&revoked.secret))?,
        ])
    }
}

/// The secret of an item among the active ones.
pub(super) fn active_secret(item: SecretItem) -> Result<ActiveSecret, Error> {
    match item.try_into()? {
        Secret::Active(secret) => Ok(secret),
        Secret::Retired(_) => Err(Error::internal("a retired secret among the active ones")),
    }
}

fn active_key(secret: &ActiveSecret) -> Item {
    Store::key(recipients::partition(secret.recipient), format!("{ACTIVE_PREFIX}{}", secret.id))
}

/// The writes of a transaction that [`Store::retirement`] makes, and the one that a rotation adds.
const RETIRED: usize = 0;
const ACTIVE: usize = 1;
const RECIPIENT: usize = 2;

/// Why a rotation was refused: another retirement came first, or there is nothing left to rotate.
fn rotation_refused(refusal: &Refusal) -> Result<RotationRefused, Error> {
    match refusal.existing_item::<SecretItem>(RETIRED)?.map(Secret::try_from).transpose()? {
        Some(Secret::Retired(first)) => Ok(RotationRefused::Retired(first.retirement)),
        Some(Secret::Active(_)) => Err(Error::unexpected_refusal("rotate secret")),
        None if refusal.condition_failed(ACTIVE) || refusal.condition_failed(RECIPIENT) => {
            Ok(RotationRefused::Gone)
        }
        None => Err(Error::unexpected_refusal("rotate secret")),
    }
}
