//! A Lambda sandbox on this machine: a function's binary, the Runtime API that feeds it, and what stands between it and
//! DynamoDB.
#![allow(dead_code, reason = "each test target uses its own part")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use docyard_core::model::identifiers::Identifiers;
use docyard_core::model::recipient::Recipient;
use docyard_core::model::secret::ActiveSecret;
use docyard_core::model::secret::Lifetime;
use docyard_core::model::secret::SecretValue;
use docyard_core::values::clock::Clock;
use docyard_core::values::digest::Digest;
use docyard_core::values::email::Email;
use docyard_core::values::id::DockId;
use docyard_core::values::id::RecipientId;
use docyard_core::values::id::SecretId;
use docyard_core::values::text::Text;
use docyard_functions::route::Route;
use dynoxide::AttributeValue;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::support::{PATIENCE, TABLE, TestTable, redacted};

/// What a function made of an event: its response, or the error that Lambda would turn into API Gateway's 500.
pub type Outcome = Result<Value, Value>;

/// The Lambda Runtime API (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>) of one sandbox.
pub struct RuntimeApi {
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
            ("content-type", "application/json"),
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
pub struct Sandbox {
    api: Arc<RuntimeApi>,
    events: mpsc::Sender<(String, Value)>,
    process: std::process::Child,
    log: tempfile::NamedTempFile,
    server: tokio::task::JoinHandle<()>,
}

impl Sandbox {
    /// Starts a function and waits until it asks for its first event.
    pub async fn start(binary: impl AsRef<OsStr>, dynamodb_url: &str) -> Self {
        Self::start_command(command(binary, dynamodb_url)).await
    }

    /// Starts whatever speaks the Runtime API and waits until it asks for its first event.
    pub async fn start_command(mut command: Command) -> Self {
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
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let log = tempfile::NamedTempFile::new().unwrap();
        let process = command
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .stdout(log.reopen().unwrap())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        let sandbox = Self { api, events, process, log, server };
        timeout(PATIENCE, polled)
            .await
            .unwrap_or_else(|_| panic!("no first poll: {}", sandbox.log()))
            .unwrap();
        sandbox
    }

    /// Sends one event, and waits for what becomes of it.
    pub async fn invoke(&self, event: Value) -> Outcome {
        let id = RecipientId::generate(Clock::system().now(), &mut docyard_core::values::random::system())
            .to_string();
        let (sender, receiver) = oneshot::channel();
        self.api.answers.lock().unwrap().insert(id.clone(), sender);
        self.events.send((id, event)).await.unwrap();
        timeout(PATIENCE, receiver).await.unwrap().unwrap()
    }

    /// Sends one event, whose response must have this status; gives the response's body and headers.
    #[track_caller]
    pub fn expect(&self, status: u16, event: Value) -> impl Future<Output = (Value, Value)> {
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

    /// Tells the function that there will be no more events, and waits until it has ended by itself.
    pub fn end(mut self) {
        self.events = mpsc::channel(1).0;
        tokio::task::block_in_place(|| self.process.wait()).unwrap();
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// The lines of the log that tell of requests, and those that hold metrics.
    pub fn request_and_metric_lines(&self) -> (Vec<Value>, Vec<Value>) {
        let lines = self.log();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines = lines.filter(|line| line["message"] == "request" || line.get("_aws").is_some());
        lines.partition(|line| line["message"] == "request")
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.server.abort();
    }
}

/// A function's command with the environment that Lambda and the template give it.
pub fn command(binary: impl AsRef<OsStr>, dynamodb_url: &str) -> Command {
    let mut command = Command::new(binary);
    command.env_clear().stdin(Stdio::null()).envs([
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "f"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "s"),
        ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", "local"),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_url),
        ("TABLE_NAME", TABLE),
        ("DOCYARD_MODE", "live"),
        ("STAGE", "test"),
    ]);
    command
}

/// The value of the secrets of imported recipients.
pub const IMPORTED_SECRET: &str = "dk_sec_0123456789abcdef0123456789abcdef";

/// An item of texts.
pub fn item<const N: usize>(attributes: [(&str, String); N]) -> dynoxide::Item {
    attributes.into_iter().map(|(name, text)| (name.to_owned(), AttributeValue::S(text))).collect()
}

/// An account with a dock and a key.
pub struct Tenant {
    pub table: TestTable,
    pub key: String,
    pub dock: String,
}

impl Tenant {
    pub async fn new() -> Self {
        let table = TestTable::start().await;
        let account = table.account().await;
        let (key, dock) = (table.key(account).await, table.dock(account).await.to_string());
        Self { table, key, dock }
    }

    /// A recipient with one secret, straight into the table; their ids.
    pub async fn recipient_with_secret(&self, email: &str) -> (String, String) {
        let now = Clock::system().now();
        let rng = &mut docyard_core::values::random::system();
        let dock = self.table.store.dock(DockId::parse(&self.dock).unwrap()).await.unwrap().unwrap();
        let recipient = Recipient {
            id: RecipientId::generate(now, rng),
            dock: dock.id,
            account: dock.account,
            name: Text::parse("A recipient").unwrap(),
            email: Email::parse(email).unwrap(),
            stakeholder_class: None,
            identifiers: Identifiers::default(),
            created_at: now,
            updated_at: None,
        };
        self.table.store.create_recipient(&recipient, None).await.unwrap();
        let secret = self.add_secret(recipient.id).await;
        (recipient.id.to_string(), secret)
    }

    /// Gives a recipient so many more secrets.
    pub async fn add_secrets(&self, recipient: &str, count: usize) {
        let recipient = RecipientId::parse(recipient).unwrap();
        for _ in 0..count {
            self.add_secret(recipient).await;
        }
    }

    async fn add_secret(&self, recipient: RecipientId) -> String {
        let now = Clock::system().now();
        let rng = &mut docyard_core::values::random::system();
        let digest = SecretValue::generate(rng).digest();
        let id = SecretId::generate(now, rng);
        let name = Text::parse("A secret").unwrap();
        let secret = ActiveSecret::new(id, recipient, name, digest, Lifetime::default(), now);
        self.table.store.create_secret(&secret, None).await.unwrap();
        id.to_string()
    }

    /// Puts many recipients into the dock, past the API, each with one secret, whose value is [`IMPORTED_SECRET`]; their
    /// ids and those of their secrets.
    pub async fn import_recipients(&self, count: usize) -> Vec<(String, String)> {
        let dock = self.table.store.dock(DockId::parse(&self.dock).unwrap()).await.unwrap().unwrap();
        let (dock, account) = (dock.id.to_string(), dock.account.to_string());
        let digest = Digest::of(IMPORTED_SECRET).expose_hex();
        let now = Clock::system().now();
        let rng = &mut docyard_core::values::random::system();
        let mut ids = Vec::new();
        let mut items = Vec::new();
        for n in 0..count {
            let email = format!("p{n:07}@example.com");
            let recipient = RecipientId::generate(now, rng).to_string();
            let secret = SecretId::generate(now, rng).to_string();
            let partition = format!("RECIPIENT#{recipient}");
            items.push(item([
                ("pk", format!("DOCK#{dock}")),
                ("sk", format!("RECIPIENT#{email}")),
                ("id", recipient.clone()),
                ("dock", dock.clone()),
                ("account", account.clone()),
                ("name", "A recipient".to_owned()),
                ("email", email.clone()),
                ("createdAt", now.to_string()),
            ]));
            let recipient_item = items.last_mut().unwrap();
            recipient_item.insert("identifiers".to_owned(), AttributeValue::M(Default::default()));
            recipient_item.insert("version".to_owned(), AttributeValue::N("0".to_owned()));
            items.push(item([
                ("pk", partition.clone()),
                ("sk", "RECIPIENT".to_owned()),
                ("dock", dock.clone()),
                ("account", account.clone()),
                ("email", email),
            ]));
            items.push(item([
                ("pk", partition),
                ("sk", format!("SECRET#{secret}")),
                ("id", secret.clone()),
                ("recipient", recipient.clone()),
                ("name", "A secret".to_owned()),
                ("digest", digest.clone()),
                ("createdAt", now.to_string()),
            ]));
            ids.push((recipient, secret));
            if items.len() >= 30_000 {
                self.table.import(std::mem::take(&mut items));
            }
        }
        self.table.import(items);
        ids
    }

    pub fn create_recipient(&self) -> Value {
        self.event(include_str!("events/create-recipient.json"))
    }

    pub fn generate_secret(&self, recipient: &str) -> Value {
        let mut event = self.event(include_str!("events/generate-secret.json"));
        event["rawPath"] = json!(format!("/live/v1/recipients/{recipient}/secrets"));
        event["pathParameters"]["recipientId"] = json!(recipient);
        event
    }

    /// An event of a request of this tenant to any route: `POST /v1/docks/{dockId}`, the values of its path parameters,
    /// a query and a body.
    pub fn request(&self, route: &Route, parameters: &[&str], query: &str, body: Option<Value>) -> Value {
        let mut event = self.create_recipient();
        let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        event["routeKey"] = json!(route.key());
        event["requestContext"]["routeKey"] = json!(route.key());
        event["requestContext"]["http"]["method"] = json!(route.method.as_str());
        event["pathParameters"] =
            names.zip(parameters).map(|(name, value)| (name.to_owned(), json!(value))).collect();
        event["rawQueryString"] = json!(query);
        event["body"] = json!(body.map(|body| body.to_string()));
        event
    }

    fn event(&self, recorded: &str) -> Value {
        serde_json::from_str(&recorded.replace("API_KEY", &self.key).replace("DOCK_ID", &self.dock)).unwrap()
    }
}

/// What happens to a call on its way to DynamoDB.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is refused with this error, and nothing is done.
    Refused(&'static str),
    /// A transaction is canceled because of another one on the same items.
    Conflict,
    /// A transaction is canceled for these reasons, in the order of its writes.
    Canceled(&'static [&'static str]),
    /// A batch is taken, and nothing of it done.
    Unprocessed,
    /// It is carried out, and its answer lost.
    AnswerLost,
    /// It is never answered, and nothing is done.
    Silence,
}

/// Calls that are expected at the same time: those still to come, and the release of those that came.
struct Group {
    to_come: Vec<&'static str>,
    all_came: Arc<tokio::sync::Notify>,
}

/// A call of DynamoDB.
struct Call {
    operation: String,
    /// The actions that IAM must allow for it, each with the kind of partition that it is done on: `DOCK#*`.
    actions: Vec<(String, String)>,
}

/// Stands between a function and DynamoDB, and makes the calls of one operation fail.
#[derive(Clone)]
pub struct Faults {
    dynamodb: String,
    http: reqwest::Client,
    /// The faults of the next calls of an operation, by its name.
    pub script: Arc<Mutex<BTreeMap<&'static str, VecDeque<Fault>>>>,
    /// The calls that were made.
    calls: Arc<Mutex<Vec<Call>>>,
    /// The calls that are expected next, in groups: no call of a group is answered before all of it have come.
    groups: Arc<Mutex<VecDeque<Group>>>,
    /// The capacity units that were consumed, of reading and of writing.
    units: Arc<Mutex<(f64, f64)>>,
}

impl Faults {
    pub async fn before(table: &TestTable) -> (Self, String) {
        let faults = Self {
            dynamodb: table.url.clone(),
            http: reqwest::Client::new(),
            script: Arc::default(),
            calls: Arc::default(),
            groups: Arc::default(),
            units: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(Self::pass).with_state(faults.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (faults, url)
    }

    pub fn expect(&self, operation: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.script.lock().unwrap().insert(operation, faults.into_iter().collect());
    }

    /// From now on takes just these calls, those of one group at once. A call that waits for one of its own group, or
    /// that is not expected, fails the request.
    pub fn expect_calls(&self, groups: &[&[&'static str]]) {
        let group = |calls: &&[&'static str]| Group { to_come: calls.to_vec(), all_came: Arc::default() };
        *self.groups.lock().unwrap() = groups.iter().map(group).collect();
    }

    /// Asserts that all the calls came that were expected.
    pub fn assert_calls_made(&self, what: &str) {
        let groups = self.groups.lock().unwrap();
        let missing: Vec<_> = groups.iter().map(|group| &group.to_come).collect();
        assert!(missing.is_empty(), "{what}: these calls did not come: {missing:?}");
    }

    /// The capacity units, of reading and of writing, that were consumed since this was last asked.
    pub fn take_units(&self) -> (f64, f64) {
        std::mem::take(&mut *self.units.lock().unwrap())
    }

    /// Waits until all the calls of this one's group have come; `false` if it is not expected.
    async fn await_group(&self, operation: &str) -> bool {
        let all_came = {
            let mut groups = self.groups.lock().unwrap();
            let Some(group) = groups.front_mut() else { return true };
            let Some(at) = group.to_come.iter().position(|expected| *expected == operation) else {
                return false;
            };
            group.to_come.remove(at);
            let all_came = group.all_came.clone();
            if group.to_come.is_empty() {
                groups.pop_front();
                all_came.notify_waiters();
                return true;
            }
            all_came.notified_owned()
        };
        all_came.await;
        true
    }

    /// The operations that were called since the calls were last taken.
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|call| call.operation.clone()).collect()
    }

    /// Takes the operations that were called since this was last asked, sorted.
    pub fn take_calls(&self) -> Vec<String> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        let mut operations: Vec<String> = calls.into_iter().map(|call| call.operation).collect();
        operations.sort();
        operations
    }

    /// The IAM actions that the calls since then needed, each with the partitions that it needed them for.
    pub fn take_actions(&self) -> BTreeSet<(String, String)> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.into_iter().flat_map(|call| call.actions).collect()
    }

    async fn pass(State(faults): State<Self>, headers: HeaderMap, body: Bytes) -> Response {
        let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
        let fault = faults.script.lock().unwrap().get_mut(operation.as_str()).and_then(VecDeque::pop_front);
        let actions = actions(&operation, &serde_json::from_slice(&body).unwrap());
        let expected = faults.await_group(&operation).await;
        assert!(expected, "{operation} was not expected now");
        faults.calls.lock().unwrap().push(Call { operation, actions });
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
            Some(Fault::Canceled(codes)) => error(json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "Message": "Transaction cancelled",
                "CancellationReasons": codes.iter().map(|code| json!({"Code": code})).collect::<Vec<_>>(),
            })),
            Some(Fault::Unprocessed) => {
                let request: Value = serde_json::from_slice(&body).unwrap();
                let items = &request["RequestItems"];
                axum::Json(json!({"Responses": {}, "UnprocessedKeys": items, "UnprocessedItems": items}))
                    .into_response()
            }
            Some(Fault::Silence) => std::future::pending().await,
            Some(Fault::AnswerLost) => {
                faults.forward(headers, body).await;
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
            None => faults.forward(headers, body).await,
        }
    }

    async fn forward(&self, mut headers: HeaderMap, body: Bytes) -> Response {
        let mut request: Value = serde_json::from_slice(&body).unwrap();
        request["ReturnConsumedCapacity"] = json!("TOTAL");
        let target = headers["x-amz-target"].to_str().unwrap();
        let is_write =
            ["TransactWriteItems", "BatchWriteItem", "UpdateItem"].iter().any(|name| target.ends_with(name));
        let body = request.to_string();
        headers.remove("host");
        headers.remove("content-length");
        let answer = self.http.post(&self.dynamodb).headers(headers).body(body).send().await.unwrap();
        let status = answer.status();
        let bytes = answer.bytes().await.unwrap();
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        let consumed = match &answer["ConsumedCapacity"] {
            Value::Array(tables) => tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum(),
            table => table["CapacityUnits"].as_f64().unwrap_or(0.0),
        };
        let mut units = self.units.lock().unwrap();
        *(if is_write { &mut units.1 } else { &mut units.0 }) += consumed;
        (status, bytes).into_response()
    }
}

/// The IAM actions of a call and their partitions.
///
/// IAM knows no action for transactions: it wants those of the writes in them. Whether it judges a write by its own
/// partition or by all of the transaction's is not documented, so each must be allowed for all.
fn actions(operation: &str, body: &Value) -> Vec<(String, String)> {
    let action = |name: &str, pk: &Value| {
        let (kind, _) = pk["S"].as_str().unwrap().split_once('#').unwrap();
        (format!("dynamodb:{name}"), format!("{kind}#*"))
    };
    let items = &body["RequestItems"][TABLE];
    match operation {
        "GetItem" | "UpdateItem" => vec![action(operation, &body["Key"]["pk"])],
        "Query" => vec![action(operation, &body["ExpressionAttributeValues"][":pk"])],
        "BatchGetItem" => {
            items["Keys"].as_array().unwrap().iter().map(|key| action(operation, &key["pk"])).collect()
        }
        "BatchWriteItem" => {
            let writes = items.as_array().unwrap().iter();
            writes.map(|write| action(operation, &write["DeleteRequest"]["Key"]["pk"])).collect()
        }
        "TransactWriteItems" => {
            let writes = body["TransactItems"].as_array().unwrap().iter();
            let writes: Vec<(String, String)> = writes
                .flat_map(|write| write.as_object().unwrap())
                .map(|(write, of)| match write.as_str() {
                    "Put" => action("PutItem", &of["Item"]["pk"]),
                    "ConditionCheck" => action("ConditionCheckItem", &of["Key"]["pk"]),
                    _ => action(&format!("{write}Item"), &of["Key"]["pk"]),
                })
                .collect();
            let partitions = || writes.iter().map(|(_, partition)| partition.clone());
            writes
                .iter()
                .flat_map(|(name, _)| partitions().map(|partition| (name.clone(), partition)))
                .collect()
        }
        _ => panic!("the actions of {operation} are not known"),
    }
}
