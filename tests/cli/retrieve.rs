//! `docyard retrieve`, as a process, against `docyard dev`; and against a network that fails in every way.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::content_hash::ContentHash;
use docyard_test_support::dev::Dev;
use docyard_test_support::scene::recipe;
use docyard_test_support::table::{TABLE, TestTable};
use docyard_test_support::{PATIENCE, redacted, trail};
use serde_json::{Value, json};

use crate::operator::{printed, program, refusal_in_one_line, run};
use crate::unreliable::Unreliable;

/// A server with a lender, whom a policy grants what has its `lender_id`.
struct World {
    dev: Dev,
    lender: String,
    passphrase: String,
    out: tempfile::TempDir,
}

impl World {
    async fn new(factors: &[&str]) -> Self {
        Self::of(Dev::start().await, factors, 10_000).await
    }

    /// With a policy that delivers so many documents at a time.
    async fn of(dev: Dev, factors: &[&str], most: usize) -> Self {
        let mut recipe = recipe();
        recipe["access"]["max_batch_size"] = json!(most);
        recipe["auth"]["factors"] = json!(factors);
        let policy = format!("/v1/docks/{}/policies", dev.dock);
        let body = json!({"name": "A policy", "recipe": recipe});
        let policy = docyard_test_support::dev::send(dev.post(&policy).json(&body)).await.expect(201);
        let path = format!("/v1/docks/{}/policies/{}/publish", dev.dock, policy["id"].as_str().unwrap());
        let release = json!({"stage": "production", "version": 1});
        docyard_test_support::dev::send(dev.post(&path).json(&release)).await.expect(200);
        let lender = json!({
            "name": "A lender", "email": "a@example.com", "stakeholderClass": "mortgagee",
            "identifiers": {"lender_id": "LND-1"},
        });
        let lender = dev.create_recipient(lender).await.expect(201)["id"].as_str().unwrap().to_owned();
        let (_, passphrase) = dev.secret(&lender).await;
        Self { dev, lender, passphrase, out: tempfile::tempdir().unwrap() }
    }

    /// Uploads documents of this lender under these names, whose contents are these.
    async fn upload(&self, files: &[(String, String)], lender_id: &str) {
        let directory = tempfile::tempdir().unwrap();
        let mut rows = "file,lender_id,document_type\n".to_owned();
        for (name, content) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
            rows += &format!("{name},{lender_id},declaration-page\n");
        }
        let beside = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(beside.path(), rows).unwrap();
        let mut command = program("upload");
        command.arg(directory.path()).arg("--metadata-from").arg(beside.path());
        command.env("DOCYARD_URL", &self.dev.url).env("DOCYARD_DOCK_ID", &self.dev.dock);
        command.env("DOCYARD_API_KEY", &self.dev.key);
        printed(run(command, "").await);
    }

    fn command(&self, url: &str, more: &[&str]) -> Command {
        let mut command = program("retrieve");
        command.args(["--url", url, "--recipient", &self.lender]).arg("--out").arg(self.out.path());
        command.args(more).env("DOCYARD_SECRET", &self.passphrase);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The outcome of a run with `--json`, and its exit code.
    async fn outcome(&self, url: &str, more: &[&str]) -> (Value, Option<i32>) {
        let output = run(self.command(url, &[more, &["--json"]].concat()), "").await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let outcome =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", redacted(&told)));
        (outcome, output.status.code())
    }

    /// What is in the directory and whole, but for the manifest.
    fn files(&self) -> BTreeMap<String, String> {
        let files = std::fs::read_dir(self.out.path()).unwrap().map(|file| file.unwrap().path());
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        files
            .filter(|path| name(path) != "manifest.jsonl" && !name(path).starts_with('.'))
            .map(|path| (name(&path), std::fs::read_to_string(&path).unwrap()))
            .collect()
    }
}

/// So many documents.
fn documents(count: usize) -> Vec<(String, String)> {
    (0..count).map(|n| (format!("{n}.txt"), format!("document {n}"))).collect()
}

fn counts(retrieved: usize, existing: usize) -> Value {
    json!({"retrieved": retrieved, "existing": existing, "gone": 0, "failed": 0, "errors": []})
}

#[tokio::test]
async fn an_institution_gets_its_documents_over_mutual_tls_each_once_and_then_what_is_new() {
    let world = World::new(&["shared_passphrase", "tls_certificate"]).await;
    let tls = world.dev.variable("DOCYARD_TLS_DIR");
    let file = |name: &str| format!("{tls}/{name}");
    let pem = std::fs::read_to_string(file("client.pem")).unwrap();
    let path = format!("/v1/recipients/{}/certificates", world.lender);
    let certificate = json!({"name": "A certificate", "certificate": pem});
    docyard_test_support::dev::send(world.dev.post(&path).json(&certificate)).await.expect(201);
    world.upload(&documents(40), "LND-1").await;
    world.upload(&[("other.txt".to_owned(), "another's".to_owned())], "LND-2").await;
    // Two of one name.
    world.upload(&[("below/0.txt".to_owned(), "another document 0".to_owned())], "LND-1").await;

    let state = tempfile::tempdir().unwrap().path().join("state");
    std::fs::create_dir_all(state.parent().unwrap()).unwrap();
    let (client, key, authority) = (file("client.pem"), file("client.key"), file("ca.pem"));
    let options =
        ["--cert", &client, "--key", &key, "--cacert", &authority, "--state", state.to_str().unwrap()];
    let url = world.dev.variable("DOCYARD_MUTUAL_TLS_URL");
    assert_eq!(world.outcome(&url, &options).await, (counts(41, 0), Some(0)));
    let files = world.files();
    assert_eq!(files.len(), 41);
    for (name, content) in documents(40).iter().skip(1) {
        assert_eq!(&files[name], content);
    }
    let mut twins: Vec<&String> =
        files.iter().filter(|(name, _)| name.starts_with("0")).map(|(_, content)| content).collect();
    twins.sort();
    assert_eq!(twins, ["another document 0", "document 0"]);
    let manifest = std::fs::read_to_string(world.out.path().join("manifest.jsonl")).unwrap();
    assert_eq!(manifest.lines().count(), 41);
    for line in manifest.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let content = &files[entry["file"].as_str().unwrap()];
        assert_eq!(entry["hash"], json!(ContentHash::of(content.as_bytes())));
        assert_eq!(entry["metadata"]["lender_id"], "LND-1");
    }

    let (again, code) = world.outcome(&url, &options).await;
    assert_eq!((&again["retrieved"], &again["failed"], code), (&json!(0), &json!(0), Some(0)));
    world.upload(&[("new.txt".to_owned(), "new".to_owned())], "LND-1").await;
    let (new, _) = world.outcome(&url, &options).await;
    assert_eq!((&new["retrieved"], &new["failed"]), (&json!(1), &json!(0)));
    assert_eq!(world.files().len(), 42);
    // What is no longer there comes again, without the state.
    std::fs::remove_file(world.out.path().join("7.txt")).unwrap();
    let (without_state, _) = world.outcome(&url, &options[..6]).await;
    assert_eq!(without_state, counts(1, 41));
}

#[tokio::test]
async fn whatever_passes_on_the_way_each_document_is_there_once_and_right() {
    let world = World::new(&["shared_passphrase"]).await;
    world.upload(&documents(60), "LND-1").await;
    let unreliable = Unreliable::before(&world.dev).await;
    let (outcome, code) = world.outcome(&unreliable.url, &[]).await;
    assert_eq!((outcome, code), (counts(60, 0), Some(0)));
    assert!(unreliable.faults.load(Ordering::SeqCst) > 40, "it met every fault several times");
    assert_eq!(world.files(), documents(60).into_iter().collect());
}

#[tokio::test]
async fn killed_in_the_middle_and_run_again_each_document_is_there_once() {
    let world = World::new(&["shared_passphrase"]).await;
    world.upload(&documents(300), "LND-1").await;
    for kill_at in [20, 120] {
        let mut process = world.command(&world.dev.url, &[]).spawn().unwrap();
        let begun = Instant::now();
        while world.files().len() < kill_at {
            assert!(begun.elapsed() < PATIENCE, "it does not go on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        process.kill().unwrap();
        assert!(!process.wait().unwrap().success());
    }
    let (outcome, code) = world.outcome(&world.dev.url, &[]).await;
    assert_eq!((&outcome["failed"], code), (&json!(0), Some(0)));
    assert!(outcome["existing"].as_u64().unwrap() >= 100, "{outcome}");
    assert_eq!(world.files(), documents(300).into_iter().collect());
    assert_eq!(std::fs::read_dir(world.out.path()).unwrap().count(), 301, "and nothing half done");
}

#[tokio::test]
async fn a_command_that_cannot_work_says_why_in_one_line() {
    let world = World::new(&["shared_passphrase"]).await;
    let fails = async |command: Command| refusal_in_one_line(run(command, "").await);
    let mut wrong = world.command(&world.dev.url, &[]);
    wrong.env("DOCYARD_SECRET", "dk_sec_7f2a9b4c1e8d3f6a0b5c2d9e4f7a1b8c");
    assert!(fails(wrong).await.contains("no token"));
    let mut none = world.command(&world.dev.url, &[]);
    none.env_remove("DOCYARD_SECRET");
    assert!(fails(none).await.contains("set DOCYARD_SECRET"));
    let manifest =
        std::fs::File::options().append(true).create(true).open(world.out.path().join("manifest.jsonl"));
    let manifest = manifest.unwrap();
    manifest.lock().unwrap();
    assert!(fails(world.command(&world.dev.url, &[])).await.contains("another run uses"));
    manifest.unlock().unwrap();
    std::fs::write(world.out.path().join("state"), "x").unwrap();
    let state = world.out.path().join("state");
    let bad_state = world.command(&world.dev.url, &["--state", state.to_str().unwrap()]);
    assert!(fails(bad_state).await.contains("is no state"));
    let plain = run(world.command("http://access.example.com", &[]), "").await;
    assert_eq!(plain.status.code(), Some(2));
}

/// Has what became available at this time have become so an hour before, so that its job's cursor is behind it.
async fn make_older(table: &TestTable, since: &str) {
    let older = Timestamp::parse(since).unwrap().minus_minutes(60).to_string();
    for item in table.items().await {
        let new: HashMap<String, AttributeValue> = item
            .iter()
            .map(|(name, value)| match value {
                AttributeValue::S(text) => (name.clone(), AttributeValue::S(text.replace(since, &older))),
                other => (name.clone(), other.clone()),
            })
            .collect();
        if new != item && !trail::is_entry(&item) {
            let delete = table.client.delete_item().table_name(TABLE);
            let key = |name: &str| item[name].clone();
            delete.key("pk", key("pk")).key("sk", key("sk")).send().await.unwrap();
            table.client.put_item().table_name(TABLE).set_item(Some(new)).send().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_fetched_keeps_none_behind_it_back_and_is_told_each_time() {
    let data = tempfile::tempdir().unwrap();
    let world = World::of(Dev::start_in(data.path(), &[]).await, &["shared_passphrase"], 1).await;
    world.upload(&documents(3), "LND-1").await;
    let listed = world.dev.get(&format!("/v1/docks/{}/artifacts", world.dev.dock)).await.expect(200);
    for artifact in listed.as_array().unwrap() {
        let since = artifact["availableAt"].as_str().unwrap();
        make_older(&world.dev.table, since).await;
    }
    // As after a restore of the table alone.
    let oldest = listed[2]["id"].as_str().unwrap();
    let content = data.path().join("objects").join(&world.dev.dock).join(oldest);
    std::fs::remove_dir_all(content).unwrap();
    let state = data.path().join("state");
    for (retrieved, existing) in [(2, 0), (0, 2)] {
        let (outcome, code) = world.outcome(&world.dev.url, &["--state", state.to_str().unwrap()]).await;
        assert_eq!((&outcome["failed"], code), (&json!(1), Some(1)), "{outcome}");
        assert_eq!((&outcome["retrieved"], &outcome["existing"]), (&json!(retrieved), &json!(existing)));
        assert!(!state.exists(), "the next run begins there again");
    }
}

#[tokio::test]
async fn the_manifest_tells_what_a_document_is_now() {
    let world = World::new(&["shared_passphrase"]).await;
    world.upload(&documents(1), "LND-1").await;
    assert_eq!(world.outcome(&world.dev.url, &[]).await.0, counts(1, 0));
    let artifacts = format!("/v1/docks/{}/artifacts", world.dev.dock);
    let listed = world.dev.get(&artifacts).await.expect(200);
    let path = format!("{artifacts}/{}", listed[0]["id"].as_str().unwrap());
    world.dev.patch(&path, json!({"metadata": {"state": "CA"}})).await.expect(200);
    for lines in [2, 2] {
        assert_eq!(world.outcome(&world.dev.url, &[]).await.0, counts(0, 1));
        let manifest = std::fs::read_to_string(world.out.path().join("manifest.jsonl")).unwrap();
        assert_eq!(manifest.lines().count(), lines);
        let last: Value = serde_json::from_str(manifest.lines().last().unwrap()).unwrap();
        assert_eq!((&last["file"], &last["metadata"]["state"]), (&json!("0.txt"), &json!("CA")));
    }
}
