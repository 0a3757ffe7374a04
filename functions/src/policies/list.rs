//! `GET /v1/docks/{dockId}/policies`: lists a dock's policies, newest first, page by page.
//!
//! One round trip to DynamoDB: reads the key, the dock and the page at once. A page of more than 100 takes a second one,
//! after key and dock.

use docyard_core::context::Context;
use docyard_core::values::id::{DockId, PolicyId};
use lambda_http::Request;
use lambda_http::http::Response;

use super::{PolicyOutput, list_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-policies": Get "/v1/docks/{dockId}/policies",
    description: "List policies",
    memory: 128,
    credentials: [ApiKey],
    connections: 2,
    grants: [BatchGetItem on [Dock, Key], Query on [Policies]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("Those of the dock, newest first.")
        .page_of::<PolicyOutput>("A page of policies")
        .not_found(Resource::Dock, "No such dock in the key's account")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::id::<DockId>(request);
    let is_key = |key: &str| PolicyId::parse(key).is_some();
    let owner = path::lookup(dock, |id| context.store.dock(id));
    let read = |id, asked| async move { context.store.policies(id, &asked).await };
    let page = list::of_owner(context, request, dock, list_url, is_key, owner, read).await?;
    let (policies, next) = page.ok_or(Error::NotFound(Resource::Dock))?;
    let now = context.now();
    let policies: Vec<PolicyOutput> = policies.iter().map(|policy| PolicyOutput::new(policy, now)).collect();
    response::list(&policies, next.as_deref())
}
