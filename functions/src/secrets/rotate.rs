//! `POST /v1/recipients/{recipientId}/secrets/{secretId}/rotate`: rotates a secret. The new value starts verifying, and at
//! the same instant or after a grace the old one stops.
//!
//! Takes optionally `graceHours`, for which the old value still verifies, though never beyond its own expiry. Returns 201
//! and the replacement with its value, which no other response shows. It has the same label, and the same lifetime from
//! now on. Of concurrent requests one succeeds and the others get 409. Accepts an `Idempotency-Key`; a repeated request
//! gets 200 without the value.
//!
//! Two round trips to DynamoDB, three with a grace: reads the key and the secret with its recipient's pointer at once, then
//! with a grace the active secrets, of which there will be one more, then writes the rotation.

use docyard_core::context::Context;
use docyard_core::model::idempotency::{Outcome, StoredResponse};
use docyard_core::model::secret::{self, Grace, Retirement, Secret, SecretValue};
use docyard_core::store::RotationRefused;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::Fields;
use docyard_core::values::id::SecretId;
use docyard_core::values::random;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};

use super::{Found, GeneratedSecretOutput, TOO_MANY, find, list_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::idempotency::Attempt;
use crate::http::{idempotency, input, response};
use crate::metrics;
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "rotate-secret": Post "/v1/recipients/{recipientId}/secrets/{secretId}/rotate",
    description: "Rotate a secret",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Idempotency, Key, Recipient],
        Query on [Recipient],
        ConditionCheckItem on [Recipient],
        DeleteItem on [Recipient],
        PutItem on [Audit, AuditEntity, Idempotency, Recipient],
    ],
};

const EXPIRED: &str = "This secret has expired; generate a new one";

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "The new value starts verifying, and the old one stops at the same instant, or after `graceHours`, though never \
             later than its own expiry. The replacement has the same label, and the same lifetime from now on.",
        )
        .optional_request_body::<Input>(serde_json::json!({"graceHours": 24}))
        .accepts_idempotency_key()
        .response::<GeneratedSecretOutput>(200, "A repeated request: the replacement, without its value")
        .replayable()
        .response::<GeneratedSecretOutput>(201, "The replacement and its value")
        .link("rotate-secret", super::CREATED)
        .link("revoke-secret", super::CREATED)
        .not_found(Resource::Secret, "No such secret in the key's account")
        .conflict("It was rotated, was revoked or has expired, or the recipient has 100 active secrets; the message says which", EXPIRED)
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RotateSecret, rename_all = "camelCase"))]
struct Input {
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Grace>))]
    grace_hours: Grace,
}

impl Input {
    fn parse(fields: &mut Fields) -> Result<Self, Rejected> {
        let grace = fields.optional("graceHours", Grace::parse)?;
        Ok(Self { grace_hours: grace.unwrap_or_default() })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, found) = find(context, request).await?;
    let (key, body) = input::read(request, |input| {
        let key = input.idempotency_key();
        let body = input.optional_body(Input::parse);
        Ok((key?, body?))
    })?;
    let Found { recipient, dock, secret } = found.ok_or(Error::NotFound(Resource::Secret))?;
    let now = context.now();
    let path = format!("{}/{}/rotate", list_url(recipient), secret.id());
    let attempt = Attempt::new(key, caller.account, &path, request, now);

    let value = SecretValue::generate(&mut random::system());
    // In its grace the old secret is active beside the new one, so there is one more.
    let is_full = !body.grace_hours.is_none() && {
        let recipient = context.store.recipient_with_secrets(recipient).await?;
        recipient.is_some_and(|recipient| secret::is_full(&recipient.active, now))
    };
    let rotation = match secret {
        Secret::Active(_) if is_full => Err(Error::Conflict(TOO_MANY)),
        Secret::Retired(retired) => Err(refusal(retired.retirement)),
        Secret::Active(secret) => secret
            .rotate(SecretId::generate(now, &mut random::system()), value.digest(), body.grace_hours, now)
            .map_err(|_expired| Error::Conflict(EXPIRED)),
    };
    let rotation = match rotation {
        Ok(rotation) => rotation,
        // This very request may have retired it.
        Err(refusal) => {
            return match context.store.stored_response(attempt.request()).await? {
                Some(replay) => idempotency::replay(replay, response::without_value),
                None => Err(refusal),
            };
        }
    };
    let stored = StoredResponse {
        body: response::to_json(&GeneratedSecretOutput::new(&rotation.new, None))?,
        location: None,
    };
    let entry = context.entry(caller, rotation.rotated(dock));
    match context.store.rotate_secret(&rotation, &entry, attempt.storing(&stored)).await? {
        Outcome::Done => {
            metrics::count(metrics::SECRETS_ROTATED);
            context.record.add_id(rotation.new.id);
            response::json(
                StatusCode::CREATED,
                &GeneratedSecretOutput::new(&rotation.new, Some(value.expose())),
            )
        }
        Outcome::Replayed(replay) => idempotency::replay(replay, response::without_value),
        Outcome::Refused(RotationRefused::Retired(retirement)) => Err(refusal(retirement)),
        Outcome::Refused(RotationRefused::Gone) => Err(Error::NotFound(Resource::Secret)),
    }
}

fn refusal(retirement: Retirement) -> Error {
    Error::Conflict(match retirement {
        Retirement::Rotated { .. } => {
            "This secret was rotated already; rotate its replacement, which the list of secrets shows"
        }
        Retirement::Revoked { .. } => "This secret was revoked; generate a new one",
    })
}
