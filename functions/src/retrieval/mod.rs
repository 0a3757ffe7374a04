//! Retrieval: jobs put together what the policies grant a recipient, and their results are links to it.
//!
//! Who asks is an institution with its access token, for itself, or an account with its API key, for one of its recipients. A job is
//! seen by those of the kind that made it alone.

use docyard_core::context::Context;
use docyard_core::model::access::{Attempt, Opening, Proof, Subject};
use docyard_core::model::decision::Metadata;
use docyard_core::model::identifiers::Identifiers;
use docyard_core::model::job::{Failure, Job, Requester, Status};
use docyard_core::model::policy::EnforcedPolicy;
use docyard_core::model::recipe::{Factor, Method};
use docyard_core::store;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::id::{DockId, JobId, RecipientId};
use lambda_http::Request;
use serde::Serialize;

use crate::endpoint::Endpoints;
use crate::http::auth::{self, Asker};
use crate::http::error::Error;
use crate::http::{list, path, refusal};

pub mod access;
pub mod cancel_job;
pub mod create_job;
pub mod download;
pub mod get_job;
pub mod list_jobs;
pub mod results;

/// The endpoints of retrieval.
pub const ENDPOINTS: Endpoints = Endpoints {
    resource: "Retrieval",
    description: "What a recipient may fetch, in bulk: jobs, their results, and the links in these",
    list: &[
        &access::ENDPOINT,
        &create_job::ENDPOINT,
        &list_jobs::ENDPOINT,
        &get_job::ENDPOINT,
        &results::ENDPOINT,
        &cancel_job::ENDPOINT,
        &download::ENDPOINT,
    ],
};

/// The list of jobs; one job is below it.
const LIST: &str = "/v1/retrieval/jobs";

/// The path parameters of a job that was just created.
#[cfg(feature = "openapi")]
const CREATED: &[(&str, &str)] = &[("jobId", "$response.body#/id")];

/// What a credential proves, for a decision.
struct Facts {
    factors: &'static [Factor],
    authenticated_at: Timestamp,
    submitted: Identifiers,
}

impl Facts {
    /// Those of who asks at `now`. An account answers for its recipient: it need not prove a factor, and `submitted` is what it
    /// submitted for the job.
    fn of(asker: &Asker, submitted: &Identifiers, now: Timestamp) -> Self {
        match asker {
            Asker::Account(..) => {
                Self { factors: Factor::ALL, authenticated_at: now, submitted: submitted.clone() }
            }
            Asker::Recipient(institution) => Self {
                factors: institution.token.factors(),
                authenticated_at: institution.token.authenticated_at,
                submitted: institution.token.submitted.clone(),
            },
        }
    }

    /// What is decided on where it is anything at all.
    fn proof(&self, method: Method) -> Proof<'_> {
        Proof {
            method: Some(method),
            factors: self.factors,
            authenticated_at: self.authenticated_at,
            submitted: &self.submitted,
        }
    }

    /// What is decided on: an artifact with this metadata, or anything at all.
    fn attempt<'a>(&'a self, method: Method, artifact: Option<&'a Metadata>) -> Attempt<'a> {
        Attempt {
            method,
            factors: self.factors,
            authenticated_at: self.authenticated_at,
            submitted: &self.submitted,
            artifact,
        }
    }
}

/// What grants who asks anything at `now`; where nothing does, a recipient's refusal leaves an entry.
///
/// # Errors
/// [`Error::Forbidden`] if nothing does.
async fn open<'a>(
    context: &Context,
    asker: &Asker,
    proof: &Proof<'_>,
    subject: &Subject,
    policies: &'a [EnforcedPolicy],
    now: Timestamp,
) -> Result<Opening<'a>, Error> {
    match Opening::of(policies, subject, proof, now) {
        Ok(opening) => Ok(opening),
        Err(shortfall) => {
            if let Asker::Recipient(institution) = asker {
                refusal::record(context, &subject.recipient, institution.token.id, &shortfall).await?;
            }
            Err(Error::Forbidden(shortfall))
        }
    }
}

/// Whether who asks may see a job.
fn may_see(asker: &Asker, job: &Job) -> bool {
    match asker {
        Asker::Account(caller, _) => job.requester == Requester::Account && job.account == caller.account,
        Asker::Recipient(institution) => {
            job.requester == Requester::Recipient && job.recipient == institution.token.recipient
        }
    }
}

/// Authenticates who asks, and finds the job that the path names, with what `read` finds beside it; `None` if there is none that they
/// may see.
///
/// # Errors
/// Those of [`auth::authenticate_asker`].
async fn find<T>(
    context: &Context,
    request: &Request,
    read: impl AsyncFnOnce(JobId) -> Result<T, store::Error>,
) -> Result<(Asker, Option<(Job, T)>), Error> {
    let found = path::lookup(path::id(request), |id| async move {
        let (job, beside) = tokio::try_join!(context.store.job(id, context.now()), read(id))?;
        Ok(job.map(|job| (job, beside)))
    });
    let (asker, found) = auth::authenticate_asker(context, request, found).await?;
    let found = found.filter(|(job, _)| may_see(&asker, job));
    if let Some((job, _)) = &found {
        context.record.add_id(job.id);
    }
    Ok((asker, found))
}

/// A job as the API shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RetrievalJob))]
struct JobOutput {
    id: JobId,
    dock_id: DockId,
    recipient_id: RecipientId,
    status: Status,
    /// `readyCount` and `errorCount` together.
    total_count: u32,
    /// How many artifacts are ready.
    ready_count: u32,
    /// How many of the artifacts that were named are not there, or are not granted.
    error_count: u32,
    /// Whether there is more than the job delivers: the next one goes on at `cursor`.
    has_more: bool,
    created_at: Timestamp,
    /// `null` until it is completed.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    completed_at: Option<Timestamp>,
    /// Until when it has results; `null` where it has none.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    expires_at: Option<Timestamp>,
    /// Where the next job goes on; `null` until it is completed, and where artifacts were named.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    cursor: Option<String>,
    /// Why it failed; `null` where it did not.
    #[cfg_attr(feature = "openapi", schema(required = true, value_type = Option<FailureOutput>))]
    failure: Option<FailureOutput>,
}

/// Why a job failed.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RetrievalFailure))]
struct FailureOutput {
    code: Failure,
    message: &'static str,
}

impl From<&Job> for JobOutput {
    fn from(job: &Job) -> Self {
        let is_completed = job.status == Status::Completed;
        Self {
            id: job.id,
            dock_id: job.dock,
            recipient_id: job.recipient,
            status: job.status,
            total_count: job.ready + job.errors,
            ready_count: job.ready,
            error_count: job.errors,
            has_more: job.has_more,
            created_at: job.created_at,
            completed_at: job.ended_at.filter(|_| is_completed),
            expires_at: job.expires_at(),
            cursor: job.reached().map(|_| list::cursor(LIST, &job.id.to_string())),
            failure: job.failure.map(|code| FailureOutput { code, message: code.message() }),
        }
    }
}

/// The job that a cursor names.
fn read_cursor(text: &str) -> Result<JobId, &'static str> {
    let id = list::read_cursor(LIST, text).and_then(|id| JobId::parse(&id));
    id.ok_or("must be the cursor of a completed job, unchanged")
}
