//! What a request costs: how many calls of DynamoDB follow one another, and how many capacity units they take; by endpoint,
//! and whatever else lies in the table.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod binaries;
mod sandbox;
mod support;

use std::path::Path;

use binaries::binary;
use docyard_functions::route::ROUTES;
use sandbox::{Faults, Sandbox, Tenant, item};
use serde_json::{Value, json};

/// A request of a kind, and the calls that it makes: those of one group at once, the groups one behind the other.
struct Expected {
    function: &'static str,
    what: &'static str,
    parameters: &'static [&'static str],
    query: &'static str,
    body: Option<Value>,
    status: u16,
    calls: &'static [&'static [&'static str]],
}

/// Each endpoint's requests, in the order of the routes. The number of groups is the budget of round trips.
fn expected() -> Vec<Expected> {
    const READ: &[&str] = &["GetItem"];
    const READ_TWO: &[&str] = &["GetItem", "GetItem"];
    const READ_AND_QUERY: &[&str] = &["GetItem", "Query"];
    const READ_AND_BATCH: &[&str] = &["BatchGetItem", "GetItem"];
    const WRITE: &[&str] = &["TransactWriteItems"];
    let mut rows = Vec::new();
    let mut row = |function, what, parameters, query, body, status, calls| {
        rows.push(Expected { function, what, parameters, query, body, status, calls });
    };
    let none = None::<Value>;
    row("create-dock", "", &[], "", Some(json!({"name": "D"})), 201, &[READ, WRITE]);
    row("list-docks", "", &[], "", none.clone(), 200, &[READ, &["Query"]]);
    row("get-dock", "", &["D"], "", none.clone(), 200, &[READ_TWO]);
    row("update-dock", "", &["D"], "", Some(json!({"name": "E"})), 200, &[READ_TWO, WRITE]);
    let person = json!({"name": "A", "email": "new@example.com"});
    row("create-recipient", "", &["D"], "", Some(person), 201, &[READ_TWO, WRITE]);
    row(
        "list-recipients",
        "a page of 10",
        &["D"],
        "limit=10",
        none.clone(),
        200,
        &[&["GetItem", "GetItem", "Query"]],
    );
    let by_email = "email=a%40example.com";
    row(
        "list-recipients",
        "one by email",
        &["D"],
        by_email,
        none.clone(),
        200,
        &[&["GetItem", "GetItem", "GetItem"]],
    );
    row("get-recipient", "", &["D", "R"], "", none.clone(), 200, &[READ_TWO, READ]);
    let (renamed, moved) = (json!({"name": "B"}), json!({"email": "b@example.com"}));
    row("update-recipient", "", &["D", "R"], "", Some(renamed), 200, &[READ_TWO, &["UpdateItem"]]);
    row("update-recipient", "a new email", &["D", "R"], "", Some(moved), 200, &[READ_TWO, READ, WRITE]);
    row("generate-secret", "", &["R"], "", Some(json!({"name": "S"})), 201, &[READ_AND_QUERY, WRITE]);
    row("list-secrets", "", &["R"], "", none.clone(), 200, &[&["GetItem", "GetItem", "Query"], &["Query"]]);
    row("verify-secret", "", &["R"], "", Some(json!({"secret": "x"})), 200, &[READ_AND_QUERY]);
    row("rotate-secret", "", &["R", "S"], "", none.clone(), 201, &[READ_AND_BATCH, WRITE]);
    row("revoke-secret", "", &["R", "S"], "", none.clone(), 200, &[READ_AND_BATCH, WRITE]);
    let delete: &[&[&str]] = &[READ_TWO, &["Query"], &["BatchWriteItem"], WRITE, &["Query"]];
    row("delete-recipient", "with 1 secret", &["D", "R"], "", none, 200, delete);
    rows
}

/// What one request consumed, as DynamoDB reports it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Units {
    read: f64,
    write: f64,
}

/// What a million of a request costs, at the prices of `docs/costs.md`.
fn dollars(round_trips: usize, units: Units) -> f64 {
    let (api_gateway, lambda_requests) = (1.0, 0.2);
    let gigabyte_seconds = round_trips as f64 * 0.010 * 0.125 * 1e6;
    api_gateway
        + lambda_requests
        + gigabyte_seconds * 0.000_013_333_4
        + units.read * 0.125
        + units.write * 0.625
}

/// Makes each request once, with its calls as expected, and gives what it consumed.
async fn measure(tenant: &Tenant, email: &str) -> Vec<Units> {
    let (faults, url) = Faults::before(&tenant.table).await;
    let mut units = Vec::new();
    for row in expected() {
        let (recipient, secret) = match row.function {
            "update-recipient" | "delete-recipient" | "generate-secret" | "list-secrets"
            | "verify-secret" | "rotate-secret" | "revoke-secret" | "get-recipient" => {
                tenant.recipient_with_secret(&format!("{}{}-{email}", row.function, row.what.len())).await
            }
            _ => (String::new(), String::new()),
        };
        let sandbox = Sandbox::start(binary(row.function), &url).await;
        faults.take_units();
        faults.take_calls();
        faults.expect_calls(row.calls);
        let value = |name: &&str| match *name {
            "D" => tenant.dock.clone(),
            "R" => recipient.clone(),
            _ => secret.clone(),
        };
        let values: Vec<String> = row.parameters.iter().map(value).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let route = ROUTES.iter().find(|route| route.function == row.function).unwrap();
        let mut body = row.body.clone();
        if let Some(address) = body.as_mut().and_then(|body| body.get_mut("email")) {
            *address = json!(format!("{}{email}", address.as_str().unwrap().len()));
        }
        sandbox.expect(row.status, tenant.request(route, &values, row.query, body)).await;
        faults.assert_calls_made(&format!("{} {}", row.function, row.what));
        assert_eq!(
            faults.take_calls().len(),
            row.calls.concat().len(),
            "{} makes no other call",
            row.function
        );
        let (read, write) = faults.take_units();
        let (logged, _) = sandbox.request_and_metric_lines();
        assert_eq!(
            (&logged[0]["round_trips"], &logged[0]["read_units"], &logged[0]["write_units"]),
            (&json!(row.calls.len()), &json!(read), &json!(write)),
            "what is logged of {}",
            row.function
        );
        units.push(Units { read, write });
    }
    units
}

#[tokio::test]
async fn every_request_makes_just_the_calls_of_its_budget() {
    let functions: Vec<&str> = ROUTES.iter().map(|route| route.function).collect();
    let budgeted: Vec<&str> = expected().iter().map(|row| row.function).collect();
    assert!(functions.iter().all(|function| budgeted.contains(function)), "an endpoint without a budget");
    measure(&Tenant::new().await, "a@example.com").await;
}

#[tokio::test]
async fn the_document_on_costs_has_the_units_that_dynamodb_reports() {
    let units = measure(&Tenant::new().await, "a@example.com").await;
    let rows: Vec<String> = expected()
        .iter()
        .zip(&units)
        .map(|(row, units)| {
            let name = if row.what.is_empty() {
                row.function.to_owned()
            } else {
                format!("{}, {}", row.function, row.what)
            };
            let round_trips = row.calls.len();
            format!(
                "| {name} | {round_trips} | {} | {} | ${:.2} |",
                units.read,
                units.write,
                dollars(round_trips, *units)
            )
        })
        .collect();
    let document =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/costs.md")).unwrap();
    for row in &rows {
        assert!(
            document.contains(row.as_str()),
            "docs/costs.md should have these rows:\n{}",
            rows.join("\n")
        );
    }
}

#[tokio::test]
async fn a_request_costs_the_same_in_a_dock_of_a_hundred_thousand() {
    let small = Tenant::new().await;
    let large = Tenant::new().await;
    for (tenant, count) in [(&small, 10), (&large, 100_000)] {
        tenant.import_recipients(count).await;
    }
    assert_eq!(measure(&small, "a@example.com").await, measure(&large, "a@example.com").await);
}

#[tokio::test]
async fn a_request_costs_the_same_with_5000_retired_secrets() {
    let tenant = Tenant::new().await;
    let (faults, url) = Faults::before(&tenant.table).await;
    let (fresh, _) = tenant.recipient_with_secret("a@example.com").await;
    let (old, _) = tenant.recipient_with_secret("b@example.com").await;
    let now = docyard_core::values::clock::Clock::system().now();
    let rng = &mut docyard_core::values::random::system();
    let items = (0..5000).map(|_| {
        let id = docyard_core::values::id::SecretId::generate(now, rng);
        item([
            ("pk", format!("RECIPIENT#{old}")),
            ("sk", format!("SECRET_RETIRED#{id}")),
            ("id", id.to_string()),
            ("recipient", old.clone()),
            ("name", "A secret".to_owned()),
            ("digest", "0".repeat(64)),
            ("createdAt", now.to_string()),
            ("revokedAt", now.to_string()),
        ])
    });
    tenant.table.import(items.collect());
    for (function, body) in
        [("verify-secret", json!({"secret": "x"})), ("generate-secret", json!({"name": "S"}))]
    {
        let route = ROUTES.iter().find(|route| route.function == function).unwrap();
        let sandbox = Sandbox::start(binary(function), &url).await;
        let mut units = Vec::new();
        for recipient in [&fresh, &old] {
            faults.take_units();
            let event = tenant.request(route, &[recipient], "", Some(body.clone()));
            sandbox.expect(if function == "verify-secret" { 200 } else { 201 }, event).await;
            units.push(faults.take_units());
        }
        assert_eq!(units[0], units[1], "{function}");
    }
}
