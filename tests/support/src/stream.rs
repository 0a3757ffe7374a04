//! A table's stream, as the worker is told of it.

use aws_sdk_dynamodb::types::AttributeValue;
use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::model::artifact::Artifact;
use docyard_core::values::clock::Clock;
use docyard_core::values::id::ArtifactId;
use docyard_functions::stream::Record;
use docyard_functions::worker::is_for_worker;
use dynoxide::Database;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use serde_json::{Value, json};

use crate::account::Account;
use crate::api::Api;
use crate::bucket;
use crate::cases::Artifacts;
use crate::scene::{Asker, Scene};
use crate::table::{TABLE, TestTable};

/// The stream of a table, read from where it was enabled.
pub struct Stream {
    database: Database,
    iterator: String,
}

impl Stream {
    /// Has a table write its stream.
    pub async fn of(table: &TestTable) -> Self {
        table.store.enable_stream().await.unwrap();
        let database = table.database();
        let streams = database.list_streams(ListStreamsRequest::default()).unwrap();
        let stream_arn =
            serde_json::to_value(streams).unwrap()["Streams"][0]["StreamArn"].as_str().unwrap().to_owned();
        let described = database
            .describe_stream(DescribeStreamRequest { stream_arn: stream_arn.clone(), ..Default::default() })
            .unwrap();
        let described = serde_json::to_value(described).unwrap();
        let shard_id = described["StreamDescription"]["Shards"][0]["ShardId"].as_str().unwrap().to_owned();
        let iterator = database
            .get_shard_iterator(GetShardIteratorRequest {
                stream_arn,
                shard_id,
                shard_iterator_type: "TRIM_HORIZON".to_owned(),
                sequence_number: None,
            })
            .unwrap();
        Self { database, iterator: iterator.shard_iterator.unwrap() }
    }

    /// The records since this was last asked that the worker's mapping lets through.
    pub fn take(&mut self) -> Vec<Value> {
        let mut records = self.take_all();
        records.retain(|record| is_for_worker(&Record::read(record).unwrap()));
        records
    }

    /// All records since this was last asked.
    pub fn take_all(&mut self) -> Vec<Value> {
        let mut records = Vec::new();
        loop {
            let request = GetRecordsRequest { shard_iterator: self.iterator.clone(), limit: None };
            let read = self.database.get_records(request).unwrap();
            let is_last = read.records.is_empty();
            records.extend(read.records.iter().map(|record| serde_json::to_value(record).unwrap()));
            self.iterator = read.next_shard_iterator.unwrap();
            if is_last {
                return records;
            }
        }
    }
}

/// The event that has the worker sweep.
pub fn schedule() -> Value {
    json!({"source": "aws.events", "detail-type": "Scheduled Event"})
}

/// The event of a batch.
pub fn event(records: &[Value]) -> Value {
    json!({"Records": records})
}

/// Makes an artifact one that has waited in vain for its content, and has the database delete it.
pub async fn expire(table: &TestTable, artifact: &str) {
    let now = AttributeValue::S(Clock::system().now().to_string());
    for item in table.items().await {
        let is_of_it = ["id", "artifact"]
            .iter()
            .any(|name| item.get(*name).is_some_and(|id| id.as_s().unwrap() == artifact));
        if !is_of_it || !item.contains_key("pendingUntil") {
            continue;
        }
        let update = table.client.update_item().table_name(TABLE);
        let update = update.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
        let update = update.update_expression("SET pendingUntil = :now, #ttl = :ttl");
        let update =
            update.expression_attribute_names("#ttl", "ttl").expression_attribute_values(":now", now.clone());
        update.expression_attribute_values(":ttl", AttributeValue::N("1".to_owned())).send().await.unwrap();
    }
    assert!(table.database().sweep_ttl().unwrap() > 2);
}

/// Things that were deleted, one of each kind, and what the stream says of that.
#[derive(Clone, Default)]
pub struct Cleanups {
    /// The records that the worker's mapping lets through, one for each.
    pub records: Vec<Value>,
    /// The ids of what was deleted.
    pub deleted: Vec<String>,
    /// The artifacts among them that had a content, and that.
    pub contents: Vec<(Artifact, Vec<u8>)>,
}

/// Creates things and deletes them.
pub async fn cleanups(account: &Account) -> Cleanups {
    let mut stream = Stream::of(&account.table).await;
    let objects = bucket::objects_beside(&account.table.url);
    let context = Context::new(account.table.store.clone(), Mode::Live, Clock::system());
    let api = Api::new(context.with_objects(objects.clone()));
    let asker = Asker { api: &api, key: &account.key, dock: &account.dock };
    let artifacts = Artifacts::create(&asker, &objects, "").await;
    let mut contents = Vec::new();
    for id in [&artifacts.available, &artifacts.uploaded] {
        let found = api.store().artifact(ArtifactId::parse(id).unwrap(), Clock::system().now()).await;
        contents.push((found.unwrap().unwrap(), b"abc".to_vec()));
    }
    let scene = Scene::create(&account.table.store, &account.key, Some(&account.dock), "").await;
    let deleted = [
        ("delete-artifact", "artifactId", &artifacts.available),
        ("delete-group", "groupId", &scene.plain_group),
        ("delete-policy", "policyId", &scene.draft),
        ("delete-recipient", "recipientId", &scene.member),
    ];
    for (endpoint, parameter, id) in deleted {
        asker.ask(endpoint, &[(parameter, id)], Value::Null).await;
    }
    expire(&account.table, &artifacts.uploaded).await;
    let records = stream.take();
    assert_eq!(records.len(), 5);
    let deleted = deleted.map(|(_, _, id)| id.clone()).into_iter().chain([artifacts.uploaded.clone()]);
    Cleanups { records, deleted: deleted.collect(), contents }
}
