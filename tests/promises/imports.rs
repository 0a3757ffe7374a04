//! Many recipients at once over a table that throttles: each row is done or told, and sent again all are there, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::Clock;
use docyard_test_support::account::Account;
use docyard_test_support::api::Api;
use docyard_test_support::fault::InjectedFault;
use docyard_test_support::{faulty_client, trail};
use serde_json::{Value, json};

#[tokio::test]
async fn a_table_that_throttles_slows_an_import_down_and_loses_no_row() {
    let account = Account::new().await;
    let calls = AtomicUsize::new(0);
    // Also lost answers, after which the row is there and its request says that it may not be.
    let decide = move |operation: &str| {
        let n = calls.fetch_add(1, Ordering::SeqCst);
        // In no period.
        let fault = match ((n * 2_654_435_761) >> 8) % 10 {
            0..7 => InjectedFault::Refused("ThrottlingException"),
            7 => InjectedFault::HalfAnswer,
            _ => return None,
        };
        (operation == "TransactWriteItems").then_some(fault)
    };
    let store = faulty_client::store(&account.table.url, Arc::new(decide));
    let api = Api::new(Context::new(store, Mode::Live, Clock::system()));
    let headers = [("authorization", format!("Bearer {}", account.key))];
    let mut waiting: Vec<Value> =
        (0..40).map(|n| json!({"name": format!("N{n}"), "email": format!("l{n}@example.com")})).collect();
    let (mut there, mut rounds) = (0, 0);
    while !waiting.is_empty() {
        let body = json!({ "recipients": waiting }).to_string();
        let of = [("dockId", account.dock.as_str())];
        let reply = api.ask("create-recipient-batch", &of, "", &headers, Some(body)).await;
        assert_eq!(reply.status, 200, "{}", reply.shown());
        there += reply.body["recipients"].as_array().unwrap().len();
        let errors = reply.body["errors"].as_array().unwrap();
        assert!(errors.iter().all(|error| error["status"] == 503), "{}", reply.shown());
        let place = |error: &Value| usize::try_from(error["row"].as_u64().unwrap()).unwrap();
        waiting = errors.iter().map(|error| waiting[place(error)].clone()).collect();
        rounds += 1;
        assert!(rounds < 100, "it gets on");
    }
    assert!(rounds > 1, "some had to wait");
    assert_eq!((there, account.table.recipients().await.0.len()), (40, 40));
    trail::assert_explains(&account.table).await;
}

/// More rows than there is time for: what is not tried is told, and nothing is half a recipient.
#[tokio::test]
async fn what_was_not_tried_before_the_time_ran_out_is_an_error_of_its_row() {
    // More than slow writes get through in time, and few enough for a slow machine afterwards.
    const ROWS: usize = 400;
    let account = Account::new().await;
    let is_slow = Arc::new(AtomicBool::new(true));
    let decide = {
        let is_slow = is_slow.clone();
        move |operation: &str| {
            let is_slow = is_slow.load(Ordering::SeqCst) && operation == "TransactWriteItems";
            is_slow.then_some(InjectedFault::Slow(800, 0))
        }
    };
    let store = faulty_client::store(&account.table.url, Arc::new(decide));
    let api = Api::new(Context::new(store, Mode::Live, Clock::system()));
    let rows: String = (0..ROWS).map(|n| format!("N{n},l{n}@example.com\n")).collect();
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a.csv\"";
    let body = format!("--b\r\n{head}\r\n\r\nname,email\n{rows}\r\n--b--\r\n");
    let headers = [
        ("authorization", format!("Bearer {}", account.key)),
        ("content-type", "multipart/form-data; boundary=b".to_owned()),
    ];
    let import = async || {
        let of = [("dockId", account.dock.as_str())];
        let reply = api.ask("import-recipients", &of, "", &headers, Some(body.clone())).await;
        assert_eq!(reply.status, 200, "{}", reply.shown());
        reply.body
    };
    let first = import().await;
    let errors = first["errors"].as_array().unwrap();
    let created = account.table.recipients().await.0.len();
    assert!(created > 0 && !errors.is_empty());
    assert_eq!((&first["success"], &first["failed"]), (&json!(created), &json!(ROWS - created)));
    assert!(errors.iter().all(|error| error["status"] == 503));
    is_slow.store(false, Ordering::SeqCst);
    let again = import().await;
    assert_eq!((&again["existing"], &again["success"]), (&json!(created), &json!(ROWS - created)));
    assert_eq!(account.table.recipients().await.0.len(), ROWS);
}
