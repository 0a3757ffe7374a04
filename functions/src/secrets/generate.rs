//! `POST /v1/recipients/{recipientId}/secrets`: generates a secret, a shared passphrase with which the recipient's
//! institution proves itself.
//!
//! Takes `name`, a label, and optionally `expiresInDays`. Gives 201 and the secret's value, which is shown in this one
//! answer and kept nowhere: only its SHA-256 is stored. A recipient with 100 active secrets gets 409; requests that
//! race may pass that limit. With an `Idempotency-Key` the request can be repeated, and gives 200 without the value.
//!
//! Round trips to DynamoDB: two. The key and the recipient with its active secrets are read at once, then the secret
//! is written, on condition that the recipient is still there.

use crate::http::body;
use crate::http::body::Fields;
use crate::http::body::string;
use docyard_core::context::Context;
use crate::http::error::Error;
use docyard_core::values::id::RecipientId;
use docyard_core::values::id::SecretId;
use docyard_core::model::idempotency::StoredResponse;
use crate::http::idempotency::IdempotencyKey;
use docyard_core::values::text::Text;
use docyard_core::model::secret;
use docyard_core::model::secret::ActiveSecret;
use docyard_core::model::secret::Lifetime;
use docyard_core::model::secret::SecretValue;
use docyard_core::store::SecretCreation;
use crate::http::auth;
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
    function: "generate-secret",
    method: Method::POST,
    path: "/v1/recipients/{recipientId}/secrets",
    handle: |context, request| Box::pin(handle(context, request)),
    #[cfg(feature = "openapi")]
    document,
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .describe(
            "Secrets",
            "Generate a secret",
            "Its value is in this one answer and nowhere else: only its SHA-256 is kept. Without `expiresInDays` it never \
             expires.",
        )
        .takes::<Input>(serde_json::json!({"name": "First National Bank — Bulk API Passphrase", "expiresInDays": 90}))
        .is_repeatable()
        .gives::<NewSecretOutput>(200, "The same request came before: the secret that it made, without its value")
        .gives::<NewSecretOutput>(201, "The secret and its value")
        .leads_to("rotate-secret", OF_RECIPIENT, None)
        .leads_to("revoke-secret", OF_RECIPIENT, None)
        .leads_to(
            "verify-secret",
            &[("recipientId", "$request.path.recipientId")],
            Some(serde_json::json!({"secret": "$response.body#/secret"})),
        )
        .fails(404, "No such recipient in the key's account", "Recipient not found")
        .fails(409, "The recipient has 100 active secrets", "This recipient has 100 active secrets; revoke one that is no longer used first")
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = GenerateSecret))]
struct Input {
    name: Text,
    #[cfg_attr(feature = "openapi", schema(rename = "expiresInDays", value_type = Option<Lifetime>))]
    lifetime: Lifetime,
}

impl Input {
    fn parse(fields: &mut Fields) -> Option<Self> {
        let name = fields.required("name", string("name", Text::parse));
        let lifetime = fields.optional("expiresInDays", Lifetime::parse);
        Some(Self { name: name?, lifetime: lifetime? })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let recipient_id = path::id(request, "recipientId", RecipientId::parse);
    let recipient = path::lookup(recipient_id, |id| context.store.recipient_with_secrets(id));
    let (account, recipient) = auth::authenticate_and(context, request, recipient).await?;
    let idempotency_key = IdempotencyKey::read(request.headers())?;
    let input = body::read(request, Input::parse)?;
    let (recipient_id, recipient) = recipient_id.zip(recipient).ok_or(Error::NotFound("Recipient"))?;
    let now = context.now();
    let path = format!("/v1/recipients/{recipient_id}/secrets");
    let repeatable = idempotency_key.map(|key| key.of(account, &path, request.body(), now));
    let active = recipient.active.iter().filter(|secret| !secret.is_expired(now)).count();
    if active >= secret::MAX_ACTIVE {
        // The hundredth may have been this very request.
        return match context.store.first_answer(repeatable.as_ref()).await? {
            Some(first) => Ok(first.without_value()),
            None => Err(Error::Conflict(
                "This recipient has 100 active secrets; revoke one that is no longer used first",
            )),
        };
    }

    let value = SecretValue::generate(&mut random::system());
    let id = SecretId::generate(now, &mut random::system());
    let secret = ActiveSecret::new(id, recipient_id, input.name, value.digest(), input.lifetime, now);
    let answer =
        StoredResponse { body: response::to_json(&NewSecretOutput::new(&secret, None))?, location: None };
    let remembered = repeatable.as_ref().map(|request| (request, &answer));
    match context.store.create_secret(&secret, remembered).await? {
        SecretCreation::Created => {
            metrics::count(metrics::SECRETS_GENERATED);
            context.log.secret(id);
            response::json(StatusCode::CREATED, &NewSecretOutput::new(&secret, Some(value.expose())))
        }
        SecretCreation::Before(first) => Ok(first.without_value()),
        SecretCreation::NoRecipient => Err(Error::NotFound("Recipient")),
    }
}
