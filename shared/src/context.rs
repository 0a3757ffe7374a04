//! What a handler works with: the store, the deployment's mode, the time, and what is known of the request.

use crate::model::api_key::Mode;
use crate::model::audit::{Author, Entry, Event, Origin};
use crate::request_record::RequestRecord;
use crate::store::Store;
use crate::values::clock::{Clock, Timestamp};
use crate::values::id::{AccountId, ApiKeyId};

/// What a handler works with. Cloning it is cheap.
#[derive(Clone)]
pub struct Context {
    /// The table.
    pub store: Store,
    /// The mode whose API keys this deployment accepts.
    pub mode: Mode,
    /// Where the time comes from.
    pub clock: Clock,
    /// What the log will say of the request.
    pub record: RequestRecord,
    /// Where the request comes from.
    origin: Origin,
}

/// Whose API key a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// The id of the key.
    pub key: ApiKeyId,
}

impl Context {
    /// A context for all requests; [`Context::for_request`] makes one for each.
    pub fn new(store: Store, mode: Mode, clock: Clock) -> Self {
        Self { store, mode, clock, record: RequestRecord::default(), origin: Origin::default() }
    }

    /// The same context with an empty record, for one request from `origin`, whose time stands still.
    pub fn for_request(&self, origin: Origin) -> Self {
        let record = RequestRecord::default();
        let now = self.now();
        Self {
            store: self.store.recording_to(record.clone()),
            mode: self.mode,
            clock: Clock::new(move || now),
            record,
            origin,
        }
    }

    /// The time now. For a request it is the time when it began, so that all that comes of it has one time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The audit entry on an event that this request brings about: `caller` did it, from the request's origin, now.
    pub fn entry(&self, caller: Caller, event: Event) -> Entry {
        event.by(&Author::api_key(caller.account, caller.key, self.origin.clone()), self.now())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::aws::dynamodb;

    #[test]
    fn all_that_comes_of_a_request_has_one_time() {
        let start = Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap();
        let time = Mutex::new(start);
        let clock = Clock::new(move || {
            let mut time = time.lock().unwrap();
            *time = time.plus_hours(1);
            *time
        });
        let store = Store::new(dynamodb::local_client("http://127.0.0.1:1"), "t");
        let context = Context::new(store, Mode::Live, clock);
        let request = context.for_request(Origin::default());
        assert_eq!([request.now(), request.now()], [start.plus_hours(1); 2]);
        assert_eq!(context.for_request(Origin::default()).now(), start.plus_hours(2));
    }
}
