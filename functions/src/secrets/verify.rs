//! `POST /v1/recipients/{recipientId}/secrets/verify`: says whether a value is an active, unexpired secret of the
//! recipient, and which.
//!
//! Takes `secret`, compared as it is. Any value is hashed, and its digest compared with that of every active secret in
//! constant time, so that neither the response nor the work distinguishes an unknown value from a rotated, revoked,
//! expired or foreign one.
//!
//! One round trip to DynamoDB: reads the key and the recipient with its active secrets at once.

use docyard_core::context::Context;
use docyard_core::model::secret;
use docyard_core::values::digest::Digest;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::id::{RecipientId, SecretId};
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};
use serde::Serialize;

use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{auth, input, path, response};
use crate::metrics;
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "verify-secret": Post "/v1/recipients/{recipientId}/secrets/verify",
    description: "Verify a secret",
    memory: 128,
    credentials: [ApiKey],
    connections: 2,
    grants: [BatchGetItem on [Key], Query on [Recipient]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Says whether a value is an active, unexpired secret of this recipient. It does not say whether any other value \
             is unknown, rotated, revoked, expired or another recipient's.",
        )
        .request_body::<Input>(serde_json::json!({"secret": "dk_sec_7f2a9b4c1e8d3f6a0b5c2d9e4f7a1b8c"}))
        .response::<Output>(200, "Whether it is valid, and if so which secret it is")
        .not_found(Resource::Recipient, "No such recipient in the key's account")
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
    /// The value. Only its digest is kept.
    #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1))]
    secret: Digest,
}

impl Input {
    fn parse(fields: &mut Fields) -> Result<Self, Rejected> {
        let digest =
            |value: &str| if value.is_empty() { Err("must not be empty") } else { Ok(Digest::of(value)) };
        Ok(Self { secret: fields.required("secret", string(digest))? })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let recipient =
        path::lookup(path::id::<RecipientId>(request), |id| context.store.recipient_with_secrets(id));
    let (_, recipient) = auth::authenticate_and(context, request, recipient).await?;
    let body = input::read(request, |input| input.body(Input::parse))?;
    let recipient = recipient.ok_or(Error::NotFound(Resource::Recipient))?;
    let verified = secret::verify(&recipient.active, &body.secret, context.now());
    let secret_id = verified.map(|secret| secret.id);
    metrics::count(match secret_id {
        Some(_) => metrics::VALID_VERIFICATIONS,
        None => metrics::INVALID_VERIFICATIONS,
    });
    if let Some(id) = secret_id {
        context.record.add_id(id);
    }
    response::json(StatusCode::OK, &Output { valid: secret_id.is_some(), secret_id })
}
