//! The audit trail: each entry in the trail of its dock and in that of its entity, written in the transaction of the change
//! and never again.
//!
//! Both are whole copies: a list reads one kind of partition, strongly consistent, and an entry costs the same whoever asks
//! for it. The trail of a dock has eight partitions, since a busy dock writes more than one takes; an entry's id says which.
//! They hold all days: an id begins with its time, so a time is a range of sort keys, and a page costs the same for a dock
//! that changes once a year as for one that changes a thousand times a day.

use std::convert::Infallible;

use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Error, KeyRange, Partition, QueryPage, Store, at_once};
use crate::model::audit::{Changes, EntityId, EntityRef, Entry, EntryQuery, Metadata, Origin, Source, Word};
use crate::model::idempotency::{IdempotentRequest, Outcome, StoredResponse};
use crate::model::sealed_copy::SealedEntry;
use crate::values::clock::Timestamp;
use crate::values::digest::Digest;
use crate::values::id::{AccountId, AuditEntryId, DockId};
use crate::values::page::{MAX_LIMIT, Page, PageRequest};

/// How many partitions the trail of a dock has.
pub const DOCK_PARTS: u8 = 8;

/// The most bytes of a page, about: Lambda's answer has at most 6 MB, and JSON in JSON can double them.
const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// What a stored entry has besides its changes and metadata, in bytes, about.
const ENTRY_BYTES: usize = 1024;

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryItem {
    pk: String,
    sk: AuditEntryId,
    account: AccountId,
    #[serde(skip_serializing_if = "Option::is_none")]
    dock: Option<DockId>,
    entity_type: Word,
    entity_id: EntityId,
    #[serde(skip_serializing_if = "Option::is_none")]
    also_of: Option<EntityRef>,
    action: Word,
    actor: String,
    source: Source,
    /// JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<String>,
    /// JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    created_at: Timestamp,
    ttl: i64,
}

impl EntryItem {
    fn size(&self) -> usize {
        let length = |json: &Option<String>| json.as_ref().map_or(0, String::len);
        ENTRY_BYTES + length(&self.changes) + length(&self.metadata)
    }

    /// The partitions that it is in: one for each trail that it is part of.
    fn partitions(&self) -> impl Iterator<Item = String> {
        let of_dock = self.dock.map(|dock| dock_partition(dock, self.sk.spread(DOCK_PARTS)));
        let other = self.also_of.as_ref().map(|other| (&other.entity_type, &other.id));
        let of_entities = [Some((&self.entity_type, &self.entity_id)), other].into_iter().flatten();
        of_dock.into_iter().chain(of_entities.map(|(kind, id)| entity_partition(self.account, kind, id)))
    }
}

impl TryFrom<EntryItem> for Entry {
    type Error = Error;

    fn try_from(item: EntryItem) -> Result<Self, Error> {
        Ok(Self {
            id: item.sk,
            account: item.account,
            dock: item.dock,
            entity_type: item.entity_type,
            entity_id: item.entity_id,
            also_of: item.also_of,
            action: item.action,
            actor: item.actor,
            source: item.source,
            changes: item.changes.as_deref().map(from_json::<Changes>).transpose()?,
            metadata: item.metadata.as_deref().map(from_json::<Metadata>).transpose()?.unwrap_or_default(),
            origin: Origin { ip_address: item.ip_address, user_agent: item.user_agent },
            created_at: item.created_at,
        })
    }
}

impl TryFrom<EntryItem> for SealedEntry {
    type Error = Error;

    fn try_from(item: EntryItem) -> Result<Self, Error> {
        let milliseconds = u64::try_from(item.ttl).ok().and_then(|seconds| seconds.checked_mul(1000));
        let expires_at = milliseconds.and_then(Timestamp::from_unix_milliseconds);
        let expires_at = expires_at.ok_or_else(|| Error::internal("stored audit entry has no end"))?;
        if !item.sk.is_of(item.created_at) {
            return Err(Error::internal("stored audit entry has the id of another time"));
        }
        Ok(Self::new(Entry::try_from(item)?, expires_at))
    }
}

/// Where the table has entries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trail {
    /// One of the [`DOCK_PARTS`] parts of a dock's.
    DockPart(DockId, u8),
    /// An entity's, which is of an account.
    Entity(AccountId, EntityRef),
}

/// A page of a trail.
pub struct TrailPage {
    /// The sort keys of the items, and what they say; `None` if that is no entry that this service writes.
    pub entries: Vec<(String, Option<SealedEntry>)>,
    /// The last sort key, if there are more.
    pub next: Option<String>,
}

/// What a record of the table's stream says of the trail.
pub enum TrailChange {
    /// A new entry. Of those of a dock it is told of once, of the others once for each trail that they are part of.
    Entry(Box<SealedEntry>),
    /// A new item that is no entry that this service writes.
    Foreign,
}

/// Whether the keys in a record of the stream are those of an item of the trail.
pub fn is_of_trail(keys: &Value) -> bool {
    let pk = keys.pointer("/pk/S").and_then(Value::as_str).unwrap_or_default();
    [Partition::Audit, Partition::AuditEntity].iter().any(|partition| pk.starts_with(&partition.of("")))
}

/// What the image of a new item of the trail says; `None` if it is a dock's entry in the trail of an entity, which its dock's says
/// already.
pub fn entry_of_image(image: &Value) -> Option<TrailChange> {
    let item = plain(image).and_then(|item| EntryItem::deserialize(Value::Object(item)).ok());
    let Some(item) = item else { return Some(TrailChange::Foreign) };
    let is_in_its_place = item.partitions().any(|partition| partition == item.pk);
    let is_told_by_its_dock = item.dock.is_some() && item.pk.starts_with(&Partition::AuditEntity.of(""));
    match SealedEntry::try_from(item) {
        Ok(_) if is_in_its_place && is_told_by_its_dock => None,
        Ok(entry) if is_in_its_place => Some(TrailChange::Entry(Box::new(entry))),
        _ => Some(TrailChange::Foreign),
    }
}

/// An image without the types of its attributes, which are texts and numbers; `None` if it has others.
fn plain(image: &Value) -> Option<Map<String, Value>> {
    let plain = |(name, attribute): (&String, &Value)| {
        let number = || attribute.get("N")?.as_str()?.parse::<i64>().ok().map(Value::from);
        Some((name.clone(), attribute.get("S").cloned().or_else(number)?))
    };
    image.as_object()?.iter().map(plain).collect()
}

fn to_json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::internal("audit entry cannot be written"))
}

fn from_json<T: for<'de> Deserialize<'de>>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|_| Error::internal("stored audit entry has bad JSON"))
}

/// A partition of the trail of a dock.
fn dock_partition(dock: DockId, shard: u8) -> String {
    Partition::Audit.of(format_args!("{dock}#{shard}"))
}

/// The trail of an entity, which only its account can name. A word has no NUL.
fn entity_partition(account: AccountId, entity_type: &Word, entity_id: &EntityId) -> String {
    let entity = Digest::of(&format!("{entity_type}\0{entity_id}")).expose_hex();
    Partition::AuditEntity.of(format_args!("{account}#{entity}"))
}

/// How many entries of each partition are read for a page of `limit`: an eighth, and some more, since they are spread at
/// random. Where that is too few the page is shorter than its limit; it never skips an entry.
fn share(limit: usize) -> usize {
    limit.div_ceil(DOCK_PARTS.into()) + limit.isqrt() + 1
}

/// The ids that a page may have, the newest first; `None` if there are none.
fn ids(query: &EntryQuery, page: &PageRequest) -> Option<(AuditEntryId, AuditEntryId)> {
    let oldest = query.from.map_or(AuditEntryId::MIN, AuditEntryId::first_of);
    let mut newest = AuditEntryId::MAX;
    if let Some(to) = query.to {
        newest = AuditEntryId::first_of(to).before()?;
    }
    if let Some(last) = page.after.as_deref().and_then(AuditEntryId::parse) {
        newest = newest.min(last.before()?);
    }
    (oldest <= newest).then_some((oldest, newest))
}

impl Store {
    /// The writes of an entry: one for each trail that it is part of. Each is refused where one is.
    pub(super) fn entry_items(&self, entry: &Entry) -> Result<Vec<TransactWriteItem>, Error> {
        let item = EntryItem {
            pk: String::new(),
            sk: entry.id,
            account: entry.account,
            dock: entry.dock,
            entity_type: entry.entity_type.clone(),
            entity_id: entry.entity_id.clone(),
            also_of: entry.also_of.clone(),
            action: entry.action.clone(),
            actor: entry.actor.clone(),
            source: entry.source,
            changes: entry.changes.as_ref().map(to_json).transpose()?,
            metadata: Some(&entry.metadata).filter(|it| !it.is_empty()).map(to_json).transpose()?,
            ip_address: entry.origin.ip_address.clone(),
            user_agent: entry.origin.user_agent.clone(),
            created_at: entry.created_at,
            ttl: entry.created_at.plus_days(self.audit_retention_days).unix_seconds_rounded_up(),
        };
        item.partitions().map(|pk| self.put_new(&EntryItem { pk, ..item.clone() })).collect()
    }

    /// Returns one page of a dock's entries, newest first; eight Queries at once. The page may have fewer entries than its
    /// limit, or none, and others behind it: with a filter it looks at about eight times its limit, 1,256 at most.
    pub async fn dock_entries(
        &self,
        dock: DockId,
        query: &EntryQuery,
        page: &PageRequest,
    ) -> Result<Page<Entry>, Error> {
        let Some((oldest, newest)) = ids(query, page) else { return Ok(Page::empty()) };
        let (oldest, newest) = (oldest.to_string(), newest.to_string());
        let looked_at = if query.filter.is_some() { 8 * page.limit } else { page.limit };
        let share = share(looked_at.min(MAX_LIMIT));
        let read = (0..DOCK_PARTS).map(|shard| {
            let range = KeyRange { from: &oldest, to: &newest, ascending: false };
            self.query_page::<EntryItem>(dock_partition(dock, shard), range, None, share)
        });
        let read = at_once(read).await?;
        let QueryPage { items, is_last } = QueryPage::merge(read, |item| item.sk);

        let (mut entries, mut size, mut last) = (Vec::new(), 0, None);
        let mut items = items.into_iter().peekable();
        while entries.len() < page.limit
            && size < MAX_PAGE_BYTES
            && let Some(item) = items.next()
        {
            last = Some(item.sk);
            let item_size = item.size();
            let entry = Entry::try_from(item)?;
            if query.filter.as_ref().is_none_or(|filter| filter.shows(&entry)) {
                size += item_size;
                entries.push(entry);
            }
        }
        let has_more = items.peek().is_some() || !is_last;
        Ok(Page { items: entries, next: last.filter(|_| has_more).map(|id| id.to_string()) })
    }

    /// Returns one page of the entries of an account's entity, newest first; one Query.
    pub async fn entity_entries(
        &self,
        account: AccountId,
        entity_type: &Word,
        entity_id: &EntityId,
        page: &PageRequest,
    ) -> Result<Page<Entry>, Error> {
        let Some((oldest, newest)) = ids(&EntryQuery::default(), page) else { return Ok(Page::empty()) };
        let (oldest, newest) = (oldest.to_string(), newest.to_string());
        let range = KeyRange { from: &oldest, to: &newest, ascending: false };
        let pk = entity_partition(account, entity_type, entity_id);
        let read = self.query_page::<EntryItem>(pk, range, None, page.limit + 1).await?;
        let entries = read.items.into_iter().map(Entry::try_from).collect::<Result<_, _>>()?;
        Ok(Page::of(entries, read.is_last, page.limit, |entry| entry.id.to_string()))
    }

    /// Returns up to a thousand items of a trail with their sort keys, oldest first, from the one after the sort key `after`, and the
    /// last one's if there are more; one Query. What is no entry that this service writes is `None`.
    pub async fn trail_page(&self, trail: &Trail, after: Option<String>) -> Result<TrailPage, Error> {
        let pk = match trail {
            Trail::DockPart(dock, n) => dock_partition(*dock, *n),
            Trail::Entity(account, entity) => entity_partition(*account, &entity.entity_type, &entity.id),
        };
        // Also what somebody else put there.
        let range = KeyRange { from: " ", to: "\u{10ffff}", ascending: true };
        let read: QueryPage<Value> = self.query_page(pk, range, after, MAX_LIMIT).await?;
        let entry = |item: Value| {
            let sk = item.get("sk").and_then(Value::as_str).unwrap_or_default().to_owned();
            let item = EntryItem::deserialize(item).ok();
            (sk, item.and_then(|item| SealedEntry::try_from(item).ok()))
        };
        let entries: Vec<_> = read.items.into_iter().map(entry).collect();
        let next = entries.last().map(|(sk, _)| sk.clone()).filter(|_| !read.is_last);
        Ok(TrailPage { entries, next })
    }

    /// Writes an entry of the account's own system, and stores the response if the request carries an idempotency key.
    pub async fn create_entry(
        &self,
        entry: &Entry,
        idempotency: Option<(&IdempotentRequest, &StoredResponse)>,
    ) -> Result<Outcome<Infallible>, Error> {
        self.transact_idempotently(Vec::new(), entry, idempotency, |_| {
            Err(Error::unexpected_refusal("create audit entry"))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::random;

    #[test]
    fn entries_of_a_dock_are_spread_over_eight_partitions() {
        let now = Timestamp::parse("2025-01-15T10:32:00Z").unwrap();
        let dock = DockId::generate(now, &mut random::system());
        let mut counts = std::collections::BTreeMap::<String, usize>::new();
        for _ in 0..8000 {
            let id = AuditEntryId::generate(now, &mut random::system());
            *counts.entry(dock_partition(dock, id.spread(DOCK_PARTS))).or_default() += 1;
        }
        // Seven times the deviation.
        assert!(counts.len() == 8 && counts.values().all(|count| count.abs_diff(1000) < 200), "{counts:?}");
    }

    #[test]
    fn a_page_has_its_share_of_each_partition() {
        assert_eq!([1, 10, 100, 1000].map(share), [3, 6, 24, 157]);
    }

    #[test]
    fn a_page_lies_between_its_times_and_behind_its_cursor() {
        let time = |text| Timestamp::parse(text).unwrap();
        let (from, to) = (time("2025-01-15T10:32:00Z"), time("2025-01-15T10:33:00Z"));
        let page =
            |after: Option<AuditEntryId>| PageRequest { limit: 1, after: after.map(|id| id.to_string()) };
        let query = EntryQuery { from: Some(from), to: Some(to), filter: None };
        let (oldest, newest) = ids(&query, &page(None)).unwrap();
        assert_eq!(oldest, AuditEntryId::first_of(from));
        assert_eq!(Some(newest), AuditEntryId::first_of(to).before());
        let cursor = AuditEntryId::first_of(time("2025-01-15T10:32:30Z"));
        assert_eq!(ids(&query, &page(Some(cursor))).unwrap().1, cursor.before().unwrap());
        assert_eq!(ids(&query, &page(Some(AuditEntryId::MAX))).unwrap().1, newest, "not beyond its end");
        assert_eq!(ids(&query, &page(Some(oldest))), None);
        assert_eq!(ids(&EntryQuery::default(), &page(Some(AuditEntryId::MIN))), None);
        let empty = EntryQuery { from: Some(to), to: Some(from), filter: None };
        assert_eq!(ids(&empty, &page(None)), None);
    }
}
