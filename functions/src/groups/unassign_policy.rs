//! `POST /v1/docks/{dockId}/groups/{groupId}/unassign-policy`: takes a group out of the audience of a policy. The last one
//! leaves a policy that covers nobody: it never becomes everyone's by that.
//!
//! Takes `policyId`. Unassigning again changes nothing.
//!
//! Two round trips to DynamoDB: reads the key, the group and the policy at once, then writes the policy and what of it
//! decides.

use docyard_core::context::Context;
use docyard_core::model::policy::{Change, Policy};
use lambda_http::Request;
use lambda_http::http::Response;

#[cfg(feature = "openapi")]
use super::AssignmentOutput;
#[cfg(feature = "openapi")]
use super::assign_policy::Input;
use super::assign_policy::{find_both, respond};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::Error;
#[cfg(feature = "openapi")]
use crate::http::error::Resource;
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "unassign-policy": Post "/v1/docks/{dockId}/groups/{groupId}/unassign-policy",
    description: "Unassign a policy from a group",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Groups, Key, Policies], PutItem on [Audit, AuditEntity, Policies]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Takes the group out of the policy's audience, at once. After the last one the policy covers nobody; only an \
             update of its audience makes it everyone's again.",
        )
        .request_body::<Input>(serde_json::json!({"policyId": "pol_01JHMV6F8RT4CN3BAV7Y4Z5A6B"}))
        .response::<AssignmentOutput>(200, "It is unassigned")
        .not_found(Resource::Policy, "No such group or policy in this dock")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, group, policy) = find_both(context, request).await?;
    let change = |policy: Policy| Ok::<Change, Error>(policy.unassign(group.id, context.now()));
    let entry = |before: &Policy, after: &Policy| context.entry(caller, after.unassigned(before, group.id));
    respond(context.store.update_policy(policy, change, entry).await?)
}
