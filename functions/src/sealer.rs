//! The sealer: what copies every new entry of the audit trail into a bucket under Object Lock, and raises the alarm if one is changed
//! or deleted.
//!
//! DynamoDB's stream feeds it with what is written to the trail, at least once and in no order between partitions, by a mapping of its
//! own in `template.yaml`, which tries a batch again for as long as the stream has it. It can be interrupted anywhere and repeated
//! ([`docyard_core::store::SealedCopy`] says why). It has no access to the table.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use docyard_core::model::sealed_copy::{Chain, SealedEntry, SealedFrom};
use docyard_core::request_record::RequestRecord;
use docyard_core::store::{
    Error, Fault, Head, SealedCopy, TrailChange, at_once, entry_of_image, is_of_trail,
};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::id::AuditEntryId;
use serde_json::{Value, json};

use crate::metrics;
use crate::stream::{EventName, Record};

/// The name of its function and of its binary.
pub const NAME: &str = "sealer";

/// How many entries it remembers at most between two batches, about 32 bytes each.
const MAX_REMEMBERED: usize = 1_000_000;

/// The sealer, and what it remembers between two batches: the ends of the chains that it appended to.
pub struct Sealer {
    copy: SealedCopy,
    heads: Mutex<HashMap<Chain, Head>>,
}

/// The entries of a batch that are to be sealed.
#[derive(Default)]
struct Batch {
    entries: BTreeMap<Chain, BTreeMap<AuditEntryId, SealedEntry>>,
    /// When the first of them was written to the table.
    written_at: Option<Timestamp>,
}

impl Sealer {
    /// The sealer of this copy.
    pub fn new(copy: SealedCopy) -> Self {
        Self { copy, heads: Mutex::default() }
    }

    /// Seals the entries of a batch of the stream's records, and counts what is no entry's first writing. Returns what Lambda is
    /// answered; the calls are recorded in `record`.
    ///
    /// # Errors
    /// An entry may not be sealed. The batch is to be brought again, whole.
    pub async fn handle(&self, event: &Value, record: &RequestRecord) -> Result<Value, Fault> {
        let mut batch = Batch::default();
        for record in Record::of_event(event).into_iter().flatten() {
            if is_of_trail(record.keys()) {
                batch.add(&record);
            }
        }
        let Some(written_at) = batch.written_at else { return Ok(json!({"sealed": 0})) };
        let copy = self.copy.recording_to(record.clone());
        let sealed =
            batch.entries.into_iter().map(|(chain, entries)| self.seal(&copy, chain, entries, written_at));
        let sealed = at_once(sealed).await;
        let mut heads = self.heads();
        if heads.values().map(Head::entries_known).sum::<usize>() > MAX_REMEMBERED {
            heads.clear();
        }
        match sealed {
            Ok(sealed) => Ok(json!({"sealed": sealed.iter().sum::<usize>()})),
            Err(Error::Unavailable(fault) | Error::Internal(fault)) => Err(fault),
        }
    }

    async fn seal(
        &self,
        copy: &SealedCopy,
        chain: Chain,
        entries: BTreeMap<AuditEntryId, SealedEntry>,
        written_at: Timestamp,
    ) -> Result<usize, Error> {
        let remembered = self.heads().remove(&chain);
        let mut head = match remembered {
            Some(head) => head,
            None => copy.head(chain).await?,
        };
        copy.know_since(&mut head, written_at).await?;
        let sealed = copy.append(&mut head, entries, SealedFrom::Stream).await?;
        self.heads().insert(chain, head);
        Ok(sealed)
    }

    fn heads(&self) -> MutexGuard<'_, HashMap<Chain, Head>> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    /// Adds the entry that a record of the trail tells of, or raises the alarm.
    fn add(&mut self, record: &Record) {
        if record.event_name() != EventName::Insert {
            if !record.is_expiry() {
                alarm("an entry of the audit trail was changed or deleted", record.keys());
            }
            return;
        }
        match entry_of_image(record.new_image()) {
            None => {}
            Some(TrailChange::Foreign) => {
                alarm("an item was written into the audit trail that is no entry", record.keys());
            }
            Some(TrailChange::Entry(entry)) => match record.written_at() {
                Some(at) if entry.is_of_time(at) => {
                    self.written_at = Some(self.written_at.map_or(at, |first| first.min(at)));
                    self.entries.entry(entry.chain()).or_default().insert(entry.id, *entry);
                }
                _ => alarm("an entry of another time was written into the audit trail", record.keys()),
            },
        }
    }
}

/// Says in the log and in a metric, of which `template.yaml` makes an alarm, that somebody was at the trail. The keys of an item of the
/// trail are ids and hashes.
fn alarm(what: &str, keys: &Value) {
    tracing::error!("{what}: {keys}");
    metrics::count(metrics::AUDIT_ALTERATIONS);
}
