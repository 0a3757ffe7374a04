//! `DELETE /v1/docks/{dockId}/groups/{groupId}`: deletes a group. From then on it decides nothing; its recipients stay.
//! Honours `If-Match`.
//!
//! Behind the deletion, the group is taken out of the audiences of policies, which never become everyone's by that. An interruption
//! may leave it in some, where it decides nothing; repeating the request goes on. The worker deletes its memberships.

use docyard_core::context::{Caller, Context};
use docyard_core::model::audit::Event;
use docyard_core::model::group::Group;
use docyard_core::values::id::{DockId, GroupId};
use lambda_http::Request;
use lambda_http::http::Response;

use super::find;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "delete-group": Delete "/v1/docks/{dockId}/groups/{groupId}",
    description: "Delete a group",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Dock, Groups, Key],
        Query on [Policies],
        DeleteItem on [Groups],
        PutItem on [Audit, AuditEntity, Cleanup],
        UpdateItem on [Policies],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "From then on it decides nothing: a policy that it was the last group of covers nobody. Its recipients stay.",
        )
        .accepts_if_match()
        .success("It is deleted")
        .not_found(Resource::Group, "No such group in this dock")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, group) = find(context, request).await?;
    let if_match = input::read(request, |input| input.if_match())?;
    let ids = path::id::<DockId>(request).zip(path::id::<GroupId>(request));
    let Some((dock, id)) = ids else { return Err(Error::NotFound(Resource::Group)) };
    let Some(group) = group else {
        let dock = context.store.dock(dock).await?.filter(|dock| dock.account == caller.account);
        if let Some(dock) = dock {
            unassign(context, caller, dock.id, id).await?;
        }
        return Err(Error::NotFound(Resource::Group));
    };
    let deleted = group.deleted();
    let entry = || context.entry(caller, deleted.clone());
    let check = |group: &Group| if_match.check(group.version);
    let was_there = context.store.delete_group(group, context.now(), check, entry).await?;
    unassign(context, caller, dock, id).await?;
    if was_there { response::success() } else { Err(Error::NotFound(Resource::Group)) }
}

/// Takes a group that this dock of the caller's does not have out of the audiences of policies.
async fn unassign(context: &Context, caller: Caller, dock: DockId, group: GroupId) -> Result<(), Error> {
    let entry = |event: Event| context.entry(caller, event);
    Ok(context.store.unassign_everywhere(dock, group, context.now(), entry).await?)
}
