//! Transactions: the writes that they are made of, and how they end.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, Put, ReturnConsumedCapacity,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Error, Fault, is_transient_code};
use super::retry::{MAX_ATTEMPTS, back_off};
use super::{Item, Store, from_item, text, to_item};
use crate::aws::dynamodb::is_throttling_code;
use crate::model::audit::Entry;

/// The condition of an item that has an id and a version.
pub(super) const IS_UNCHANGED: &str = "id = :id AND version = :version";

/// The code of a write whose condition failed.
const CONDITION_FAILED: &str = "ConditionalCheckFailed";

/// How a transaction ended.
pub(super) enum Transaction {
    /// Everything is written.
    Done,
    /// Nothing is written, since a condition failed.
    Refused(Refusal),
}

/// Why a transaction was refused: a reason for each write, in the order of the writes.
pub(super) struct Refusal(Vec<CancellationReason>);

impl Refusal {
    /// Whether the condition of the `index`th write failed.
    pub(super) fn condition_failed(&self, index: usize) -> bool {
        self.0.get(index).and_then(CancellationReason::code) == Some(CONDITION_FAILED)
    }

    /// The existing item that made the `index`th write fail, if it did and was a [`Store::put_new`].
    pub(super) fn existing_item<T: DeserializeOwned>(&self, index: usize) -> Result<Option<T>, Error> {
        let item = self.0.get(index).and_then(|reason| reason.item.clone());
        item.map(from_item).transpose()
    }
}

/// A placeholder of an expression, `:name`, and its value.
pub(super) type Placeholder<'a> = (&'a str, AttributeValue);

pub(super) fn number(number: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

pub(super) fn values(placeholders: &[Placeholder<'_>]) -> Option<Item> {
    let values: Item = placeholders.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Some(values).filter(|values| !values.is_empty())
}

impl Store {
    /// Puts `item` unless its key exists. If it does, the refusal carries the existing item.
    pub(super) fn put_new(&self, item: &impl Serialize) -> Result<TransactWriteItem, Error> {
        self.put_new_or_if(item, "attribute_not_exists(pk)", &[])
    }

    /// Puts `item` if `condition` holds, which is a condition for an item that does not exist, or for one that may be
    /// replaced. If it fails, the refusal carries the existing item.
    pub(super) fn put_new_or_if(
        &self,
        item: &impl Serialize,
        condition: &str,
        placeholders: &[Placeholder<'_>],
    ) -> Result<TransactWriteItem, Error> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression(condition)
            .set_expression_attribute_values(values(placeholders))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(Error::incomplete("Put"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Replaces the item that has this id and this version by `item`.
    pub(super) fn put_if_version(
        &self,
        item: &impl Serialize,
        id: impl ToString,
        version: u64,
    ) -> Result<TransactWriteItem, Error> {
        let is_unchanged = [(":id", text(id)), (":version", number(version))];
        self.put_new_or_if(item, IS_UNCHANGED, &is_unchanged)
    }

    /// Deletes the item that has this id and this version.
    pub(super) fn delete_if_version(
        &self,
        key: Item,
        id: impl ToString,
        version: u64,
    ) -> Result<TransactWriteItem, Error> {
        self.delete(key, IS_UNCHANGED, &[(":id", text(id)), (":version", number(version))])
    }

    /// Puts `item`, whether its key exists or not.
    pub(super) fn put(&self, item: &impl Serialize) -> Result<TransactWriteItem, Error> {
        let put = Put::builder().table_name(&self.table).set_item(Some(to_item(item)?));
        Ok(TransactWriteItem::builder().put(put.build().map_err(Error::incomplete("Put"))?).build())
    }

    /// Checks that the item exists.
    pub(super) fn check_exists(&self, key: Item) -> Result<TransactWriteItem, Error> {
        self.check(key, "attribute_exists(pk)", &[])
    }

    /// Checks that `condition` holds for the item.
    pub(super) fn check(
        &self,
        key: Item,
        condition: &str,
        placeholders: &[Placeholder<'_>],
    ) -> Result<TransactWriteItem, Error> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key))
            .condition_expression(condition)
            .set_expression_attribute_values(values(placeholders))
            .build()
            .map_err(Error::incomplete("ConditionCheck"))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// Updates the item if `condition` holds.
    pub(super) fn update(
        &self,
        key: Item,
        condition: &str,
        expression: &str,
        placeholders: &[Placeholder<'_>],
    ) -> Result<TransactWriteItem, Error> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key))
            .condition_expression(condition)
            .update_expression(expression)
            .set_expression_attribute_values(values(placeholders))
            .build()
            .map_err(Error::incomplete("Update"))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Deletes the item, whether it exists or not.
    pub(super) fn delete_if_exists(&self, key: Item) -> Result<TransactWriteItem, Error> {
        let delete = Delete::builder().table_name(&self.table).set_key(Some(key));
        let delete = delete.build().map_err(Error::incomplete("Delete"))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Deletes the item if `condition` holds.
    pub(super) fn delete(
        &self,
        key: Item,
        condition: &str,
        placeholders: &[Placeholder<'_>],
    ) -> Result<TransactWriteItem, Error> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key))
            .condition_expression(condition)
            .set_expression_attribute_values(values(placeholders))
            .build()
            .map_err(Error::incomplete("Delete"))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Writes all `items` and the entry on them, or none. What a request brings about has an entry, so that nothing happens
    /// without a trace. The entry's writes come last, so that `items` keep their places in a refusal.
    ///
    /// The entry's id, new for every attempt of a caller, is the token by which DynamoDB recognises the retry of an attempt
    /// whose answer was lost.
    pub(super) async fn transact(
        &self,
        mut items: Vec<TransactWriteItem>,
        entry: &Entry,
    ) -> Result<Transaction, Error> {
        items.extend(self.entry_items(entry)?);
        self.transact_as(items, entry.id.to_string()).await
    }

    /// Writes all `items` or none, without an entry: for what the worker does behind requests. `token`, of at most 36 characters, is
    /// new for every attempt of a caller.
    ///
    /// Conflicts with other transactions are retried here; throttles are the SDK's to retry, few times and within its token
    /// bucket ([`crate::aws::dynamodb`]), and not retried again.
    pub(super) async fn transact_as(
        &self,
        items: Vec<TransactWriteItem>,
        token: String,
    ) -> Result<Transaction, Error> {
        const OPERATION: &str = "TransactWriteItems";
        let request = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .client_request_token(token)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        for attempt in 1.. {
            let error = match self.record.call(request.clone().send()).await {
                Ok(output) => {
                    self.record.add_write(output.consumed_capacity.into_iter().flatten());
                    return Ok(Transaction::Done);
                }
                Err(error) => error,
            };
            let unavailable = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    let reasons = canceled.cancellation_reasons();
                    let codes: Vec<&str> =
                        reasons.iter().map(|reason| reason.code().unwrap_or("None")).collect();
                    let is_refused = codes.contains(&CONDITION_FAILED);
                    // While another transaction commits, one item may show its outcome and the next its conflict:
                    // a refusal is final only without a transient reason beside it.
                    if is_refused && !codes.iter().any(|code| is_transient_code(code)) {
                        return Ok(Transaction::Refused(Refusal(reasons.to_vec())));
                    }
                    let fault = Fault::new(format!("{OPERATION}: canceled, {}", codes.join(", ")));
                    let is_known =
                        |code: &&str| ["None", CONDITION_FAILED].contains(code) || is_transient_code(code);
                    if !codes.iter().all(is_known) {
                        return Err(Error::Internal(fault));
                    }
                    // The SDK has retried it already.
                    if codes.iter().any(|code| is_throttling_code(code)) {
                        return Err(Error::Unavailable(fault));
                    }
                    Error::Unavailable(fault)
                }
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => {
                    Error::of_call(OPERATION, &error)
                }
                _ => return Err(Error::of_call(OPERATION, &error)),
            };
            if attempt == MAX_ATTEMPTS {
                return Err(unavailable);
            }
            back_off(attempt).await;
        }
        Err(Error::internal("TransactWriteItems: not tried"))
    }
}
