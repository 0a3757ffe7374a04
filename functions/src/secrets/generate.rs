//! `POST /v1/recipients/{recipientId}/secrets`: generates a secret, a shared passphrase with which the recipient's
//! institution proves itself.
//!
//! Takes `name`, a label, and optionally `expiresInDays`. Returns 201 and the secret with its value, which no other
//! response shows: only its SHA-256 is stored. A recipient with 100 active secrets gets 409; concurrent requests may
//! exceed that limit. Accepts an `Idempotency-Key`; a repeated request gets 200 without the value.
//!
//! Two round trips to DynamoDB: reads the key and the recipient with its active secrets at once, then writes the secret
//! on condition that the recipient still exists.

use docyard_core::context::Context;
use docyard_core::model::idempotency::{Outcome, StoredResponse};
use docyard_core::model::secret::{self, ActiveSecret, Lifetime, SecretValue};
use docyard_core::store::NoRecipient;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::id::{RecipientId, SecretId};
use docyard_core::values::random;
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};

use super::{GeneratedSecretOutput, TOO_MANY, list_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::idempotency::Attempt;
use crate::http::{auth, idempotency, input, path, response};
use crate::metrics;
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "generate-secret": Post "/v1/recipients/{recipientId}/secrets",
    description: "Generate a secret",
    memory: 128,
    credentials: [ApiKey],
    connections: 2,
    grants: [
        BatchGetItem on [Idempotency, Key],
        Query on [Recipient],
        ConditionCheckItem on [Recipient],
        PutItem on [Audit, AuditEntity, Idempotency, Recipient],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "This response alone shows the value; the service stores only its SHA-256. Without `expiresInDays` it never expires.",
        )
        .request_body::<Input>(
            serde_json::json!({"name": "First National Bank — Bulk API Passphrase", "expiresInDays": 90}),
        )
        .accepts_idempotency_key()
        .response::<GeneratedSecretOutput>(200, "A repeated request: the secret that the first one created, without its value")
        .replayable()
        .response::<GeneratedSecretOutput>(201, "The secret and its value")
        .link("rotate-secret", super::CREATED)
        .link("revoke-secret", super::CREATED)
        .link("verify-secret", &[("recipientId", "$request.path.recipientId")])
        .link("list-entity-audit-logs", &[("entityType", "secret"), ("entityId", "$response.body#/id")])
        .not_found(Resource::Recipient, "No such recipient in the key's account")
        .conflict("The recipient has 100 active secrets", TOO_MANY)
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = GenerateSecret, rename_all = "camelCase"))]
struct Input {
    name: Text,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Lifetime>))]
    expires_in_days: Lifetime,
}

impl Input {
    fn parse(fields: &mut Fields) -> Result<Self, Rejected> {
        let name = fields.required("name", string(Text::parse));
        let lifetime = fields.optional("expiresInDays", Lifetime::parse);
        Ok(Self { name: name?, expires_in_days: lifetime?.unwrap_or_default() })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let recipient_id = path::id::<RecipientId>(request);
    let recipient = path::lookup(recipient_id, |id| context.store.recipient_with_secrets(id));
    let (caller, recipient) = auth::authenticate_and(context, request, recipient).await?;
    let (key, body) = input::read(request, |input| {
        let key = input.idempotency_key();
        let body = input.body(Input::parse);
        Ok((key?, body?))
    })?;
    let (recipient_id, recipient) =
        recipient_id.zip(recipient).ok_or(Error::NotFound(Resource::Recipient))?;
    let now = context.now();
    let attempt = Attempt::new(key, caller.account, &list_url(recipient_id), request, now);
    if secret::is_full(&recipient.active, now) {
        // The hundredth may have been created by this very request.
        return match context.store.stored_response(attempt.request()).await? {
            Some(replay) => idempotency::replay(replay, response::without_value),
            None => Err(Error::Conflict(TOO_MANY)),
        };
    }

    let value = SecretValue::generate(&mut random::system());
    let id = SecretId::generate(now, &mut random::system());
    let secret = ActiveSecret::new(id, recipient_id, body.name, value.digest(), body.expires_in_days, now);
    let stored = StoredResponse {
        body: response::to_json(&GeneratedSecretOutput::new(&secret, None))?,
        location: None,
    };
    let entry = context.entry(caller, secret.created(recipient.dock));
    match context.store.create_secret(&secret, &entry, attempt.storing(&stored)).await? {
        Outcome::Done => {
            metrics::count(metrics::SECRETS_GENERATED);
            context.record.add_id(id);
            response::json(StatusCode::CREATED, &GeneratedSecretOutput::new(&secret, Some(value.expose())))
        }
        Outcome::Replayed(replay) => idempotency::replay(replay, response::without_value),
        Outcome::Refused(NoRecipient) => Err(Error::NotFound(Resource::Recipient)),
    }
}
