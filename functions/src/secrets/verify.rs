//! `POST /v1/recipients/{recipientId}/secrets/verify`: tells whether a value is an active, unexpired secret of the
//! recipient, and which.
//!
//! Takes `secret`, compared as it is. The value is hashed, whatever it is, and its digest compared with that of every
//! active secret in constant time, to the end, so that neither answer nor work tells an unknown value from a rotated,
//! revoked, expired or foreign one.
//!
//! Round trips to DynamoDB: one. The key and the recipient with its active secrets are read at once.

use crate::http::body;
use crate::http::body::Fields;
use crate::http::body::string;
use docyard_core::context::Context;
use docyard_core::values::digest::Digest;
use crate::http::error::Error;
use docyard_core::values::id::RecipientId;
use docyard_core::values::id::SecretId;
use crate::http::auth;
use crate::http::path;
use crate::http::response;
use docyard_core::model::secret;
use lambda_http::Request;
use lambda_http::http::{Method, Response, StatusCode};
use serde::Serialize;

use crate::metrics;
#[cfg(feature = "openapi")]
use crate::openapi::Operation;
use crate::route::Route;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "verify-secret",
    method: Method::POST,
    path: "/v1/recipients/{recipientId}/secrets/verify",
    handle: |context, request| Box::pin(handle(context, request)),
    #[cfg(feature = "openapi")]
    document,
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .describe(
            "Secrets",
            "Verify a secret",
            "Tells whether a value is an active, unexpired secret of this recipient. Whether another one is unknown, \
             rotated, revoked, expired or another recipient's is not told.",
        )
        .takes::<Input>(serde_json::json!({"secret": "dk_sec_7f2a9b4c1e8d3f6a0b5c2d9e4f7a1b8c"}))
        .gives::<Output>(200, "Whether it is valid, and if so which secret it is")
        .fails(404, "No such recipient in the key's account", "Recipient not found")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Verification))]
struct Output {
    valid: bool,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    secret_id: Option<SecretId>,
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = VerifySecret))]
struct Input {
    /// The value, of which only its digest is kept.
    #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1))]
    secret: Digest,
}

impl Input {
    fn parse(fields: &mut Fields) -> Option<Self> {
        let digest =
            |value: &str| if value.is_empty() { Err("must not be empty") } else { Ok(Digest::of(value)) };
        Some(Self { secret: fields.required("secret", string("secret", digest))? })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let recipient_id = path::id(request, "recipientId", RecipientId::parse);
    let recipient = path::lookup(recipient_id, |id| context.store.recipient_with_secrets(id));
    let (_, recipient) = auth::authenticate_and(context, request, recipient).await?;
    let input = body::read(request, Input::parse)?;
    let recipient = recipient.ok_or(Error::NotFound("Recipient"))?;
    let secret_id = secret::verify(&recipient.active, &input.secret, context.now());
    metrics::count(match secret_id {
        Some(_) => metrics::VALID_VERIFICATIONS,
        None => metrics::INVALID_VERIFICATIONS,
    });
    if let Some(id) = secret_id {
        context.log.secret(id);
    }
    response::json(StatusCode::OK, &Output { valid: secret_id.is_some(), secret_id })
}
