//! A Lambda sandbox on this machine: a function's binary, and the Runtime API that feeds it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use docyard_core::values::clock::Clock;
use docyard_core::values::id::RecipientId;
use docyard_core::values::random;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::bucket;
use crate::table::TABLE;
use crate::{PATIENCE, redacted};

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
        let id = RecipientId::generate(Clock::system().now(), &mut random::system()).to_string();
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
            let text = response["body"].as_str().unwrap_or_default().to_owned();
            assert_eq!(response["statusCode"], status, "{caller}: {}", redacted(&text));
            assert_eq!(response["headers"]["cache-control"], "no-store");
            assert_eq!(response["isBase64Encoded"], false);
            // A redirect has none.
            let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
            (body, response["headers"].clone())
        }
    }

    /// Tells the function that there will be no more events, and waits until it has ended by itself.
    pub fn end(mut self) {
        self.events = mpsc::channel(1).0;
        tokio::task::block_in_place(|| self.process.wait()).unwrap();
    }

    /// Freezes it for this long, as Lambda does between two events, while `meanwhile` happens.
    pub async fn freeze(&self, pause: Duration, meanwhile: impl FnOnce()) {
        self.signal("STOP");
        meanwhile();
        tokio::time::sleep(pause).await;
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
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
        ("AWS_ENDPOINT_URL_S3", &bucket::url_beside(dynamodb_url)),
        ("BUCKET_NAME", docyard_local_s3::BUCKET),
        ("TABLE_NAME", TABLE),
        ("DOCYARD_MODE", "live"),
        ("AUDIT_RETENTION_DAYS", "2557"),
        ("SUBMISSION_KEY", "a key of thirty-two bytes, at least"),
        ("STAGE", "test"),
    ]);
    command
}
