//! `GET /v1/retrieval/jobs`: lists jobs, newest first.
//!
//! With an API key those that the account made in the dock `dockId`, or for its recipient `recipientId` alone; with an access token
//! those that the recipient made. Takes `status` too.
//!
//! Three round trips to DynamoDB: reads the credential and the dock at once, then the list, then its jobs.

use docyard_core::context::Context;
use docyard_core::model::job::Status;
use docyard_core::store::JobList;
use docyard_core::values::field_error::{FieldError, Rejected};
use docyard_core::values::id::{DockId, JobId, RecipientId};
use docyard_core::values::page::PageRequest;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{JobOutput, LIST};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::auth::{self, Asker};
use crate::http::error::{Error, Resource};
use crate::http::input::{self, Input};
use crate::http::{list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-retrieval-jobs": Get "/v1/retrieval/jobs",
    description: "List retrieval jobs",
    memory: 512,
    credentials: [ApiKey, AccessToken],
    connections: 2,
    grants: [BatchGetItem on [Dock, Job, Key, Token], Query on [Jobs, Recipient]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Newest first: with an API key those that the account made, with an access token those that its recipient made. A page \
             may have fewer than its limit: only a missing `Link` ends the list.",
        )
        .query_of::<DockId>("dockId", "The dock. Required with an API key")
        .query_of::<RecipientId>("recipientId", "Those for this recipient alone")
        .query_of::<Status>("status", "Those of this status alone")
        .page_of::<JobOutput>("A page of jobs")
        .not_found(Resource::Dock, "No such dock in the key's account, or not the token's")
}

/// Which jobs are asked for.
struct Query {
    /// `None` if it is absent; and within, if it is malformed.
    dock: Option<Option<DockId>>,
    recipient: Option<Option<RecipientId>>,
    status: Option<Status>,
    page: PageRequest,
    /// The path of the list with its parameters, in one order.
    path: String,
}

impl Query {
    fn parse(input: &mut Input<'_>) -> Result<Self, Rejected> {
        let dock = input.parameter("dockId", |text| Ok((DockId::parse(text), text.to_owned())));
        let recipient =
            input.parameter("recipientId", |text| Ok((RecipientId::parse(text), text.to_owned())));
        let status = input.parameter("status", Status::parse);
        let parameters = [
            ("dockId", dock.as_ref().ok().and_then(|dock| Some(dock.as_ref()?.0?.to_string()))),
            ("recipientId", recipient.as_ref().ok().and_then(|it| Some(it.as_ref()?.0?.to_string()))),
            ("status", status.as_ref().ok().and_then(|status| Some((*status)?.as_str().to_owned()))),
        ];
        let given = parameters.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
        let given: Vec<String> = given.collect();
        let separator = if given.is_empty() { "" } else { "?" };
        let path = format!("{LIST}{separator}{}", given.join("&"));
        let page = list::page(input, &path, |key| JobId::parse(key).is_some());
        Ok(Self {
            dock: dock?.map(|(dock, _)| dock),
            recipient: recipient?.map(|(recipient, _)| recipient),
            status: status?,
            page: page?,
            path,
        })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let query = input::read(request, Query::parse);
    let dock = query.as_ref().ok().and_then(|query| query.dock).flatten();
    let dock = path::lookup(dock, |id| context.store.dock(id));
    let (asker, dock) = auth::authenticate_asker(context, request, dock).await?;
    let query = query?;
    let jobs = match &asker {
        Asker::Account(caller, _) => {
            if query.dock.is_none() {
                return Err(Error::Invalid(vec![FieldError::new("dockId", "is required with an API key")]));
            }
            let dock = dock.filter(|dock| dock.account == caller.account);
            let dock = dock.ok_or(Error::NotFound(Resource::Dock))?.id;
            match query.recipient {
                None => Some(JobList::OfDock(dock)),
                Some(recipient) => recipient.map(|recipient| JobList::For(dock, recipient)),
            }
        }
        Asker::Recipient(institution) => {
            let token = &institution.token;
            if query.dock.is_some_and(|dock| dock != Some(token.dock)) {
                return Err(Error::NotFound(Resource::Dock));
            }
            let is_own = query.recipient.is_none_or(|recipient| recipient == Some(token.recipient));
            is_own.then_some(JobList::OfRecipient(token.recipient))
        }
    };
    let Some(jobs) = jobs else { return response::list(&[(); 0], None) };
    let page = context.store.jobs(jobs, query.status, &query.page, context.now()).await?;
    let next = page.next.map(|last| list::next_url(&query.path, &query.path, query.page.limit, &last));
    let jobs: Vec<JobOutput> = page.items.iter().map(JobOutput::from).collect();
    response::list(&jobs, next.as_deref())
}
