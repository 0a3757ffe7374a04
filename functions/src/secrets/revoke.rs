//! `POST /v1/recipients/{recipientId}/secrets/{secretId}/revoke`: revokes a secret. Once it has returned, the secret no
//! longer verifies. An expired secret can be revoked too, one that was rotated only in its grace; one that was revoked
//! stays so.
//!
//! Takes no body.
//!
//! Two round trips to DynamoDB: reads the key and the secret with its recipient's pointer at once, then writes the
//! revocation.

use docyard_core::context::Context;
use docyard_core::store::SecretRevocation;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{Found, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
use crate::metrics;
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "revoke-secret": Post "/v1/recipients/{recipientId}/secrets/{secretId}/revoke",
    description: "Revoke a secret",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Key, Recipient],
        DeleteItem on [Recipient],
        PutItem on [Audit, AuditEntity, Recipient],
    ],
};

const ROTATED: &str = "This secret was rotated; revoke its replacement, which the list of secrets shows";

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "From then on it no longer verifies. An expired secret can be revoked too, one that was rotated only in its \
             grace; to revoke one again changes nothing.",
        )
        .success("It is revoked")
        .not_found(Resource::Secret, "No such secret in the key's account")
        .conflict("It was rotated, and its grace, if it had one, is over", ROTATED)
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, found) = find(context, request).await?;
    input::read(request, |input| input.no_body())?;
    let Found { dock, secret, .. } = found.ok_or(Error::NotFound(Resource::Secret))?;
    let revoked = secret.revoked(dock);
    let entry = || context.entry(caller, revoked.clone());
    match context.store.revoke_secret(secret, entry, context.now()).await? {
        SecretRevocation::Revoked => {
            metrics::count(metrics::SECRETS_REVOKED);
            response::success()
        }
        SecretRevocation::Repeated => response::success(),
        SecretRevocation::RotatedAway => Err(Error::Conflict(ROTATED)),
        SecretRevocation::Gone => Err(Error::NotFound(Resource::Secret)),
    }
}
