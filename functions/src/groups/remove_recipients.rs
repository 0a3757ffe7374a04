//! `DELETE /v1/docks/{dockId}/groups/{groupId}/recipients`: removes recipients from a group. One that is not in it is no
//! error.
//!
//! Takes 1 to 100 `recipientIds` in a body, and returns the group. They are removed thirty at a time: an interruption may
//! leave some in, and repeating the request completes it.
//!
//! Three round trips to DynamoDB for up to thirty: reads the key and the group at once, then the recipients' pointers and
//! memberships, then writes.

use std::collections::BTreeSet;

use docyard_core::context::Context;
use docyard_core::values::id::RecipientId;
use lambda_http::Request;
use lambda_http::http::Response;

use super::add_recipients::Input;
use super::{GroupOutput, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "remove-group-recipients": Delete "/v1/docks/{dockId}/groups/{groupId}/recipients",
    description: "Remove recipients from a group",
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
        .description(
            "One that is not in it is no error. They are removed thirty at a time; repeating the request completes it. A client \
             that sends no body with DELETE removes them one by one.",
        )
        .request_body::<Input>(serde_json::json!({"recipientIds": ["rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y"]}))
        .response::<GroupOutput>(200, "The group")
        .etag()
        .not_found(Resource::Group, "No such group in this dock, or no such recipient")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, group) = find(context, request).await?;
    let Input { recipient_ids } = input::read(request, |input| input.body(Input::parse))?;
    let group = group.ok_or(Error::NotFound(Resource::Group))?;
    let entry = |removed: &BTreeSet<RecipientId>| context.entry(caller, group.removed(removed));
    let removed = context.store.remove_members(&group, &recipient_ids, entry).await?;
    removed.ok_or(Error::NotFound(Resource::Recipient))?;
    response::resource(&GroupOutput::from(&group), group.version)
}
