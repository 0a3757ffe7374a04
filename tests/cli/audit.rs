//! `docyard audit`: whatever is done to the trail or to its sealed copy, `verify` names it.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::store::SealedCopy;
use docyard_core::values::clock::Clock;
use docyard_core::values::id::AuditEntryId;
use docyard_core::values::random;
use docyard_test_support::account::Account;
use docyard_test_support::api::Api;
use docyard_test_support::bucket::TestBucket;
use docyard_test_support::dev::Dev;
use docyard_test_support::scene::Asker;
use docyard_test_support::sealed::{expected, minutes_ago, seal, write_entry};
use docyard_test_support::stream::Stream;
use docyard_test_support::table::{TABLE, TestTable};
use docyard_test_support::trail::{Item, find, text};
use docyard_test_support::{PATIENCE, http_client, read};
use serde_json::{Value, json};

use crate::operator::{command, run};

/// A table whose trail is sealed in three batches; in files, so that each attempt has its own.
struct Sealed {
    directory: tempfile::TempDir,
    account: String,
    dock: String,
    /// An entry of the dock that is of a secret, and of the one that it replaced.
    of_two: String,
    /// An entry of half an hour ago.
    old: String,
}

/// One attempt: a table and a bucket.
struct Attempt {
    table: TestTable,
    bucket: TestBucket,
}

impl Sealed {
    async fn new() -> Self {
        let mut account = Account::new().await;
        let mut stream = Stream::of(&account.table).await;
        let owner = account.table.account().await;
        account.dock = account.table.dock(owner).await.to_string();
        let key = account.table.key(owner).await;
        let bucket = TestBucket::locked(3000).await;
        let copy = SealedCopy::new(bucket.bucket(), Clock::system());
        let old = write_entry(&account, "claim-1", minutes_ago(30)).await;
        seal(&copy, &stream.take_all()).await.unwrap();
        let (recipient, secret) = account.recipient_with_secret("a@example.com").await;
        let api = Api::new(Context::new(account.table.store.clone(), Mode::Live, Clock::system()));
        let asker = Asker { api: &api, key: &key, dock: &account.dock };
        asker.ask("rotate-secret", &[("recipientId", &recipient), ("secretId", &secret)], json!({})).await;
        seal(&copy, &stream.take_all()).await.unwrap();
        write_entry(&account, "claim-1", minutes_ago(0)).await;
        seal(&copy, &stream.take_all()).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        account.table.save(&directory.path().join("table"));
        copy_directory(bucket.directory.path(), &directory.path().join("copy"));
        let items = account.table.items().await;
        let is_of_two = |item: &&Item| find(item, "alsoOf").is_some();
        let of_two = text(items.iter().find(is_of_two).unwrap(), "sk").to_owned();
        Self { directory, account: owner.to_string(), dock: account.dock, of_two, old: old.to_string() }
    }

    async fn attempt(&self) -> Attempt {
        let table = TestTable::restore(&self.directory.path().join("table")).await;
        let directory = tempfile::tempdir().unwrap();
        copy_directory(&self.directory.path().join("copy"), directory.path());
        let bucket = TestBucket::serve(directory, NonZeroU16::new(3000)).await;
        Attempt { table, bucket }
    }
}

impl Attempt {
    /// Runs `docyard audit …` on one chain.
    async fn audit(&self, words: &str, chain: &str) -> Output {
        self.audit_copy(words, chain, "s3://docyard", &self.bucket.url).await
    }

    async fn audit_copy(&self, words: &str, chain: &str, copy: &str, s3_url: &str) -> Output {
        let line = format!("audit {words} --copy {copy} --of {chain}");
        let mut command = command(&self.table, &line, &[]);
        // The key of these commands is the bucket's too.
        command.env("AWS_ENDPOINT_URL_S3", s3_url).stdout(Stdio::piped());
        run(command, "").await
    }

    /// What `verify` finds, and whether it says that all fits.
    async fn findings(&self, chain: &str) -> Vec<String> {
        findings(&self.audit("verify --json", chain).await)
    }

    async fn items_of(&self, entry: &str) -> BTreeMap<String, Item> {
        let items = self.table.items().await.into_iter().filter(|item| text(item, "sk") == entry);
        items.map(|item| (text(&item, "pk").to_owned(), item)).collect()
    }

    async fn put(&self, item: Item) {
        self.table.client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }

    async fn delete(&self, item: &Item) {
        let delete = self.table.client.delete_item().table_name(TABLE);
        delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
    }

    /// The content of an object.
    fn object(&self, chain: &str, number: u64) -> PathBuf {
        self.bucket.directory.path().join(chain).join(format!("{number:012}"))
    }
}

fn findings(output: &Output) -> Vec<String> {
    let told = String::from_utf8_lossy(&output.stdout);
    let verified: Value = serde_json::from_str(&told)
        .unwrap_or_else(|_| panic!("{told}{}", String::from_utf8_lossy(&output.stderr)));
    let findings =
        verified.as_array().unwrap().iter().flat_map(|chain| chain["findings"].as_array().unwrap());
    let findings: Vec<String> = findings.map(|finding| finding.as_str().unwrap().to_owned()).collect();
    assert_eq!(output.status.code(), Some(i32::from(!findings.is_empty())), "{findings:?}");
    findings
}

fn copy_directory(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(copied.success());
}

fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// Asserts that each of the words is in a finding, and how many findings there are.
#[track_caller]
fn assert_named(what: &str, findings: &[String], named: &[&str]) {
    assert_eq!(findings.len(), named.len(), "{what}: {findings:?}");
    for words in named {
        assert!(findings.iter().any(|finding| finding.contains(words)), "{what}: no {words} in {findings:?}");
    }
}

#[tokio::test]
async fn what_was_sealed_and_is_as_it_was_fits() {
    let sealed = Sealed::new().await;
    let attempt = sealed.attempt().await;
    for chain in [&sealed.dock, &sealed.account] {
        let output = attempt.audit("verify", chain).await;
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && told.ends_with(": all fits\n"), "{told}");
    }
    let output = attempt.audit("verify --json", &sealed.dock).await;
    assert_eq!(findings(&output), Vec::<String>::new());
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let entries = expected(&attempt.table).await.iter().filter(|(chain, _)| *chain == sealed.dock).count();
    assert_eq!((told[0]["objects"].as_u64(), told[0]["entries"].as_u64()), (Some(3), Some(entries as u64)));
    assert_eq!((told[0]["sealedFromTable"].as_u64(), told[0]["waiting"].as_u64()), (Some(0), Some(0)));
    // Of all chains: those of the account that was there before the stream wait, being of this minute.
    let mut all = command(&attempt.table, "audit verify --json --copy s3://docyard", &[]);
    all.env("AWS_ENDPOINT_URL_S3", &attempt.bucket.url).stdout(Stdio::piped());
    let told: Value = serde_json::from_slice(&run(all, "").await.stdout).unwrap();
    assert_eq!(told.as_array().unwrap().len(), 4, "two accounts and two docks");
}

#[tokio::test]
async fn an_entry_that_is_changed_removed_or_inserted_in_the_table_is_named() {
    let sealed = Sealed::new().await;
    let entry = &sealed.of_two;
    let places = sealed.attempt().await.items_of(entry).await;
    assert_eq!(places.len(), 3, "the trails of the dock and of both secrets");
    for (pk, item) in &places {
        let attempt = sealed.attempt().await;
        for (name, value) in
            [("actor", string("x")), ("changes", string("{}")), ("ttl", AttributeValue::N("1".to_owned()))]
        {
            let mut changed = item.clone();
            changed.insert(name.to_owned(), value);
            attempt.put(changed).await;
            let what = format!("{name} in {pk}");
            let findings = attempt.findings(&sealed.dock).await;
            assert_named(&what, &findings, &[entry]);
            assert!(findings[0].contains("was changed"), "{findings:?}");
        }
        attempt.delete(item).await;
        let findings = attempt.findings(&sealed.dock).await;
        assert_named(
            &format!("removed from {pk}"),
            &findings,
            &[&format!("{entry} was removed from the trail of ")],
        );
    }

    // Inserted: as an old entry, in the dock's trail or in an entity's alone, and as what is none.
    let attempt = sealed.attempt().await;
    let forged = AuditEntryId::generate(minutes_ago(300), &mut random::system());
    for (pk, item) in &attempt.items_of(&sealed.old).await {
        let attempt = sealed.attempt().await;
        let mut inserted = item.clone();
        if pk.starts_with("AUDIT#") {
            inserted.insert("pk".to_owned(), string(&format!("AUDIT#{}#{}", sealed.dock, forged.spread(8))));
        }
        inserted.insert("sk".to_owned(), string(&forged.to_string()));
        inserted.insert("createdAt".to_owned(), string(&minutes_ago(300).to_string()));
        attempt.put(inserted).await;
        assert_named(pk, &attempt.findings(&sealed.dock).await, &[&forged.to_string()]);
        let garbage = [("pk", pk.as_str()), ("sk", "zzz")];
        let garbage = garbage.map(|(name, value)| (name.to_owned(), string(value)));
        attempt.put(garbage.into()).await;
        let findings = attempt.findings(&sealed.dock).await;
        assert_named("no entry", &findings, &[&forged.to_string(), "zzz in the trail of "]);
    }
}

#[tokio::test]
async fn of_an_accounts_own_trail_too() {
    let sealed = Sealed::new().await;
    let attempt = sealed.attempt().await;
    let is_of_key = |item: &&Item| {
        text(item, "pk").starts_with("AUDIT_ENTITY#") && find(item, "entityType") == Some("key")
    };
    let items = attempt.table.items().await;
    let mut of_account = items.iter().filter(|item| find(item, "account") == Some(&sealed.account));
    let of_key = of_account.find(is_of_key).unwrap();
    let mut changed = of_key.clone();
    changed.insert("actor".to_owned(), string("x"));
    attempt.put(changed).await;
    let findings = attempt.findings(&sealed.account).await;
    assert!(
        findings.iter().all(|finding| finding.contains(text(of_key, "sk"))) && !findings.is_empty(),
        "{findings:?}"
    );
}

#[tokio::test]
async fn an_object_that_is_altered_missing_or_added_is_named() {
    let sealed = Sealed::new().await;
    let dock = &sealed.dock;

    for number in [1, 2] {
        let attempt = sealed.attempt().await;
        let path = attempt.object(dock, number).join("content");
        let content = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, content.replacen("\"userAgent\":null", "\"userAgent\":\"x\"", 1)).unwrap();
        let findings = attempt.findings(dock).await;
        let altered = format!("object {number} or {} was altered", number + 1);
        assert!(findings.iter().any(|finding| finding.contains(&altered)), "{findings:?}");
        assert!(
            findings.iter().any(|finding| finding.contains("was changed: it is not what object")),
            "{findings:?}"
        );
        // Also where the table was altered with it.
        std::fs::write(&path, format!("{content} ")).unwrap();
        let findings = attempt.findings(dock).await;
        assert!(findings.iter().any(|finding| finding.contains(&altered)), "{findings:?}");
        assert!(
            findings.iter().any(|it| it.contains(&format!("object {number} cannot be read"))),
            "{findings:?}"
        );
    }

    let first = "was inserted, or is not sealed yet";
    for (number, named) in [(1, "object 1 is missing"), (2, "object 2 is missing")] {
        let attempt = sealed.attempt().await;
        std::fs::remove_dir_all(attempt.object(dock, number)).unwrap();
        let findings = attempt.findings(dock).await;
        assert!(findings.iter().any(|finding| finding == named), "{findings:?}");
        let names_old = findings.iter().any(|it| it.contains(&sealed.old) && it.contains(first));
        assert_eq!(names_old, number == 1, "{findings:?}");
    }

    // All of them: what they held is in no object.
    let attempt = sealed.attempt().await;
    std::fs::remove_dir_all(attempt.bucket.directory.path().join(dock)).unwrap();
    let findings = attempt.findings(dock).await;
    assert!(findings.iter().any(|it| it.contains(&sealed.old) && it.contains(first)), "{findings:?}");

    // Two in each other's place, and one that somebody added.
    let attempt = sealed.attempt().await;
    let (one, two, aside) = (attempt.object(dock, 1), attempt.object(dock, 2), attempt.object(dock, 9));
    for (from, to) in [(&one, &aside), (&two, &one), (&aside, &two)] {
        std::fs::rename(from, to).unwrap();
    }
    let findings = attempt.findings(dock).await;
    for named in ["object 1 says that it is object 2 of ", "object 2 says that it is object 1 of "] {
        assert!(findings.iter().any(|finding| finding.contains(named)), "{findings:?}");
    }
    let attempt = sealed.attempt().await;
    copy_directory_of(&attempt.object(dock, 1), &attempt.object(dock, 4));
    let findings = attempt.findings(dock).await;
    for named in [
        "object 4 says that it is object 1 of ",
        "object 3 or 4 was altered",
        "is in object 1 and in object 4",
    ] {
        assert!(findings.iter().any(|finding| finding.contains(named)), "{findings:?}");
    }
}

fn copy_directory_of(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    copy_directory(from, to);
}

#[tokio::test]
async fn an_object_that_is_not_locked_or_that_a_deletion_hides_is_named() {
    let sealed = Sealed::new().await;
    let attempt = sealed.attempt().await;
    let (chain, url) =
        (&sealed.dock, hiding(&attempt.bucket.url, &format!("{}/{:012}", sealed.dock, 2)).await);
    let found = findings(&attempt.audit_copy("verify --json", chain, "s3://docyard", &url).await);
    assert_named("hidden", &found, &["object 2 was deleted or replaced: 1 versions and 1 deletions of it"]);

    let Attempt { table, bucket } = attempt;
    let unlocked = Attempt { table, bucket: TestBucket::serve(bucket.directory, None).await };
    let named = [1, 2, 3].map(|number| format!("object {number} is not locked for as long"));
    assert_named("not locked", &unlocked.findings(chain).await, &named.each_ref().map(String::as_str));
}

/// The same bucket, which says that there is a deletion of this key.
async fn hiding(url: &str, key: &str) -> String {
    let marker = format!(
        "<DeleteMarker><Key>{key}</Key><VersionId>v</VersionId><IsLatest>true</IsLatest></DeleteMarker></ListVersionsResult>"
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let upstream = url.to_owned();
    let forward = move |request: Request| {
        let (upstream, marker) = (upstream.clone(), marker.clone());
        async move { forward(&upstream, &marker, request).await }
    };
    let router = Router::new().fallback(forward);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

async fn forward(upstream: &str, marker: &str, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let mut call = http_client().build().unwrap().get(format!("{upstream}{}", parts.uri));
    for (name, value) in &parts.headers {
        call = call.header(name, value);
    }
    let response = call.send().await.unwrap();
    let mut answer = Response::builder().status(response.status());
    for name in ["last-modified", "x-amz-object-lock-retain-until-date"] {
        if let Some(value) = response.headers().get(name) {
            answer = answer.header(name, value);
        }
    }
    let body = response.text().await.unwrap().replace("</ListVersionsResult>", marker);
    answer.body(body.into()).unwrap()
}

#[tokio::test]
async fn what_the_stream_never_told_is_sealed_from_the_table_and_said_to_be() {
    let sealed = Sealed::new().await;
    let attempt = sealed.attempt().await;
    let account = Account { table: attempt.table.clone(), key: String::new(), dock: sealed.dock.clone() };
    let missed = write_entry(&account, "claim-2", minutes_ago(200)).await;
    assert_named("missed", &attempt.findings(&sealed.dock).await, &[&missed.to_string()]);
    let output = attempt.audit("seal", &sealed.dock).await;
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}: 1 entries are sealed\n", sealed.dock));
    let output = attempt.audit("verify --json", &sealed.dock).await;
    assert_eq!(findings(&output), Vec::<String>::new());
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((told[0]["objects"].as_u64(), told[0]["sealedFromTable"].as_u64()), (Some(4), Some(1)));
    let output = attempt.audit("seal --json", &sealed.dock).await;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["sealed"], 0, "nothing is sealed twice");
}

#[tokio::test]
async fn an_export_verifies_as_the_bucket_does_and_without_this_program() {
    let sealed = Sealed::new().await;
    let attempt = sealed.attempt().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let line = format!("export {path}");
    for _ in 0..2 {
        let output = attempt.audit(&line, &sealed.dock).await;
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}: 3 objects\n", sealed.dock));
    }
    let output = attempt.audit_copy("verify --json", &sealed.dock, path, "http://127.0.0.1:1").await;
    assert_eq!(findings(&output), Vec::<String>::new());

    // The script of docs/operations.md, as an examiner runs it.
    let page = read("docs/operations.md");
    let (_, script) = page.split_once("```python\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    let chain = directory.path().join(&sealed.dock);
    let examine = || {
        let mut command = std::process::Command::new("python3");
        command.args(["-c", script]).arg(&chain).output().unwrap()
    };
    let output = examine();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && told.starts_with("3 objects"), "{told}");
    let second = chain.join("000000000002");
    let content = std::fs::read(&second).unwrap();
    std::fs::write(&second, [&content[..], b"\n"].concat()).unwrap();
    let output = examine();
    assert!(!output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "object 2 or 3 was altered\n");
    std::fs::remove_file(&second).unwrap();
    assert_eq!(String::from_utf8(examine().stdout).unwrap(), "object 2 is missing\n");
}

#[tokio::test]
async fn the_local_server_seals_into_its_data_directory() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(directory.path(), &[]).await;
    let sealed = directory.path().join("sealed");
    let sealed_one = async {
        while !sealed.join(&dev.dock).join("000000000001").is_dir() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, sealed_one).await.expect("an entry is sealed");
    let verify = format!("audit verify --copy {} --of {}", sealed.display(), dev.dock);
    let mut verify = command(&dev.table, &verify, &[]);
    verify.stdout(Stdio::piped());
    let output = run(verify, "").await;
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && told.ends_with(": all fits\n"), "{told}");
}
