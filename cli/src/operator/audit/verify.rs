//! What must fit: the objects of a chain to each other, and to what the table has.
//!
//! Whoever may write to the table can change, remove and add entries there; whoever may write to the bucket can add objects, and cannot
//! change one while it is locked. What either does is found here, as long as the objects are within their retention.

use std::collections::{BTreeMap, HashMap, HashSet};

use docyard_core::model::audit::{EntityId, EntityRef, EntityType};
use docyard_core::model::sealed_copy::{Chain, MAX_HOURS_OFF, SealedEntry, SealedFrom, SealedObject};
use docyard_core::store::{DOCK_PARTS, Head, ReadObject, Store, Trail, at_once};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::content_hash::ContentHash;
use docyard_core::values::id::{AccountId, AuditEntryId};

use super::copy::{Copy, Versions};
use crate::operator::message;

/// How many minutes an entry may wait to be sealed.
const MAX_WAIT_MINUTES: u16 = 15;

/// How many objects, or trails of entities, are read at once.
const AT_ONCE: usize = 32;

/// What was found of a chain.
pub(super) struct Verification {
    pub(super) chain: Chain,
    /// How many objects it has.
    pub(super) objects: usize,
    /// How many entries they hold.
    pub(super) entries: usize,
    /// How many of these were sealed from the table.
    pub(super) sealed_from_table: usize,
    /// How many entries of the table are not sealed, and so new that they need not be.
    pub(super) waiting: HashSet<AuditEntryId>,
    /// What does not fit, a sentence each.
    pub(super) findings: Vec<String>,
    /// The entries of the table that should be sealed, and are not.
    pub(super) unsealed: BTreeMap<AuditEntryId, SealedEntry>,
    /// The end of the chain, which knows all of its entries.
    pub(super) head: Head,
    sealed: HashMap<AuditEntryId, Sealed>,
    entities: HashMap<(AccountId, EntityRef), Vec<AuditEntryId>>,
    /// When the objects were listed.
    started_at: Timestamp,
}

/// An entry that an object holds.
struct Sealed {
    object: u64,
    hash: ContentHash,
    expires_at: Timestamp,
}

/// Verifies a chain.
pub(super) async fn verify(
    store: &Store,
    copy: &Copy,
    chain: Chain,
    now: Timestamp,
) -> Result<Verification, String> {
    let mut verification = Verification {
        chain,
        objects: 0,
        entries: 0,
        sealed_from_table: 0,
        waiting: HashSet::new(),
        findings: Vec::new(),
        unsealed: BTreeMap::new(),
        head: Head::empty(chain),
        sealed: HashMap::new(),
        entities: HashMap::new(),
        started_at: now,
    };
    verification.read_objects(copy).await?;
    if let Chain::Dock(dock) = chain {
        let mut found = HashSet::new();
        for part in 0..DOCK_PARTS {
            let place = format!("the trail of {dock}");
            each_page(store, &Trail::DockPart(dock, part), |page| {
                verification.compare(page, &place, &mut found)
            })
            .await?;
        }
        let mut sealed: Vec<AuditEntryId> = verification.sealed.keys().copied().collect();
        sealed.sort();
        verification.expect(sealed.into_iter(), &found, &format!("the trail of {dock}"));
    }
    verification.read_entities(store).await?;
    Ok(verification)
}

impl Verification {
    /// Reads the objects, and tells what does not fit among them.
    async fn read_objects(&mut self, copy: &Copy) -> Result<(), String> {
        let listed: Vec<(u64, Versions)> = copy.objects(self.chain).await?.into_iter().collect();
        self.objects = listed.len();
        let chain = self.chain;
        for listed in listed.chunks(AT_ONCE) {
            let read = listed.iter().map(|(number, _)| copy.read(chain, *number));
            for ((number, versions), object) in listed.iter().zip(at_once(read).await?) {
                if versions.contents != 1 || versions.deletions > 0 {
                    self.findings.push(format!(
                        "object {number} was deleted or replaced: {} versions and {} deletions of it",
                        versions.contents, versions.deletions
                    ));
                }
                match object {
                    Some(object) => self.take(*number, &object, matches!(copy, Copy::Bucket(_))),
                    None => self.findings.push(format!("object {number} is missing: a deletion hides it")),
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, number: u64, object: &ReadObject, is_in_bucket: bool) {
        let (last, last_hash) = (self.head.number(), self.head.hash());
        self.head.push(number, object);
        let read = match SealedObject::read(&object.content) {
            Ok(read) => read,
            Err(reason) => return self.findings.push(format!("object {number} cannot be read: {reason}")),
        };
        let header = &read.header;
        if (header.chain, header.number) != (self.chain, number) {
            self.findings.push(format!(
                "object {number} says that it is object {} of {}",
                header.number, header.chain
            ));
        }
        if number == last + 1 {
            if header.previous != last_hash {
                self.findings.push(match last {
                    0 => "object 1 names one before it".to_owned(),
                    last => format!("object {last} or {number} was altered: the hash of the one is not what the other names"),
                });
            }
        } else if last > 0 || header.previous_expires_at.is_none_or(|expires_at| expires_at > self.started_at)
        {
            let missing = match number - last {
                2 => format!("object {} is missing", last + 1),
                _ => format!("objects {} to {} are missing", last + 1, number - 1),
            };
            self.findings.push(missing);
        }
        let is_kept = read.expires_at().is_some_and(|expires_at| expires_at > self.started_at);
        let is_locked = object.locked_until.is_some_and(|until| {
            let until = until.plus_hours(MAX_HOURS_OFF);
            read.expires_at().is_none_or(|expires_at| expires_at <= until)
        });
        if is_in_bucket && is_kept && !is_locked {
            self.findings.push(format!("object {number} is not locked for as long as its entries are kept"));
        }
        for (entry, hash) in read.entries {
            self.entries += 1;
            self.sealed_from_table += usize::from(header.sealed_from == SealedFrom::Table);
            if entry.chain() != self.chain {
                self.findings.push(format!("{} in object {number} is none of this chain", shown(&entry)));
            }
            for entity in entry.entities() {
                self.entities.entry((entry.account_id, entity)).or_default().push(entry.id);
            }
            let sealed = Sealed { object: number, hash, expires_at: entry.expires_at };
            if let Some(before) = self.sealed.insert(entry.id, sealed) {
                self.findings
                    .push(format!("{} is in object {} and in object {number}", entry.id, before.object));
            }
        }
    }

    /// Compares items of a trail with the objects, and adds the ids of those that are entries of the chain to `found`.
    fn compare(
        &mut self,
        items: Vec<(String, Option<SealedEntry>)>,
        place: &str,
        found: &mut HashSet<AuditEntryId>,
    ) -> Result<(), String> {
        items.into_iter().try_for_each(|(sk, entry)| self.compare_item(&sk, entry, place, found))
    }

    fn compare_item(
        &mut self,
        sk: &str,
        entry: Option<SealedEntry>,
        place: &str,
        found: &mut HashSet<AuditEntryId>,
    ) -> Result<(), String> {
        let Some(entry) = entry else {
            // It may have the key of a sealed one.
            found.extend(AuditEntryId::parse(sk).filter(|id| self.sealed.contains_key(id)));
            self.findings.push(format!("{sk} in {place} was changed or inserted: it is no entry"));
            return Ok(());
        };
        if entry.chain() != self.chain && !self.sealed.contains_key(&entry.id) {
            // An entity of the account's own system may have entries in several docks.
            return Ok(());
        }
        found.insert(entry.id);
        let hash = entry.hash().map_err(|_| "an entry cannot be written".to_owned())?;
        match self.sealed.get(&entry.id) {
            Some(sealed) if sealed.hash == hash => {}
            Some(sealed) => self.findings.push(format!(
                "{} in {place} was changed: it is not what object {} has",
                shown(&entry),
                sealed.object
            )),
            None => self.unsealed(entry, place),
        }
        Ok(())
    }

    fn unsealed(&mut self, entry: SealedEntry, place: &str) {
        if self.unsealed.contains_key(&entry.id) {
            return;
        }
        let is_new = entry.created_at > self.started_at.minus_minutes(MAX_WAIT_MINUTES)
            && entry.created_at <= self.started_at.plus_hours(MAX_HOURS_OFF);
        if is_new {
            self.waiting.insert(entry.id);
            return;
        }
        self.findings.push(format!(
            "{} in {place} is in no object: it was inserted, or is not sealed yet",
            shown(&entry)
        ));
        self.unsealed.insert(entry.id, entry);
    }

    /// Tells which of these sealed entries were not found though they are within their retention.
    fn expect(
        &mut self,
        sealed: impl Iterator<Item = AuditEntryId>,
        found: &HashSet<AuditEntryId>,
        place: &str,
    ) {
        let missing = sealed.filter(|id| !found.contains(id)).filter_map(|id| {
            let sealed = self.sealed.get(&id).filter(|sealed| sealed.expires_at > self.started_at)?;
            Some(format!("{id} was removed from {place}: object {} has it", sealed.object))
        });
        let missing: Vec<String> = missing.collect();
        self.findings.extend(missing);
    }

    /// Compares the trails of entities with the objects.
    async fn read_entities(&mut self, store: &Store) -> Result<(), String> {
        if let Chain::Account(account) = self.chain {
            let keys = store.api_keys(account).await.map_err(message)?;
            let keys = keys.iter().map(|key| (EntityType::Key, key.id.to_string()));
            for (entity_type, id) in keys.chain([(EntityType::Account, account.to_string())]) {
                let id = EntityId::parse(&id).map_err(str::to_owned)?;
                let entity = EntityRef { entity_type: entity_type.word(), id };
                self.entities.entry((account, entity)).or_default();
            }
        }
        let entities: Vec<_> = std::mem::take(&mut self.entities).into_iter().collect();
        for entities in entities.chunks(AT_ONCE) {
            let read = entities.iter().map(async |((account, entity), _)| {
                let mut entries = Vec::new();
                each_page(store, &Trail::Entity(*account, entity.clone()), |page| {
                    entries.extend(page);
                    Ok(())
                })
                .await
                .map(|()| entries)
            });
            for (((_, entity), sealed), entries) in entities.iter().zip(at_once(read).await?) {
                let place = format!("the trail of {} {}", entity.entity_type, entity.id);
                let mut found = HashSet::new();
                self.compare(entries, &place, &mut found)?;
                self.expect(sealed.iter().copied(), &found, &place);
            }
        }
        Ok(())
    }
}

/// Reads a trail page by page, and has each page taken.
async fn each_page(
    store: &Store,
    trail: &Trail,
    mut take: impl FnMut(Vec<(String, Option<SealedEntry>)>) -> Result<(), String>,
) -> Result<(), String> {
    let mut after = None;
    loop {
        let page = store.trail_page(trail, after).await.map_err(message)?;
        take(page.entries)?;
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// An entry, for a sentence.
fn shown(entry: &SealedEntry) -> String {
    let SealedEntry { id, action, entity_type, entity_id, created_at, .. } = entry;
    format!("{id} ({action} of {entity_type} {entity_id}, {created_at})")
}
