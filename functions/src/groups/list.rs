//! `GET /v1/docks/{dockId}/groups`: lists a dock's groups, newest first, page by page.
//!
//! One round trip to DynamoDB: reads the key, the dock and the page at once. A page of more than 100 takes a second one,
//! after key and dock.

use docyard_core::context::Context;
use docyard_core::values::id::{DockId, GroupId};
use lambda_http::Request;
use lambda_http::http::Response;

use super::{GroupOutput, list_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-groups": Get "/v1/docks/{dockId}/groups",
    description: "List groups",
    memory: 128,
    credentials: [ApiKey],
    connections: 2,
    grants: [BatchGetItem on [Dock, Key], Query on [Groups]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("Those of the dock, newest first.")
        .page_of::<GroupOutput>("A page of groups")
        .not_found(Resource::Dock, "No such dock in the key's account")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::id::<DockId>(request);
    let is_key = |key: &str| GroupId::parse(key).is_some();
    let owner = path::lookup(dock, |id| context.store.dock(id));
    let read = |id, asked| async move { context.store.groups(id, &asked).await };
    let page = list::of_owner(context, request, dock, list_url, is_key, owner, read).await?;
    let (groups, next) = page.ok_or(Error::NotFound(Resource::Dock))?;
    let groups: Vec<GroupOutput> = groups.iter().map(GroupOutput::from).collect();
    response::list(&groups, next.as_deref())
}
