//! The API as its users meet it: HTTP against `docyard dev`, by resource and by rule.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use docyard_test_support::dev::{Answer, Dev, send};
use reqwest::Method;
use serde_json::{Value, json};

mod access;
mod artifacts;
mod audit;
mod authorization;
mod certificates;
mod conditions;
mod docks;
mod groups;
mod idempotency;
mod imports;
mod institution;
mod jobs;
mod oauth;
mod policies;
mod recipients;
mod requests;
mod retrieval;
mod secrets;
mod tokens;

fn is_timestamp(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.len() == 24 && docyard_core::values::clock::Timestamp::parse(text).is_some())
}

fn is_id(value: &Value, prefix: &str) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(prefix) && text.len() == prefix.len() + 26)
}

/// What an answer says, apart from the id of its request.
fn without_request_id(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let headers =
        answer.headers.iter().filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (answer.status, answer.text.clone(), headers.collect())
}

#[track_caller]
fn assert_invalid(answer: &Answer, field: &str, message: &str) {
    let body = answer.expect(400);
    assert_eq!(body["error"], "Bad Request");
    let error = &body["details"][0];
    assert_eq!(error["field"], field, "{body}");
    assert!(error["message"].as_str().unwrap().contains(message), "{body}");
    let summary = body["message"].as_str().unwrap();
    assert!(summary.starts_with(field) && summary.contains(message), "{body}");
}

/// A string of an answer.
#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// A request with a body, if there is one, and headers.
async fn ask(dev: &Dev, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let request = dev.http.request(method, format!("{}{path}", dev.url)).bearer_auth(&dev.key);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    send(if body.is_null() { request } else { request.json(body) }).await
}

async fn post(dev: &Dev, path: &str, body: Value) -> Answer {
    ask(dev, Method::POST, path, &[], &body).await
}

/// The path of a resource of a dock.
fn path_in_dock(collection: &str, thing: &Value) -> String {
    format!("/v1/docks/{}/{collection}/{}", text(&thing["dockId"]), text(&thing["id"]))
}

/// The names of the fields that an answer calls wrong.
#[track_caller]
fn wrong_fields(answer: &Answer) -> Vec<String> {
    let body = answer.expect(400);
    body["details"].as_array().unwrap().iter().map(|error| text(&error["field"]).to_owned()).collect()
}

#[track_caller]
fn assert_not_found(answer: &Answer, thing: &str) {
    let not_found = json!({"statusCode": 404, "message": format!("{thing} not found"), "error": "Not Found"});
    assert_eq!(answer.expect(404), not_found);
}

/// The id of another dock of the account.
async fn another_dock(dev: &Dev) -> String {
    text(&post(dev, "/v1/docks", json!({"name": "Another"})).await.expect(201)["id"]).to_owned()
}

/// A recipient of a class, with identifiers; its email is of this name.
async fn recipient_of(dev: &Dev, class: &str, name: &str, identifiers: Value) -> Value {
    let email = format!("{name}@example.com");
    let body = json!({"name": name, "email": email, "stakeholderClass": class, "identifiers": identifiers});
    dev.create_recipient(body).await.expect(201)
}

async fn group(dev: &Dev, recipients: &[&Value]) -> Value {
    let ids: Vec<&Value> = recipients.iter().map(|recipient| &recipient["id"]).collect();
    let path = format!("/v1/docks/{}/groups", dev.dock);
    post(dev, &path, json!({"name": "A group", "recipientIds": ids})).await.expect(201)
}

async fn policy(dev: &Dev, recipe: Value) -> Value {
    let path = format!("/v1/docks/{}/policies", dev.dock);
    post(dev, &path, json!({"name": "A policy", "recipe": recipe})).await.expect(201)
}

async fn publish(dev: &Dev, policy: &Value, body: Value) -> Answer {
    post(dev, &format!("{}/publish", path_in_dock("policies", policy)), body).await
}

/// A policy whose version 1 is in production.
async fn policy_in_force(dev: &Dev, recipe: Value) -> Value {
    let policy = policy(dev, recipe).await;
    publish(dev, &policy, json!({"stage": "production", "version": 1})).await.expect(200);
    policy
}

/// A recipe with a member set to a value, or without it where the value is null; the path is a JSON pointer.
fn with(mut recipe: Value, path: &str, value: Value) -> Value {
    let (parents, member) = path.rsplit_once('/').unwrap();
    let mut parent = &mut recipe;
    for name in parents.split('/').skip(1) {
        parent = &mut parent[name];
    }
    if value.is_null() {
        parent.as_object_mut().unwrap().remove(member);
    } else {
        parent[member] = value;
    }
    recipe
}

/// A time so many days from now.
fn days_from_now(days: u16) -> String {
    docyard_core::values::clock::Clock::system().now().plus_days(days).to_string()
}

const UNKNOWN_POLICY: &str = "pol_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";
const UNKNOWN_GROUP: &str = "grp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";
const UNKNOWN_RECIPIENT: &str = "rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";

/// So many different ids of recipients that do not exist.
fn unknown_recipients(count: usize) -> Value {
    (0..count).map(|n| format!("rcp_01HQ3K5V7X9ZBDFHKMPRTV{n:04}")).collect()
}
