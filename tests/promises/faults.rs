//! DynamoDB failing in every way at every call that every operation makes.
//!
//! The code under test is what runs on Lambda, in this process; the faults are those of an HTTP client under the SDK. After
//! each the answer is success or a 503, nothing is half done, and repeating the request does what the contract says of
//! a repetition.


use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::Clock;
use docyard_functions::lambda::service::TIME_LIMIT;
use docyard_test_support::fault::Fault;
use docyard_test_support::faulty;
use docyard_test_support::api::{Api, Reply};
use serde_json::{Value, json};
use docyard_test_support::table::{TestTable};
use docyard_test_support::{is_thorough};

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
    /// The status of its repetition, once it is done. If it was not done, the repetition gets `status`.
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
    /// The secrets that were handed out: id and value.
    values: Vec<(String, String)>,
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
        world.take_value(&made);
        world
    }

    async fn ask(&self, function: &str, query: &str, body: &str, is_repeatable: bool) -> Reply {
        let parameters =
            [("dockId", &self.dock), ("recipientId", &self.recipient), ("secretId", &self.secret)];
        let mut headers = vec![("authorization", format!("Bearer {}", self.key))];
        if is_repeatable {
            headers.push(("idempotency-key", "k".to_owned()));
        }
        let body = body.replace("SECRET", self.values.first().map_or("", |(_, value)| value));
        self.api.ask(function, &parameters, query, &headers, (!body.is_empty()).then_some(body)).await
    }

    async fn ask_case(&self, case: &Case) -> Reply {
        self.ask(case.function, case.query, case.body, case.is_repeatable).await
    }

    /// Keeps the value of a secret, if it was handed out.
    fn take_value(&mut self, reply: &Reply) {
        if let Some(value) = reply.body["secret"].as_str() {
            self.values.push((reply.body["id"].as_str().unwrap().to_owned(), value.to_owned()));
        }
    }

    /// All that the API shows of the account, ids and times left out; and that it agrees with itself.
    async fn state(&self) -> State {
        let docks = self.ask("list-docks", "", "", false).await.list();
        let dock = self.ask("get-dock", "", "", false).await;
        assert!(docks.contains(&dock.body), "a dock is the same in the list");
        let recipients = self.ask("list-recipients", "", "", false).await.list();
        let shown = |recipient: &Value| {
            let text = |field: &str| recipient[field].as_str().unwrap().to_owned();
            (text("email"), text("name"))
        };
        let there = self.ask("get-recipient", "", "", false).await;
        let listed: Vec<&Value> =
            recipients.iter().filter(|recipient| recipient["id"] == self.recipient.as_str()).collect();
        assert_eq!(
            listed.len(),
            usize::from(there.status == 200),
            "a recipient is there or gone, to every operation"
        );
        if let Some(listed) = listed.first() {
            assert_eq!(**listed, there.body);
        }
        let secrets = self.ask("list-secrets", "", "", false).await;
        assert_eq!(there.status, secrets.status, "likewise");
        let secrets = if secrets.status == 200 { secrets.list() } else { Vec::new() };
        self.assert_values(there.status == 200, &secrets).await;
        State {
            docks: docks.iter().map(|dock| dock["name"].as_str().unwrap().to_owned()).collect(),
            recipients: recipients.iter().map(shown).collect(),
            statuses: secrets.iter().map(|secret| secret["status"].as_str().unwrap().to_owned()).collect(),
        }
    }

    /// Asserts of every value that was handed out that it verifies just as long as its secret is active.
    async fn assert_values(&self, is_there: bool, secrets: &[Value]) {
        for (id, value) in &self.values {
            let body = json!({"secret": value}).to_string();
            let reply = self.ask("verify-secret", "", &body, false).await;
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
    docks: Vec<String>,
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

/// A request without faults: how many calls it makes, and what there is before it, after it, and after its repetition.
#[derive(Clone)]
struct Clean {
    calls: usize,
    before: State,
    once: State,
    twice: State,
}

impl Clean {
    async fn run(table: &TestTable, case: &Case) -> Self {
        let mut world = World::new(table).await;
        let before = world.state().await;
        *world.plan.lock().unwrap() = Plan::default();
        let reply = world.ask_case(case).await;
        assert_eq!(reply.status, case.status, "{case:?}: {}", reply.shown());
        world.take_value(&reply);
        let calls = world.plan.lock().unwrap().calls;
        let once = world.state().await;
        let again = world.ask_case(case).await;
        assert_eq!(again.status, case.repeated, "{case:?}, repeated: {}", again.shown());
        world.take_value(&again);
        Self { calls, before, once, twice: world.state().await }
    }
}

/// One request with one fault, and its repetition. `false` if the fault could not befall that call.
async fn try_fault(
    table: TestTable,
    case: Case,
    clean: Clean,
    n: usize,
    is_lasting: bool,
    fault: Fault,
) -> bool {
    let what = describe(&case, n, is_lasting, fault);
    let is_deletion = case.function == "delete-recipient";
    let mut world = World::new(&table).await;
    assert_eq!(world.state().await, clean.before);
    *world.plan.lock().unwrap() = Plan { fault: Some((n, is_lasting, fault)), ..Plan::default() };
    let begun = std::time::Instant::now();
    let reply = world.ask_case(&case).await;
    assert!(begun.elapsed() < TIME_LIMIT, "{what}: it took too long");
    let failed = std::mem::take(&mut *world.plan.lock().unwrap()).failed;
    if failed == 0 {
        return false;
    }
    let allowed: &[u16] = match (is_lasting, fault) {
        // The SDK does not try again what was answered, though nobody can read it.
        (false, Fault::HalfAnswer) => &[case.status, 503],
        (false, _) => &[case.status],
        // Behind the deletion itself, a last look for secrets may fail.
        (true, _) if is_deletion => &[case.status, 503],
        (true, _) => &[503],
    };
    assert!(allowed.contains(&reply.status), "{what}: {}", reply.shown());
    if reply.status == 503 {
        assert_eq!(reply.headers["retry-after"], "1", "{what}");
    }
    world.take_value(&reply);
    let after = world.state().await;
    let is_done = after == clean.once;
    let is_half_deleted = is_deletion && after.recipients == clean.before.recipients;
    assert!(is_done || after == clean.before || is_half_deleted, "{what} left {after:?}");
    assert!(is_done || reply.status != case.status, "{what}: it was answered, and is not done");

    let again = world.ask_case(&case).await;
    let changes = clean.once != clean.before;
    let expected = if is_done && changes { case.repeated } else { case.status };
    assert_eq!(again.status, expected, "{what}, repeated: {}", again.shown());
    if case.is_repeatable && reply.status == case.status {
        assert_eq!(again.body["id"], reply.body["id"], "{what}: the same thing");
    }
    world.take_value(&again);
    let expected = if is_done && changes { clean.twice } else { clean.once };
    assert_eq!(world.state().await, expected, "{what}, repeated");
    true
}

#[tokio::test]
async fn half_an_answer_is_no_defect() {
    let table = TestTable::start().await;
    let case = *CASES.iter().find(|case| case.function == "get-dock").unwrap();
    let clean = Clean::run(&table, &case).await;
    assert!(try_fault(table.clone(), case, clean, 1, false, Fault::HalfAnswer).await);
    // Half of a refusal: the email is registered, which this answer does not get to say.
    let world = World::new(&table).await;
    *world.plan.lock().unwrap() = Plan { fault: Some((3, false, Fault::HalfAnswer)), ..Plan::default() };
    let there = r#"{"name": "There", "email": "there@example.com"}"#;
    assert_eq!(world.ask("create-recipient", "", there, false).await.status, 503);
    assert_eq!(world.plan.lock().unwrap().failed, 1);
    assert_eq!(world.ask("create-recipient", "", there, false).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_at_whichever_call_nothing_is_half_done() {
    let functions: BTreeSet<&str> =
        docyard_functions::endpoints.iter().map(|route| route.function).collect();
    assert_eq!(
        CASES.iter().map(|case| case.function).collect::<BTreeSet<_>>(),
        functions,
        "every endpoint has cases"
    );
    let table = TestTable::start().await;
    // So many at once, since most of the time is waiting for answers that do not come.
    let permits = Arc::new(tokio::sync::Semaphore::new(32));
    let mut tasks = Vec::new();
    // A sixth of them, and a different sixth of the faults for each call.
    let mut index = 0;
    let mut is_chosen = move || {
        index += 1;
        is_thorough() || (index + index / (2 * FAULTS.len())).is_multiple_of(6)
    };
    for case in CASES {
        let clean = Clean::run(&table, &case).await;
        for n in 1..=clean.calls {
            for fault in FAULTS {
                for is_lasting in [false, true] {
                    if !is_chosen() {
                        continue;
                    }
                    let (table, clean, permits) = (table.clone(), clean.clone(), permits.clone());
                    let task = tokio::spawn(async move {
                        let _permit = permits.acquire_owned().await.unwrap();
                        try_fault(table, case, clean, n, is_lasting, fault).await
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
