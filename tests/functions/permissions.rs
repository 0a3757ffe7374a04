//! What each function's role allows, against the calls that its binary was observed to make.

use std::collections::BTreeSet;

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::Clock;
use docyard_functions::{endpoints, worker};
use docyard_test_support::account::Account;
use docyard_test_support::api::Api;
use docyard_test_support::cases::{self, THERE, Things};
use docyard_test_support::fault::is_of_s3;
use docyard_test_support::proxy::Proxy;
use docyard_test_support::retrieved::{self, Retrieved};
use docyard_test_support::sandbox::Sandbox;
use docyard_test_support::scene::{Asker, Scene};
use docyard_test_support::{binary, for_each, iam, stream};
use serde_json::json;

use super::template::{OPERATIONS, Permissions, WORKER, functions, permissions, template};

/// Makes an endpoint do everything it can do; the operations it called and the permissions they need.
///
/// An address that it signs is a call too, by who gets it.
async fn observe(endpoint: &str) -> (Vec<String>, Permissions) {
    let account = Account::new().await;
    let (proxy, url) = Proxy::before(&account.table).await;
    let sandbox = Sandbox::start(binary(endpoint), &url).await;
    let mut signed = Permissions::new();
    for (n, case) in cases::all().into_iter().filter(|case| case.endpoint == endpoint).enumerate() {
        let things = Things::create(&account, &case, &format!("{n}-{THERE}")).await;
        let mut event = case.event(&account, &things, 0);
        if case.repeated_with_key.is_some() {
            event["headers"]["idempotency-key"] = json!(format!("k{n}"));
        }
        let (body, headers) = sandbox.expect(case.status, event.clone()).await;
        signed
            .extend(iam::signed_actions(&body).into_iter().chain(iam::signed_actions(&headers["location"])));
        if let Some(repeated) = case.repeated_with_key {
            sandbox.expect(repeated, event).await;
        }
    }
    let calls = proxy.calls();
    (calls, proxy.take_actions().into_iter().chain(signed).collect())
}

#[test]
fn no_role_may_update_or_delete_an_audit_entry_and_only_those_of_its_lists_read_any() {
    let template = template();
    let mut writers = 0;
    for (endpoint, (name, function)) in functions(&template) {
        let permissions = permissions(function);
        let of_trail = |partition: &str| -> BTreeSet<String> {
            let allowed = permissions.iter().filter(|(_, on)| on == partition || on == "*");
            allowed.map(|(action, _)| action.trim_start_matches("dynamodb:").to_owned()).collect()
        };
        let (of_dock, of_entity) = (of_trail("AUDIT#*"), of_trail("AUDIT_ENTITY#*"));
        let query = BTreeSet::from(["Query".to_owned()]);
        match endpoint.as_str() {
            "list-audit-logs" => assert_eq!((of_dock, of_entity), (query, BTreeSet::new())),
            "list-entity-audit-logs" => assert_eq!((of_dock, of_entity), (BTreeSet::new(), query)),
            _ => {
                assert!(of_dock.is_empty() || of_dock == BTreeSet::from(["PutItem".to_owned()]), "{name}");
                assert_eq!(of_dock, of_entity, "{name}");
                writers += usize::from(!of_dock.is_empty());
            }
        }
    }
    assert!(writers > 8, "{writers}");
}

/// Makes the worker do everything it can do; the operations of DynamoDB that it called. What it may do it does.
async fn observe_worker() -> Vec<String> {
    let account = Account::new().await;
    let (proxy, url) = Proxy::before(&account.table).await;
    let sandbox = Sandbox::start(binary(worker::NAME), &url).await;
    let mut records = stream::cleanups(&account).await.records;
    let scene = Scene::create(&account.table.store, &account.key, None, "of-a-job-").await;
    records.push(retrieved::record(&Retrieved::of(&account, &scene).await.open_job));
    records.push(retrieved::record(&named_job(&account, &scene).await));
    assert_eq!(sandbox.invoke(stream::event(&records)).await.unwrap()["batchItemFailures"], json!([]));
    sandbox.invoke(stream::schedule()).await.unwrap();
    let calls = proxy.calls();
    let needed = proxy.take_actions();
    let template = template();
    let policy = &template["Resources"][WORKER]["Properties"]["Policies"][0];
    assert_eq!(super::template::allowed(policy), needed, "the worker");
    calls.into_iter().filter(|call| !is_of_s3(call)).collect()
}

/// A job of a named artifact, which has not begun.
async fn named_job(account: &Account, scene: &Scene) -> String {
    let api = Api::new(Context::new(account.table.store.clone(), Mode::Live, Clock::system()));
    let asker = Asker { api: &api, key: &account.key, dock: &scene.dock };
    let body = json!({
        "dockId": scene.dock, "recipientId": scene.member, "artifactIds": ["art_01HQ3K5V7X9ZBDFHKMPRTVXYZ0"],
    });
    asker.create("create-retrieval-job", &[], body).await
}

#[tokio::test]
async fn a_function_may_do_what_its_code_does_and_nothing_else() {
    let template = template();
    let functions = functions(&template);
    let called = std::sync::Mutex::new(BTreeSet::new());
    cases::of_every_endpoint("that makes it do all it can", |_| true);
    for_each(endpoints::all(), async |endpoint| {
        let (calls, needed) = observe(endpoint.name).await;
        let (name, function) = functions[endpoint.name];
        assert_eq!(permissions(function), needed, "{name}");
        called.lock().unwrap().extend(calls.into_iter().filter(|call| !is_of_s3(call)));
    })
    .await;
    let called_by_worker = observe_worker().await;
    called.lock().unwrap().extend(called_by_worker);
    let watched: BTreeSet<String> = OPERATIONS.iter().map(|&operation| operation.to_owned()).collect();
    assert_eq!(called.into_inner().unwrap(), watched, "what the alarm on system errors watches");
}
