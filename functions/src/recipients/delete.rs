//! `DELETE /v1/docks/{dockId}/recipients/{recipientId}`: deletes a recipient, its secrets and its memberships. Once it
//! has returned, no secret of it verifies, no policy covers it, and the email is free. Honours `If-Match`.
//!
//! An interrupted deletion may leave the recipient with fewer of them or, with `If-Match`, them without a recipient;
//! repeating the request completes it.

use docyard_core::context::Context;
use docyard_core::model::recipient::Recipient;
use docyard_core::store::RecipientDeletion;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{Found, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::if_match::IfMatch;
use crate::http::{input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "delete-recipient": Delete "/v1/docks/{dockId}/recipients/{recipientId}",
    description: "Delete a recipient",
    memory: 128,
    credentials: [ApiKey],
    grants: [
        GetItem on [Dock, Key, Recipient],
        Query on [Recipient],
        BatchWriteItem on [Group, Recipient],
        DeleteItem on [Dock, Recipient],
        PutItem on [Audit, AuditEntity],
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
    let Some(Found { id, pointer }) = found else {
        if let Some(id) = path::id(request) {
            context.store.delete_leftovers(id).await?;
        }
        return Err(Error::NotFound(Resource::Recipient));
    };
    let dock = pointer.dock;
    let entry = || context.entry(caller, Recipient::deleted(id, dock));
    let deletion = match if_match {
        IfMatch::Any => context.store.delete_recipient(id, pointer, entry).await?,
        IfMatch::Version(version) => {
            context.store.delete_recipient_of_version(id, pointer, version, entry).await?
        }
        IfMatch::None => RecipientDeletion::Changed,
    };
    match deletion {
        RecipientDeletion::Deleted => response::success(),
        RecipientDeletion::NoRecipient => Err(Error::NotFound(Resource::Recipient)),
        RecipientDeletion::Changed => Err(Error::PreconditionFailed),
    }
}
