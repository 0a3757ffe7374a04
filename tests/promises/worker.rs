//! The worker: whatever becomes of it on the way, what is gone leaves nothing behind.
//!
//! The code under test is what runs on Lambda, in this process, on the records of the table's own stream.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::model::artifact::Artifact;
use docyard_core::store::{CONTENT_MINUTES, Objects};
use docyard_core::values::clock::Clock;
use docyard_functions::worker;
use docyard_test_support::account::Account;
use docyard_test_support::clock::TestClock;
use docyard_test_support::fault::InjectedFault;
use docyard_test_support::stream::{Cleanups, Stream, cleanups, event, schedule};
use docyard_test_support::table::{TABLE, TestTable};
use docyard_test_support::{bucket, faulty_client};
use serde_json::{Value, json};

/// How a call fails, and how all behind it do.
pub(crate) const FAULTS: [(InjectedFault, Option<InjectedFault>); 6] = [
    (InjectedFault::ErrorBefore, None),
    (InjectedFault::ErrorAfter, None),
    (InjectedFault::BrokenAfter, None),
    // Killed before the call, and after it.
    (InjectedFault::Unreachable, Some(InjectedFault::Unreachable)),
    (InjectedFault::BrokenAfter, Some(InjectedFault::Unreachable)),
    (InjectedFault::Unprocessed, Some(InjectedFault::Unprocessed)),
];

/// Which calls fail, and how.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) calls: usize,
    /// The call that fails, and how; and how all behind it do, if they do.
    pub(crate) fault: Option<(usize, InjectedFault, Option<InjectedFault>)>,
}

impl Plan {
    pub(crate) fn next(&mut self, operation: &str) -> Option<InjectedFault> {
        self.calls += 1;
        let (at, fault, behind) = self.fault?;
        let due = if self.calls == at { Some(fault) } else { behind.filter(|_| self.calls > at) };
        due.filter(|fault| fault.applies_to(operation))
    }
}

/// A table in which things were deleted, and the worker.
pub(crate) struct World {
    pub(crate) table: TestTable,
    objects: Objects,
    cleanups: Cleanups,
    pub(crate) clock: TestClock,
    pub(crate) plan: Arc<Mutex<Plan>>,
    pub(crate) context: Context,
    stream: Stream,
}

impl World {
    /// A copy of a table with what was deleted in it, with the contents of its artifacts.
    pub(crate) async fn of(file: &std::path::Path, cleanups: &Cleanups) -> Self {
        let table = TestTable::restore(file).await;
        let objects = bucket::objects_beside(&table.url);
        for (artifact, body) in &cleanups.contents {
            objects.put(artifact, artifact.content().unwrap(), body).await.unwrap();
        }
        let (clock, plan) = (TestClock::at(Clock::system().now()), Arc::new(Mutex::new(Plan::default())));
        let decide = {
            let plan = plan.clone();
            Arc::new(move |operation: &str| plan.lock().unwrap().next(operation))
        };
        let store = faulty_client::store(&table.url, decide.clone());
        let failing = faulty_client::objects(table.bucket.as_ref().unwrap(), decide);
        let context = Context::new(store, Mode::Live, clock.clock()).with_objects(failing);
        let stream = Stream::of(&table).await;
        Self { table, objects, cleanups: cleanups.clone(), clock, plan, context, stream }
    }

    /// Gives it what the stream has, and what comes of that, until there is nothing more.
    pub(crate) async fn drain(&mut self) {
        loop {
            let records = self.stream.take();
            if records.is_empty() {
                return;
            }
            assert!(self.give(&event(&records)).await.is_empty());
        }
    }

    /// Gives it what the stream has, though it fails: as often as Lambda does.
    pub(crate) async fn drain_as_far_as_it_goes(&mut self) {
        loop {
            let records = self.stream.take();
            if records.is_empty() {
                return;
            }
            for _ in 0..worker::MAX_ATTEMPTS {
                if self.give(&event(&records)).await.is_empty() {
                    break;
                }
            }
        }
    }

    /// A time later at which no upload can be under way any more.
    async fn sweep_later(&self) {
        self.clock.set(self.clock.now().plus_minutes(CONTENT_MINUTES + 1));
        self.sweep().await;
    }

    /// What Lambda is answered: the records that failed.
    pub(crate) async fn give(&self, event: &Value) -> Vec<String> {
        let answer = worker::handle(&self.context, event).await.unwrap();
        let failures = answer["batchItemFailures"].as_array().unwrap().iter();
        failures.map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn sweep(&self) {
        worker::handle(&self.context, &schedule()).await.unwrap();
    }

    async fn contents(&self) -> Vec<&Artifact> {
        let mut left = Vec::new();
        for (artifact, _) in &self.cleanups.contents {
            if self.objects.head(artifact).await.unwrap().is_some() {
                left.push(artifact);
            }
        }
        left
    }

    /// The kinds of items that are left of what was deleted, but for its tasks; and how many of these there are.
    async fn left(&self) -> (BTreeSet<String>, usize) {
        let (mut left, mut tasks) = (BTreeSet::new(), 0);
        for item in self.table.items().await {
            let (pk, sk) = (item["pk"].as_s().unwrap(), item["sk"].as_s().unwrap());
            if pk.starts_with("CLEANUP#") {
                tasks += 1;
            } else if !pk.starts_with("AUDIT") && !pk.starts_with("TOKEN#") {
                let is_of_deleted = |id: &&String| pk.contains(*id) || sk.contains(*id);
                left.extend(self.cleanups.deleted.iter().filter(is_of_deleted).map(|_| format!("{pk} {sk}")));
            }
        }
        (left, tasks)
    }

    /// Asserts that nothing is left but the tasks of contents, and these no longer than an address for an upload is good.
    async fn assert_nothing_is_left(&self, what: &str) {
        assert!(self.contents().await.is_empty(), "{what}: contents");
        assert_eq!(self.left().await, (BTreeSet::new(), self.cleanups.contents.len()), "{what}");
        self.sweep_later().await;
        assert_eq!(self.left().await, (BTreeSet::new(), 0), "{what}: after the last sweep");
    }
}

/// Things that were deleted, and the file that holds their table.
async fn deleted() -> (tempfile::TempDir, std::path::PathBuf, Cleanups) {
    let account = Account::new().await;
    let cleanups = cleanups(&account).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table");
    account.table.save(&file);
    (directory, file, cleanups)
}

#[tokio::test]
async fn what_is_gone_leaves_nothing_whether_the_stream_or_a_sweep_brings_it() {
    let (_directory, file, cleanups) = deleted().await;
    let mut world = World::of(&file, &cleanups).await;
    assert!(world.left().await.0.len() > 5 && world.contents().await.len() == 2);
    world.drain().await;
    world.assert_nothing_is_left("by the stream").await;

    // A restored table has no stream: what has a task is found by the sweeps.
    let world = World::of(&file, &cleanups).await;
    world.sweep().await;
    assert!(world.left().await.0.is_empty());
    assert_eq!(world.contents().await.len(), 2, "contents can still come");
    world.sweep_later().await;
    assert_eq!(world.contents().await.len(), 1, "what expired has no task without its record");
}

#[tokio::test]
async fn records_that_come_twice_late_or_in_another_order_do_no_harm() {
    let (_directory, file, cleanups) = deleted().await;
    let mut world = World::of(&file, &cleanups).await;
    let mut reversed = cleanups.records.clone();
    reversed.reverse();
    for records in [&reversed, &cleanups.records, &reversed] {
        assert!(world.give(&event(records)).await.is_empty());
    }
    world.drain().await;
    world.assert_nothing_is_left("in any order").await;
    assert!(world.give(&event(&reversed)).await.is_empty(), "late");
    world.drain().await;
    world.sweep_later().await;
    assert_eq!((world.left().await, world.contents().await.len()), ((BTreeSet::new(), 0), 0));
}

#[tokio::test]
async fn a_content_that_came_after_the_deletion_is_deleted_once_none_can_come() {
    let (_directory, file, cleanups) = deleted().await;
    let mut world = World::of(&file, &cleanups).await;
    world.drain().await;
    let (artifact, body) = &cleanups.contents[0];
    world.objects.put(artifact, artifact.content().unwrap(), body).await.unwrap();
    world.sweep().await;
    assert_eq!(world.contents().await.len(), 1, "more may come");
    world.sweep_later().await;
    assert!(world.contents().await.is_empty());
}

#[tokio::test]
async fn a_task_that_only_another_version_knows_holds_up_no_sweep() {
    let (_directory, file, cleanups) = deleted().await;
    let world = World::of(&file, &cleanups).await;
    // Before all others of each partition, and more than a sweep reads at once.
    for (n, at) in (0..16).flat_map(|n| (0..101).map(move |at| (n, at))) {
        let (pk, sk) = (format!("CLEANUP#{n}"), format!("2025-01-15T10:32:00.000Z#{at:03}"));
        let item = json!({"pk": pk, "sk": sk, "cleanup": r#"{"leftover":{"moons":{}},"due":0}"#});
        let item = serde_dynamo::aws_sdk_dynamodb_1::to_item(item).unwrap();
        world.table.client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }
    world.sweep().await;
    assert!(world.left().await.0.is_empty());
}

#[tokio::test]
async fn of_a_batch_the_record_that_fails_is_named_and_the_others_are_done() {
    let (_directory, file, cleanups) = deleted().await;
    let mut world = World::of(&file, &cleanups).await;
    let number = |record: &Value| record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned();
    let records = cleanups.records.clone();
    assert!(records[0].to_string().contains("content"), "the first is the deleted artifact");
    let forbidden = InjectedFault::Status(403);
    world.plan.lock().unwrap().fault = Some((1, forbidden, Some(forbidden)));
    assert_eq!(world.give(&event(&records)).await, [number(&records[0])]);
    world.plan.lock().unwrap().fault = None;
    assert_eq!(world.contents().await.len(), 2);
    assert_eq!(world.left().await.1, 2, "the others are done, and there is a task of what expired");
    let poison = [
        json!("poison"),
        json!({"eventName": "INSERT", "dynamodb": {"NewImage": {"pk": {"S": "CLEANUP#1"}}}}),
        json!({"eventName": "INSERT", "dynamodb": {
            "SequenceNumber": "1", "NewImage": {"pk": {"S": "CLEANUP#1"}, "cleanup": {"S": "{}"}},
        }}),
    ];
    let poisoned = [&poison[..], &records[..1]].concat();
    assert!(world.give(&event(&poisoned)).await.is_empty(), "what cannot be read holds nothing up");
    world.drain().await;
    world.assert_nothing_is_left("after a poisoned batch").await;
}

#[tokio::test]
async fn killed_or_faulted_at_any_call_it_ends_right_when_it_goes_on() {
    let (_directory, file, cleanups) = deleted().await;
    let world = World::of(&file, &cleanups).await;
    world.give(&event(&cleanups.records)).await;
    let calls = world.plan.lock().unwrap().calls;
    assert!(calls > 8, "{calls}");
    for at in 1..=calls {
        for (fault, behind) in FAULTS {
            let mut world = World::of(&file, &cleanups).await;
            world.plan.lock().unwrap().fault = Some((at, fault, behind));
            let what = format!("call {at}, {fault:?}, behind it {behind:?}");
            world.give(&event(&cleanups.records)).await;
            world.plan.lock().unwrap().fault = None;
            // What Lambda gives it again, or a sweep finds.
            world.drain().await;
            world.assert_nothing_is_left(&what).await;
        }
    }
}
