//! A clock that only the test moves.

use std::sync::{Arc, Mutex};

use docyard_core::values::clock::{Clock, Timestamp};

/// A time. Copies of it and its [`TestClock::clock`] show the same.
#[derive(Clone)]
pub struct TestClock(Arc<Mutex<Timestamp>>);

impl TestClock {
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    pub fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap() = now;
    }

    /// What the API is told.
    pub fn clock(&self) -> Clock {
        let shown = self.clone();
        Clock::new(move || shown.now())
    }
}
