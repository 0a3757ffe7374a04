//! `GET /v1/recipients/{recipientId}/secrets`: a recipient's secrets, newest first, page by page; never a value.
//!
//! Round trips to DynamoDB: two. The key, the recipient's pointer and the active secrets are read at once, then the
//! retired ones.

use docyard_core::values::clock::Timestamp;
use docyard_core::context::Context;
use crate::http::error::Error;
use docyard_core::values::id::RecipientId;
use docyard_core::values::id::SecretId;
use crate::http::list;
use docyard_core::values::page::Page;
use crate::http::list::Parameters;
use docyard_core::model::secret::Retirement;
use docyard_core::model::secret::Secret;
use crate::http::auth;
use crate::http::path;
use crate::http::response;
use lambda_http::Request;
use lambda_http::http::{Method, Response};
use serde::Serialize;

#[cfg(feature = "openapi")]
use crate::openapi::Operation;
use crate::route::Route;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "list-secrets",
    method: Method::GET,
    path: "/v1/recipients/{recipientId}/secrets",
    handle: |context, request| Box::pin(handle(context, request)),
    #[cfg(feature = "openapi")]
    document,
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .describe("Secrets", "List the secrets", "Those of the recipient, newest first; never a value.")
        .is_paged()
        .gives_page_of::<Output>("A page of secrets")
        .fails(404, "No such recipient in the key's account", "Recipient not found")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Secret))]
struct Output<'a> {
    id: SecretId,
    #[cfg_attr(feature = "openapi", schema(value_type = docyard_core::values::text::Text))]
    name: &'a str,
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
        let (secret, end) = match secret {
            Secret::Active(secret) => (secret, None),
            Secret::Retired(retired) => (&retired.secret, Some(retired.end)),
        };
        let output = Self {
            id: secret.id,
            name: secret.name.as_str(),
            status: if secret.is_expired(now) { Status::Expired } else { Status::Active },
            expires_at: secret.expires_at,
            rotated_at: None,
            revoked_at: None,
            rotated_from: secret.rotated_from,
            rotated_to: None,
            created_at: secret.created_at,
        };
        match end {
            None => output,
            Some(Retirement::Rotated { at, to }) => {
                Self { status: Status::Rotated, rotated_at: Some(at), rotated_to: Some(to), ..output }
            }
            Some(Retirement::Revoked { at }) => Self { status: Status::Revoked, revoked_at: Some(at), ..output },
        }
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let recipient_id = path::id(request, "recipientId", RecipientId::parse);
    let list = recipient_id.map(|id| format!("/v1/recipients/{id}/secrets")).unwrap_or_default();
    let mut parameters = Parameters::of(request);
    let window = parameters.window(&list, |key| SecretId::parse(key).is_some());
    let window = parameters.finish(window);
    let page = async {
        match (recipient_id, &window) {
            (Some(id), Ok(window)) => context.store.secrets(id, window).await,
            _ => Ok(Page { items: Vec::new(), next: None }),
        }
    };
    let pointer = path::lookup(recipient_id, |id| context.store.recipient_pointer(id));
    let both = async {
        let (pointer, page) = tokio::join!(pointer, page);
        Ok(pointer?.map(|pointer| (pointer, page)))
    };
    let (_, found) = auth::authenticate_and(context, request, both).await?;
    let window = window?;
    let (_, page) = found.ok_or(Error::NotFound("Recipient"))?;
    let page = page?;
    let now = context.now();
    let secrets: Vec<Output> = page.items.iter().map(|secret| Output::new(secret, now)).collect();
    let next = page.next.map(|last| list::next_url(&list, &list, window.limit, &last));
    response::list(&secrets, next.as_deref())
}
