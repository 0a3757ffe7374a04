//! `docyard dev` under stress and damage: many requests at once, its output or its files gone, a full disk, a database
//! that is not its own. It says what is wrong in one line, and what it answered 2xx is never lost.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use docyard_test_support::dev::{Dev, send};
use docyard_test_support::{PATIENCE, http_client};
use serde_json::json;

use crate::dev_server::refused;

/// `docyard`, started by a shell that first does this.
fn docyard_after(setup: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{setup} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_docyard")]);
    command
}

/// The ids of all recipients of the server's dock.
async fn recipients(dev: &Dev) -> HashSet<String> {
    let (recipients, _) = dev.pages(&dev.recipients_path()).await;
    recipients.iter().map(|recipient| recipient["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn two_thousand_requests_at_once_all_succeed() {
    let open_files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: open_files.maximum, ..open_files };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let directory = tempfile::tempdir().unwrap();
    // The limit that most systems set.
    let dev = Dev::start_command(docyard_after("ulimit -S -n 1024"), directory.path(), &[]).await;
    let requests = (0..2000).map(|n| match n % 10 {
        0 => {
            let body = json!({"name": "Many", "email": format!("many{n}@example.com")});
            (201, tokio::spawn(send(dev.post(&dev.recipients_path()).json(&body))))
        }
        _ => {
            let url = format!("{}/v1/docks/{}", dev.url, dev.dock);
            (200, tokio::spawn(send(dev.http.get(url).bearer_auth(&dev.key))))
        }
    });
    let mut created = HashSet::new();
    for (status, request) in requests.collect::<Vec<_>>() {
        let body = request.await.unwrap().expect(status);
        if status == 201 {
            created.insert(body["id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(created.len(), 200);
    dev.kill();
    let dev = Dev::start_in(directory.path(), &[]).await;
    assert!(recipients(&dev).await == created, "what was answered is stored");
}

#[tokio::test]
async fn more_clients_than_it_may_open_files_are_served_one_after_another() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start_command(docyard_after("ulimit -n 280"), directory.path(), &[]).await;
    // Each request has a connection of its own, which is closed after it.
    let http = http_client().pool_max_idle_per_host(0).build().unwrap();
    let url = format!("{}/v1/docks/{}", dev.url, dev.dock);
    let requests = (0..400).map(|_| tokio::spawn(send(http.get(&url).bearer_auth(&dev.key))));
    for request in requests.collect::<Vec<_>>() {
        request.await.unwrap().expect(200);
    }
}

/// A server whose output goes into a pipe. It ends with the test.
struct Piped {
    process: Child,
    directory: tempfile::TempDir,
}

impl Piped {
    fn start((reader, writer): (PipeReader, PipeWriter), read: impl FnOnce(PipeReader)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_docyard"))
            .args(["dev", "--port", "0", "--mutual-tls-port", "0", "--data-dir"])
            .arg(directory.path())
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        read(reader);
        Self { process, directory }
    }

    /// A variable of `dev.env`, which is there once the server is about to announce itself.
    async fn variable(&mut self, name: &str) -> String {
        let begun = Instant::now();
        loop {
            assert!(self.process.try_wait().unwrap().is_none(), "it ended");
            assert!(begun.elapsed() < PATIENCE, "there is no dev.env");
            let env = std::fs::read_to_string(self.directory.path().join("dev.env")).unwrap_or_default();
            if let Some(value) = env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')) {
                return value.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn it_lives_on_when_nobody_reads_its_output_any_more() {
    let first_line = |reader: PipeReader| {
        assert!(BufReader::new(reader).read_line(&mut String::new()).unwrap() > 0);
    };
    let mut servers =
        [Piped::start(std::io::pipe().unwrap(), first_line), Piped::start(std::io::pipe().unwrap(), drop)];
    for server in &mut servers {
        let url = server.variable("DOCYARD_URL").await;
        let key = server.variable("DOCYARD_API_KEY").await;
        for _ in 0..3 {
            let request = http_client().build().unwrap().get(format!("{url}/v1/docks")).bearer_auth(&key);
            send(request).await.expect(200);
        }
        assert!(server.process.try_wait().unwrap().is_none(), "it ended");
    }
}

#[test]
fn an_error_that_nobody_reads_ends_it_with_1_as_any_other() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_docyard"));
    let status = command.args(["dev", "--host", "192.0.2.1"]).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn a_full_disk_is_told_as_such_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // No file may become larger than 2 MB: as for a full disk, a write fails, though with another error of the system.
    let mut command = docyard_after("trap '' XFSZ && ulimit -f 4096");
    command.env("RUST_LOG", "warn");
    let dev = Dev::start_command(command, directory.path(), &[]).await;
    let mut created = HashSet::new();
    let refused = loop {
        let body = json!({"name": "Disk", "email": format!("disk{}@example.com", created.len())});
        let answer = dev.create_recipient(body).await;
        if answer.status != 201 {
            break answer;
        }
        created.insert(answer.json()["id"].as_str().unwrap().to_owned());
        assert!(created.len() < 2000, "2 MB suffice");
    };
    assert_eq!(refused.status, 507, "{}", refused.text);
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("The disk is full"), "{message}");
    let output = dev.output();
    let lines = output.lines().filter(|line| line.contains("the disk is full, or fails"));
    assert_eq!(lines.count(), 1, "{output}");
    assert!(output.contains(directory.path().to_str().unwrap()), "{output}");
    assert!(recipients(&dev).await == created, "it can still be read");
    dev.kill();

    let dev = Dev::start_in(directory.path(), &[]).await;
    assert!(recipients(&dev).await == created);
    dev.create_recipient(json!({"name": "Disk", "email": "after@example.com"})).await.expect(201);
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_start_is_told_in_one_line() {
    let (new, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Dev::start_in(old.path(), &[]).await.kill();
    // So that a key must be stored.
    std::fs::remove_file(old.path().join("dev.env")).unwrap();
    for directory in [new, old] {
        let mut command = docyard_after("trap '' XFSZ && ulimit -f 8");
        let output = command
            .args(["dev", "--port", "0", "--mutual-tls-port", "0", "--data-dir"])
            .arg(directory.path())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains("the disk is full, or fails"), "{stderr}");
    }
}

#[tokio::test]
async fn a_database_that_is_not_its_own_is_named_and_left_as_it_is() {
    let (directory, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dev = Dev::start_in(own.path(), &[]).await;
    assert_eq!(dev.end_with("TERM").await, Some(0));
    let file = directory.path().join("dynamodb.sqlite");
    let sqlite = |statements: &str| {
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection.execute_batch(statements).unwrap();
    };
    let empty = || std::fs::write(&file, "").unwrap();
    let text = || std::fs::write(&file, "this is no database".repeat(1000)).unwrap();
    let foreign = || sqlite("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    let without_table = || drop(dynoxide::Database::new(file.to_str().unwrap()).unwrap());
    let newer = || {
        std::fs::copy(own.path().join("dynamodb.sqlite"), &file).unwrap();
        sqlite("UPDATE _config SET value = '999' WHERE key = 'schema_version'");
    };
    let folder = || std::fs::create_dir(&file).unwrap();
    let cases: [(&dyn Fn(), &str); 6] = [
        (&empty, "it is empty"),
        (&text, "it is no SQLite database"),
        (&foreign, "another program's"),
        (&without_table, "it has no table docyard"),
        (&newer, "a newer version"),
        (&folder, "it is no file"),
    ];
    for (make, reason) in cases {
        make();
        let before = file.is_file().then(|| std::fs::read(&file).unwrap());
        let message = refused(&["--port", "0", "--data-dir", directory.path().to_str().unwrap()]);
        assert!(message.contains(file.to_str().unwrap()), "{message}");
        assert!(message.contains(reason), "{reason}: {message}");
        assert!(message.contains("move it away"), "{message}");
        assert!(before == file.is_file().then(|| std::fs::read(&file).unwrap()), "{reason}: it was changed");
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                std::fs::remove_dir(path).unwrap()
            } else {
                std::fs::remove_file(path).unwrap()
            }
        }
    }
}

#[tokio::test]
async fn a_transaction_that_was_interrupted_is_undone() {
    let (own, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dev = Dev::start_in(own.path(), &[]).await;
    let created = dev.recipient().await;
    dev.kill();
    let connection = rusqlite::Connection::open(own.path().join("dynamodb.sqlite")).unwrap();
    // So that pages are written, and their old content to a journal, before the transaction ends.
    connection.pragma_update(None, "journal_mode", "delete").unwrap();
    connection.pragma_update(None, "cache_size", 1).unwrap();
    connection.execute_batch("BEGIN; CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(1000000))").unwrap();
    for file in ["dynamodb.sqlite", "dynamodb.sqlite-journal"] {
        std::fs::copy(own.path().join(file), copy.path().join(file)).unwrap();
    }
    let dev = Dev::start_in(copy.path(), &[]).await;
    assert!(recipients(&dev).await == HashSet::from([created]));
}

#[tokio::test]
async fn the_last_writes_of_a_database_that_is_gone_are_not_added_to_another() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(directory.path(), &[]).await;
    let created = dev.recipient().await;
    dev.kill();
    let (file, elsewhere) = (directory.path().join("dynamodb.sqlite"), directory.path().join("elsewhere"));
    std::fs::rename(&file, &elsewhere).unwrap();
    let message = refused(&["--port", "0", "--data-dir", directory.path().to_str().unwrap()]);
    assert!(
        message.contains("dynamodb.sqlite is gone") && message.contains("dynamodb.sqlite-wal"),
        "{message}"
    );
    std::fs::rename(&elsewhere, &file).unwrap();
    let dev = Dev::start_in(directory.path(), &[]).await;
    assert!(recipients(&dev).await == HashSet::from([created]));
}

/// Removes a directory that a server still writes to.
fn remove_all(directory: &Path) {
    while let Err(error) = std::fs::remove_dir_all(directory) {
        assert_eq!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty, "{error}");
    }
}

#[tokio::test]
async fn a_server_whose_data_is_taken_away_says_so_and_stops() {
    let move_away = |directory: &Path| std::fs::rename(directory, directory.with_extension("old")).unwrap();
    let remove_database = |directory: &Path| std::fs::remove_file(directory.join("dynamodb.sqlite")).unwrap();
    let remove_lock = |directory: &Path| std::fs::remove_file(directory.join("lock")).unwrap();
    for take_away in [remove_all as fn(&Path), move_away, remove_database, remove_lock] {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("data");
        std::fs::create_dir(&directory).unwrap();
        let mut dev = Dev::start_in(&directory, &[]).await;
        take_away(&directory);
        assert_eq!(dev.end().await, Some(1));
        let output = dev.output();
        let last = output.lines().last().unwrap();
        assert!(last.starts_with("docyard: ") && last.contains(directory.to_str().unwrap()), "{last}");
        assert!(last.contains("removed or replaced"), "{last}");
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_once_the_data_is_taken_away() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data");
    std::fs::create_dir(&directory).unwrap();
    let mut first = Dev::start_in(&directory, &[]).await;
    first.recipient().await;
    remove_all(&directory);
    // The first has not yet noticed, or has ended.
    let request = first.post(&first.recipients_path()).json(&json!({"name": "A", "email": "a@example.com"}));
    if let Ok(response) = request.timeout(PATIENCE).send().await {
        assert_eq!(response.status().as_u16(), 500);
    }
    // Another that starts there has the directory for itself, and the end of the first takes nothing from it.
    std::fs::create_dir(&directory).unwrap();
    let second = Dev::start_in(&directory, &[]).await;
    let database = std::fs::metadata(directory.join("dynamodb.sqlite")).unwrap().ino();
    let created = second.recipient().await;
    assert_eq!(first.end().await, Some(1));
    let also = second.recipient().await;
    assert_eq!(std::fs::metadata(directory.join("dynamodb.sqlite")).unwrap().ino(), database);
    second.kill();
    let third = Dev::start_in(&directory, &[]).await;
    assert!(recipients(&third).await == HashSet::from([created, also]));
}

#[tokio::test]
async fn a_server_whose_data_is_in_memory_needs_no_directory() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(directory.path(), &["--ephemeral"]).await;
    let created = dev.recipient().await;
    std::fs::remove_dir_all(directory.path()).unwrap();
    let also = dev.recipient().await;
    assert!(recipients(&dev).await == HashSet::from([created, also]));
}
