//! Requests that may be repeated: an item for each, written in the same transaction as what the request makes.

use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use serde::{Deserialize, Serialize};

use super::{Store, Transaction, failed, obstacle, to_item};
use crate::clock::Timestamp;
use crate::error::{Error, Fault};
use crate::idempotency::{DAYS, FirstAnswer, RepeatableRequest};

const SORT_KEY: &str = "IDEMPOTENCY";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestItem {
    pk: String,
    sk: String,
    fingerprint: String,
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    /// Until when the request is remembered, by our clock.
    expires_at: Timestamp,
    ttl: i64,
}

impl RequestItem {
    /// The answer to a repetition of the request.
    fn answer_to(self, request: &RepeatableRequest) -> Result<FirstAnswer, Error> {
        if self.fingerprint == request.fingerprint {
            Ok(FirstAnswer { body: self.body, location: self.location })
        } else {
            Err(Error::IdempotencyKeyReused)
        }
    }
}

/// How a write ended that may have been a repetition.
pub(super) enum Written {
    /// All of it is written.
    Done,
    /// It was written before, by a request that was answered so.
    Before(FirstAnswer),
    /// None of it is, since a condition did not hold. The reasons stand in the order of the writes.
    Refused(Vec<aws_sdk_dynamodb::types::CancellationReason>),
}

fn partition(request: &RepeatableRequest) -> String {
    format!("IDEMPOTENCY#{}", request.id)
}

impl Store {
    /// The answer to the first of these repeated requests, if there was one within the time that it is remembered.
    ///
    /// # Errors
    /// [`Error::IdempotencyKeyReused`]; [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn first_answer(
        &self,
        request: Option<&RepeatableRequest>,
    ) -> Result<Option<FirstAnswer>, Error> {
        let Some(request) = request else { return Ok(None) };
        let item: Option<RequestItem> = self.get(partition(request), SORT_KEY).await?;
        item.filter(|item| request.at < item.expires_at).map(|item| item.answer_to(request)).transpose()
    }

    /// Writes `items` all or not at all, and with them, where the request may be repeated, its `answer`.
    pub(super) async fn transact_once(
        &self,
        mut items: Vec<TransactWriteItem>,
        token: String,
        request: Option<(&RepeatableRequest, &FirstAnswer)>,
    ) -> Result<Written, Error> {
        if let Some((request, answer)) = request {
            items.push(self.remember(request, answer)?);
        }
        let reasons = match self.transact(items, token).await? {
            Transaction::Done => return Ok(Written::Done),
            Transaction::Refused(reasons) => reasons,
        };
        // It was pushed last.
        let last = reasons.len().saturating_sub(1);
        if let Some((request, _)) = request
            && failed(&reasons, last)
            && let Some(item) = obstacle::<RequestItem>(&reasons, last)?
        {
            return item.answer_to(request).map(Written::Before);
        }
        Ok(Written::Refused(reasons))
    }

    fn remember(
        &self,
        request: &RepeatableRequest,
        answer: &FirstAnswer,
    ) -> Result<TransactWriteItem, Error> {
        let expires_at = request.at.plus_days(DAYS);
        let item = RequestItem {
            pk: partition(request),
            sk: SORT_KEY.to_owned(),
            fingerprint: request.fingerprint.clone(),
            body: answer.body.clone(),
            location: answer.location.clone(),
            expires_at,
            ttl: expires_at.unix_seconds_rounded_up(),
        };
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(&item)?))
            // RFC 3339 times in UTC with milliseconds sort as text. What DynamoDB did not remove yet may be replaced.
            .condition_expression("attribute_not_exists(pk) OR expiresAt <= :now")
            .expression_attribute_values(":now", AttributeValue::S(request.at.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|_| Error::Internal(Fault::new("Put: incomplete")))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}
