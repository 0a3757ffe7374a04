//! A proxy between a function and both DynamoDB and S3: it makes calls fail, counts them, and derives the permissions they need.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::bucket;
use crate::fault::{Answered, Broken, InjectedFault, is_of_s3};
use crate::faulty_client::operation;
use crate::iam::actions;
use crate::table::TestTable;

/// Calls that are expected at the same time: those still to come, and the release of those that came.
struct Group {
    to_come: Vec<&'static str>,
    all_came: Arc<tokio::sync::Notify>,
}

/// A call of DynamoDB or of S3.
struct Call {
    operation: String,
    /// The actions that IAM must allow for it, each with the kind of partition that it is done on: `DOCK#*`.
    actions: Vec<(String, String)>,
    request: Value,
}

/// Stands between a function and both DynamoDB and S3, and makes the calls of one operation fail.
#[derive(Clone)]
pub struct Proxy {
    dynamodb: String,
    s3: String,
    http: reqwest::Client,
    /// The faults of the next calls of an operation, by its name.
    pub script: Arc<Mutex<BTreeMap<&'static str, VecDeque<InjectedFault>>>>,
    /// The calls that were made.
    calls: Arc<Mutex<Vec<Call>>>,
    /// The calls that are expected next, in groups: no call of a group is answered before all of it have come.
    groups: Arc<Mutex<VecDeque<Group>>>,
    /// The capacity units that were consumed, of reading and of writing.
    units: Arc<Mutex<(f64, f64)>>,
}

impl Proxy {
    pub async fn before(table: &TestTable) -> (Self, String) {
        let proxy = Self {
            dynamodb: table.url.clone(),
            s3: bucket::url_beside(&table.url),
            http: crate::http_client().build().unwrap(),
            script: Arc::default(),
            calls: Arc::default(),
            groups: Arc::default(),
            units: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        bucket::put_beside(&url, &url);
        let router = Router::new().fallback(Self::pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (proxy, url)
    }

    pub fn expect(&self, operation: &'static str, faults: impl IntoIterator<Item = InjectedFault>) {
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

    /// The capacity units that were consumed since they were last taken.
    pub fn units(&self) -> (f64, f64) {
        *self.units.lock().unwrap()
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

    /// Takes the requests of the calls since this was last asked.
    pub fn take_requests(&self) -> Vec<Value> {
        std::mem::take(&mut *self.calls.lock().unwrap()).into_iter().map(|call| call.request).collect()
    }

    /// The IAM actions that the calls since then needed, each with the partitions that it needed them for.
    pub fn take_actions(&self) -> BTreeSet<(String, String)> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.into_iter().flat_map(|call| call.actions).collect()
    }

    async fn pass(
        State(proxy): State<Self>,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let target = headers.get("x-amz-target").map(|target| target.to_str().unwrap());
        let operation = operation(target, method.as_str());
        let fault = proxy.script.lock().unwrap().get_mut(operation.as_str()).and_then(VecDeque::pop_front);
        // Of S3 it is no JSON.
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let actions = actions(&operation, &request);
        let expected = proxy.await_group(&operation).await;
        assert!(expected, "{operation} was not expected now");
        let is_of_s3 = is_of_s3(&operation);
        proxy.calls.lock().unwrap().push(Call { operation, actions, request: request.clone() });
        let forward = async || {
            Ok::<_, Infallible>(match is_of_s3 {
                true => proxy.forward_to_s3(method, &uri, headers, body).await,
                false => proxy.forward(headers, request.clone()).await,
            })
        };
        let answer = match fault {
            Some(fault) => fault.apply(&request, forward).await,
            None => forward().await.map_err(|never| match never {}),
        };
        match answer {
            Ok(Answered { status, headers, body }) => {
                (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
            }
            // The connection breaks with the task that serves it.
            Err(Broken::OnPurpose) => panic!("a broken connection, on purpose"),
            Err(Broken::Forward(never)) => match never {},
        }
    }

    async fn forward_to_s3(&self, method: Method, uri: &Uri, headers: HeaderMap, body: Bytes) -> Answered {
        let url = format!("{}{}", self.s3, uri.path_and_query().unwrap());
        // With the host that was signed.
        let request = self.http.request(method, url).headers(headers).body(body);
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Answered { status, headers, body: answer.bytes().await.unwrap().to_vec() }
    }

    async fn forward(&self, mut headers: HeaderMap, mut request: Value) -> Answered {
        request["ReturnConsumedCapacity"] = json!("TOTAL");
        let target = headers["x-amz-target"].to_str().unwrap();
        let is_write =
            ["TransactWriteItems", "BatchWriteItem", "UpdateItem"].iter().any(|name| target.ends_with(name));
        headers.remove("host");
        headers.remove("content-length");
        let body = request.to_string();
        let answer = self.http.post(&self.dynamodb).headers(headers).body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.unwrap().to_vec();
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        let consumed = match &answer["ConsumedCapacity"] {
            Value::Array(tables) => tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum(),
            table => table["CapacityUnits"].as_f64().unwrap_or(0.0),
        };
        let mut units = self.units.lock().unwrap();
        *(if is_write { &mut units.1 } else { &mut units.0 }) += consumed;
        Answered { status, headers: HeaderMap::new(), body: bytes }
    }
}
