//! What a handler works with: the store, the deployment's mode, the time.

use crate::api_key::Mode;
use crate::clock::{Clock, Timestamp};
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
}

impl Context {
    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
