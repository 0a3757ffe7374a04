//! A table whose trail is sealed.

use std::collections::BTreeSet;

use docyard_core::model::audit::{EntityId, Event, Metadata, Word};
use docyard_core::model::sealed_copy::{Chain, SealedObject};
use docyard_core::request_record::RequestRecord;
use docyard_core::store::SealedCopy;
use docyard_core::values::clock::{Clock, Timestamp};
use docyard_core::values::content_hash::ContentHash;
use docyard_core::values::id::{AuditEntryId, DockId};
use docyard_functions::sealer::Sealer;
use serde_json::Value;

use crate::account::Account;
use crate::stream::event;
use crate::table::{TestTable, operator};
use crate::trail;

/// Writes an entry of the account's own system into its dock, of this time.
pub async fn write_entry(account: &Account, claim: &str, at: Timestamp) -> AuditEntryId {
    let dock = account.table.store.dock(DockId::parse(&account.dock).unwrap()).await.unwrap().unwrap();
    let word = |text| Word::parse(text).unwrap();
    let claim = EntityId::parse(claim).unwrap();
    let event = Event::of_account(dock.id, word("claim"), claim, word("approved"), Metadata::default());
    let entry = event.by(&operator(dock.account), at);
    account.table.store.create_entry(&entry, None).await.unwrap();
    entry.id
}

/// Minutes ago.
pub fn minutes_ago(minutes: u16) -> Timestamp {
    Clock::system().now().minus_minutes(minutes)
}

/// Seals a batch, by a sealer that knows nothing yet.
pub async fn seal(copy: &SealedCopy, records: &[Value]) -> Result<Value, String> {
    let sealer = Sealer::new(copy.clone());
    sealer.handle(&event(records), &RequestRecord::default()).await.map_err(|fault| fault.to_string())
}

/// The chains that there should be, and the ids of the entries of each, by the table.
pub async fn expected(table: &TestTable) -> BTreeSet<(String, String)> {
    let entries = trail::entries(&table.items().await);
    let of = |entry: &trail::Item| {
        let chain = trail::find(entry, "dock").unwrap_or_else(|| trail::text(entry, "account"));
        (chain.to_owned(), trail::text(entry, "sk").to_owned())
    };
    entries.iter().map(of).collect()
}

/// The chains of a copy, and the ids of the entries of each. Asserts that each holds: no number is missing, each object names the hash of
/// the one before it, and no entry is there twice.
pub async fn sealed(
    copy: &SealedCopy,
    chains: impl IntoIterator<Item = String>,
) -> BTreeSet<(String, String)> {
    let mut entries = BTreeSet::new();
    for name in chains.into_iter().collect::<BTreeSet<_>>() {
        let chain = Chain::parse(&name).unwrap();
        let (mut number, mut previous) = (1, None);
        while let Some(object) = copy.read(chain, number).await.unwrap() {
            let read = SealedObject::read(&object.content).unwrap();
            assert_eq!((read.header.chain, read.header.number), (chain, number));
            assert_eq!(read.header.previous, previous, "object {number} of {name}");
            assert!(!read.entries.is_empty(), "object {number} of {name} is empty");
            for (entry, _) in read.entries {
                assert!(entries.insert((name.clone(), entry.id.to_string())), "{} is there twice", entry.id);
            }
            (number, previous) = (number + 1, Some(ContentHash::of(&object.content)));
        }
        assert_eq!(copy.next(chain, number - 1).await.unwrap(), None, "a gap in {name}");
    }
    entries
}
