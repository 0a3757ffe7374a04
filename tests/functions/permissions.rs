//! What each function's role allows, against the calls that its binary was observed to make.

use std::collections::BTreeSet;

use docyard_functions::endpoints;
use docyard_test_support::account::Account;
use docyard_test_support::cases::{self, THERE, Things};
use docyard_test_support::proxy::Proxy;
use docyard_test_support::sandbox::Sandbox;
use docyard_test_support::{binary, for_each};
use serde_json::json;

use super::template::{OPERATIONS, Permissions, functions, permissions, template};

/// Makes an endpoint do everything it can do; the operations it called and the permissions they need.
async fn observe(endpoint: &str) -> (Vec<String>, Permissions) {
    let account = Account::new().await;
    let (proxy, url) = Proxy::before(&account.table).await;
    let sandbox = Sandbox::start(binary(endpoint), &url).await;
    for (n, case) in cases::all().into_iter().filter(|case| case.endpoint == endpoint).enumerate() {
        let things = Things::create(&account, &case, &format!("{n}-{THERE}")).await;
        let mut event = case.event(&account, &things, 0);
        let Some(repeated) = case.repeated_with_key else {
            sandbox.expect(case.status, event).await;
            continue;
        };
        event["headers"]["idempotency-key"] = json!(format!("k{n}"));
        sandbox.expect(case.status, event.clone()).await;
        sandbox.expect(repeated, event).await;
    }
    (proxy.calls(), proxy.take_actions())
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
        called.lock().unwrap().extend(calls);
    })
    .await;
    let watched: BTreeSet<String> = OPERATIONS.iter().map(|&operation| operation.to_owned()).collect();
    assert_eq!(called.into_inner().unwrap(), watched, "what the alarm on system errors watches");
}
