//! Many recipients at once: each row stands alone, and a request can be repeated whole.

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::Clock;
use docyard_test_support::account::Account;
use docyard_test_support::api::{Api, Reply};
use docyard_test_support::trail;
use serde_json::{Value, json};

struct World {
    account: Account,
    api: Api,
}

impl World {
    async fn new() -> Self {
        let account = Account::new().await;
        let api = Api::new(Context::new(account.table.store.clone(), Mode::Live, Clock::system()));
        Self { account, api }
    }

    async fn ask(&self, endpoint: &str, query: &str, media_type: &str, body: String) -> Reply {
        let headers = [
            ("authorization", format!("Bearer {}", self.account.key)),
            ("content-type", media_type.to_owned()),
        ];
        self.api.ask(endpoint, &[("dockId", &self.account.dock)], query, &headers, Some(body)).await
    }

    async fn batch(&self, query: &str, recipients: Value) -> Reply {
        let body = json!({ "recipients": recipients }).to_string();
        self.ask("create-recipient-batch", query, "application/json", body).await
    }

    async fn import(&self, query: &str, file: &str) -> Reply {
        let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a.csv\"";
        let body = format!("--b\r\n{head}\r\n\r\n{file}\r\n--b--\r\n");
        self.ask("import-recipients", query, "multipart/form-data; boundary=b", body).await
    }

    /// How many recipients there are.
    async fn count(&self) -> usize {
        self.account.table.recipients().await.0.len()
    }
}

fn counts(reply: &Reply) -> [&Value; 3] {
    assert_eq!(reply.status, 200, "{}", reply.shown());
    ["success", "existing", "failed"].map(|field| &reply.body[field])
}

fn lender(n: usize) -> Value {
    json!({
        "name": format!("Lender {n}"), "email": format!("l{n}@example.com"), "stakeholderClass": "mortgagee",
        "identifiers": {"lender_id": format!("LND-{n}")},
    })
}

#[tokio::test]
async fn what_is_wrong_with_one_concerns_that_one_alone_and_repeated_all_are_there() {
    let it = World::new().await;
    let mut changed = lender(1);
    changed["name"] = json!("Another");
    let recipients = json!([
        lender(0), lender(1), "a text", {"name": "", "email": "x"}, changed, lender(0), {"email": "y@example.com", "nickname": "Y"},
    ]);
    let first = it.batch("", recipients.clone()).await;
    assert_eq!(counts(&first), [2, 1, 4], "{}", first.shown());
    let ids = [0, 1].map(|at| first.body["recipients"][at]["id"].clone());
    assert_eq!(first.body["recipients"][2]["id"], ids[0], "the second time it exists");
    assert_eq!(
        first.body["recipients"][0],
        json!({"id": ids[0], "name": "Lender 0", "email": "l0@example.com", "stakeholderClass": "mortgagee"})
    );
    let errors = first.body["errors"].as_array().unwrap();
    let told: Vec<(&Value, &Value, &Value)> =
        errors.iter().map(|error| (&error["row"], &error["status"], &error["email"])).collect();
    let expected = [
        (json!(2), json!(400), Value::Null),
        (json!(3), json!(400), json!("x")),
        (json!(4), json!(409), json!("l1@example.com")),
        (json!(6), json!(400), json!("y@example.com")),
    ];
    assert_eq!(told, expected.iter().map(|(a, b, c)| (a, b, c)).collect::<Vec<_>>());
    assert_eq!(errors[2]["recipientId"], ids[1]);
    assert_eq!(errors[1]["details"].as_array().unwrap().len(), 2);

    let again = it.batch("", recipients).await;
    assert_eq!(counts(&again), [0, 3, 4]);
    assert_eq!(again.body["errors"], first.body["errors"]);
    assert_eq!(it.count().await, 2);
    trail::assert_explains(&it.account.table).await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_become_of_each_and_writes_nothing() {
    let it = World::new().await;
    it.batch("", json!([lender(0), lender(1)])).await;
    let mut changed = lender(1);
    changed["name"] = json!("Another");
    let mut twice = lender(2);
    twice["name"] = json!("Another");
    let recipients = json!([lender(0), changed, lender(2), lender(2), twice, {"name": "N"}]);
    let before = it.account.table.items().await.len();
    let dry = it.batch("dryRun=true", recipients.clone()).await;
    assert_eq!(it.account.table.items().await.len(), before);
    let real = it.batch("dryRun=false", recipients).await;
    assert_eq!(counts(&dry), counts(&real));
    assert_eq!(counts(&real), [1, 2, 3]);
    let rows = |reply: &Reply| -> Vec<(Value, Value)> {
        let errors = reply.body["errors"].as_array().unwrap().iter();
        errors.map(|error| (error["row"].clone(), error["status"].clone())).collect()
    };
    assert_eq!(rows(&dry), rows(&real));
    assert_eq!(it.batch("dryRun=yes", json!([lender(3)])).await.status, 400);
}

#[tokio::test]
async fn a_file_becomes_recipients_with_the_rows_that_a_spreadsheet_shows() {
    let it = World::new().await;
    let file = "\u{feff}Name,Email,stakeholder_class,lender_id,identifiers.branch\r\n\
                \"Bank, \"\"A\"\"\",A@Example.com,mortgagee,LND-1,\r\n\
                \r\n\
                B,b@example.com,banker,LND-2,North\r\n\
                C,c@example.com\r\n\
                D,d@example.com,,,Süd\r\n\r\n";
    let reply = it.import("", file).await;
    assert_eq!(counts(&reply), [2, 0, 2], "{}", reply.shown());
    let errors = reply.body["errors"].as_array().unwrap();
    assert_eq!((&errors[0]["row"], &errors[0]["email"]), (&json!(4), &json!("b@example.com")));
    assert_eq!(errors[0]["details"][0]["field"], "stakeholderClass");
    assert_eq!((&errors[1]["row"], &errors[1]["email"]), (&json!(5), &Value::Null));
    assert!(errors[1]["message"].as_str().unwrap().contains("2 cells"), "{}", errors[1]);
    let query = "email=a%40example.com";
    let headers = [("authorization", format!("Bearer {}", it.account.key))];
    let found = it.api.ask("list-recipients", &[("dockId", &it.account.dock)], query, &headers, None).await;
    assert_eq!(found.body[0]["name"], "Bank, \"A\"");
    assert_eq!(found.body[0]["identifiers"], json!({"lender_id": "LND-1"}));
    assert_eq!(counts(&it.import("", file).await), [0, 2, 2]);
}

#[tokio::test]
async fn what_is_too_much_or_no_file_of_recipients_writes_nothing_and_says_what_to_do() {
    let it = World::new().await;
    let row = |n: usize| format!("N,l{n}@example.com\n");
    let file = |count: usize| "name,email\n".to_owned() + &(0..count).map(row).collect::<String>();
    let too_many = it.import("", &file(1_001)).await;
    assert_eq!(too_many.status, 400);
    assert!(too_many.body["message"].as_str().unwrap().contains("docyard import"), "{}", too_many.shown());
    let wide = format!("name,email,a\nN,n@example.com,{}\n", "x".repeat(1024 * 1024));
    assert!(it.import("", &wide).await.body["message"].as_str().unwrap().contains("docyard import"));
    for (file, told) in [
        ("name;email\nN;n@example.com\n", "semicolons"),
        ("name,email,policy number\n", "policy number"),
        ("name,email,a,a\n", "twice"),
        ("name\nN\n", "email"),
        ("", "heading"),
    ] {
        let refused = it.import("", file).await;
        assert_eq!((refused.status, &refused.body["details"][0]["field"]), (400, &json!("file")));
        assert!(refused.body["message"].as_str().unwrap().contains(told), "{}", refused.shown());
    }
    for recipients in [json!([]), json!((0..501).map(lender).collect::<Vec<_>>()), json!({})] {
        assert_eq!(it.batch("", recipients).await.status, 400);
    }
    assert_eq!(it.count().await, 0);
    let reply = it.import("", &file(1_000)).await;
    // On a slow machine the time may run out before the last row.
    let rows: u64 = counts(&reply).into_iter().filter_map(Value::as_u64).sum();
    assert_eq!(rows, 1_000);
    assert_eq!(counts(&reply)[0], it.count().await);
}

#[tokio::test]
async fn however_much_is_wrong_the_answer_fits_into_one_of_lambda() {
    // https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    const MAX_ANSWER: usize = 6 * 1024 * 1024;
    let it = World::new().await;
    let columns: String = (0..50).map(|n| format!(",k{n}")).collect();
    let rows = format!("N,no email{}\n", ",\u{1}".repeat(50)).repeat(1_000);
    let reply = it.import("", &format!("name,email{columns}\n{rows}")).await;
    assert_eq!(counts(&reply), [0, 0, 1_000]);
    assert_eq!(reply.body["errors"][0]["details"].as_array().unwrap().len(), 10);
    // As a text of JSON.
    assert!(json!(reply.text).to_string().len() < MAX_ANSWER / 2, "{} bytes", reply.text.len());
}
