//! Many things at once, past the API: tables of a size that no test could make request by request.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use docyard_core::values::clock::Clock;
use docyard_core::values::id::{ArtifactId, AuditEntryId, RecipientId, SecretId};
use docyard_core::values::random;
use dynoxide::AttributeValue as Imported;

use crate::account::Account;
use crate::cases::Artifacts;
use crate::trail::{Item, find, is_entry, text};

/// The value of the secrets of imported recipients.
pub const IMPORTED_SECRET: &str = "dk_sec_0123456789abcdef0123456789abcdef";

const ORIGINAL_EMAIL: &str = "original@example.com";

/// A recipient with one secret.
pub struct RecipientToImport {
    id: String,
    secret: String,
    items: Vec<Item>,
}

/// An item of the table in the emulator's form, with `rewrite` applied to each of its strings.
pub fn item(item: &HashMap<String, AttributeValue>, rewrite: &impl Fn(&str) -> String) -> dynoxide::Item {
    item.iter().map(|(name, value)| (name.clone(), imported(value, rewrite))).collect()
}

fn imported(value: &AttributeValue, rewrite: &impl Fn(&str) -> String) -> Imported {
    match value {
        AttributeValue::S(text) => Imported::S(rewrite(text)),
        AttributeValue::N(number) => Imported::N(number.clone()),
        AttributeValue::M(map) => Imported::M(item(map, rewrite)),
        other => panic!("an attribute that no item has yet: {other:?}"),
    }
}

impl Account {
    /// Puts many entries into the trail of the dock, past the API, and into that of a recipient which it creates; returns
    /// the recipient's id. They are copies of one that the store wrote, so they have its form.
    pub async fn import_entries(&self, count: usize) -> String {
        let (recipient, originals) = self.entry_to_import().await;
        self.import_entries_like(&originals, count);
        recipient
    }

    /// The recipient and the items that [`Account::import_entries_like`] copies. It reads the whole table, so it comes first.
    pub async fn entry_to_import(&self) -> (String, Vec<Item>) {
        let (recipient, _) = self.recipient_with_secret("trail@example.com").await;
        let originals = self.items_of_entry(&recipient).await;
        (recipient, originals)
    }

    /// Puts many copies of an entry into the dock's trail and its entity's, past the API.
    pub fn import_entries_like(&self, originals: &[Item], count: usize) {
        let now = Clock::system().now();
        let ids = std::iter::repeat_with(|| AuditEntryId::generate(now, &mut random::system()));
        self.import_copies_like(originals, ids.take(count));
    }

    /// Copies the one entry on an entity of the dock, past the API, with these ids.
    pub async fn import_copies(&self, entity: &str, ids: impl Iterator<Item = AuditEntryId>) {
        self.import_copies_like(&self.items_of_entry(entity).await, ids);
    }

    async fn items_of_entry(&self, entity: &str) -> Vec<Item> {
        let mut items = self.table.items().await;
        items.retain(|item| is_entry(item) && text(item, "entityId") == entity);
        assert_eq!(items.len(), 2, "one in each trail");
        items
    }

    fn import_copies_like(&self, originals: &[Item], ids: impl Iterator<Item = AuditEntryId>) {
        let original = text(&originals[0], "sk");
        let mut copies = Vec::new();
        for id in ids {
            let rewrite = |text: &str| match text {
                pk if pk.starts_with("AUDIT#") => format!("AUDIT#{}#{}", self.dock, id.spread(8)),
                text => text.replace(original, &id.to_string()),
            };
            copies.extend(originals.iter().map(|original| item(original, &rewrite)));
            if copies.len() >= 30_000 {
                self.table.import(std::mem::take(&mut copies));
            }
        }
        self.table.import(copies);
    }

    /// Puts recipients into a group of the dock, past the API. They are copies of the membership of one that is in it.
    pub async fn import_members(&self, group: &str, original: &str, members: &[(String, String)]) {
        let originals = self.membership_to_import(group, original).await;
        self.import_members_like(&originals, members);
    }

    /// The items that [`Account::import_members_like`] copies. It reads the whole table, so it comes first.
    pub async fn membership_to_import(&self, group: &str, member: &str) -> Vec<Item> {
        let mut items = self.table.items().await;
        items.retain(|item| {
            item.contains_key("member") && text(item, "member") == member && text(item, "group") == group
        });
        assert_eq!(items.len(), 2, "in the group and beside the recipient");
        items
    }

    /// Puts recipients into the group of a membership, past the API.
    pub fn import_members_like(&self, originals: &[Item], members: &[(String, String)]) {
        let original = text(&originals[0], "member");
        for members in members.chunks(10_000) {
            let copies = members.iter().flat_map(|(member, _)| {
                originals.iter().map(|copied| item(copied, &|text: &str| text.replace(original, member)))
            });
            self.table.import(copies.collect());
        }
    }

    /// Puts many artifacts into the dock, past the API, all available and with the same metadata; returns their ids. They are
    /// copies of one that the store wrote; their contents are not there.
    pub async fn import_artifacts(&self, count: usize) -> Vec<String> {
        self.import_artifacts_like(&self.artifact_to_import().await, count)
    }

    /// The items of an artifact that [`Account::import_artifacts_like`] copies. It reads the whole table, so it comes first.
    pub async fn artifact_to_import(&self) -> Vec<Item> {
        self.items_of_artifact(&Artifacts::of(self, "original").await.available).await
    }

    /// The items of an artifact with two entries of metadata.
    pub async fn items_of_artifact(&self, artifact: &str) -> Vec<Item> {
        let items = self.table.items().await;
        let is_original = |item: &&Item| [find(item, "id"), find(item, "artifact")].contains(&Some(artifact));
        let originals: Vec<Item> = items.iter().filter(is_original).cloned().collect();
        assert_eq!(originals.len(), 5, "the artifact, three copies and its claim");
        originals
    }

    /// Puts many copies of an artifact into the dock, past the API; returns their ids.
    pub fn import_artifacts_like(&self, originals: &[Item], count: usize) -> Vec<String> {
        let original = text(&originals[0], "id");
        let now = Clock::system().now();
        let (mut ids, mut copies) = (Vec::new(), Vec::new());
        for n in 0..count {
            let id = ArtifactId::generate(now, &mut random::system()).to_string();
            let rewrite = |text: &str| match text.strip_prefix("CONTENT#") {
                Some(_) => format!("CONTENT#{}#{n:064x}", self.dock),
                None => text.replace(original, &id).replace("originalavailable", &format!("p{n:07}")),
            };
            copies.extend(originals.iter().map(|original| item(original, &rewrite)));
            ids.push(id.clone());
            if copies.len() >= 30_000 {
                self.table.import(std::mem::take(&mut copies));
            }
        }
        self.table.import(copies);
        ids
    }

    /// Puts many recipients into the dock, past the API, each with one secret, whose value is [`IMPORTED_SECRET`];
    /// returns their ids and those of their secrets. They are copies of one that the store wrote, so their items have
    /// its form.
    pub async fn import_recipients(&self, count: usize) -> Vec<(String, String)> {
        self.import_recipients_like(&self.recipient_to_import().await, count)
    }

    /// The items that [`Account::import_recipients_like`] copies. It reads the whole table, so it comes first.
    pub async fn recipient_to_import(&self) -> RecipientToImport {
        let (id, secret) = self.recipient_with_secret_of(ORIGINAL_EMAIL, IMPORTED_SECRET).await;
        let mut items = self.table.items().await;
        items.retain(|item| text(item, "pk").contains(&id) || text(item, "sk").contains(ORIGINAL_EMAIL));
        assert_eq!(items.len(), 3, "the recipient, its pointer and its secret");
        RecipientToImport { id, secret, items }
    }

    /// Puts many copies of a recipient into the dock, past the API; returns their ids and those of their secrets.
    pub fn import_recipients_like(
        &self,
        original: &RecipientToImport,
        count: usize,
    ) -> Vec<(String, String)> {
        let now = Clock::system().now();
        let rng = &mut random::system();
        let mut ids = Vec::new();
        let mut copies = Vec::new();
        for n in 0..count {
            let email = format!("p{n:07}@example.com");
            let copy = RecipientId::generate(now, rng).to_string();
            let secret_copy = SecretId::generate(now, rng).to_string();
            let rewrite = |text: &str| {
                let text = text.replace(&original.id, &copy).replace(&original.secret, &secret_copy);
                text.replace(ORIGINAL_EMAIL, &email)
            };
            copies.extend(original.items.iter().map(|original| item(original, &rewrite)));
            ids.push((copy, secret_copy));
            if copies.len() >= 30_000 {
                self.table.import(std::mem::take(&mut copies));
            }
        }
        self.table.import(copies);
        ids
    }
}
