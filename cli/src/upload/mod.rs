//! `docyard upload`: puts the files of a directory into a dock, over the public API alone.
//!
//! Each file is declared by its hash, sent to the address that the API gives for it, and completed. A file that is in the dock already
//! is found by that, so that the command can be interrupted anywhere and run again.

mod files;

use std::path::PathBuf;
use std::sync::Arc;

use docyard_core::model::api_key::ApiKey;
use futures_util::{StreamExt, stream};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::account;
use crate::http::{self, Sent};
use crate::output::{self, Failure};
use files::Source;

/// How many files one request declares.
const BATCH: usize = 50;
/// How often a file is sent whose address has expired, or that is not there in the end.
const MAX_SENT: u32 = 3;
/// The most errors that are told one by one.
const MAX_TOLD: usize = 20;

/// The options of `docyard upload`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The directory whose files are uploaded, with those below it.
    directory: PathBuf,
    #[command(flatten)]
    dock: account::Dock,
    /// A CSV file with the metadata: a column `file` with the paths from the directory, and one for each key.
    #[arg(long)]
    metadata_from: Option<PathBuf>,
    /// How many files are sent at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Print the outcome as one JSON object.
    #[arg(long)]
    json: bool,
}

/// What became of a file.
enum Outcome {
    Uploaded,
    Existing,
    Failed(String),
}

/// The API, for the dock.
struct Dock {
    client: Client,
    /// The address of the dock's artifacts.
    artifacts: String,
    key: ApiKey,
}

/// Uploads what is not there yet.
///
/// # Errors
/// Some files are not there. What was uploaded stays.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    let key = options.dock.key()?;
    let metadata = options.metadata_from.as_deref();
    let sources = files::find(&options.directory, metadata, &[metadata, options.dock.key_file.as_deref()])?;
    let dock = Arc::new(Dock {
        client: http::client(&options.dock.url)?,
        artifacts: format!("{}/artifacts", options.dock.address()),
        key,
    });
    dock.check().await?;
    let progress = output::progress(sources.len(), "files");
    let batches: Vec<Vec<Source>> = sources.chunks(BATCH).map(<[Source]>::to_vec).collect();
    // The next batch is hashed and declared while the files of this one are sent.
    let declared = stream::iter(batches).map(|batch| declare(&dock, batch)).buffered(2);
    let sent = declared
        .flat_map(stream::iter)
        .map(|(source, declared)| {
            let dock = dock.clone();
            async move {
                let outcome = match declared {
                    Ok(artifact) => dock.upload(&source, artifact).await,
                    Err(reason) => Outcome::Failed(reason),
                };
                (source.name, outcome)
            }
        })
        .buffer_unordered(options.jobs.into());
    let (mut uploaded, mut existing, mut errors) = (0_usize, 0_usize, Vec::new());
    let mut sent = std::pin::pin!(sent);
    while let Some((name, outcome)) = sent.next().await {
        match outcome {
            Outcome::Uploaded => uploaded += 1,
            Outcome::Existing => existing += 1,
            Outcome::Failed(reason) => errors.push((name, reason)),
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    report(options.json, uploaded, existing, errors)
}

fn report(
    as_json: bool,
    uploaded: usize,
    existing: usize,
    mut errors: Vec<(String, String)>,
) -> Result<(), Failure> {
    errors.sort();
    let failed = errors.len();
    if as_json {
        let errors: Vec<Value> =
            errors.iter().map(|(file, reason)| json!({"file": file, "message": reason})).collect();
        let outcome = json!({"uploaded": uploaded, "existing": existing, "failed": failed, "errors": errors});
        output::print(outcome)?;
    } else {
        for (file, reason) in errors.iter().take(MAX_TOLD) {
            // Where it cannot be said, the exit code says that it failed.
            let _ = output::print_error(format_args!("docyard: {file}: {reason}"));
        }
        output::print(format_args!("{uploaded} uploaded, {existing} there already, {failed} failed"))?;
    }
    match failed {
        0 => Ok(()),
        failed if as_json || failed <= MAX_TOLD => Err(Failure::Told),
        failed => {
            let more = failed - MAX_TOLD;
            Err(Failure::Reason(format!(
                "and {more} more; run it again for those that failed, or with --json for all"
            )))
        }
    }
}

/// What the API says of each file of a batch: the artifact, or why there is none.
async fn declare(dock: &Dock, batch: Vec<Source>) -> Vec<(Source, Result<Value, String>)> {
    let sources = batch.clone();
    let hashed =
        tokio::task::spawn_blocking(move || sources.iter().map(files::declare).collect::<Vec<_>>()).await;
    let hashed = hashed.unwrap_or_else(|error| vec![Err(error.to_string()); batch.len()]);
    let items: Vec<&Value> = hashed.iter().filter_map(|declared| declared.as_ref().ok()).collect();
    let answered = match items.is_empty() {
        true => Ok(Vec::new()),
        false => dock.create(&items).await,
    };
    let mut answered = answered.map(Vec::into_iter);
    let mut of_item = |declared| match (declared, &mut answered) {
        (Err(reason), _) => Err(reason),
        (Ok(_), Err(reason)) => Err(reason.clone()),
        (Ok(_), Ok(answered)) => answered.next().ok_or_else(|| "the API did not answer of it".to_owned()),
    };
    batch.into_iter().zip(hashed).map(|(source, declared)| (source, of_item(declared))).collect()
}

impl Dock {
    /// Asks for the dock, so that a wrong key or dock is told once, and before files are read.
    async fn check(&self) -> Result<(), String> {
        let request = async || {
            let request = self.client.get(format!("{}?limit=1", self.artifacts));
            Ok::<_, String>(request.bearer_auth(self.key.expose()))
        };
        let answer = http::send(&Sent::default(), request).await?;
        match answer.status {
            StatusCode::OK => Ok(()),
            _ => Err(format!("{}; nothing was uploaded", answer.message())),
        }
    }

    /// Declares files: an artifact for each, or an `error`.
    async fn create(&self, items: &[&Value]) -> Result<Vec<Value>, String> {
        let body = json!({ "items": items });
        let request = async || {
            let request = self.client.post(format!("{}/batch", self.artifacts));
            Ok::<_, String>(request.bearer_auth(self.key.expose()).json(&body))
        };
        let answer = http::send(&Sent::default(), request).await?;
        match answer.json().get_mut("artifacts").map(Value::take) {
            Some(Value::Array(artifacts)) if answer.status == StatusCode::OK => Ok(artifacts),
            _ => Err(answer.message()),
        }
    }

    /// Sends a file that was declared, and completes it.
    async fn upload(&self, source: &Source, mut artifact: Value) -> Outcome {
        let mut failure = None;
        for _ in 0..MAX_SENT {
            if let Some(error) = artifact.get("error") {
                let message = error.get("message").and_then(Value::as_str).unwrap_or("refused");
                return Outcome::Failed(message.to_owned());
            }
            let Some(upload) = artifact.get("upload") else {
                let is_there = artifact.get("status").is_some_and(|status| status == "AVAILABLE");
                return match failure {
                    _ if !is_there => Outcome::Failed("the API gave no address for it".to_owned()),
                    None => Outcome::Existing,
                    Some(_) => Outcome::Uploaded,
                };
            };
            failure = Some(match self.send(source, upload).await {
                // It is there, or was: what S3 has is what was declared.
                Ok(StatusCode::OK | StatusCode::PRECONDITION_FAILED) => {
                    match self.complete(&artifact).await {
                        Ok(true) => return Outcome::Uploaded,
                        Ok(false) => "it was sent several times, and is not there".to_owned(),
                        Err(reason) => return Outcome::Failed(reason),
                    }
                }
                // The address has expired, or did while it was used; the file has changed; or it is uploaded by another, too.
                Ok(status) if status.is_client_error() => format!("the storage answered {status}"),
                Ok(status) => return Outcome::Failed(format!("the storage answered {status}")),
                Err(reason) => reason,
            });
            artifact = match self.declare_again(source).await {
                Ok(artifact) => artifact,
                Err(reason) => return Outcome::Failed(reason),
            };
        }
        Outcome::Failed(failure.unwrap_or_default())
    }

    /// Sends a file to its address, without the key.
    async fn send(&self, source: &Source, upload: &Value) -> Result<StatusCode, String> {
        let url = upload.get("url").and_then(Value::as_str).ok_or("the API gave no address for it")?;
        let headers = upload.get("headers").and_then(Value::as_object);
        let sent = Sent::default();
        let request = async || {
            let file = tokio::fs::File::open(&source.path).await;
            let file = file.map_err(|error| format!("cannot read it: {error}"))?;
            let mut request = self.client.put(url).body(sent.body(file));
            for (name, value) in headers.into_iter().flatten() {
                request = request.header(name, value.as_str().unwrap_or_default());
            }
            Ok::<_, String>(request)
        };
        Ok(http::send(&sent, request).await?.status)
    }

    /// Completes an artifact. `false` if its content is not there.
    async fn complete(&self, artifact: &Value) -> Result<bool, String> {
        let id = artifact.get("id").and_then(Value::as_str).ok_or("the API gave it no id")?;
        let request = async || {
            let request = self.client.post(format!("{}/{id}/complete", self.artifacts));
            Ok::<_, String>(request.bearer_auth(self.key.expose()))
        };
        let answer = http::send(&Sent::default(), request).await?;
        match answer.status {
            StatusCode::OK => Ok(true),
            StatusCode::CONFLICT | StatusCode::NOT_FOUND => Ok(false),
            _ => Err(answer.message()),
        }
    }

    async fn declare_again(&self, source: &Source) -> Result<Value, String> {
        let source = source.clone();
        let declared = tokio::task::spawn_blocking(move || files::declare(&source)).await;
        let declared = declared.map_err(|error| error.to_string())??;
        let mut artifacts = self.create(&[&declared]).await?;
        artifacts.pop().ok_or_else(|| "the API did not answer of it".to_owned())
    }
}
