//! What a request costs: how many calls of DynamoDB follow one another, and how many capacity units they take; by case,
//! and whatever else the table holds.

use docyard_core::store::SecretRevocation;
use docyard_core::values::clock::Clock;
use docyard_core::values::id::{RecipientId, SecretId};
use docyard_core::values::random;
use docyard_functions::endpoints;
use docyard_test_support::account::Account;
use docyard_test_support::costs::{self, Units};
use docyard_test_support::import::item;
use docyard_test_support::proxy::Proxy;
use docyard_test_support::sandbox::Sandbox;
use docyard_test_support::scene::Scene;
use docyard_test_support::table::operator;
use docyard_test_support::{binary, read};
use serde_json::json;

/// Sends each case's request to the function's binary, with its calls as budgeted; the rows of the document on costs.
async fn measure(account: &Account) -> Vec<(String, Units)> {
    let measured = costs::measure(account, async |case, url, event, proxy| {
        let sandbox = Sandbox::start(binary(case.endpoint), url).await;
        proxy.take_units();
        proxy.take_calls();
        proxy.expect_calls(case.calls.unwrap_or_default());
        sandbox.expect(case.status, event).await;
        let (logged, _) = sandbox.request_and_metric_lines();
        let (read, write) = proxy.units();
        assert_eq!(
            (&logged[0]["round_trips"], &logged[0]["read_units"], &logged[0]["write_units"]),
            (&json!(case.calls.unwrap_or_default().len()), &json!(read), &json!(write)),
            "what is logged of {}",
            case.name()
        );
    });
    measured.await.into_iter().map(|(case, units)| (costs::row(&case, units), units)).collect()
}

#[tokio::test]
async fn every_request_makes_just_the_calls_of_its_budget_and_costs_what_the_document_says() {
    let document = read("docs/costs.md");
    for (row, _) in measure(&Account::new().await).await {
        assert!(document.contains(&row), "docs/costs.md is stale: it lacks {row}");
    }
}

#[tokio::test]
async fn a_request_costs_the_same_in_a_dock_of_a_hundred_thousand() {
    let small = Account::new().await;
    let large = Account::new().await;
    for (account, count) in [(&small, 10), (&large, 100_000)] {
        account.import_recipients(count).await;
        account.import_artifacts(count).await;
    }
    assert_eq!(measure(&small).await, measure(&large).await);
}

#[tokio::test]
async fn a_request_costs_the_same_with_5000_retired_secrets() {
    let account = Account::new().await;
    let (proxy, url) = Proxy::before(&account.table).await;
    let (fresh, _) = account.recipient_with_secret("a@example.com").await;
    let (old, secret) = account.recipient_with_secret("b@example.com").await;
    account.add_secrets(&old, 1).await;
    let now = Clock::system().now();
    let id = SecretId::parse(&secret).unwrap();
    let found = account.table.store.secret(RecipientId::parse(&old).unwrap(), id).await.unwrap().unwrap();
    let entry = || found.secret.revoked(found.dock).by(&operator(found.account), now);
    let revoked = account.table.store.revoke_secret(found.secret.clone(), entry, now).await.unwrap();
    assert_eq!(revoked, SecretRevocation::Revoked);
    let items = account.table.items().await;
    let is_retired = |sk: &str| sk.starts_with("SECRET_RETIRED#");
    let retired = items.iter().find(|item| is_retired(item["sk"].as_s().unwrap())).unwrap();
    let copies = (0..5000).map(|_| {
        let copy = SecretId::generate(now, &mut random::system()).to_string();
        item(retired, &|text: &str| text.replace(&secret, &copy))
    });
    account.table.import(copies.collect());
    for (function, body) in
        [("verify-secret", json!({"secret": "x"})), ("generate-secret", json!({"name": "S"}))]
    {
        let endpoint = endpoints::named(function);
        let sandbox = Sandbox::start(binary(function), &url).await;
        let mut units = Vec::new();
        for recipient in [&fresh, &old] {
            proxy.take_units();
            let event = account.request(endpoint, &[recipient], "", Some(body.clone()));
            sandbox.expect(if function == "verify-secret" { 200 } else { 201 }, event).await;
            units.push(proxy.take_units());
        }
        assert_eq!(units[0], units[1], "{function}");
    }
}

#[tokio::test]
async fn a_page_of_the_trail_costs_the_same_with_100_000_entries() {
    let mut units = Vec::new();
    for count in [10, 10_000, 100_000] {
        let account = Account::new().await;
        let recipient = account.import_entries(count).await;
        let (proxy, url) = Proxy::before(&account.table).await;
        let dock = format!("dockId={}&limit=10", account.dock);
        let filtered = format!("{dock}&action=delete");
        let mut of_count = Vec::new();
        for (function, parameters, query) in [
            ("list-audit-logs", vec![], dock.as_str()),
            ("list-entity-audit-logs", vec!["recipient", recipient.as_str()], "limit=10"),
            ("list-audit-logs", vec![], &filtered),
        ] {
            let sandbox = Sandbox::start(binary(function), &url).await;
            proxy.take_units();
            proxy.take_calls();
            let event = account.request(endpoints::named(function), &parameters, query, None);
            let (page, _) = sandbox.expect(200, event).await;
            let is_filtered = query.contains("action");
            assert_eq!(page.as_array().unwrap().len(), if is_filtered { 0 } else { 10 });
            of_count.push((proxy.take_calls().len(), proxy.take_units()));
        }
        units.push(of_count);
    }
    assert_eq!(units[0][..2], units[1][..2]);
    assert_eq!(units[1], units[2], "also of a page that finds nothing");
}

#[tokio::test]
async fn a_group_of_100_000_costs_what_a_group_of_ten_does() {
    let mut costs = Vec::new();
    for count in [10, 100_000] {
        let account = Account::new().await;
        let dock = account.dock.clone();
        let scene = Scene::create(&account.table.store, &account.key, Some(&dock), "").await;
        let recipients = account.import_recipients(count).await;
        account.import_members(&scene.group, &scene.member, &recipients).await;
        let (proxy, url) = Proxy::before(&account.table).await;
        let of_outsider = json!({"recipientIds": [scene.outsider]});
        let evaluation = json!({
            "subject": {"type": "recipient", "id": scene.member}, "action": {"name": "bulk_api"},
            "resource": {"type": "dock"}, "context": {"factors": ["shared_passphrase"]},
        });
        let mut of_count = Vec::new();
        for (function, query, body) in [
            ("add-group-recipients", "", Some(of_outsider.clone())),
            ("remove-group-recipients", "", Some(of_outsider)),
            ("list-group-recipients", "limit=10", None),
            ("evaluate-access", "", Some(evaluation)),
        ] {
            let sandbox = Sandbox::start(binary(function), &url).await;
            proxy.take_units();
            proxy.take_calls();
            let parameters = [dock.as_str(), &scene.group];
            let (answer, _) = sandbox
                .expect(200, account.request(endpoints::named(function), &parameters, query, body))
                .await;
            assert!(answer["decision"].as_bool().is_none_or(|decision| decision), "a member is let in");
            of_count.push((function, proxy.take_calls().len(), proxy.take_units()));
        }
        costs.push(of_count);
    }
    assert_eq!(costs[0], costs[1]);
}
