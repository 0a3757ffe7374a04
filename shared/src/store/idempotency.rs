//! Requests with an idempotency key: an item for each, written in the transaction that carries out the request.

use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};

use super::transaction::{Refusal, Transaction};
use super::{Error, Partition, Store, text};
use crate::model::audit::Entry;
use crate::model::idempotency::{DAYS, IdempotentRequest, Outcome, Replay, StoredResponse};
use crate::values::clock::Timestamp;

const SORT_KEY: &str = "IDEMPOTENCY";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdempotencyItem {
    pk: String,
    sk: String,
    fingerprint: String,
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    /// Until when the response is replayed, by our clock.
    expires_at: Timestamp,
    ttl: i64,
}

impl IdempotencyItem {
    fn replay(self, request: &IdempotentRequest) -> Replay {
        if self.fingerprint == request.fingerprint {
            Replay::Response(StoredResponse { body: self.body, location: self.location })
        } else {
            Replay::KeyReused
        }
    }
}

fn partition(request: &IdempotentRequest) -> String {
    Partition::Idempotency.of(&request.id)
}

impl Store {
    /// Returns what is stored for the request's idempotency key; `None` if the key is new, has expired, or there is
    /// none.
    pub async fn stored_response(
        &self,
        request: Option<&IdempotentRequest>,
    ) -> Result<Option<Replay>, Error> {
        let Some(request) = request else { return Ok(None) };
        let item: Option<IdempotencyItem> = self.get(partition(request), SORT_KEY).await?;
        Ok(item.filter(|item| request.at < item.expires_at).map(|item| item.replay(request)))
    }

    /// Writes all `items` and the entry on them or none, and with them the response if the request carries an idempotency
    /// key. `refused` says why a refused transaction was refused.
    pub(super) async fn transact_idempotently<R>(
        &self,
        mut items: Vec<TransactWriteItem>,
        entry: &Entry,
        idempotency: Option<(&IdempotentRequest, &StoredResponse)>,
        refused: impl FnOnce(Refusal) -> Result<R, Error>,
    ) -> Result<Outcome<R>, Error> {
        let index = items.len();
        if let Some((request, response)) = idempotency {
            items.push(self.idempotency_item(request, response)?);
        }
        let refusal = match self.transact(items, entry).await? {
            Transaction::Done => return Ok(Outcome::Done),
            Transaction::Refused(refusal) => refusal,
        };
        if let Some((request, _)) = idempotency
            && refusal.condition_failed(index)
            && let Some(item) = refusal.existing_item::<IdempotencyItem>(index)?
        {
            return Ok(Outcome::Replayed(item.replay(request)));
        }
        refused(refusal).map(Outcome::Refused)
    }

    fn idempotency_item(
        &self,
        request: &IdempotentRequest,
        response: &StoredResponse,
    ) -> Result<TransactWriteItem, Error> {
        let expires_at = request.at.plus_days(DAYS);
        let item = IdempotencyItem {
            pk: partition(request),
            sk: SORT_KEY.to_owned(),
            fingerprint: request.fingerprint.clone(),
            body: response.body.clone(),
            location: response.location.clone(),
            expires_at,
            ttl: expires_at.unix_seconds_rounded_up(),
        };
        // RFC 3339 times in UTC with milliseconds sort as text. An expired item may wait days for DynamoDB to delete
        // it.
        let condition = "attribute_not_exists(pk) OR expiresAt <= :now";
        self.put_new_or_if(&item, condition, &[(":now", text(request.at))])
    }
}
