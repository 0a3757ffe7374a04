//! `DELETE /v1/docks/{dockId}/policies/{policyId}`: deletes a policy of which nothing is in force or scheduled, and its
//! versions, which the worker deletes behind it and nothing shows any more. Honours `If-Match`.
//!
//! Two round trips to DynamoDB: reads the key and the policy at once, then deletes it.

use docyard_core::context::Context;
use docyard_core::model::policy::Policy;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{find, of_rules};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "delete-policy": Delete "/v1/docks/{dockId}/policies/{policyId}",
    description: "Delete a policy",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Key, Policies],
        DeleteItem on [Policies],
        UpdateItem on [Policies],
        PutItem on [Audit, AuditEntity, Cleanup],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("With all its versions. One that is in force or scheduled must be withdrawn first.")
        .accepts_if_match()
        .success("It is deleted")
        .not_found(Resource::Policy, "No such policy in this dock")
        .conflict("It is in force or scheduled", super::IN_FORCE)
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, policy) = find(context, request).await?;
    let if_match = input::read(request, |input| input.if_match())?;
    let policy = policy.ok_or(Error::NotFound(Resource::Policy))?;
    let deleted = policy.deleted();
    let entry = || context.entry(caller, deleted.clone());
    let check = |policy: &Policy| -> Result<(), Error> {
        if_match.check(policy.version)?;
        policy.check_deletion().map_err(of_rules)
    };
    match context.store.delete_policy(policy, context.now(), check, entry).await? {
        true => response::success(),
        false => Err(Error::NotFound(Resource::Policy)),
    }
}
