//! The API as its users meet it: HTTP against `docyard dev`, by resource and by rule.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use docyard_test_support::dev::Answer;
use serde_json::Value;

mod audit;
mod authorization;
mod conditions;
mod docks;
mod idempotency;
mod recipients;
mod requests;
mod secrets;

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
