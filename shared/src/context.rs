//! What a handler works with: the store, the deployment's mode, the time, the record of the request.

use crate::model::api_key::Mode;
use crate::request_record::RequestRecord;
use crate::store::Store;
use crate::values::clock::{Clock, Timestamp};

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
}

impl Context {
    /// A context for all requests; [`Context::for_request`] makes one for each.
    pub fn new(store: Store, mode: Mode, clock: Clock) -> Self {
        Self { store, mode, clock, record: RequestRecord::default() }
    }

    /// The same context with an empty record, for one request.
    pub fn for_request(&self) -> Self {
        let record = RequestRecord::default();
        Self { store: self.store.recording_to(record.clone()), record, ..self.clone() }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
