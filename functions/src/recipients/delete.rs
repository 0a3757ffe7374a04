//! `DELETE /v1/docks/{dockId}/recipients/{recipientId}`: deletes a recipient. Once it has returned, no secret of it verifies, no
//! policy covers it, and the email is free. Its secrets, certificates and memberships, which open nothing without it, are deleted by
//! the worker behind it. Honours `If-Match`.
//!
//! Two round trips to DynamoDB: reads the key and the recipient's pointer at once, then deletes both; with `If-Match` one more between
//! them, for the recipient's version.

use docyard_core::context::Context;
use docyard_core::model::recipient::Recipient;
use docyard_core::store::RecipientDeletion;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{Found, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::if_match::IfMatch;
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "delete-recipient": Delete "/v1/docks/{dockId}/recipients/{recipientId}",
    description: "Delete a recipient",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Dock, Key, Recipient],
        DeleteItem on [Dock, Recipient],
        PutItem on [Audit, AuditEntity, Cleanup],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("From then on none of its secrets verifies, and the email is free.")
        .accepts_if_match()
        .success("It is deleted")
        .not_found(Resource::Recipient, "No such recipient in this dock")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, found) = find(context, request).await?;
    let if_match = input::read(request, |input| input.if_match())?;
    let Found { id, pointer } = found.ok_or(Error::NotFound(Resource::Recipient))?;
    let dock = pointer.dock;
    let entry = || context.entry(caller, Recipient::deleted(id, dock));
    let version = match if_match {
        IfMatch::Any => None,
        IfMatch::Version(version) => Some(version),
        IfMatch::None => return Err(Error::PreconditionFailed),
    };
    let deletion = context.store.delete_recipient(id, pointer, version, context.now(), entry).await?;
    match deletion {
        RecipientDeletion::Deleted => response::success(),
        RecipientDeletion::NoRecipient => Err(Error::NotFound(Resource::Recipient)),
        RecipientDeletion::Changed => Err(Error::PreconditionFailed),
    }
}
