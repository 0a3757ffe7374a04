//! The table, in the domain's words: one method for each way it is read or written.
//!
//! Items are described in `docs/architecture.md`. All reads are strongly consistent: what was answered a moment ago
//! is there, and a key revoked a moment ago is gone. Nothing of a failed call but its operation and its error code
//! leaves this module, since an error of the SDK can hold whole items.

mod accounts;
mod api_keys;
mod docks;
mod idempotency;
mod recipients;
mod secrets;
mod table;

pub use accounts::Account;
pub use docks::{DockCreation, VersionedDock};
pub use recipients::{RecipientCreation, RecipientPointer, RecipientUpdate};
pub use secrets::{FoundSecret, RecipientWithSecrets, SecretCreation, SecretStep};

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, DeleteRequest, KeysAndAttributes, Put,
    ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure, TransactWriteItem, WriteRequest,
};
use rand::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;

use crate::error::{Error, Fault};
use crate::random;
use crate::request_log::RequestLog;

/// One item as the SDK has it.
type Item = HashMap<String, AttributeValue>;

/// How often a call is tried that the SDK does not retry: a transaction that meets another one on the same items, a
/// batch of which DynamoDB did a part.
const ATTEMPTS: u32 = 8;

/// The code of a write whose condition did not hold.
const REFUSED: &str = "ConditionalCheckFailed";

/// Which items of a partition a list shows, and in which direction.
struct Range<'a> {
    from: &'a str,
    to: &'a str,
    ascending: bool,
}

/// What one Query read.
struct Rows<T> {
    items: Vec<T>,
    /// Whether there is nothing behind them.
    is_last: bool,
}

/// The table and the client that reaches it. Cloning it is cheap.
#[derive(Clone)]
pub struct Store {
    client: Client,
    table: String,
    log: RequestLog,
}

impl Store {
    /// The table of this name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), log: RequestLog::default() }
    }

    /// The same table, whose calls are noted in `log`.
    pub(crate) fn logging_to(&self, log: RequestLog) -> Self {
        Self { log, ..self.clone() }
    }

    /// Opens as many connections as a request uses at once, so that the first request need not. It is an
    /// optimisation: what fails here is tried again, and reported, when it is needed; and it does not hold up a start
    /// for longer than 2 s.
    pub async fn connect(&self) {
        let read = || self.get::<serde::de::IgnoredAny>("KEY#", "KEY");
        let reads = async { tokio::try_join!(read(), read()) };
        if !matches!(tokio::time::timeout(Duration::from_secs(2), reads).await, Ok(Ok(_))) {
            tracing::warn!("no connection to DynamoDB yet");
        }
    }

    /// Reads one item; `None` if it is not there.
    async fn get<T: DeserializeOwned>(
        &self,
        pk: impl Into<String>,
        sk: impl Into<String>,
    ) -> Result<Option<T>, Error> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(Self::key(pk, sk)))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.log.call(request.send()).await.map_err(|error| fault("GetItem", &error))?;
        self.log.read(output.consumed_capacity);
        output.item.map(from_item).transpose()
    }

    /// Reads all items of one partition whose sort key lies between `from` and `to`, both included, page by page.
    async fn query<T: DeserializeOwned>(&self, pk: String, from: &str, to: &str) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        let mut query = self.range(pk, from, to);
        loop {
            let page = self.read_page(query.clone()).await?;
            for item in page.items.unwrap_or_default() {
                items.push(from_item(item)?);
            }
            if page.last_evaluated_key.is_none() {
                return Ok(items);
            }
            query = query.set_exclusive_start_key(page.last_evaluated_key);
        }
    }

    /// Reads at most `limit` items of one partition whose sort key lies between `from` and `to`, in the order of the
    /// keys or against it, behind the key `after`.
    async fn query_page<T: DeserializeOwned>(
        &self,
        pk: String,
        range: Range<'_>,
        after: Option<String>,
        limit: usize,
    ) -> Result<Rows<T>, Error> {
        let start = after.map(|sk| Self::key(pk.clone(), sk));
        let query = self
            .range(pk, range.from, range.to)
            .scan_index_forward(range.ascending)
            .set_exclusive_start_key(start)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let page = self.read_page(query).await?;
        let items = page.items.unwrap_or_default().into_iter().map(from_item).collect::<Result<_, _>>()?;
        Ok(Rows { items, is_last: page.last_evaluated_key.is_none() })
    }

    async fn read_page(&self, query: QueryFluentBuilder) -> Result<QueryOutput, Error> {
        let query = query.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut page = self.log.call(query.send()).await.map_err(|error| fault("Query", &error))?;
        self.log.read(page.consumed_capacity.take());
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

    /// Reads several items at once, in no order; those that are not there are left out.
    async fn get_all<T: DeserializeOwned>(&self, keys: Vec<Item>) -> Result<Vec<T>, Error> {
        const OPERATION: &str = "BatchGetItem";
        let mut pending =
            KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build().ok();
        let mut items = Vec::new();
        for attempt in 1..=ATTEMPTS {
            let request = self
                .client
                .batch_get_item()
                .set_request_items(pending.map(|keys| HashMap::from([(self.table.clone(), keys)])))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let output = self.log.call(request.send()).await.map_err(|error| fault(OPERATION, &error))?;
            self.log.read(output.consumed_capacity.into_iter().flatten());
            for item in output.responses.unwrap_or_default().into_values().flatten() {
                items.push(from_item(item)?);
            }
            pending = output.unprocessed_keys.unwrap_or_default().remove(&self.table);
            if pending.is_none() {
                return Ok(items);
            }
            tokio::time::sleep(backoff(attempt)).await;
        }
        Err(Error::Unavailable(Fault::new(format!("{OPERATION}: left keys unprocessed"))))
    }

    /// Deletes items in any order, 25 at a time. What was deleted when it fails stays deleted.
    async fn delete_all(&self, keys: Vec<Item>) -> Result<(), Error> {
        const OPERATION: &str = "BatchWriteItem";
        for keys in keys.chunks(25) {
            let delete = |key: &Item| {
                let delete = DeleteRequest::builder().set_key(Some(key.clone())).build().ok()?;
                Some(WriteRequest::builder().delete_request(delete).build())
            };
            let mut pending =
                Some(HashMap::from([(self.table.clone(), keys.iter().filter_map(delete).collect())]));
            for attempt in 1..=ATTEMPTS {
                let request = self
                    .client
                    .batch_write_item()
                    .set_request_items(pending)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total);
                let output = self.log.call(request.send()).await.map_err(|error| fault(OPERATION, &error))?;
                self.log.wrote(output.consumed_capacity.into_iter().flatten());
                pending = output.unprocessed_items.filter(|items| !items.is_empty());
                if pending.is_none() {
                    break;
                }
                tokio::time::sleep(backoff(attempt)).await;
            }
            if pending.is_some() {
                return Err(Error::Unavailable(Fault::new(format!("{OPERATION}: left items unprocessed"))));
            }
        }
        Ok(())
    }

    fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
        let key = [("pk", pk.into()), ("sk", sk.into())];
        key.into_iter().map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).collect()
    }

    /// A write of `item`, which must not be there yet. Which item stands in its place, if one does, comes back with
    /// the refusal.
    fn put_new(&self, item: &impl Serialize) -> Result<TransactWriteItem, Error> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|_| Error::Internal(Fault::new("Put: incomplete")))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A write of `item` in place of the one that has this version.
    fn put_if_version(&self, item: &impl Serialize, version: u64) -> Result<TransactWriteItem, Error> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression("version = :version")
            .expression_attribute_values(":version", AttributeValue::N(version.to_string()))
            .build()
            .map_err(|_| Error::Internal(Fault::new("Put: incomplete")))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A write of `item`, whatever stands in its place.
    fn put_over(&self, item: &impl Serialize) -> Result<TransactWriteItem, Error> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .build()
            .map_err(|_| Error::Internal(Fault::new("Put: incomplete")))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A check that the item is there.
    fn must_exist(&self, key: Item) -> Result<TransactWriteItem, Error> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key))
            .condition_expression("attribute_exists(pk)")
            .build()
            .map_err(|_| Error::Internal(Fault::new("ConditionCheck: incomplete")))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// A deletion of the item, which must be there and meet `condition`.
    fn delete_if(
        &self,
        key: Item,
        condition: &str,
        values: &[(&str, AttributeValue)],
    ) -> Result<TransactWriteItem, Error> {
        let values: Item = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key))
            .condition_expression(condition)
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .build()
            .map_err(|_| Error::Internal(Fault::new("Delete: incomplete")))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Writes `items` all or not at all.
    ///
    /// `token`, of at most 36 characters and new for every request of a caller, makes DynamoDB take an attempt whose
    /// answer was lost, and its repetition, for one.
    async fn transact(&self, items: Vec<TransactWriteItem>, token: String) -> Result<Transaction, Error> {
        const OPERATION: &str = "TransactWriteItems";
        let request = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .client_request_token(token)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        for attempt in 1.. {
            let error = match self.log.call(request.clone().send()).await {
                Ok(output) => {
                    self.log.wrote(output.consumed_capacity.into_iter().flatten());
                    return Ok(Transaction::Done);
                }
                Err(error) => error,
            };
            let unavailable = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    let reasons = canceled.cancellation_reasons();
                    let codes: Vec<&str> =
                        reasons.iter().map(|reason| reason.code().unwrap_or("None")).collect();
                    let refused = codes.contains(&REFUSED);
                    // While another transaction commits, one item may show its outcome and the next its conflict:
                    // only a refusal without anything passing in it is final.
                    if refused && !codes.iter().any(|code| is_passing(code)) {
                        return Ok(Transaction::Refused(reasons.to_vec()));
                    }
                    let fault = Fault::new(format!("{OPERATION}: canceled, {}", codes.join(", ")));
                    if !codes.iter().all(|code| ["None", REFUSED].contains(code) || is_passing(code)) {
                        return Err(Error::Internal(fault));
                    }
                    Error::Unavailable(fault)
                }
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => fault(OPERATION, &error),
                _ => return Err(fault(OPERATION, &error)),
            };
            if attempt == ATTEMPTS {
                return Err(unavailable);
            }
            tokio::time::sleep(backoff(attempt)).await;
        }
        Err(Error::Internal(Fault::new("TransactWriteItems: not tried")))
    }
}

/// How a transaction ended.
enum Transaction {
    /// All of it is written.
    Done,
    /// None of it is, since a condition did not hold. The reasons stand in the order of the writes.
    Refused(Vec<CancellationReason>),
}

/// Whether the `index`th write of a refused transaction failed by its condition.
fn failed(reasons: &[CancellationReason], index: usize) -> bool {
    reasons.get(index).and_then(CancellationReason::code) == Some(REFUSED)
}

/// A token for a transaction that makes nothing whose id could serve as one.
fn token() -> String {
    format!(
        "{:032x}",
        u128::from(random::system().next_u64()) << 64 | u128::from(random::system().next_u64())
    )
}

/// The item that made the `index`th write of a refused transaction fail, if that was the one.
fn obstacle<T: DeserializeOwned>(reasons: &[CancellationReason], index: usize) -> Result<Option<T>, Error> {
    let item = reasons.get(index).and_then(|reason| reason.item.clone());
    item.map(from_item).transpose()
}

/// A refusal that no state of the table explains.
fn inexplicable(operation: &str) -> Error {
    Error::Internal(Fault::new(format!("{operation}: refused by a condition that must hold")))
}

/// How long to wait after the given attempt: up to 25 ms doubled each time, up to 400 ms, at random so that those who
/// collided do not collide again.
fn backoff(attempt: u32) -> Duration {
    let ceiling = 25 * 2_u64.pow(attempt.saturating_sub(1).min(4));
    Duration::from_millis(random::system().next_u64() % ceiling + 1)
}

/// Whether an error of this code goes away by itself.
fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "TransactionConflict"
            | "TransactionConflictException"
            | "TransactionInProgressException"
            | "ProvisionedThroughputExceeded"
            | "ProvisionedThroughputExceededException"
            | "ThrottlingError"
            | "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded"
            | "InternalServerError"
            | "ServiceUnavailable"
    )
}

/// What a failed call means for the caller: 503 where another try may help, else a defect.
fn fault<E: ProvideErrorMetadata>(operation: &str, error: &SdkError<E, HttpResponse>) -> Error {
    let (passing, cause) = match error {
        SdkError::TimeoutError(_) => (true, "timed out"),
        SdkError::DispatchFailure(_) => (true, "out of reach"),
        SdkError::ResponseError(_) => (true, "unreadable answer"),
        SdkError::ServiceError(context) => {
            let status = context.raw().status();
            match error.code() {
                // An answer that cannot be read, such as half of one: every error of DynamoDB's has a code.
                None => (true, "unreadable answer"),
                Some(code) => (is_passing(code) || status.is_server_error(), code),
            }
        }
        _ => (false, "not sent"),
    };
    let fault = Fault::new(format!("{operation}: {cause}"));
    if passing { Error::Unavailable(fault) } else { Error::Internal(fault) }
}

fn to_item(value: &impl Serialize) -> Result<Item, Error> {
    serde_dynamo::aws_sdk_dynamodb_1::to_item(value)
        .map_err(|_| Error::Internal(Fault::new("item cannot be written")))
}

fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::aws_sdk_dynamodb_1::from_item(item)
        .map_err(|_| Error::Internal(Fault::new("item cannot be read")))
}
