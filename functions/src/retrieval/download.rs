//! `GET /v1/retrieval/jobs/{jobId}/artifacts/{artifactId}?ticket=…`: a link of a page of results. Redirects to S3, to an address that is
//! good for 60 seconds.
//!
//! It takes no credential but the ticket, so that a download manager can use it; where the ticket was given to a token that is bound to a
//! certificate, the connection must have that certificate. Decided anew at each use, as if who was given the ticket asked now, and
//! recorded.
//!
//! Three round trips to DynamoDB: reads the ticket, the artifact and all that is active of the recipient at once; then the credential that
//! was given the ticket, its page, the recipient, its groups and the policies in force for its class; then writes the entry.

use docyard_core::context::Context;
use docyard_core::model::access::{Shortfall, granting};
use docyard_core::model::artifact::State;
use docyard_core::model::idempotency::Outcome;
use docyard_core::model::ticket::{Issuer, Ticket, TicketRecord};
use docyard_core::store::ActiveRecipient;
use docyard_core::values::id::{ArtifactId, JobId};
use lambda_http::Request;
use lambda_http::http::header::{AUTHORIZATION, LOCATION};
use lambda_http::http::{HeaderValue, Response, StatusCode};

use super::Facts;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::auth::{self, Asker, Institution};
use crate::http::error::{Error, Resource};
use crate::http::{input, path, refusal};
#[cfg(feature = "openapi")]
use crate::operation::Operation;
use docyard_core::store::Fault;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "download-artifact": Get "/v1/retrieval/jobs/{jobId}/artifacts/{artifactId}",
    description: "Download an artifact",
    memory: 128,
    credentials: [],
    connections: 2,
    grants: [
        BatchGetItem on [Artifact, Dock, Groups, Job, Key, Token],
        Query on [Policies, Recipient],
        PutItem on [Audit, AuditEntity, Token],
    ],
    needs: [GetObject],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "A link of a page of results, to be followed without an API key or token. Redirects to S3, to an address that is good for 60 \
             seconds.",
        )
        .query("ticket", "The ticket, which the link has", ticket_schema())
        .redirect("To the content")
        .forbidden()
        .not_found(Resource::Artifact, "The artifact is not on the page of the ticket, or is gone")
}

#[cfg(feature = "openapi")]
fn ticket_schema() -> utoipa::openapi::schema::Object {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.pattern(Some("^dk_tkt_[0-9A-Z]{26}_[0-9A-Za-z]{49}$")).build()
}

const WITH_AUTHORIZATION: &str = "Send a link without Authorization: it needs none, and S3 would refuse it";

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    if request.headers().contains_key(AUTHORIZATION) {
        return Err(Error::BadRequest { message: WITH_AUTHORIZATION, errors: Vec::new() });
    }
    let now = context.now();
    let ticket = input::read(request, |input| input.parameter("ticket", |text| Ok(Ticket::parse(text))))?;
    let ticket = ticket.flatten().ok_or(Error::InvalidLink)?;
    let job = path::id::<JobId>(request).ok_or(Error::InvalidLink)?;
    let id = path::id::<ArtifactId>(request);
    let digest = ticket.digest();
    let (ticket, artifact, active) = tokio::try_join!(
        context.store.ticket(job, &digest),
        path::lookup(id, |id| context.store.artifact(id, now)),
        context.store.active_recipient(ticket.recipient()),
    )?;
    let ticket = ticket.filter(|ticket| now < ticket.expires_at).ok_or(Error::InvalidLink)?;
    context.record.add_id(ticket.job);
    let active = active.ok_or_else(withdrawn)?;
    let (asker, page, found) = tokio::join!(
        issuer(context, request, &ticket, active.clone()),
        context.store.results_page(job, ticket.page),
        context.store.subject(ticket.recipient, active, now),
    );
    let asker = asker?;
    let (subject, policies) = found?.ok_or_else(withdrawn)?;
    let page = page?.unwrap_or_default();
    let is_on_page =
        |id: &ArtifactId| page.ready.get(ticket.from..ticket.to).is_some_and(|ready| ready.contains(id));
    let artifact = artifact.filter(|artifact| is_on_page(&artifact.id) && artifact.dock == ticket.dock);
    let artifact = artifact.ok_or(Error::NotFound(Resource::Artifact))?;
    let State::Available { content, .. } = &artifact.state else {
        return Err(Error::NotFound(Resource::Artifact));
    };
    let submitted = match &ticket.issuer {
        Issuer::Account { submitted, .. } => submitted.clone(),
        Issuer::Recipient { .. } => Default::default(),
    };
    let facts = Facts::of(&asker, &submitted, now);
    let attempt = facts.attempt(ticket.method, Some(artifact.metadata.entries()));
    if granting(&policies, &subject, &attempt, now).next().is_none() {
        if let Asker::Recipient(institution) = &asker {
            refusal::record(context, &subject.recipient, institution.token.id, &Shortfall::default()).await?;
        }
        return Err(withdrawn());
    }

    let download = context.objects()?.download(&artifact, content)?;
    let location = HeaderValue::from_str(download.url.expose())
        .map_err(|_| Error::Internal(Fault::new("download: the address is no header")))?;
    let entry = asker.entry(context, artifact.retrieved(ticket.job, ticket.recipient));
    match context.store.create_entry(&entry, None).await? {
        Outcome::Done | Outcome::Replayed(_) => {}
        Outcome::Refused(never) => match never {},
    }
    context.record.add_id(artifact.id);
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// Who was given a ticket, if its credential still opens anything.
async fn issuer(
    context: &Context,
    request: &Request,
    ticket: &TicketRecord,
    active: ActiveRecipient,
) -> Result<Asker, Error> {
    let asker = match &ticket.issuer {
        Issuer::Account { key, .. } => {
            let caller = auth::caller_by(context, key).await;
            caller.map(|caller| Asker::Account(caller, key.clone()))
        }
        Issuer::Recipient { token } => {
            let found = context.store.token(ticket.recipient, token).await?.ok_or(Error::InvalidLink)?;
            let institution = Institution { token: found, active, digest: token.clone() };
            let connection = auth::connection_certificate(request);
            let institution = auth::accept(context, institution, connection.as_ref());
            institution.map(|institution| Asker::Recipient(Box::new(institution)))
        }
    };
    asker.map_err(|error| match error {
        Error::Unauthorized { .. } => Error::InvalidLink,
        other => other,
    })
}

/// What a link gets that opened something once.
fn withdrawn() -> Error {
    Error::Forbidden(Shortfall::default())
}
