//! What a handler works with: the store, the deployment's mode, the time, the notes for the log.

use crate::api_key::Mode;
use crate::clock::{Clock, Timestamp};
use crate::request_log::RequestLog;
use crate::store::Store;

/// What a handler works with. Cloning it is cheap.
#[derive(Clone)]
pub struct Context {
    /// The table.
    pub store: Store,
    /// The mode whose keys this deployment takes.
    pub mode: Mode,
    /// Where the time comes from.
    pub clock: Clock,
    /// What will be logged of the request.
    pub log: RequestLog,
}

impl Context {
    /// What requests are handled with.
    pub fn new(store: Store, mode: Mode, clock: Clock) -> Self {
        Self { store, mode, clock, log: RequestLog::default() }
    }

    /// The same for one request, whose log starts empty.
    pub fn for_request(&self) -> Self {
        let log = RequestLog::default();
        Self { store: self.store.logging_to(log.clone()), log, ..self.clone() }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
