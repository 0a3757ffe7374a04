//! Retrieval jobs: whatever becomes of the worker on the way, each ends right and once; and one after the other they deliver everything,
//! once, whatever changes meanwhile.
//!
//! The code under test is what runs on Lambda, in this process.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::model::job::{Failure, Job, Status};
use docyard_core::values::clock::Clock;
use docyard_core::values::id::{ArtifactId, JobId};
use docyard_functions::worker;
use docyard_test_support::account::Account;
use docyard_test_support::api::Api;
use docyard_test_support::bucket;
use docyard_test_support::clock::TestClock;
use docyard_test_support::fault::InjectedFault;
use docyard_test_support::is_thorough;
use docyard_test_support::retrieved::{available, drive, open_jobs, record};
use docyard_test_support::scene::{Asker, recipe};
use docyard_test_support::stream::{Cleanups, event, schedule};
use docyard_test_support::table::TABLE;
use serde_json::{Value, json};

use crate::worker::{FAULTS, World};

/// What the imported artifacts have.
const LENDER: &str = "LND-4821";

/// How much smaller than in the promise what the tests go through is.
fn scale() -> usize {
    if is_thorough() { 1 } else { 10 }
}

/// An account whose dock has artifacts that a lender is granted, and its API at a later minute.
struct Lending {
    account: Account,
    api: Api,
    context: Context,
    clock: TestClock,
    lender: String,
    artifacts: BTreeSet<String>,
}

impl Lending {
    /// With so many artifacts, and policies of which each delivers so many at a time.
    async fn new(count: usize, most: &[usize]) -> Self {
        let account = Account::new().await;
        let original = account.artifact_to_import().await;
        let mut artifacts: BTreeSet<String> =
            account.import_artifacts_like(&original, count).into_iter().collect();
        // What they are copies of.
        artifacts.insert(original[0]["id"].as_s().unwrap().clone());
        let clock = TestClock::at(Clock::system().now().plus_minutes(5));
        let context = Context::new(account.table.store.clone(), Mode::Live, clock.clock());
        let context = context.with_objects(bucket::objects_beside(&account.table.url));
        let api = Api::new(context.clone());
        let asker = Asker { api: &api, key: &account.key, dock: &account.dock };
        let body = json!({
            "name": "A lender", "email": "a@example.com", "stakeholderClass": "mortgagee",
            "identifiers": {"lender_id": LENDER},
        });
        let lender = asker.create("create-recipient", &[], body).await;
        for most in most {
            let mut recipe = recipe();
            recipe["access"]["max_batch_size"] = json!(most);
            let policy = asker.create("create-policy", &[], json!({"name": "P", "recipe": recipe})).await;
            asker.publish(&policy, json!({"stage": "production", "version": 1})).await;
        }
        Self { account, api, context, clock, lender, artifacts }
    }

    fn asker(&self) -> Asker<'_> {
        Asker { api: &self.api, key: &self.account.key, dock: &self.account.dock }
    }

    /// The id of a new job.
    async fn create(&self, more: Value) -> String {
        let mut body = json!({"dockId": self.account.dock, "recipientId": self.lender});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        self.asker().create("create-retrieval-job", &[], body).await
    }

    /// What a job delivers, and its cursor and whether there is more.
    async fn retrieve(&self, more: Value) -> (Vec<String>, Value, bool) {
        let id = self.create(more).await;
        drive(&self.context, &id).await;
        let job = self.asker().ask("get-retrieval-job", &[("jobId", &id)], Value::Null).await;
        assert_eq!(job["status"], "COMPLETED", "{job}");
        (delivered(&self.context, &id).await, job["cursor"].clone(), job["hasMore"] == true)
    }
}

async fn job(context: &Context, id: &str) -> Job {
    let job = context.store.job(JobId::parse(id).unwrap(), context.now()).await;
    job.unwrap().unwrap()
}

/// All ids on a job's pages.
async fn delivered(context: &Context, id: &str) -> Vec<String> {
    let job = job(context, id).await;
    let mut ids: Vec<ArtifactId> = Vec::new();
    for page in 0..job.pages {
        ids.extend(context.store.results_page(job.id, page).await.unwrap().unwrap().ready);
    }
    assert_eq!(ids.len(), usize::try_from(job.ready).unwrap());
    ids.iter().map(ArtifactId::to_string).collect()
}

/// Asserts that a job is completed, with each of these artifacts once.
async fn assert_right(world: &World, id: &str, artifacts: &BTreeSet<String>, what: &str) {
    assert_eq!(job(&world.context, id).await.status, Status::Completed, "{what}");
    let ids = delivered(&world.context, id).await;
    let set: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!((set.len(), &set), (ids.len(), artifacts), "{what}");
    assert!(
        !open_jobs(&world.context).await.contains(&JobId::parse(id).unwrap()),
        "{what}: it is open nowhere"
    );
}

#[tokio::test]
async fn killed_or_faulted_at_any_call_a_job_ends_right_and_once() {
    let lending = Lending::new(1_200, &[10_000]).await;
    let id = lending.create(json!({})).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table");
    lending.account.table.save(&file);
    let world = async || {
        let world = World::of(&file, &Cleanups::default()).await;
        world.clock.set(lending.clock.now().plus_minutes(1));
        world
    };
    let first = [record(&id)];
    let mut undisturbed = world().await;
    assert!(undisturbed.give(&event(&first)).await.is_empty());
    undisturbed.drain().await;
    assert_right(&undisturbed, &id, &lending.artifacts, "undisturbed").await;
    let calls = undisturbed.plan.lock().unwrap().calls;
    assert!(calls > 10, "{calls}");
    // Twice and late, it changes nothing.
    let before = job(&undisturbed.context, &id).await;
    assert!(undisturbed.give(&event(&[&first[..], &first[..]].concat())).await.is_empty());
    assert_eq!(job(&undisturbed.context, &id).await, before);
    for at in 1..=calls {
        for (fault, behind) in FAULTS {
            let what = format!("call {at}, {fault:?}, behind it {behind:?}");
            let mut world = world().await;
            world.plan.lock().unwrap().fault = Some((at, fault, behind));
            // Until the worker is gone, and nothing comes of it any more.
            world.give(&event(&first)).await;
            world.drain_as_far_as_it_goes().await;
            world.plan.lock().unwrap().fault = None;
            // A sweep finds what the stream gave up.
            if job(&world.context, &id).await.status.is_open() {
                world.clock.set(world.clock.now().plus_minutes(6));
                world.sweep().await;
                world.drain().await;
            }
            assert_right(&world, &id, &lending.artifacts, &what).await;
        }
    }
}

#[tokio::test]
async fn a_job_that_cannot_go_on_fails_within_20_minutes_and_makes_room() {
    let lending = Lending::new(1, &[10_000]).await;
    let id = lending.create(json!({})).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table");
    lending.account.table.save(&file);
    let mut world = World::of(&file, &Cleanups::default()).await;
    world.clock.set(lending.clock.now());
    for minutes in (0..20).step_by(5) {
        world.clock.set(lending.clock.now().plus_minutes(minutes));
        world.sweep().await;
        // The worker cannot read what it needs.
        let gone = InjectedFault::Unreachable;
        world.plan.lock().unwrap().fault = Some((1, gone, Some(gone)));
        world.drain_as_far_as_it_goes().await;
        world.plan.lock().unwrap().fault = None;
    }
    let failed = job(&world.context, &id).await;
    assert_eq!((failed.status, failed.failure), (Status::Failed, Some(Failure::TimedOut)));
    assert!(open_jobs(&world.context).await.is_empty());
}

/// A batch with records of several jobs, in any order, of which one cannot be read.
#[tokio::test]
async fn a_job_that_cannot_be_read_holds_up_no_other_in_a_batch_or_a_sweep() {
    let lending = Lending::new(3, &[10_000]).await;
    let [first, poisoned, last] =
        [lending.create(json!({})).await, lending.create(json!({})).await, lending.create(json!({})).await];
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table");
    lending.account.table.save(&file);
    let mut world = World::of(&file, &Cleanups::default()).await;
    world.clock.set(lending.clock.now().plus_minutes(1));
    let key = |text: &str| AttributeValue::S(text.to_owned());
    let update = world.table.client.update_item().table_name(TABLE);
    let update = update.key("pk", key(&format!("JOB#{poisoned}"))).key("sk", key("JOB"));
    let update = update.update_expression("SET job = :job").expression_attribute_values(":job", key("{}"));
    update.send().await.unwrap();

    let numbered = |number: &str, job: &str| {
        let mut record = record(job);
        record["dynamodb"]["SequenceNumber"] = json!(number);
        record
    };
    let batch = [numbered("2", &poisoned), numbered("3", &first), numbered("1", &poisoned)];
    assert_eq!(world.give(&event(&batch)).await, ["2", "1"]);
    assert_right(&world, &first, &lending.artifacts, "behind it in a batch").await;
    world.clock.set(world.clock.now().plus_minutes(6));
    worker::handle(&world.context, &schedule()).await.unwrap_err();
    world.drain_as_far_as_it_goes().await;
    assert_right(&world, &last, &lending.artifacts, "beside it in a sweep").await;
}

/// 25,000 artifacts in three jobs; or a tenth of that.
#[tokio::test]
async fn one_job_after_the_other_delivers_everything_once_while_documents_come_and_go() {
    let scale = scale();
    // The second policy delivers nothing that the first does not, of other sizes.
    let lending = Lending::new(25_000 / scale, &[10_000 / scale, 4_000 / scale]).await;
    let objects = bucket::objects_beside(&lending.account.table.url);
    let (first, cursor, has_more) = lending.retrieve(json!({})).await;
    assert!(has_more);
    // One that was declared before comes after, one that was delivered and one that was not are tagged anew, and one is deleted.
    let waiting: BTreeSet<&String> = lending.artifacts.iter().filter(|id| !first.contains(id)).collect();
    let mut waiting = waiting.into_iter();
    let (tagged_again, tagged, deleted) = (&first[0], waiting.next().unwrap(), waiting.next().unwrap());
    lending.clock.set(lending.clock.now().plus_minutes(3));
    let late = available(&lending.asker(), &objects, "late.pdf", LENDER).await;
    for id in [tagged_again, tagged] {
        let of = [("artifactId", id.as_str())];
        lending.asker().ask("update-artifact", &of, json!({"metadata": {"state": "CA"}})).await;
    }
    lending.asker().ask("delete-artifact", &[("artifactId", deleted)], Value::Null).await;
    lending.clock.set(lending.clock.now().plus_minutes(3));

    let mut all = first.clone();
    let (mut cursor, mut has_more, mut jobs) = (cursor, has_more, 1);
    while has_more {
        let (ids, next, more) = lending.retrieve(json!({"cursor": cursor})).await;
        assert!(!ids.is_empty(), "it gets on");
        all.extend(ids);
        (cursor, has_more, jobs) = (next, more, jobs + 1);
    }
    assert!(lending.retrieve(json!({"cursor": cursor})).await.0.is_empty(), "nothing is left");
    let twice: Vec<&String> =
        all.iter().filter(|id| all.iter().filter(|other| other == id).count() > 1).collect();
    assert_eq!(
        twice,
        [tagged_again, tagged_again],
        "what was tagged anew after it was delivered comes again"
    );
    let mut expected = lending.artifacts.clone();
    expected.remove(deleted);
    expected.insert(late);
    assert_eq!(all.into_iter().collect::<BTreeSet<String>>(), expected);
    assert!((2..=3).contains(&jobs), "{jobs}");
}

/// Ten thousand of a hundred thousand artifacts, on ten pages; or a tenth of these, on one.
#[tokio::test]
async fn of_many_artifacts_a_job_delivers_what_is_granted_page_by_page() {
    let granted = 10_000 / scale();
    let lending = Lending::new(granted - 1, &[10_000]).await;
    let objects = bucket::objects_beside(&lending.account.table.url);
    // Of the same type, for another lender; available before and after.
    let other = available(&lending.asker(), &objects, "other.pdf", "LND-9999").await;
    let other = lending.account.items_of_artifact(&other).await;
    lending.account.import_artifacts_like(&other, 9 * granted);
    lending.clock.set(lending.clock.now().plus_minutes(20));
    let id = lending.create(json!({})).await;
    drive(&lending.context, &id).await;

    let job = lending.asker().ask("get-retrieval-job", &[("jobId", &id)], Value::Null).await;
    assert_eq!((&job["readyCount"], &job["hasMore"]), (&json!(granted), &json!(false)));
    let (mut pages, mut delivered, mut query) = (0, Vec::new(), String::new());
    loop {
        let page =
            lending.asker().reply("list-retrieval-results", &[("jobId", &id)], &query, Value::Null).await;
        assert_eq!(page.status, 200, "{}", page.shown());
        let items = page.body["items"].as_array().unwrap();
        assert!(items.iter().all(|item| item["url"].is_string() && item["metadata"]["lender_id"] == LENDER));
        delivered.extend(items.iter().map(|item| item["artifactId"].as_str().unwrap().to_owned()));
        pages += 1;
        match page.next_query() {
            Some(next) => query = next,
            None => break,
        }
    }
    assert_eq!((pages, delivered.len()), (granted.div_ceil(1_000), granted));
    assert_eq!(delivered.into_iter().collect::<BTreeSet<String>>(), lending.artifacts);
}
