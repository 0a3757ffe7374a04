//! DynamoDB failing in every way at every call that every operation makes.
//!
//! The code under test is what runs on Lambda, in this process; the faults are those of an HTTP client under the SDK.
//! After each the answer is success or a 503, nothing is half done, and repeating the request does what the contract
//! says of a repetition.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::store::Objects;
use docyard_core::values::clock::{Clock, Timestamp};
use docyard_core::values::id::ArtifactId;
use docyard_functions::lambda::service::TIME_LIMIT;
use docyard_test_support::account::Account;
use docyard_test_support::api::{Api, Reply};
use docyard_test_support::cases::{self, Artifacts, Case, THERE, Things};
use docyard_test_support::certificate;
use docyard_test_support::fault::InjectedFault;
use docyard_test_support::retrieved::Retrieved;
use docyard_test_support::scene::{Asker, Scene};
use docyard_test_support::table::TestTable;
use docyard_test_support::{bucket, faulty_client, is_thorough, trail};
use serde_json::{Value, json};

const FAULTS: &[InjectedFault] = &[
    InjectedFault::Unreachable,
    InjectedFault::SilenceBefore,
    InjectedFault::SilenceAfter,
    InjectedFault::BrokenAfter,
    InjectedFault::HalfAnswer,
    InjectedFault::ErrorBefore,
    InjectedFault::ErrorAfter,
    InjectedFault::Refused("ProvisionedThroughputExceededException"),
    InjectedFault::Refused("ThrottlingException"),
    InjectedFault::Refused("RequestLimitExceeded"),
    InjectedFault::Canceled(&["TransactionConflict"]),
    InjectedFault::Canceled(&["None", "ThrottlingError"]),
    InjectedFault::Canceled(&["ConditionalCheckFailed", "TransactionConflict"]),
    InjectedFault::Canceled(&["ProvisionedThroughputExceeded", "ConditionalCheckFailed"]),
    InjectedFault::Unprocessed,
    InjectedFault::Status(503),
];

/// About how many faults the gate tries, however many endpoints there are. The thorough run tries all.
const CANDIDATES_IN_THE_GATE: usize = 300;

/// Which calls fail, and how.
#[derive(Debug, Default)]
struct Plan {
    /// How many calls there were.
    calls: usize,
    /// The first that fails, whether all behind it do, and how.
    fault: Option<(usize, bool, InjectedFault)>,
    /// How many failed.
    failed: usize,
}

impl Plan {
    /// The fault of the next call, if it is to fail and can fail so.
    fn next(&mut self, operation: &str) -> Option<InjectedFault> {
        self.calls += 1;
        let (first, is_lasting, fault) = self.fault?;
        let is_due = if is_lasting { self.calls >= first } else { self.calls == first };
        (is_due && fault.applies_to(operation)).then(|| {
            self.failed += 1;
            fault
        })
    }
}

/// A case, with an `Idempotency-Key` or without.
#[derive(Clone, Debug)]
struct Trial {
    case: Case,
    has_key: bool,
    /// The status of the repetition of a request that was carried out. If it was not, the repetition gets the case's.
    repeated: u16,
}

/// Every case that says what its repetition gets.
fn trials() -> Vec<Trial> {
    let is_chosen = |case: &Case| case.repeated.is_some();
    let cases = cases::of_every_endpoint("that says what its repetition gets", is_chosen);
    let mut trials = Vec::new();
    for case in cases {
        let without = case.repeated.map(|status| (false, status));
        let with = case.repeated_with_key.map(|status| (true, status));
        for (has_key, repeated) in [without, with].into_iter().flatten() {
            trials.push(Trial { case: case.clone(), has_key, repeated });
        }
    }
    trials
}

/// A clock that goes on by a millisecond each time that it is read, from the beginning of this minute: what counts in a
/// minute stays in one, however long a fault takes.
fn ticking() -> Clock {
    let now = Clock::system().now().unix_milliseconds();
    let milliseconds = AtomicU64::new(now - now % 60_000);
    Clock::new(move || {
        let now = milliseconds.fetch_add(1, Ordering::SeqCst);
        Timestamp::from_unix_milliseconds(now).unwrap()
    })
}

/// An account of its own, with a dock, a recipient and a secret; and the API, which can be made to fail.
struct World {
    api: Api,
    plan: Arc<Mutex<Plan>>,
    key: String,
    dock: String,
    /// What paths name.
    things: Things,
    /// The secrets that were handed out: id and value.
    values: Vec<(String, String)>,
    /// The tokens of the scene's member that were handed out.
    tokens: Vec<String>,
    /// A token of the recipient, if the case may end it.
    token: Option<String>,
    /// The contents of artifacts, without faults.
    objects: Objects,
}

/// The endpoints that end the tokens of [`Thing::Recipient`](cases::Thing::Recipient).
const ENDS_TOKENS: [&str; 3] = ["delete-recipient", "revoke-secret", "rotate-secret"];

impl World {
    /// With all that a case needs.
    async fn new(table: &TestTable, case: &Case) -> Self {
        let plan = Arc::new(Mutex::new(Plan::default()));
        let decide = {
            let plan = plan.clone();
            Arc::new(move |operation: &str| plan.lock().unwrap().next(operation))
        };
        let store = faulty_client::store(&table.url, decide.clone());
        let objects = faulty_client::objects(table.bucket.as_ref().unwrap(), decide);
        let api = Api::new(Context::new(store, Mode::Live, ticking()).with_objects(objects));
        let account = table.account().await;
        let (key, dock) = (table.key(account).await, table.dock(account).await.to_string());
        let mut world = Self {
            api,
            plan,
            key,
            dock,
            things: Things::default(),
            values: Vec::new(),
            tokens: Vec::new(),
            token: None,
            objects: bucket::objects_beside(&table.url),
        };
        let there = json!({
            "name": "There", "email": THERE, "stakeholderClass": "mortgagee", "identifiers": {"lender_id": "L"},
        });
        world.things.recipient = world.ask("create-recipient", "", Some(there)).await.id(201);
        let made = world.ask("generate-secret", "", Some(json!({"name": "There"}))).await;
        world.things.secret = made.id(201);
        world.take_value(&made);
        world.things.value = world.values[0].1.clone();
        world.things.pem = certificate::new("new");
        if ENDS_TOKENS.contains(&case.endpoint) {
            let asker = Asker { api: &world.api, key: &world.key, dock: &world.dock };
            let policy = asker.policy("A policy", json!({"everyone": true})).await;
            asker.publish(&policy, json!({"stage": "production", "version": 1})).await;
            let (recipient, value) = (&world.things.recipient, &world.things.value);
            world.token = Some(asker.token(recipient, value, None).await);
        }
        if case.needs_scene() {
            world.things.scene = Scene::create(&table.store, &world.key, Some(&world.dock), "").await;
        }
        if case.needs_retrieved() {
            let account = Account { table: table.clone(), key: world.key.clone(), dock: world.dock.clone() };
            world.things.retrieved = Retrieved::of(&account, &world.things.scene).await;
        }
        if case.needs_artifacts() {
            let asker = Asker { api: &world.api, key: &world.key, dock: &world.dock };
            world.things.artifacts = Artifacts::create(&asker, &world.objects, "").await;
        }
        world
    }

    async fn ask(&self, endpoint: &str, query: &str, body: Option<Value>) -> Reply {
        let (recipient, secret) = (self.things.recipient.clone(), self.things.secret.clone());
        self.ask_about(endpoint, &[("recipientId", &recipient), ("secretId", &secret)], query, body).await
    }

    async fn ask_about(
        &self,
        endpoint: &str,
        parameters: &[(&str, &str)],
        query: &str,
        body: Option<Value>,
    ) -> Reply {
        let asker = Asker { api: &self.api, key: &self.key, dock: &self.dock };
        asker.reply(endpoint, parameters, query, body.unwrap_or_default()).await
    }

    async fn try_once(&self, Trial { case, has_key, .. }: &Trial) -> Reply {
        let values = case.path.iter().map(|thing| self.things.value_of(&self.dock, *thing));
        let parameters: Vec<(&str, &str)> = case.endpoint().route.parameters().zip(values).collect();
        let mut headers = vec![("authorization", format!("Bearer {}", self.key))];
        if *has_key {
            headers.push(("idempotency-key", "k".to_owned()));
        }
        headers.extend(case.header.map(|(name, value)| (name, value.to_owned())));
        let (query, body) =
            (case.query_of(&self.dock, &self.things), case.body_of(0, &self.dock, &self.things));
        let body = body.map(|body| body.as_str().map_or(body.to_string(), str::to_owned));
        self.api.ask_as(case, &self.things.scene, &parameters, &query, &headers, body).await
    }

    /// Keeps the value of a secret, if it was handed out.
    fn take_value(&mut self, reply: &Reply) {
        if let Some(value) = reply.body["secret"].as_str() {
            self.values.push((reply.body["id"].as_str().unwrap().to_owned(), value.to_owned()));
        }
        self.tokens.extend(reply.body["access_token"].as_str().map(str::to_owned));
    }

    /// The certificates that there are, and what tokens open them that were handed out before.
    async fn proofs(&self, case: &Case) -> Vec<String> {
        let mut proofs = Vec::new();
        for recipient in [&self.things.recipient, &self.things.scene.member] {
            let listed = self.ask_about("list-certificates", &[("recipientId", recipient)], "", None).await;
            for certificate in listed.body.as_array().into_iter().flatten() {
                proofs.push(format!("{} {}", certificate["name"], certificate["status"]));
            }
        }
        let Scene { token, pem, .. } = &self.things.scene;
        // Only where it is let in or unknown: a refusal would leave an entry.
        let is_about_proofs =
            ["token", "certificate", "publish"].iter().any(|word| case.endpoint.contains(word));
        if is_about_proofs && !token.is_empty() {
            let status = self.api.opened(token, Some(pem)).await.status;
            proofs.push(format!("a token of before: {status}"));
        }
        if let Some(token) = &self.token {
            proofs.push(format!("a token of before: {}", self.api.opened(token, None).await.status));
        }
        for token in &self.tokens {
            assert_eq!(self.api.opened(token, Some(pem)).await.status, 200, "a token that was handed out");
        }
        proofs
    }

    /// All that the API shows of the account, ids and times left out; and that it agrees with itself.
    async fn state(&self, case: &Case) -> State {
        let docks = self.ask("list-docks", "", None).await.list();
        let dock = self.ask("get-dock", "", None).await;
        assert!(docks.contains(&dock.body), "a dock is the same in the list");
        let recipients = self.ask("list-recipients", "", None).await.list();
        let shown = |recipient: &Value| {
            let text = |field: &str| recipient[field].as_str().unwrap().to_owned();
            (text("email"), text("name"))
        };
        let there = self.ask("get-recipient", "", None).await;
        let listed: Vec<&Value> =
            recipients.iter().filter(|recipient| recipient["id"] == self.things.recipient.as_str()).collect();
        assert_eq!(
            listed.len(),
            usize::from(there.status == 200),
            "a recipient is there or gone, to every operation"
        );
        if let Some(listed) = listed.first() {
            assert_eq!(**listed, there.body);
        }
        let secrets = self.ask("list-secrets", "", None).await;
        assert_eq!(there.status, secrets.status, "likewise");
        let secrets = if secrets.status == 200 { secrets.list() } else { Vec::new() };
        self.assert_values(there.status == 200, &secrets).await;
        let query = format!("dockId={}&limit=1000", self.dock);
        let entries = self.ask("list-audit-logs", &query, None).await.list();
        let told = |entry: &Value| format!("{} {}", entry["entityType"], entry["action"]);
        let mut trail: Vec<String> = entries.iter().map(told).collect();
        trail.sort();
        State {
            artifacts: self.artifacts(case).await,
            rules: self.rules().await,
            proofs: self.proofs(case).await,
            trail,
            docks: docks.iter().map(|dock| dock["name"].as_str().unwrap().to_owned()).collect(),
            recipients: recipients.iter().map(shown).collect(),
            statuses: secrets.iter().map(|secret| secret["status"].as_str().unwrap().to_owned()).collect(),
        }
    }

    /// The artifacts that lists show, and whether their contents are there; each the same on every list.
    async fn artifacts(&self, case: &Case) -> Vec<String> {
        if !case.endpoint.contains("artifact") {
            return Vec::new();
        }
        let mut artifacts = Vec::new();
        let listed = self.ask("list-artifacts", "", None).await.list();
        for artifact in &listed {
            let id = artifact["id"].as_str().unwrap();
            let one = self.ask_about("get-artifact", &[("artifactId", id)], "", None).await;
            assert_eq!(one.body, *artifact, "an artifact is the same in the list");
            let content = self.ask_about("get-artifact-content", &[("artifactId", id)], "", None).await;
            let is_available = artifact["status"] == "AVAILABLE";
            assert_eq!(content.status == 200, is_available);
            let found =
                self.api.store().artifact(ArtifactId::parse(id).unwrap(), Clock::system().now()).await;
            let object = self.objects.head(&found.unwrap().unwrap()).await.unwrap();
            assert!(object.is_some() || !is_available, "a document that is available has its content");
            artifacts
                .push(format!("{} {} {}", artifact["filename"], artifact["status"], artifact["metadata"]));
        }
        for status in ["PENDING", "AVAILABLE", "EMPTY"] {
            let of_status = self.ask("list-artifacts", &format!("status={status}"), None).await.list();
            let expected: Vec<&Value> =
                listed.iter().filter(|artifact| artifact["status"] == status).collect();
            assert_eq!(of_status.iter().collect::<Vec<_>>(), expected);
        }
        for (key, value) in
            [("lender_id", "LND-4821"), ("policy_number", "P-0"), ("document_type", "declaration-page")]
        {
            let query = format!("metadataKey={key}&metadataValue={value}");
            let found = self.ask("list-artifacts", &query, None).await.list();
            let expected: Vec<&Value> =
                listed.iter().filter(|artifact| artifact["metadata"][key] == value).collect();
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "by {key}");
        }
        artifacts.sort();
        artifacts
    }

    /// What there is of policies and groups, and what they decide, in alphabetical order.
    async fn rules(&self) -> Vec<String> {
        let mut rules = Vec::new();
        for policy in self.ask("list-policies", "", None).await.list() {
            let id = policy["id"].as_str().unwrap().to_owned();
            let parameters = [("policyId", id.as_str())];
            let one = self.ask_about("get-policy", &parameters, "", None).await;
            assert_eq!(one.body, policy, "a policy is the same in the list");
            let versions = self.ask_about("list-policy-versions", &parameters, "limit=9", None).await.list();
            assert_eq!(versions[0]["version"], policy["currentVersion"]);
            assert_eq!(versions[0]["recipe"], policy["recipe"]);
            let groups = policy["audience"]["groupIds"].as_array().map(Vec::len);
            let stages = ["production", "pilot", "scheduled"].map(|stage| policy[stage]["version"].clone());
            rules.push(format!(
                "{} {} of {groups:?}: {} {stages:?}",
                policy["name"], policy["status"], policy["currentVersion"]
            ));
        }
        for group in self.ask("list-groups", "", None).await.list() {
            let id = group["id"].as_str().unwrap().to_owned();
            let members = self.ask_about("list-group-recipients", &[("groupId", &id)], "", None).await.list();
            let emails: Vec<&Value> = members.iter().map(|member| &member["email"]).collect();
            rules.push(format!("{} {} {emails:?}", group["name"], group["description"]));
        }
        for recipient in self.ask("list-recipients", "", None).await.list() {
            let asked = json!({
                "subject": {"type": "recipient", "id": recipient["id"]}, "action": {"name": "bulk_api"},
                "resource": {"type": "dock"}, "context": {"factors": ["shared_passphrase"]},
            });
            let decision = self.ask("evaluate-access", "", Some(asked)).await.body["decision"].clone();
            rules.push(format!("{}: {decision}", recipient["email"]));
        }
        rules.sort();
        rules
    }

    /// Asserts of every value that was handed out that it verifies just as long as its secret is active.
    async fn assert_values(&self, is_there: bool, secrets: &[Value]) {
        for (id, value) in &self.values {
            let body = Some(json!({"secret": value}));
            let reply = self.ask("verify-secret", "", body).await;
            if !is_there {
                assert_eq!(reply.status, 404, "of a recipient that is gone nothing verifies");
                continue;
            }
            let listed = secrets.iter().find(|secret| secret["id"] == id.as_str());
            // A deletion that stopped half way has taken some.
            let is_active = listed.is_some_and(|secret| secret["status"] == "ACTIVE");
            let valid = is_active.then(|| id.clone());
            assert_eq!(
                reply.body,
                json!({"valid": is_active, "secretId": valid}),
                "a value that was handed out"
            );
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct State {
    artifacts: Vec<String>,
    docks: Vec<String>,
    recipients: Vec<(String, String)>,
    /// Of the first recipient's secrets, the newest first.
    statuses: Vec<String>,
    /// Policies, groups and decisions, in alphabetical order.
    rules: Vec<String>,
    /// Certificates, and whether tokens are good.
    proofs: Vec<String>,
    /// What the trail tells, in alphabetical order.
    trail: Vec<String>,
}

/// What is left to tell of one case.
fn describe(trial: &Trial, n: usize, is_lasting: bool, fault: InjectedFault) -> String {
    let from = if is_lasting { "from" } else { "at" };
    let key = if trial.has_key { " with a key" } else { "" };
    format!("{}{key}, {fault:?} {from} call {n}", trial.case.name())
}

/// A request without faults: how many calls it makes, and what there is before it, after it, and after its repetition.
#[derive(Clone)]
struct Clean {
    calls: usize,
    before: State,
    once: State,
    twice: State,
}

impl Clean {
    async fn run(table: &TestTable, trial: &Trial) -> Self {
        let mut world = World::new(table, &trial.case).await;
        let before = world.state(&trial.case).await;
        *world.plan.lock().unwrap() = Plan::default();
        let reply = world.try_once(trial).await;
        assert_eq!(reply.status, trial.case.status, "{trial:?}: {}", reply.shown());
        world.take_value(&reply);
        let calls = world.plan.lock().unwrap().calls;
        let once = world.state(&trial.case).await;
        let again = world.try_once(trial).await;
        assert_eq!(again.status, trial.repeated, "{trial:?}, repeated: {}", again.shown());
        world.take_value(&again);
        Self { calls, before, once, twice: world.state(&trial.case).await }
    }
}

/// One request with one fault, and its repetition. `false` if the fault could not befall that call.
async fn try_fault(
    table: TestTable,
    trial: Trial,
    clean: Clean,
    n: usize,
    is_lasting: bool,
    fault: InjectedFault,
) -> bool {
    let what = describe(&trial, n, is_lasting, fault);
    let status = trial.case.status;
    let is_batch = ["create-artifact-batch", "create-recipient-batch", "import-recipients"]
        .contains(&trial.case.endpoint);
    let is_upload = trial.case.endpoint == "upload-artifact";
    let mut world = World::new(&table, &trial.case).await;
    assert_eq!(world.state(&trial.case).await, clean.before);
    *world.plan.lock().unwrap() = Plan { fault: Some((n, is_lasting, fault)), ..Plan::default() };
    let begun = std::time::Instant::now();
    let reply = world.try_once(&trial).await;
    assert!(begun.elapsed() < TIME_LIMIT, "{what}: it took too long");
    let failed = std::mem::take(&mut *world.plan.lock().unwrap()).failed;
    if failed == 0 {
        return false;
    }
    let allowed: &[u16] = match (is_lasting, fault) {
        // The SDK does not try again what was answered, though nobody can read it.
        (false, InjectedFault::HalfAnswer) => &[status, 503],
        (false, _) => &[status],
        // Each of its items has an answer of its own.
        (true, _) if is_batch => &[status, 503],
        (true, _) => &[503],
    };
    assert!(allowed.contains(&reply.status), "{what}: {}", reply.shown());
    if reply.status == 503 {
        assert_eq!(reply.headers["retry-after"], "1", "{what}");
    }
    world.take_value(&reply);
    let after = world.state(&trial.case).await;
    let is_done = after == clean.once;
    // Of a batch each item is done or not, and an upload that is not complete waits for its content, as its list entry says.
    let in_steps = State { artifacts: Vec::new(), trail: Vec::new(), ..after.clone() };
    let is_half_done = (is_batch || is_upload)
        && in_steps == State { artifacts: Vec::new(), trail: Vec::new(), ..clean.once.clone() }
        && after.artifacts.iter().all(|artifact| {
            clean.once.artifacts.contains(artifact)
                || is_upload && clean.once.artifacts.contains(&artifact.replace("PENDING", "AVAILABLE"))
        });
    assert!(is_done || after == clean.before || is_half_done, "{what} left {after:?}");
    let is_unavailable = |field: &str| reply.text.contains(&format!("\"{field}\":503"));
    let is_answered =
        reply.status == status && !(is_batch && (is_unavailable("statusCode") || is_unavailable("status")));
    assert!(is_done || !is_answered, "{what}: it was answered, and is not done");

    let again = world.try_once(&trial).await;
    let changes = clean.once != clean.before;
    let expected = if is_done && changes { trial.repeated } else { status };
    assert_eq!(again.status, expected, "{what}, repeated: {}", again.shown());
    if trial.has_key && reply.status == status {
        assert_eq!(again.body["id"], reply.body["id"], "{what}: the same thing");
    }
    world.take_value(&again);
    let expected = if is_done && changes { clean.twice } else { clean.once };
    assert_eq!(world.state(&trial.case).await, expected, "{what}, repeated");
    true
}

#[tokio::test]
async fn half_an_answer_is_no_bug() {
    let table = TestTable::start().await;
    let trial = trials().into_iter().find(|trial| trial.case.endpoint == "get-dock").unwrap();
    let clean = Clean::run(&table, &trial).await;
    assert!(try_fault(table.clone(), trial, clean, 1, false, InjectedFault::HalfAnswer).await);
    // Half of a refusal: the email is registered, which this answer does not get to say.
    let case = cases::all().into_iter().find(|case| case.endpoint == "create-recipient").unwrap();
    let world = World::new(&table, &case).await;
    *world.plan.lock().unwrap() =
        Plan { fault: Some((2, false, InjectedFault::HalfAnswer)), ..Plan::default() };
    let there = || Some(json!({"name": "There", "email": THERE}));
    assert_eq!(world.ask("create-recipient", "", there()).await.status, 503);
    assert_eq!(world.plan.lock().unwrap().failed, 1);
    assert_eq!(world.ask("create-recipient", "", there()).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_at_whichever_call_nothing_is_half_done() {
    let table = TestTable::start().await;
    let mut candidates = Vec::new();
    for trial in trials() {
        let clean = Clean::run(&table, &trial).await;
        for n in 1..=clean.calls {
            for &fault in FAULTS {
                candidates.extend(
                    [false, true].map(|is_lasting| (trial.clone(), clean.clone(), n, is_lasting, fault)),
                );
            }
        }
    }
    // A sixth of them, or fewer where there are many, and different faults for each call.
    let stride = (candidates.len() / CANDIDATES_IN_THE_GATE).max(6);
    let is_chosen =
        |index: usize| is_thorough() || (index + index / (2 * FAULTS.len())).is_multiple_of(stride);
    // So many at once, since most of the time is waiting for answers that do not come.
    let permits = Arc::new(tokio::sync::Semaphore::new(32));
    let mut tasks = Vec::new();
    for (index, (trial, clean, n, is_lasting, fault)) in (1..).zip(candidates) {
        if !is_chosen(index) {
            continue;
        }
        let (table, permits) = (table.clone(), permits.clone());
        let what = describe(&trial, n, is_lasting, fault);
        let task = tokio::spawn(async move {
            let _permit = permits.acquire_owned().await.unwrap();
            try_fault(table, trial, clean, n, is_lasting, fault).await
        });
        tasks.push((what, task));
    }
    let (mut tried, mut wrong) = (0, Vec::new());
    for (what, task) in tasks {
        match task.await {
            Ok(applied) => tried += usize::from(applied),
            Err(_) => wrong.push(what),
        }
    }
    assert!(wrong.is_empty(), "{} of {tried} went wrong:\n{}", wrong.len(), wrong.join("\n"));
    let (recipients, pointers) = table.recipients().await;
    assert_eq!(recipients, pointers, "each recipient has its pointer, and each pointer its recipient");
    trail::assert_explains(&table).await;
    println!("{tried} faults");
    assert!(tried > 150, "{tried}");
}
