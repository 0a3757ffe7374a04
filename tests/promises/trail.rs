//! Nothing happens without a trace, and no trace tells of what did not happen: what every endpoint owes to the audit trail.

use std::collections::BTreeSet;

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::Clock;
use docyard_core::values::id::{AccountId, AuditEntryId};
use docyard_core::values::random;
use docyard_test_support::account::Account;
use docyard_test_support::api::Api;
use docyard_test_support::bucket;
use docyard_test_support::cases::{self, Sender, THERE, Things};
use docyard_test_support::trail::{self, Item, entries, is_entry, text};
use serde_json::{Value, json};

/// The items that are neither part of the trail, nor stored responses, nor mere counts, in one order.
fn things(items: &[Item]) -> BTreeSet<String> {
    let kind = |item: &Item| text(item, "sk").split('#').next().unwrap().to_owned();
    let is_thing = |item: &&Item| {
        !is_entry(item) && !["IDEMPOTENCY", "REQUESTS", "SUBMISSIONS"].contains(&kind(item).as_str())
    };
    let shown =
        |item: &Item| serde_dynamo::aws_sdk_dynamodb_1::from_item::<Value>(item.clone()).unwrap().to_string();
    items.iter().filter(is_thing).map(shown).collect()
}

/// The entries of a table that were not there before.
fn new_entries(before: &[Item], after: &[Item]) -> Vec<Item> {
    let known: BTreeSet<String> = entries(before).iter().map(|entry| text(entry, "sk").to_owned()).collect();
    let mut entries = entries(after);
    entries.retain(|entry| !known.contains(text(entry, "sk")));
    entries
}

#[tokio::test]
async fn every_endpoint_that_changes_something_leaves_one_entry_on_it_and_no_other_leaves_any() {
    for (n, case) in cases::of_every_endpoint("that makes it do all it can", |_| true).iter().enumerate() {
        let account = Account::new().await;
        let context = Context::new(account.table.store.clone(), Mode::Live, Clock::system());
        let api = Api::new(context.with_objects(bucket::objects_beside(&account.table.url)));
        let things_of_case = Things::create(&account, case, THERE).await;
        let mut event = case.event(&account, &things_of_case, n);
        event["requestContext"]["http"]["sourceIp"] = json!("2001:db8::7");
        event["requestContext"]["http"]["userAgent"] = json!("é".repeat(300));
        if case.repeated_with_key.is_some() {
            event["headers"]["idempotency-key"] = json!("k");
        }
        // The second one repeats the first: with its key, if it has one.
        for is_first in [true, false] {
            let what = format!("{}, {}", case.name(), if is_first { "the first" } else { "the second" });
            let before = account.table.items().await;
            let reply = api.invoke(case.endpoint(), event.clone()).await;
            if is_first {
                assert_eq!(reply.status, case.status, "{what}: {}", reply.shown());
            }
            let is_replay = reply.headers.contains_key("idempotent-replayed");
            let after = account.table.items().await;
            let (things_before, things_after) = (things(&before), things(&after));
            let changed: Vec<&String> = things_before.symmetric_difference(&things_after).collect();
            let new = new_entries(&before, &after);
            let is_owed = !changed.is_empty() || (case.is_event || case.is_recorded) && !is_replay;
            assert_eq!(
                new.len(),
                if is_owed { case.entries } else { 0 },
                "{what}: it changed {} items",
                changed.len()
            );
            for entry in &new {
                let entity = text(entry, "entityId");
                let is_on_what_changed = changed.iter().any(|item| item.contains(entity));
                assert!(
                    is_on_what_changed || case.is_event || case.is_recorded,
                    "{what}: an entry on {entity}"
                );
                let key = &account.table.store.api_keys(account_id(entry)).await.unwrap()[0];
                let actor = match case.sender {
                    Sender::Account => key.id.to_string(),
                    // A link acts for who was given it.
                    _ if case.query.contains("{account_ticket}") => key.id.to_string(),
                    _ => recipient_of(entry),
                };
                assert_eq!(text(entry, "actor"), actor, "{what}");
                assert_eq!(text(entry, "source"), if case.is_event { "account" } else { "api" }, "{what}");
                assert_eq!(text(entry, "ipAddress"), "2001:db8::7", "{what}");
                assert_eq!(text(entry, "userAgent"), "é".repeat(256), "{what}");
                assert!(entry.contains_key("dock"), "{what}: of a dock");
            }
        }
        trail::assert_explains(&account.table).await;
    }
}

/// The recipient that an entry is on, or on something of which.
fn recipient_of(entry: &Item) -> String {
    match text(entry, "entityType") {
        "recipient" => text(entry, "entityId").to_owned(),
        _ => {
            let metadata: Value = serde_json::from_str(text(entry, "metadata")).unwrap();
            metadata["recipientId"].as_str().unwrap().to_owned()
        }
    }
}

fn account_id(entry: &Item) -> AccountId {
    AccountId::parse(text(entry, "account")).unwrap()
}

/// Pages are cut where the first partition ends that has not given all.
#[tokio::test]
async fn pages_of_a_trail_that_is_spread_unevenly_skip_and_repeat_nothing() {
    let account = Account::new().await;
    let now = Clock::system().now();
    let ids = std::iter::repeat_with(|| AuditEntryId::generate(now, &mut random::system()));
    // Most in one partition, some in another, and now and then one anywhere.
    let ids =
        ids.enumerate().filter(|(n, id)| id.spread(8) == 0 || n % 8 == 0 && id.spread(8) == 5 || n % 40 == 0);
    let (recipient, _) = account.recipient_with_secret(THERE).await;
    account.import_copies(&recipient, ids.map(|(_, id)| id).take(400)).await;
    let items = account.table.items().await;
    let of_dock = items.iter().filter(|item| text(item, "pk").starts_with("AUDIT#"));
    let mut expected: Vec<String> = of_dock.map(|item| text(item, "sk").to_owned()).collect();
    expected.sort();
    expected.reverse();
    let api = Api::new(Context::new(account.table.store.clone(), Mode::Live, Clock::system()));
    for parameters in ["limit=20", "limit=100", "limit=1000", "limit=30&entityType=recipient"] {
        let pages = pages(&api, &account, parameters).await;
        let read: Vec<&str> = pages.iter().flatten().map(|entry| entry["id"].as_str().unwrap()).collect();
        assert!(pages.len() > 1, "{parameters}");
        if parameters.contains("entityType") {
            // Without the dock and the recipient's secret.
            assert_eq!(read.len(), expected.len() - 2, "{parameters}");
            assert!(
                read.iter().is_sorted_by(|a, b| a > b)
                    && read.iter().all(|id| expected.contains(&(*id).to_owned()))
            );
        } else {
            assert_eq!(read, expected, "{parameters}");
        }
    }
}

/// The pages of the trail of the account's dock.
async fn pages(api: &Api, account: &Account, parameters: &str) -> Vec<Vec<Value>> {
    let headers = [("authorization", format!("Bearer {}", account.key))];
    let mut pages = Vec::new();
    let mut query = Some(format!("dockId={}&{parameters}", account.dock));
    while let Some(asked) = query {
        let reply = api.ask("list-audit-logs", &[], &asked, &headers, None).await;
        pages.push(reply.list());
        query = reply.next_query();
    }
    pages
}

#[tokio::test]
async fn a_page_of_the_largest_entries_fits_into_an_answer_of_lambda() {
    // https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    const MAX_ANSWER: usize = 6 * 1024 * 1024;
    let account = Account::new().await;
    let api = Api::new(Context::new(account.table.store.clone(), Mode::Live, Clock::system()));
    // JSON in JSON: each quote is escaped twice.
    let metadata = json!({"k": "\"".repeat((4096 - 8) / 2)});
    let largest = json!({
        "dockId": account.dock, "entityType": "claim", "entityId": "CLM", "action": "settled", "metadata": metadata,
    });
    let headers = [("authorization", format!("Bearer {}", account.key))];
    assert_eq!(api.ask("create-audit-log", &[], "", &headers, Some(largest.to_string())).await.status, 201);
    let now = Clock::system().now();
    let ids = std::iter::repeat_with(|| AuditEntryId::generate(now, &mut random::system()));
    account.import_copies("CLM", ids.take(1500)).await;
    let pages = pages(&api, &account, "limit=1000").await;
    assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), 1502, "with the first, and the dock itself");
    for page in pages {
        let body = Value::from(page).to_string();
        assert!(json!({"body": body}).to_string().len() < MAX_ANSWER);
    }
}
