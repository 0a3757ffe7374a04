//! The table: one method for each access pattern, in the domain's terms; and beside it the contents of artifacts
//! ([`Objects`]).
//!
//! Items are described in `docs/architecture.md`. All reads are strongly consistent: what was written a moment ago is
//! found, and a key revoked a moment ago is refused. Every method fails with [`Error`]: unavailable if DynamoDB
//! throttles, conflicts or is out of reach, internal for a bug.

mod access;
mod accounts;
mod api_keys;
mod artifacts;
mod audit;
mod belongings;
mod certificates;
mod cleanup;
mod docks;
mod error;
mod gathered;
mod groups;
mod idempotency;
mod jobs;
mod json_text;
mod objects;
mod partition;
mod policies;
mod recipients;
mod retry;
mod s3_calls;
mod sealed_copy;
mod secrets;
mod table;
mod tokens;
mod transaction;

pub use access::{ActiveItems, ActiveRecipient};
pub use accounts::AccountCreation;
pub use api_keys::{ApiKeyCreation, ApiKeyRevocation};
pub use artifacts::{ArtifactQuery, ArtifactUpdate, pending_of_image};
pub use audit::{DOCK_PARTS, Trail, TrailChange, TrailPage, entry_of_image, is_of_trail};
pub use certificates::{CertificateRevocation, FoundCertificate, RegistrationRefused};
pub use cleanup::{CLEANUP_PARTITIONS, CONTENT_MINUTES, Cleanup, Leftover};
pub use error::{Error, Fault};
pub use groups::MembersRefused;
pub use jobs::{JobList, OPEN_JOBS_PARTITIONS, ReadOpenJobs, TooManyJobs, open_job_of_image};
pub use objects::{DOWNLOAD_MINUTES, Download, Objects, Stored, StoredObject, UPLOAD_MINUTES, Upload};
pub use partition::Partition;
pub use policies::PolicyRefused;
pub use recipients::{EmailTaken, RecipientDeletion, RecipientPointer, RecipientUpdate};
pub use sealed_copy::{Head, ReadObject, SealedCopy};
pub use secrets::{FoundSecret, NoRecipient, RecipientWithSecrets, RotationRefused, SecretRevocation};
pub use tokens::{MAX_REQUESTS_A_MINUTE, ReadSubmissions, TokensRevocation, seconds_left_of_minute};

use std::collections::HashMap;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, KeysAndAttributes, ReturnConsumedCapacity, WriteRequest,
};
use futures_util::future::maybe_done;
use rand::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::audit::DEFAULT_RETENTION_DAYS;
use crate::request_record::RequestRecord;
use crate::values::random;
use gathered::{GatheredReads, Item, MAX_ITEMS};
use retry::{MAX_BATCH_ATTEMPTS, back_off};

/// The sort keys of a partition that a list covers, and its direction.
struct KeyRange<'a> {
    from: &'a str,
    to: &'a str,
    ascending: bool,
}

/// What one Query read.
struct QueryPage<T> {
    items: Vec<T>,
    /// Whether there are no more items behind them.
    is_last: bool,
}

impl<T> QueryPage<T> {
    /// What several descending Queries of one list read, in the order of `key`, the greatest first; of equal ones that of the
    /// first Query. A Query may end early: what the others read from beyond that point is left to the next page.
    fn merge<K: Ord>(read: Vec<Self>, key: impl Fn(&T) -> K) -> Self {
        let reach = |read: &Self| read.items.last().filter(|_| !read.is_last).map(&key);
        let floor = read.iter().filter_map(reach).max();
        let is_last = read.iter().all(|read| read.is_last);
        let mut items: Vec<T> = read.into_iter().flat_map(|read| read.items).collect();
        items.retain(|item| floor.as_ref().is_none_or(|floor| key(item) >= *floor));
        items.sort_by_key(|item| std::cmp::Reverse(key(item)));
        Self { items, is_last }
    }
}

impl<T> QueryPage<T> {
    /// What several ascending Queries of different partitions read, in the order of `key`, each once. As in [`QueryPage::merge`],
    /// what some read from beyond the point at which another ended early is left to the next page.
    fn union<K: Ord>(read: Vec<Self>, key: impl Fn(&T) -> K) -> Self {
        let reach = |read: &Self| read.items.last().filter(|_| !read.is_last).map(&key);
        let ceiling = read.iter().filter_map(reach).min();
        let is_last = read.iter().all(|read| read.is_last);
        let mut items: Vec<T> = read.into_iter().flat_map(|read| read.items).collect();
        items.retain(|item| ceiling.as_ref().is_none_or(|ceiling| key(item) <= *ceiling));
        items.sort_by_key(&key);
        items.dedup_by(|a, b| key(a) == key(b));
        Self { items, is_last }
    }
}

/// The table and the client that reaches it. Cloning it is cheap.
#[derive(Clone)]
pub struct Store {
    client: Client,
    table: String,
    audit_retention_days: u16,
    record: RequestRecord,
    reads: GatheredReads,
}

impl Store {
    /// The table of this name. It keeps audit entries for [`DEFAULT_RETENTION_DAYS`].
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
            audit_retention_days: DEFAULT_RETENTION_DAYS,
            record: RequestRecord::default(),
            reads: GatheredReads::default(),
        }
    }

    /// The same table. It keeps the audit entries that are written from now on for this many days.
    pub fn keeping_audit_entries(self, days: u16) -> Self {
        Self { audit_retention_days: days, ..self }
    }

    /// The same table for one request: its calls are recorded in `record`, and its reads gathered with no other's.
    pub(crate) fn recording_to(&self, record: RequestRecord) -> Self {
        Self { record, reads: GatheredReads::default(), ..self.clone() }
    }

    /// Opens this many connections, so that the first request need not. It takes at most 2 s. A failure is only logged: the
    /// first request tries again.
    ///
    /// It reads items that do not exist, of a kind of partition that the function may read, each time others: many
    /// sandboxes that start at once do not meet on one partition.
    pub async fn connect(&self, connections: usize, partition: Partition) {
        let read = || {
            let nothing = Self::key(partition.of(random::system().next_u64()), "NOTHING");
            let keys = KeysAndAttributes::builder().keys(nothing).build().ok();
            self.client.batch_get_item().set_request_items(keys.map(|keys| self.of_table(keys))).send()
        };
        let reads = at_once((0..connections).map(|_| read()));
        if !matches!(tokio::time::timeout(Duration::from_secs(2), reads).await, Ok(Ok(_))) {
            tracing::warn!("no connection to DynamoDB yet");
        }
    }

    /// Reads one item; `None` if it does not exist.
    async fn get<T: DeserializeOwned>(
        &self,
        pk: impl Into<String>,
        sk: impl Into<String>,
    ) -> Result<Option<T>, Error> {
        self.get_items(vec![Self::key(pk, sk)]).await?.pop().map(from_item).transpose()
    }

    /// Reads all items of one partition whose sort key lies between `from` and `to`, both included, page by page.
    async fn query<T: DeserializeOwned>(&self, pk: String, from: &str, to: &str) -> Result<Vec<T>, Error> {
        self.query_items(pk, from, to).await?.into_iter().map(from_item).collect()
    }

    /// As [`Store::query`], for items of several kinds.
    async fn query_items(&self, pk: String, from: &str, to: &str) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        let mut query = self.range(pk, from, to);
        loop {
            let page = self.read_page(query.clone()).await?;
            items.extend(page.items.unwrap_or_default());
            if page.last_evaluated_key.is_none() {
                return Ok(items);
            }
            query = query.set_exclusive_start_key(page.last_evaluated_key);
        }
    }

    /// Reads at most `limit` items of one partition in `range`, from the one after the key `after`.
    async fn query_page<T: DeserializeOwned>(
        &self,
        pk: String,
        range: KeyRange<'_>,
        after: Option<String>,
        limit: usize,
    ) -> Result<QueryPage<T>, Error> {
        let start = after.map(|sk| Self::key(pk.clone(), sk));
        let query = self
            .range(pk, range.from, range.to)
            .scan_index_forward(range.ascending)
            .set_exclusive_start_key(start)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let page = self.read_page(query).await?;
        let items = page.items.unwrap_or_default().into_iter().map(from_item).collect::<Result<_, _>>()?;
        Ok(QueryPage { items, is_last: page.last_evaluated_key.is_none() })
    }

    async fn read_page(&self, query: QueryFluentBuilder) -> Result<QueryOutput, Error> {
        let query = query.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut page =
            self.record.call(query.send()).await.map_err(|error| Error::of_call("Query", &error))?;
        self.record.add_read(page.consumed_capacity.take());
        Ok(page)
    }

    fn range(&self, pk: String, from: &str, to: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", AttributeValue::S(pk))
            .expression_attribute_values(":from", AttributeValue::S(from.to_owned()))
            .expression_attribute_values(":to", AttributeValue::S(to.to_owned()))
    }

    /// Reads at most a hundred items, in no order. Items that do not exist are left out.
    async fn get_all<T: DeserializeOwned>(&self, keys: Vec<Item>) -> Result<Vec<T>, Error> {
        self.get_items(keys).await?.into_iter().map(from_item).collect()
    }

    /// As [`Store::get_all`], for items of several kinds: in one call with all that the request reads at once.
    async fn get_items(&self, keys: Vec<Item>) -> Result<Vec<Item>, Error> {
        let store = self.clone();
        self.reads.read(keys, move |keys| store.batch_get(keys)).await
    }

    async fn batch_get(self, keys: Vec<Item>) -> Result<Vec<Item>, Error> {
        const OPERATION: &str = "BatchGetItem";
        let mut pending =
            KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build().ok();
        let mut items = Vec::new();
        for attempt in 1..=MAX_BATCH_ATTEMPTS {
            let request = self
                .client
                .batch_get_item()
                .set_request_items(pending.map(|keys| self.of_table(keys)))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let output =
                self.record.call(request.send()).await.map_err(|error| Error::of_call(OPERATION, &error))?;
            self.record.add_read(output.consumed_capacity.into_iter().flatten());
            items.extend(output.responses.unwrap_or_default().into_values().flatten());
            pending = output.unprocessed_keys.unwrap_or_default().remove(&self.table);
            if pending.is_none() {
                return Ok(items);
            }
            back_off(attempt).await;
        }
        Err(Error::unavailable(format!("{OPERATION}: left keys unprocessed")))
    }

    /// Reads any number of items, a hundred in a call and one call after the other, in no order; no call without keys.
    async fn get_many<T: DeserializeOwned>(&self, keys: Vec<Item>) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        for keys in keys.chunks(MAX_ITEMS) {
            items.extend(self.get_all(keys.to_vec()).await?);
        }
        Ok(items)
    }

    /// As [`Store::get_many`], with the calls at once.
    async fn get_at_once<T: DeserializeOwned>(&self, keys: Vec<Item>) -> Result<Vec<T>, Error> {
        let batches: Vec<Vec<Item>> = keys.chunks(MAX_ITEMS).map(<[Item]>::to_vec).collect();
        let read = at_once(batches.into_iter().map(|keys| self.get_all(keys))).await?;
        Ok(read.into_iter().flatten().collect())
    }

    /// Puts one item, whether its key exists or not, outside of a transaction: for what no audit entry is on.
    async fn put_alone(&self, item: &impl Serialize) -> Result<(), Error> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.record.call(put.send()).await.map_err(|error| Error::of_call("PutItem", &error))?;
        self.record.add_write(output.consumed_capacity);
        Ok(())
    }

    /// Deletes items in any order, 25 at a time. What was deleted when it fails stays deleted.
    async fn delete_all(&self, keys: Vec<Item>) -> Result<(), Error> {
        const OPERATION: &str = "BatchWriteItem";
        for keys in keys.chunks(25) {
            let delete = |key: &Item| {
                let delete = DeleteRequest::builder().set_key(Some(key.clone())).build().ok()?;
                Some(WriteRequest::builder().delete_request(delete).build())
            };
            let mut pending = Some(self.of_table(keys.iter().filter_map(delete).collect()));
            for attempt in 1..=MAX_BATCH_ATTEMPTS {
                let request = self
                    .client
                    .batch_write_item()
                    .set_request_items(pending)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total);
                let output = self
                    .record
                    .call(request.send())
                    .await
                    .map_err(|error| Error::of_call(OPERATION, &error))?;
                self.record.add_write(output.consumed_capacity.into_iter().flatten());
                pending = output.unprocessed_items.filter(|items| !items.is_empty());
                if pending.is_none() {
                    break;
                }
                back_off(attempt).await;
            }
            if pending.is_some() {
                return Err(Error::unavailable(format!("{OPERATION}: left items unprocessed")));
            }
        }
        Ok(())
    }

    /// What a batch asks of the table.
    fn of_table<T>(&self, items: T) -> HashMap<String, T> {
        HashMap::from([(self.table.clone(), items)])
    }

    fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
        let key = [("pk", pk.into()), ("sk", sk.into())];
        key.into_iter().map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).collect()
    }
}

/// How many calls that a request makes of one kind are under way at a time: as many connections are open then.
const MAX_AT_ONCE: usize = 32;

/// What all of the calls return, in their order; 32 of them are under way at a time. Of this crate's own, since the combinators
/// of `futures` that know a limit are 40 kB of code in each function.
///
/// # Errors
/// The first error. Calls behind its batch are not made.
pub async fn at_once<T, E>(
    mut calls: impl Iterator<Item: Future<Output = Result<T, E>>>,
) -> Result<Vec<T>, E> {
    let mut results = Vec::new();
    loop {
        let mut batch: Vec<_> =
            calls.by_ref().take(MAX_AT_ONCE).map(|call| Box::pin(maybe_done(call))).collect();
        if batch.is_empty() {
            return Ok(results);
        }
        poll_fn(|context| {
            let mut is_pending = false;
            for call in &mut batch {
                is_pending |= call.as_mut().poll(context).is_pending();
            }
            if is_pending { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        for result in batch.iter_mut().filter_map(|call| call.as_mut().take_output()) {
            results.push(result?);
        }
    }
}

fn to_item(value: &impl Serialize) -> Result<Item, Error> {
    serde_dynamo::aws_sdk_dynamodb_1::to_item(value).map_err(|_| Error::internal("item cannot be written"))
}

/// The name of an item's type: `DockItem`.
fn item_name<T>() -> &'static str {
    let path = std::any::type_name::<T>();
    path.rsplit("::").next().unwrap_or(path)
}

/// The kind of an item: its sort key up to the first `#`.
fn kind(item: &Item) -> &str {
    let sort_key = item.get("sk").and_then(|sort_key| sort_key.as_s().ok());
    sort_key.and_then(|sort_key| sort_key.split('#').next()).unwrap_or_default()
}

/// A text as an attribute.
fn text(text: impl ToString) -> AttributeValue {
    AttributeValue::S(text.to_string())
}

fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::aws_sdk_dynamodb_1::from_item(item)
        .map_err(|_| Error::internal(format!("{} cannot be read", item_name::<T>())))
}
