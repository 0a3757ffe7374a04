//! Artifacts against a model of them: random sequences of declarations, uploads, completions, changes and deletions, with a clock
//! that jumps. After each step every list, every artifact and every content agrees with the model; in the end the worker has left the
//! contents of what is there, and no others.

use std::sync::Arc;

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::model::artifact;
use docyard_core::model::audit::{Author, Entry, Origin};
use docyard_core::store::{ArtifactUpdate, CONTENT_MINUTES, Error, Objects, Stored};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::content_hash::ContentHash;
use docyard_core::values::id::{ApiKeyId, ArtifactId};
use docyard_core::values::random;
use docyard_functions::worker;
use docyard_test_support::account::Account;
use docyard_test_support::api::{Api, Reply};
use docyard_test_support::bucket;
use docyard_test_support::clock::TestClock;
use docyard_test_support::is_thorough;
use docyard_test_support::stream::schedule;
use docyard_test_support::table::TestTable;
use docyard_test_support::trail;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use serde_json::{Value, json};

/// The contents that are declared, and uploaded.
const CONTENTS: [&str; 2] = ["%PDF-1.7 one", "%PDF-1.7 two"];
const FILENAMES: [&str; 2] = ["a.pdf", "b.pdf"];
/// The document types that metadata has.
const TYPES: [&str; 2] = ["declaration-page", "endorsement"];
const STATUSES: [&str; 3] = ["PENDING", "AVAILABLE", "EMPTY"];
/// After how many hours an artifact is gone that waits for its content.
const PENDING_HOURS: u16 = 24;

/// What makes two artifacts one, by its places in the constants above. Without a content they never are.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Document {
    content: Option<usize>,
    filename: usize,
    document_type: Option<usize>,
}

/// What can be done. Artifacts are named by their number, in the order in which they were made.
#[derive(Clone, Debug)]
enum Step {
    Declare(Document),
    /// Declared, uploaded and completed in one request.
    Upload(Document),
    /// To the address that the declaration gave.
    Put(usize),
    Complete(usize),
    Rename(usize, usize),
    Tag(usize, Option<usize>),
    Delete(usize),
    Wait(u16),
}

#[derive(Clone, Debug)]
struct Artifact {
    document: Document,
    /// When it was made, in hours.
    created: u16,
    available: Option<u16>,
    is_uploaded: bool,
    is_deleted: bool,
}

/// All that is known of a dock. Time is counted in hours.
#[derive(Clone, Debug, Default)]
struct Model {
    artifacts: Vec<Artifact>,
    hour: u16,
}

fn start() -> Timestamp {
    Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap()
}

impl Model {
    /// Its status; `None` if it is not there.
    fn status(&self, artifact: usize) -> Option<&'static str> {
        let Artifact { document, created, available, is_deleted, .. } = &self.artifacts[artifact];
        match (is_deleted, document.content, available) {
            (true, _, _) => None,
            (_, None, _) => Some("EMPTY"),
            (_, _, Some(_)) => Some("AVAILABLE"),
            _ => (self.hour < created + PENDING_HOURS).then_some("PENDING"),
        }
    }

    /// The artifact that is this document.
    fn holder(&self, document: Document) -> Option<usize> {
        let holds = |at: &usize| self.artifacts[*at].document == document && self.status(*at).is_some();
        (0..self.artifacts.len()).find(holds).filter(|_| document.content.is_some())
    }

    /// The document that a step makes of an artifact.
    fn changed(&self, step: &Step) -> Option<(usize, Document)> {
        match *step {
            Step::Rename(at, filename) => Some((at, Document { filename, ..self.artifacts[at].document })),
            Step::Tag(at, document_type) => {
                Some((at, Document { document_type, ..self.artifacts[at].document }))
            }
            _ => None,
        }
    }

    /// The status that a step gets.
    fn answer(&self, step: &Step) -> u16 {
        match *step {
            Step::Declare(_) | Step::Upload(_) => 201,
            Step::Put(_) | Step::Wait(_) => 0,
            Step::Complete(at) => match self.status(at) {
                None => 404,
                Some("AVAILABLE") => 200,
                Some("PENDING") if self.artifacts[at].is_uploaded => 200,
                Some(_) => 409,
            },
            Step::Rename(at, _) | Step::Tag(at, _) => {
                let holder = self.changed(step).and_then(|(_, document)| self.holder(document));
                match self.status(at) {
                    None => 404,
                    Some(_) if holder.is_some_and(|holder| holder != at) => 409,
                    Some(_) => 200,
                }
            }
            Step::Delete(at) => {
                if self.status(at).is_some() {
                    200
                } else {
                    404
                }
            }
        }
    }

    /// The artifact that is this document, which is made if there is none.
    fn declared(&mut self, document: Document) -> usize {
        self.holder(document).unwrap_or_else(|| {
            let created = self.hour;
            self.artifacts.push(Artifact {
                document,
                created,
                available: None,
                is_uploaded: false,
                is_deleted: false,
            });
            self.artifacts.len() - 1
        })
    }

    fn complete(&mut self, at: usize) {
        let hour = self.hour;
        self.artifacts[at].available.get_or_insert(hour);
    }

    /// What a step that is not refused changes.
    fn apply_success(&mut self, step: &Step) {
        match *step {
            Step::Declare(document) => {
                self.declared(document);
            }
            Step::Upload(document) => {
                let at = self.declared(document);
                self.artifacts[at].is_uploaded = true;
                self.complete(at);
            }
            Step::Put(at) => self.artifacts[at].is_uploaded = true,
            Step::Complete(at) => self.complete(at),
            Step::Rename(..) | Step::Tag(..) => {
                let (at, document) = self.changed(step).unwrap();
                let artifact = &mut self.artifacts[at];
                if artifact.document.document_type != document.document_type {
                    artifact.available = artifact.available.map(|_| self.hour);
                }
                artifact.document = document;
            }
            Step::Delete(at) => self.artifacts[at].is_deleted = true,
            Step::Wait(hours) => self.hour += hours,
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let filename = || 0..FILENAMES.len();
        let document_type = || prop::option::of(0..TYPES.len());
        let document =
            |content: BoxedStrategy<Option<usize>>| {
                (content, filename(), document_type()).prop_map(|(content, filename, document_type)| {
                    Document { content, filename, document_type }
                })
            };
        let some = || (0..CONTENTS.len()).prop_map(Some);
        let mut steps = vec![
            (6, document(prop_oneof![5 => some(), 1 => Just(None)].boxed()).prop_map(Step::Declare).boxed()),
            (3, document(some().boxed()).prop_map(Step::Upload).boxed()),
            (2, prop_oneof![Just(1_u16), Just(12), Just(24)].prop_map(Step::Wait).boxed()),
        ];
        let count = state.artifacts.len();
        if count > 0 {
            let one = || any::<Index>().prop_map(move |index| index.index(count));
            // What an address is for; who has one may use it after the artifact is gone.
            let with_content: Vec<usize> =
                (0..count).filter(|at| state.artifacts[*at].document.content.is_some()).collect();
            if !with_content.is_empty() {
                steps.push((6, prop::sample::select(with_content).prop_map(Step::Put).boxed()));
            }
            steps.extend([
                (6, one().prop_map(Step::Complete).boxed()),
                (2, (one(), filename()).prop_map(|(at, filename)| Step::Rename(at, filename)).boxed()),
                (3, (one(), document_type()).prop_map(|(at, tag)| Step::Tag(at, tag)).boxed()),
                (2, one().prop_map(Step::Delete).boxed()),
            ]);
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
            Step::Declare(_) | Step::Upload(_) | Step::Wait(_) => true,
            Step::Put(at) => {
                state.artifacts.get(at).is_some_and(|artifact| artifact.document.content.is_some())
            }
            Step::Complete(at) | Step::Rename(at, _) | Step::Tag(at, _) | Step::Delete(at) => {
                at < state.artifacts.len()
            }
        }
    }
}

/// The API, and the ids that it gave.
struct System {
    runtime: Arc<tokio::runtime::Runtime>,
    table: TestTable,
    context: Context,
    api: Api,
    objects: Objects,
    clock: TestClock,
    key: String,
    dock: String,
    artifacts: Vec<String>,
    /// The same, as they were made.
    declared: Vec<artifact::Artifact>,
    /// What the model said before the step.
    before: Model,
}

fn text<'a>(thing: &'a Value, field: &str) -> &'a str {
    thing[field].as_str().unwrap()
}

fn metadata(document: Document) -> Value {
    document.document_type.map_or(json!({}), |tag| json!({"document_type": TYPES[tag]}))
}

impl System {
    async fn ask(&self, function: &str, artifact: Option<usize>, query: &str, body: Value) -> Reply {
        let artifact = artifact.map_or("art_01HQ3K5V7X9ZBDFHKMPRTVXYZ0", |at| &self.artifacts[at]);
        let parameters = [("dockId", self.dock.as_str()), ("artifactId", artifact)];
        let body = (!body.is_null()).then(|| body.to_string());
        self.api.ask(function, &parameters, query, &self.headers("application/json"), body).await
    }

    fn headers(&self, content_type: &str) -> [(&'static str, String); 2] {
        [("authorization", format!("Bearer {}", self.key)), ("content-type", content_type.to_owned())]
    }

    /// Uploads what was declared, as one does who has an address.
    async fn put(&self, model: &Model, at: usize) -> Stored {
        let body = CONTENTS[model.artifacts[at].document.content.unwrap()];
        let artifact = &self.declared[at];
        self.objects.put(artifact, artifact.content().unwrap(), body.as_bytes()).await.unwrap()
    }

    /// Remembers an artifact that was made.
    async fn remember(&mut self, id: String) {
        let artifact = self.context.store.artifact(ArtifactId::parse(&id).unwrap(), self.clock.now()).await;
        self.declared.push(artifact.unwrap().unwrap());
        self.artifacts.push(id);
    }

    /// Asserts that the worker, when no upload can be under way any more, leaves the contents of what was not deleted.
    async fn assert_contents(&self, model: &Model) {
        self.clock.set(self.clock.now().plus_minutes(CONTENT_MINUTES + 1));
        worker::handle(&self.context, &schedule()).await.unwrap();
        for (at, artifact) in model.artifacts.iter().enumerate() {
            let is_there = self.objects.head(&self.declared[at]).await.unwrap().is_some();
            assert_eq!(
                is_there,
                artifact.is_uploaded && !artifact.is_deleted,
                "the content of artifact {at}"
            );
        }
    }

    async fn carry_out(&self, step: &Step) -> Reply {
        match *step {
            Step::Declare(document) => {
                let mut body =
                    json!({"filename": FILENAMES[document.filename], "metadata": metadata(document)});
                if let Some(content) = document.content {
                    let content = CONTENTS[content].as_bytes();
                    body["hash"] = json!(ContentHash::of(content).to_string());
                    body["size"] = json!(content.len());
                }
                self.ask("create-artifact", None, "", body).await
            }
            Step::Upload(document) => {
                let part = "--b\r\ncontent-disposition: form-data; name=";
                let (filename, metadata) = (FILENAMES[document.filename], metadata(document));
                let content = CONTENTS[document.content.unwrap()];
                let body = format!(
                    "{part}\"file\"; filename=\"{filename}\"\r\n\r\n{content}\r\n{part}\"metadata\"\r\n\r\n{metadata}\r\n--b--\r\n"
                );
                let headers = self.headers("multipart/form-data; boundary=b");
                self.api.ask("upload-artifact", &[("dockId", &self.dock)], "", &headers, Some(body)).await
            }
            Step::Complete(at) => self.ask("complete-artifact", Some(at), "", Value::Null).await,
            Step::Rename(at, filename) => {
                self.ask("update-artifact", Some(at), "", json!({"filename": FILENAMES[filename]})).await
            }
            Step::Tag(at, tag) => {
                let tag = tag.map(|tag| TYPES[tag]);
                self.ask("update-artifact", Some(at), "", json!({"metadata": {"document_type": tag}})).await
            }
            Step::Delete(at) => self.ask("delete-artifact", Some(at), "", Value::Null).await,
            Step::Put(_) | Step::Wait(_) => unreachable!("it is no request"),
        }
    }

    /// All pages of a list, read two artifacts at a time: of each its id, status, filename and when it became available.
    async fn listed(&self, query: &str) -> Vec<(String, String, String, Option<String>)> {
        let (mut listed, mut next) = (Vec::new(), format!("limit=2{query}"));
        loop {
            let reply = self.ask("list-artifacts", None, &next, Value::Null).await;
            listed.extend(reply.list().iter().map(|artifact| {
                let field = |name| text(artifact, name).to_owned();
                let since = artifact["availableAt"].as_str().map(str::to_owned);
                (field("id"), field("status"), field("filename"), since)
            }));
            match reply.next_query() {
                Some(following) => next = following,
                None => return listed,
            }
        }
    }

    async fn compare(&self, model: &Model) {
        let at = |hour: u16| start().plus_minutes(60 * hour).to_string();
        for status in [None].into_iter().chain(STATUSES.map(Some)) {
            for tag in [None, Some(0), Some(1)] {
                let is_listed = |artifact: &usize| {
                    let is = model.status(*artifact);
                    let has = model.artifacts[*artifact].document.document_type;
                    is.is_some() && (status.is_none() || status == is) && (tag.is_none() || tag == has)
                };
                let mut expected: Vec<usize> = (0..model.artifacts.len()).filter(is_listed).collect();
                // By time and, of one time, by id; newest first.
                let position = |artifact: &usize| {
                    let Artifact { created, available, .. } = &model.artifacts[*artifact];
                    std::cmp::Reverse((available.unwrap_or(*created), &self.artifacts[*artifact]))
                };
                expected.sort_by_key(position);
                let expected: Vec<_> = expected
                    .into_iter()
                    .map(|artifact| {
                        let Artifact { document, available, .. } = &model.artifacts[artifact];
                        let (id, status) =
                            (self.artifacts[artifact].clone(), model.status(artifact).unwrap());
                        (id, status.to_owned(), FILENAMES[document.filename].to_owned(), available.map(at))
                    })
                    .collect();
                let mut query = status.map_or(String::new(), |status| format!("&status={status}"));
                if let Some(tag) = tag {
                    query += &format!("&metadataKey=document_type&metadataValue={}", TYPES[tag]);
                }
                assert_eq!(self.listed(&query).await, expected, "{query}");
            }
        }
        for artifact in 0..model.artifacts.len() {
            let status = model.status(artifact);
            let one = self.ask("get-artifact", Some(artifact), "", Value::Null).await;
            assert_eq!(one.status, if status.is_some() { 200 } else { 404 }, "artifact {artifact}");
            if let Some(status) = status {
                assert_eq!(one.body["status"], status);
                assert_eq!(one.body["metadata"], metadata(model.artifacts[artifact].document));
            }
            let content = self.ask("get-artifact-content", Some(artifact), "", Value::Null).await;
            let expected = match status {
                None => 404,
                Some("AVAILABLE") => 200,
                Some(_) => 409,
            };
            assert_eq!(content.status, expected, "the content of artifact {artifact}");
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
        let Account { table, key, dock } = runtime.block_on(Account::new());
        let objects = bucket::objects_beside(&table.url);
        let context =
            Context::new(table.store.clone(), Mode::Live, clock.clock()).with_objects(objects.clone());
        let api = Api::new(context.clone());
        let before = model.clone();
        let (artifacts, declared) = Default::default();
        Self { runtime, table, context, api, objects, clock, key, dock, artifacts, declared, before }
    }

    /// `model` is what it says after the step.
    fn apply(mut system: Self, model: &Model, step: Step) -> Self {
        let runtime = system.runtime.clone();
        let before = std::mem::replace(&mut system.before, model.clone());
        match step {
            Step::Wait(hours) => system.clock.set(system.clock.now().plus_minutes(60 * hours)),
            Step::Put(at) => {
                let stored = runtime.block_on(system.put(&before, at));
                let expected = if before.artifacts[at].is_uploaded { Stored::Before } else { Stored::New };
                assert_eq!(stored, expected, "{step:?}");
            }
            _ => {
                let reply = runtime.block_on(system.carry_out(&step));
                assert_eq!(reply.status, before.answer(&step), "{step:?}: {}", reply.shown());
                match step {
                    Step::Declare(document) | Step::Upload(document) => {
                        let holder = before.holder(document);
                        assert_eq!(reply.body["isDuplicate"], holder.is_some(), "{step:?}");
                        let id = text(&reply.body, "id").to_owned();
                        match holder {
                            Some(holder) => assert_eq!(id, system.artifacts[holder], "{step:?}"),
                            None => runtime.block_on(system.remember(id)),
                        }
                    }
                    Step::Rename(..) | Step::Tag(..) if reply.status == 409 => {
                        let (_, document) = before.changed(&step).unwrap();
                        let holder = before.holder(document).unwrap();
                        assert_eq!(text(&reply.body, "artifactId"), system.artifacts[holder], "{step:?}");
                    }
                    _ => {}
                }
            }
        }
        runtime.block_on(system.compare(model));
        system
    }

    fn teardown(system: Self, model: Model) {
        system.runtime.block_on(trail::assert_explains(&system.table));
        system.runtime.block_on(system.assert_contents(&model));
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
    fn whatever_is_done_lists_show_the_documents_that_the_model_has(sequential 10..30 => System);
}

/// Between the reading of an artifact that waits and its change it ends, and another one becomes the same document.
#[tokio::test]
async fn a_change_that_comes_after_the_end_finds_no_artifact_and_leaves_its_successor_alone() {
    let clock = TestClock::at(start());
    let Account { table, key, dock } = Account::new().await;
    let objects = bucket::objects_beside(&table.url);
    let context = Context::new(table.store.clone(), Mode::Live, clock.clock()).with_objects(objects);
    let api = Api::new(context);
    let headers = [("authorization", format!("Bearer {key}"))];
    let hash = ContentHash::of(b"x").to_string();
    let body = json!({"filename": "a.pdf", "hash": hash, "size": 1}).to_string();
    let declare = async || {
        let reply = api.ask("create-artifact", &[("dockId", &dock)], "", &headers, Some(body.clone())).await;
        ArtifactId::parse(&reply.id(201)).unwrap()
    };
    let id = declare().await;
    let read = table.store.artifact(id, start()).await.unwrap().unwrap();
    clock.set(start().plus_minutes(60 * PENDING_HOURS));
    let successor = declare().await;
    assert_ne!(successor, id);
    let entry = || entry_on(&read);
    let change = |filename: &str| {
        let filename = artifact::Filename::parse(filename).unwrap();
        move |artifact| {
            let changes = artifact::ArtifactChanges { filename: Some(filename.clone()), metadata: None };
            Ok::<_, Error>(changes.apply(artifact, start()))
        }
    };
    let complete = |artifact: artifact::Artifact| Ok::<_, Error>(artifact.completed(start()).unwrap());
    let renamed = table.store.update_artifact(read.clone(), start(), change("b.pdf"), |_, _| entry()).await;
    assert_eq!(renamed.unwrap(), ArtifactUpdate::NoArtifact);
    let completed = table.store.update_artifact(read.clone(), start(), complete, |_, _| entry()).await;
    assert_eq!(completed.unwrap(), ArtifactUpdate::NoArtifact);
    let deleted = table.store.delete_artifact(read.clone(), start(), |_| Ok::<_, Error>(()), entry).await;
    assert!(!deleted.unwrap());
    assert_eq!(declare().await, successor, "it is that document");
}

fn entry_on(artifact: &artifact::Artifact) -> Entry {
    let key = ApiKeyId::generate(start(), &mut random::system());
    artifact.deleted().by(&Author::api_key(artifact.account, key, Origin::default()), start())
}
