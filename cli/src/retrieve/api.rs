//! The API as an institution uses it: a token, a job, its results, and the contents behind their links.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use docyard_core::values::clock::Timestamp;
use docyard_core::values::id::{ArtifactId, RecipientId};
use docyard_core::values::random;
use futures_util::StreamExt;
use rand::Rng;
use reqwest::header::{LINK, LOCATION, RANGE};
use reqwest::{Certificate, Client, Identity, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::RwLock;
use zeroize::Zeroizing;

use super::directory::Place;
use crate::http::{self, Answer, Sent};

/// The pauses between two looks at a job: the first one, which is doubled each time, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often a content is begun anew that came and was another one.
const MAX_WRONG: u32 = 3;

/// Who retrieves, and what it proves itself with.
pub(super) struct Credentials {
    recipient: RecipientId,
    passphrase: Zeroizing<String>,
    identity: Option<Identity>,
    authority: Option<Certificate>,
}

impl Credentials {
    /// Reads the passphrase, the certificate with its key, and that of an authority.
    pub(super) fn read(
        recipient: RecipientId,
        secret_file: Option<&Path>,
        certificate: Option<(&Path, &Path)>,
        authority: Option<&Path>,
    ) -> Result<Self, String> {
        let passphrase = match secret_file {
            Some(path) => Zeroizing::new(read(path)?),
            None => Zeroizing::new(std::env::var("DOCYARD_SECRET").map_err(
                |_| "no passphrase: set DOCYARD_SECRET, or name a file that holds it with --secret-file",
            )?),
        };
        let identity = certificate.map(|(certificate, key)| {
            let pem = Zeroizing::new(read(certificate)? + "\n" + &read(key)?);
            Identity::from_pem(pem.as_bytes()).map_err(|_| {
                format!(
                    "{} and {} are no certificate with its key, in PEM",
                    certificate.display(),
                    key.display()
                )
            })
        });
        let authority = authority.map(|path| {
            Certificate::from_pem(read(path)?.as_bytes())
                .map_err(|_| format!("{} is no certificate in PEM", path.display()))
        });
        Ok(Self {
            recipient,
            passphrase: Zeroizing::new(passphrase.trim().to_owned()),
            identity: identity.transpose()?,
            authority: authority.transpose()?,
        })
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// The API, for a recipient.
pub(super) struct Api {
    /// With the recipient's certificate.
    client: Client,
    /// Without it, for the storage.
    plain: Client,
    url: String,
    recipient: RecipientId,
    passphrase: Zeroizing<String>,
    token: RwLock<Zeroizing<String>>,
}

/// How a job begins.
pub(super) enum Began {
    /// The id of the job.
    Job(String),
    /// The cursor is not taken, and why: what is granted, or asked for, is other than what it goes on with.
    OtherScope(String),
}

/// A completed job.
pub(super) struct Job {
    pub(super) id: String,
    pub(super) total: usize,
    pub(super) has_more: bool,
    pub(super) cursor: Option<String>,
}

/// A page of results.
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    /// The path of the next one.
    pub(super) next: Option<String>,
}

/// One of the results.
pub(super) enum Item {
    Link(Link),
    /// Deleted since the job found it.
    Gone(ArtifactId),
}

impl Item {
    pub(super) fn id(&self) -> ArtifactId {
        match self {
            Self::Link(link) => link.artifact_id,
            Self::Gone(id) => *id,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GoneItem {
    artifact_id: ArtifactId,
}

/// An artifact and the link to its content.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Link {
    pub(super) artifact_id: ArtifactId,
    pub(super) filename: String,
    pub(super) content_type: String,
    pub(super) size: u64,
    pub(super) hash: String,
    pub(super) metadata: Map<String, Value>,
    url: String,
}

/// How the download of a content ended.
pub(super) enum Fetched {
    /// It has come, and is right.
    Done,
    /// The artifact is no longer there.
    Gone,
    /// The link opens nothing any more.
    LinkEnded(String),
    /// It could not be fetched.
    Failed(String),
}

/// What the storage gave.
enum Received {
    All,
    NotThere,
}

impl Api {
    pub(super) fn new(url: String, credentials: Credentials) -> Result<Arc<Self>, String> {
        let Credentials { recipient, passphrase, identity, authority } = credentials;
        let client = http::client_with(&url, identity, authority.clone())?;
        let plain = http::client_with(&url, None, authority)?;
        let token = RwLock::default();
        Ok(Arc::new(Self { client, plain, url, recipient, passphrase, token }))
    }

    /// Gets a token for the passphrase.
    pub(super) async fn authenticate(&self) -> Result<(), String> {
        let body = json!({
            "grant_type": "client_credentials", "client_id": self.recipient, "client_secret": *self.passphrase,
        });
        let request =
            async || Ok::<_, String>(self.client.post(format!("{}/v1/auth/token", self.url)).json(&body));
        let answer = http::send(&Sent::default(), request).await?;
        match answer.json().get("access_token").and_then(Value::as_str) {
            Some(token) if answer.status == StatusCode::OK => {
                *self.token.write().await = Zeroizing::new(token.to_owned());
                Ok(())
            }
            _ => {
                let told = answer.json();
                let told = told.get("error_description").and_then(Value::as_str);
                Err(told.map_or_else(|| answer.message(), |told| format!("no token: {told}")))
            }
        }
    }

    /// Sends a request with the token, and once more with a new one, if it is refused.
    async fn send(&self, request: impl Fn() -> RequestBuilder) -> Result<Answer, String> {
        let ask = async || {
            let token = self.token.read().await.clone();
            let request = async || Ok::<_, String>(request().bearer_auth(&*token));
            http::send(&Sent::default(), request).await
        };
        let answer = ask().await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.authenticate().await?;
        ask().await
    }

    /// Creates a job.
    pub(super) async fn create_job(
        &self,
        since: Option<Timestamp>,
        cursor: Option<&str>,
    ) -> Result<Began, String> {
        let mut body = json!({});
        if let Some(fields) = body.as_object_mut() {
            fields.extend(since.map(|since| ("sinceTimestamp".to_owned(), json!(since))));
            fields.extend(cursor.map(|cursor| ("cursor".to_owned(), json!(cursor))));
        }
        // Repeated, it is the same job.
        let key = format!(
            "{:032x}",
            u128::from(random::system().next_u64()) << 64 | u128::from(random::system().next_u64())
        );
        let url = format!("{}/v1/retrieval/jobs", self.url);
        let answer = self.send(|| self.client.post(&url).header("idempotency-key", &key).json(&body)).await?;
        let is_cursor_refused = cursor.is_some() && answer.message().contains("start without a cursor");
        match answer.json().get("id").and_then(Value::as_str) {
            Some(id) if answer.status == StatusCode::CREATED => Ok(Began::Job(id.to_owned())),
            _ if is_cursor_refused => Ok(Began::OtherScope(answer.message())),
            _ => Err(answer.message()),
        }
    }

    /// Waits until a job is completed.
    pub(super) async fn completed(&self, id: String) -> Result<Job, String> {
        let url = format!("{}/v1/retrieval/jobs/{id}", self.url);
        let mut pause = FIRST_PAUSE;
        loop {
            let answer = self.send(|| self.client.get(&url)).await?;
            let job = answer.json();
            let text = |field: &str| job.get(field).and_then(Value::as_str);
            match text("status") {
                Some("PENDING" | "PROCESSING") => {}
                Some("COMPLETED") => {
                    return Ok(Job {
                        total: job
                            .get("totalCount")
                            .and_then(Value::as_u64)
                            .map_or(0, |total| usize::try_from(total).unwrap_or(usize::MAX)),
                        has_more: job.get("hasMore").and_then(Value::as_bool).unwrap_or_default(),
                        cursor: text("cursor").map(str::to_owned),
                        id,
                    });
                }
                Some(status) => {
                    let failure = job.get("failure").and_then(|it| it.get("message")).and_then(Value::as_str);
                    return Err(format!("job {id}: {}", failure.unwrap_or(status)));
                }
                None => return Err(answer.message()),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    pub(super) fn results_path(&self, job: &str) -> String {
        format!("/v1/retrieval/jobs/{job}/results")
    }

    /// Reads a page of results.
    pub(super) async fn results(&self, path: &str) -> Result<Page, String> {
        let url = format!("{}{path}", self.url);
        let mut answer = self.send(|| self.client.get(&url)).await?;
        if answer.status == StatusCode::FORBIDDEN {
            // The session of the policy is over, and a new token has a new one.
            self.authenticate().await?;
            answer = self.send(|| self.client.get(&url)).await?;
        }
        if answer.status != StatusCode::OK {
            return Err(answer.message());
        }
        let body = answer.json();
        let items = body.get("items").and_then(Value::as_array).ok_or("the API gave no results")?;
        let items = items.iter().map(|item| match item.get("error") {
            Some(_) => GoneItem::deserialize(item).map(|gone| Item::Gone(gone.artifact_id)).ok(),
            None => Link::deserialize(item).ok().filter(|link| self.is_own(&link.url)).map(Item::Link),
        });
        let items: Option<Vec<Item>> = items.collect();
        let link = answer.headers.get(LINK).and_then(|link| link.to_str().ok());
        let next = link.and_then(|link| Some(link.split_once('<')?.1.split_once('>')?.0.to_owned()));
        let next = next.filter(|path| path.starts_with("/v1/"));
        Ok(Page { items: items.ok_or("the API gave results that are none of its own")?, next })
    }

    /// Whether an address is one of the API's own: what is sent there is for nobody else.
    fn is_own(&self, address: &str) -> bool {
        let origin = |address: &str| address.parse::<reqwest::Url>().ok().map(|url| url.origin());
        origin(address).is_some_and(|own| Some(own) == origin(&self.url))
    }

    /// Downloads a content to beside its place, going on where an earlier attempt ended.
    pub(super) async fn fetch(&self, link: &Link, place: &Place) -> Fetched {
        let mut failure = String::new();
        for _ in 0..MAX_WRONG {
            match self.download(link, place).await {
                Ok(()) => {}
                Err(ended) => return ended,
            }
            match is_right(link, &place.partial).await {
                Ok(true) => return Fetched::Done,
                Ok(false) => "what came is not what it should be".clone_into(&mut failure),
                Err(error) => failure = format!("cannot be read again: {error}"),
            }
            if let Err(error) = fs::remove_file(&place.partial).await {
                return Fetched::Failed(format!("{failure}; and cannot be removed: {error}"));
            }
        }
        Fetched::Failed(failure)
    }

    /// Downloads what is missing of a content, from a new address for each attempt.
    async fn download(&self, link: &Link, place: &Place) -> Result<(), Fetched> {
        for attempt in 1.. {
            let request = async || Ok::<_, String>(self.client.get(&link.url));
            let answer = http::send(&Sent::default(), request).await.map_err(Fetched::Failed)?;
            match answer.status {
                StatusCode::FOUND => {}
                StatusCode::NOT_FOUND => return Err(Fetched::Gone),
                // Also of a session that is over: with a new token there is a new link, or none.
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    return Err(Fetched::LinkEnded(answer.message()));
                }
                _ => return Err(Fetched::Failed(answer.message())),
            }
            let address = answer.headers.get(LOCATION).and_then(|address| address.to_str().ok());
            let address = address.filter(|address| http::url(address).is_ok());
            let address = address.ok_or_else(|| Fetched::Failed("the link leads nowhere".to_owned()))?;
            let (failure, is_lost) = match self.receive(address, link, place).await {
                Ok(Received::All) => return Ok(()),
                Ok(Received::NotThere) => ("the storage does not have it".to_owned(), true),
                Err(failure) => (failure, false),
            };
            if is_lost || attempt == http::MAX_ATTEMPTS {
                return Err(Fetched::Failed(failure));
            }
            tokio::time::sleep(http::growing_pause(attempt)).await;
        }
        Ok(())
    }

    /// Receives what is missing of a content.
    async fn receive(&self, address: &str, link: &Link, place: &Place) -> Result<Received, String> {
        let io = |error: std::io::Error| format!("cannot be written: {error}");
        let mut have = fs::metadata(&place.partial).await.map_or(0, |metadata| metadata.len());
        if have == link.size {
            return Ok(Received::All);
        }
        if have > link.size {
            have = 0;
        }
        let request = self.plain.get(address);
        let request = if have > 0 { request.header(RANGE, format!("bytes={have}-")) } else { request };
        let response = http::in_time(request.send()).await?;
        let mut file = match response.status() {
            StatusCode::PARTIAL_CONTENT if have > 0 => {
                OpenOptions::new().append(true).open(&place.partial).await.map_err(io)?
            }
            StatusCode::OK => File::create(&place.partial).await.map_err(io)?,
            StatusCode::NOT_FOUND => return Ok(Received::NotThere),
            status => return Err(format!("the storage answered {status}")),
        };
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = http::in_time(async { chunks.next().await.transpose() }).await? {
            file.write_all(&chunk).await.map_err(io)?;
        }
        file.flush().await.map_err(io)?;
        let have = file.metadata().await.map_err(io)?.len();
        if have < link.size {
            return Err(format!("the connection broke after {have} of {} bytes", link.size));
        }
        file.sync_all().await.map_err(io)?;
        Ok(Received::All)
    }
}

/// Whether a file is the content that the API told of.
async fn is_right(link: &Link, path: &Path) -> std::io::Result<bool> {
    let (mut file, mut digest, mut size) = (File::open(path).await?, Sha256::new(), 0);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = file.read(&mut buffer).await?;
        let read = buffer.get(..count).unwrap_or_default();
        if read.is_empty() {
            let hash = hex::encode(digest.finalize());
            return Ok(size == link.size && link.hash == format!("sha256:{hash}"));
        }
        digest.update(read);
        size += u64::try_from(count).unwrap_or_default();
    }
}
