//! `GET /v1/recipients/{recipientId}/secrets`: lists a recipient's secrets, newest first, page by page; never a value.
//!
//! Two round trips to DynamoDB: reads the key, the recipient's pointer and the active secrets at once, then the retired
//! ones.

use docyard_core::context::Context;
use docyard_core::model::secret::{Retirement, Secret};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::id::{RecipientId, SecretId};
use docyard_core::values::page::Page;
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::Response;
use serde::Serialize;

use super::list_url;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::list::{self, Parameters};
use crate::http::{auth, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-secrets": Get "/v1/recipients/{recipientId}/secrets",
    description: "List secrets",
    memory: 128,
    credentials: [ApiKey],
    grants: [GetItem on [Key, Recipient], Query on [Recipient]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("Those of the recipient, newest first; never a value.")
        .page_of::<Output>("A page of secrets")
        .not_found(Resource::Recipient, "No such recipient in the key's account")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Secret))]
struct Output<'a> {
    id: SecretId,
    name: &'a Text,
    status: Status,
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

impl<'a> Output<'a> {
    fn new(secret: &'a Secret, now: Timestamp) -> Self {
        let (secret, retirement) = match secret {
            Secret::Active(secret) => (secret, None),
            Secret::Retired(retired) => (&retired.secret, Some(retired.retirement)),
        };
        let output = Self {
            id: secret.id,
            name: &secret.name,
            status: if secret.is_expired(now) { Status::Expired } else { Status::Active },
            expires_at: secret.expires_at,
            rotated_at: None,
            revoked_at: None,
            rotated_from: secret.rotated_from,
            rotated_to: None,
            created_at: secret.created_at,
        };
        match retirement {
            None => output,
            Some(Retirement::Rotated { at, to }) => {
                Self { status: Status::Rotated, rotated_at: Some(at), rotated_to: Some(to), ..output }
            }
            Some(Retirement::Revoked { at }) => {
                Self { status: Status::Revoked, revoked_at: Some(at), ..output }
            }
        }
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let recipient_id = path::id::<RecipientId>(request);
    let list = recipient_id.map(list_url).unwrap_or_default();
    let mut parameters = Parameters::of(request);
    let asked = parameters.page(&list, |key| SecretId::parse(key).is_some());
    let asked = parameters.finish(asked);
    let page = async {
        match (recipient_id, &asked) {
            (Some(id), Ok(asked)) => context.store.secrets(id, asked).await,
            _ => Ok(Page::empty()),
        }
    };
    let pointer = path::lookup(recipient_id, |id| context.store.recipient_pointer(id));
    let (_, found) = auth::authenticate_and(context, request, list::beside(pointer, page)).await?;
    let asked = asked?;
    let (_, page) = found.ok_or(Error::NotFound(Resource::Recipient))?;
    let page = page?;
    let now = context.now();
    let secrets: Vec<Output> = page.items.iter().map(|secret| Output::new(secret, now)).collect();
    let next = page.next.map(|last| list::next_url(&list, &list, asked.limit, &last));
    response::list(&secrets, next.as_deref())
}
