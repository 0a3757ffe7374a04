//! The operator's commands, against a real table: each as a process, as an operator runs it.

use std::process::{Command, Output};

use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::Clock;
use docyard_test_support::dev::{Answer, Dev, send};
use docyard_test_support::table::{TABLE, TestTable};
use serde_json::json;

/// Runs `docyard` with the words of `line` against this table.
async fn docyard(table: &TestTable, line: &str, last: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_docyard"));
    command
        .args(line.split_whitespace())
        .args(["--table", TABLE, "--endpoint-url", &table.url])
        .args(last)
        .env_clear()
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// What a command printed that did its work.
#[track_caller]
fn printed(output: Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The one line of a command that failed.
#[track_caller]
fn refusal(output: Output) -> String {
    assert_ne!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

async fn use_key(dev: &Dev, dock: &str, key: &str) -> Answer {
    let request = dev.http.post(format!("{}/v1/docks/{dock}/recipients", dev.url)).bearer_auth(key);
    send(request.json(&json!({"name": "A", "email": "a@example.com"}))).await
}

#[tokio::test]
async fn a_new_account_and_key_open_the_api_until_the_key_is_revoked() {
    let dev = Dev::start().await;
    let account = printed(docyard(&dev.table, "accounts create", &["--name", "First National"]).await);
    let created = docyard(
        &dev.table,
        "keys create",
        &["--account", &account, "--name", "CI", "--expires-in-days", "30"],
    )
    .await;
    let key = printed(created);
    let dock =
        dev.table.dock(docyard_core::values::id::AccountId::parse(&account).unwrap()).await.to_string();
    use_key(&dev, &dock, &key).await.expect(201);

    let list = printed(docyard(&dev.table, "keys list", &["--account", &account]).await);
    let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "MODE", "STATUS", "CREATED", "EXPIRES", "NAME"]);
    let [id, mode, status, _, _, name] = lines[1][..] else { panic!("a row has six columns") };
    assert_eq!((mode, status, name), ("live", "valid", "CI"));
    assert!(
        !list.contains(&key) && !list.contains(&docyard_core::values::digest::Digest::of(&key).expose_hex())
    );

    printed(docyard(&dev.table, "keys revoke", &["--account", &account, id]).await);
    use_key(&dev, &dock, &key).await.expect(401);
    let list = printed(docyard(&dev.table, "keys list", &["--account", &account]).await);
    assert!(list.contains("revoked"), "{list}");
    printed(docyard(&dev.table, "keys revoke", &["--account", &account, id]).await);
}

#[tokio::test]
async fn a_list_tells_valid_expired_and_revoked_keys_apart() {
    let table = TestTable::start().await;
    let account = table.account().await;
    table.key_with(account, Mode::Test, None).await;
    table.key_with(account, Mode::Live, Some(Clock::system().now())).await;
    let list = printed(docyard(&table, "keys list", &["--account", &account.to_string()]).await);
    let columns: Vec<(&str, &str, &str)> = list
        .lines()
        .skip(1)
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[1], words[2], words[4])
        })
        .collect();
    assert_eq!(columns.len(), 2);
    assert!(columns.contains(&("test", "valid", "never")), "{list}");
    assert!(columns.iter().any(|(mode, status, _)| (*mode, *status) == ("live", "expired")), "{list}");
}

#[tokio::test]
async fn a_key_has_the_mode_and_the_lifetime_it_was_asked_for() {
    let table = TestTable::start().await;
    let account = table.account().await;
    let text = account.to_string();
    let key = printed(docyard(&table, "keys create --mode test", &["--account", &text, "--name", "T"]).await);
    assert!(key.starts_with("dk_test_"));
    let before = Clock::system().now();
    printed(docyard(&table, "keys create --expires-in-days 30", &["--account", &text, "--name", "L"]).await);
    let keys = table.store.api_keys(account).await.unwrap();
    let with_expiry = keys.iter().find(|key| key.name.as_str() == "L").unwrap();
    let range = before.plus_days(30)..=Clock::system().now().plus_days(30);
    assert!(range.contains(&with_expiry.expires_at.unwrap()));
    assert_eq!(keys.iter().find(|key| key.name.as_str() == "T").unwrap().expires_at, None);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_words() {
    let table = TestTable::start().await;
    let account = table.account().await.to_string();
    let (no_account, no_key) = ("acc_01HQ3K5V7X9ZBDFHKMPRTVXYZ0", "key_01HQ3K5V7X9ZBDFHKMPRTVXYZ0");
    for (line, last, message) in [
        ("keys create", &["--account", no_account, "--name", "K"][..], "docyard accounts create"),
        ("keys create", &["--account", "x", "--name", "K"], "must be an account's id"),
        ("keys create", &["--account", &account, "--name", " "], "1 to 200 characters"),
        ("keys create --expires-in-days 0", &["--account", &account, "--name", "K"], "1..=3650"),
        ("keys create --mode both", &["--account", &account, "--name", "K"], "must be live or test"),
        ("keys revoke", &["--account", &account, no_key], "docyard keys list"),
        ("keys revoke", &["--account", &account, "x"], "must be a key's id"),
        ("accounts create", &["--name", "a\nb"], "control characters"),
    ] {
        let refusal = refusal(docyard(&table, line, last).await);
        assert!(refusal.contains(message), "{line}: {refusal}");
    }
    let mut nowhere = table.clone();
    nowhere.url = "http://127.0.0.1:1".to_owned();
    let refusal = refusal(docyard(&nowhere, "accounts create", &["--name", "A"]).await);
    assert!(refusal.contains("DynamoDB cannot be reached"), "{refusal}");
    assert_eq!(refusal.lines().count(), 1, "{refusal}");
}

#[tokio::test]
async fn an_accounts_docks_are_listed() {
    let table = TestTable::start().await;
    let account = table.account().await;
    let docks = [table.dock(account).await.to_string(), table.dock(account).await.to_string()];
    table.dock(table.account().await).await;
    let list = printed(docyard(&table, "docks list", &["--account", &account.to_string()]).await);
    let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "CREATED", "NAME"]);
    let mut listed: Vec<&str> = lines[1..].iter().map(|line| line[0]).collect();
    listed.sort();
    let mut expected: Vec<&str> = docks.iter().map(String::as_str).collect();
    expected.sort();
    assert_eq!(listed, expected);
}
