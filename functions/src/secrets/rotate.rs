//! `POST /v1/recipients/{recipientId}/secrets/{secretId}/rotate`: replaces a secret. At one instant the old value stops
//! and the new one starts.
//!
//! Takes no body. Gives 201 and the replacement with its value, shown this once; it has the same label, and the same
//! lifetime afresh. Of requests that race one wins, and the others get 409. With an `Idempotency-Key` the request can be
//! repeated, and gives 200 without the value.
//!
//! Round trips to DynamoDB: two. The key and the secret with its recipient's pointer are read at once, then the step is
//! written.

use docyard_core::context::Context;
use crate::http::error::Error;
use docyard_core::values::id::RecipientId;
use docyard_core::values::id::SecretId;
use docyard_core::model::idempotency::StoredResponse;
use crate::http::idempotency::IdempotencyKey;
use docyard_core::model::secret::Retirement;
use docyard_core::model::secret::Secret;
use docyard_core::model::secret::SecretValue;
use docyard_core::store::Transition;
use crate::http::auth;
use crate::http::body;
use crate::http::path;
use docyard_core::values::random;
use crate::http::response;
use lambda_http::Request;
use lambda_http::http::{Method, Response, StatusCode};

use crate::metrics;
#[cfg(feature = "openapi")]
use crate::openapi::{OF_RECIPIENT, Operation};
use crate::route::Route;
use crate::wire::NewSecretOutput;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "rotate-secret",
    method: Method::POST,
    path: "/v1/recipients/{recipientId}/secrets/{secretId}/rotate",
    handle: |context, request| Box::pin(handle(context, request)),
    #[cfg(feature = "openapi")]
    document,
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .describe(
            "Secrets",
            "Rotate a secret",
            "At one instant the old value stops and the new one starts. The replacement has the same label, and the same \
             lifetime afresh.",
        )
        .takes_nothing()
        .is_repeatable()
        .gives::<NewSecretOutput>(200, "The same request came before: the replacement, without its value")
        .gives::<NewSecretOutput>(201, "The replacement and its value")
        .leads_to("rotate-secret", OF_RECIPIENT, None)
        .leads_to("revoke-secret", OF_RECIPIENT, None)
        .fails(404, "No such secret in the key's account", "Secret not found")
        .fails(409, "It was rotated, was revoked or has expired; the message says which", "This secret has expired; generate a new one")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let recipient_id = path::id(request, "recipientId", RecipientId::parse);
    let secret_id = path::id(request, "secretId", SecretId::parse);
    let secret =
        path::lookup(recipient_id.zip(secret_id), |(recipient, id)| context.store.secret(recipient, id));
    let (account, secret) = auth::authenticate_and(context, request, secret).await?;
    let idempotency_key = IdempotencyKey::read(request.headers())?;
    body::read_nothing(request)?;
    let (recipient_id, found) = recipient_id.zip(secret).ok_or(Error::NotFound("Secret"))?;
    let secret = found.secret;
    let now = context.now();
    let path = format!("/v1/recipients/{recipient_id}/secrets/{}/rotate", secret.id());
    let repeatable = idempotency_key.map(|key| key.of(account, &path, b"", now));

    let value = SecretValue::generate(&mut random::system());
    let rotation = match secret {
        Secret::Retired(retired) => Err(refusal(retired.end)),
        Secret::Active(secret) => secret
            .rotate(SecretId::generate(now, &mut random::system()), value.digest(), now)
            .map_err(|_expired| Error::Conflict("This secret has expired; generate a new one")),
    };
    let rotation = match rotation {
        Ok(rotation) => rotation,
        // What retired it may have been this very request.
        Err(refusal) => {
            let first = context.store.first_answer(repeatable.as_ref()).await?;
            return first.map(StoredResponse::without_value).ok_or(refusal);
        }
    };
    let answer =
        StoredResponse { body: response::to_json(&NewSecretOutput::new(&rotation.new, None))?, location: None };
    let remembered = repeatable.as_ref().map(|request| (request, &answer));
    match context.store.rotate_secret(&rotation, remembered).await? {
        Transition::Done => {
            metrics::count(metrics::SECRETS_ROTATED);
            response::json(StatusCode::CREATED, &NewSecretOutput::new(&rotation.new, Some(value.expose())))
        }
        Transition::Before(first) => Ok(first.without_value()),
        Transition::Ended(end) => Err(refusal(end)),
        Transition::Gone => Err(Error::NotFound("Secret")),
    }
}

fn refusal(end: Retirement) -> Error {
    Error::Conflict(match end {
        Retirement::Rotated { .. } => {
            "This secret was rotated already; rotate its replacement, which the list of secrets shows"
        }
        Retirement::Revoked { .. } => "This secret was revoked; generate a new one",
    })
}
