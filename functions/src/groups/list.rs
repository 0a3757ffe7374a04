//! `GET /v1/docks/{dockId}/groups`: lists a dock's groups, newest first, page by page.
//!
//! One round trip to DynamoDB: reads the key, the dock and the page at once. A page of more than 100 takes a second one,
//! after key and dock.

use docyard_core::context::Context;
use docyard_core::values::id::{DockId, GroupId};
use docyard_core::values::page::Page;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{GroupOutput, list_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-groups": Get "/v1/docks/{dockId}/groups",
    description: "List groups",
    memory: 128,
    credentials: [ApiKey],
    grants: [GetItem on [Dock, Key], Query on [Groups]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("Those of the dock, newest first.")
        .page_of::<GroupOutput>("A page of groups")
        .not_found(Resource::Dock, "No such dock in the key's account")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock_id = path::id::<DockId>(request);
    let list = dock_id.map(list_url).unwrap_or_default();
    let asked = input::read(request, |input| list::page(input, &list, |key| GroupId::parse(key).is_some()));
    let page = async {
        match (dock_id, &asked) {
            (Some(dock), Ok(asked)) => context.store.groups(dock, asked).await,
            _ => Ok(Page::empty()),
        }
    };
    let limit = asked.as_ref().map_or(1, |asked| asked.limit);
    let dock = path::lookup(dock_id, |id| context.store.dock(id));
    let page = list::authenticate_and_read(context, request, dock, page, limit).await?;
    let asked = asked?;
    let page = page.ok_or(Error::NotFound(Resource::Dock))?;
    let groups: Vec<GroupOutput> = page.items.iter().map(GroupOutput::from).collect();
    let next = page.next.map(|last| list::next_url(&list, &list, asked.limit, &last));
    response::list(&groups, next.as_deref())
}
