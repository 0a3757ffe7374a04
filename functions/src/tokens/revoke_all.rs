//! `POST /v1/recipients/{recipientId}/tokens/revoke`: revokes all access tokens of a recipient. Once it has returned, no
//! token that was issued before opens anything. Its secrets and certificates stay as they are.
//!
//! Takes no body.
//!
//! Two round trips to DynamoDB: reads the key and the recipient's pointer at once, then raises its generation of tokens.

use docyard_core::context::Context;
use docyard_core::model::recipient::Recipient;
use docyard_core::store::TokensRevocation;
use docyard_core::values::id::RecipientId;
use lambda_http::Request;
use lambda_http::http::Response;

use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{auth, input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "revoke-recipient-tokens": Post "/v1/recipients/{recipientId}/tokens/revoke",
    description: "Revoke a recipient's access tokens",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Key, Recipient],
        UpdateItem on [Recipient],
        PutItem on [Audit, AuditEntity],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "From then on no token that was issued before opens anything. The recipient's secrets and certificates stay as \
             they are, so it can get new ones.",
        )
        .success("All tokens are revoked")
        .not_found(Resource::Recipient, "No such recipient in the key's account")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let id = path::id::<RecipientId>(request);
    let pointer = path::lookup(id, |id| context.store.recipient_pointer(id));
    let (caller, pointer) = auth::authenticate_and(context, request, pointer).await?;
    input::read(request, |input| input.no_body())?;
    let (id, pointer) = id.zip(pointer).ok_or(Error::NotFound(Resource::Recipient))?;
    let entry = context.entry(caller, Recipient::tokens_revoked(id, pointer.dock));
    match context.store.revoke_tokens(id, &entry).await? {
        TokensRevocation::Revoked => response::success(),
        TokensRevocation::NoRecipient => Err(Error::NotFound(Resource::Recipient)),
    }
}
