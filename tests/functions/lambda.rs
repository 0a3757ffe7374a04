//! The functions as Lambda runs them: their real binaries against the Lambda Runtime API, with events of API Gateway,
//! a table in an embedded DynamoDB, and faults between the two.

use std::collections::{BTreeSet, VecDeque};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::{Clock, Timestamp};
use docyard_functions::endpoint::Endpoint;
use docyard_functions::endpoints;
use docyard_test_support::account::Account;
use docyard_test_support::api::Api;
use docyard_test_support::cases::{self, Artifacts, Calls, THERE, Things};
use docyard_test_support::fault::InjectedFault::{AnswerLost, Refused, SilenceBefore, Status, Unprocessed};
use docyard_test_support::fault::{CONFLICT, IN_MESSAGE, InjectedFault, is_of_s3};
use docyard_test_support::proxy::Proxy;
use docyard_test_support::relay::{Death, Relay};
use docyard_test_support::sandbox::{Sandbox, command};
use docyard_test_support::scene::{Asker, Scene};
use docyard_test_support::table::TABLE;
use docyard_test_support::{binary, for_each, trail};
use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const CREATE_RECIPIENT: &str = "create-recipient";
const GENERATE_SECRET: &str = "generate-secret";

#[tokio::test]
async fn recorded_events_of_api_gateway_are_served() {
    let account = Account::new().await;
    let create = Sandbox::start(binary(CREATE_RECIPIENT), &account.table.url).await;
    let (recipient, headers) = create.expect(201, account.create_recipient()).await;
    assert_eq!(headers["x-request-id"], "EbK0rjAQoAMEVHg=", "API Gateway's id");
    let id = recipient["id"].as_str().unwrap();
    assert_eq!(headers["location"], format!("/v1/docks/{}/recipients/{id}", account.dock));
    assert_eq!(
        (&recipient["email"], &recipient["dockId"]),
        (&json!("bulk@firstnational.example"), &json!(account.dock))
    );
    let (conflict, _) = create.expect(409, account.create_recipient()).await;
    assert_eq!(conflict["recipientId"], id);

    // Behind a named stage and a domain of its own with mutual TLS, its body in base64.
    let generate = Sandbox::start(binary(GENERATE_SECRET), &account.table.url).await;
    let (secret, headers) = generate.expect(201, account.generate_secret(id)).await;
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
            secrets.iter().chain([&account.key]).all(|value| !log.contains(value)),
            "no secret and no key is"
        );
    }
}

#[tokio::test]
async fn no_event_however_hostile_gets_a_500() {
    let account = Account::new().await;
    let create = Sandbox::start(binary(CREATE_RECIPIENT), &account.table.url).await;
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
            let mut event = account.create_recipient();
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
        let mut event = account.create_recipient();
        event.as_object_mut().unwrap().remove(absent);
        assert!(
            create.invoke(event).await.unwrap()["statusCode"].as_u64().unwrap() < 500,
            "without {absent}"
        );
    }
}

#[tokio::test]
async fn no_random_event_gets_a_500() {
    let account = Arc::new(Account::new().await);
    let generate = Sandbox::start(binary(GENERATE_SECRET), &account.table.url).await;
    let handle = tokio::runtime::Handle::current();
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let headers = prop::collection::btree_map("[!#$%&'*+.^_`|~0-9a-z-]{1,12}", "\\PC{0,20}", 0..4);
    let cases = (any::<String>(), any::<String>(), headers, any::<Option<String>>());
    tokio::task::spawn_blocking(move || {
        TestRunner::new(config)
            .run(&cases, |(path, query, headers, body)| {
                let mut event = account.generate_secret(&path);
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
fn a_variable_that_is_missing_empty_or_malformed_ends_init_with_its_name() {
    let reason = |change: &dyn Fn(&mut Command) -> &mut Command| {
        let mut command = command(binary("issue-token"), "http://127.0.0.1:1");
        change(&mut command);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let log = String::from_utf8(output.stdout).unwrap();
        log.split_once("cannot start: ").unwrap_or_else(|| panic!("{log}")).1.to_owned()
    };
    for needed in [
        "TABLE_NAME",
        "DOCYARD_MODE",
        "AUDIT_RETENTION_DAYS",
        "SUBMISSION_KEY",
        "STAGE",
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ] {
        assert!(reason(&|command| command.env_remove(needed)).starts_with(&format!("{needed} is not set")));
        assert!(reason(&|command| command.env(needed, "")).starts_with(&format!("{needed} is ")));
    }
    for (name, malformed) in [
        ("TABLE_NAME", "a table"),
        ("TABLE_NAME", "t"),
        ("DOCYARD_MODE", "LIVE"),
        ("AUDIT_RETENTION_DAYS", "0"),
        ("AUDIT_RETENTION_DAYS", "65536"),
        ("AUDIT_RETENTION_DAYS", "seven years"),
        ("SUBMISSION_KEY", "thirty-one bytes are too few of"),
        ("AWS_REGION", "Frankfurt (Main)"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "127.0.0.1:8000"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "https://"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "ftp://example.com"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "https://exa mple.com"),
    ] {
        let reason = reason(&|command| command.env(name, malformed));
        assert!(reason.starts_with(&format!("{name} must be ")), "{name}={malformed}: {reason}");
    }
}

#[tokio::test]
async fn an_audit_entry_ends_when_the_deployment_says() {
    let account = Account::new().await;
    let mut command = command(binary(CREATE_RECIPIENT), &account.table.url);
    command.env("AUDIT_RETENTION_DAYS", "30");
    let create = Sandbox::start_command(command).await;
    let (recipient, _) = create.expect(201, account.create_recipient()).await;
    let items = account.table.items().await;
    let is_its = |item: &&trail::Item| {
        trail::is_entry(item) && trail::text(item, "entityId") == recipient["id"].as_str().unwrap()
    };
    let ends: Vec<&String> = items.iter().filter(is_its).map(|item| item["ttl"].as_n().unwrap()).collect();
    let created = Timestamp::parse(recipient["createdAt"].as_str().unwrap()).unwrap();
    let end = created.plus_days(30).unix_seconds_rounded_up().to_string();
    assert_eq!(ends, [&end, &end]);
}

#[tokio::test]
async fn connections_are_opened_before_the_first_event() {
    let account = Account::new().await;
    let (proxy, url) = Proxy::before(&account.table).await;
    let mut keys = BTreeSet::new();
    let mut opened = 0;
    for endpoint in endpoints::all() {
        let _sandbox = Sandbox::start(binary(endpoint.name), &url).await;
        let requests = proxy.take_requests();
        assert_eq!(requests.len(), endpoint.connections, "{}", endpoint.name);
        for request in requests {
            let read = &request["RequestItems"][TABLE];
            assert_ne!(read["ConsistentRead"], true);
            keys.insert(read["Keys"][0]["pk"]["S"].to_string());
            opened += 1;
        }
    }
    assert_eq!(keys.len(), opened, "sandboxes that start at once do not meet on one partition");
}

#[test]
fn a_function_opens_as_many_connections_as_its_requests_use_at_once() {
    let cases = cases::all();
    for endpoint in endpoints::all() {
        let calls = cases.iter().filter(|case| case.endpoint == endpoint.name).filter_map(|case| case.calls);
        let of_dynamodb = |calls: &Calls| calls.iter().filter(|call| !is_of_s3(call)).count();
        let at_once = calls.flatten().map(of_dynamodb).max();
        assert_eq!(endpoint.connections, at_once.unwrap_or_default(), "{}", endpoint.name);
    }
}

#[tokio::test]
async fn a_function_without_the_table_does_not_ask_it() {
    let account = Account::new().await;
    let (proxy, url) = Proxy::before(&account.table).await;
    let health = Sandbox::start(binary("get-health"), &url).await;
    let event = account.request(endpoints::named("get-health"), &[], "", None);
    let (body, _) = health.expect(200, event).await;
    assert_eq!(body, json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}));
    assert!(proxy.take_calls().is_empty());
}

#[tokio::test]
async fn a_request_calls_dynamodb_no_more_than_it_must() {
    let account = Account::new().await;
    let (proxy, url) = Proxy::before(&account.table).await;
    let create = Sandbox::start(binary(CREATE_RECIPIENT), &url).await;
    proxy.take_calls();
    let (recipient, _) = create.expect(201, account.create_recipient()).await;
    assert_eq!(proxy.take_calls(), ["BatchGetItem", "TransactWriteItems"]);
    let mut malformed_id = account.create_recipient();
    malformed_id["pathParameters"]["dockId"] = json!("dock_x");
    create.expect(404, malformed_id).await;
    let requests = proxy.take_requests();
    assert_eq!(requests.len(), 1);
    let keys = requests[0]["RequestItems"][TABLE]["Keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1, "a malformed id is not looked up");

    let generate = Sandbox::start(binary(GENERATE_SECRET), &url).await;
    proxy.take_calls();
    generate.expect(201, account.generate_secret(recipient["id"].as_str().unwrap())).await;
    assert_eq!(proxy.take_calls(), ["BatchGetItem", "Query", "TransactWriteItems"]);
}

/// Whatever is wrong with id or passphrase, the answer and the calls of DynamoDB are the same.
#[tokio::test]
async fn a_wrong_id_and_a_wrong_passphrase_make_the_same_calls() {
    let account = Account::new().await;
    let (proxy, url) = Proxy::before(&account.table).await;
    let scene = Scene::create(&account.table.store, &account.key, Some(&account.dock), "").await;
    let api = Api::new(Context::new(account.table.store.clone(), Mode::Live, Clock::system()));
    let asker = Asker { api: &api, key: &account.key, dock: &account.dock };
    let of_member = [("recipientId", scene.member.as_str())];
    let secret = async |body: Value| asker.ask("generate-secret", &of_member, body).await;
    let id = |secret: &Value| secret["id"].as_str().unwrap().to_owned();
    let value = |secret: &Value| secret["secret"].as_str().unwrap().to_owned();
    let (rotated, revoked) = (secret(json!({"name": "R"})).await, secret(json!({"name": "V"})).await);
    for (endpoint, secret) in [("rotate-secret", &rotated), ("revoke-secret", &revoked)] {
        let secret = id(secret);
        let of = [("recipientId", scene.member.as_str()), ("secretId", secret.as_str())];
        asker.ask(endpoint, &of, Value::Null).await;
    }
    let expired = secret(json!({"name": "E", "expiresInDays": 1})).await;
    account.table.expire(&scene.member, &id(&expired)).await;

    let deleted = asker.mortgagee("deleted@example.com").await;
    let of_deleted = asker.secret(&deleted).await;
    asker.ask("delete-recipient", &[("recipientId", &deleted)], Value::Null).await;

    let sandbox = Sandbox::start(binary("issue-token"), &url).await;
    let endpoint = endpoints::named("issue-token");
    for identifiers in [json!(null), json!({"policy_number": "POL-1"})] {
        let mut seen = BTreeSet::new();
        for (client, passphrase) in [
            ("rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0", scene.passphrase.clone()),
            ("rcp_x", scene.passphrase.clone()),
            ("", scene.passphrase.clone()),
            (&scene.member, String::new()),
            (&scene.member, "wrong".to_owned()),
            (&scene.member, scene.outsider_passphrase.clone()),
            (&scene.member, value(&rotated)),
            (&scene.member, value(&revoked)),
            (&scene.member, value(&expired)),
            (&scene.outsider, scene.passphrase.clone()),
            (&deleted, of_deleted.clone()),
        ] {
            let body = json!({
                "grant_type": "client_credentials", "client_id": client, "client_secret": passphrase,
                "identifiers": identifiers,
            });
            let mut event = account.request(endpoint, &[], "", Some(body));
            event["headers"].as_object_mut().unwrap().remove("authorization");
            proxy.take_requests();
            let (answer, _) = sandbox.expect(401, event).await;
            let mut calls: Vec<String> = proxy.take_requests().iter().map(shape).collect();
            calls.sort();
            seen.insert((answer.to_string(), calls));
        }
        assert_eq!(seen.len(), 1, "{seen:?}");
    }
}

/// A request to DynamoDB but for the recipient that it asks for.
fn shape(request: &Value) -> String {
    let text = request.to_string();
    let mut parts = text.split("rcp_");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |shape, part| format!("{shape}rcp_…{}", &part[26..]))
}

/// A well-formed id for each path parameter of an endpoint.
fn parameters(endpoint: &Endpoint) -> Vec<&'static str> {
    let value = |name| match name {
        "dockId" => "dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0",
        "recipientId" => "rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0",
        "secretId" => "sec_01HQ3K5V7X9ZBDFHKMPRTVXYZ0",
        "certificateId" => "crt_01HQ3K5V7X9ZBDFHKMPRTVXYZ0",
        "policyId" => "pol_01HQ3K5V7X9ZBDFHKMPRTVXYZ0",
        "groupId" => "grp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0",
        "artifactId" => "art_01HQ3K5V7X9ZBDFHKMPRTVXYZ0",
        "jobId" => "job_01HQ3K5V7X9ZBDFHKMPRTVXYZ0",
        "version" => "1",
        "entityType" => "recipient",
        "entityId" => "rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0",
        other => panic!("name an id of the kind {other} here"),
    };
    endpoint.route.parameters().map(value).collect()
}

#[tokio::test]
async fn what_cannot_be_a_key_of_this_deployment_costs_no_read() {
    let account = Account::new().await;
    let test_key = docyard_core::model::api_key::ApiKey::generate(
        docyard_core::model::api_key::Mode::Test,
        &mut docyard_core::values::random::system(),
    );
    let headers =
        [String::new(), format!("Bearer {}x", account.key), format!("Bearer {}", test_key.expose())];
    let endpoints = endpoints::all().filter(|endpoint| !endpoint.credentials.is_empty());
    for_each(endpoints, async |endpoint| {
        let (proxy, url) = Proxy::before(&account.table).await;
        let sandbox = Sandbox::start(binary(endpoint.name), &url).await;
        proxy.take_calls();
        for header in &headers {
            let mut event = account.request(endpoint, &parameters(endpoint), "", None);
            event["headers"]["authorization"] = json!(header);
            sandbox.expect(401, event).await;
        }
        assert!(proxy.take_calls().is_empty(), "{}", endpoint.name);
    })
    .await;
}

/// The event of a request with a key that is well-formed and unknown.
fn with_unknown_key(mut event: Value) -> Value {
    let mode = docyard_core::model::api_key::Mode::Live;
    let key =
        docyard_core::model::api_key::ApiKey::generate(mode, &mut docyard_core::values::random::system());
    event["headers"]["authorization"] = json!(format!("Bearer {}", key.expose()));
    event
}

#[tokio::test]
async fn a_refused_key_is_answered_without_waiting_for_anything_else() {
    let account = Account::new().await;
    let (recipient, _) = account.recipient_with_secret("a@example.com").await;
    let live = docyard_core::model::api_key::Mode::Live;
    let expired = docyard_core::values::clock::Clock::system().now();
    let expired = account.table.key_with(account.table.account().await, live, Some(expired)).await;
    for (name, thing) in [("list-recipients", &account.dock), ("verify-secret", &recipient)] {
        let (proxy, url) = Proxy::before(&account.table).await;
        let endpoint = endpoints::named(name);
        let sandbox = Sandbox::start(binary(name), &url).await;
        let event = || account.request(endpoint, &[thing], "", None);
        let mut with_expired_key = event();
        with_expired_key["headers"]["authorization"] = json!(format!("Bearer {expired}"));
        for event in [with_unknown_key(event()), with_expired_key] {
            proxy.take_calls();
            // No answer ever comes to the Query. Whoever waits for one asks again and again.
            proxy.expect("Query", [SilenceBefore; 50]);
            sandbox.expect(401, event).await;
            let queries = proxy.take_calls().into_iter().filter(|call| call == "Query").count();
            assert!(queries <= 1, "{name}: {queries}");
        }
    }
}

#[tokio::test]
async fn a_large_page_is_read_only_for_its_owner() {
    let account = Account::new().await;
    let (recipient, _) = account.recipient_with_secret("a@example.com").await;
    let key = account.table.key(account.table.account().await).await;
    let after = |reads: &[Calls]| [&[&["BatchGetItem"][..]], reads].concat();
    for (name, thing, groups) in [
        ("list-recipients", &account.dock, after(&[&["Query"]])),
        ("list-secrets", &recipient, after(&[&["Query"], &["Query"]])),
    ] {
        let (proxy, url) = Proxy::before(&account.table).await;
        let endpoint = endpoints::named(name);
        let sandbox = Sandbox::start(binary(name), &url).await;
        for query in ["limit=1000", "limit=101"] {
            let event = || account.request(endpoint, &[thing], query, None);
            let mut anothers = event();
            anothers["headers"]["authorization"] = json!(format!("Bearer {key}"));
            for (status, event) in [(401, with_unknown_key(event())), (404, anothers)] {
                proxy.take_calls();
                sandbox.expect(status, event).await;
                let calls = proxy.take_calls();
                assert!(!calls.contains(&"Query".to_owned()), "{name}?{query}, {status}: {calls:?}");
            }
            proxy.expect_calls(&groups);
            sandbox.expect(200, event()).await;
            proxy.assert_calls_made(name);
        }
    }
}

#[tokio::test]
async fn a_throttled_table_is_not_asked_many_times_over() {
    let account = Account::new().await;
    let (recipient, secret) = account.recipient_with_secret("a@example.com").await;
    let throttled = InjectedFault::Canceled(&["ThrottlingError", "None"]);
    for (name, operation, fault, at_most) in [
        (CREATE_RECIPIENT, "TransactWriteItems", throttled, 4),
        (CREATE_RECIPIENT, "TransactWriteItems", Refused("ThrottlingException"), 4),
        ("get-secret", "BatchGetItem", Unprocessed, 3),
    ] {
        let (proxy, url) = Proxy::before(&account.table).await;
        let sandbox = Sandbox::start(binary(name), &url).await;
        let endpoint = endpoints::named(name);
        let event = match name {
            CREATE_RECIPIENT => account.create_recipient(),
            _ => account.request(endpoint, &[&recipient, &secret], "", None),
        };
        proxy.expect(operation, [fault; 50]);
        proxy.take_calls();
        sandbox.expect(503, event).await;
        let calls = proxy.take_calls().into_iter().filter(|call| call == operation).count();
        assert_eq!(calls, at_most, "{name}, {fault:?}");
    }
}

#[tokio::test]
async fn a_sandbox_that_meets_little_but_throttles_tries_less_often() {
    let account = Account::new().await;
    let (proxy, url) = Proxy::before(&account.table).await;
    let sandbox = Sandbox::start(binary(CREATE_RECIPIENT), &url).await;
    let throttled = InjectedFault::Canceled(&["ThrottlingError", "None"]);
    for _ in 0..30 {
        proxy.expect("TransactWriteItems", [throttled; 50]);
        proxy.take_calls();
        sandbox.expect(503, account.create_recipient()).await;
        if proxy.take_calls().into_iter().filter(|call| call == "TransactWriteItems").count() <= 2 {
            return;
        }
    }
    panic!("after 30 throttled requests it still tries as often");
}

#[tokio::test]
async fn a_recipient_whose_email_keeps_moving_is_looked_for_with_pauses() {
    let account = Account::new().await;
    let (recipient, _) = account.recipient_with_secret("a@example.com").await;
    // A pointer to a place where another recipient is: what a reader meets while emails change hands.
    account.recipient_with_secret("b@example.com").await;
    let client = &account.table.client;
    let pointer = client.update_item().table_name(docyard_test_support::table::TABLE);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let pointer = pointer.key("pk", text(&format!("RECIPIENT#{recipient}"))).key("sk", text("RECIPIENT"));
    let pointer = pointer.update_expression("SET email = :email");
    pointer.expression_attribute_values(":email", text("b@example.com")).send().await.unwrap();

    let times = Arc::new(std::sync::Mutex::new(Vec::new()));
    let called = times.clone();
    let decide = move |_: &str| {
        called.lock().unwrap().push(std::time::Instant::now());
        None
    };
    let store = docyard_test_support::faulty_client::store(&account.table.url, Arc::new(decide));
    let id = docyard_core::values::id::RecipientId::parse(&recipient).unwrap();
    let at = store.recipient_pointer(id).await.unwrap().unwrap();
    assert!(store.recipient(id, at).await.is_err());
    let times = times.lock().unwrap();
    let (first, last) = (times.first().unwrap(), times.last().unwrap());
    assert_eq!(times.len(), 16, "eight tries");
    assert!(last.duration_since(*first) > Duration::from_millis(100), "it pauses, longer each time");
}

#[tokio::test]
async fn a_transient_fault_is_not_noticed() {
    let account = Account::new().await;
    let (proxy, url) = Proxy::before(&account.table).await;
    let create = Sandbox::start(binary(CREATE_RECIPIENT), &url).await;
    for (n, (operation, fault)) in [
        ("BatchGetItem", vec![Refused("ProvisionedThroughputExceededException")]),
        ("BatchGetItem", vec![AnswerLost, AnswerLost]),
        ("TransactWriteItems", vec![Refused("ThrottlingException"); 2]),
        ("TransactWriteItems", vec![CONFLICT; 3]),
        ("TransactWriteItems", vec![Refused("TransactionInProgressException")]),
        ("TransactWriteItems", vec![AnswerLost]),
        ("TransactWriteItems", vec![AnswerLost, CONFLICT]),
        ("TransactWriteItems", vec![SilenceBefore]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut event = account.create_recipient();
        event["body"] = json!(json!({"name": "A", "email": format!("a{n}@example.com")}).to_string());
        let shown = format!("{fault:?}");
        proxy.expect(operation, fault);
        create.expect(201, event).await;
        assert!(proxy.script.lock().unwrap()[operation].is_empty(), "{shown} happened");
        let (recipients, pointers) = account.table.recipients().await;
        assert_eq!(
            (recipients.len(), &recipients),
            (n + 1, &pointers),
            "{shown} on {operation}: written once"
        );
    }
}

/// How long the first request after a freeze took, in milliseconds, in which so many connections died; if the machine was
/// busy, the best of three.
async fn after_a_freeze(name: &str, death: Death, count: usize, has_served: bool) -> f64 {
    let account = Account::new().await;
    let mut relay = Relay::before(&account.table).await;
    let sandbox = Sandbox::start(binary(name), &relay.url).await;
    let case = cases::all().into_iter().find(|case| case.endpoint == name).unwrap();
    let things = Things::create(&account, &case, THERE).await;
    let mut best = f64::MAX;
    for n in 0..3 {
        if has_served || n > 0 {
            sandbox.expect(case.status, case.event(&account, &things, 2 * n)).await;
        }
        sandbox.freeze(Duration::from_millis(1100), || relay.kill(death, count)).await;
        sandbox.expect(case.status, case.event(&account, &things, 2 * n + 1)).await;
        let (lines, _) = sandbox.request_and_metric_lines();
        best = best.min(lines.last().unwrap()["milliseconds"].as_f64().unwrap());
        if best < ATTEMPT {
            break;
        }
    }
    best
}

/// How long one attempt at a call may take over a connection that is not doubted, in milliseconds.
const ATTEMPT: f64 = 2000.0;

#[tokio::test]
async fn connections_that_died_in_a_freeze_are_not_waited_for_as_long_as_others() {
    let mut freezes = Vec::new();
    // One call after the other, and several at once.
    for name in ["create-dock", CREATE_RECIPIENT, "list-secrets"] {
        for death in [Death::Silent, Death::Reset] {
            freezes.extend([(name, death, 9, true), (name, death, 1, true), (name, death, 9, false)]);
        }
    }
    for_each(freezes, async |(name, death, count, has_served)| {
        let milliseconds = after_a_freeze(name, death, count, has_served).await;
        assert!(milliseconds < ATTEMPT, "{name}, {death:?} of {count}, {has_served}: {milliseconds}");
    })
    .await;
}

#[tokio::test]
async fn a_refused_key_costs_no_connection() {
    let account = Account::new().await;
    let relay = Relay::before(&account.table).await;
    let sandbox = Sandbox::start(binary("list-recipients"), &relay.url).await;
    let event = || account.request(endpoints::named("list-recipients"), &[&account.dock], "", None);
    sandbox.expect(200, event()).await;
    let before = relay.opened();
    for _ in 0..20 {
        sandbox.expect(401, with_unknown_key(event())).await;
    }
    sandbox.expect(200, event()).await;
    // Where the machine is busy, a read may take longer than it is waited for.
    assert!(relay.opened() < before + 10, "{} and then {}", before, relay.opened());
}

#[tokio::test]
async fn a_lasting_fault_gets_a_503_and_leaves_nothing_half_done() {
    let account = Account::new().await;
    let (proxy, url) = Proxy::before(&account.table).await;
    let create = Sandbox::start(binary(CREATE_RECIPIENT), &url).await;
    for (operation, fault) in [
        ("BatchGetItem", Refused("ThrottlingException")),
        ("BatchGetItem", Refused("InternalServerError")),
        ("TransactWriteItems", Refused("RequestLimitExceeded")),
        ("TransactWriteItems", CONFLICT),
    ] {
        proxy.expect(operation, [fault; 50]);
        let (body, headers) = create.expect(503, account.create_recipient()).await;
        assert_eq!(body["error"], "Service Unavailable");
        assert_eq!(headers["retry-after"], "1");
        assert_eq!(account.table.recipients().await, (vec![], vec![]), "{fault:?} on {operation}");
        proxy.expect(operation, []);
    }
    create.expect(201, account.create_recipient()).await;
}

#[tokio::test]
async fn without_a_database_a_function_starts_and_answers_503() {
    let account = Account::new().await;
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", nowhere.local_addr().unwrap());
    drop(nowhere);
    let generate = Sandbox::start(binary(GENERATE_SECRET), &url).await;
    let (_, headers) = generate.expect(503, account.generate_secret("rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0")).await;
    assert_eq!(headers["retry-after"], "1");
}

#[tokio::test]
async fn a_defect_gets_a_500_whose_cause_is_in_the_log_alone() {
    let account = Account::new().await;
    let (proxy, url) = Proxy::before(&account.table).await;
    let create = Sandbox::start(binary(CREATE_RECIPIENT), &url).await;
    proxy.expect("TransactWriteItems", [Refused("AccessDeniedException")]);
    let (body, headers) = create.expect(500, account.create_recipient()).await;
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
    assert!(!log.contains(IN_MESSAGE), "what DynamoDB says may hold a caller's data");
}

#[tokio::test]
async fn every_endpoint_overcomes_transient_faults() {
    let cases = cases::of_every_endpoint("with transient faults", |case| !case.overcomes.is_empty());
    for_each(cases, async |case| {
        let account = Account::new().await;
        let things = Things::create(&account, &case, THERE).await;
        let (proxy, url) = Proxy::before(&account.table).await;
        let sandbox = Sandbox::start(binary(case.endpoint), &url).await;
        for (operation, faults) in &case.overcomes {
            proxy.expect(operation, faults.clone());
        }
        sandbox.expect(case.status, case.event(&account, &things, 0)).await;
        let left: usize = proxy.script.lock().unwrap().values().map(VecDeque::len).sum();
        assert_eq!(left, 0, "{} met all its faults", case.name());
        let (recipients, pointers) = account.table.recipients().await;
        assert_eq!(recipients, pointers, "{}", case.name());
    })
    .await;
}

/// S3 says 404 of an object that is missing to who may list the bucket, and 403 to others.
#[tokio::test]
async fn a_content_is_missing_whether_s3_says_so_by_404_or_403_and_nothing_else_is_taken_for_that() {
    let account = Account::new().await;
    let uploaded = Artifacts::of(&account, "a").await.uploaded;
    let endpoint = endpoints::named("complete-artifact");
    let (proxy, url) = Proxy::before(&account.table).await;
    let sandbox = Sandbox::start(binary(endpoint.name), &url).await;
    let event = || account.request(endpoint, &[&account.dock, &uploaded], "", None);
    for (told, status) in [(403, 409), (404, 409), (301, 500), (400, 500), (500, 503), (503, 503)] {
        proxy.expect("HeadObject", [Status(told); 3]);
        sandbox.expect(status, event()).await;
    }
    proxy.expect("HeadObject", []);
    sandbox.expect(200, event()).await;
}

#[tokio::test]
async fn a_deletion_is_done_or_not_and_can_be_repeated() {
    let endpoint = endpoints::named("delete-recipient");
    let lasting = |fault: InjectedFault| vec![fault; 50];
    for (operation, faults) in [
        ("BatchGetItem", lasting(Refused("ThrottlingException"))),
        ("TransactWriteItems", lasting(CONFLICT)),
        // All is done, and no answer comes.
        ("TransactWriteItems", [vec![AnswerLost], lasting(Refused("ThrottlingException"))].concat()),
    ] {
        let account = Account::new().await;
        let (recipient, _) = account.recipient_with_secret("a@example.com").await;
        let (proxy, url) = Proxy::before(&account.table).await;
        let sandbox = Sandbox::start(binary(endpoint.name), &url).await;
        let event = || account.request(endpoint, &[&account.dock, &recipient], "", None);
        let shown = format!("{operation} {:?}", faults[0]);
        proxy.expect(operation, faults);
        sandbox.expect(503, event()).await;
        let (recipients, pointers) = account.table.recipients().await;
        assert_eq!(recipients, pointers, "{shown}: wholly there or wholly gone");
        proxy.expect(operation, []);
        sandbox.expect(if recipients.is_empty() { 404 } else { 200 }, event()).await;
        assert_eq!(account.table.recipients().await, (vec![], vec![]), "{shown}");
        let create = Sandbox::start(binary(CREATE_RECIPIENT), &account.table.url).await;
        let mut again = account.create_recipient();
        again["body"] = json!(json!({"name": "A", "email": "a@example.com"}).to_string());
        create.expect(201, again).await;
    }
}
