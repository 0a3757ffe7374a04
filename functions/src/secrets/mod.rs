//! Secrets: the shared passphrases with which a recipient's institution proves itself.

use docyard_core::context::Context;
use docyard_core::model::secret::{ActiveSecret, Secret};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::id::{AccountId, RecipientId, SecretId};
use docyard_core::values::text::Text;
use lambda_http::Request;
use serde::Serialize;

use crate::endpoint::Endpoints;
use crate::http::error::Error;
use crate::http::{auth, path};

pub mod generate;
pub mod list;
pub mod revoke;
pub mod rotate;
pub mod verify;

/// The endpoints of secrets.
pub const ENDPOINTS: Endpoints = Endpoints {
    resource: "Secrets",
    description: "The shared passphrases with which a recipient's institution proves itself",
    list: &[&generate::ENDPOINT, &list::ENDPOINT, &rotate::ENDPOINT, &revoke::ENDPOINT, &verify::ENDPOINT],
};

/// The path of a recipient's secrets.
fn list_url(recipient: RecipientId) -> String {
    format!("/v1/recipients/{recipient}/secrets")
}

/// Authenticates the caller and finds the secret that the path names, with the recipient it belongs to; `None` if the
/// caller's account does not have it.
///
/// # Errors
/// Those of [`auth::authenticate_and`].
async fn find(
    context: &Context,
    request: &Request,
) -> Result<(AccountId, Option<(RecipientId, Secret)>), Error> {
    let recipient = path::id::<RecipientId>(request);
    let id = path::id::<SecretId>(request);
    let secret = path::lookup(recipient.zip(id), |(recipient, id)| context.store.secret(recipient, id));
    let (account, found) = auth::authenticate_and(context, request, secret).await?;
    Ok((account, recipient.zip(found.map(|found| found.secret))))
}

/// A secret that was just created. Its value is shown only once, and is `null` in the response to a repeated request.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = GeneratedSecret))]
struct GeneratedSecretOutput<'a> {
    id: SecretId,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<docyard_core::model::secret::SecretValue>, required = true))]
    secret: Option<&'a str>,
    name: &'a Text,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    expires_at: Option<Timestamp>,
}

impl<'a> GeneratedSecretOutput<'a> {
    /// The secret with its value, or without one.
    fn new(secret: &'a ActiveSecret, value: Option<&'a str>) -> Self {
        Self { id: secret.id, secret: value, name: &secret.name, expires_at: secret.expires_at }
    }
}

/// The path parameters of a secret that was just created.
#[cfg(feature = "openapi")]
const CREATED: &[(&str, &str)] =
    &[("recipientId", "$request.path.recipientId"), ("secretId", "$response.body#/id")];
