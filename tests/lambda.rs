//! The functions as Lambda runs them: their real binaries against the Lambda Runtime API, with events of API Gateway,
//! a table in an embedded DynamoDB, and faults between the two.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, VecDeque};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use docyard::clock::Clock;
use docyard::id::RecipientId;
use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use serde_json::{Value, json};
use support::{PATIENCE, TABLE, TestTable, redacted};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

const CREATE_RECIPIENT: &str = env!("CARGO_BIN_EXE_create-recipient");
const GENERATE_SECRET: &str = env!("CARGO_BIN_EXE_generate-secret");

/// What a function made of an event: its response, or the error that Lambda would turn into API Gateway's 500.
type Outcome = Result<Value, Value>;

/// The Lambda Runtime API (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>) of one sandbox.
struct RuntimeApi {
    events: tokio::sync::Mutex<mpsc::Receiver<(String, Value)>>,
    answers: Mutex<BTreeMap<String, oneshot::Sender<Outcome>>>,
    first_poll: Mutex<Option<oneshot::Sender<()>>>,
}

impl RuntimeApi {
    async fn next(State(api): State<Arc<Self>>) -> Response {
        if let Some(first_poll) = api.first_poll.lock().unwrap().take() {
            let _ = first_poll.send(());
        }
        let Some((id, event)) = api.events.lock().await.recv().await else {
            return StatusCode::GONE.into_response();
        };
        let deadline = (Clock::system().now().unix_milliseconds() + 20_000).to_string();
        let headers = [
            ("lambda-runtime-aws-request-id", id.as_str()),
            ("lambda-runtime-deadline-ms", &deadline),
            ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:f"),
            ("lambda-runtime-trace-id", "Root=1-67878ff0-3f5e8d7c2b1a09f8e7d6c5b4;Sampled=0"),
        ];
        (headers, event.to_string()).into_response()
    }

    async fn response(State(api): State<Arc<Self>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
        api.answer(&id, Ok(serde_json::from_slice(&body).unwrap()))
    }

    async fn error(State(api): State<Arc<Self>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
        api.answer(&id, Err(serde_json::from_slice(&body).unwrap()))
    }

    fn answer(&self, id: &str, outcome: Outcome) -> StatusCode {
        let _ = self.answers.lock().unwrap().remove(id).unwrap().send(outcome);
        StatusCode::ACCEPTED
    }
}

/// One sandbox with a function in it, which ends with the test.
struct Sandbox {
    api: Arc<RuntimeApi>,
    events: mpsc::Sender<(String, Value)>,
    process: std::process::Child,
    log: tempfile::NamedTempFile,
}

impl Sandbox {
    /// Starts a function and waits until it asks for its first event.
    async fn start(binary: &str, dynamodb_url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (events, receiver) = mpsc::channel(1);
        let (first_poll, polled) = oneshot::channel();
        let api = Arc::new(RuntimeApi {
            events: tokio::sync::Mutex::new(receiver),
            answers: Mutex::default(),
            first_poll: Mutex::new(Some(first_poll)),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(RuntimeApi::next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(RuntimeApi::response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(RuntimeApi::error))
            .with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let log = tempfile::NamedTempFile::new().unwrap();
        let process = command(binary, dynamodb_url)
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .stdout(log.reopen().unwrap())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        let sandbox = Self { api, events, process, log };
        timeout(PATIENCE, polled)
            .await
            .unwrap_or_else(|_| panic!("no first poll: {}", sandbox.log()))
            .unwrap();
        sandbox
    }

    /// Sends one event, and waits for what becomes of it.
    async fn invoke(&self, event: Value) -> Outcome {
        let id = RecipientId::generate(Clock::system().now(), &mut docyard::random::system()).to_string();
        let (sender, receiver) = oneshot::channel();
        self.api.answers.lock().unwrap().insert(id.clone(), sender);
        self.events.send((id, event)).await.unwrap();
        timeout(PATIENCE, receiver).await.unwrap().unwrap()
    }

    /// Sends one event, whose response must have this status; gives the response's body and headers.
    #[track_caller]
    fn expect(&self, status: u16, event: Value) -> impl Future<Output = (Value, Value)> {
        let caller = std::panic::Location::caller();
        async move {
            let response = self.invoke(event).await.unwrap_or_else(|error| panic!("{caller}: {error}"));
            let text = response["body"].as_str().unwrap().to_owned();
            assert_eq!(response["statusCode"], status, "{caller}: {}", redacted(&text));
            assert_eq!(response["headers"]["cache-control"], "no-store");
            assert_eq!(response["isBase64Encoded"], false);
            (serde_json::from_str(&text).unwrap(), response["headers"].clone())
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A function's command with the environment that Lambda and the template give it.
fn command(binary: &str, dynamodb_url: &str) -> Command {
    let mut command = Command::new(binary);
    command.env_clear().stdin(Stdio::null()).envs([
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", "local"),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_url),
        ("TABLE_NAME", TABLE),
        ("DOCYARD_MODE", "live"),
    ]);
    command
}

/// An account with a dock and a key.
struct Tenant {
    table: TestTable,
    key: String,
    dock: String,
}

impl Tenant {
    async fn new() -> Self {
        let table = TestTable::start().await;
        let account = table.account().await;
        let (key, dock) = (table.key(account).await, table.dock(account).await.to_string());
        Self { table, key, dock }
    }

    fn create_recipient(&self) -> Value {
        self.event(include_str!("events/create-recipient.json"))
    }

    fn generate_secret(&self, recipient: &str) -> Value {
        let mut event = self.event(include_str!("events/generate-secret.json"));
        event["rawPath"] = json!(format!("/live/v1/recipients/{recipient}/secrets"));
        event["pathParameters"]["recipientId"] = json!(recipient);
        event
    }

    fn event(&self, recorded: &str) -> Value {
        serde_json::from_str(&recorded.replace("API_KEY", &self.key).replace("DOCK_ID", &self.dock)).unwrap()
    }
}

#[tokio::test]
async fn recorded_events_of_api_gateway_are_served() {
    let tenant = Tenant::new().await;
    let create = Sandbox::start(CREATE_RECIPIENT, &tenant.table.url).await;
    let (recipient, headers) = create.expect(201, tenant.create_recipient()).await;
    assert_eq!(headers["x-request-id"], "EbK0rjAQoAMEVHg=", "API Gateway's id");
    let id = recipient["id"].as_str().unwrap();
    assert_eq!(headers["location"], format!("/v1/docks/{}/recipients/{id}", tenant.dock));
    assert_eq!(
        (&recipient["email"], &recipient["dockId"]),
        (&json!("bulk@firstnational.example"), &json!(tenant.dock))
    );
    let (conflict, _) = create.expect(409, tenant.create_recipient()).await;
    assert_eq!(conflict["recipientId"], id);

    // Behind a named stage and a domain of its own with mutual TLS, its body in base64.
    let generate = Sandbox::start(GENERATE_SECRET, &tenant.table.url).await;
    let (secret, headers) = generate.expect(201, tenant.generate_secret(id)).await;
    assert_eq!(headers["x-request-id"], "EbK0tiGfoAMEPrw=");
    assert_eq!(secret["name"], "First National Bank — Bulk API Passphrase");
    assert!(secret["secret"].as_str().is_some_and(|value| value.starts_with("dk_sec_")));

    for (sandbox, secrets) in
        [(&create, vec![]), (&generate, vec![secret["secret"].as_str().unwrap().to_owned()])]
    {
        let log = sandbox.log();
        assert!(
            log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()))
        );
        assert!(log.contains("\"status\":201"), "the request is logged");
        assert!(
            secrets.iter().chain([&tenant.key]).all(|value| !log.contains(value)),
            "no secret and no key is"
        );
    }
}

#[tokio::test]
async fn no_event_however_hostile_gets_a_500() {
    let tenant = Tenant::new().await;
    let create = Sandbox::start(CREATE_RECIPIENT, &tenant.table.url).await;
    let long = "x".repeat(70_000);
    let hostile = [
        "",
        "[",
        "a b",
        "\u{e9}\u{1f511}",
        "<\"#%>",
        "%zz",
        "\\",
        "//",
        "?&=",
        "\u{0}\n\t",
        "http,https",
        &long,
    ];
    let places: [(&str, fn(&mut Value) -> &mut Value); 14] = [
        ("host", |event| &mut event["headers"]["host"]),
        ("x-forwarded-proto", |event| &mut event["headers"]["x-forwarded-proto"]),
        ("content-type", |event| &mut event["headers"]["content-type"]),
        ("user-agent", |event| &mut event["headers"]["user-agent"]),
        ("authorization", |event| &mut event["headers"]["authorization"]),
        ("x-amzn-trace-id", |event| &mut event["headers"]["x-amzn-trace-id"]),
        ("rawPath", |event| &mut event["rawPath"]),
        ("rawQueryString", |event| &mut event["rawQueryString"]),
        ("domainName", |event| &mut event["requestContext"]["domainName"]),
        ("path", |event| &mut event["requestContext"]["http"]["path"]),
        ("userAgent", |event| &mut event["requestContext"]["http"]["userAgent"]),
        ("requestId", |event| &mut event["requestContext"]["requestId"]),
        ("dockId", |event| &mut event["pathParameters"]["dockId"]),
        ("body", |event| &mut event["body"]),
    ];
    for (place, at) in places {
        for value in hostile {
            let mut event = tenant.create_recipient();
            *at(&mut event) = json!(value);
            let shown: String = value.chars().take(20).collect();
            let response =
                create.invoke(event).await.unwrap_or_else(|error| panic!("{place} {shown:?}: {error}"));
            let status = response["statusCode"].as_u64().unwrap();
            assert!(status < 500, "{place} {shown:?}: {status}");
            let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
            assert!(body["id"].is_string() || body["statusCode"] == status, "{place} {shown:?}");
        }
    }
    for absent in
        ["rawPath", "rawQueryString", "headers", "pathParameters", "body", "isBase64Encoded", "version"]
    {
        let mut event = tenant.create_recipient();
        event.as_object_mut().unwrap().remove(absent);
        assert!(
            create.invoke(event).await.unwrap()["statusCode"].as_u64().unwrap() < 500,
            "without {absent}"
        );
    }
}

#[tokio::test]
async fn no_random_event_gets_a_500() {
    let tenant = Arc::new(Tenant::new().await);
    let generate = Sandbox::start(GENERATE_SECRET, &tenant.table.url).await;
    let handle = tokio::runtime::Handle::current();
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let headers = prop::collection::btree_map("[!#$%&'*+.^_`|~0-9a-z-]{1,12}", "\\PC{0,20}", 0..4);
    let cases = (any::<String>(), any::<String>(), headers, any::<Option<String>>());
    tokio::task::spawn_blocking(move || {
        TestRunner::new(config)
            .run(&cases, |(path, query, headers, body)| {
                let mut event = tenant.generate_secret(&path);
                event["rawQueryString"] = json!(query);
                event["isBase64Encoded"] = json!(false);
                event["body"] = json!(body);
                event["headers"]
                    .as_object_mut()
                    .unwrap()
                    .extend(headers.into_iter().map(|(k, v)| (k, json!(v))));
                let response = handle.block_on(generate.invoke(event)).unwrap();
                let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
                prop_assert!([400, 401, 404, 415].contains(&body["statusCode"].as_u64().unwrap()));
                Ok(())
            })
            .unwrap();
    })
    .await
    .unwrap();
}

#[test]
fn a_missing_variable_ends_init_with_its_name() {
    for missing in ["TABLE_NAME", "DOCYARD_MODE", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    {
        let output = command(CREATE_RECIPIENT, "http://127.0.0.1:1").env_remove(missing).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{missing}");
        let log = String::from_utf8(output.stdout).unwrap();
        assert!(log.contains(&format!("cannot start: {missing} is not set")), "{log}");
    }
    let output =
        command(CREATE_RECIPIENT, "http://127.0.0.1:1").env("DOCYARD_MODE", "LIVE").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("DOCYARD_MODE must be live or test"));
}

/// What happens to a call on its way to DynamoDB.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It is refused with this error, and nothing is done.
    Refused(&'static str),
    /// A transaction is canceled because of another one on the same items.
    Conflict,
    /// It is carried out, and its answer lost.
    AnswerLost,
    /// It is never answered, and nothing is done.
    Silence,
}

/// Stands between a function and DynamoDB, and makes the calls of one operation fail.
#[derive(Clone)]
struct Faults {
    dynamodb: String,
    http: reqwest::Client,
    /// The faults of the next calls of an operation, by its name.
    script: Arc<Mutex<BTreeMap<&'static str, VecDeque<Fault>>>>,
    /// The calls that were made, by operation.
    calls: Arc<Mutex<Vec<String>>>,
}

impl Faults {
    async fn before(table: &TestTable) -> (Self, String) {
        let faults = Self {
            dynamodb: table.url.clone(),
            http: reqwest::Client::new(),
            script: Arc::default(),
            calls: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(Self::pass).with_state(faults.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (faults, url)
    }

    fn expect(&self, operation: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.script.lock().unwrap().insert(operation, faults.into_iter().collect());
    }

    fn take_calls(&self) -> Vec<String> {
        let mut calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.sort();
        calls
    }

    async fn pass(State(faults): State<Self>, headers: HeaderMap, body: Bytes) -> Response {
        let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
        let fault = faults.script.lock().unwrap().get_mut(operation.as_str()).and_then(VecDeque::pop_front);
        faults.calls.lock().unwrap().push(operation);
        let error = |body: Value| (StatusCode::BAD_REQUEST, body.to_string()).into_response();
        match fault {
            Some(Fault::Refused(code)) => error(
                json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "POL-2025-88401"}),
            ),
            Some(Fault::Conflict) => error(json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "Message": "Transaction cancelled",
                "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict", "Message": "ongoing"}],
            })),
            Some(Fault::Silence) => std::future::pending().await,
            Some(Fault::AnswerLost) => {
                faults.forward(headers, body).await;
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
            None => faults.forward(headers, body).await,
        }
    }

    async fn forward(&self, mut headers: HeaderMap, body: Bytes) -> Response {
        headers.remove("host");
        let answer = self.http.post(&self.dynamodb).headers(headers).body(body).send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap()).into_response()
    }
}

#[tokio::test]
async fn connections_are_opened_before_the_first_event() {
    let tenant = Tenant::new().await;
    let (faults, url) = Faults::before(&tenant.table).await;
    let _create = Sandbox::start(CREATE_RECIPIENT, &url).await;
    assert_eq!(faults.take_calls(), ["GetItem", "GetItem"]);
}

#[tokio::test]
async fn a_request_calls_dynamodb_no_more_than_it_must() {
    let tenant = Tenant::new().await;
    let (faults, url) = Faults::before(&tenant.table).await;
    let create = Sandbox::start(CREATE_RECIPIENT, &url).await;
    faults.take_calls();
    let (recipient, _) = create.expect(201, tenant.create_recipient()).await;
    assert_eq!(faults.take_calls(), ["GetItem", "GetItem", "TransactWriteItems"]);
    let mut event = tenant.create_recipient();
    event["headers"]["authorization"] = json!(format!("Bearer {}x", tenant.key));
    event["pathParameters"]["dockId"] = json!("dock_x");
    create.expect(401, event).await;
    assert!(faults.take_calls().is_empty(), "neither a bad key nor a malformed id is looked up");

    let generate = Sandbox::start(GENERATE_SECRET, &url).await;
    faults.take_calls();
    generate.expect(201, tenant.generate_secret(recipient["id"].as_str().unwrap())).await;
    assert_eq!(faults.take_calls(), ["GetItem", "Query", "TransactWriteItems"]);
}

#[tokio::test]
async fn a_passing_fault_is_not_noticed() {
    let tenant = Tenant::new().await;
    let (faults, url) = Faults::before(&tenant.table).await;
    let create = Sandbox::start(CREATE_RECIPIENT, &url).await;
    for (n, (operation, fault)) in [
        ("GetItem", vec![Fault::Refused("ProvisionedThroughputExceededException")]),
        ("GetItem", vec![Fault::AnswerLost, Fault::AnswerLost]),
        ("TransactWriteItems", vec![Fault::Refused("ThrottlingException"); 2]),
        ("TransactWriteItems", vec![Fault::Conflict; 3]),
        ("TransactWriteItems", vec![Fault::Refused("TransactionInProgressException")]),
        ("TransactWriteItems", vec![Fault::AnswerLost]),
        ("TransactWriteItems", vec![Fault::AnswerLost, Fault::Conflict]),
        ("TransactWriteItems", vec![Fault::Silence]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut event = tenant.create_recipient();
        event["body"] = json!(json!({"name": "A", "email": format!("a{n}@example.com")}).to_string());
        let shown = format!("{fault:?}");
        faults.expect(operation, fault);
        create.expect(201, event).await;
        assert!(faults.script.lock().unwrap()[operation].is_empty(), "{shown} happened");
        let (recipients, pointers) = tenant.table.recipients().await;
        assert_eq!(
            (recipients.len(), &recipients),
            (n + 1, &pointers),
            "{shown} on {operation}: written once"
        );
    }
}

#[tokio::test]
async fn a_lasting_fault_gets_a_503_and_leaves_nothing_half_done() {
    let tenant = Tenant::new().await;
    let (faults, url) = Faults::before(&tenant.table).await;
    let create = Sandbox::start(CREATE_RECIPIENT, &url).await;
    for (operation, fault) in [
        ("GetItem", Fault::Refused("ThrottlingException")),
        ("GetItem", Fault::Refused("InternalServerError")),
        ("TransactWriteItems", Fault::Refused("RequestLimitExceeded")),
        ("TransactWriteItems", Fault::Conflict),
    ] {
        faults.expect(operation, [fault; 50]);
        let (body, headers) = create.expect(503, tenant.create_recipient()).await;
        assert_eq!(body["error"], "Service Unavailable");
        assert_eq!(headers["retry-after"], "1");
        assert_eq!(tenant.table.recipients().await, (vec![], vec![]), "{fault:?} on {operation}");
        faults.expect(operation, []);
    }
    create.expect(201, tenant.create_recipient()).await;
}

#[tokio::test]
async fn without_a_database_a_function_starts_and_answers_503() {
    let tenant = Tenant::new().await;
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", nowhere.local_addr().unwrap());
    drop(nowhere);
    let generate = Sandbox::start(GENERATE_SECRET, &url).await;
    let (_, headers) = generate.expect(503, tenant.generate_secret("rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0")).await;
    assert_eq!(headers["retry-after"], "1");
}

#[tokio::test]
async fn a_defect_gets_a_500_whose_cause_is_in_the_log_alone() {
    let tenant = Tenant::new().await;
    let (faults, url) = Faults::before(&tenant.table).await;
    let create = Sandbox::start(CREATE_RECIPIENT, &url).await;
    faults.expect("TransactWriteItems", [Fault::Refused("AccessDeniedException")]);
    let (body, headers) = create.expect(500, tenant.create_recipient()).await;
    assert_eq!(body["error"], "Internal Server Error");
    let request_id = headers["x-request-id"].as_str().unwrap();
    assert!(body["message"].as_str().unwrap().contains(request_id), "the caller can name the request");
    assert!(!body.to_string().contains("AccessDenied") && !body.to_string().contains("Transact"));
    let log = create.log();
    let line = log.lines().find(|line| line.contains("\"level\":\"ERROR\"")).unwrap();
    assert!(
        line.contains("TransactWriteItems: AccessDeniedException") && line.contains(request_id),
        "{line}"
    );
    assert!(!log.contains("POL-2025-88401"), "what DynamoDB says may hold a caller's data");
}
