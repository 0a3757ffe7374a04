//! `docyard dev` itself: what it answers in API Gateway's place, what lies on disk, how it starts and ends, and that
//! nothing brings it down.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use aws_sdk_dynamodb::types::AttributeValue;
use docyard_core::model::api_key::Mode;
use docyard_test_support::dev::{Dev, send};
use docyard_test_support::table::TABLE;
use docyard_test_support::{PATIENCE, is_thorough, redacted, trail};
use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use serde_json::json;

/// Sends bytes as they are, and gives the answer: interim ones (1xx), then the final one with its body.
fn raw(url: &str, request: &[u8]) -> Vec<u8> {
    let mut stream = connect(url);
    // The server may answer and close before all is sent.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !is_complete(&answer) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => answer.extend(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => panic!("{error} in answer to {:?}", redacted(&String::from_utf8_lossy(request))),
        }
    }
    answer
}

fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Whether these bytes hold a final answer with as much body as it says.
fn is_complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    if head.starts_with("http/1.1 100") {
        return is_complete(body.as_bytes());
    }
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.strip_prefix(b"HTTP/1.1 ").or_else(|| answer.strip_prefix(b"HTTP/1.0 "))?;
    std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()
}

fn body(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned())
}

#[tokio::test]
async fn what_never_reaches_a_function_is_answered_as_api_gateway_answers() {
    let dev = Dev::start().await;
    let url = |path: &str| format!("{}{path}", dev.url);
    let recipients = dev.recipients_path();
    let huge = "x".repeat(10 * 1024 * 1024 + 1);
    for (request, status, message) in [
        (dev.http.post(url("/")), 404, "Not Found"),
        (dev.http.put(url("/v1/docks")), 404, "Not Found"),
        (dev.http.post(url(&format!("{recipients}/"))), 404, "Not Found"),
        (dev.http.patch(url(&recipients)), 404, "Not Found"),
        (dev.http.head(url(&recipients)), 404, ""),
        (dev.http.post(url("/v1/docks/%ff/recipients")), 400, "Bad Request"),
        (dev.post(&recipients).header("x-long", "x".repeat(10_240)), 431, "Request Header Fields Too Large"),
        (dev.post(&recipients).body(huge), 413, "Request Entity Too Large"),
    ] {
        let answer = send(request).await;
        assert_eq!(answer.status, status, "{message}");
        assert_eq!(answer.header("x-request-id"), "", "it does not come from a function");
        if !message.is_empty() {
            assert_eq!(answer.json(), json!({ "message": message }));
        }
    }
}

#[tokio::test]
async fn no_request_brings_it_down() {
    let dev = Dev::start().await;
    let long = "x".repeat(70_000);
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n",
        dev.recipients_path(),
        dev.key
    );
    let with = |rest: &str| format!("{head}{rest}").into_bytes();
    let requests: Vec<Vec<u8>> = vec![
        b"\0\0\0\0".into(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".into(),
        b"GET /\r\n\r\n".into(),
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n".into(),
        b"POST /v1/docks/x/recipients HTTP/1.1\r\nHost: [\r\n\r\n".into(),
        b"POST /v1/docks/x/recipients HTTP/1.1\r\nHost: [::1\r\n\r\n".into(),
        b"POST /v1/docks/x/recipients HTTP/1.1\r\nHost: a b\r\n\r\n".into(),
        b"POST /v1/docks/x/recipients HTTP/1.1\r\nHost: a:b:c\r\n\r\n".into(),
        b"POST /v1/docks/x/recipients HTTP/1.1\r\nHost:\r\n\r\n".into(),
        b"POST /v1/docks/x/recipients HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(),
        b"POST /v1/docks/x/recipients HTTP/1.1\r\nHost: \xff\r\n\r\n".into(),
        b"POST /v1/docks/x/recipients HTTP/1.0\r\n\r\n".into(),
        b"POST /v1/docks/x/recipients?a b HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        b"POST /v1/docks/x/recipients?<\"a\"> HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        b"POST /v1/docks/x/recipients?\xc3\xa9%zz&&=&=x#f HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        b"POST /v1/docks/\0/recipients HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        b"POST /v1/docks/%00%0d%0a%7b%ff/recipients HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        b"POST /v1/docks/%/recipients HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        b"POST http://[/v1 HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        b"POST http://b/v1/docks/x/recipients HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        b"B[]GUS / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        format!("POST /v1/docks/{long}/recipients HTTP/1.1\r\nHost: a\r\n\r\n").into(),
        format!("POST /v1/docks/x/recipients?{long} HTTP/1.1\r\nHost: a\r\n\r\n").into(),
        format!("POST /v1/docks/x/recipients HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(2000)).into(),
        format!("{head}\r\n").replace("Bearer ", "Bearer \u{e9}\u{1f511}").into(),
        [format!("{head}X-Latin: ").into_bytes(), b"Beno\xeet\r\n\r\n".to_vec()].concat(),
        with("X-Forwarded-Proto: ::,[\r\nX-Forwarded-For: [\r\nCookie: =;;a\r\nCookie: \u{a0}\r\n\r\n"),
        with("Content-Length: -1\r\n\r\n"),
        with("Content-Length: 99999999999999999999\r\n\r\n"),
        with("Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"),
        with("Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        with("Transfer-Encoding: gzip\r\n\r\n"),
        with("Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"),
        with("Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        with("Content-Type: \r\nContent-Length: 2\r\n\r\n{}"),
    ];
    for request in requests {
        let answer = raw(&dev.url, &request);
        let shown = redacted(&String::from_utf8_lossy(&request[..request.len().min(200)]));
        // What is no HTTP request may get no answer at all.
        let may_be_silent = !String::from_utf8_lossy(&request).contains(" HTTP/1.1\r\n");
        let is_interim = status(&answer) == Some(100) && body(&answer).starts_with("HTTP/1.1 400 ");
        let is_refusal = status(&answer).is_some_and(|status| (400..500).contains(&status));
        assert!(
            is_refusal || is_interim || (answer.is_empty() && may_be_silent),
            "{shown:?} got {}",
            String::from_utf8_lossy(&answer)
        );
    }
    // Requests that end before they are complete.
    for request in [
        &b""[..],
        b"POST",
        b"PRI * HTTP/2.0\r\n\r\n",
        &with("Content-Length: 100\r\n\r\nshort"),
        &with("Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"),
    ] {
        let mut stream = connect(&dev.url);
        stream.write_all(request).unwrap();
    }
    assert!(!dev.output().contains("location="), "{}", redacted(&dev.output()));
    dev.create_recipient(json!({"name": "Still here", "email": "here@example.com"})).await.expect(201);
}

#[tokio::test]
async fn nothing_that_a_client_can_send_gets_a_500() {
    let dev = Dev::start().await;
    let (url, key, dock) = (dev.url.clone(), dev.key.clone(), dev.dock.clone());
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    let token = "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}";
    let value = prop::collection::vec(prop_oneof![Just(b'\t'), 0x20u8..=0x7e, 0x80u8..=0xff], 0..30);
    let cases = (
        prop_oneof![Just(format!("/v1/docks/{dock}/recipients")), "/v1/(docks|recipients)/[!$-;=?-Z_a-z~]{1,20}/(recipients|secrets)"],
        "[!$-;=?-~]{0,40}",
        prop::collection::vec((token, value), 0..4),
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "\\{\"(name|email|identifiers|expiresInDays)\":(1|null|\"\\\\PC{0,20}\"|\\{\"k\":\"v\"\\}|\\[\\[\\]\\])\\}".prop_map(String::into_bytes),
        ],
    );
    TestRunner::new(config)
        .run(&cases, |(path, query, headers, body_bytes)| {
            let mut request =
                format!("POST {path}?{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n")
                    .into_bytes();
            for (name, value) in headers {
                if !["content-length", "transfer-encoding", "host"].contains(&name.to_lowercase().as_str()) {
                    request.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
                }
            }
            request.extend(format!("Content-Length: {}\r\n\r\n", body_bytes.len()).into_bytes());
            request.extend(&body_bytes);
            let answer = raw(&url, &request);
            let status = status(&answer);
            prop_assert!(status.is_some_and(|status| status < 500), "{}", String::from_utf8_lossy(&answer));
            // What a function answered is the contract's JSON.
            if String::from_utf8_lossy(&answer).contains("x-request-id") {
                let body: serde_json::Value = serde_json::from_str(&body(&answer)).unwrap();
                prop_assert_eq!(body["statusCode"].as_u64().map(|status| status as u16), status.filter(|s| *s >= 400));
            }
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn data_and_key_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(directory.path(), &[]).await;
    let (key, dock) = (dev.key.clone(), dev.dock.clone());
    let request = json!({"name": "A", "email": "a@example.com"});
    let recipient = dev.create_recipient(request.clone()).await.expect(201)["id"].clone();
    assert_eq!(dev.end_with("TERM").await, Some(0));

    let dev = Dev::start_in(directory.path(), &[]).await;
    assert!(dev.key == key && dev.dock == dock, "the key and the dock are the same");
    assert_eq!(dev.create_recipient(request).await.expect(409)["recipientId"], recipient);
    dev.generate_secret(recipient.as_str().unwrap(), json!({"name": "S"})).await.expect(201);
}

#[tokio::test]
async fn the_key_stays_the_same_with_and_without_the_data() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(directory.path(), &[]).await;
    let key = dev.key.clone();
    dev.kill();
    for arguments in [&["--ephemeral"][..], &["--ephemeral"], &[]] {
        let dev = Dev::start_in(directory.path(), arguments).await;
        assert!(dev.key == key, "{arguments:?}");
        dev.recipient().await;
        dev.kill();
    }
    for file in ["dynamodb.sqlite", "dynamodb.sqlite-wal"] {
        std::fs::remove_file(directory.path().join(file)).unwrap();
    }
    let dev = Dev::start_in(directory.path(), &[]).await;
    assert!(dev.key == key);
    dev.recipient().await;
}

#[tokio::test]
async fn a_key_that_opens_nothing_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(directory.path(), &[]).await;
    let dock = dev
        .table
        .store
        .dock(docyard_core::values::id::DockId::parse(&dev.dock).unwrap())
        .await
        .unwrap()
        .unwrap();
    let revoked = dev.key.clone();
    let id = dev.table.store.api_keys(dock.account).await.unwrap()[0].id;
    dev.table.revoke_key(dock.account, id).await;
    let test_key = dev.table.key_with(dock.account, Mode::Test, None).await;
    let foreign_key = dev.table.key(dev.table.account().await).await;
    dev.kill();
    for useless in [revoked, test_key, foreign_key] {
        std::fs::write(directory.path().join("dev.env"), format!("DOCYARD_API_KEY={useless}\n")).unwrap();
        let dev = Dev::start_in(directory.path(), &[]).await;
        assert!(dev.key != useless);
        dev.recipient().await;
        dev.kill();
    }
}

#[tokio::test]
async fn a_first_start_that_was_killed_is_completed_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    for milliseconds in 0..40 {
        let log = std::fs::File::create(directory.path().join("first.log")).unwrap();
        let data = directory.path().join(format!("data{milliseconds}"));
        let mut first = Command::new(env!("CARGO_BIN_EXE_docyard"))
            .args(["dev", "--port", "0", "--mutual-tls-port", "0", "--data-dir"])
            .arg(&data)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        // The moment is what varies here; nothing is waited for.
        tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
        first.kill().unwrap();
        first.wait().unwrap();
    }
    for milliseconds in 0..40 {
        let data = directory.path().join(format!("data{milliseconds}"));
        std::fs::create_dir_all(&data).unwrap();
        let dev = Dev::start_in(&data, &[]).await;
        let recipient = dev.recipient().await;
        dev.generate_secret(&recipient, json!({"name": "S"})).await.expect(201);
        let ttl = dev.table.client.describe_time_to_live().table_name(TABLE).send().await.unwrap();
        let ttl = ttl.time_to_live_description.unwrap().time_to_live_status.unwrap();
        assert_eq!(ttl.as_str(), "ENABLED", "killed after {milliseconds} ms");
    }
}

#[tokio::test]
async fn without_dev_env_a_new_key_is_made_for_the_same_dock() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(directory.path(), &[]).await;
    let (key, dock) = (dev.key.clone(), dev.dock.clone());
    dev.kill();
    for spoil in [
        |path: &Path| std::fs::remove_file(path).unwrap(),
        |path: &Path| std::fs::write(path, "\0=\n").unwrap(),
    ] {
        spoil(&directory.path().join("dev.env"));
        let dev = Dev::start_in(directory.path(), &[]).await;
        assert!(dev.key != key && dev.dock == dock);
        dev.recipient().await;
        dev.kill();
    }
}

#[tokio::test]
async fn dev_env_has_five_lines_that_only_its_owner_reads() {
    for arguments in [&[][..], &["--ephemeral"]] {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("it's here");
        std::fs::create_dir(&directory).unwrap();
        let dev = Dev::start_in(&directory, arguments).await;
        let path = directory.join("dev.env");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let expected = format!(
            "DOCYARD_URL={}\nDOCYARD_API_KEY={}\nDOCYARD_DOCK_ID={}\nDOCYARD_MUTUAL_TLS_URL={}\nDOCYARD_TLS_DIR='{}'\n",
            dev.url,
            dev.key,
            dev.dock,
            dev.mutual_tls_url,
            directory.canonicalize().unwrap().join("tls").to_str().unwrap().replace('\'', r"'\''"),
        );
        assert!(std::fs::read_to_string(&path).unwrap() == expected);
        assert!(dev.key.starts_with("dk_live_") && dev.url.starts_with("http://localhost:"));
        assert!(dev.mutual_tls_url.starts_with("https://localhost:"));
        assert_eq!(
            Path::new(&dev.variable("DOCYARD_TLS_DIR")),
            directory.canonicalize().unwrap().join("tls")
        );
        assert_eq!(directory.join("dynamodb.sqlite").exists(), arguments.is_empty());
    }
}

/// What a writer knows of what it was answered.
enum Known {
    /// This thing is there.
    Made(String),
    /// The value of a recipient's secret, and whether it is valid; `None` while a request that ends it is under way.
    Value { recipient: String, value: String, is_valid: Option<bool> },
}

/// A client of a server that will be killed.
#[derive(Clone)]
struct Writer {
    http: reqwest::Client,
    url: String,
    dock: String,
    key: String,
    known: tokio::sync::mpsc::UnboundedSender<Known>,
}

impl Writer {
    /// The body of the answer; `None` from the kill on, when a request gets no answer or a part of one.
    async fn post(&self, path: String, body: serde_json::Value) -> Option<serde_json::Value> {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.key).json(&body);
        let response = request.timeout(PATIENCE).send().await.ok()?;
        let status = response.status().as_u16();
        let body: serde_json::Value = response.json().await.ok()?;
        assert!([200, 201].contains(&status), "{status} {}", redacted(&body.to_string()));
        Some(body)
    }

    fn tell(&self, known: Known) {
        let _ = self.known.send(known);
    }

    /// Creates recipients with a secret each, rotates every third and revokes every third, until the server is gone.
    async fn write_until_killed(self, name: String) -> Option<()> {
        let text = |body: &serde_json::Value, field: &str| body[field].as_str().unwrap().to_owned();
        for n in 0_usize.. {
            let recipient = json!({"name": "K", "email": format!("{name}-{n}@example.com")});
            let made = self.post(format!("/v1/docks/{}/recipients", self.dock), recipient).await?;
            let recipient = text(&made, "id");
            self.tell(Known::Made(recipient.clone()));
            let secrets = format!("/v1/recipients/{recipient}/secrets");
            let made = self.post(secrets.clone(), json!({"name": "K"})).await?;
            let (id, value) = (text(&made, "id"), text(&made, "secret"));
            self.tell(Known::Made(id.clone()));
            let tell = |value: &str, is_valid| {
                self.tell(Known::Value { recipient: recipient.clone(), value: value.to_owned(), is_valid });
            };
            tell(&value, Some(true));
            let step = match n % 3 {
                0 => continue,
                1 => "rotate",
                _ => "revoke",
            };
            tell(&value, None);
            let done = self.post(format!("{secrets}/{id}/{step}"), json!({})).await?;
            tell(&value, Some(false));
            if step == "rotate" {
                tell(&text(&done, "secret"), Some(true));
            }
        }
        Some(())
    }
}

#[tokio::test]
async fn killed_in_the_midst_of_writes_it_loses_nothing_that_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let (mut made, mut values) = (HashSet::new(), std::collections::HashMap::new());
    let rounds = if is_thorough() { 100 } else { 4 };
    for round in 0..rounds {
        let dev = Dev::start_in(directory.path(), &[]).await;
        let (known, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let writer = Writer {
            http: dev.http.clone(),
            url: dev.url.clone(),
            dock: dev.dock.clone(),
            key: dev.key.clone(),
            known,
        };
        let writers: Vec<_> = (0..8)
            .map(|n| tokio::spawn(writer.clone().write_until_killed(format!("k{round}-{n}"))))
            .collect();
        drop(writer);
        let mut keep = |known| match known {
            Known::Made(id) => drop(made.insert(id)),
            Known::Value { recipient, value, is_valid } => drop(values.insert(value, (recipient, is_valid))),
        };
        for _ in 0..80 * (round % 4 + 1) {
            keep(tokio::time::timeout(PATIENCE, receiver.recv()).await.unwrap().unwrap());
        }
        dev.kill();
        while let Some(known) = receiver.recv().await {
            keep(known);
        }
        for writer in writers {
            writer.await.unwrap();
        }
    }
    let dev = Dev::start_in(directory.path(), &[]).await;
    let (recipients, pointers) = dev.table.recipients().await;
    assert_eq!(recipients, pointers, "no half recipient");
    trail::assert_explains(&dev.table).await;
    let items = dev.table.items().await;
    let ids = items.iter().filter_map(|item| item.get("id")).map(|id| id.as_s().unwrap().clone());
    let stored: HashSet<String> = ids.collect();
    assert!(made.len() >= 200 && made.is_subset(&stored));
    let (mut valid, mut ended) = (0, 0);
    for (value, (recipient, is_valid)) in &values {
        let Some(is_valid) = *is_valid else { continue };
        assert_eq!(dev.verify(recipient, value).await["valid"], is_valid, "as it was acknowledged");
        *(if is_valid { &mut valid } else { &mut ended }) += 1;
    }
    assert!(valid >= 50 && ended >= 20, "{valid} valid and {ended} ended values");
}

#[tokio::test]
async fn expired_items_are_swept_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(directory.path(), &[]).await;
    let item = |name: &str, ttl: i64| {
        let put = dev.table.client.put_item().table_name(TABLE);
        let put = put.item("pk", AttributeValue::S(name.into())).item("sk", AttributeValue::S(name.into()));
        put.item("ttl", AttributeValue::N(ttl.to_string())).send()
    };
    item("expired", 1_736_937_120).await.unwrap();
    item("expires later", 99_999_999_999).await.unwrap();
    dev.kill();
    // A server sweeps when it starts.
    let dev = Dev::start_in(directory.path(), &[]).await;
    let started = Instant::now();
    loop {
        let items = dev.table.items().await;
        let is_there = |name: &str| items.iter().any(|item| item["pk"] == AttributeValue::S(name.into()));
        assert!(is_there("expires later"));
        if !is_there("expired") {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "the expired item stays");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_signal_ends_it_cleanly_even_with_a_request_half_sent() {
    for signal in ["TERM", "INT"] {
        let dev = Dev::start().await;
        let mut half = TcpStream::connect(dev.url.strip_prefix("http://").unwrap()).unwrap();
        half.write_all(b"POST /v1/docks/x/recipients HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{")
            .unwrap();
        dev.recipient().await;
        assert_eq!(dev.end_with(signal).await, Some(0), "{signal}");
    }
}

#[tokio::test]
async fn neither_secret_nor_key_is_anywhere_but_in_its_own_place() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(directory.path(), &[]).await;
    let recipient = dev.recipient().await;
    let mut values = vec![dev.key.clone()];
    for n in 0..5 {
        let body = dev.generate_secret(&recipient, json!({"name": format!("S{n}")})).await.expect(201);
        values.push(body["secret"].as_str().unwrap().to_owned());
    }
    // Requests that fail hold a key too, and a body that might be echoed.
    dev.generate_secret(&recipient, json!({"name": 1, "secret": 2})).await.expect(400);
    dev.generate_secret("rcp_x", json!({"name": "A"})).await.expect(404);
    let digests: Vec<String> =
        values.iter().map(|value| docyard_core::values::digest::Digest::of(value).expose_hex()).collect();

    let output = dev.output();
    assert!(output.contains("generate-secret"), "the log was read");
    assert!(
        values.iter().chain(&digests).all(|value| !output.contains(value)),
        "in the output, at level trace"
    );
    dev.kill();
    let mut files = 0;
    let places = [directory.path().to_owned(), directory.path().join("tls")];
    let entries = places.iter().flat_map(|place| std::fs::read_dir(place).unwrap());
    for path in entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let content = std::fs::read(&path).unwrap();
        let holds = |value: &String| content.windows(value.len()).any(|window| window == value.as_bytes());
        let is_env = path.ends_with("dev.env");
        assert!(values.iter().skip(usize::from(is_env)).all(|value| !holds(value)), "in {}", path.display());
        files += usize::from(content.windows(4).any(|window| window == b"sec_"));
    }
    assert!(files > 0, "the database was read");
}

/// Runs `docyard dev` where it must refuse to start.
pub fn refused(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_docyard"));
    command.args(["dev", "--mutual-tls-port", "0"]).args(arguments);
    said_in_one_line(command)
}

/// Runs what must fail, and gives the line that says why.
pub fn said_in_one_line(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(stdout.is_empty());
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
}

#[tokio::test]
async fn what_stands_in_its_way_is_said_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let message = refused(&["--port", &port, "--data-dir", &path("a")]);
    assert!(message.contains(&format!("127.0.0.1:{port} is already in use")), "{message}");
    assert!(!directory.path().join("a").exists(), "and nothing was made");
    let message = refused(&["--port", "0", "--dynamodb-port", &port, "--data-dir", &path("a")]);
    assert!(message.contains("is already in use"), "{message}");
    let message = refused(&["--host", "192.0.2.1", "--data-dir", &path("a")]);
    assert!(message.contains("cannot listen on 192.0.2.1:3000"), "{message}");

    std::fs::write(path("file"), "").unwrap();
    for unusable in [path("file"), path("file/below")] {
        let message = refused(&["--port", "0", "--data-dir", &unusable]);
        assert!(message.contains("cannot use the data directory"), "{message}");
    }

    let dev = Dev::start_in(&directory.path().join(""), &[]).await;
    let message = refused(&["--port", "0", "--data-dir", &path("")]);
    assert!(message.contains("another docyard dev uses"), "{message}");
    dev.kill();
}
