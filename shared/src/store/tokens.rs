//! Access tokens, and what limits those who ask for one: a partition of each recipient, apart from the recipient's own,
//! so that the function that anyone may call writes to nothing else. All of it ends by itself within days.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use serde::{Deserialize, Serialize};

use super::json_text;
use super::recipients::{self, POINTER_SORT_KEY};
use super::retry::{MAX_ATTEMPTS, back_off};
use super::transaction::{Placeholder, Transaction, number, values};
use super::{Error, Item, Partition, Store, text};
use crate::model::audit::Entry;
use crate::model::identifiers::Identifiers;
use crate::model::submission::{SetDigest, Submission, Submissions, WINDOW_HOURS};
use crate::model::token::{TokenKind, TokenRecord};
use crate::values::clock::Timestamp;
use crate::values::digest::Digest;
use crate::values::id::{AccountId, CertificateId, DockId, RecipientId, SecretId, TokenId};

/// The most requests for a token that a recipient whose passphrase is right may make in a minute.
pub const MAX_REQUESTS_A_MINUTE: u64 = 60;

const MILLISECONDS_A_MINUTE: u64 = 60_000;

/// The partition of a recipient's tokens.
fn partition(recipient: RecipientId) -> String {
    Partition::Token.of(recipient)
}

fn token_sort_key(digest: &Digest) -> String {
    format!("TOKEN#{}", digest.expose_hex())
}

const SUBMISSIONS_SORT_KEY: &str = "SUBMISSIONS";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenItem {
    pk: String,
    sk: String,
    id: TokenId,
    kind: TokenKind,
    recipient: RecipientId,
    dock: DockId,
    account: AccountId,
    generation: u64,
    secret: SecretId,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<CertificateId>,
    authenticated_at: Timestamp,
    expires_at: Timestamp,
    submitted: Identifiers,
    ttl: i64,
}

impl TokenItem {
    fn new(token: &TokenRecord, digest: &Digest) -> Self {
        Self {
            pk: partition(token.recipient),
            sk: token_sort_key(digest),
            id: token.id,
            kind: token.kind,
            recipient: token.recipient,
            dock: token.dock,
            account: token.account,
            generation: token.generation,
            secret: token.secret,
            certificate: token.certificate,
            authenticated_at: token.authenticated_at,
            expires_at: token.expires_at,
            submitted: token.submitted.clone(),
            ttl: token.expires_at.unix_seconds_rounded_up(),
        }
    }
}

impl From<TokenItem> for TokenRecord {
    fn from(item: TokenItem) -> Self {
        Self {
            id: item.id,
            kind: item.kind,
            recipient: item.recipient,
            dock: item.dock,
            account: item.account,
            generation: item.generation,
            secret: item.secret,
            certificate: item.certificate,
            authenticated_at: item.authenticated_at,
            expires_at: item.expires_at,
            submitted: item.submitted,
        }
    }
}

/// The sets that a recipient submitted.
#[derive(Deserialize)]
struct SubmissionsItem {
    /// JSON.
    #[serde(deserialize_with = "json_text::deserialize")]
    submissions: Vec<Submission>,
    version: u64,
}

/// The sets that a recipient submitted, as they were read.
#[derive(Clone, Debug, Default)]
pub struct ReadSubmissions {
    submissions: Submissions,
    /// `None` if none was stored.
    version: Option<u64>,
}

/// That a refusal has its entry in the trail.
#[derive(Serialize)]
struct RefusalItem {
    pk: String,
    sk: String,
    ttl: i64,
}

/// Outcome of the revocation of all tokens of a recipient.
#[derive(Debug, PartialEq, Eq)]
pub enum TokensRevocation {
    /// None of them opens anything.
    Revoked,
    /// The recipient no longer exists.
    NoRecipient,
}

impl Store {
    /// Returns what a recipient's token with this digest was made from; `None` if it is unknown. One read.
    pub async fn token(&self, recipient: RecipientId, digest: &Digest) -> Result<Option<TokenRecord>, Error> {
        let item: Option<TokenItem> = self.get(partition(recipient), token_sort_key(digest)).await?;
        Ok(item.map(TokenRecord::from))
    }

    /// Stores a new token.
    pub async fn issue_token(
        &self,
        token: &TokenRecord,
        digest: &Digest,
        entry: &Entry,
    ) -> Result<(), Error> {
        match self.transact(vec![self.put_new(&TokenItem::new(token, digest))?], entry).await? {
            Transaction::Done => Ok(()),
            Transaction::Refused(_) => Err(Error::unexpected_refusal("issue token")),
        }
    }

    /// Revokes a token that was read: once this returns, it opens nothing. Of concurrent callers the first writes the
    /// entry.
    pub async fn revoke_token(
        &self,
        token: &TokenRecord,
        digest: &Digest,
        entry: &Entry,
    ) -> Result<(), Error> {
        let key = Self::key(partition(token.recipient), token_sort_key(digest));
        let delete = self.delete(key, "attribute_exists(pk)", &[])?;
        // Refused, it is gone already.
        self.transact(vec![delete], entry).await.map(drop)
    }

    /// Raises the generation of a recipient's tokens: once this returns, those that were issued before open nothing.
    pub async fn revoke_tokens(
        &self,
        recipient: RecipientId,
        entry: &Entry,
    ) -> Result<TokensRevocation, Error> {
        let update = self.update(
            Self::key(recipients::partition(recipient), POINTER_SORT_KEY),
            "attribute_exists(pk)",
            "ADD tokenGeneration :one",
            &[(":one", number(1))],
        )?;
        match self.transact(vec![update], entry).await? {
            Transaction::Done => Ok(TokensRevocation::Revoked),
            Transaction::Refused(_) => Ok(TokensRevocation::NoRecipient),
        }
    }

    /// Writes the entry on a refusal by the policies, unless an equal one of the same credential has one in this minute.
    /// `what` tells equal ones: the credential and the reason.
    pub async fn record_refusal(
        &self,
        recipient: RecipientId,
        what: &str,
        entry: &Entry,
        now: Timestamp,
    ) -> Result<(), Error> {
        let minute = minute(now);
        let refusal = RefusalItem {
            pk: partition(recipient),
            sk: format!("REFUSAL#{minute}#{}", Digest::of(what).expose_hex()),
            ttl: now.plus_minutes(2).unix_seconds_rounded_up(),
        };
        // Refused, there is one already.
        self.transact(vec![self.put_new(&refusal)?], entry).await.map(drop)
    }

    /// Counts a request for a token; `false` if the recipient has made [`MAX_REQUESTS_A_MINUTE`] in this minute. One
    /// `UpdateItem`.
    pub async fn count_token_request(&self, recipient: RecipientId, now: Timestamp) -> Result<bool, Error> {
        let key = Self::key(partition(recipient), format!("REQUESTS#{}", minute(now)));
        let ttl = now.plus_minutes(2).unix_seconds_rounded_up();
        let values = [(":one", number(1)), (":most", number(MAX_REQUESTS_A_MINUTE)), (":ttl", number(ttl))];
        let has_room = "attribute_not_exists(requests) OR requests < :most";
        self.update_one(key, has_room, "ADD requests :one SET #ttl = :ttl", &values).await
    }

    /// Returns the sets of identifiers that a recipient submitted; one read.
    pub async fn submissions(&self, recipient: RecipientId) -> Result<ReadSubmissions, Error> {
        let item: Option<SubmissionsItem> = self.get(partition(recipient), SUBMISSIONS_SORT_KEY).await?;
        Ok(item.map_or_else(ReadSubmissions::default, |item| ReadSubmissions {
            submissions: Submissions::from_store(item.submissions),
            version: Some(item.version),
        }))
    }

    /// Counts a set of identifiers that a recipient submits; `false` if it submitted too many others. One `UpdateItem`, and
    /// more where another request came between.
    pub async fn count_submission(
        &self,
        recipient: RecipientId,
        mut read: ReadSubmissions,
        set: &SetDigest,
        now: Timestamp,
    ) -> Result<bool, Error> {
        for attempt in 1..=MAX_ATTEMPTS {
            let Some(submissions) = read.submissions.with(set, now) else { return Ok(false) };
            let submissions = serde_json::to_string(submissions.list());
            let submissions = submissions.map_err(|_| Error::internal("submissions cannot be written"))?;
            let ttl = now.plus_hours(WINDOW_HOURS).unix_seconds_rounded_up();
            let version = read.version.unwrap_or(0);
            let mut values = vec![
                (":submissions", text(submissions)),
                (":next", number(version + 1)),
                (":ttl", number(ttl)),
            ];
            let is_unchanged = match read.version {
                None => "attribute_not_exists(pk)",
                Some(version) => {
                    values.push((":version", number(version)));
                    "version = :version"
                }
            };
            let expression = "SET submissions = :submissions, version = :next, #ttl = :ttl";
            let key = Self::key(partition(recipient), SUBMISSIONS_SORT_KEY);
            if self.update_one(key, is_unchanged, expression, &values).await? {
                return Ok(true);
            }
            back_off(attempt).await;
            read = self.submissions(recipient).await?;
        }
        Err(Error::unavailable("count submission: too many at once"))
    }

    /// Updates one item if `condition` holds; `false` if it does not. Not a part of any transaction, and without an entry:
    /// for counts alone. In the expression `#ttl` is the item's TTL.
    async fn update_one(
        &self,
        key: Item,
        condition: &str,
        expression: &str,
        placeholders: &[Placeholder<'_>],
    ) -> Result<bool, Error> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .condition_expression(condition)
            .update_expression(expression)
            .expression_attribute_names("#ttl", "ttl")
            .set_expression_attribute_values(values(placeholders))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.record.call(request.send()).await {
            Ok(output) => {
                self.record.add_write(output.consumed_capacity);
                Ok(true)
            }
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(Error::of_call("UpdateItem", &error)),
        }
    }
}

/// The number of the minute.
fn minute(now: Timestamp) -> u64 {
    now.unix_milliseconds() / MILLISECONDS_A_MINUTE
}

/// How many seconds are left of the minute in which requests are counted, at least 1.
pub fn seconds_left_of_minute(now: Timestamp) -> u64 {
    (MILLISECONDS_A_MINUTE - now.unix_milliseconds() % MILLISECONDS_A_MINUTE).div_ceil(1000)
}
