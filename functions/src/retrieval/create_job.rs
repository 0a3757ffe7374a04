//! `POST /v1/retrieval/jobs`: creates a job, which puts together what the policies grant a recipient.
//!
//! With an API key it takes `dockId` and `recipientId`, and `identifiers` that are submitted; with an access token these are the token's.
//! Takes `method`, and of what the policies grant: `artifactIds`, `metadata`, `sinceTimestamp`, or the `cursor` of an earlier job, to go
//! on where that ended. Returns 201, the job, and its URL in `Location`. 403 if no policy in force grants anything. Accepts an
//! `Idempotency-Key`: repeated, it returns the job as it is now.
//!
//! Three round trips to DynamoDB: reads the credential, the dock, all that is active of the recipient and the earlier job at once; then
//! the recipient, its groups, the policies in force for its class and the dock's open jobs; then writes the job.

use docyard_core::context::Context;
use docyard_core::model::artifact::{self, Position};
use docyard_core::model::decision::{Metadata, Scope};
use docyard_core::model::idempotency::{Outcome, Replay, StoredResponse};
use docyard_core::model::identifiers::Identifiers;
use docyard_core::model::job::{Grant, Job, JobProof, MAX_NAMED, Requester, Selection, Status};
use docyard_core::model::recipe::Method;
use docyard_core::model::token::TokenRecord;
use docyard_core::store::TooManyJobs;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::field_error::{FieldError, Rejected};
use docyard_core::values::fields::{Fields, different, string};
use docyard_core::values::id::{ArtifactId, DockId, Id, JobId, RecipientId};
use docyard_core::values::random;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{Facts, JobOutput, LIST, may_see, open, read_cursor};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::auth::{self, Asker, Institution};
use crate::http::error::{Error, Resource};
use crate::http::idempotency::Attempt;
use crate::http::{idempotency, input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "create-retrieval-job": Post "/v1/retrieval/jobs",
    description: "Create a retrieval job",
    memory: 128,
    credentials: [ApiKey, AccessToken],
    connections: 2,
    grants: [
        BatchGetItem on [Dock, Groups, Idempotency, Job, Key, OpenJobs, Token],
        Query on [Policies, Recipient],
        PutItem on [Audit, AuditEntity, Idempotency, Job, Jobs, OpenJobs, Token],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Puts together what the policies in force grant the recipient, oldest first; its results are ready within seconds. With an \
             API key `dockId` and `recipientId` are required; with an access token they are the token's. What a job delivers is limited by \
             `max_batch_size` of the policies, and to 10,000 artifacts: `hasMore` says that there is more, and the job that is created \
             with its `cursor` goes on.",
        )
        .batch_request_body::<Input>(serde_json::json!({
            "dockId": "dock_01JHMV2B4MP0YHZX6Q3T0V1W2X",
            "recipientId": "rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y",
            "metadata": {"document_type": "declaration-page"},
        }))
        .accepts_idempotency_key()
        .response::<JobOutput>(201, "The job")
        .replayable()
        .location("/v1/retrieval/jobs/job_01JHMVA9K2Y8GS7FEZBC8D9EAF")
        .link("get-retrieval-job", super::CREATED)
        .link("list-retrieval-results", super::CREATED)
        .link("cancel-retrieval-job", super::CREATED)
        .forbidden()
        .not_found(Resource::Recipient, "No such dock in the key's account, or no such recipient in the dock")
        .conflict("Too many open jobs, or what the cursor's job was granted has changed", TOO_MANY_OF_RECIPIENT)
}

const TOO_MANY_OF_RECIPIENT: &str =
    "This recipient has 3 open jobs; wait for one of them to end, or cancel one";
const TOO_MANY_OF_DOCK: &str = "This dock has 20 open jobs; wait for one of them to end, or cancel one";
const OTHER_SCOPE: &str = "What the policies grant, the filters or the method are others than those of the cursor's job; start without a cursor";

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CreateRetrievalJob, rename_all = "camelCase"))]
struct Input {
    /// The dock. Required with an API key.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<DockId>))]
    dock_id: Named<DockId>,
    /// Who gets the artifacts. Required with an API key.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<RecipientId>))]
    recipient_id: Named<RecipientId>,
    /// How they are retrieved.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Method>))]
    method: Method,
    /// These artifacts alone.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<std::collections::BTreeSet<ArtifactId>>, min_items = 1, max_items = 1000))]
    artifact_ids: Vec<ArtifactId>,
    /// Those alone whose metadata has these entries.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<artifact::Metadata>))]
    metadata: Metadata,
    /// Those alone that became available after this instant.
    since_timestamp: Option<Timestamp>,
    /// Instead: where the job with this cursor ended.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    cursor: Option<JobId>,
    /// What is submitted, with an API key.
    identifiers: Option<Identifiers>,
}

/// An id in a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named<I> {
    Absent,
    /// A text that is no id, and names nothing.
    Malformed,
    Id(I),
}

impl<I: Id> Named<I> {
    fn parse(fields: &mut Fields, field: &'static str) -> Result<Self, Rejected> {
        let id = fields.optional(field, string(|text| Ok(I::parse(text))))?;
        Ok(id.map_or(Self::Absent, |id| id.map_or(Self::Malformed, Self::Id)))
    }

    fn id(self) -> Option<I> {
        match self {
            Self::Id(id) => Some(id),
            Self::Absent | Self::Malformed => None,
        }
    }
}

impl Input {
    fn parse(fields: &mut Fields, now: Timestamp) -> Result<Self, Rejected> {
        let dock_id = Named::parse(fields, "dockId");
        let recipient_id = Named::parse(fields, "recipientId");
        let method = fields.optional("method", string(method));
        let artifact_ids = fields.optional("artifactIds", |json| {
            different(json, 1, MAX_NAMED, |text| {
                ArtifactId::parse(text).ok_or("must be the id of an artifact")
            })
        });
        let metadata = fields.optional("metadata", |json| artifact::Metadata::parse(json, now.latest_date()));
        let since_timestamp = fields.optional("sinceTimestamp", string(Timestamp::parse_text));
        let cursor = fields.optional("cursor", string(read_cursor));
        let identifiers = fields.optional("identifiers", |json| Identifiers::parse(json, now.latest_date()));
        if matches!(cursor, Ok(Some(_))) {
            if matches!(since_timestamp, Ok(Some(_))) {
                fields.refuse("cursor", "must be absent with sinceTimestamp");
            }
            if matches!(artifact_ids, Ok(Some(_))) {
                fields.refuse("cursor", "must be absent with artifactIds");
            }
        }
        Ok(Self {
            dock_id: dock_id?,
            recipient_id: recipient_id?,
            method: method?.unwrap_or(Method::BulkApi),
            artifact_ids: artifact_ids?.unwrap_or_default(),
            metadata: metadata?.map(|metadata| metadata.entries().clone()).unwrap_or_default(),
            since_timestamp: since_timestamp?,
            cursor: cursor?,
            identifiers: identifiers?,
        })
    }

    /// What an account must say.
    fn check_names_both(&self) -> Result<(), Error> {
        let absent =
            [("dockId", self.dock_id == Named::Absent), ("recipientId", self.recipient_id == Named::Absent)];
        refuse(absent, "is required with an API key")
    }

    /// What a recipient may say.
    fn check_is_of(&self, token: &TokenRecord) -> Result<(), Error> {
        let is_other = |named: bool, same: bool| named && !same;
        let dock = is_other(self.dock_id != Named::Absent, self.dock_id.id() == Some(token.dock));
        let recipient =
            is_other(self.recipient_id != Named::Absent, self.recipient_id.id() == Some(token.recipient));
        refuse(
            [("dockId", dock), ("recipientId", recipient), ("identifiers", self.identifiers.is_some())],
            "must be absent with an access token, or that of the token",
        )
    }
}

/// Refuses the fields that are wrong.
fn refuse<const N: usize>(fields: [(&str, bool); N], message: &'static str) -> Result<(), Error> {
    let wrong = fields.into_iter().filter(|(_, is_wrong)| *is_wrong);
    let errors: Vec<FieldError> = wrong.map(|(field, _)| FieldError::new(field, message)).collect();
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

fn method(text: &str) -> Result<Method, &'static str> {
    match Method::parse(text) {
        Ok(method @ (Method::BulkApi | Method::BulkDownload)) => Ok(method),
        _ => Err("must be bulk_api or bulk_download"),
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let now = context.now();
    let read = input::read(request, |input| {
        let key = input.idempotency_key();
        let body = input.batch_body(|fields| Input::parse(fields, now));
        Ok((key?, body?))
    });
    let asked = read.as_ref().ok().map(|(_, body)| body);
    let found = async {
        let dock = path::lookup(asked.and_then(|body| body.dock_id.id()), |id| context.store.dock(id));
        let recipient = asked.and_then(|body| body.recipient_id.id());
        let active = path::lookup(recipient, |id| context.store.active_recipient(id));
        let earlier = path::lookup(asked.and_then(|body| body.cursor), |id| context.store.job(id, now));
        tokio::try_join!(dock, active, earlier)
    };
    let (asker, (dock, active, earlier)) = auth::authenticate_asker(context, request, found).await?;
    let (key, body) = read?;
    let (requester, dock, recipient, active) = match &asker {
        Asker::Account(caller, _) => {
            body.check_names_both()?;
            let dock = dock.filter(|dock| dock.account == caller.account);
            let dock = dock.ok_or(Error::NotFound(Resource::Dock))?.id;
            let active = active.filter(|active| active.pointer.dock == dock);
            let found = body.recipient_id.id().zip(active);
            let (recipient, active) = found.ok_or(Error::NotFound(Resource::Recipient))?;
            (Requester::Account, dock, recipient, active)
        }
        Asker::Recipient(institution) => {
            let Institution { token, active, .. } = &**institution;
            body.check_is_of(token)?;
            (Requester::Recipient, token.dock, token.recipient, active.clone())
        }
    };
    let (found, open_jobs) =
        tokio::try_join!(context.store.subject(recipient, active, now), context.store.open_jobs(dock))?;
    let (subject, policies) = found.ok_or(Error::NotFound(Resource::Recipient))?;

    let facts = Facts::of(&asker, &body.identifiers.unwrap_or_default(), now);
    let opening = open(context, &asker, &facts.proof(body.method), &subject, &policies, now).await?;
    let since = body.since_timestamp.map(|at| Position { at, id: ArtifactId::MAX });
    let grants = opening.granting().iter().map(|verdict| Grant {
        policy: verdict.policy.id,
        scope: Scope::of(&verdict.revision.recipe, &subject.recipient, &facts.submitted),
        begin: since,
        has_ended: false,
        end: None,
        count: 0,
    });
    let mut grants: Vec<Grant> = grants.collect();
    grants.sort_by_key(|grant| grant.policy);
    let mut job = Job {
        id: JobId::generate(now, &mut random::system()),
        dock,
        account: subject.recipient.account,
        recipient,
        requester,
        method: body.method,
        selection: Selection { artifacts: body.artifact_ids, metadata: body.metadata },
        proof: JobProof {
            factors: facts.factors.to_vec(),
            authenticated_at: facts.authenticated_at,
            submitted: facts.submitted,
        },
        grants,
        status: Status::Pending,
        failure: None,
        examined_to: None,
        examined: 0,
        pages: 0,
        ready: 0,
        errors: 0,
        has_more: false,
        created_at: now,
        ended_at: None,
        stepped_at: now,
        touches: 0,
        version: 0,
    };
    if body.cursor.is_some() {
        let earlier = earlier.filter(|earlier| may_see(&asker, earlier) && earlier.recipient == recipient);
        let reached = earlier.as_ref().and_then(|earlier| Some((earlier, earlier.reached()?)));
        let Some((earlier, reached)) = reached else { return Err(unknown_cursor()) };
        if !earlier.may_go_on(&job) {
            return Err(Error::Conflict(OTHER_SCOPE));
        }
        for grant in &mut job.grants {
            grant.begin = reached.get(&grant.policy).copied().flatten();
        }
    }

    // Each recipient has keys of its own, and so does the account.
    let path = match requester {
        Requester::Account => LIST.to_owned(),
        Requester::Recipient => format!("{LIST} {recipient}"),
    };
    let attempt = Attempt::new(key, job.account, &path, request, now);
    let response = created(&job)?;
    let entry = || asker.entry(context, job.created());
    match context.store.create_job(&job, open_jobs, entry, attempt.storing(&response)).await? {
        Outcome::Done => {
            context.record.add_id(job.id);
            Ok(response::created_immutable(response))
        }
        Outcome::Replayed(Replay::Response(stored)) => {
            let now_it_is = path_of_created(&stored);
            let job = path::lookup(now_it_is, |id| context.store.job(id, now)).await?;
            let response = created(&job.ok_or(Error::NotFound(Resource::Job))?)?;
            idempotency::replay(Replay::Response(response), response::created_immutable)
        }
        Outcome::Replayed(Replay::KeyReused) => Err(Error::IdempotencyKeyReused),
        Outcome::Refused(TooManyJobs::OfRecipient) => Err(Error::Conflict(TOO_MANY_OF_RECIPIENT)),
        Outcome::Refused(TooManyJobs::OfDock) => Err(Error::Conflict(TOO_MANY_OF_DOCK)),
    }
}

fn created(job: &Job) -> Result<StoredResponse, Error> {
    let body = response::to_json(&JobOutput::from(job))?;
    Ok(StoredResponse { body, location: Some(format!("{LIST}/{}", job.id)) })
}

/// The job that was created when this was stored.
fn path_of_created(stored: &StoredResponse) -> Option<JobId> {
    JobId::parse(stored.location.as_deref()?.rsplit('/').next()?)
}

fn unknown_cursor() -> Error {
    let message =
        "is not the cursor of a completed job of this recipient that is kept; start without a cursor";
    Error::Invalid(vec![FieldError::new("cursor", message)])
}
