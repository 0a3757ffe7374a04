//! The record of one request: who asked, about what, and what it took of the database. It becomes one line of the log.
//!
//! Ids and counts belong here. What is never logged (`docs/logging.md` lists it) does not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::types::ConsumedCapacity;

use crate::values::id::{AccountId, AnyId, ApiKeyId};

/// The record of one request, filled while it is handled. Clones share one record.
#[derive(Clone, Debug, Default)]
pub struct RequestRecord(Arc<Mutex<RecordedValues>>);

/// The values recorded so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordedValues {
    /// The account of the request's API key, or of the recipient that proved itself.
    pub account: Option<AccountId>,
    /// The id of the API key.
    pub key: Option<ApiKeyId>,
    /// The resources that the path names, and those that the request created or found, in this order.
    pub ids: Vec<AnyId>,
    /// How many calls of DynamoDB followed one another: those that begin before another is answered count as one.
    pub round_trips: u32,
    /// The read capacity units that DynamoDB reports.
    pub read_units: f64,
    /// The write capacity units that DynamoDB reports. It reports none for a write that its condition refuses.
    pub write_units: f64,
    /// Whether a call was answered since the last round trip began.
    is_answered: bool,
}

impl RequestRecord {
    /// The values recorded so far.
    pub fn values(&self) -> RecordedValues {
        self.lock().clone()
    }

    /// Records the caller: the account and the id of its API key.
    pub fn set_caller(&self, account: AccountId, key: ApiKeyId) {
        let mut values = self.lock();
        values.account = Some(account);
        values.key = Some(key);
    }

    /// Records the account of a recipient that proved itself.
    pub fn set_account(&self, account: AccountId) {
        self.lock().account = Some(account);
    }

    /// Records a resource that the request is about, once.
    pub fn add_id(&self, id: impl Into<AnyId>) {
        let id = id.into();
        let mut values = self.lock();
        if !values.ids.contains(&id) {
            values.ids.push(id);
        }
    }

    /// Makes a call of DynamoDB and counts its round trip.
    ///
    /// The call is moved to the heap at once: the SDK's futures are many kilobytes, and every future around one would be
    /// larger still.
    pub(crate) fn call<T>(&self, call: impl Future<Output = T>) -> impl Future<Output = T> {
        let call = Box::pin(call);
        async move {
            {
                let mut values = self.lock();
                if values.round_trips == 0 || values.is_answered {
                    values.round_trips += 1;
                    values.is_answered = false;
                }
            }
            let _guard = CallGuard(self);
            call.await
        }
    }

    /// Adds the capacity units of a read.
    pub(crate) fn add_read(&self, consumed: impl IntoIterator<Item = ConsumedCapacity>) {
        self.lock().read_units += units(consumed);
    }

    /// Adds the capacity units of a write.
    pub(crate) fn add_write(&self, consumed: impl IntoIterator<Item = ConsumedCapacity>) {
        self.lock().write_units += units(consumed);
    }

    fn lock(&self) -> MutexGuard<'_, RecordedValues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn units(consumed: impl IntoIterator<Item = ConsumedCapacity>) -> f64 {
    consumed.into_iter().filter_map(|consumed| consumed.capacity_units).sum()
}

/// Marks the call as finished when it is dropped, also when the call is cancelled.
struct CallGuard<'a>(&'a RequestRecord);

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().is_answered = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_at_once_are_one_round_trip_and_calls_in_a_row_are_several() {
        let record = RequestRecord::default();
        let call = || record.call(tokio::task::yield_now());
        tokio::join!(call(), call());
        assert_eq!(record.values().round_trips, 1);
        call().await;
        assert_eq!(record.values().round_trips, 2);
        drop(
            tokio::time::timeout(std::time::Duration::ZERO, record.call(std::future::pending::<()>())).await,
        );
        call().await;
        assert_eq!(record.values().round_trips, 4, "a cancelled call has ended");
    }
}
