//! `GET /v1/docks/{dockId}/artifacts`: lists a dock's artifacts, newest first, page by page.
//!
//! Newest is what became available last, or else was created last. Takes `status`, and `metadataKey` and `metadataValue`
//! together.
//!
//! Two round trips to DynamoDB: reads the key, the dock and those that wait for their content at once, then the others; one with
//! `status`. A page of more than 100 takes one more, after key and dock.

use docyard_core::context::Context;
use docyard_core::model::artifact::{Position, Status};
use docyard_core::model::identifiers::{MAX_VALUE_CHARS, is_key};
use docyard_core::store::ArtifactQuery;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::id::DockId;
use docyard_core::values::page::{Page, PageRequest};
use docyard_core::values::uri::encoded;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{ArtifactOutput, list_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::input::{self, Input};
use crate::http::{list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-artifacts": Get "/v1/docks/{dockId}/artifacts",
    description: "List artifacts",
    memory: 128,
    credentials: [ApiKey],
    connections: 2,
    grants: [BatchGetItem on [Dock, Key], Query on [Artifacts]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Those of the dock, newest first: by `availableAt`, or by `createdAt` where it is `null`. A page may have fewer than \
             its limit: only a missing `Link` ends the list.",
        )
        .query_of::<Status>("status", "Those of this state alone")
        .query("metadataKey", "With `metadataValue`: those alone whose metadata has this key with that value", key_schema())
        .query("metadataValue", "With `metadataKey`", value_schema())
        .page_of::<ArtifactOutput>("A page of artifacts")
        .not_found(Resource::Dock, "No such dock in the key's account")
}

#[cfg(feature = "openapi")]
fn key_schema() -> utoipa::openapi::schema::Object {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.pattern(Some("^[A-Za-z][A-Za-z0-9_-]{0,63}$")).examples(["document_type"]).build()
}

#[cfg(feature = "openapi")]
fn value_schema() -> utoipa::openapi::schema::Object {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.min_length(Some(1)).max_length(Some(MAX_VALUE_CHARS)).examples(["declaration-page"]).build()
}

/// Which artifacts are asked for.
struct Query {
    artifacts: ArtifactQuery,
    page: PageRequest,
    /// The path of the list with its parameters, in one order.
    path: String,
}

impl Query {
    fn parse(input: &mut Input<'_>, dock: Option<DockId>) -> Result<Self, Rejected> {
        let status = input.parameter("status", Status::parse);
        let key = input.parameter("metadataKey", |text| {
            let key = is_key(text).then(|| text.to_owned());
            key.ok_or("must be 1 to 64 of A-Z, a-z, 0-9, _ and -, starting with a letter")
        });
        let value = input.parameter("metadataValue", |text| {
            let value =
                Some(text.trim()).filter(|text| (1..=MAX_VALUE_CHARS).contains(&text.chars().count()));
            value
                .map(str::to_owned)
                .ok_or("must have 1 to 512 characters, not counting white space around it")
        });
        let metadata = match (key, value) {
            (Ok(Some(key)), Ok(Some(value))) => Ok(Some((key, value))),
            (Ok(None), Ok(None)) => Ok(None),
            (Ok(None), Ok(Some(_))) => input.refuse("metadataKey", "is required with metadataValue"),
            (Ok(Some(_)), Ok(None)) => input.refuse("metadataValue", "is required with metadataKey"),
            _ => Err(Rejected),
        };
        let artifacts = match (status, metadata) {
            (Ok(status), Ok(metadata)) => Ok(ArtifactQuery { status, metadata }),
            _ => Err(Rejected),
        };
        let path = artifacts.as_ref().ok().zip(dock).map(|(artifacts, dock)| path_of(dock, artifacts));
        let path = path.unwrap_or_default();
        if artifacts.is_err() {
            // Which list a cursor should be of is not known.
            let _ = input.parameter("cursor", |_| Ok(()));
        }
        let page = list::page(input, &path, |key| Position::parse(key).is_some());
        Ok(Self { artifacts: artifacts?, page: page?, path })
    }
}

/// The path of a list, which is the same however its parameters were written.
fn path_of(dock: DockId, artifacts: &ArtifactQuery) -> String {
    let status = artifacts.status.map(|status| format!("status={}", status.as_str()));
    let metadata = artifacts
        .metadata
        .as_ref()
        .map(|(key, value)| format!("metadataKey={key}&metadataValue={}", encoded(value)));
    let parameters: Vec<String> = status.into_iter().chain(metadata).collect();
    let separator = if parameters.is_empty() { "" } else { "?" };
    format!("{}{separator}{}", list_url(dock), parameters.join("&"))
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let now = context.now();
    let dock = path::id::<DockId>(request);
    let query = input::read(request, |input| Query::parse(input, dock));
    let limit = query.as_ref().map_or(1, |query| query.page.limit);
    let owner = path::lookup(dock, |id| context.store.dock(id));
    let page = async {
        match (dock, &query) {
            (Some(dock), Ok(query)) => {
                context.store.artifacts(dock, &query.artifacts, &query.page, now).await
            }
            _ => Ok(Page::empty()),
        }
    };
    let page = list::authenticate_and_read(context, request, owner, page, limit).await?;
    let query = query?;
    let page = page.ok_or(Error::NotFound(Resource::Dock))?;
    let artifacts: Vec<ArtifactOutput> = page.items.iter().map(ArtifactOutput::from).collect();
    let next = page.next.map(|last| list::next_url(&query.path, &query.path, limit, &last));
    response::list(&artifacts, next.as_deref())
}
