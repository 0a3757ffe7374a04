//! `GET /v1/docks/{dockId}/policies/{policyId}/versions`: lists a policy's versions, newest first, page by page.
//!
//! One round trip to DynamoDB: reads the key, the policy and the page at once. A page of more than 100 takes a second one,
//! after key and policy.

use docyard_core::context::Context;
use docyard_core::values::id::{DockId, PolicyId};
use lambda_http::Request;
use lambda_http::http::Response;

use super::{VersionOutput, versions_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-policy-versions": Get "/v1/docks/{dockId}/policies/{policyId}/versions",
    description: "List policy versions",
    memory: 128,
    credentials: [ApiKey],
    connections: 2,
    grants: [BatchGetItem on [Key, Policies], Query on [Policy]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("Those of the policy, newest first.")
        .page_of::<VersionOutput>("A page of versions")
        .not_found(Resource::Policy, "No such policy in this dock")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let ids = path::id::<DockId>(request).zip(path::id::<PolicyId>(request));
    let url = |(dock, policy)| versions_url(dock, policy);
    let is_key = |key: &str| key.parse::<u16>().is_ok_and(|number| number.to_string() == key);
    let owner = path::lookup(ids, |(dock, id)| context.store.policy(dock, id));
    let read = |(_, policy), asked| async move { context.store.policy_versions(policy, &asked).await };
    let page = list::of_owner(context, request, ids, url, is_key, owner, read).await?;
    let ((_, policy), (versions, next)) = ids.zip(page).ok_or(Error::NotFound(Resource::Policy))?;
    let versions: Vec<VersionOutput> =
        versions.iter().map(|version| VersionOutput::new(policy, version)).collect();
    response::list(&versions, next.as_deref())
}
