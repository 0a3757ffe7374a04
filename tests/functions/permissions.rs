//! What each function's role allows, against the calls that its binary was observed to make.

use std::collections::BTreeSet;

use docyard_functions::{endpoints, worker};
use docyard_test_support::account::Account;
use docyard_test_support::cases::{self, THERE, Things};
use docyard_test_support::fault::is_of_s3;
use docyard_test_support::proxy::Proxy;
use docyard_test_support::sandbox::Sandbox;
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
        let Some(repeated) = case.repeated_with_key else {
            signed.extend(iam::signed_actions(&sandbox.expect(case.status, event).await.0));
            continue;
        };
        event["headers"]["idempotency-key"] = json!(format!("k{n}"));
        signed.extend(iam::signed_actions(&sandbox.expect(case.status, event.clone()).await.0));
        sandbox.expect(repeated, event).await;
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
    let event = stream::event(&stream::cleanups(&account).await.records);
    assert_eq!(sandbox.invoke(event).await.unwrap()["batchItemFailures"], json!([]));
    sandbox.invoke(json!({"source": "aws.events", "detail-type": "Scheduled Event"})).await.unwrap();
    let calls = proxy.calls();
    let needed = proxy.take_actions();
    let template = template();
    let policy = &template["Resources"][WORKER]["Properties"]["Policies"][0];
    assert_eq!(super::template::allowed(policy), needed, "the worker");
    calls.into_iter().filter(|call| !is_of_s3(call)).collect()
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
