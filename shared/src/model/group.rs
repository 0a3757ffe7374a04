//! Groups: recipients of a dock that policies can be limited to.

use std::collections::BTreeSet;

use super::audit::{Action, Event, Fields};
use super::owned::Owned;
use crate::values::clock::Timestamp;
use crate::values::id::{AccountId, DockId, GroupId, RecipientId};
use crate::values::patch::Patch;
use crate::values::text::{LongText, Text};

/// The most groups of a recipient.
pub const MAX_GROUPS_OF_RECIPIENT: usize = 50;
/// The most recipients that a request adds or removes.
pub const MAX_RECIPIENTS: usize = 100;
/// The most recipients of a group when it is created.
pub const MAX_INITIAL_RECIPIENTS: usize = 25;

/// A group of a dock's recipients. Its members are a list of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// The dock whose recipients it may have.
    pub dock: DockId,
    /// The account that the dock belongs to.
    pub account: AccountId,
    /// Its display name.
    pub name: Text,
    /// What it is for.
    pub description: Option<LongText>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed; `None` if it never was. Its members do not count.
    pub updated_at: Option<Timestamp>,
    /// Counts its changes, from 0.
    pub version: u64,
}

impl Owned for Group {
    fn owner(&self) -> AccountId {
        self.account
    }
}

impl Group {
    /// That it was created, with these recipients.
    pub fn created(&self, recipients: &BTreeSet<RecipientId>) -> Event {
        let event = Event::new(Action::Create, self.id).in_dock(self.dock);
        of_recipients(event.changing(Fields::default(), self.fields()), ADDED, recipients)
    }

    /// That it was updated.
    pub fn updated(&self, before: &Self) -> Event {
        Event::new(Action::Update, self.id).in_dock(self.dock).changing(before.fields(), self.fields())
    }

    /// That these recipients were added to it.
    pub fn added(&self, recipients: &BTreeSet<RecipientId>) -> Event {
        of_recipients(Event::new(Action::Update, self.id).in_dock(self.dock), ADDED, recipients)
    }

    /// That these recipients were removed from it.
    pub fn removed(&self, recipients: &BTreeSet<RecipientId>) -> Event {
        of_recipients(Event::new(Action::Update, self.id).in_dock(self.dock), REMOVED, recipients)
    }

    /// That it was deleted.
    pub fn deleted(&self) -> Event {
        Event::new(Action::Delete, self.id).in_dock(self.dock)
    }

    fn fields(&self) -> Fields {
        Fields::default()
            .shown("name", Some(self.name.as_str()))
            .personal("description", self.description.as_ref().map(LongText::as_str))
    }
}

const ADDED: &str = "recipientsAdded";
const REMOVED: &str = "recipientsRemoved";

fn of_recipients(event: Event, name: &str, recipients: &BTreeSet<RecipientId>) -> Event {
    if recipients.is_empty() {
        return event;
    }
    event.with(name, recipients.iter().map(RecipientId::to_string).collect::<Vec<String>>())
}

/// A merge patch of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupChanges {
    /// Its new name.
    pub name: Option<Text>,
    /// Its new description.
    pub description: Patch<LongText>,
}

impl GroupChanges {
    /// The group after the patch, changed at `now`; the same group if that changes nothing.
    pub fn apply(self, group: Group, now: Timestamp) -> Group {
        let changed = Group {
            name: self.name.unwrap_or_else(|| group.name.clone()),
            description: self.description.apply(group.description.clone()),
            ..group.clone()
        };
        if changed == group {
            return group;
        }
        let last = group.updated_at.unwrap_or(group.created_at);
        Group { updated_at: Some(now.max(last)), version: group.version + 1, ..changed }
    }
}
