//! `POST /v1/recipients/{recipientId}/secrets/verify`: tells whether a value is an active, unexpired secret of the
//! recipient, and which.
//!
//! Takes `secret`, compared as it is. The value is hashed, whatever it is, and its digest compared with that of every
//! active secret in constant time, to the end, so that neither answer nor work tells an unknown value from a rotated,
//! revoked, expired or foreign one.
//!
//! Round trips to DynamoDB: one. The key and the recipient with its active secrets are read at once.

use docyard::body::{self, string};
use docyard::context::Context;
use docyard::digest::Digest;
use docyard::error::Error;
use docyard::id::{RecipientId, SecretId};
use docyard::{auth, path, response, secret};
use lambda_http::Request;
use lambda_http::http::{Method, Response, StatusCode};
use serde::Serialize;

use crate::metrics;
use crate::route::Route;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "verify-secret",
    method: Method::POST,
    path: "/v1/recipients/{recipientId}/secrets/verify",
    handle: |context, request| Box::pin(handle(context, request)),
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    valid: bool,
    secret_id: Option<SecretId>,
}

/// The digest of a value that is not empty; of the value itself nothing is kept.
fn parse(value: &str) -> Result<Digest, &'static str> {
    if value.is_empty() { Err("must not be empty") } else { Ok(Digest::of(value)) }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let recipient_id = path::id(request, "recipientId", RecipientId::parse);
    let recipient = path::lookup(recipient_id, |id| context.store.recipient_with_secrets(id));
    let (_, recipient) = auth::authenticate_and(context, request, recipient).await?;
    let digest = body::read(request, |fields| fields.required("secret", string("secret", parse)))?;
    let recipient = recipient.ok_or(Error::NotFound("Recipient"))?;
    let secret_id = secret::verify(&recipient.active, &digest, context.now());
    metrics::count(match secret_id {
        Some(_) => metrics::VALID_VERIFICATIONS,
        None => metrics::INVALID_VERIFICATIONS,
    });
    if let Some(id) = secret_id {
        context.log.secret(id);
    }
    response::json(StatusCode::OK, &Output { valid: secret_id.is_some(), secret_id })
}
