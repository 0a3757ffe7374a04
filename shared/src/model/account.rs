//! Accounts: who owns docks and API keys.

use super::audit::{Action, Event};
use crate::values::clock::Timestamp;
use crate::values::id::AccountId;
use crate::values::text::Text;

/// An account: the institution, or the part of one, that owns docks and API keys.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name, which only operators see.
    pub name: Text,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Account {
    /// That it was created.
    pub fn created(&self) -> Event {
        Event::new(Action::Create, self.id)
    }
}
