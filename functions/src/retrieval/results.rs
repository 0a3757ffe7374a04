//! `GET /v1/retrieval/jobs/{jobId}/results`: a page of a completed job's results, each with a link to its content.
//!
//! What the credential is not granted now is left out, so that a page may be empty; what was deleted since is an error of its item. All
//! links of a page have one ticket, which is good for an hour and no longer than the credential.
//!
//! Three round trips to DynamoDB: reads the credential, the job and the page at once; then the recipient, its groups, the policies in
//! force for its class and the artifacts; then writes the ticket.

use std::collections::BTreeMap;

use docyard_core::context::Context;
use docyard_core::model::access::granting;
use docyard_core::model::artifact::{
    Artifact, Content, Filename, MediaType, Metadata, Status as ArtifactStatus,
};
use docyard_core::model::job::{Job, MAX_STEP, ResultsPage, Status};
use docyard_core::model::ticket::{TICKET_MINUTES, Ticket, TicketRecord};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::content_hash::ContentHash;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::id::{ArtifactId, JobId};
use docyard_core::values::random;
use lambda_http::Request;
use lambda_http::http::Response;
use serde::Serialize;

use super::{Facts, LIST, find, open};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::auth::Asker;
use crate::http::error::{Error, Resource};
use crate::http::input::{self, Input};
use crate::http::{header, list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-retrieval-results": Get "/v1/retrieval/jobs/{jobId}/results",
    description: "List the results of a retrieval job",
    memory: 1024,
    credentials: [ApiKey, AccessToken],
    connections: 2,
    grants: [
        BatchGetItem on [Artifact, Dock, Groups, Job, Key, Token],
        Query on [Policies, Recipient],
        PutItem on [Audit, AuditEntity, Job, Token],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Each item has a link, which is good for an hour. Get it without an API key or token; where the token that asked is bound \
             to a certificate, on a connection with that certificate. Decided anew for the credential that asks: what it is not granted \
             is left out, so that a page may have fewer than its limit, or none; only a missing `Link` ends the list.",
        )
        .query("limit", "The most items on the page", limit_schema())
        .query("cursor", "Where the page begins, as `Link` says", cursor_schema())
        .response::<Output>(200, "A page of the results")
        .paged()
        .forbidden()
        .not_found(Resource::Job, "No such job of those that this credential may see")
        .gone("The results are older than 24 hours", EXPIRED)
}

#[cfg(feature = "openapi")]
fn limit_schema() -> utoipa::openapi::schema::Object {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    let integer = ObjectBuilder::new().schema_type(Type::Integer);
    integer.minimum(Some(1)).maximum(Some(MAX_STEP)).default(Some(MAX_STEP.into())).build()
}

#[cfg(feature = "openapi")]
fn cursor_schema() -> utoipa::openapi::schema::Object {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    ObjectBuilder::new().schema_type(Type::String).build()
}

const EXPIRED: &str = "The results of this job are gone after 24 hours; create another job";
const NOT_YET: &str = "This job is not completed yet; get it again until it is";
const NONE: &str = "This job was canceled or has failed, and has no results; create another job";

/// The most bytes of the items of a page: with the rest, an answer that Lambda takes.
const MAX_BYTES: usize = 4 * 1024 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RetrievalResults))]
struct Output<'a> {
    status: Status,
    /// Of the job.
    total_count: u32,
    items: Vec<ItemOutput<'a>>,
}

/// An artifact with its link, or what is wrong with it.
#[derive(Serialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RetrievalResult))]
enum ItemOutput<'a> {
    Ready(Box<ReadyOutput<'a>>),
    Error(ErrorOutput),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RetrievedArtifact))]
struct ReadyOutput<'a> {
    artifact_id: ArtifactId,
    filename: &'a Filename,
    content_type: &'a MediaType,
    /// In bytes.
    #[cfg_attr(feature = "openapi", schema(example = 245_760))]
    size: u64,
    hash: ContentHash,
    metadata: &'a Metadata,
    /// Where to get the content.
    #[cfg_attr(
        feature = "openapi",
        schema(
            example = "https://api.example.com/v1/retrieval/jobs/job_01…/artifacts/art_01…?ticket=dk_tkt_…"
        )
    )]
    url: String,
    expires_at: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NotRetrieved))]
struct ErrorOutput {
    artifact_id: ArtifactId,
    error: ItemError,
}

#[derive(Clone, Copy, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NotRetrievedError))]
struct ItemError {
    #[cfg_attr(feature = "openapi", schema(pattern = "^not_found$", example = "not_found"))]
    code: &'static str,
    message: &'static str,
}

const NOT_FOUND: ItemError =
    ItemError { code: "not_found", message: "There is no such artifact, or it is not granted" };

/// Where a page of results begins: at the `offset`th entry of a page of the job.
#[derive(Clone, Copy, Default)]
struct Start {
    page: u16,
    offset: usize,
}

impl Start {
    fn parse(text: &str) -> Option<Self> {
        let (page, offset) = text.split_once('#')?;
        Some(Self { page: page.parse().ok()?, offset: offset.parse().ok()? })
    }
}

struct Query {
    limit: usize,
    start: Start,
}

impl Query {
    fn parse(input: &mut Input<'_>, list: &str) -> Result<Self, Rejected> {
        let page = list::page_or(MAX_STEP, input, list, |key| Start::parse(key).is_some())?;
        let start = page.after.as_deref().and_then(Start::parse).unwrap_or_default();
        Ok(Self { limit: page.limit, start })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let now = context.now();
    let id = path::id::<JobId>(request);
    let list = id.map(|id| format!("{LIST}/{id}/results")).unwrap_or_default();
    let query = input::read(request, |input| Query::parse(input, &list));
    let start = query.as_ref().map_or(Start::default(), |query| query.start);
    let (asker, found) =
        find(context, request, async |id| context.store.results_page(id, start.page).await).await?;
    let query = query?;
    let (job, page) = found.ok_or(Error::NotFound(Resource::Job))?;
    let expires_at = match job.status {
        Status::Pending | Status::Processing => return Err(bad_request(NOT_YET)),
        Status::Failed | Status::Canceled => return Err(bad_request(NONE)),
        Status::Completed => job.expires_at().filter(|end| now < *end).ok_or(Error::Gone(EXPIRED))?,
    };
    let page = match page {
        // The job's last step came between the two reads.
        None if start.page < job.pages => context.store.results_page(job.id, start.page).await?,
        page => page,
    };
    let page = page.unwrap_or_default();
    let entries: Vec<ArtifactId> = page.ready.iter().chain(&page.errors).copied().collect();
    let from = start.offset.min(entries.len());
    let to = entries.len().min(from + query.limit);
    let wanted = entries.get(from..to.min(page.ready.len()).max(from)).unwrap_or_default();

    let active = match &asker {
        Asker::Account(..) => context.store.active_recipient(job.recipient).await?,
        Asker::Recipient(institution) => Some(institution.active.clone()),
    };
    let active = active.ok_or_else(|| Error::Forbidden(Default::default()))?;
    let (found, artifacts) = tokio::try_join!(
        context.store.subject(job.recipient, active, now),
        context.store.artifacts_of(wanted, now)
    )?;
    let (subject, policies) = found.ok_or_else(|| Error::Forbidden(Default::default()))?;
    let facts = Facts::of(&asker, &job.proof.submitted, now);
    open(context, &asker, &facts.proof(job.method), &subject, &policies, now).await?;

    let ticket = Ticket::generate(job.recipient, &mut random::system());
    let ends = [Some(now.plus_minutes(TICKET_MINUTES)), asker.expires_at()];
    let ticket_ends = ends.into_iter().flatten().fold(expires_at, Timestamp::min);
    let base = header::base_url(context, request);
    // What this credential cannot have found is not for it, not even that it was there.
    let knows = facts.submitted == job.proof.submitted
        && job.proof.factors.iter().all(|factor| facts.factors.contains(factor));
    let item = |at: usize, id: ArtifactId| -> Option<ItemOutput<'_>> {
        let error = || ItemOutput::Error(ErrorOutput { artifact_id: id, error: NOT_FOUND });
        if at >= page.ready.len() {
            return Some(error());
        }
        let Some((artifact, content)) = available(&artifacts, &job, id) else { return knows.then(error) };
        let attempt = facts.attempt(job.method, Some(artifact.metadata.entries()));
        granting(&policies, &subject, &attempt, now).next()?;
        let url = format!("{base}{LIST}/{}/artifacts/{id}?ticket={}", job.id, ticket.expose());
        Some(ItemOutput::Ready(Box::new(ReadyOutput {
            artifact_id: id,
            filename: &artifact.filename,
            content_type: &content.media_type,
            size: content.size,
            hash: content.hash,
            metadata: &artifact.metadata,
            url,
            expires_at: ticket_ends,
        })))
    };
    let (mut items, mut bytes, mut end) = (Vec::new(), 0, from);
    for (at, id) in entries.iter().enumerate().take(to).skip(from) {
        if let Some(item) = item(at, *id) {
            // In what Lambda answers the body is a text of JSON.
            bytes += response::to_json(&response::to_json(&item)?)?.len();
            if bytes > MAX_BYTES {
                break;
            }
            items.push(item);
        }
        end = at + 1;
    }
    let record = TicketRecord {
        job: job.id,
        dock: job.dock,
        account: job.account,
        recipient: job.recipient,
        method: job.method,
        page: start.page,
        from: from.min(page.ready.len()),
        to: end.min(page.ready.len()),
        issuer: asker.issuer(&job.proof.submitted),
        expires_at: ticket_ends,
    };
    let links = items.iter().filter(|item| matches!(item, ItemOutput::Ready(_))).count();
    let entry = asker.entry(context, job.retrieved(links));
    context.store.create_ticket(&record, &ticket.digest(), &entry).await?;
    let next = next(&job, &page, start, end).map(|next| {
        let key = format!("{}#{}", next.page, next.offset);
        list::next_url(&list, &list, query.limit, &key)
    });
    let output = Output { status: job.status, total_count: job.ready + job.errors, items };
    response::list(&output, next.as_deref())
}

/// An artifact of the job's dock, if its content is there.
fn available<'a>(
    artifacts: &'a BTreeMap<ArtifactId, Artifact>,
    job: &Job,
    id: ArtifactId,
) -> Option<(&'a Artifact, &'a Content)> {
    let artifact = artifacts.get(&id)?;
    let is_available = artifact.dock == job.dock && artifact.status() == ArtifactStatus::Available;
    artifact.content().filter(|_| is_available).map(|content| (artifact, content))
}

/// Where the next page begins, if there is one.
fn next(job: &Job, page: &ResultsPage, start: Start, end: usize) -> Option<Start> {
    if end < page.ready.len() + page.errors.len() {
        return Some(Start { page: start.page, offset: end });
    }
    let next = start.page.checked_add(1).filter(|next| *next < job.pages)?;
    Some(Start { page: next, offset: 0 })
}

fn bad_request(message: &'static str) -> Error {
    Error::BadRequest { message, errors: Vec::new() }
}
