//! Groups: each among those of its dock, its members in a partition of their own, and each membership once more beside
//! the recipient's pointer, where a decision reads it.
//!
//! A group decides as long as its item exists. Its deletion takes that item alone; the memberships go behind it, as does the
//! group in the audiences of policies, and decide nothing meanwhile.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};

use super::cleanup::{Cleanup, Leftover};
use super::recipients::{self, POINTER_SORT_KEY, RecipientPointer};
use super::retry::{MAX_ATTEMPTS, back_off};
use super::transaction::Transaction;
use super::{Error, Item, KeyRange, Partition, Store, at_once, text};
use crate::model::audit::Entry;
use crate::model::group::{Group, MAX_GROUPS_OF_RECIPIENT};
use crate::model::idempotency::{IdempotentRequest, Outcome, StoredResponse};
use crate::values::clock::Timestamp;
use crate::values::id::{AccountId, DockId, GroupId, RecipientId};
use crate::values::page::{Page, PageRequest};
use crate::values::text::{LongText, Text};

const PREFIX: &str = "GROUP#";
const END: &str = "GROUP#~";
const MEMBER_PREFIX: &str = "MEMBER#";
const MEMBER_END: &str = "MEMBER#~";

/// How many recipients a transaction adds or removes: three writes each, of a hundred.
const RECIPIENTS_OF_TRANSACTION: usize = 30;

/// How many members a deletion clears away behind itself: ten pages of a thousand.
const MAX_CLEARED_PAGES: usize = 10;
const MEMBERS_OF_PAGE: usize = 1000;

/// The key of a group.
pub(super) fn key(dock: DockId, group: GroupId) -> Item {
    Store::key(Partition::Groups.of(dock), sort_key(group))
}

/// The sort key of a group among those of its dock, and of a membership beside a recipient's pointer.
pub(super) fn sort_key(id: impl std::fmt::Display) -> String {
    format!("{PREFIX}{id}")
}

/// The key of a member in its group.
pub(super) fn member_key(group: GroupId, recipient: RecipientId) -> Item {
    Store::key(Partition::Group.of(group), member_sort_key(recipient))
}

fn member_sort_key(recipient: impl std::fmt::Display) -> String {
    format!("{MEMBER_PREFIX}{recipient}")
}

fn membership_key(group: GroupId, recipient: RecipientId) -> Item {
    Store::key(recipients::partition(recipient), sort_key(group))
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupItem {
    pk: String,
    sk: String,
    id: GroupId,
    dock: DockId,
    account: AccountId,
    name: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<LongText>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
    /// Counts the changes, so that none overwrites another.
    version: u64,
}

impl GroupItem {
    fn new(group: Group) -> Self {
        Self {
            pk: Partition::Groups.of(group.dock),
            sk: sort_key(group.id),
            id: group.id,
            dock: group.dock,
            account: group.account,
            name: group.name,
            description: group.description,
            created_at: group.created_at,
            updated_at: group.updated_at,
            version: group.version,
        }
    }
}

impl From<GroupItem> for Group {
    fn from(item: GroupItem) -> Self {
        Self {
            id: item.id,
            dock: item.dock,
            account: item.account,
            name: item.name,
            description: item.description,
            created_at: item.created_at,
            updated_at: item.updated_at,
            version: item.version,
        }
    }
}

#[derive(Deserialize)]
struct ExistingGroup {
    id: GroupId,
}

/// A recipient in a group: in the group's partition, and in the recipient's.
#[derive(Clone, Serialize, Deserialize)]
struct MemberItem {
    pk: String,
    sk: String,
    group: GroupId,
    member: RecipientId,
    dock: DockId,
}

/// Why recipients were not added to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersRefused {
    /// The group no longer exists.
    NoGroup,
    /// One of them does not exist in the group's dock.
    NoRecipient,
    /// One of them is in [`MAX_GROUPS_OF_RECIPIENT`] groups.
    TooManyGroups,
}

/// An item of a recipient's partition, from its memberships to its pointer.
#[derive(Deserialize)]
#[serde(untagged)]
enum MembershipOrPointer {
    Membership { group: GroupId },
    Pointer(RecipientPointer),
}

impl Store {
    /// Returns the group of this id in the dock; one read.
    pub async fn group(&self, dock: DockId, id: GroupId) -> Result<Option<Group>, Error> {
        let item: Option<GroupItem> = self.get(Partition::Groups.of(dock), sort_key(id)).await?;
        Ok(item.map(Group::from))
    }

    /// Returns one page of a dock's groups, newest first; one Query.
    pub async fn groups(&self, dock: DockId, page: &PageRequest) -> Result<Page<Group>, Error> {
        let range = KeyRange { from: PREFIX, to: END, ascending: false };
        let after = page.after.as_deref().map(sort_key);
        let read = self.query_page(Partition::Groups.of(dock), range, after, page.limit + 1).await?;
        let groups = read.items.into_iter().map(|item: GroupItem| Group::from(item)).collect();
        Ok(Page::of(groups, read.is_last, page.limit, |group| group.id.to_string()))
    }

    /// Returns which of these groups exist in the dock; one `BatchGetItem`, none without groups.
    pub async fn existing_groups(
        &self,
        dock: DockId,
        groups: &BTreeSet<GroupId>,
    ) -> Result<BTreeSet<GroupId>, Error> {
        let keys = groups.iter().map(|group| key(dock, *group)).collect();
        let items: Vec<ExistingGroup> = self.get_many(keys).await?;
        Ok(items.into_iter().map(|item| item.id).collect())
    }

    /// Creates a group with these recipients, and stores the response if the request carries an idempotency key.
    pub async fn create_group(
        &self,
        group: &Group,
        recipients: &BTreeSet<RecipientId>,
        entry: &Entry,
        idempotency: Option<(&IdempotentRequest, &StoredResponse)>,
    ) -> Result<Outcome<MembersRefused>, Error> {
        let mut items = vec![self.put_new(&GroupItem::new(group.clone()))?];
        for recipient in recipients {
            items.extend(self.addition(group, *recipient)?);
        }
        self.transact_idempotently(items, entry, idempotency, |refusal| match refusal.condition_failed(0) {
            false => Ok(MembersRefused::NoRecipient),
            true => Err(Error::unexpected_refusal("create group")),
        })
        .await
    }

    /// Changes a group, which was read already, to what `change` makes of it, and returns it; `None` if it no longer
    /// exists. `entry` makes the entry on it, of the group before and after. If another change came between, it reads the
    /// group again and repeats `change`.
    ///
    /// # Errors
    /// Those of `change`, and those of the store.
    pub async fn update_group<E: From<Error>>(
        &self,
        mut read: Group,
        change: impl Fn(Group) -> Result<Group, E>,
        entry: impl Fn(&Group, &Group) -> Entry,
    ) -> Result<Option<Group>, E> {
        for attempt in 1..=MAX_ATTEMPTS {
            let group = change(read.clone())?;
            if group.version == read.version {
                return Ok(Some(group));
            }
            let items = vec![self.put_if_version(&GroupItem::new(group.clone()), group.id, read.version)?];
            if let Transaction::Done = self.transact(items, &entry(&read, &group)).await? {
                return Ok(Some(group));
            }
            back_off(attempt).await;
            match self.group(read.dock, read.id).await? {
                Some(current) => read = current,
                None => return Ok(None),
            }
        }
        Err(Error::unavailable("update group: too many changes at once").into())
    }

    /// Deletes a group, which was read already, if `check` admits it, and has its memberships cleaned up. From then on it
    /// decides nothing. `false` if it no longer exists.
    ///
    /// # Errors
    /// Those of `check`, and those of the store.
    pub async fn delete_group<E: From<Error>>(
        &self,
        mut read: Group,
        now: Timestamp,
        check: impl Fn(&Group) -> Result<(), E>,
        entry: impl Fn() -> Entry,
    ) -> Result<bool, E> {
        let cleanup = Cleanup::new(Leftover::Memberships { dock: read.dock, group: read.id }, now);
        for attempt in 1..=MAX_ATTEMPTS {
            check(&read)?;
            let items = vec![
                self.delete_if_version(key(read.dock, read.id), read.id, read.version)?,
                self.put(&cleanup.item())?,
            ];
            if let Transaction::Done = self.transact(items, &entry()).await? {
                return Ok(true);
            }
            back_off(attempt).await;
            match self.group(read.dock, read.id).await? {
                Some(current) => read = current,
                None => return Ok(false),
            }
        }
        Err(Error::unavailable("delete group: too many changes at once").into())
    }

    /// Deletes the memberships of a group that this dock no longer has, up to ten thousand of them. `false` if there are more.
    pub(super) async fn delete_memberships(&self, dock: DockId, group: GroupId) -> Result<bool, Error> {
        for _ in 0..MAX_CLEARED_PAGES {
            let range = KeyRange { from: MEMBER_PREFIX, to: MEMBER_END, ascending: true };
            let read = self.query_page(Partition::Group.of(group), range, None, MEMBERS_OF_PAGE).await?;
            let own = read.items.into_iter().filter(|item: &MemberItem| item.dock == dock);
            let keys =
                own.flat_map(|item| [membership_key(group, item.member), member_key(group, item.member)]);
            self.delete_all(keys.collect()).await?;
            if read.is_last {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns one page of a group's members, the newest recipients first, by id; one Query.
    pub async fn members(&self, group: GroupId, page: &PageRequest) -> Result<Page<RecipientId>, Error> {
        let range = KeyRange { from: MEMBER_PREFIX, to: MEMBER_END, ascending: false };
        let after = page.after.as_deref().map(member_sort_key);
        let read = self.query_page(Partition::Group.of(group), range, after, page.limit + 1).await?;
        let members = read.items.into_iter().map(|item: MemberItem| item.member).collect();
        Ok(Page::of(members, read.is_last, page.limit, RecipientId::to_string))
    }

    /// Adds recipients to a group, thirty at a time; those that are in it already stay. `entry` makes the entry on those
    /// that a transaction adds. It can be interrupted anywhere and repeated: what was added stays.
    pub async fn add_members(
        &self,
        group: &Group,
        recipients: &BTreeSet<RecipientId>,
        entry: impl Fn(&BTreeSet<RecipientId>) -> Entry,
    ) -> Result<Result<(), MembersRefused>, Error> {
        for attempt in 1..=MAX_ATTEMPTS {
            let new = match self.check_members(group.dock, group.id, recipients).await? {
                Ok(new) if new.is_empty() => return Ok(Ok(())),
                Ok(new) => new,
                Err(refused) => return Ok(Err(refused)),
            };
            let mut is_overtaken = false;
            for chunk in chunks(&new) {
                let mut items = vec![self.check_exists(key(group.dock, group.id))?];
                for recipient in &chunk {
                    items.extend(self.addition(group, *recipient)?);
                }
                if let Transaction::Refused(refusal) = self.transact(items, &entry(&chunk)).await? {
                    if refusal.condition_failed(0) {
                        return Ok(Err(MembersRefused::NoGroup));
                    }
                    is_overtaken = true;
                    break;
                }
            }
            if !is_overtaken {
                return Ok(Ok(()));
            }
            back_off(attempt).await;
        }
        Err(Error::unavailable("add to group: too many changes at once"))
    }

    /// Which of these recipients of the dock are not in the group; a Query for each.
    pub async fn check_members(
        &self,
        dock: DockId,
        group: GroupId,
        recipients: &BTreeSet<RecipientId>,
    ) -> Result<Result<BTreeSet<RecipientId>, MembersRefused>, Error> {
        let read = recipients.iter().copied().map(|id| async move {
            let items: Vec<MembershipOrPointer> =
                self.query(recipients::partition(id), PREFIX, POINTER_SORT_KEY).await?;
            let (mut groups, mut pointer) = (BTreeSet::new(), None);
            for item in items {
                match item {
                    MembershipOrPointer::Membership { group } => drop(groups.insert(group)),
                    MembershipOrPointer::Pointer(found) => pointer = Some(found),
                }
            }
            Ok::<_, Error>((id, groups, pointer))
        });
        let (mut new, mut full) = (BTreeSet::new(), Vec::new());
        for (id, groups, pointer) in at_once(read).await? {
            if pointer.is_none_or(|pointer| pointer.dock != dock) {
                return Ok(Err(MembersRefused::NoRecipient));
            }
            if groups.contains(&group) {
                continue;
            }
            new.insert(id);
            if groups.len() >= MAX_GROUPS_OF_RECIPIENT {
                full.push(groups);
            }
        }
        let all: BTreeSet<GroupId> = full.iter().flatten().copied().collect();
        let read = at_once(all.into_iter().map(|group| self.group(dock, group))).await?;
        let existing: BTreeSet<GroupId> = read.into_iter().flatten().map(|group| group.id).collect();
        if full.iter().any(|groups| groups.intersection(&existing).count() >= MAX_GROUPS_OF_RECIPIENT) {
            return Ok(Err(MembersRefused::TooManyGroups));
        }
        Ok(Ok(new))
    }

    /// The writes that add a recipient to a group: refused if the recipient does not exist in the group's dock, or is in
    /// the group already.
    fn addition(&self, group: &Group, recipient: RecipientId) -> Result<[TransactWriteItem; 3], Error> {
        let member = MemberItem {
            pk: Partition::Group.of(group.id),
            sk: member_sort_key(recipient),
            group: group.id,
            member: recipient,
            dock: group.dock,
        };
        let membership =
            MemberItem { pk: recipients::partition(recipient), sk: sort_key(group.id), ..member.clone() };
        let pointer = Self::key(recipients::partition(recipient), POINTER_SORT_KEY);
        Ok([
            self.check(pointer, "dock = :dock", &[(":dock", text(group.dock))])?,
            self.put_new(&membership)?,
            self.put(&member)?,
        ])
    }

    /// Removes recipients from a group, thirty at a time; `entry` makes the entry on those that a transaction removes. It
    /// can be interrupted anywhere and repeated: what was removed stays so. Returns how many there were to remove; `None`
    /// if one does not exist in the dock.
    pub async fn remove_members(
        &self,
        group: &Group,
        recipients: &BTreeSet<RecipientId>,
        entry: impl Fn(&BTreeSet<RecipientId>) -> Entry,
    ) -> Result<Option<usize>, Error> {
        let mut removed = 0;
        for attempt in 1..=MAX_ATTEMPTS {
            let pointers =
                recipients.iter().map(|id| Self::key(recipients::partition(*id), POINTER_SORT_KEY));
            let memberships = recipients.iter().map(|id| membership_key(group.id, *id));
            let items: Vec<PointerOrMember> = self.get_many(pointers.chain(memberships).collect()).await?;
            let (mut members, mut there) = (BTreeSet::new(), 0);
            for item in items {
                match item {
                    PointerOrMember::Member { member } => drop(members.insert(member)),
                    PointerOrMember::Pointer { dock } => there += usize::from(dock == group.dock),
                }
            }
            if there < recipients.len() {
                return Ok(None);
            }
            let mut is_overtaken = false;
            for chunk in chunks(&members) {
                let mut items = Vec::new();
                for id in &chunk {
                    items.push(self.delete(membership_key(group.id, *id), "attribute_exists(pk)", &[])?);
                    items.push(self.delete_if_exists(member_key(group.id, *id))?);
                }
                if let Transaction::Refused(_) = self.transact(items, &entry(&chunk)).await? {
                    is_overtaken = true;
                    break;
                }
                removed += chunk.len();
            }
            if !is_overtaken {
                return Ok(Some(removed));
            }
            back_off(attempt).await;
        }
        Err(Error::unavailable("remove from group: too many changes at once"))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PointerOrMember {
    Member { member: RecipientId },
    Pointer { dock: DockId },
}

fn chunks(recipients: &BTreeSet<RecipientId>) -> Vec<BTreeSet<RecipientId>> {
    let all: Vec<RecipientId> = recipients.iter().copied().collect();
    all.chunks(RECIPIENTS_OF_TRANSACTION).map(|chunk| chunk.iter().copied().collect()).collect()
}
