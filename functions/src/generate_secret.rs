//! `POST /v1/recipients/{recipientId}/secrets`: generates a secret, a shared passphrase with which the recipient's
//! institution proves itself.
//!
//! Takes `name`, a label, and optionally `expiresInDays`. Gives 201 and the secret's value, which is shown in this one
//! answer and kept nowhere: only its SHA-256 is stored. A recipient with 100 active secrets gets 409; requests that
//! race may pass that limit.
//!
//! Round trips to DynamoDB: two. The key and the recipient with its active secrets are read at once, then the secret
//! is written, on condition that the recipient is still there.

use docyard::body::{self, Fields, string};
use docyard::clock::Timestamp;
use docyard::context::Context;
use docyard::error::Error;
use docyard::id::{RecipientId, SecretId};
use docyard::name::Name;
use docyard::secret::{self, Lifetime, NewSecret, SecretValue};
use docyard::store::SecretCreation;
use docyard::{auth, random, response};
use lambda_http::http::{Method, Response, StatusCode};
use lambda_http::{Request, RequestExt};
use serde::Serialize;

use crate::route::Route;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "generate-secret",
    method: Method::POST,
    path: "/v1/recipients/{recipientId}/secrets",
    handle: |context, request| Box::pin(handle(context, request)),
};

struct Input {
    name: Name,
    lifetime: Lifetime,
}

impl Input {
    fn parse(fields: &mut Fields) -> Option<Self> {
        let name = fields.required("name", string("name", Name::parse));
        let lifetime = fields.optional("expiresInDays", Lifetime::parse);
        Some(Self { name: name?, lifetime: lifetime? })
    }
}

/// A new secret as the API shows it, once.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Output<'a> {
    id: SecretId,
    secret: &'a str,
    name: &'a str,
    expires_at: Option<Timestamp>,
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let key = auth::presented_key(request.headers(), context.mode)?;
    let now = context.now();
    let recipient_id =
        request.path_parameters_ref().and_then(|path| RecipientId::parse(path.first("recipientId")?));
    let recipient = async {
        match recipient_id {
            Some(id) => {
                Ok(context.store.recipient_with_secrets(id, now).await?.map(|recipient| (id, recipient)))
            }
            None => Ok(None),
        }
    };
    let (account, recipient) = tokio::join!(auth::authenticate(context, &key), recipient);
    let account = account?;
    let input = body::read(request, Input::parse)?;
    let (recipient_id, recipient) = recipient?
        .filter(|(_, recipient)| recipient.account == account)
        .ok_or(Error::NotFound("Recipient"))?;
    if recipient.active_secrets >= secret::MAX_ACTIVE {
        return Err(Error::Conflict(
            "This recipient has 100 active secrets; revoke one that is no longer used first",
        ));
    }

    let value = SecretValue::generate(&mut random::system());
    let secret = NewSecret {
        id: SecretId::generate(now, &mut random::system()),
        recipient: recipient_id,
        name: input.name,
        digest: value.digest(),
        lifetime: input.lifetime,
        created_at: now,
    };
    match context.store.create_secret(&secret).await? {
        SecretCreation::NoRecipient => Err(Error::NotFound("Recipient")),
        SecretCreation::Created => {
            let output = Output {
                id: secret.id,
                secret: value.expose(),
                name: secret.name.as_str(),
                expires_at: secret.expires_at(),
            };
            response::json(StatusCode::CREATED, &output)
        }
    }
}
