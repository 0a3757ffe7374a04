//! The functions as Lambda runs them: their real binaries against the Lambda Runtime API, with events of API Gateway,
//! a table in an embedded DynamoDB, and faults between the two.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod binaries;
mod sandbox;
mod support;

use std::collections::VecDeque;
use std::sync::Arc;

use binaries::binary;
use docyard_functions::route::{ROUTES, Route};
use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use sandbox::{Fault, Faults, Sandbox, Tenant, command};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const CREATE_RECIPIENT: &str = env!("CARGO_BIN_EXE_create-recipient");
const GENERATE_SECRET: &str = env!("CARGO_BIN_EXE_generate-secret");

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
    for place in [
        "/headers/host",
        "/headers/x-forwarded-proto",
        "/headers/content-type",
        "/headers/user-agent",
        "/headers/authorization",
        "/headers/x-amzn-trace-id",
        "/rawPath",
        "/rawQueryString",
        "/requestContext/domainName",
        "/requestContext/http/path",
        "/requestContext/http/userAgent",
        "/requestContext/requestId",
        "/requestContext/stage",
        "/pathParameters/dockId",
        "/body",
    ] {
        for value in hostile {
            let mut event = tenant.create_recipient();
            *event.pointer_mut(place).unwrap() = json!(value);
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
    let mut malformed_id = tenant.create_recipient();
    malformed_id["pathParameters"]["dockId"] = json!("dock_x");
    create.expect(404, malformed_id).await;
    assert_eq!(faults.take_calls(), ["GetItem"], "a malformed id is not looked up");

    let generate = Sandbox::start(GENERATE_SECRET, &url).await;
    faults.take_calls();
    generate.expect(201, tenant.generate_secret(recipient["id"].as_str().unwrap())).await;
    assert_eq!(faults.take_calls(), ["GetItem", "Query", "TransactWriteItems"]);
}

/// The values of a route's path parameters.
fn parameters<'a>(route: &Route, dock: &'a str, recipient: &'a str, secret: &'a str) -> Vec<&'a str> {
    let value = |name: &str| match name {
        "{dockId}" => Some(dock),
        "{recipientId}" => Some(recipient),
        "{secretId}" => Some(secret),
        _ => None,
    };
    route.path.split('/').filter_map(value).collect()
}

#[tokio::test]
async fn what_cannot_be_a_key_of_this_deployment_costs_no_read() {
    let tenant = Tenant::new().await;
    let (recipient, secret) = tenant.recipient_with_secret("a@example.com").await;
    let (faults, url) = Faults::before(&tenant.table).await;
    let test_key = docyard_core::model::api_key::ApiKey::generate(
        docyard_core::model::api_key::Mode::Test,
        &mut docyard_core::values::random::system(),
    );
    let headers = [String::new(), format!("Bearer {}x", tenant.key), format!("Bearer {}", test_key.expose())];
    for &route in ROUTES {
        let sandbox = Sandbox::start(binary(route.function), &url).await;
        faults.take_calls();
        for header in &headers {
            let values = parameters(route, &tenant.dock, &recipient, &secret);
            let mut event = tenant.request(route, &values, "", None);
            event["headers"]["authorization"] = json!(header);
            sandbox.expect(401, event).await;
        }
        assert!(faults.take_calls().is_empty(), "{}", route.function);
    }
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

#[tokio::test]
async fn every_endpoint_overcomes_what_passes() {
    use Fault::{AnswerLost, Canceled, Conflict, Refused, Silence, Unprocessed};
    const BUSY: Fault = Refused("ThrottlingException");
    const WRITE: &str = "TransactWriteItems";
    // While another transaction commits, a loser may see the outcome at one item and the conflict at the next.
    const MIXED: Fault = Canceled(&["ConditionalCheckFailed", "TransactionConflict", "None"]);
    let move_away = json!({"email": "moved@example.com"});
    for (function, body, status, faults) in [
        ("create-dock", Some(json!({"name": "D"})), 201, vec![(WRITE, vec![AnswerLost])]),
        ("list-docks", None, 200, vec![("Query", vec![BUSY, AnswerLost])]),
        ("get-dock", None, 200, vec![("GetItem", vec![BUSY, BUSY])]),
        ("update-dock", Some(json!({"name": "E"})), 200, vec![(WRITE, vec![MIXED, Conflict, AnswerLost])]),
        ("get-recipient", None, 200, vec![("GetItem", vec![AnswerLost; 3])]),
        ("list-recipients", None, 200, vec![("Query", vec![BUSY])]),
        (
            "update-recipient",
            Some(json!({"name": "B"})),
            200,
            vec![("UpdateItem", vec![Refused("TransactionConflictException"), AnswerLost])],
        ),
        (
            "update-recipient",
            Some(move_away),
            200,
            vec![(WRITE, vec![MIXED, Conflict, AnswerLost, Conflict])],
        ),
        (
            "delete-recipient",
            None,
            200,
            vec![("BatchWriteItem", vec![Unprocessed, BUSY, AnswerLost]), (WRITE, vec![MIXED, AnswerLost])],
        ),
        ("generate-secret", Some(json!({"name": "S"})), 201, vec![(WRITE, vec![MIXED, AnswerLost])]),
        ("list-secrets", None, 200, vec![("Query", vec![BUSY, BUSY])]),
        (
            "rotate-secret",
            None,
            201,
            vec![("BatchGetItem", vec![Unprocessed, BUSY]), (WRITE, vec![MIXED, Conflict, AnswerLost])],
        ),
        ("revoke-secret", None, 200, vec![(WRITE, vec![MIXED, Silence])]),
        ("verify-secret", Some(json!({"secret": "x"})), 200, vec![("Query", vec![Silence])]),
    ] {
        let tenant = Tenant::new().await;
        let (recipient, secret) = tenant.recipient_with_secret("a@example.com").await;
        let (proxy, url) = Faults::before(&tenant.table).await;
        let sandbox = Sandbox::start(binary(function), &url).await;
        let route = ROUTES.iter().find(|route| route.function == function).unwrap();
        let parameters = parameters(route, &tenant.dock, &recipient, &secret);
        for (operation, faults) in faults {
            proxy.expect(operation, faults);
        }
        sandbox.expect(status, tenant.request(route, &parameters, "", body)).await;
        let left: usize = proxy.script.lock().unwrap().values().map(VecDeque::len).sum();
        assert_eq!(left, 0, "{function} met all its faults");
        let (recipients, pointers) = tenant.table.recipients().await;
        assert_eq!(recipients, pointers, "{function}");
    }
}

#[tokio::test]
async fn a_deletion_can_be_interrupted_anywhere_and_repeated() {
    let route = ROUTES.iter().find(|route| route.function == "delete-recipient").unwrap();
    let lasting = |fault: Fault| vec![fault; 50];
    for (operation, faults) in [
        ("Query", lasting(Fault::Refused("ThrottlingException"))),
        ("BatchWriteItem", lasting(Fault::Refused("ThrottlingException"))),
        ("BatchWriteItem", lasting(Fault::Unprocessed)),
        // The deletion of the first batch is done, and its answer lost.
        (
            "BatchWriteItem",
            [vec![Fault::AnswerLost], lasting(Fault::Refused("ThrottlingException"))].concat(),
        ),
        ("TransactWriteItems", lasting(Fault::Conflict)),
        // All is done, and no answer comes.
        (
            "TransactWriteItems",
            [vec![Fault::AnswerLost], lasting(Fault::Refused("ThrottlingException"))].concat(),
        ),
    ] {
        let tenant = Tenant::new().await;
        let (recipient, _) = tenant.recipient_with_secret("a@example.com").await;
        let (proxy, url) = Faults::before(&tenant.table).await;
        let sandbox = Sandbox::start(binary(route.function), &url).await;
        let event = || tenant.request(route, &[&tenant.dock, &recipient], "", None);
        let shown = format!("{operation} {:?}", faults[0]);
        proxy.expect(operation, faults);
        sandbox.expect(503, event()).await;
        let (recipients, pointers) = tenant.table.recipients().await;
        assert_eq!(recipients, pointers, "{shown}: wholly there or wholly gone");
        proxy.expect(operation, []);
        sandbox.expect(if recipients.is_empty() { 404 } else { 200 }, event()).await;
        let leftovers = tenant.table.items().await;
        let leftovers = leftovers.iter().filter(|item| item["pk"].as_s().unwrap().contains(&recipient));
        assert_eq!(leftovers.count(), 0, "{shown}");
        let create = Sandbox::start(CREATE_RECIPIENT, &tenant.table.url).await;
        let mut again = tenant.create_recipient();
        again["body"] = json!(json!({"name": "A", "email": "a@example.com"}).to_string());
        create.expect(201, again).await;
    }
}
