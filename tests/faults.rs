//! DynamoDB failing in every way at every call that every operation makes.
//!
//! The code under test is what runs on Lambda, in this process; the faults are those of an HTTP client under the SDK. After
//! each the answer is success or a 503, nothing is half done, and repeating the request does what the contract says of
//! a repetition.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod faulty;
mod in_process;
mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use docyard::api_key::Mode;
use docyard::clock::Clock;
use docyard::context::Context;
use faulty::Fault;
use in_process::{Api, Reply};
use serde_json::{Value, json};
use support::{TestTable, is_thorough};

const FAULTS: [Fault; 15] = [
    Fault::Unreachable,
    Fault::SilenceBefore,
    Fault::SilenceAfter,
    Fault::BrokenAfter,
    Fault::HalfAnswer,
    Fault::ErrorBefore,
    Fault::ErrorAfter,
    Fault::Refused("ProvisionedThroughputExceededException"),
    Fault::Refused("ThrottlingException"),
    Fault::Refused("RequestLimitExceeded"),
    Fault::Canceled(&["TransactionConflict"]),
    Fault::Canceled(&["None", "ThrottlingError"]),
    Fault::Canceled(&["ConditionalCheckFailed", "TransactionConflict"]),
    Fault::Canceled(&["ProvisionedThroughputExceeded", "ConditionalCheckFailed"]),
    Fault::Unprocessed,
];

/// Which calls fail, and how.
#[derive(Debug, Default)]
struct Plan {
    /// How many calls there were.
    calls: usize,
    /// The first that fails, whether all behind it do, and how.
    fault: Option<(usize, bool, Fault)>,
    /// How many failed.
    failed: usize,
}

impl Plan {
    /// The fault of the next call, if it is to fail and can fail so.
    fn next(&mut self, operation: &str) -> Option<Fault> {
        self.calls += 1;
        let (first, is_lasting, fault) = self.fault?;
        let is_due = if is_lasting { self.calls >= first } else { self.calls == first };
        (is_due && fault.applies_to(operation)).then(|| {
            self.failed += 1;
            fault
        })
    }
}

/// A request, and what is to be expected of it.
#[derive(Clone, Copy, Debug)]
struct Case {
    function: &'static str,
    query: &'static str,
    body: &'static str,
    /// The status of its success.
    status: u16,
    /// The status of its repetition, once it is done. That of one that was not done is that of its success.
    repeated: u16,
    /// Whether it carries an `Idempotency-Key`.
    is_repeatable: bool,
}

const CASES: [Case; 21] = {
    const fn read(function: &'static str, query: &'static str) -> Case {
        Case { function, query, body: "", status: 200, repeated: 200, is_repeatable: false }
    }
    const fn write(function: &'static str, body: &'static str, status: u16, repeated: u16) -> Case {
        Case { function, query: "", body, status, repeated, is_repeatable: false }
    }
    const fn repeatable(function: &'static str, body: &'static str, repeated: u16) -> Case {
        Case { function, query: "", body, status: 201, repeated, is_repeatable: true }
    }
    const DOCK: &str = r#"{"name": "New"}"#;
    const RECIPIENT: &str = r#"{"name": "New", "email": "new@example.com"}"#;
    const LABEL: &str = r#"{"name": "New", "expiresInDays": 90}"#;
    [
        write("create-dock", DOCK, 201, 201),
        repeatable("create-dock", DOCK, 201),
        read("list-docks", ""),
        read("get-dock", ""),
        write("update-dock", DOCK, 200, 200),
        write("create-recipient", RECIPIENT, 201, 409),
        repeatable("create-recipient", RECIPIENT, 201),
        read("list-recipients", ""),
        read("list-recipients", "email=there%40example.com"),
        read("get-recipient", ""),
        write("update-recipient", r#"{"name": "New"}"#, 200, 200),
        write("update-recipient", r#"{"email": "moved@example.com"}"#, 200, 200),
        write("update-recipient", "{}", 200, 200),
        write("delete-recipient", "", 200, 404),
        write("generate-secret", LABEL, 201, 201),
        repeatable("generate-secret", LABEL, 200),
        read("list-secrets", ""),
        write("rotate-secret", "", 201, 409),
        repeatable("rotate-secret", "", 200),
        write("revoke-secret", "", 200, 409),
        write("verify-secret", r#"{"secret": "SECRET"}"#, 200, 200),
    ]
};

/// An account of its own, with a dock, a recipient and a secret; and the API, which can be made to fail.
struct World {
    api: Api,
    plan: Arc<Mutex<Plan>>,
    key: String,
    dock: String,
    recipient: String,
    secret: String,
    /// The values that were handed out.
    values: Vec<String>,
}

impl World {
    async fn new(table: &TestTable) -> Self {
        let plan = Arc::new(Mutex::new(Plan::default()));
        let decide = {
            let plan = plan.clone();
            Arc::new(move |operation: &str| plan.lock().unwrap().next(operation))
        };
        let store = faulty::store(&table.url, decide);
        let api = Api::new(Context::new(store, Mode::Live, Clock::system()));
        let account = table.account().await;
        let (key, dock) = (table.key(account).await, table.dock(account).await.to_string());
        let mut world = Self {
            api,
            plan,
            key,
            dock,
            recipient: String::new(),
            secret: String::new(),
            values: Vec::new(),
        };
        let there = r#"{"name": "There", "email": "there@example.com"}"#;
        world.recipient = world.ask("create-recipient", "", there, false).await.id(201);
        let made = world.ask("generate-secret", "", r#"{"name": "There"}"#, false).await;
        world.secret = made.id(201);
        world.values.push(made.body["secret"].as_str().unwrap().to_owned());
        world
    }

    async fn ask(&self, function: &str, query: &str, body: &str, is_repeatable: bool) -> Reply {
        let parameters =
            [("dockId", &self.dock), ("recipientId", &self.recipient), ("secretId", &self.secret)];
        let mut headers = vec![("authorization", format!("Bearer {}", self.key))];
        if is_repeatable {
            headers.push(("idempotency-key", "k".to_owned()));
        }
        let body = body.replace("SECRET", self.values.first().map_or("", String::as_str));
        self.api.ask(function, &parameters, query, &headers, (!body.is_empty()).then_some(body)).await
    }

    async fn ask_case(&self, case: &Case) -> Reply {
        self.ask(case.function, case.query, case.body, case.is_repeatable).await
    }

    /// All that the API shows of the account, ids and times of change left out; and that it agrees with itself.
    async fn state(&self) -> State {
        let docks = self.ask("list-docks", "", "", false).await.list();
        let dock = self.ask("get-dock", "", "", false).await;
        let recipients = self.ask("list-recipients", "", "", false).await.list();
        let names = |things: &[Value]| {
            things.iter().map(|thing| thing["name"].as_str().unwrap().to_owned()).collect()
        };
        let shown = |recipient: &Value| {
            let text = |field: &str| recipient[field].as_str().unwrap().to_owned();
            (text("email"), text("name"))
        };
        let there = self.ask("get-recipient", "", "", false).await;
        let secrets = self.ask("list-secrets", "", "", false).await;
        assert_eq!(there.status, secrets.status, "a recipient is there or gone, to every operation");
        let listed: Vec<&Value> =
            recipients.iter().filter(|recipient| recipient["id"] == self.recipient.as_str()).collect();
        assert_eq!(listed.len(), usize::from(there.status == 200), "likewise to the list");
        if let Some(listed) = listed.first() {
            assert_eq!(**listed, there.body);
        }
        let secrets = if secrets.status == 200 { secrets.list() } else { Vec::new() };
        State {
            docks: names(&docks),
            dock: dock.body["name"].as_str().unwrap().to_owned(),
            recipients: recipients.iter().map(shown).collect(),
            statuses: secrets.iter().map(|secret| secret["status"].as_str().unwrap().to_owned()).collect(),
        }
    }

    /// Asserts that just those values verify that should: of all that were handed out, those whose secret is active.
    async fn assert_values(&self, state: &State) {
        let mut valid = 0;
        for value in &self.values {
            let body = json!({"secret": value}).to_string();
            let reply = self.ask("verify-secret", "", &body, false).await;
            valid += usize::from(reply.body["valid"] == true);
        }
        let active = state.statuses.iter().filter(|status| *status == "ACTIVE").count();
        // A value that was lost with its answer is active, and known to nobody.
        assert!(valid <= active, "{valid} values verify, of {active} active secrets");
        let first = json!({"secret": self.values[0]}).to_string();
        let first = self.ask("verify-secret", "", &first, false).await;
        let is_active = !state.statuses.is_empty() && *state.statuses.last().unwrap() == "ACTIVE";
        assert_eq!(first.body["valid"] == true, is_active, "the first secret is the oldest of the list");
    }
}

#[derive(Clone, Debug, PartialEq)]
struct State {
    docks: Vec<String>,
    dock: String,
    recipients: Vec<(String, String)>,
    /// Of the first recipient's secrets, the newest first.
    statuses: Vec<String>,
}

/// What is left to tell of one case.
fn describe(case: &Case, n: usize, is_lasting: bool, fault: Fault) -> String {
    let Case { function, query, body, is_repeatable, .. } = case;
    let (from, key) =
        (if is_lasting { "from" } else { "at" }, if *is_repeatable { " with a key" } else { "" });
    format!("{function} {query}{body}{key}, {fault:?} {from} call {n}")
}

/// One request with one fault, and its repetition. `false` if the fault could not befall that call.
async fn try_fault(table: TestTable, case: Case, n: usize, is_lasting: bool, fault: Fault) -> bool {
    let what = describe(&case, n, is_lasting, fault);
    let mut world = World::new(&table).await;
    let before = world.state().await;
    *world.plan.lock().unwrap() = Plan { fault: Some((n, is_lasting, fault)), ..Plan::default() };
    let reply = world.ask_case(&case).await;
    let failed = std::mem::take(&mut *world.plan.lock().unwrap()).failed;
    if failed == 0 {
        return false;
    }
    if is_lasting {
        // Whatever lasts until the end cannot be overcome, unless it tells of a success.
        assert!([503, case.status, case.repeated].contains(&reply.status), "{what}: {}", reply.shown());
    } else {
        assert!([503, case.status].contains(&reply.status), "{what}: {}", reply.shown());
    }
    if reply.status == 503 {
        assert_eq!(reply.headers["retry-after"], "1", "{what}");
    }
    if let Some(value) = reply.body["secret"].as_str() {
        world.values.push(value.to_owned());
    }
    let after = world.state().await;
    world.assert_values(&after).await;
    let changes = case.status == 201
        || ["update-dock", "update-recipient", "delete-recipient", "revoke-secret"].contains(&case.function);
    let is_done = if changes { after != before } else { reply.status == 200 };
    if reply.status == case.status && changes && case.body != "{}" {
        assert!(is_done, "{what}: it was answered, and is not done");
    }
    // A deletion may stop half way, at fewer secrets; then the recipient is there.
    let is_gone = case.function == "delete-recipient" && after.recipients.is_empty();
    let is_done = if case.function == "delete-recipient" { is_gone } else { is_done };

    let again = world.ask_case(&case).await;
    let expected = if is_done { case.repeated } else { case.status };
    assert_eq!(again.status, expected, "{what}, repeated: {}", again.shown());
    if case.is_repeatable && reply.status == case.status {
        assert_eq!(again.body["id"], reply.body["id"], "{what}: the same thing");
    }
    if let Some(value) = again.body["secret"].as_str() {
        world.values.push(value.to_owned());
    }
    let last = world.state().await;
    world.assert_values(&last).await;
    if case.repeated != case.status || case.is_repeatable {
        let once = if is_done { &after } else { &last };
        assert_eq!(&last, once, "{what}: no second effect");
    }
    true
}

/// How many calls a request makes when nothing fails.
async fn calls_of(table: &TestTable, case: &Case) -> usize {
    let world = World::new(table).await;
    *world.plan.lock().unwrap() = Plan::default();
    let reply = world.ask_case(case).await;
    assert_eq!(reply.status, case.status, "{case:?}: {}", reply.shown());
    world.plan.lock().unwrap().calls
}

#[tokio::test]
async fn half_an_answer_is_no_defect() {
    let case = CASES.iter().find(|case| case.function == "get-dock").unwrap();
    assert!(try_fault(TestTable::start().await, *case, 1, false, Fault::HalfAnswer).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_at_whichever_call_nothing_is_half_done() {
    let functions: BTreeSet<&str> =
        docyard_functions::route::ROUTES.iter().map(|route| route.function).collect();
    assert_eq!(
        CASES.iter().map(|case| case.function).collect::<BTreeSet<_>>(),
        functions,
        "every endpoint has cases"
    );
    let table = TestTable::start().await;
    // So many at once, since most of the time is waiting for answers that do not come.
    let permits = Arc::new(tokio::sync::Semaphore::new(64));
    let mut tasks = Vec::new();
    // A sixth of them, and a different sixth of the faults for each call.
    let mut index = 0;
    let mut is_chosen = move || {
        index += 1;
        is_thorough() || (index + index / 30) % 6 == 0
    };
    for case in CASES {
        for n in 1..=calls_of(&table, &case).await {
            for fault in FAULTS {
                for is_lasting in [false, true] {
                    if !is_chosen() {
                        continue;
                    }
                    let (table, permits) = (table.clone(), permits.clone());
                    let task = tokio::spawn(async move {
                        let _permit = permits.acquire_owned().await.unwrap();
                        try_fault(table, case, n, is_lasting, fault).await
                    });
                    tasks.push((describe(&case, n, is_lasting, fault), task));
                }
            }
        }
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
    println!("{tried} faults");
    assert!(tried > 150, "{tried}");
}
