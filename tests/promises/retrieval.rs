//! What retrieval jobs deliver, against a model: random sequences of artifacts that come, are tagged anew and go, of policies that are
//! put in force and withdrawn, and of jobs that go on from one another, with a clock that jumps. Of each completed job it checks what is
//! promised, not how it is done: nothing that is not granted, nothing twice, and nothing left out where it says that there is no more.
//! After each step every job and its results are read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::model::job::{MAX_OPEN_OF_RECIPIENT, STALLED_MINUTES};
use docyard_core::store::Objects;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::content_hash::ContentHash;
use docyard_core::values::id::ArtifactId;
use docyard_functions::worker;
use docyard_test_support::account::Account;
use docyard_test_support::api::{Api, Reply};
use docyard_test_support::clock::TestClock;
use docyard_test_support::retrieved::drive;
use docyard_test_support::scene::{Asker, recipe};
use docyard_test_support::stream::schedule;
use docyard_test_support::{bucket, is_thorough, trail};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use serde_json::{Value, json};

const TYPES: [&str; 3] = ["declaration-page", "endorsement", "invoice"];
/// The places in [`TYPES`] of what each policy grants, and how many artifacts it delivers at a time.
const POLICIES: [(&[usize], usize); 2] = [(&[0], 2), (&[0, 1], 3)];
const LENDER: &str = "LND-4821";

/// What can be done. Artifacts, policies and jobs are named by their number, in the order in which they were made.
#[derive(Clone, Debug)]
enum Step {
    /// Declared, uploaded and completed.
    Add(usize),
    Tag(usize, usize),
    Delete(usize),
    Publish(usize),
    Withdraw(usize),
    /// With a filter by type, going on from a job.
    Create(Option<usize>, Option<usize>),
    /// Until it has ended.
    Drive(usize),
    Cancel(usize),
    /// So many minutes, and then a sweep.
    Wait(u16),
}

#[derive(Clone, Debug)]
struct Artifact {
    document_type: usize,
    /// The minute since which it is available as it is.
    available: u16,
    is_deleted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Pending,
    Completed,
    Failed,
    Canceled,
}

#[derive(Clone, Debug)]
struct Job {
    filter: Option<usize>,
    from: Option<usize>,
    /// The minute in which it was made.
    made: u16,
    /// The policies in force then.
    policies: [bool; 2],
    status: Status,
    touches: u8,
}

#[derive(Clone, Debug, Default)]
struct Model {
    artifacts: Vec<Artifact>,
    is_in_force: [bool; 2],
    jobs: Vec<Job>,
    minute: u16,
}

fn document_type() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0_usize), 3 => Just(1), 1 => Just(2)]
}

fn start() -> Timestamp {
    Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap()
}

impl Model {
    /// The policies of a job that are in force.
    fn granting(&self, job: &Job) -> [bool; 2] {
        [0, 1].map(|policy| job.policies[policy] && self.is_in_force[policy])
    }

    /// Whether one of these policies grants an artifact.
    fn is_granted(&self, artifact: usize, policies: [bool; 2]) -> bool {
        let Artifact { document_type, is_deleted, .. } = &self.artifacts[artifact];
        let grants = |policy: usize| policies[policy] && POLICIES[policy].0.contains(document_type);
        !is_deleted && (grants(0) || grants(1))
    }

    fn open(&self) -> usize {
        self.jobs.iter().filter(|job| job.status == Status::Pending).count()
    }

    fn answer(&self, step: &Step) -> u16 {
        match *step {
            Step::Tag(artifact, _) | Step::Delete(artifact) => match self.artifacts[artifact].is_deleted {
                true => 404,
                false => 200,
            },
            Step::Create(filter, from) => {
                let from = from.map(|from| &self.jobs[from]);
                let is_same = |from: &Job| from.filter == filter && from.policies == self.is_in_force;
                match from {
                    // It has none, and what is sent in its place is no cursor.
                    Some(from) if from.status != Status::Completed => 400,
                    _ if self.is_in_force == [false; 2] => 403,
                    Some(from) if !is_same(from) => 409,
                    _ if self.open() == MAX_OPEN_OF_RECIPIENT => 409,
                    _ => 201,
                }
            }
            Step::Cancel(job) if self.jobs[job].status != Status::Pending => 409,
            _ => 200,
        }
    }

    fn apply_success(&mut self, step: &Step) {
        let minute = self.minute;
        match *step {
            Step::Add(document_type) => {
                self.artifacts.push(Artifact { document_type, available: minute, is_deleted: false });
            }
            Step::Tag(at, document_type) if self.artifacts[at].document_type != document_type => {
                self.artifacts[at] = Artifact { document_type, available: minute, is_deleted: false };
            }
            Step::Tag(..) => {}
            Step::Delete(at) => self.artifacts[at].is_deleted = true,
            Step::Publish(policy) => self.is_in_force[policy] = true,
            Step::Withdraw(policy) => self.is_in_force[policy] = false,
            Step::Create(filter, from) => self.jobs.push(Job {
                filter,
                from,
                made: minute,
                policies: self.is_in_force,
                status: Status::Pending,
                touches: 0,
            }),
            Step::Drive(at) => {
                let is_granted = self.granting(&self.jobs[at]) != [false; 2];
                self.jobs[at].status = if is_granted { Status::Completed } else { Status::Failed };
            }
            Step::Cancel(job) => self.jobs[job].status = Status::Canceled,
            Step::Wait(minutes) => {
                self.minute += minutes;
                let minute = self.minute;
                let is_stalled = |job: &&mut Job| {
                    let patience = STALLED_MINUTES * (u16::from(job.touches) + 1);
                    job.status == Status::Pending && job.made + patience <= minute
                };
                for job in self.jobs.iter_mut().filter(is_stalled) {
                    match job.touches {
                        2 => job.status = Status::Failed,
                        _ => job.touches += 1,
                    }
                }
            }
        }
    }

    /// A job and those that it goes on from, the newest first.
    fn chain(&self, job: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(job), |job| self.jobs[*job].from)
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let artifact = document_type().prop_map(|document_type| Artifact {
            document_type,
            available: 0,
            is_deleted: false,
        });
        let artifacts = prop::collection::vec(artifact, 0..10);
        artifacts.prop_map(|artifacts| Self { artifacts, is_in_force: [true; 2], ..Self::default() }).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let one_of = |count: usize| any::<Index>().prop_map(move |index| index.index(count));
        let filter = || prop::option::weighted(0.2, 0_usize..2);
        let mut steps = vec![
            (10, document_type().prop_map(Step::Add).boxed()),
            (2, (0_usize..2).prop_map(Step::Publish).boxed()),
            (1, (0_usize..2).prop_map(Step::Withdraw).boxed()),
            (3, prop_oneof![4 => Just(1_u16), 4 => Just(2), 1 => Just(5)].prop_map(Step::Wait).boxed()),
            (2, filter().prop_map(|filter| Step::Create(filter, None)).boxed()),
        ];
        let (artifacts, jobs) = (state.artifacts.len(), state.jobs.len());
        if artifacts > 0 {
            steps.push((2, (one_of(artifacts), document_type()).prop_map(|(a, t)| Step::Tag(a, t)).boxed()));
            steps.push((1, one_of(artifacts).prop_map(Step::Delete).boxed()));
        }
        if jobs > 0 {
            // Mostly the last one that is completed, as it was made.
            let last = state.jobs.iter().rposition(|job| job.status == Status::Completed);
            let filters: Vec<Option<usize>> = state.jobs.iter().map(|job| job.filter).collect();
            let going_on = (one_of(jobs), filter(), prop::bool::weighted(0.1));
            let going_on = going_on.prop_map(move |(job, filter, is_any)| {
                let from = last.filter(|_| !is_any).unwrap_or(job);
                Step::Create(if is_any { filter } else { filters[from] }, Some(from))
            });
            steps.push((8, going_on.boxed()));
            steps.push((1, one_of(jobs).prop_map(Step::Cancel).boxed()));
            let is_pending = |job: &usize| state.jobs[*job].status == Status::Pending;
            let pending: Vec<usize> = (0..jobs).filter(is_pending).collect();
            if !pending.is_empty() {
                steps.push((10, prop::sample::select(pending).prop_map(Step::Drive).boxed()));
            }
        }
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        if state.answer(step) < 300 {
            state.apply_success(step);
        }
        state
    }

    /// While a sequence is made shorter, what its steps name must still be there.
    fn preconditions(state: &Self, step: &Step) -> bool {
        match *step {
            Step::Tag(artifact, _) | Step::Delete(artifact) => artifact < state.artifacts.len(),
            Step::Drive(job) => state.jobs.get(job).is_some_and(|job| job.status == Status::Pending),
            Step::Cancel(job) | Step::Create(_, Some(job)) => job < state.jobs.len(),
            _ => true,
        }
    }
}

/// What a completed job delivered, in its order, and what it says of itself.
#[derive(Clone, Debug)]
struct Delivered {
    artifacts: Vec<usize>,
    cursor: Value,
}

/// The API, and the ids that it gave.
struct System {
    runtime: Arc<tokio::runtime::Runtime>,
    account: Account,
    context: Context,
    api: Api,
    objects: Objects,
    clock: TestClock,
    lender: String,
    policies: [String; 2],
    artifacts: Vec<String>,
    jobs: Vec<String>,
    /// By the number of the job.
    delivered: BTreeMap<usize, Delivered>,
    /// What the model said before the step.
    before: Model,
}

impl System {
    fn asker(&self) -> Asker<'_> {
        Asker { api: &self.api, key: &self.account.key, dock: &self.account.dock }
    }

    /// An artifact whose content no other one has.
    async fn add(&self, document_type: usize) -> String {
        let content = format!("document {}", self.artifacts.len());
        let body = json!({
            "filename": "a.pdf", "hash": ContentHash::of(content.as_bytes()), "size": content.len(),
            "metadata": {"document_type": TYPES[document_type], "lender_id": LENDER},
        });
        let id = self.asker().create("create-artifact", &[], body).await;
        let found = self.context.store.artifact(ArtifactId::parse(&id).unwrap(), self.clock.now()).await;
        let found = found.unwrap().unwrap();
        self.objects.put(&found, found.content().unwrap(), content.as_bytes()).await.unwrap();
        self.asker().ask("complete-artifact", &[("artifactId", &id)], Value::Null).await;
        id
    }

    async fn create(&self, filter: Option<usize>, from: Option<usize>) -> Reply {
        let mut body = json!({"dockId": self.account.dock, "recipientId": self.lender});
        if let Some(filter) = filter {
            body["metadata"] = json!({"document_type": TYPES[filter]});
        }
        if let Some(from) = from {
            let cursor = self.delivered.get(&from).map(|delivered| delivered.cursor.clone());
            body["cursor"] = cursor.unwrap_or(json!("none"));
        }
        self.asker().reply("create-retrieval-job", &[], "", body).await
    }

    async fn results(&self, job: usize) -> Reply {
        self.asker().reply("list-retrieval-results", &[("jobId", &self.jobs[job])], "", Value::Null).await
    }

    fn number(&self, item: &Value) -> usize {
        self.artifacts.iter().position(|id| *id == item["artifactId"]).unwrap()
    }

    /// Remembers what a job delivered that was just completed, and asserts what is promised of it.
    async fn complete(&mut self, model: &Model, at: usize) {
        let job = &model.jobs[at];
        let granting = model.granting(job);
        let shown = self.asker().ask("get-retrieval-job", &[("jobId", &self.jobs[at])], Value::Null).await;
        let items = self.results(at).await.body["items"].clone();
        let artifacts: Vec<usize> = items.as_array().unwrap().iter().map(|item| self.number(item)).collect();
        let set: BTreeSet<usize> = artifacts.iter().copied().collect();
        assert_eq!(set.len(), artifacts.len(), "nothing twice");
        assert_eq!(shown["readyCount"], artifacts.len());
        let earlier: Vec<usize> = model.chain(at).skip(1).collect();
        let cursor = shown["cursor"].clone();
        self.delivered.insert(at, Delivered { artifacts: artifacts.clone(), cursor });

        let is_asked_for = |artifact: &usize| {
            let Artifact { document_type, available, .. } = &model.artifacts[*artifact];
            let is_filtered = job.filter.is_none_or(|filter| filter == *document_type);
            is_filtered && *available <= job.made && model.is_granted(*artifact, granting)
        };
        assert!(artifacts.iter().all(is_asked_for), "{artifacts:?}: nothing that is not granted");
        let position = |artifact: &usize| (model.artifacts[*artifact].available, &self.artifacts[*artifact]);
        assert!(artifacts.is_sorted_by_key(position), "{artifacts:?}: oldest first");
        let most = |policy: usize| if granting[policy] { POLICIES[policy].1 } else { 0 };
        assert!(artifacts.len() <= most(0) + most(1), "{artifacts:?}: no more than the policies deliver");

        // Whether one of these jobs delivered an artifact as it is now.
        let is_delivered = |by: &[usize], artifact: usize, margin: u16| {
            let since = model.artifacts[artifact].available;
            by.iter().any(|by| {
                self.delivered[by].artifacts.contains(&artifact) && since + margin <= model.jobs[*by].made
            })
        };
        // What became available within the minute before a job may come twice, and what a policy delivered that was withdrawn since.
        for artifact in artifacts.iter().filter(|_| granting == job.policies) {
            assert!(!is_delivered(&earlier, *artifact, 2), "artifact {artifact} comes again");
        }
        // Of what a policy does not grant any more the next job has to see.
        assert!(shown["hasMore"] == true || granting == job.policies);
        if shown["hasMore"] == false {
            let chain: Vec<usize> = model.chain(at).collect();
            for artifact in (0..model.artifacts.len()).filter(is_asked_for) {
                assert!(is_delivered(&chain, artifact, 0), "artifact {artifact} is left out");
            }
        } else if granting == job.policies {
            assert!(artifacts.len() >= 2, "where there is more, a policy delivered as much as it may");
        }
    }

    async fn carry_out(&self, step: &Step) -> Reply {
        let asker = self.asker();
        let artifact = |at: usize| [("artifactId", self.artifacts[at].as_str())];
        match *step {
            Step::Tag(at, tag) => {
                let body = json!({"metadata": {"document_type": TYPES[tag]}});
                asker.reply("update-artifact", &artifact(at), "", body).await
            }
            Step::Delete(at) => asker.reply("delete-artifact", &artifact(at), "", Value::Null).await,
            Step::Publish(policy) | Step::Withdraw(policy) => {
                let body = match step {
                    Step::Publish(_) => json!({"stage": "production", "version": 1}),
                    _ => json!({"stage": "sandbox"}),
                };
                asker.reply("publish-policy", &[("policyId", &self.policies[policy])], "", body).await
            }
            Step::Create(filter, from) => self.create(filter, from).await,
            Step::Cancel(at) => {
                asker.reply("cancel-retrieval-job", &[("jobId", &self.jobs[at])], "", Value::Null).await
            }
            Step::Add(_) | Step::Drive(_) | Step::Wait(_) => unreachable!("it is no single request"),
        }
    }

    /// Asserts that each job is as the model says, and that each page of results has what is granted of it now.
    async fn compare(&self, model: &Model) {
        let query = format!("dockId={}", self.account.dock);
        let listed = self.asker().reply("list-retrieval-jobs", &[], &query, Value::Null).await.list();
        let statuses: BTreeMap<&str, &Value> =
            listed.iter().map(|job| (job["id"].as_str().unwrap(), &job["status"])).collect();
        assert_eq!(statuses.len(), model.jobs.len());
        for (at, job) in model.jobs.iter().enumerate() {
            let status = match job.status {
                Status::Pending => "PENDING",
                Status::Completed => "COMPLETED",
                Status::Failed => "FAILED",
                Status::Canceled => "CANCELED",
            };
            assert_eq!(statuses[self.jobs[at].as_str()], status, "job {at}");
            let results = self.results(at).await;
            let Some(delivered) = self.delivered.get(&at) else {
                assert_eq!(results.status, 400, "job {at}: {}", results.shown());
                continue;
            };
            if model.is_in_force == [false; 2] {
                assert_eq!(results.status, 403, "job {at}: {}", results.shown());
                continue;
            }
            let shown: Vec<(usize, bool)> = results.body["items"]
                .as_array()
                .unwrap_or_else(|| panic!("job {at}: {}", results.shown()))
                .iter()
                .map(|item| (self.number(item), item["url"].is_string()))
                .collect();
            let expected: Vec<(usize, bool)> = delivered
                .artifacts
                .iter()
                .map(|artifact| (*artifact, !model.artifacts[*artifact].is_deleted))
                .filter(|(artifact, is_there)| !is_there || model.is_granted(*artifact, model.is_in_force))
                .collect();
            assert_eq!(shown, expected, "job {at}");
        }
    }
}

impl StateMachineTest for System {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let runtime = Arc::new(runtime);
        let clock = TestClock::at(start());
        let account = runtime.block_on(Account::new());
        let objects = bucket::objects_beside(&account.table.url);
        let store = account.table.store.clone();
        let context = Context::new(store, Mode::Live, clock.clock()).with_objects(objects.clone());
        let api = Api::new(context.clone());
        let asker = Asker { api: &api, key: &account.key, dock: &account.dock };
        let lender = json!({
            "name": "A lender", "email": "a@example.com", "stakeholderClass": "mortgagee",
            "identifiers": {"lender_id": LENDER},
        });
        let lender = runtime.block_on(asker.create("create-recipient", &[], lender));
        let policies = POLICIES.map(|(types, most)| {
            let mut recipe = recipe();
            recipe["artifactTypes"] = types.iter().map(|document_type| TYPES[*document_type]).collect();
            recipe["access"]["max_batch_size"] = json!(most);
            runtime.block_on(async {
                let policy = asker.create("create-policy", &[], json!({"name": "P", "recipe": recipe})).await;
                asker.publish(&policy, json!({"stage": "production", "version": 1})).await;
                policy
            })
        });
        let before = model.clone();
        let (artifacts, jobs, delivered) = Default::default();
        let mut system = Self {
            runtime,
            account,
            context,
            api,
            objects,
            clock,
            lender,
            policies,
            artifacts,
            jobs,
            delivered,
            before,
        };
        for artifact in &model.artifacts {
            let id = system.runtime.block_on(system.add(artifact.document_type));
            system.artifacts.push(id);
        }
        system
    }

    /// `model` is what it says after the step.
    fn apply(mut system: Self, model: &Model, step: Step) -> Self {
        let runtime = system.runtime.clone();
        let before = std::mem::replace(&mut system.before, model.clone());
        match step {
            Step::Add(document_type) => {
                let id = runtime.block_on(system.add(document_type));
                system.artifacts.push(id);
            }
            Step::Drive(at) => {
                runtime.block_on(drive(&system.context, &system.jobs[at]));
                if model.jobs[at].status == Status::Completed {
                    runtime.block_on(system.complete(model, at));
                }
            }
            Step::Wait(minutes) => {
                system.clock.set(system.clock.now().plus_minutes(minutes));
                runtime.block_on(worker::handle(&system.context, &schedule())).unwrap();
            }
            _ => {
                let reply = runtime.block_on(system.carry_out(&step));
                assert_eq!(reply.status, before.answer(&step), "{step:?}: {}", reply.shown());
                if matches!(step, Step::Create(..)) && reply.status == 201 {
                    system.jobs.push(reply.id(201));
                }
            }
        }
        runtime.block_on(system.compare(model));
        system
    }

    fn teardown(system: Self, _: Model) {
        system.runtime.block_on(trail::assert_explains(&system.account.table));
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig {
        cases: if is_thorough() { 500 } else { 8 },
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_is_done_jobs_deliver_what_is_granted_once_and_leave_nothing_out(sequential 20..50 => System);
}
