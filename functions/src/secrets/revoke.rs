//! `POST /v1/recipients/{recipientId}/secrets/{secretId}/revoke`: revokes a secret. Once it has returned, the secret no
//! longer verifies. An expired secret can be revoked too.
//!
//! Takes no body.
//!
//! Two round trips to DynamoDB: reads the key and the secret with its recipient's pointer at once, then writes the
//! revocation.

use docyard_core::context::Context;
use docyard_core::model::secret::{Retirement, Secret};
use docyard_core::store::TransitionRefused;
use lambda_http::Request;
use lambda_http::http::Response;

use super::find;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{body, response};
use crate::metrics;
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "revoke-secret": Post "/v1/recipients/{recipientId}/secrets/{secretId}/revoke",
    description: "Revoke a secret",
    memory: 128,
    credentials: [ApiKey],
    grants: [
        GetItem on [Key, Recipient],
        BatchGetItem on [Recipient],
        DeleteItem on [Recipient],
        PutItem on [Recipient],
    ],
};

const REVOKED: &str = "This secret was revoked already";

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("From then on it no longer verifies. An expired secret can be revoked too.")
        .success("It is revoked")
        .not_found(Resource::Secret, "No such secret in the key's account")
        .conflict("It was rotated or revoked; the message says which", REVOKED)
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (_, found) = find(context, request).await?;
    body::read_empty(request)?;
    let retired = match found.ok_or(Error::NotFound(Resource::Secret))? {
        (_, Secret::Active(secret)) => secret.revoke(context.now()),
        (_, Secret::Retired(retired)) => return Err(refusal(retired.retirement)),
    };
    match context.store.revoke_secret(&retired).await? {
        Ok(()) => {
            metrics::count(metrics::SECRETS_REVOKED);
            response::success()
        }
        Err(TransitionRefused::Retired(retirement)) => Err(refusal(retirement)),
        Err(TransitionRefused::Gone) => Err(Error::NotFound(Resource::Secret)),
    }
}

fn refusal(retirement: Retirement) -> Error {
    Error::Conflict(match retirement {
        Retirement::Rotated { .. } => {
            "This secret was rotated; revoke its replacement, which the list of secrets shows"
        }
        Retirement::Revoked { .. } => REVOKED,
    })
}
