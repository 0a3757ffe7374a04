//! The operator's commands, against a real table: each as a process, as an operator runs it.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use aws_sdk_dynamodb::types::AttributeValue;
use docyard_core::model::api_key::{ApiKey, ApiKeyRecord, Mode};
use docyard_core::store::Error;
use docyard_core::values::clock::Clock;
use docyard_core::values::id::{AccountId, ApiKeyId};
use docyard_core::values::random;
use docyard_test_support::dev::{Answer, Dev, send};
use docyard_test_support::fault::InjectedFault;
use docyard_test_support::proxy::Proxy;
use docyard_test_support::table::{TABLE, TestTable, operator};
use docyard_test_support::{import, redacted, trail};
use serde_json::{Value, json};

/// An account and a key that do not exist.
const NO_ACCOUNT: &str = "acc_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";
const NO_KEY: &str = "key_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";

/// `docyard` with the words of `line`, and nothing of this process's environment.
pub fn program(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_docyard"));
    command.args(line.split_whitespace()).env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// `docyard` with the words of `line`, against this table.
pub fn command(table: &TestTable, line: &str, last: &[&str]) -> Command {
    let mut command = program(line);
    command
        .args(["--table", TABLE, "--endpoint-url", &table.url])
        .args(last)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local");
    command
}

/// Runs it to its end, with this standard input. What it prints is kept where `command` does not send it elsewhere.
pub async fn run(mut command: Command, input: &str) -> Output {
    let input = input.to_owned();
    let run = move || {
        let mut process = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that reads nothing may have ended.
        let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
        process.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Runs `docyard` with the words of `line` against this table.
async fn docyard(table: &TestTable, line: &str, last: &[&str]) -> Output {
    docyard_reading(table, line, last, "").await
}

/// The same, with this standard input.
async fn docyard_reading(table: &TestTable, line: &str, last: &[&str], input: &str) -> Output {
    let mut command = command(table, line, last);
    command.stdout(Stdio::piped());
    run(command, input).await
}

/// What a command printed that did its work.
#[track_caller]
pub fn printed(output: Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The JSON document of a command that did its work.
#[track_caller]
fn document(output: Output) -> Value {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&printed(output)).unwrap()
}

/// What a command said that failed.
#[track_caller]
pub fn refusal(output: Output) -> String {
    assert!(output.status.code().is_some_and(|code| code != 0), "{}", output.status);
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

/// The one line of a command that failed.
#[track_caller]
pub fn refusal_in_one_line(output: Output) -> String {
    let refusal = refusal(output);
    assert!(refusal.starts_with("docyard: ") && refusal.lines().count() == 1, "{refusal}");
    refusal
}

/// The lines of a table, each as its words.
fn words(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
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
        "keys create --mode live",
        &["--account", &account, "--name", "CI", "--expires-in-days", "30"],
    )
    .await;
    let key = printed(created);
    let dock = dev.table.dock(AccountId::parse(&account).unwrap()).await.to_string();
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
    printed(
        docyard(&table, "keys create --mode live --expires-in-days 30", &["--account", &text, "--name", "L"])
            .await,
    );
    let keys = table.store.api_keys(account).await.unwrap();
    let with_expiry = keys.iter().find(|key| key.name.as_str() == "L").unwrap();
    let range = before.plus_days(30)..=Clock::system().now().plus_days(30);
    assert!(range.contains(&with_expiry.expires_at.unwrap()));
    assert_eq!(keys.iter().find(|key| key.name.as_str() == "T").unwrap().expires_at, None);
}

#[tokio::test]
async fn a_keys_mode_is_asked_for_or_taken_from_the_deployment() {
    let table = TestTable::start().await;
    let account = table.account().await.to_string();
    let last = ["--account", &account, "--name", "K"];
    let refusal = refusal(docyard(&table, "keys create", &last).await);
    assert!(refusal.contains("--mode"), "{refusal}");
    for mode in ["live", "test"] {
        let mut command = command(&table, "keys create", &last);
        command.env("DOCYARD_MODE", mode).stdout(Stdio::piped());
        assert!(printed(run(command, "").await).starts_with(&format!("dk_{mode}_")));
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_words() {
    let table = TestTable::start().await;
    let account = table.account().await.to_string();
    for (line, last, message) in [
        ("keys create --mode live", &["--account", NO_ACCOUNT, "--name", "K"][..], "docyard accounts create"),
        ("keys create --mode live", &["--account", "x", "--name", "K"], "must be an account's id"),
        ("keys create --mode live", &["--account", &account, "--name", " "], "1 to 200 characters"),
        ("keys create --mode live --expires-in-days 0", &["--account", &account, "--name", "K"], "1..=3650"),
        ("keys create --mode both", &["--account", &account, "--name", "K"], "must be live or test"),
        ("keys list", &["--account", NO_ACCOUNT], "there is no account acc_"),
        ("keys list --json", &["--account", NO_ACCOUNT], "there is no account acc_"),
        ("docks list", &["--account", NO_ACCOUNT], "there is no account acc_"),
        ("keys revoke", &["--account", &account, NO_KEY], "docyard keys list"),
        ("keys revoke --json", &["--account", &account, NO_KEY], "docyard keys list"),
        ("keys revoke", &["--account", &account, "x"], "must be a key's id"),
        ("keys revoke", &[NO_KEY], "--account"),
        ("keys revoke", &["--account", &account], "<KEY>"),
        ("accounts create", &["--name", "a\nb"], "control characters"),
    ] {
        let refusal = refusal(docyard(&table, line, last).await);
        assert!(refusal.contains(message), "{line}: {refusal}");
    }
    let mut nowhere = table.clone();
    nowhere.url = "http://127.0.0.1:1".to_owned();
    let refusal = refusal_in_one_line(docyard(&nowhere, "accounts create", &["--name", "A"]).await);
    assert!(refusal.contains("DynamoDB cannot be reached"), "{refusal}");
    assert!(refusal.contains("Connection refused"), "{refusal}");
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

#[tokio::test]
async fn all_accounts_are_listed_oldest_first_however_large_the_table_is() {
    let table = TestTable::start().await;
    // DynamoDB reads 1 MB at once: some of it lies before the accounts and some behind them.
    let filler = |pk: String| {
        let text = |text: String| AttributeValue::S(text);
        let item = [("pk", text(pk)), ("sk", text("DOCK".into())), ("text", text("x".repeat(300_000)))];
        let item = item.map(|(name, value)| (name.to_owned(), value)).into();
        import::item(&item, &str::to_owned)
    };
    table.import((0..5).flat_map(|n| [filler(format!("A#{n}")), filler(format!("Z#{n}"))]).collect());
    let mut accounts = Vec::new();
    for name in ["First National", "Second", "Third"] {
        accounts.push(printed(docyard(&table, "accounts create", &["--name", name]).await));
        table.key(AccountId::parse(accounts.last().unwrap()).unwrap()).await;
    }
    // DynamoDB has an order of its own, the emulator that of the keys: let the newest come first in it.
    let newest = AccountId::generate(Clock::system().now(), &mut random::system()).to_string();
    let mut item =
        table.items().await.into_iter().find(|item| item["sk"].as_s().unwrap() == "ACCOUNT").unwrap();
    item.insert("pk".to_owned(), AttributeValue::S("0".to_owned()));
    item.insert("id".to_owned(), AttributeValue::S(newest.clone()));
    table.client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    accounts.push(newest);
    let list = printed(docyard(&table, "accounts list", &[]).await);
    let lines = words(&list);
    assert_eq!(lines[0], ["ID", "CREATED", "NAME"]);
    assert_eq!(lines[1..].iter().map(|line| line[0]).collect::<Vec<_>>(), accounts);
    assert_eq!(lines[1][2..], ["First", "National"]);
}

#[tokio::test]
async fn a_leaked_key_is_found_and_revoked_by_its_value() {
    let dev = Dev::start().await;
    let account = dev.table.account().await;
    let dock = dev.table.dock(account).await.to_string();
    let (leaked, other) = (dev.table.key(account).await, dev.table.key(account).await);
    let ids = dev.table.store.api_keys(account).await.unwrap().into_iter().map(|key| key.id.to_string());
    let ids: Vec<String> = ids.collect();

    let found = printed(docyard_reading(&dev.table, "keys find", &[], &format!(" {leaked}\n")).await);
    let lines = words(&found);
    assert_eq!(lines[0], ["ACCOUNT", "ID", "MODE", "STATUS", "CREATED", "EXPIRES", "REVOKED", "NAME"]);
    assert_eq!((lines[1][0], lines[1][2], lines[1][3]), (&*account.to_string(), "live", "valid"));
    assert!(ids.iter().any(|id| id == lines[1][1]) && !found.contains(&leaked));

    let revoked = printed(docyard_reading(&dev.table, "keys revoke", &[], &leaked).await);
    assert_eq!(revoked, format!("{} is revoked.", lines[1][1]));
    use_key(&dev, &dock, &leaked).await.expect(401);
    use_key(&dev, &dock, &other).await.expect(201);
    let found = printed(docyard_reading(&dev.table, "keys find", &[], &leaked).await);
    assert_eq!(words(&found)[1][3], "revoked");
}

#[tokio::test]
async fn a_value_that_is_no_key_is_not_found_and_never_shown() {
    let table = TestTable::start().await;
    let unknown = ApiKey::generate(Mode::Live, &mut random::system()).expose().to_owned();
    let mistyped = unknown.to_lowercase();
    for line in ["keys find", "keys revoke", "keys find --json", "keys revoke --json"] {
        for (input, message) in [
            (unknown.as_str(), "no key of this value"),
            (&mistyped, "standard input"),
            ("", "standard input"),
            (NO_KEY, "standard input"),
            (&"dk_live_".repeat(100_000), "standard input"),
        ] {
            let refusal = refusal_in_one_line(docyard_reading(&table, line, &[], input).await);
            assert!(refusal.contains(message), "{line}: {}", redacted(&refusal));
            assert!(!refusal.contains(&unknown) && !refusal.contains(&mistyped));
        }
    }
    // An argument is in the list of processes and in the shell's history.
    let (account, name) =
        (format!("--account={unknown}"), format!("--name=x{},", unknown.replace("dk_", "-dk_")));
    for (line, last) in [
        ("keys find", &[&*unknown][..]),
        ("keys revoke --account", &[NO_ACCOUNT, &unknown]),
        ("keys revoke", &[&account]),
        ("accounts create", &[&name]),
    ] {
        let mut command = program(line);
        command.args(last).stdout(Stdio::piped());
        let refusal = refusal_in_one_line(run(command, "").await);
        assert!(refusal.contains("standard input") && !refusal.contains(&unknown));
    }
}

#[tokio::test]
async fn an_entry_that_points_to_another_key_does_not_revoke_that_one() {
    let table = TestTable::start().await;
    let (mine, theirs) = (table.account().await, table.account().await);
    let (my_key, their_key) = (table.key(mine).await, table.key(theirs).await);
    let digest = |key: &str| ApiKey::parse(key).unwrap().digest();
    let id = table.store.api_keys(mine).await.unwrap()[0].id;
    table
        .client
        .update_item()
        .table_name(TABLE)
        .key("pk", AttributeValue::S(format!("ACCOUNT#{mine}")))
        .key("sk", AttributeValue::S(format!("KEY#{id}")))
        .update_expression("SET digestPk = :other")
        .expression_attribute_values(
            ":other",
            AttributeValue::S(format!("KEY#{}", digest(&their_key).expose_hex())),
        )
        .send()
        .await
        .unwrap();
    let last = ["--account", &mine.to_string(), &id.to_string()];
    let refusal = refusal_in_one_line(docyard(&table, "keys revoke", &last).await);
    assert!(refusal.contains("another key"), "{refusal}");
    let now = Clock::system().now();
    let entry = || ApiKeyRecord::revoked(id).by(&operator(mine), now);
    assert!(matches!(table.store.revoke_api_key(mine, id, entry, now).await, Err(Error::Internal(_))));
    for key in [my_key, their_key] {
        assert!(table.store.api_key(&digest(&key)).await.unwrap().unwrap().is_valid(now));
    }
}

/// The account's item is no proof: some function could write over it.
#[tokio::test]
async fn a_key_of_which_one_item_is_revoked_by_other_means_is_revoked_altogether() {
    for is_listed in [true, false] {
        let table = TestTable::start().await;
        let account = table.account().await;
        let key = table.key(account).await;
        let digest = ApiKey::parse(&key).unwrap().digest();
        let id = table.store.api_keys(account).await.unwrap()[0].id;
        let (pk, sk) = match is_listed {
            true => (format!("ACCOUNT#{account}"), format!("KEY#{id}")),
            false => (format!("KEY#{}", digest.expose_hex()), "KEY".to_owned()),
        };
        let revoked = AttributeValue::S("2025-01-15T10:32:00.000Z".to_owned());
        let update = table.client.update_item().table_name(TABLE).key("pk", AttributeValue::S(pk));
        let update = update.key("sk", AttributeValue::S(sk)).update_expression("SET revokedAt = :at");
        update.expression_attribute_values(":at", revoked).send().await.unwrap();
        printed(docyard(&table, "keys revoke", &["--account", &account.to_string(), &id.to_string()]).await);
        assert!(table.store.api_key(&digest).await.unwrap().unwrap().revoked_at.is_some());
        assert!(table.store.api_keys(account).await.unwrap()[0].revoked_at.is_some());
        trail::assert_explains(&table).await;
    }
}

#[tokio::test]
async fn every_command_prints_one_json_document_if_asked() {
    let table = TestTable::start().await;
    let before = Clock::system().now();
    let is_now = |time: &Value| {
        let time = docyard_core::values::clock::Timestamp::parse(time.as_str().unwrap()).unwrap();
        (before..=Clock::system().now()).contains(&time)
    };
    assert_eq!(document(docyard(&table, "accounts list --json", &[]).await), json!([]));
    let account = document(docyard(&table, "accounts create --json", &["--name", "First National"]).await);
    let id = account["id"].as_str().unwrap();
    assert!(AccountId::parse(id).is_some() && is_now(&account["createdAt"]));
    assert_eq!(account, json!({"id": id, "name": "First National", "createdAt": account["createdAt"]}));
    assert_eq!(document(docyard(&table, "accounts list --json", &[]).await), json!([account]));

    let of_account = ["--account", id];
    assert_eq!(document(docyard(&table, "keys list --json", &of_account).await), json!([]));
    let create = "keys create --json --mode test --name CI --expires-in-days 1";
    let created = document(docyard(&table, create, &of_account).await);
    let (key, value) = (created["id"].as_str().unwrap(), created["value"].as_str().unwrap());
    assert!(ApiKeyId::parse(key).is_some() && is_now(&created["createdAt"]));
    let mut expected = json!({
        "id": key, "account": id, "mode": "test", "status": "valid", "name": "CI",
        "createdAt": created["createdAt"], "expiresAt": created["expiresAt"], "revokedAt": null,
    });
    assert!(created["expiresAt"].as_str().is_some());
    let found = document(docyard_reading(&table, "keys find --json", &[], value).await);
    assert_eq!(found, expected);
    assert_eq!(document(docyard(&table, "keys list --json", &of_account).await), json!([expected]));
    let revoked = document(docyard(&table, "keys revoke --json", &["--account", id, key]).await);
    assert_eq!(revoked, json!({"id": key, "account": id, "status": "revoked"}));
    let again = document(docyard_reading(&table, "keys revoke --json", &[], value).await);
    assert_eq!(again, revoked);
    let found = document(docyard_reading(&table, "keys find --json", &[], value).await);
    assert!(is_now(&found["revokedAt"]));
    expected["status"] = "revoked".into();
    expected["revokedAt"] = found["revokedAt"].clone();
    assert_eq!(found, expected);
    expected["value"] = value.into();
    expected["status"] = "valid".into();
    expected["revokedAt"] = Value::Null;
    assert!(created == expected);

    assert_eq!(document(docyard(&table, "docks list --json", &of_account).await), json!([]));
    let dock = table.dock(AccountId::parse(id).unwrap()).await.to_string();
    let docks = document(docyard(&table, "docks list --json", &of_account).await);
    assert!(is_now(&docks[0]["createdAt"]));
    assert_eq!(docks, json!([{"id": dock, "name": "A dock", "createdAt": docks[0]["createdAt"]}]));
}

/// Where what a command prints cannot be read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lost {
    /// A pipe whose reader has ended.
    Pipe,
    /// A full disk.
    Disk,
    /// Nowhere, since the output is closed.
    Closed,
    /// The null device.
    Null,
}

impl Lost {
    const ALL: [Self; 4] = [Self::Pipe, Self::Disk, Self::Closed, Self::Null];

    /// Runs `docyard` with this standard output.
    async fn run(self, table: &TestTable, line: &str, last: &[&str], input: &str) -> Output {
        let mut to_run = command(table, line, last);
        let open = |path: &str| Stdio::from(File::options().write(true).open(path).unwrap());
        match self {
            Self::Pipe => drop(to_run.stdout(std::io::pipe().unwrap().1)),
            Self::Disk => drop(to_run.stdout(open("/dev/full"))),
            Self::Null => drop(to_run.stdout(open("/dev/null"))),
            Self::Closed => {
                let mut shell = Command::new("sh");
                shell
                    .args(["-c", "exec \"$0\" \"$@\" >&-"])
                    .arg(to_run.get_program())
                    .args(to_run.get_args());
                shell.env_clear().envs(to_run.get_envs().filter_map(|(name, value)| Some((name, value?))));
                to_run = shell;
            }
        }
        run(to_run, input).await
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_shown_is_not_left_valid() {
    let table = TestTable::start().await;
    let account = table.account().await;
    let last = ["--account", &account.to_string(), "--name", "K"];
    for (n, lost) in Lost::ALL.into_iter().enumerate() {
        for line in ["keys create --mode live", "keys create --mode live --json"] {
            let output = lost.run(&table, line, &last, "").await;
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(!said.contains("panic") && !said.contains("dk_"), "{lost:?}: {}", redacted(&said));
            assert_eq!(output.status.code(), Some(1), "{lost:?}: {said}");
            let is_made = matches!(lost, Lost::Pipe | Lost::Disk);
            assert!(
                said.contains(if is_made { "is revoked" } else { "no key is created" }),
                "{lost:?}: {said}"
            );
        }
        let keys = table.store.api_keys(account).await.unwrap();
        assert!(keys.iter().all(|key| key.revoked_at.is_some()), "{lost:?}");
        assert_eq!(keys.len(), 2 * (n + 1).min(2), "{lost:?}");
    }
}

#[tokio::test]
async fn a_key_that_can_be_neither_shown_nor_revoked_is_named() {
    let table = TestTable::start().await;
    let account = table.account().await.to_string();
    let (proxy, url) = Proxy::before(&table).await;
    proxy.expect("BatchGetItem", [InjectedFault::Refused("AccessDeniedException")]);
    let mut proxied = table.clone();
    proxied.url = url;
    let last = ["--account", &*account, "--name", "K"];
    let output = Lost::Disk.run(&proxied, "keys create --mode live", &last, "").await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let id = table.store.api_keys(AccountId::parse(&account).unwrap()).await.unwrap()[0].id;
    assert!(said.contains(&format!("docyard keys revoke --account {account} {id}")), "{}", redacted(&said));
}

#[tokio::test]
async fn a_key_of_which_it_is_not_known_whether_it_is_created_is_revoked() {
    let table = TestTable::start().await;
    let account = table.account().await;
    let (proxy, url) = Proxy::before(&table).await;
    // It is created, and no attempt learns of it.
    proxy.expect("TransactWriteItems", [InjectedFault::AnswerLost; 4]);
    let mut proxied = table.clone();
    proxied.url = url;
    let last = ["--account", &account.to_string(), "--name", "K"];
    let refusal = refusal_in_one_line(docyard(&proxied, "keys create --mode live", &last).await);
    assert!(refusal.contains("is revoked"), "{}", redacted(&refusal));
    assert!(table.store.api_keys(account).await.unwrap()[0].revoked_at.is_some());
    trail::assert_explains(&table).await;
}

#[tokio::test]
async fn an_account_whose_id_cannot_be_printed_is_named_or_not_created() {
    let table = TestTable::start().await;
    for lost in Lost::ALL {
        let output = lost.run(&table, "accounts create", &["--name", "A"], "").await;
        assert_eq!(output.status.code(), Some(1), "{lost:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let accounts = accounts(&table).await;
        match accounts.iter().find(|id| said.contains(*id)) {
            Some(_) => assert!(matches!(lost, Lost::Pipe | Lost::Disk), "{said}"),
            None => assert!(said.contains("no account is created"), "{lost:?}: {said}"),
        }
    }
    assert_eq!(accounts(&table).await.len(), 2);
    trail::assert_explains(&table).await;
}

/// The ids of the accounts in the table.
async fn accounts(table: &TestTable) -> Vec<String> {
    let accounts = table.store.accounts().await.unwrap();
    accounts.iter().map(|account| account.id.to_string()).collect()
}

#[tokio::test]
async fn a_list_that_cannot_be_printed_ends_quietly_or_says_why() {
    let table = TestTable::start().await;
    let account = table.account().await;
    let value = table.key(account).await;
    let of_account = ["--account", &*account.to_string()];
    for (line, last, input) in [
        ("accounts list", &[][..], ""),
        ("keys list", &of_account, ""),
        ("keys list --json", &of_account, ""),
        ("docks list", &of_account, ""),
        ("keys find", &[], &value),
        ("keys revoke", &[], &value),
    ] {
        for lost in Lost::ALL {
            let output = lost.run(&table, line, last, input).await;
            let said = String::from_utf8(output.stderr).unwrap();
            let (code, message) = match lost {
                // As of a tool that SIGPIPE ends.
                Lost::Pipe => (141, ""),
                Lost::Disk => (1, "No space left"),
                Lost::Closed | Lost::Null => (0, ""),
            };
            assert_eq!(output.status.code(), Some(code), "{line} {lost:?}: {said}");
            assert!(
                said.contains(message) && said.is_empty() == message.is_empty(),
                "{line} {lost:?}: {said}"
            );
        }
    }
}

#[tokio::test]
async fn nothing_panics_where_errors_cannot_be_printed() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for (line, code) in [("keys list", 2), ("--help", 1), ("keys list --table t --account", 1)] {
        let mut command = program(line);
        if line.ends_with("--account") {
            command.arg(NO_ACCOUNT);
        }
        let run = move || command.stdin(Stdio::null()).stdout(full()).stderr(full()).status().unwrap();
        let status = tokio::task::spawn_blocking(run).await.unwrap();
        assert_eq!(status.code(), Some(code), "{line}");
    }
}
