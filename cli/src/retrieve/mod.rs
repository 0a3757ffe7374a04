//! `docyard retrieve`: fetches what a recipient is granted into a directory, over the public API alone.
//!
//! It gets a token for the passphrase, creates a job, and downloads its results, page by page and several files at once. Each file is in its
//! place only once its size and SHA-256 are right. What is there already is not fetched again, so that the command can be interrupted
//! anywhere and run again.

mod api;
mod directory;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use docyard_core::values::clock::Timestamp;
use docyard_core::values::id::{ArtifactId, RecipientId};
use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::http;
use crate::output::{self, Failure};
use api::{Api, Began, Credentials, Fetched, Item, Job};
use directory::{Directory, State};

/// How often the results of a job are read for those of their links that no longer open anything.
const MAX_READ: u32 = 4;
/// How long it waits before a job that goes on after one that brought nothing new.
const PAUSE: Duration = Duration::from_secs(5);
/// The most errors that are told one by one.
const MAX_TOLD: usize = 20;

/// The options of `docyard retrieve`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The address of the API, such as `https://retrieve.example.com`; that for mutual TLS, with a certificate.
    #[arg(long, env = "DOCYARD_URL", value_parser = http::url)]
    url: String,
    /// Who retrieves: the id of the recipient.
    #[arg(long, env = "DOCYARD_RECIPIENT_ID", value_parser = recipient)]
    recipient: RecipientId,
    /// A file that holds the passphrase. Without it the passphrase is taken from the variable DOCYARD_SECRET.
    #[arg(long)]
    secret_file: Option<PathBuf>,
    /// The client certificate, in PEM.
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key, in PEM.
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
    /// The certificate of an authority that the server's may be from, besides those of the operating system, in PEM.
    #[arg(long)]
    cacert: Option<PathBuf>,
    /// Fetch what became available after this instant, such as 2025-01-15T10:32:00Z.
    #[arg(long, conflicts_with = "state", value_parser = since)]
    since: Option<Timestamp>,
    /// A file that says where the last run ended, and this one goes on. It need not be there.
    #[arg(long)]
    state: Option<PathBuf>,
    /// The directory that the files are put into, with `manifest.jsonl`, which says what they are.
    #[arg(long)]
    out: PathBuf,
    /// How many files are fetched at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Print the outcome as one JSON object.
    #[arg(long)]
    json: bool,
}

fn recipient(text: &str) -> Result<RecipientId, &'static str> {
    RecipientId::parse(text).ok_or("must be the id of a recipient, such as rcp_…")
}

fn since(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse_text(text)
}

/// What became of an artifact.
enum Became {
    Retrieved,
    /// It was there already.
    Existing,
    /// Deleted, since the job found it.
    Gone,
    /// Not fetched: its filename, and why.
    Failed(String, String),
}

/// What became of the artifacts of all jobs, by their ids.
type Outcome = BTreeMap<ArtifactId, Became>;

/// Retrieves what is not there yet.
///
/// # Errors
/// Some files could not be fetched. What was fetched stays, and the state as it was.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    let credentials = Credentials::read(
        options.recipient,
        options.secret_file.as_deref(),
        options.cert.as_deref().zip(options.key.as_deref()),
        options.cacert.as_deref(),
    )?;
    let api = Api::new(options.url, credentials)?;
    let mut directory = Directory::open(&options.out, options.state.as_deref())?;
    let mut state = options.state.map(State::read).transpose()?;
    let progress = output::progress(0, "files");
    let (mut outcome, mut cursor) = (Outcome::new(), state.as_ref().and_then(State::cursor));
    loop {
        // Each job by a new token: what an older one opens shrinks, as sessions of policies end.
        api.authenticate().await?;
        let since = options.since.filter(|_| cursor.is_none());
        let is_first = outcome.is_empty();
        let job = match api.create_job(since, cursor.as_deref()).await? {
            Began::Job(job) => job,
            // What is granted has changed: afresh, and what is there already is not fetched again.
            Began::OtherScope(_) if is_first && cursor.is_some() => {
                match api.create_job(options.since, None).await? {
                    Began::Job(job) => job,
                    Began::OtherScope(reason) => return Err(reason.into()),
                }
            }
            Began::OtherScope(reason) => return Err(reason.into()),
        };
        let job = api.completed(job).await?;
        progress.inc_length(u64::try_from(job.total).unwrap_or(u64::MAX));
        let before = outcome.len();
        retrieve(&api, &job, &mut directory, options.jobs, &mut outcome, &progress).await?;
        cursor = job.cursor;
        // Of what failed the next run begins again; what is behind it does not wait.
        let is_whole = !outcome.values().any(|became| matches!(became, Became::Failed(..)));
        if let (Some(state), Some(cursor)) = (state.as_mut().filter(|_| is_whole), &cursor) {
            directory.sync()?;
            state.write(cursor)?;
        }
        if !job.has_more || cursor.is_none() {
            break;
        }
        if outcome.len() == before {
            // What became available within the last minute comes again until that is over.
            tokio::time::sleep(PAUSE).await;
        }
    }
    progress.finish_and_clear();
    report(options.json, outcome)
}

/// Downloads the results of a job, and reads them again for those whose links no longer open anything, and until there are as many as the job
/// found: a token that is older than a policy's session sees fewer.
async fn retrieve(
    api: &Arc<Api>,
    job: &Job,
    directory: &mut Directory,
    at_once: u8,
    outcome: &mut Outcome,
    progress: &ProgressBar,
) -> Result<(), String> {
    let (mut seen, mut waiting) = (BTreeSet::new(), BTreeMap::new());
    for attempt in 1..=MAX_READ {
        if attempt > 1 {
            api.authenticate().await?;
        }
        waiting.clear();
        let mut next = Some(api.results_path(&job.id));
        while let Some(path) = next {
            let page = api.results(&path).await?;
            next = page.next;
            read_page(api, page.items, directory, at_once, outcome, &mut waiting, &mut seen, progress)
                .await?;
        }
        if waiting.is_empty() && seen.len() >= job.total {
            return Ok(());
        }
    }
    outcome.extend(waiting.into_iter().map(|(id, (name, reason))| (id, Became::Failed(name, reason))));
    match job.total.saturating_sub(seen.len()) {
        0 => Ok(()),
        missing => {
            Err(format!("{missing} of the documents that the job found are no longer granted; run it again"))
        }
    }
}

/// Downloads what is on a page and not there yet. `seen` are the artifacts of the job that were on a page, and `waiting` those whose link opened
/// nothing.
#[expect(clippy::too_many_arguments, reason = "they are the state of one loop")]
async fn read_page(
    api: &Arc<Api>,
    items: Vec<Item>,
    directory: &mut Directory,
    at_once: u8,
    outcome: &mut Outcome,
    waiting: &mut BTreeMap<ArtifactId, (String, String)>,
    seen: &mut BTreeSet<ArtifactId>,
    progress: &ProgressBar,
) -> Result<(), String> {
    let mut wanted = Vec::new();
    for item in items {
        let id = item.id();
        if seen.insert(id) {
            progress.inc(1);
        }
        match item {
            Item::Gone(_) => drop(outcome.insert(id, Became::Gone)),
            Item::Link(link) if directory.has(&link) => {
                directory.renew(&link)?;
                outcome.entry(id).or_insert(Became::Existing);
            }
            Item::Link(link) => {
                let place = directory.place(&link);
                wanted.push((link, place));
            }
        }
    }
    let fetched = stream::iter(wanted).map(|(link, place)| {
        let api = api.clone();
        async move { (api.fetch(&link, &place).await, link, place) }
    });
    let mut fetched = std::pin::pin!(fetched.buffer_unordered(at_once.into()));
    while let Some((result, link, place)) = fetched.next().await {
        let id = link.artifact_id;
        let became = match result {
            Fetched::Done => {
                directory.settle(&link, &place)?;
                Became::Retrieved
            }
            Fetched::Gone => Became::Gone,
            Fetched::LinkEnded(reason) => {
                waiting.insert(id, (link.filename, reason));
                continue;
            }
            Fetched::Failed(reason) => Became::Failed(link.filename, reason),
        };
        outcome.insert(id, became);
    }
    Ok(())
}

fn report(as_json: bool, outcome: Outcome) -> Result<(), Failure> {
    let (mut retrieved, mut existing, mut gone, mut errors) = (0_usize, 0_usize, 0_usize, Vec::new());
    for became in outcome.into_values() {
        match became {
            Became::Retrieved => retrieved += 1,
            Became::Existing => existing += 1,
            Became::Gone => gone += 1,
            Became::Failed(name, reason) => errors.push((name, reason)),
        }
    }
    errors.sort();
    let failed = errors.len();
    if as_json {
        let errors: Vec<Value> =
            errors.iter().map(|(file, reason)| json!({"file": file, "message": reason})).collect();
        output::print(json!({
            "retrieved": retrieved, "existing": existing, "gone": gone, "failed": failed, "errors": errors,
        }))?;
    } else {
        for (file, reason) in errors.iter().take(MAX_TOLD) {
            // Where it cannot be said, the exit code says that it failed.
            let _ = output::print_error(format_args!("docyard: {file}: {reason}"));
        }
        let gone = if gone > 0 { format!(", {gone} deleted meanwhile") } else { String::new() };
        output::print(format_args!(
            "{retrieved} retrieved, {existing} there already, {failed} failed{gone}"
        ))?;
    }
    match failed {
        0 => Ok(()),
        failed if as_json || failed <= MAX_TOLD => Err(Failure::Told),
        failed => {
            let more = failed - MAX_TOLD;
            Err(Failure::Reason(format!("and {more} more; run it again for those, or with --json for all")))
        }
    }
}
