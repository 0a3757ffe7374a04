//! Secrets: the shared passphrases with which a recipient's institution proves itself.

use docyard_core::context::{Caller, Context};
use docyard_core::model::secret::{ActiveSecret, Replacement, Retirement, Secret};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::id::{DockId, RecipientId, SecretId};
use docyard_core::values::text::Text;
use lambda_http::Request;
use serde::Serialize;

use crate::endpoint::Endpoints;
use crate::http::error::Error;
use crate::http::{auth, path};

pub mod generate;
pub mod get;
pub mod list;
pub mod revoke;
pub mod rotate;
pub mod verify;

/// The endpoints of secrets.
pub const ENDPOINTS: Endpoints = Endpoints {
    resource: "Secrets",
    description: "The shared passphrases with which a recipient's institution proves itself",
    list: &[
        &generate::ENDPOINT,
        &list::ENDPOINT,
        &get::ENDPOINT,
        &rotate::ENDPOINT,
        &revoke::ENDPOINT,
        &verify::ENDPOINT,
    ],
};

const TOO_MANY: &str = "This recipient has 100 active secrets; revoke one that is no longer used first";

/// The path of a recipient's secrets.
fn list_url(recipient: RecipientId) -> String {
    format!("/v1/recipients/{recipient}/secrets")
}

/// A secret that a path names, with the recipient and the dock that it belongs to.
struct Found {
    recipient: RecipientId,
    dock: DockId,
    secret: Secret,
}

/// Authenticates the caller and finds the secret that the path names; `None` if the caller's account does not have it.
///
/// # Errors
/// Those of [`auth::authenticate_and`].
async fn find(context: &Context, request: &Request) -> Result<(Caller, Option<Found>), Error> {
    let recipient = path::id::<RecipientId>(request);
    let id = path::id::<SecretId>(request);
    let secret = path::lookup(recipient.zip(id), |(recipient, id)| context.store.secret(recipient, id));
    let (caller, found) = auth::authenticate_and(context, request, secret).await?;
    let found = recipient.zip(found);
    Ok((caller, found.map(|(recipient, found)| Found { recipient, dock: found.dock, secret: found.secret })))
}

/// A secret as the API shows it, without its value.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Secret))]
struct SecretOutput<'a> {
    id: SecretId,
    name: &'a Text,
    status: Status,
    /// When it stops verifying by itself: at its expiry, or at the end of its grace.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    expires_at: Option<Timestamp>,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    rotated_at: Option<Timestamp>,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    revoked_at: Option<Timestamp>,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    rotated_from: Option<SecretId>,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    rotated_to: Option<SecretId>,
    created_at: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = SecretStatus))]
enum Status {
    Active,
    Expired,
    Rotated,
    Revoked,
}

impl<'a> SecretOutput<'a> {
    /// The secret as it is at `now`.
    fn new(secret: &'a Secret, now: Timestamp) -> Self {
        let (secret, retirement) = match secret {
            Secret::Active(secret) => (secret, None),
            Secret::Retired(retired) => (&retired.secret, Some(retired.retirement)),
        };
        let (status, revoked_at, rotated) = match retirement {
            None if secret.is_expired(now) => (Status::Expired, None, None),
            None => (Status::Active, None, None),
            Some(Retirement::Rotated(rotated)) if rotated.is_in_grace(now) => {
                (Status::Active, None, Some(rotated))
            }
            Some(Retirement::Rotated(rotated)) => (Status::Rotated, None, Some(rotated)),
            Some(Retirement::Revoked { at, rotated }) => (Status::Revoked, Some(at), rotated),
        };
        let grace_ends_at = rotated.and_then(|rotated: Replacement| rotated.grace_ends_at);
        Self {
            id: secret.id,
            name: &secret.name,
            status,
            expires_at: grace_ends_at.or(secret.expires_at),
            rotated_at: rotated.map(|rotated| rotated.at),
            revoked_at,
            rotated_from: secret.rotated_from,
            rotated_to: rotated.map(|rotated| rotated.to),
            created_at: secret.created_at,
        }
    }
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
