//! `docyard import`, as a process, against `docyard dev`; and against a network that fails in every way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::{Json, Router};
use docyard_test_support::dev::Dev;
use docyard_test_support::{PATIENCE, is_thorough, redacted};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::operator::{program, refusal_in_one_line, run};
use crate::unreliable::Unreliable;

/// Ten kinds of rows that are no recipient.
const FAULTS: [&str; 10] = [
    ",{email},mortgagee,LND-1",
    "N,,mortgagee,LND-1",
    "N,no email,mortgagee,LND-1",
    "N,{email},banker,LND-1",
    "N,{email}",
    "N,{email},mortgagee,LND-1,more",
    "Another name,taken@example.com,,",
    "\"a\u{7}b\",{email},,",
    "N,a@b@{email},,",
    "N,{email},,\"\u{1}\"",
];

/// A file of so many rows, of which each hundredth is a fault, behind one of an email that is taken by others; and the numbers of these.
fn file(directory: &Path, rows: usize) -> (PathBuf, BTreeSet<u64>) {
    let mut text = "name,email,stakeholder_class,lender_id\nTaken,taken@example.com,,\n".to_owned();
    let mut faults = BTreeSet::new();
    for n in 1..rows {
        let email = format!("l{n}@example.com");
        if n % 100 == 0 || n == rows - 1 {
            text += &FAULTS[faults.len() % FAULTS.len()].replace("{email}", &email);
            faults.insert(u64::try_from(n + 2).unwrap());
        } else {
            text += &format!("\"Lender, {n}\",{email},mortgagee,LND-{n}");
        }
        text += "\r\n";
    }
    let path = directory.join("recipients.csv");
    std::fs::write(&path, text).unwrap();
    (path, faults)
}

fn command(dev: &Dev, url: &str, file: &Path) -> Command {
    let mut command = program("import");
    command.arg(file).arg("--json").env("DOCYARD_URL", url).env("DOCYARD_DOCK_ID", &dev.dock);
    command.env("DOCYARD_API_KEY", &dev.key).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it printed, and its exit code.
async fn outcome(command: Command) -> (Value, Option<i32>) {
    let output = run(command, "").await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let outcome = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", redacted(&told)));
    (outcome, output.status.code())
}

fn rows(outcome: &Value) -> BTreeSet<u64> {
    let errors = outcome["errors"].as_array().unwrap().iter();
    errors.map(|error| error["row"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_file_becomes_recipients_each_once_though_it_is_killed_and_its_errors_a_file() {
    let dev = Dev::start().await;
    let directory = tempfile::tempdir().unwrap();
    let count = if is_thorough() { 10_000 } else { 1_000 };
    let (path, faults) = file(directory.path(), count);
    let created = count - faults.len();

    let mut killed = command(&dev, &dev.url, &path).spawn().unwrap();
    let begun = Instant::now();
    while dev.table.recipients().await.0.is_empty() {
        assert!(begun.elapsed() < PATIENCE, "it does not begin");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let (first, code) = outcome(command(&dev, &dev.url, &path)).await;
    assert_eq!(code, Some(1));
    let there = first["created"].as_u64().unwrap() + first["existing"].as_u64().unwrap();
    assert_eq!((there, &first["failed"]), (u64::try_from(created).unwrap(), &json!(faults.len())), "{first}");
    assert!(first["existing"].as_u64().unwrap() > 0, "those before it was killed");
    assert_eq!(rows(&first), faults);
    let (again, _) = outcome(command(&dev, &dev.url, &path)).await;
    assert_eq!((&again["created"], &again["existing"]), (&json!(0), &json!(created)));
    assert_eq!((rows(&again), dev.table.recipients().await.0.len()), (faults.clone(), created));

    // The rows as they were, behind their number and the reason.
    let errors = std::fs::read_to_string(directory.path().join("recipients.errors.csv")).unwrap();
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(errors.as_bytes());
    assert_eq!(
        reader.headers().unwrap(),
        &["#row", "#error", "name", "email", "stakeholder_class", "lender_id"][..]
    );
    let read: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(read.iter().map(|row| row[0].parse().unwrap()).collect::<BTreeSet<u64>>(), faults);
    assert!(read.iter().all(|row| !row[1].is_empty()));
    assert_eq!((&read[3][2], &read[3][4]), ("N", "banker"));
    assert_eq!(read[4].len(), 4, "as wide as it was");

    // Without errors there is no such file.
    std::fs::write(&path, "name,email\nTaken,taken@example.com\n").unwrap();
    let (clean, code) = outcome(command(&dev, &dev.url, &path)).await;
    assert_eq!((clean, code), (json!({"created": 0, "existing": 1, "failed": 0, "errors": []}), Some(0)));
    assert!(!directory.path().join("recipients.errors.csv").exists());
}

#[tokio::test]
async fn whatever_passes_on_the_way_no_row_is_lost_and_none_comes_twice() {
    let dev = Dev::start().await;
    let unreliable = Unreliable::before(&dev).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recipients.csv");
    let rows: String =
        (0..40).map(|n| format!("Lender {n},l{n}@example.com,{}\n", "x".repeat(500))).collect();
    // Wide rows, so that there are several batches.
    let columns: Vec<String> = (0..49).map(|n| format!("k{n}")).collect();
    let wide: String = rows
        .lines()
        .map(|row| format!("{row},{}\n", vec!["y".repeat(500); columns.len()].join(",")))
        .collect();
    std::fs::write(&path, format!("name,email,k,{}\n{wide}", columns.join(","))).unwrap();
    let (outcome, code) = outcome(command(&dev, &unreliable.url, &path)).await;
    assert_eq!((&outcome["failed"], code), (&json!(0), Some(0)), "{outcome}");
    assert!(unreliable.faults.load(Ordering::SeqCst) > 0);
    assert_eq!(dev.table.recipients().await.0.len(), 40);
}

/// What the table had no room for is sent again, in its order, and counts once.
#[tokio::test]
async fn rows_that_were_not_tried_are_sent_again() {
    let sent: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let seen = sent.clone();
    let answer = async move |Json(body): Json<Value>| {
        let recipients = body["recipients"].as_array().unwrap();
        let emails: Vec<String> =
            recipients.iter().map(|recipient| recipient["email"].as_str().unwrap().to_owned()).collect();
        let mut sent = seen.lock().unwrap();
        // Each time it has room for two.
        let errors: Vec<Value> =
            (2..emails.len()).map(|row| json!({"row": row, "status": 503, "message": "busy"})).collect();
        let success = emails.len() - errors.len();
        sent.push(emails);
        Json(
            json!({"success": success, "existing": 0, "failed": errors.len(), "recipients": [], "errors": errors}),
        )
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recipients.csv");
    std::fs::write(
        &path,
        "name,email\nA,a@x.example\nB,b@x.example\nC,c@x.example\nD,d@x.example\nE,e@x.example\n",
    )
    .unwrap();
    let dev = Dev::start().await;
    let (outcome, code) = outcome(command(&dev, &url, &path)).await;
    assert_eq!((&outcome["created"], &outcome["failed"], code), (&json!(5), &json!(0), Some(0)));
    let rounds: Vec<usize> = sent.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(rounds, [5, 3, 1]);
}

#[tokio::test]
async fn a_command_that_cannot_work_says_why_in_one_line() {
    let dev = Dev::start().await;
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = file(directory.path(), 3);
    let fails = async |command: Command| refusal_in_one_line(run(command, "").await);
    let mut without_key = command(&dev, &dev.url, &path);
    without_key.env_remove("DOCYARD_API_KEY");
    assert!(fails(without_key).await.contains("no API key"));
    let mut of_another_dock = command(&dev, &dev.url, &path);
    of_another_dock.env("DOCYARD_DOCK_ID", "dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0");
    assert!(fails(of_another_dock).await.contains("Dock not found"));
    assert!(fails(command(&dev, &dev.url, &directory.path().join("none.csv"))).await.contains("cannot read"));
    std::fs::write(&path, "name;email\n").unwrap();
    assert!(fails(command(&dev, &dev.url, &path)).await.contains("semicolons"));
}
