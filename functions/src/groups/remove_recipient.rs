//! `DELETE /v1/docks/{dockId}/groups/{groupId}/recipients/{recipientId}`: removes a recipient from a group.
//!
//! Three round trips to DynamoDB: reads the key and the group at once, then the recipient's pointer and membership, then
//! writes.

use std::collections::BTreeSet;

use docyard_core::context::Context;
use docyard_core::values::id::RecipientId;
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
    "remove-group-recipient": Delete "/v1/docks/{dockId}/groups/{groupId}/recipients/{recipientId}",
    description: "Remove a recipient from a group",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Groups, Key, Recipient],
        DeleteItem on [Group, Recipient],
        PutItem on [Audit, AuditEntity],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .success("It is removed")
        .not_found(Resource::Recipient, "No such group in this dock, or the recipient is not in it")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, group) = find(context, request).await?;
    input::read_none(request)?;
    let group = group.ok_or(Error::NotFound(Resource::Group))?;
    let recipient = path::id::<RecipientId>(request).ok_or(Error::NotFound(Resource::Recipient))?;
    let entry = |removed: &BTreeSet<RecipientId>| context.entry(caller, group.removed(removed));
    match context.store.remove_members(&group, &BTreeSet::from([recipient]), entry).await? {
        Some(1) => response::success(),
        _ => Err(Error::NotFound(Resource::Recipient)),
    }
}
