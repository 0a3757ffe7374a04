//! What is told of a request once it is answered: who asked, about what, and what it took of the database.
//!
//! Ids and counts belong here. What is never logged (`docs/logging.md` lists it) has no place in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::types::ConsumedCapacity;

use crate::id::{AccountId, DockId, KeyId, RecipientId, SecretId};

/// The notes on one request, taken while it is handled. Clones write into the same notes.
#[derive(Clone, Debug, Default)]
pub struct RequestLog(Arc<Mutex<Notes>>);

/// What is known of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Notes {
    /// The account whose key it carries.
    pub account: Option<AccountId>,
    /// The id of that key.
    pub key: Option<KeyId>,
    /// The dock that its path names, or that it made.
    pub dock: Option<DockId>,
    /// The recipient that its path names, or that it made.
    pub recipient: Option<RecipientId>,
    /// The secret that its path names, that it made or that it found valid.
    pub secret: Option<SecretId>,
    /// How many calls of DynamoDB followed one another: those that begin before another has been answered count as one.
    pub round_trips: u32,
    /// The read capacity units that DynamoDB reports.
    pub read_units: f64,
    /// The write capacity units that DynamoDB reports. It reports none for a write that its condition refuses.
    pub write_units: f64,
    /// Whether a call was answered since the last round trip began.
    is_answered: bool,
}

impl RequestLog {
    /// What is known by now.
    pub fn notes(&self) -> Notes {
        *self.lock()
    }

    /// Notes the caller: the account and the id of its key.
    pub fn caller(&self, account: AccountId, key: KeyId) {
        let mut notes = self.lock();
        notes.account = Some(account);
        notes.key = Some(key);
    }

    /// Notes the dock.
    pub fn dock(&self, id: DockId) {
        self.lock().dock = Some(id);
    }

    /// Notes the recipient.
    pub fn recipient(&self, id: RecipientId) {
        self.lock().recipient = Some(id);
    }

    /// Notes the secret.
    pub fn secret(&self, id: SecretId) {
        self.lock().secret = Some(id);
    }

    /// Makes a call of DynamoDB.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        {
            let mut notes = self.lock();
            if notes.round_trips == 0 || notes.is_answered {
                notes.round_trips += 1;
                notes.is_answered = false;
            }
        }
        let _end = End(self);
        call.await
    }

    /// Notes what a read took.
    pub(crate) fn read(&self, consumed: impl IntoIterator<Item = ConsumedCapacity>) {
        self.lock().read_units += units(consumed);
    }

    /// Notes what a write took.
    pub(crate) fn wrote(&self, consumed: impl IntoIterator<Item = ConsumedCapacity>) {
        self.lock().write_units += units(consumed);
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn units(consumed: impl IntoIterator<Item = ConsumedCapacity>) -> f64 {
    consumed.into_iter().filter_map(|consumed| consumed.capacity_units).sum()
}

/// The end of a call, however it comes.
struct End<'a>(&'a RequestLog);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.lock().is_answered = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_at_once_are_one_round_trip_and_calls_in_a_row_are_several() {
        let log = RequestLog::default();
        let call = || log.call(tokio::task::yield_now());
        tokio::join!(call(), call());
        assert_eq!(log.notes().round_trips, 1);
        call().await;
        assert_eq!(log.notes().round_trips, 2);
        drop(tokio::time::timeout(std::time::Duration::ZERO, log.call(std::future::pending::<()>())).await);
        call().await;
        assert_eq!(log.notes().round_trips, 4, "a call that was given up has ended");
    }
}
