//! `POST /v1/recipients/{recipientId}/secrets/{secretId}/revoke`: withdraws a secret. From the answer on it verifies no
//! more. An expired one can be withdrawn too.
//!
//! Takes no body.
//!
//! Round trips to DynamoDB: two. The key and the secret with its recipient's pointer are read at once, then the step is
//! written.

use docyard_core::context::Context;
use crate::http::error::Error;
use docyard_core::values::id::RecipientId;
use docyard_core::values::id::SecretId;
use docyard_core::model::secret::Retirement;
use docyard_core::model::secret::Secret;
use docyard_core::store::Transition;
use crate::http::auth;
use crate::http::body;
use crate::http::path;
use crate::http::response;
use lambda_http::Request;
use lambda_http::http::{Method, Response};

use crate::metrics;
#[cfg(feature = "openapi")]
use crate::openapi::Operation;
use crate::route::Route;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "revoke-secret",
    method: Method::POST,
    path: "/v1/recipients/{recipientId}/secrets/{secretId}/revoke",
    handle: |context, request| Box::pin(handle(context, request)),
    #[cfg(feature = "openapi")]
    document,
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .describe(
            "Secrets",
            "Revoke a secret",
            "From then on it verifies no more. An expired one can be revoked too.",
        )
        .takes_nothing()
        .succeeds_silently("It is revoked")
        .fails(404, "No such secret in the key's account", "Secret not found")
        .fails(409, "It was rotated or revoked; the message says which", "This secret was revoked already")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let recipient_id = path::id(request, "recipientId", RecipientId::parse);
    let secret_id = path::id(request, "secretId", SecretId::parse);
    let secret =
        path::lookup(recipient_id.zip(secret_id), |(recipient, id)| context.store.secret(recipient, id));
    let (_, secret) = auth::authenticate_and(context, request, secret).await?;
    body::read_nothing(request)?;
    let found = secret.ok_or(Error::NotFound("Secret"))?;
    let retired = match found.secret {
        Secret::Active(secret) => secret.revoke(context.now()),
        Secret::Retired(retired) => return Err(refusal(retired.end)),
    };
    match context.store.revoke_secret(&retired).await? {
        Transition::Done => {
            metrics::count(metrics::SECRETS_REVOKED);
            response::success()
        }
        Transition::Ended(end) => Err(refusal(end)),
        Transition::Gone | Transition::Before(_) => Err(Error::NotFound("Secret")),
    }
}

fn refusal(end: Retirement) -> Error {
    Error::Conflict(match end {
        Retirement::Rotated { .. } => {
            "This secret was rotated; revoke its replacement, which the list of secrets shows"
        }
        Retirement::Revoked { .. } => "This secret was revoked already",
    })
}
