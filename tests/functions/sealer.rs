//! The sealer as Lambda runs it: what it seals, and of what it raises the alarm.

use aws_sdk_dynamodb::types::AttributeValue;
use docyard_core::store::SealedCopy;
use docyard_core::values::clock::Clock;
use docyard_functions::{metrics, sealer};
use docyard_test_support::account::Account;
use docyard_test_support::binary;
use docyard_test_support::sandbox::Sandbox;
use docyard_test_support::sealed::{minutes_ago, sealed, write_entry};
use docyard_test_support::stream::{Stream, event};
use docyard_test_support::table::TABLE;
use docyard_test_support::trail::{Item, text};
use serde_json::{Value, json};

/// A table, its stream, and a sealer that is told of it.
struct World {
    account: Account,
    stream: Stream,
    sandbox: Sandbox,
    told: usize,
}

impl World {
    async fn new() -> Self {
        let account = Account::new().await;
        let stream = Stream::of(&account.table).await;
        let sandbox = Sandbox::start(binary(sealer::NAME), &account.table.url).await;
        Self { account, stream, sandbox, told: 0 }
    }

    /// Tells the sealer what was written since, and returns how many entries it sealed and how often it raised the alarm.
    async fn tell(&mut self) -> (u64, u64) {
        let answer = self.sandbox.invoke(event(&self.stream.take_all())).await.unwrap();
        let lines = self.sandbox.request_and_metric_lines().1;
        let alarms =
            lines[self.told..].iter().map(|line| line[metrics::AUDIT_ALTERATIONS].as_u64().unwrap_or(0));
        let alarms = alarms.sum();
        self.told = lines.len();
        (answer["sealed"].as_u64().unwrap(), alarms)
    }

    /// The items of an entry.
    async fn items_of(&self, entry: &str) -> Vec<Item> {
        let mut items = self.account.table.items().await;
        items.retain(|item| text(item, "sk") == entry);
        items
    }

    async fn put(&self, item: Item) {
        self.account.table.client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }

    async fn delete(&self, item: &Item) {
        let delete = self.account.table.client.delete_item().table_name(TABLE);
        delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
    }
}

fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

#[tokio::test]
async fn new_entries_are_sealed_and_whoever_is_at_the_trail_raises_the_alarm() {
    let mut world = World::new().await;
    let entry = write_entry(&world.account, "claim-1", minutes_ago(1)).await;
    assert_eq!(world.tell().await, (1, 0));
    let bucket = world.account.table.bucket.as_ref().unwrap().bucket();
    let copy = SealedCopy::new(bucket, Clock::system());
    let dock = world.account.dock.clone();
    let in_copy = sealed(&copy, [dock.clone()]).await;
    assert_eq!(in_copy, [(dock.clone(), entry.to_string())].into());

    for item in world.items_of(&entry.to_string()).await {
        let place = text(&item, "pk").to_owned();
        let mut changed = item.clone();
        changed.insert("actor".to_owned(), string("somebody else"));
        world.put(changed).await;
        assert_eq!(world.tell().await, (0, 1), "changed in {place}");
        world.delete(&item).await;
        assert_eq!(world.tell().await, (0, 1), "deleted from {place}");
        world.put(item).await;
        assert_eq!(world.tell().await, (0, 0), "as it was, and sealed already");
    }

    // Of another time, and no entry at all.
    let item = world.items_of(&entry.to_string()).await.remove(0);
    let old = write_entry(&world.account, "claim-2", minutes_ago(62)).await;
    assert_eq!(world.tell().await, (0, 1), "{old} was written an hour after its time");
    for (name, value) in [
        ("pk", string("AUDIT#dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0#1")),
        ("action", string("")),
        ("x", AttributeValue::Bool(true)),
    ] {
        let mut foreign = item.clone();
        foreign.insert("sk".to_owned(), string(&format!("aud_{}", &"01HQ3K5V7X9ZBDFHKMPRTVXYZ0")));
        foreign.insert(name.to_owned(), value);
        world.put(foreign.clone()).await;
        assert_eq!(world.tell().await, (0, 1), "with another {name}");
        world.delete(&foreign).await;
        assert_eq!(world.tell().await.1, 1);
    }
    assert_eq!(sealed(&copy, [dock]).await, in_copy, "nothing of it is sealed");
}

#[tokio::test]
async fn what_dynamodb_deletes_since_it_expired_raises_no_alarm() {
    let world = World::new().await;
    let entry = write_entry(&world.account, "claim-1", minutes_ago(1)).await;
    let mut stream = world.stream;
    let mut records: Vec<Value> = stream.take_all();
    records.retain(|record| record.to_string().contains(&entry.to_string()));
    let remove = |mut record: Value, identity: Value| {
        record["eventName"] = json!("REMOVE");
        record["dynamodb"]["OldImage"] = record["dynamodb"]["NewImage"].take();
        record["userIdentity"] = identity;
        record
    };
    let ttl = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
    for (identity, alarms) in [(ttl, Value::Null), (Value::Null, json!(1))] {
        let record = remove(records[0].clone(), identity);
        world.sandbox.invoke(event(&[record])).await.unwrap();
        let line = world.sandbox.request_and_metric_lines().1.pop();
        let counted = line.map(|line| line[metrics::AUDIT_ALTERATIONS].clone()).unwrap_or_default();
        assert_eq!(counted.as_u64().filter(|count| *count > 0), alarms.as_u64());
    }
}

#[tokio::test]
async fn a_batch_that_cannot_be_sealed_is_an_error_so_that_lambda_brings_it_again() {
    let mut world = World::new().await;
    write_entry(&world.account, "claim-1", minutes_ago(1)).await;
    let records = world.stream.take_all();
    let nowhere = Sandbox::start(binary(sealer::NAME), "http://127.0.0.1:1").await;
    assert!(nowhere.invoke(event(&records)).await.is_err());
    assert!(nowhere.log().contains("sealer: ListObjectsV2: out of reach"), "{}", nowhere.log());
}
