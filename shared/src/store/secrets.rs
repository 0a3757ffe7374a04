//! Secrets: items beside their recipient's pointer, active and retired ones under different sort keys, so that one
//! Query reads the pointer and the active ones and never the retired.

use aws_sdk_dynamodb::types::CancellationReason;
use serde::{Deserialize, Serialize};

use super::idempotency::Written;
use super::recipients::{self, POINTER_SORT_KEY, RecipientPointer};
use super::{Range, Rows, Store, Transaction, failed, inexplicable, obstacle, token};
use crate::auth::Owned;
use crate::clock::Timestamp;
use crate::digest::Digest;
use crate::error::{Error, Fault};
use crate::id::{AccountId, RecipientId, SecretId};
use crate::idempotency::{FirstAnswer, RepeatableRequest};
use crate::list::{Page, Window};
use crate::name::Name;
use crate::secret::{ActiveSecret, End, Lifetime, RETIRED_DAYS, RetiredSecret, Rotation, Secret};

const ACTIVE_PREFIX: &str = "SECRET#";
/// Sorts behind every active secret and before every retired one.
const ACTIVE_END: &str = "SECRET#~";
const RETIRED_PREFIX: &str = "SECRET_RETIRED#";
const RETIRED_END: &str = "SECRET_RETIRED#~";

/// A secret in either state: what ended it is there only if something did.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SecretItem {
    pk: String,
    sk: String,
    id: SecretId,
    recipient: RecipientId,
    name: String,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    /// Lets DynamoDB remove the item some days after its expiry, or 400 days after its end; in epoch seconds.
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
            name: secret.name.as_str().to_owned(),
            digest: secret.digest.expose_hex(),
            created_at: secret.created_at,
            lifetime_days: secret.lifetime.days(),
            expires_at: secret.expires_at,
            rotated_from: secret.rotated_from,
            rotated_to: None,
            rotated_at: None,
            revoked_at: None,
            ttl: secret.expires_at.map(Timestamp::unix_seconds_rounded_up),
        }
    }

    fn retired(retired: &RetiredSecret) -> Self {
        let mut item = Self::active(&retired.secret);
        item.sk = format!("{RETIRED_PREFIX}{}", item.id);
        item.ttl = Some(retired.ended_at().plus_days(RETIRED_DAYS).unix_seconds_rounded_up());
        match retired.end {
            End::Rotated { at, to } => (item.rotated_at, item.rotated_to) = (Some(at), Some(to)),
            End::Revoked { at } => item.revoked_at = Some(at),
        }
        item
    }
}

impl TryFrom<SecretItem> for Secret {
    type Error = Error;

    fn try_from(item: SecretItem) -> Result<Self, Error> {
        let bad = || Error::Internal(Fault::new("stored secret has a bad name, digest or end"));
        let secret = ActiveSecret {
            id: item.id,
            recipient: item.recipient,
            name: Name::parse(&item.name).map_err(|_| bad())?,
            digest: Digest::from_hex(&item.digest).ok_or_else(bad)?,
            lifetime: Lifetime::from_store(item.lifetime_days),
            created_at: item.created_at,
            expires_at: item.expires_at,
            rotated_from: item.rotated_from,
        };
        let end = match (item.rotated_at, item.rotated_to, item.revoked_at) {
            (None, None, None) => return Ok(Self::Active(secret)),
            (Some(at), Some(to), None) => End::Rotated { at, to },
            (None, None, Some(at)) => End::Revoked { at },
            _ => return Err(bad()),
        };
        Ok(Self::Retired(RetiredSecret { secret, end }))
    }
}

/// What stands in a recipient's partition.
#[derive(Deserialize)]
#[serde(untagged)]
enum PartitionItem {
    Secret(Box<SecretItem>),
    Pointer(RecipientPointer),
}

/// A recipient with its active secrets, of which some may have expired.
pub struct RecipientWithSecrets {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its active secrets.
    pub active: Vec<ActiveSecret>,
}

impl Owned for RecipientWithSecrets {
    fn owner(&self) -> AccountId {
        self.account
    }
}

/// A secret of a recipient that exists.
pub struct FoundSecret {
    /// The account that it belongs to.
    pub account: AccountId,
    /// The secret.
    pub secret: Secret,
}

impl Owned for FoundSecret {
    fn owner(&self) -> AccountId {
        self.account
    }
}

/// How the creation of a secret ended.
#[derive(Debug)]
pub enum SecretCreation {
    /// It is there.
    Created,
    /// It was made before, by a request that was answered so.
    Before(FirstAnswer),
    /// The recipient is gone.
    NoRecipient,
}

/// How the rotation or revocation of a secret ended.
pub enum SecretStep {
    /// It is done.
    Done,
    /// It was done before, by a request that was answered so.
    Before(FirstAnswer),
    /// Something else ended the secret first.
    Ended(End),
    /// The secret or its recipient is gone.
    Gone,
}

impl Store {
    /// The recipient of this id with its active secrets; one Query.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
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
                PartitionItem::Secret(item) => match (*item).try_into()? {
                    Secret::Active(secret) => active.push(secret),
                    Secret::Retired(_) => return Err(inexplicable("read active secrets")),
                },
            }
        }
        Ok(pointer.map(|pointer| RecipientWithSecrets { account: pointer.account, active }))
    }

    /// One secret, in whatever state; one `BatchGetItem`, and a `GetItem` behind it where none was found. `None` if it or
    /// its recipient is not there.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn secret(&self, recipient: RecipientId, id: SecretId) -> Result<Option<FoundSecret>, Error> {
        let sort_keys =
            [POINTER_SORT_KEY.to_owned(), format!("{ACTIVE_PREFIX}{id}"), format!("{RETIRED_PREFIX}{id}")];
        let keys = sort_keys.into_iter().map(|sk| Self::key(recipients::partition(recipient), sk)).collect();
        let (mut pointer, mut secret) = (None, None);
        for item in self.get_all(keys).await? {
            match item {
                PartitionItem::Pointer(found) => pointer = Some(found),
                // A batch is no snapshot: of a secret that is just ending, both items may be seen.
                PartitionItem::Secret(item) => match ((*item).try_into()?, &secret) {
                    (Secret::Active(_), Some(Secret::Retired(_))) => {}
                    (found, _) => secret = Some(found),
                },
            }
        }
        if pointer.is_some() && secret.is_none() {
            // Nor is it one if neither is seen. The move goes one way, so this read settles it.
            let retired = format!("{RETIRED_PREFIX}{id}");
            let item: Option<SecretItem> = self.get(recipients::partition(recipient), retired).await?;
            secret = item.map(Secret::try_from).transpose()?;
        }
        Ok(pointer.zip(secret).map(|(pointer, secret)| FoundSecret { account: pointer.account, secret }))
    }

    /// One page of a recipient's secrets, newest first; two Queries, one behind the other. Since a secret moves from the
    /// active to the retired ones and never back, to read them in this order misses none; at once, one that just moves
    /// could be on neither page.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn secrets(&self, recipient: RecipientId, window: &Window) -> Result<Page<Secret>, Error> {
        let query = |prefix, to| {
            let range = Range { from: prefix, to, ascending: false };
            let after = window.after.as_ref().map(|id| format!("{prefix}{id}"));
            self.query_page::<SecretItem>(recipients::partition(recipient), range, after, window.limit + 1)
        };
        let active = query(ACTIVE_PREFIX, ACTIVE_END).await?;
        let retired = query(RETIRED_PREFIX, RETIRED_END).await?;
        // A Query may end early. What the other one read from beyond that point has to wait for the next page.
        let reach = |rows: &Rows<SecretItem>| rows.items.last().filter(|_| !rows.is_last).map(|item| item.id);
        let floor = reach(&active).max(reach(&retired));
        let is_last = active.is_last && retired.is_last;
        let secrets =
            retired.items.into_iter().chain(active.items).filter(|item| floor.is_none_or(|id| item.id >= id));
        let mut secrets = secrets.map(Secret::try_from).collect::<Result<Vec<_>, _>>()?;
        // A secret that ends between the two Queries is in both; the sort is stable and keeps the retired one first.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.id()));
        secrets.dedup_by_key(|secret| secret.id());
        Ok(Page::of(secrets, is_last, window.limit, |secret| secret.id().to_string()))
    }

    /// Writes a new secret of a recipient that exists at that instant, and with it what is remembered of a request that
    /// may be repeated.
    ///
    /// # Errors
    /// [`Error::IdempotencyKeyReused`]; [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn create_secret(
        &self,
        secret: &ActiveSecret,
        request: Option<(&RepeatableRequest, &FirstAnswer)>,
    ) -> Result<SecretCreation, Error> {
        let items = vec![
            self.must_exist(Self::key(recipients::partition(secret.recipient), POINTER_SORT_KEY))?,
            self.put_new(&SecretItem::active(secret))?,
        ];
        match self.transact_once(items, secret.id.to_string(), request).await? {
            Written::Done => Ok(SecretCreation::Created),
            Written::Before(answer) => Ok(SecretCreation::Before(answer)),
            Written::Refused(reasons) if failed(&reasons, 0) => Ok(SecretCreation::NoRecipient),
            Written::Refused(_) => Err(inexplicable("create secret")),
        }
    }

    /// Carries out a rotation: at one instant the old secret ends and the new one begins.
    ///
    /// # Errors
    /// [`Error::IdempotencyKeyReused`]; [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn rotate_secret(
        &self,
        rotation: &Rotation,
        request: Option<(&RepeatableRequest, &FirstAnswer)>,
    ) -> Result<SecretStep, Error> {
        let mut items = self.retirement(&rotation.old)?;
        items.push(
            self.must_exist(Self::key(recipients::partition(rotation.new.recipient), POINTER_SORT_KEY))?,
        );
        items.push(self.put_new(&SecretItem::active(&rotation.new))?);
        match self.transact_once(items, rotation.new.id.to_string(), request).await? {
            Written::Done => Ok(SecretStep::Done),
            Written::Before(answer) => Ok(SecretStep::Before(answer)),
            Written::Refused(reasons) => step_refused(&reasons),
        }
    }

    /// Carries out a revocation: from the answer on the secret verifies no more.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn revoke_secret(&self, retired: &RetiredSecret) -> Result<SecretStep, Error> {
        match self.transact(self.retirement(retired)?, token()).await? {
            Transaction::Done => Ok(SecretStep::Done),
            Transaction::Refused(reasons) => step_refused(&reasons),
        }
    }

    /// The move of a secret from the active to the retired ones, which only the first of those who try brings about.
    fn retirement(
        &self,
        retired: &RetiredSecret,
    ) -> Result<Vec<aws_sdk_dynamodb::types::TransactWriteItem>, Error> {
        let active = Self::key(
            recipients::partition(retired.secret.recipient),
            format!("{ACTIVE_PREFIX}{}", retired.secret.id),
        );
        Ok(vec![
            self.put_new(&SecretItem::retired(retired))?,
            self.delete_if(active, "attribute_exists(pk)", &[])?,
        ])
    }

    /// Deletes all secrets of a recipient, active and retired.
    pub(super) async fn delete_secrets(&self, recipient: RecipientId) -> Result<(), Error> {
        let pk = recipients::partition(recipient);
        let items: Vec<SecretKey> = self.query(pk.clone(), ACTIVE_PREFIX, RETIRED_END).await?;
        self.delete_all(items.into_iter().map(|item| Self::key(pk.clone(), item.sk)).collect()).await
    }
}

#[derive(Deserialize)]
struct SecretKey {
    sk: String,
}

/// Why a retirement was refused: who came first, if anyone is left to tell.
fn step_refused(reasons: &[CancellationReason]) -> Result<SecretStep, Error> {
    match obstacle::<SecretItem>(reasons, 0)?.map(Secret::try_from).transpose()? {
        Some(Secret::Retired(first)) => Ok(SecretStep::Ended(first.end)),
        Some(Secret::Active(_)) => Err(inexplicable("retire secret")),
        None if failed(reasons, 1) || failed(reasons, 2) => Ok(SecretStep::Gone),
        None => Err(inexplicable("retire secret")),
    }
}
