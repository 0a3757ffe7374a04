//! `docyard upload`, as a process, against `docyard dev`; and against a network and servers that fail in every way.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use docyard_core::values::content_hash::ContentHash;
use docyard_test_support::dev::{Dev, send};
use docyard_test_support::{PATIENCE, redacted};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::operator::{printed, program, refusal_in_one_line, run};
use crate::unreliable::Unreliable;

/// `docyard upload` of a directory into the server's dock, through the address `url`.
fn upload(dev: &Dev, url: &str, directory: &Path, more: &[&str]) -> Command {
    let mut command = program("upload");
    command.arg(directory).args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("DOCYARD_URL", url).env("DOCYARD_DOCK_ID", &dev.dock).env("DOCYARD_API_KEY", &dev.key);
    command
}

/// The outcome of one with `--json`, and its exit code.
async fn outcome(command: Command) -> (Value, Option<i32>) {
    let output = run(command, "").await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let outcome = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", redacted(&told)));
    (outcome, output.status.code())
}

fn counts(uploaded: usize, existing: usize) -> Value {
    json!({"uploaded": uploaded, "existing": existing, "failed": 0, "errors": []})
}

/// A directory with so many files in it and below.
fn directory(count: usize) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("below")).unwrap();
    for n in 0..count {
        let name = if n % 2 == 0 { format!("{n}.txt") } else { format!("below/{n}.txt") };
        std::fs::write(directory.path().join(name), format!("document {n}")).unwrap();
    }
    directory
}

/// The dock's artifacts, by their filenames; each filename once.
async fn artifacts(dev: &Dev) -> BTreeMap<String, Value> {
    let (listed, _) = dev.pages(&format!("/v1/docks/{}/artifacts?limit=1000", dev.dock)).await;
    let count = listed.len();
    let by_name: BTreeMap<String, Value> = listed
        .into_iter()
        .map(|artifact| (artifact["filename"].as_str().unwrap().to_owned(), artifact))
        .collect();
    assert_eq!(by_name.len(), count, "each is there once");
    by_name
}

#[tokio::test]
async fn the_files_of_a_directory_are_there_once_with_their_metadata_however_often_it_is_run() {
    let dev = Dev::start().await;
    let directory = directory(120);
    let rows = (0..120).map(|n| {
        let name = if n % 2 == 0 { format!("{n}.txt") } else { format!("below/{n}.txt") };
        format!("{name},LND-{},coi\n", n % 3)
    });
    let beside = tempfile::tempdir().unwrap();
    let csv = beside.path().join("metadata.csv");
    std::fs::write(&csv, format!("file,lender_id,document_type\n{}", rows.collect::<String>())).unwrap();
    let metadata = ["--metadata-from", csv.to_str().unwrap(), "--json"];
    assert_eq!(outcome(upload(&dev, &dev.url, directory.path(), &metadata)).await, (counts(120, 0), Some(0)));
    let there = artifacts(&dev).await;
    assert_eq!(there.len(), 120);
    for n in [0, 7, 119] {
        let artifact = &there[&format!("{n}.txt")];
        let content = format!("document {n}");
        assert_eq!(
            (&artifact["status"], &artifact["hash"]),
            (&json!("AVAILABLE"), &json!(ContentHash::of(content.as_bytes())))
        );
        assert_eq!(
            artifact["metadata"],
            json!({"lender_id": format!("LND-{}", n % 3), "document_type": "coi"})
        );
        let path = format!("/v1/docks/{}/artifacts/{}/content", dev.dock, artifact["id"].as_str().unwrap());
        let address = dev.get(&path).await.expect(200)["url"].as_str().unwrap().to_owned();
        assert_eq!(send(dev.http.get(address)).await.text, content);
    }
    assert_eq!(outcome(upload(&dev, &dev.url, directory.path(), &metadata)).await, (counts(0, 120), Some(0)));
    std::fs::write(directory.path().join("0.txt"), "another").unwrap();
    assert_eq!(outcome(upload(&dev, &dev.url, directory.path(), &metadata)).await.0, counts(1, 119));
    let (all, _) = dev.pages(&format!("/v1/docks/{}/artifacts", dev.dock)).await;
    assert_eq!(all.len(), 121, "another content under the same name is another artifact");
    let told = printed(run(upload(&dev, &dev.url, directory.path(), &metadata[..2]), "").await);
    assert_eq!(told, "0 uploaded, 120 there already, 0 failed");
}

#[tokio::test]
async fn killed_in_the_middle_and_run_again_each_file_is_there_once() {
    let dev = Dev::start().await;
    let directory = directory(400);
    let mut existing = 0;
    for kill_at in [20, 150, 300] {
        let mut process = upload(&dev, &dev.url, directory.path(), &[]).spawn().unwrap();
        let begun = Instant::now();
        while artifacts(&dev).await.values().filter(|artifact| artifact["status"] == "AVAILABLE").count()
            < kill_at
        {
            assert!(begun.elapsed() < PATIENCE, "it does not go on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        process.kill().unwrap();
        assert!(!process.wait().unwrap().success());
        let there = artifacts(&dev).await;
        let available = there.values().filter(|artifact| artifact["status"] == "AVAILABLE").count();
        assert!(available >= existing.max(kill_at));
        existing = available;
    }
    let (outcome, code) = outcome(upload(&dev, &dev.url, directory.path(), &["--json"])).await;
    assert_eq!(code, Some(0));
    let number = |name: &str| outcome[name].as_u64().unwrap();
    assert_eq!((number("uploaded") + number("existing"), number("failed")), (400, 0));
    let there = artifacts(&dev).await;
    assert_eq!(there.len(), 400);
    assert!(there.values().all(|artifact| artifact["status"] == "AVAILABLE"));
}

#[tokio::test]
async fn whatever_passes_on_the_way_each_file_is_there_once() {
    let dev = Dev::start().await;
    let directory = directory(60);
    let unreliable = Unreliable::before(&dev).await;
    let (outcome, code) = outcome(upload(&dev, &unreliable.url, directory.path(), &["--json"])).await;
    assert_eq!((&outcome["failed"], code), (&json!(0), Some(0)), "{outcome}");
    assert!(unreliable.faults.load(Ordering::SeqCst) > 40, "it met every fault several times");
    let there = artifacts(&dev).await;
    assert_eq!(there.len(), 60);
    assert!(there.values().all(|artifact| artifact["status"] == "AVAILABLE"));
}

#[tokio::test]
async fn what_does_not_pass_is_told_of_each_file_and_by_the_exit_code() {
    let dev = Dev::start().await;
    let directory = directory(3);
    std::fs::write(directory.path().join("empty.txt"), "").unwrap();
    std::fs::write(directory.path().join("a\\b.txt"), "x").unwrap();
    let (told, code) = outcome(upload(&dev, &dev.url, directory.path(), &["--json"])).await;
    assert_eq!((&told["uploaded"], &told["failed"], code), (&json!(3), &json!(2), Some(1)));
    assert_eq!(told["errors"][0]["file"], "a\\b.txt");
    assert!(
        told["errors"][0]["message"].as_str().unwrap().contains("filename must be the name of a file"),
        "{told}"
    );
    assert_eq!(told["errors"][1], json!({"file": "empty.txt", "message": "it is empty"}));
    let output = run(upload(&dev, &dev.url, directory.path(), &[]), "").await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0 uploaded, 3 there already, 2 failed\n");
    assert!(String::from_utf8(output.stderr).unwrap().contains("docyard: empty.txt: it is empty\n"));

    let mut wrong_key = upload(&dev, &dev.url, directory.path(), &["--json"]);
    wrong_key.env("DOCYARD_API_KEY", dev.table.key(dev.table.account().await).await);
    let told = refusal_in_one_line(run(wrong_key, "").await);
    assert!(told.contains("404 Dock not found; nothing was uploaded"), "{told}");
}

#[tokio::test]
async fn a_command_that_cannot_work_says_why_in_one_line_and_uploads_nothing() {
    let dev = Dev::start().await;
    let (directory, empty) = (directory(3), tempfile::tempdir().unwrap());
    let csv = directory.path().join("metadata.csv");
    std::fs::write(&csv, "file,lender_id\n0.txt,L\n").unwrap();
    std::fs::write(directory.path().join(".hidden"), "a key").unwrap();
    let fails = async |command: Command| refusal_in_one_line(run(command, "").await);
    let missing = upload(&dev, &dev.url, directory.path(), &["--metadata-from", csv.to_str().unwrap()]);
    assert!(fails(missing).await.contains("2 files have no row in the CSV file: 2.txt, below/1.txt"));
    let mut no_key = upload(&dev, &dev.url, directory.path(), &[]);
    no_key.env_remove("DOCYARD_API_KEY");
    assert!(fails(no_key).await.contains("set DOCYARD_API_KEY"));
    let mut no_key = upload(&dev, &dev.url, directory.path(), &[]);
    no_key.env("DOCYARD_API_KEY", "dk_live_x");
    assert!(fails(no_key).await.contains("is none"));
    assert!(fails(upload(&dev, &dev.url, Path::new("/nowhere"), &[])).await.contains("cannot read /nowhere"));
    assert!(fails(upload(&dev, &dev.url, empty.path(), &[])).await.contains("there are no files in"));
    std::os::unix::fs::symlink("/nowhere", empty.path().join("dangling")).unwrap();
    let dangling = fails(upload(&dev, &dev.url, empty.path(), &[])).await;
    assert!(dangling.contains("cannot read") && dangling.contains("dangling"), "{dangling}");
    let plain = run(upload(&dev, "http://access.example.com", directory.path(), &[]), "").await;
    assert_eq!(plain.status.code(), Some(2));
    assert!(String::from_utf8(plain.stderr).unwrap().contains("must begin with https://"));
    assert!(artifacts(&dev).await.is_empty());

    let key_file = directory.path().join("key");
    std::fs::write(&key_file, format!("{}\n", dev.key)).unwrap();
    let mut from_file =
        upload(&dev, &dev.url, directory.path(), &["--json", "--key-file", key_file.to_str().unwrap()]);
    from_file.env_remove("DOCYARD_API_KEY");
    assert_eq!(outcome(from_file).await.0["uploaded"], 4);
    let there = artifacts(&dev).await;
    assert!(
        !there.contains_key("key") && !there.contains_key(".hidden"),
        "neither the key nor what is hidden"
    );
}

/// Also where it fails, and logs all that it can.
#[tokio::test]
async fn neither_the_key_nor_an_address_is_told() {
    let dev = Dev::start().await;
    let directory = directory(3);
    let told =
        |output: Output| [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap()).concat();
    let mut command = upload(&dev, &dev.url, directory.path(), &[]);
    command.env("RUST_LOG", "trace");
    let succeeded = told(run(command, "").await);
    // A server that cuts every answer, and so has it fail.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}").await;
            });
        }
    });
    let mut command = upload(&dev, &address, directory.path(), &[]);
    command.env("RUST_LOG", "trace");
    let failed = told(run(command, "").await);
    assert!(failed.contains("401 Unauthorized"), "{failed}");
    for told in [succeeded, failed] {
        assert!(!told.contains(&dev.key) && !told.contains("X-Amz-Signature"), "{}", redacted(&told));
    }
}
