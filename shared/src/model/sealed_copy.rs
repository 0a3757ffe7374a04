//! The sealed copy of the audit trail: for each dock, and for each account, a chain of objects that together hold each of its entries
//! once.
//!
//! An object is NDJSON (<https://github.com/ndjson/ndjson-spec>): a line that says which object it is and what the SHA-256 of the one
//! before it is, then a line for each entry. So whoever has the last one can tell whether any other was changed, with nothing but
//! `sha256sum`.
//!
//! What belongs here: what an object says, and how it is written and read. What does not: where it is kept ([`crate::store`]), and what
//! becomes of entries that do not fit, which is for who reads them to say.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::model::audit::{Changes, EntityId, EntityRef, Entry, Metadata, Source, Word};
use crate::values::clock::Timestamp;
use crate::values::content_hash::ContentHash;
use crate::values::id::{AccountId, AuditEntryId, DockId};

/// How many hours an entry's own time may be off the time at which it was written to the table. What is more is no entry of this service:
/// it is alarmed of, and not sealed.
pub const MAX_HOURS_OFF: u8 = 1;

/// Whose entries a chain holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chain {
    /// Those of an account that are of no dock: its own and its keys'.
    Account(AccountId),
    /// Those of a dock.
    Dock(DockId),
}

impl Chain {
    /// Reads the id of an account or of a dock; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        AccountId::parse(text).map(Self::Account).or_else(|| DockId::parse(text).map(Self::Dock))
    }

    /// The key of its object of this number. Keys are in the order of the numbers.
    pub fn object_key(self, number: u64) -> String {
        format!("{self}/{number:012}")
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => id.fmt(f),
            Self::Dock(id) => id.fmt(f),
        }
    }
}

impl Serialize for Chain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?)
            .ok_or_else(|| de::Error::custom("not the id of a chain"))
    }
}

/// An entry as it is sealed: all that the table has of it, under the names that the API has for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedEntry {
    /// Its id.
    pub id: AuditEntryId,
    /// The account that may read it.
    pub account_id: AccountId,
    /// The dock whose trail it is part of.
    pub dock_id: Option<DockId>,
    /// The kind of entity.
    pub entity_type: Word,
    /// The entity.
    pub entity_id: EntityId,
    /// Another entity whose trail it is part of.
    pub also_of: Option<EntityRef>,
    /// What was done.
    pub action: Word,
    /// Who did it.
    pub actor: String,
    /// Where the entry comes from.
    pub source: Source,
    /// The fields that changed.
    pub changes: Option<Changes>,
    /// What else is to be known.
    pub metadata: Metadata,
    /// Where the request came from.
    pub ip_address: Option<String>,
    /// The beginning of its `User-Agent`.
    pub user_agent: Option<String>,
    /// When it was done.
    pub created_at: Timestamp,
    /// Until when the table keeps it.
    pub expires_at: Timestamp,
}

impl SealedEntry {
    /// An entry that the table keeps until `expires_at`.
    pub fn new(entry: Entry, expires_at: Timestamp) -> Self {
        Self {
            id: entry.id,
            account_id: entry.account,
            dock_id: entry.dock,
            entity_type: entry.entity_type,
            entity_id: entry.entity_id,
            also_of: entry.also_of,
            action: entry.action,
            actor: entry.actor,
            source: entry.source,
            changes: entry.changes,
            metadata: entry.metadata,
            ip_address: entry.origin.ip_address,
            user_agent: entry.origin.user_agent,
            created_at: entry.created_at,
            expires_at,
        }
    }

    /// The chain that it is part of.
    pub fn chain(&self) -> Chain {
        self.dock_id.map_or(Chain::Account(self.account_id), Chain::Dock)
    }

    /// The entities whose trails it is part of: one, or two.
    pub fn entities(&self) -> impl Iterator<Item = EntityRef> {
        let entity = EntityRef { entity_type: self.entity_type.clone(), id: self.entity_id.clone() };
        std::iter::once(entity).chain(self.also_of.clone())
    }

    /// Whether its own time is about the one at which it was written to the table.
    pub fn is_of_time(&self, written_at: Timestamp) -> bool {
        self.created_at <= written_at.plus_hours(MAX_HOURS_OFF)
            && written_at <= self.created_at.plus_hours(MAX_HOURS_OFF)
    }

    /// The SHA-256 of its line, by which two are told to be equal.
    ///
    /// # Errors
    /// It cannot be written: a bug.
    pub fn hash(&self) -> Result<ContentHash, serde_json::Error> {
        Ok(ContentHash::of(&serde_json::to_vec(self)?))
    }
}

/// Where the entries of an object come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SealedFrom {
    /// The table's stream, about a minute after they were written.
    Stream,
    /// The table, later: nothing shows what they were until then.
    Table,
}

/// The first line of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The chain that it is part of.
    pub chain: Chain,
    /// Its place in it, from 1 on.
    pub number: u64,
    /// The SHA-256 of the object before it; `None` for the first.
    pub previous: Option<ContentHash>,
    /// Until when the table keeps the entries of that one: then it may be gone.
    pub previous_expires_at: Option<Timestamp>,
    /// Where its entries come from.
    pub sealed_from: SealedFrom,
    /// When it was sealed.
    pub sealed_at: Timestamp,
}

/// An object.
#[derive(Clone, Debug, PartialEq)]
pub struct SealedObject {
    /// Its first line.
    pub header: Header,
    /// Its entries and the SHA-256 of their lines, in the order of their ids.
    pub entries: Vec<(SealedEntry, ContentHash)>,
}

impl SealedObject {
    /// Writes an object of these entries, in the order of their ids.
    ///
    /// # Errors
    /// It cannot be written: a bug.
    pub fn write(
        header: &Header,
        entries: &BTreeMap<AuditEntryId, SealedEntry>,
    ) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec(header)?;
        text.push(b'\n');
        for entry in entries.values() {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        Ok(text)
    }

    /// Reads what [`SealedObject::write`] wrote.
    ///
    /// # Errors
    /// Which line is no header or no entry.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let text = text.strip_suffix(b"\n").ok_or("its last line does not end")?;
        let mut lines = text.split(|byte| *byte == b'\n');
        let header = lines.next().unwrap_or_default();
        let header = serde_json::from_slice(header).map_err(|_| "its first line is no header")?;
        let entry = |(at, line)| {
            let entry = serde_json::from_slice(line).map_err(|_| format!("line {} is no entry", at + 2))?;
            Ok((entry, ContentHash::of(line)))
        };
        let entries: Result<Vec<_>, String> = lines.enumerate().map(entry).collect();
        Ok(Self { header, entries: entries? })
    }

    /// Until when the table keeps the last of its entries; `None` if it has none.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.entries.iter().map(|(entry, _)| entry.expires_at).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> SealedEntry {
        serde_json::from_str(ENTRY).unwrap()
    }

    const ENTRY: &str = r#"{"id":"aud_01JHMV0Z3KN8XGYW5P2S9TZV1W","accountId":"acc_01HQ3K5V7X9ZBDFHKMPRTVXYZ0","dockId":"dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0","entityType":"secret","entityId":"sec_01HQ3K5V7X9ZBDFHKMPRTVXYZ0","alsoOf":"recipient/rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0","action":"create","actor":"key_01HQ3K5V7X9ZBDFHKMPRTVXYZ0","source":"api","changes":{"before":{},"after":{"expiresAt":"2025-04-15T10:32:00.000Z"}},"metadata":{"n":1.5,"é":["x"]},"ipAddress":"2001:db8::7","userAgent":null,"createdAt":"2025-01-15T10:32:00.000Z","expiresAt":"2032-01-16T10:32:00.000Z"}"#;
    const HEADER: &str = r#"{"chain":"dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0","number":2,"previous":"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","previousExpiresAt":"2032-01-16T10:00:00.000Z","sealedFrom":"stream","sealedAt":"2025-01-15T10:33:00.000Z"}"#;

    #[test]
    fn an_object_is_written_as_it_was_for_ever() {
        let header: Header = serde_json::from_str(HEADER).unwrap();
        let entries = BTreeMap::from([(entry().id, entry())]);
        let written = SealedObject::write(&header, &entries).unwrap();
        assert_eq!(String::from_utf8(written.clone()).unwrap(), format!("{HEADER}\n{ENTRY}\n"));
        let read = SealedObject::read(&written).unwrap();
        assert_eq!(read.header, header);
        assert_eq!(read.entries, [(entry(), entry().hash().unwrap())]);
        assert_eq!(read.expires_at(), Timestamp::parse("2032-01-16T10:32:00Z"));
    }

    #[test]
    fn what_is_no_object_is_told_by_its_line() {
        for (text, told) in [
            (String::new(), "its last line does not end"),
            (format!("{HEADER}\n{ENTRY}"), "its last line does not end"),
            (format!("{ENTRY}\n"), "its first line is no header"),
            (format!("{HEADER}\n{ENTRY}\n\n"), "line 3 is no entry"),
            (format!("{HEADER}\n{}\n", ENTRY.replace("\"api\"", "\"x\"")), "line 2 is no entry"),
        ] {
            assert_eq!(SealedObject::read(text.as_bytes()).unwrap_err(), told);
        }
    }

    #[test]
    fn an_entry_is_in_the_chain_of_its_dock_or_else_of_its_account() {
        assert_eq!(entry().chain().to_string(), "dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0");
        let of_account = SealedEntry { dock_id: None, ..entry() };
        assert_eq!(of_account.chain().to_string(), "acc_01HQ3K5V7X9ZBDFHKMPRTVXYZ0");
        for chain in [entry().chain(), of_account.chain()] {
            assert_eq!(Chain::parse(&chain.to_string()), Some(chain));
        }
        assert_eq!(Chain::parse("rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0"), None);
        let entities: Vec<String> = entry().entities().map(|entity| entity.to_string()).collect();
        assert_eq!(
            entities,
            ["secret/sec_01HQ3K5V7X9ZBDFHKMPRTVXYZ0", "recipient/rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0"]
        );
    }

    #[test]
    fn an_entry_is_written_when_it_says_or_it_is_not_of_its_time() {
        let at = |text| Timestamp::parse(text).unwrap();
        for (written_at, is_of_time) in [
            ("2025-01-15T10:32:05Z", true),
            ("2025-01-15T11:32:00Z", true),
            ("2025-01-15T09:32:00Z", true),
            ("2025-01-15T11:32:01Z", false),
            ("2025-01-15T09:31:59Z", false),
        ] {
            assert_eq!(entry().is_of_time(at(written_at)), is_of_time, "{written_at}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in any::<Vec<u8>>()) {
            let _ = (SealedObject::read(&text), Chain::parse(&String::from_utf8_lossy(&text)));
        }
    }
}
