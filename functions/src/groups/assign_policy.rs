//! `POST /v1/docks/{dockId}/groups/{groupId}/assign-policy`: adds a group to the audience of a policy. The first assignment
//! turns everyone into that one group.
//!
//! Takes `policyId`. Assigning again changes nothing.
//!
//! Two round trips to DynamoDB: reads the key, the group and the policy at once, then writes the policy and what of it
//! decides.

use docyard_core::context::{Caller, Context};
use docyard_core::model::group::Group;
use docyard_core::model::policy::{Change, Policy};
use docyard_core::store::PolicyRefused;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::id::{DockId, GroupId, PolicyId};
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};

use super::AssignmentOutput;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{auth, input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "assign-policy": Post "/v1/docks/{dockId}/groups/{groupId}/assign-policy",
    description: "Assign a policy to a group",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Groups, Key, Policies],
        ConditionCheckItem on [Groups],
        PutItem on [Audit, AuditEntity, Policies],
    ],
};

const TOO_MANY_GROUPS: &str = "The policy's audience has 20 groups; unassign one first";

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Adds the group to the policy's audience, at once. A policy that was for everyone of its class is from then on \
             for the members of this group alone.",
        )
        .request_body::<Input>(serde_json::json!({"policyId": "pol_01JHMV6F8RT4CN3BAV7Y4Z5A6B"}))
        .response::<AssignmentOutput>(200, "It is assigned")
        .not_found(Resource::Policy, "No such group or policy in this dock")
        .conflict("The policy's audience has 20 groups", TOO_MANY_GROUPS)
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AssignPolicy, rename_all = "camelCase"))]
pub(super) struct Input {
    // `None` if the id is malformed.
    #[cfg_attr(feature = "openapi", schema(value_type = PolicyId))]
    policy_id: Option<PolicyId>,
}

impl Input {
    fn parse(fields: &mut Fields) -> Result<Self, Rejected> {
        Ok(Self { policy_id: fields.required("policyId", string(|text| Ok(PolicyId::parse(text))))? })
    }
}

/// Authenticates the caller and finds the group that the path names and the policy that the body names.
///
/// # Errors
/// 404 if one of them does not exist in the dock, and those of [`auth::authenticate_and`] and the body.
pub(super) async fn find_both(
    context: &Context,
    request: &Request,
) -> Result<(Caller, Group, Policy), Error> {
    let read = input::read(request, |input| input.body(Input::parse));
    let policy_id = read.as_ref().ok().and_then(|body| body.policy_id);
    let ids = path::id::<DockId>(request).zip(path::id::<GroupId>(request));
    let both = path::lookup(ids, |(dock, group)| async move {
        let policy = path::lookup(policy_id, |id| context.store.policy(dock, id));
        let (group, policy) = tokio::try_join!(context.store.group(dock, group), policy)?;
        Ok(group.map(|group| (group, policy)))
    });
    let (caller, found) = auth::authenticate_and(context, request, both).await?;
    read?;
    let (group, policy) = found.ok_or(Error::NotFound(Resource::Group))?;
    Ok((caller, group, policy.ok_or(Error::NotFound(Resource::Policy))?))
}

/// The response to an assignment, or to its end.
///
/// # Errors
/// 404 for what is gone meanwhile.
pub(super) fn respond(updated: Result<Policy, PolicyRefused>) -> Result<Response<String>, Error> {
    match updated {
        Ok(policy) => {
            response::json(StatusCode::OK, &AssignmentOutput { success: true, policy_id: policy.id })
        }
        Err(PolicyRefused::NoGroup) => Err(Error::NotFound(Resource::Group)),
        Err(_) => Err(Error::NotFound(Resource::Policy)),
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, group, policy) = find_both(context, request).await?;
    let change = |policy: Policy| -> Result<Change, Error> {
        policy.assign(group.id, context.now()).map_err(|_| Error::Conflict(TOO_MANY_GROUPS))
    };
    let entry = |before: &Policy, after: &Policy| context.entry(caller, after.assigned(before, group.id));
    respond(context.store.update_policy(policy, change, entry).await?)
}
