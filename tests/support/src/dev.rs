//! `docyard dev` as a process, and its answers over HTTP.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use docyard_core::values::clock::Clock;
use docyard_core::values::id::RecipientId;
use docyard_core::values::random;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::table::TestTable;
use crate::{PATIENCE, binary, http_client, redacted};

/// An answer over HTTP.
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", redacted(&self.text)))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The path of the next page, as `Link` says it.
    pub fn next(&self) -> Option<String> {
        let link = self.headers.get("link")?.to_str().unwrap();
        Some(link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned())
    }

    /// Asserts the status, and for an error the contract's form; gives the body.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", redacted(&self.text));
        let body = self.json();
        if status >= 400 {
            assert_eq!(body["statusCode"], status);
            assert!(!body["message"].as_str().unwrap().is_empty());
            assert!(!body["error"].as_str().unwrap().is_empty());
        }
        assert!(!self.header("x-request-id").is_empty());
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.header("content-type"), "application/json; charset=utf-8");
        body
    }
}

/// `docyard dev`, a process of its own that ends with the test.
pub struct Dev {
    pub url: String,
    pub mutual_tls_url: String,
    pub key: String,
    pub dock: String,
    pub table: TestTable,
    pub http: reqwest::Client,
    process: Child,
    directory: PathBuf,
    log: tempfile::NamedTempFile,
    _temporary: Option<tempfile::TempDir>,
}

impl Dev {
    /// A server over an empty database in memory.
    pub async fn start() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut dev = Self::start_in(temporary.path(), &["--ephemeral"]).await;
        dev._temporary = Some(temporary);
        dev
    }

    /// A server with this data directory.
    pub async fn start_in(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary("docyard"));
        command.env("RUST_LOG", "trace");
        Self::start_command(command, directory, arguments).await
    }

    /// A server with this data directory, by the command that names the program.
    pub async fn start_command(mut command: Command, directory: &Path, arguments: &[&str]) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let process = command
            .args(["dev", "--port", "0", "--mutual-tls-port", "0", "--dynamodb-port", "0", "--data-dir"])
            .arg(directory)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.as_file().try_clone().unwrap())
            .stderr(log.as_file().try_clone().unwrap())
            .spawn()
            .unwrap();
        let mut dev = Self {
            url: String::new(),
            mutual_tls_url: String::new(),
            key: String::new(),
            dock: String::new(),
            table: TestTable::at("http://127.0.0.1:1".into()),
            http: http_client().build().unwrap(),
            process,
            directory: directory.to_owned(),
            log,
            _temporary: None,
        };
        let announced = Instant::now();
        while !dev.output().contains("Or show a certificate") {
            assert!(dev.process.try_wait().unwrap().is_none(), "docyard dev ended: {}", dev.output());
            assert!(announced.elapsed() < PATIENCE, "docyard dev is not ready: {}", dev.output());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let output = dev.output();
        let dynamodb = output.split("DynamoDB's API is at ").nth(1).unwrap().split(',').next().unwrap();
        dev.table = TestTable::at(dynamodb.to_owned());
        dev.url = dev.variable("DOCYARD_URL");
        dev.mutual_tls_url = dev.variable("DOCYARD_MUTUAL_TLS_URL");
        dev.key = dev.variable("DOCYARD_API_KEY");
        dev.dock = dev.variable("DOCYARD_DOCK_ID");
        dev
    }

    /// All that it has printed and logged.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log.path()).unwrap()).into_owned()
    }

    /// A variable that `dev.env` sets, as a shell reads it.
    pub fn variable(&self, name: &str) -> String {
        let script = format!(". \"$1\"/dev.env && printf %s \"${name}\"");
        let output = Command::new("sh").args(["-c", &script, "sh"]).arg(&self.directory).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// A client with one of its certificates, `client` or `stranger`, for requests to [`Self::mutual_tls_url`].
    pub fn tls_client(&self, name: &str) -> reqwest::Client {
        let read = |file: &str| std::fs::read(self.directory.join("tls").join(file)).unwrap();
        let identity = [read(&format!("{name}.pem")), read(&format!("{name}.key"))].concat();
        tls_client(&read("ca.pem"), Some(&identity))
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it with KILL.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits until it has ended, and gives its exit code.
    pub async fn end(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "docyard dev does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends it with a signal, and gives its exit code.
    pub async fn end_with(mut self, signal: &str) -> Option<i32> {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        self.end().await
    }

    pub fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.key)
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.key)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        send(self.http.patch(format!("{}{path}", self.url)).bearer_auth(&self.key).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        send(self.http.delete(format!("{}{path}", self.url)).bearer_auth(&self.key)).await
    }

    /// All things of a list, read page by page as the `Link` headers say; and how many pages there were.
    pub async fn pages(&self, first: &str) -> (Vec<Value>, usize) {
        let (mut things, mut pages, mut next) = (Vec::new(), 0, Some(first.to_owned()));
        while let Some(path) = next {
            let answer = self.get(&path).await;
            things.extend(answer.expect(200).as_array().unwrap().clone());
            pages += 1;
            next = answer.next();
        }
        (things, pages)
    }

    pub fn recipients_path(&self) -> String {
        format!("/v1/docks/{}/recipients", self.dock)
    }

    pub async fn create_recipient(&self, body: Value) -> Answer {
        send(self.post(&self.recipients_path()).json(&body)).await
    }

    /// A new recipient's id.
    pub async fn recipient(&self) -> String {
        let email =
            format!("{}@example.com", RecipientId::generate(Clock::system().now(), &mut random::system()));
        let body = self.create_recipient(json!({"name": "A recipient", "email": email})).await.expect(201);
        body["id"].as_str().unwrap().to_owned()
    }

    /// A new secret's id and value.
    pub async fn secret(&self, recipient: &str) -> (String, String) {
        let body = self.generate_secret(recipient, json!({"name": "A secret"})).await.expect(201);
        (body["id"].as_str().unwrap().to_owned(), body["secret"].as_str().unwrap().to_owned())
    }

    /// A new artifact's id, which is available.
    pub async fn artifact(&self) -> String {
        let id = RecipientId::generate(Clock::system().now(), &mut random::system());
        let file = Part::bytes(b"a document".to_vec()).file_name(format!("{id}.txt"));
        let path = format!("/v1/docks/{}/artifacts/upload", self.dock);
        let body = send(self.post(&path).multipart(Form::new().part("file", file))).await.expect(201);
        body["id"].as_str().unwrap().to_owned()
    }

    /// Waits until the worker has cleaned up what it can.
    pub async fn cleaned_up(&self) {
        let begun = Instant::now();
        let is_due = |item: &std::collections::HashMap<String, AttributeValue>| {
            let now = Clock::system().now().to_string();
            item["pk"].as_s().unwrap().starts_with("CLEANUP#") && *item["sk"].as_s().unwrap() <= now
        };
        while self.table.items().await.iter().any(is_due) {
            assert!(begun.elapsed() < PATIENCE, "the worker does not clean up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What `verify` says of a value.
    pub async fn verify(&self, recipient: &str, value: &str) -> Value {
        let path = format!("/v1/recipients/{recipient}/secrets/verify");
        send(self.post(&path).json(&json!({"secret": value}))).await.expect(200)
    }

    pub async fn generate_secret(&self, recipient: &str, body: Value) -> Answer {
        send(self.post(&format!("/v1/recipients/{recipient}/secrets")).json(&body)).await
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client that trusts an authority alone, and shows the certificate and key of `identity`, all in PEM.
pub fn tls_client(authority: &[u8], identity: Option<&[u8]>) -> reqwest::Client {
    let client = http_client().tls_certs_only([reqwest::Certificate::from_pem(authority).unwrap()]);
    let client = match identity {
        Some(identity) => client.identity(reqwest::Identity::from_pem(identity).unwrap()),
        None => client,
    };
    client.build().unwrap()
}

pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.timeout(PATIENCE).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}
