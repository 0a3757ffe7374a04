//! The audit trail against the rest of the table: whether it tells of each thing what became of it, once, and nothing else.
//!
//! It reads the items themselves, and knows of them what `docs/architecture.md` says.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use docyard_core::model::audit::DEFAULT_RETENTION_DAYS;
use docyard_core::model::identifiers::normal_form;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::digest::Digest;
use docyard_core::values::id::AuditEntryId;

use crate::table::TestTable;

/// An item of the table.
pub type Item = HashMap<String, AttributeValue>;

/// An entry: kind of entity, entity, action.
pub type Told = (String, String, String);

/// A text of an item, which must be there.
#[track_caller]
pub fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    find(item, name).unwrap_or_else(|| panic!("no {name} in {} {}", text(item, "pk"), text(item, "sk")))
}

pub fn find<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).map(|value| value.as_s().unwrap().as_str())
}

/// A number of an item; 0 if it is not there.
fn find_number(item: &Item, name: &str) -> usize {
    item.get(name).map_or(0, |value| value.as_n().unwrap().parse().unwrap())
}

fn is_in(item: &Item, partition: &str) -> bool {
    text(item, "pk").split('#').next() == Some(partition)
}

/// The recipient of an item about its tokens.
fn of_recipient(item: &Item) -> &str {
    text(item, "pk").trim_start_matches("TOKEN#")
}

/// Whether an item is part of the trail.
pub fn is_entry(item: &Item) -> bool {
    is_in(item, "AUDIT") || is_in(item, "AUDIT_ENTITY")
}

/// The partition of an entity's trail.
fn entity_partition(account: &str, entity_type: &str, entity_id: &str) -> String {
    format!("AUDIT_ENTITY#{account}#{}", Digest::of(&format!("{entity_type}\0{entity_id}")).expose_hex())
}

/// The entries of the table, each once. Asserts that each is in the trails of its dock and its entity, and in no other, is
/// the same in both, and ends when it should.
pub fn entries(items: &[Item]) -> Vec<Item> {
    let mut copies: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for item in items.iter().filter(|item| is_entry(item)) {
        copies.entry(text(item, "sk")).or_default().push(item);
    }
    let mut entries = Vec::new();
    for (id, copies) in copies {
        let without_pk = |item: &Item| {
            let mut item = item.clone();
            item.remove("pk");
            item
        };
        let entry = without_pk(copies[0]);
        assert!(copies.iter().all(|copy| without_pk(copy) == entry), "the copies of {id} are the same");
        let account = text(&entry, "account");
        let mut expected =
            BTreeSet::from([entity_partition(account, text(&entry, "entityType"), text(&entry, "entityId"))]);
        if let Some((kind, other)) = other_entity(&entry) {
            expected.insert(entity_partition(account, kind, &other));
        }
        let partitions: BTreeSet<&str> = copies.iter().map(|copy| text(copy, "pk")).collect();
        assert_eq!(partitions.len(), copies.len());
        let (of_dock, of_entities): (BTreeSet<&str>, BTreeSet<&str>) =
            partitions.into_iter().partition(|pk| pk.starts_with("AUDIT#"));
        assert_eq!(of_entities, expected.iter().map(String::as_str).collect(), "the entities of {id}");
        match find(&entry, "dock") {
            None => assert!(of_dock.is_empty(), "{id} belongs to no dock"),
            Some(dock) => {
                assert_eq!(of_dock.len(), 1, "{id} belongs to one dock");
                let shard = of_dock.first().unwrap().strip_prefix(&format!("AUDIT#{dock}#")).unwrap();
                assert!(shard.parse::<u8>().unwrap() < 8);
            }
        }
        let created_at = Timestamp::parse(text(&entry, "createdAt")).unwrap();
        let ends = created_at.plus_days(DEFAULT_RETENTION_DAYS).unix_seconds_rounded_up();
        assert_eq!(entry["ttl"].as_n().unwrap(), &ends.to_string(), "when {id} ends");
        entries.push(entry);
    }
    entries
}

/// The other entity that an entry concerns: what a rotation replaced its secret by, or the group that a policy is assigned to.
fn other_entity(entry: &Item) -> Option<(&'static str, String)> {
    let metadata: serde_json::Value = serde_json::from_str(find(entry, "metadata")?).unwrap();
    let (kind, field) = match text(entry, "action") {
        "rotate" => ("secret", "rotatedTo"),
        "assign" | "unassign" => ("group", "groupId"),
        "retrieve" => ("job", "jobId"),
        _ => return None,
    };
    Some((kind, metadata[field].as_str()?.to_owned()))
}

/// What an entry tells.
pub fn told(entry: &Item) -> Told {
    let text = |name| text(entry, name).to_owned();
    (text("entityType"), text("entityId"), text("action"))
}

/// The recipient of a job or of a ticket.
fn recipient_of_job(item: &Item) -> String {
    match find(item, "recipient") {
        Some(recipient) => recipient.to_owned(),
        None => {
            let job: serde_json::Value = serde_json::from_str(text(item, "job")).unwrap();
            job["recipient"].as_str().unwrap().to_owned()
        }
    }
}

/// What the trail must tell of the things in the table, in all: each creation, each change that their versions count, and
/// what ended them.
fn expected(items: &[Item]) -> Vec<Told> {
    let mut expected = Vec::new();
    let mut tell = |kind: &str, id: &str, action: &str, count: usize| {
        expected.extend((0..count).map(|_| (kind.to_owned(), id.to_owned(), action.to_owned())));
    };
    let is_retired = |item: &&Item| text(item, "sk").starts_with("SECRET_RETIRED#");
    let retired: BTreeSet<&str> = items.iter().filter(is_retired).map(|item| text(item, "id")).collect();
    let pointers = items.iter().filter(|item| text(item, "sk") == "RECIPIENT");
    let recipients: BTreeSet<&str> =
        pointers.map(|item| text(item, "pk").trim_start_matches("RECIPIENT#")).collect();
    let versions = |item: &Item| item["version"].as_n().unwrap().parse().unwrap();
    // What is left of a recipient that is gone tells nothing. Tasks tell of what is gone, and copies and claims of their artifacts.
    let is_left = |item: &Item| {
        let recipient = text(item, "pk").strip_prefix("RECIPIENT#");
        recipient.is_some_and(|recipient| !recipients.contains(recipient))
    };
    let beside = ["CLEANUP", "ARTIFACTS", "CONTENT", "JOBS", "OPEN_JOBS"];
    let is_beside = |item: &Item| beside.iter().any(|kind| is_in(item, kind));
    for item in items.iter().filter(|item| !is_entry(item) && !is_left(item) && !is_beside(item)) {
        let kind = text(item, "sk").split('#').next().unwrap();
        let has = |name: &str| usize::from(item.contains_key(name));
        match kind {
            "ACCOUNT" => tell("account", text(item, "id"), "create", 1),
            "KEY" if is_in(item, "ACCOUNT") => {
                tell("key", text(item, "id"), "create", 1);
                tell("key", text(item, "id"), "revoke", has("revokedAt"));
            }
            "DOCK" if is_in(item, "DOCK") => {
                tell("dock", text(item, "id"), "create", 1);
                tell("dock", text(item, "id"), "update", versions(item));
            }
            "RECIPIENT" if is_in(item, "DOCK") => {
                tell("recipient", text(item, "id"), "create", 1);
                tell("recipient", text(item, "id"), "update", versions(item));
            }
            // In its grace a secret has an active item too, beside the one that tells.
            "SECRET" if retired.contains(text(item, "id")) => {}
            "SECRET" | "SECRET_RETIRED" => {
                tell("secret", text(item, "id"), "create", 1 - has("rotatedFrom"));
                tell("secret", text(item, "id"), "rotate", has("rotatedTo"));
                tell("secret", text(item, "id"), "revoke", has("revokedAt"));
            }
            "ARTIFACT" => {
                tell("artifact", text(item, "id"), "create", 1);
                tell("artifact", text(item, "id"), "update", versions(item));
            }
            "POLICY" => {
                tell("policy", text(item, "id"), "create", 1);
                tell("policy", text(item, "id"), "change", versions(item));
            }
            "GROUP" if is_in(item, "GROUPS") => {
                tell("group", text(item, "id"), "create", 1);
                tell("group", text(item, "id"), "update", versions(item));
            }
            "RECIPIENT" => {
                let count = find_number(item, "tokenGeneration");
                tell("recipient", text(item, "pk").trim_start_matches("RECIPIENT#"), "revoke", count);
            }
            "TLS_CERTIFICATE" => {
                tell("certificate", text(item, "id"), "create", 1);
                tell("certificate", text(item, "id"), "revoke", has("revokedAt"));
            }
            // Those of a recipient that is gone end by themselves.
            "TOKEN" | "REFUSAL" if !recipients.contains(of_recipient(item)) => {}
            "TOKEN" => tell("token", text(item, "id"), "issue", 1),
            "REFUSAL" => tell("recipient", of_recipient(item), "refuse", 1),
            // A page of results has a ticket. What the worker does to a job has no entry.
            "JOB" | "TICKET" if !recipients.contains(recipient_of_job(item).as_str()) => {}
            "JOB" => {
                tell("job", text(item, "id"), "create", 1);
                tell("job", text(item, "id"), "update", usize::from(text(item, "status") == "CANCELED"));
            }
            "TICKET" => tell("job", text(item, "job"), "retrieve", 1),
            "CERTIFICATE" | "REQUESTS" | "SUBMISSIONS" | "PAGE" => {}
            "KEY" | "DOCK" | "IDEMPOTENCY" | "IN_FORCE" | "COUNTS" | "VERSION" | "GROUP" | "MEMBER" => {}
            other => panic!("what the trail tells of {other} is not known"),
        }
    }
    expected.sort();
    expected
}

/// Asserts that the trail tells of each thing in the table what became of it, once each, and nothing else but that others
/// were there and were deleted. Items that were put into the table past the API have no trail.
pub async fn assert_explains(table: &TestTable) {
    let items = table.items().await;
    let entries = entries(&items);
    let mut told: Vec<Told> = entries.iter().filter_map(counted).collect();
    told.sort();
    let deleted: BTreeSet<String> =
        told.iter().filter(|(_, _, action)| action == "delete").map(|(_, id, _)| id.clone()).collect();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (_, id, action) in &told {
        *counts.entry((id, action)).or_default() += 1;
    }
    for id in &deleted {
        let count = |action| counts.get(&(id.as_str(), action));
        assert_eq!(
            (count("create"), count("delete")),
            (Some(&1), Some(&1)),
            "{id} was there, and was deleted once"
        );
    }
    let pointers = items.iter().filter(|item| text(item, "sk") == "RECIPIENT").map(|item| text(item, "pk"));
    let is_deleted = |pk: &&str| pk.strip_prefix("RECIPIENT#").is_some_and(|id| deleted.contains(id));
    assert_eq!(pointers.filter(is_deleted).count(), 0, "what is deleted is gone");
    let mut of_secrets: Vec<&Told> = told.iter().filter(|(kind, ..)| kind == "secret").collect();
    let count = of_secrets.len();
    of_secrets.dedup();
    assert_eq!(of_secrets.len(), count, "a secret is created, rotated and revoked once, also if it is gone");
    // What is deleted with its recipient has no entry on that.
    let is_gone = |entry: &Item| {
        let metadata =
            find(entry, "metadata").map(|json| serde_json::from_str::<serde_json::Value>(json).unwrap());
        let recipient = metadata.and_then(|metadata| metadata["recipientId"].as_str().map(str::to_owned));
        deleted.contains(text(entry, "entityId")) || recipient.is_some_and(|id| deleted.contains(&id))
    };
    let mut told: Vec<Told> = entries.iter().filter(|entry| !is_gone(entry)).filter_map(counted).collect();
    told.sort();
    let revoked: BTreeSet<String> = told
        .iter()
        .filter(|(kind, _, action)| kind == "token" && action == "revoke")
        .map(|(_, id, _)| id.clone())
        .collect();
    for id in &revoked {
        let actions: Vec<&str> =
            told.iter().filter(|(_, of, _)| of == id).map(|(_, _, action)| action.as_str()).collect();
        assert_eq!(actions, ["issue", "revoke"], "{id} was issued, and revoked once");
    }
    told.retain(|(_, id, _)| !revoked.contains(id));
    assert_eq!(told, expected(&items), "the trail, and what there is");
    assert_pointers(&items);
    assert_certificates(&items);
    assert_members(&items, &entries, &deleted);
    assert_policies(&items);
    assert_artifacts(&items, &entries);
    assert_tasks(&items, &deleted);
}

/// Asserts that of each artifact there are the copies by which lists find it, the same as it, and its claim; and no others.
fn assert_artifacts(items: &[Item], entries: &[Item]) {
    let of = |kind: &'static str| items.iter().filter(move |item| is_in(item, kind));
    let without_keys = |item: &Item| {
        let mut item = item.clone();
        item.retain(|name, _| name != "pk" && name != "sk");
        item
    };
    let (mut copies, mut claims) = (BTreeSet::new(), BTreeSet::new());
    for artifact in of("ARTIFACT") {
        let (id, dock) = (text(artifact, "id"), text(artifact, "dock"));
        let (status, at) = match (find(artifact, "availableAt"), artifact.contains_key("hash")) {
            (Some(at), _) => ("AVAILABLE", at),
            (None, true) => ("PENDING", text(artifact, "createdAt")),
            (None, false) => ("EMPTY", text(artifact, "createdAt")),
        };
        let metadata = artifact["metadata"].as_m().unwrap();
        let by_entry = metadata.iter().map(|(key, value)| {
            let normal = normal_form(key, value.as_s().unwrap()).unwrap();
            format!("ARTIFACTS#{dock}#{}", Digest::of(&format!("{key}\0{normal}\0")).expose_hex())
        });
        for pk in by_entry.chain([format!("ARTIFACTS#{dock}")]) {
            let is_it =
                |copy: &&Item| text(copy, "pk") == pk && text(copy, "sk") == format!("{status}#{at}#{id}");
            let copy = items.iter().find(is_it).unwrap_or_else(|| panic!("{id} has no copy in {pk}"));
            assert_eq!(without_keys(copy), without_keys(artifact), "a copy is the same");
            copies.insert((pk, text(copy, "sk").to_owned()));
        }
        if artifact.contains_key("hash") {
            match of("CONTENT").find(|claim| text(claim, "artifact") == id) {
                Some(claim) => {
                    claims.insert(text(claim, "pk").to_owned());
                }
                // Another one has taken it, or had.
                None => assert!(has_ended(artifact, entries), "{id} has no claim"),
            }
        }
    }
    assert_eq!(of("ARTIFACTS").count(), copies.len(), "no copy is left of what is gone or was otherwise");
    assert_eq!(of("CONTENT").count(), claims.len(), "nor a claim");
}

/// Whether something happened after an artifact had waited in vain for its content.
fn has_ended(artifact: &Item, entries: &[Item]) -> bool {
    let until = find(artifact, "pendingUntil").and_then(Timestamp::parse);
    let first_after = until.map(|until| AuditEntryId::first_of(until).to_string());
    first_after.is_some_and(|first| entries.iter().any(|entry| text(entry, "sk") >= first.as_str()))
}

/// Asserts that each task of the worker is on something that was deleted.
fn assert_tasks(items: &[Item], deleted: &BTreeSet<String>) {
    for task in items.iter().filter(|item| is_in(item, "CLEANUP")) {
        let id = text(task, "sk").split('#').nth(1).unwrap();
        assert!(deleted.contains(id), "{id} is there");
    }
}

/// Asserts that each recipient's pointer says where it is, and of which class.
fn assert_pointers(items: &[Item]) {
    let said = |item: &Item, id: &str| {
        let said =
            ["dock", "account", "email", "stakeholderClass"].map(|name| find(item, name).map(str::to_owned));
        (id.to_owned(), said)
    };
    let of = |is: fn(&Item) -> bool| items.iter().filter(move |item| is(item));
    let recipients: BTreeSet<_> = of(|item| text(item, "sk").starts_with("RECIPIENT#"))
        .map(|item| said(item, text(item, "id")))
        .collect();
    let pointers: BTreeSet<_> = of(|item| text(item, "sk") == "RECIPIENT")
        .map(|item| said(item, text(item, "pk").strip_prefix("RECIPIENT#").unwrap()))
        .collect();
    assert_eq!(pointers, recipients, "each pointer says what its recipient is");
}

/// Asserts that what decides is just the certificates that were not revoked.
fn assert_certificates(items: &[Item]) {
    let said = |item: &Item, id: &str| {
        let fields = ["pk", "thumbprint", "notBefore", "notAfter"].map(|name| text(item, name).to_owned());
        (id.to_owned(), fields)
    };
    let of = |kind: &str| {
        let prefix = format!("{kind}#");
        items.iter().filter(move |item| text(item, "sk").starts_with(&prefix)).collect::<Vec<_>>()
    };
    let registered = of("TLS_CERTIFICATE").into_iter().filter(|item| !item.contains_key("revokedAt"));
    let registered: BTreeSet<_> = registered.map(|item| said(item, text(item, "id"))).collect();
    let trusted: BTreeSet<_> =
        of("CERTIFICATE").into_iter().map(|item| said(item, text(item, "certificate"))).collect();
    assert_eq!(trusted, registered, "what decides is what was registered and not revoked");
    for item in of("CERTIFICATE") {
        assert_eq!(text(item, "sk"), format!("CERTIFICATE#{}", text(item, "thumbprint")));
    }
}

/// What an entry tells, as far as a thing counts it; `None` for the account's own and for the members of a group. A policy
/// counts its changes, of whatever kind.
fn counted(entry: &Item) -> Option<Told> {
    let (kind, id, action) = told(entry);
    // An address for a content leaves nothing behind but its entry.
    let is_download = kind == "artifact" && action == "retrieve";
    if text(entry, "source") == "account" || is_download || !members(entry).is_empty() && action == "update" {
        return None;
    }
    let is_change = kind == "policy" && !["create", "delete"].contains(&action.as_str());
    Some((kind, id, if is_change { "change".to_owned() } else { action }))
}

/// The recipients that an entry adds to its group, 1 each, or removes from it, -1 each.
fn members(entry: &Item) -> Vec<(String, i32)> {
    let Some(metadata) = find(entry, "metadata") else { return Vec::new() };
    let metadata: serde_json::Value = serde_json::from_str(metadata).unwrap();
    let of = |name: &str, change: i32| {
        let ids = metadata[name].as_array().cloned().unwrap_or_default();
        ids.into_iter().map(move |id| (id.as_str().unwrap().to_owned(), change)).collect::<Vec<_>>()
    };
    [of("recipientsAdded", 1), of("recipientsRemoved", -1)].concat()
}

/// Asserts that the members of groups are those that the trail tells of, in the groups and beside the recipients. What is
/// deleted may have left some.
fn assert_members(items: &[Item], entries: &[Item], deleted: &BTreeSet<String>) {
    let mut told: BTreeMap<(String, String), i32> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| text(entry, "entityType") == "group") {
        for (recipient, change) in members(entry) {
            *told.entry((text(entry, "entityId").to_owned(), recipient)).or_default() += change;
        }
    }
    let is_left =
        |(group, recipient): &(String, String)| !deleted.contains(group) && !deleted.contains(recipient);
    assert!(
        told.iter().all(|(pair, count)| !is_left(pair) || [0, 1].contains(count)),
        "added and removed in turn"
    );
    let told: BTreeSet<(String, String)> =
        told.into_iter().filter(|(_, count)| *count == 1).map(|(pair, _)| pair).filter(is_left).collect();
    for partition in ["GROUP", "RECIPIENT"] {
        let is_membership = |item: &&Item| is_in(item, partition) && item.contains_key("member");
        let pairs = items.iter().filter(is_membership);
        let pairs = pairs.map(|item| (text(item, "group").to_owned(), text(item, "member").to_owned()));
        assert_eq!(pairs.filter(is_left).collect::<BTreeSet<_>>(), told, "members in {partition}");
    }
}

/// Asserts that what decides is what the policies say, that docks count their policies, and that each has its versions.
fn assert_policies(items: &[Item]) {
    let of = |kind: &str| {
        let is = |item: &&Item| is_in(item, "POLICIES") && text(item, "sk").split('#').next() == Some(kind);
        items.iter().filter(is).collect::<Vec<&Item>>()
    };
    let mut counts: BTreeMap<(&str, String), u64> = BTreeMap::new();
    let mut in_force = BTreeSet::new();
    for policy in of("POLICY") {
        *counts.entry((text(policy, "pk"), "policyCount".to_owned())).or_default() += 1;
        let current: serde_json::Value = serde_json::from_str(text(policy, "current")).unwrap();
        let newest = format!("VERSION#{:0>6}", current["number"].to_string());
        let versions = format!("POLICY#{}", text(policy, "id"));
        let is_newest = |item: &&Item| text(item, "pk") == versions && text(item, "sk") == newest;
        let version = items.iter().find(is_newest).expect("a policy has its newest version");
        let recipe: serde_json::Value = serde_json::from_str(text(version, "recipe")).unwrap();
        assert_eq!(recipe, current["recipe"], "and that has its recipe");
        if text(policy, "stages") != "{}" {
            let class = current["recipe"]["stakeholderClass"].as_str().unwrap();
            *counts.entry((text(policy, "pk"), format!("{class}InForce"))).or_default() += 1;
            let said = ["id", "name", "audience", "stages"].map(|field| text(policy, field));
            in_force.insert((format!("IN_FORCE#{class}#{}", text(policy, "id")), said));
        }
    }
    let decides: BTreeSet<(String, [&str; 4])> = of("IN_FORCE")
        .into_iter()
        .map(|item| {
            let said = ["id", "name", "audience", "stages"].map(|field| text(item, field));
            (text(item, "sk").to_owned(), said)
        })
        .collect();
    assert_eq!(decides, in_force, "what decides is what the policies say");
    let counted: BTreeMap<(&str, String), u64> = of("COUNTS")
        .into_iter()
        .flat_map(|item| {
            let counts = item.iter().filter_map(|(name, value)| Some((name, value.as_n().ok()?)));
            counts.map(|(name, count)| ((text(item, "pk"), name.clone()), count.parse().unwrap()))
        })
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(counted, counts, "docks count their policies");
}
