//! `docyard dev` and the contents of artifacts: what is there after it was killed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use docyard_core::values::content_hash::ContentHash;
use docyard_test_support::dev::{Dev, send};
use docyard_test_support::{PATIENCE, is_thorough, redacted, trail};
use serde_json::{Value, json};

/// What a writer knows of a document: its content, and whether it is available; `None` while a request is under way that
/// decides it.
type Known = Arc<Mutex<HashMap<String, (String, Option<bool>)>>>;

/// A client of a server that will be killed.
#[derive(Clone)]
struct Writer {
    http: reqwest::Client,
    url: String,
    key: String,
    known: Known,
}

impl Writer {
    /// The body of the answer; `None` from the kill on, when a request gets no answer or a part of one.
    async fn ask(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> Option<Value> {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        let request = body.iter().fold(request, |request, body| request.json(body)).timeout(PATIENCE);
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let body: Value = response.json().await.ok()?;
        assert!([200, 201].contains(&status), "{status} {}", redacted(&body.to_string()));
        Some(body)
    }

    fn know(&self, id: &str, content: &str, is_available: Option<bool>) {
        self.known.lock().unwrap().insert(id.to_owned(), (content.to_owned(), is_available));
    }

    /// Declares, uploads and completes artifacts, changes every third and deletes every third, until the server is gone.
    async fn write_until_killed(self, artifacts: String, name: String) -> Option<()> {
        for n in 0_usize.. {
            let content = format!("{name}-{n}").repeat(500);
            let declared = json!({
                "filename": format!("{name}-{n}.txt"), "hash": ContentHash::of(content.as_bytes()),
                "size": content.len(), "metadata": {"lender_id": "LND-4821"},
            });
            let declared = self.ask(reqwest::Method::POST, &artifacts, Some(declared)).await?;
            let id = declared["id"].as_str().unwrap();
            self.know(id, &content, None);
            let upload = &declared["upload"];
            let headers = upload["headers"].as_object().unwrap();
            let put = self.http.put(upload["url"].as_str().unwrap()).body(content.clone()).timeout(PATIENCE);
            let put =
                headers.iter().fold(put, |put, (name, value)| put.header(name, value.as_str().unwrap()));
            assert_eq!(put.send().await.ok()?.status(), 200);
            let path = format!("{artifacts}/{id}");
            self.ask(reqwest::Method::POST, &format!("{path}/complete"), None).await?;
            self.know(id, &content, Some(true));
            match n % 3 {
                0 => {}
                1 => drop(self.ask(reqwest::Method::PATCH, &path, Some(json!({"metadata": null}))).await?),
                _ => {
                    self.know(id, &content, None);
                    self.ask(reqwest::Method::DELETE, &path, None).await?;
                    self.know(id, &content, Some(false));
                }
            }
        }
        Some(())
    }
}

/// The ids of the artifacts that have a content on the disk.
fn stored(directory: &Path, dock: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory.join("objects").join(dock)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn killed_in_the_midst_of_uploads_each_document_is_whole_and_listed_or_gone() {
    let directory = tempfile::tempdir().unwrap();
    let known = Known::default();
    let deleted = |known: &Known| known.lock().unwrap().values().filter(|(_, is)| *is == Some(false)).count();
    for round in 0..if is_thorough() { 50 } else { 4 } {
        let dev = Dev::start_in(directory.path(), &[]).await;
        let writer = Writer {
            http: dev.http.clone(),
            url: dev.url.clone(),
            key: dev.key.clone(),
            known: known.clone(),
        };
        let artifacts = format!("/v1/docks/{}/artifacts", dev.dock);
        let writers: Vec<_> = (0..6)
            .map(|n| {
                tokio::spawn(writer.clone().write_until_killed(artifacts.clone(), format!("k{round}-{n}")))
            })
            .collect();
        let (goal, begun) = (deleted(&known) + 5 * (round % 4 + 1), Instant::now());
        while deleted(&known) < goal {
            assert!(begun.elapsed() < PATIENCE, "the writers do not write");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        dev.kill();
        for writer in writers {
            writer.await.unwrap();
        }
    }
    let dev = Dev::start_in(directory.path(), &[]).await;
    trail::assert_explains(&dev.table).await;
    let (listed, _) =
        dev.pages(&format!("/v1/docks/{}/artifacts?limit=1000&status=AVAILABLE", dev.dock)).await;
    let listed: HashMap<&str, &Value> =
        listed.iter().map(|artifact| (artifact["id"].as_str().unwrap(), artifact)).collect();
    for (id, artifact) in &listed {
        let content = dev.get(&format!("/v1/docks/{}/artifacts/{id}/content", dev.dock)).await.expect(200);
        let download = send(dev.http.get(content["url"].as_str().unwrap())).await;
        assert_eq!(download.status, 200, "{id} has its content");
        assert_eq!(artifact["hash"], json!(ContentHash::of(download.text.as_bytes())), "{id} is whole");
    }
    let known = known.lock().unwrap().clone();
    for (id, (content, is_available)) in &known {
        let Some(is_available) = *is_available else { continue };
        assert_eq!(listed.contains_key(id.as_str()), is_available, "{id} as it was acknowledged");
        let hash = json!(ContentHash::of(content.as_bytes()));
        assert!(!is_available || listed[id.as_str()]["hash"] == hash, "{id} is what was sent");
    }
    assert!(listed.len() >= 20, "{} documents", listed.len());
    // The worker deletes what the killed ones left.
    let begun = Instant::now();
    while stored(directory.path(), &dev.dock)
        .iter()
        .any(|id| known.get(id).is_some_and(|it| it.1 == Some(false)))
    {
        assert!(begun.elapsed() < PATIENCE, "the content of a deleted document stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
