//! `GET /v1/recipients/{recipientId}/secrets`: lists a recipient's secrets, newest first, page by page; never a value.
//!
//! Two round trips to DynamoDB: reads the key, the recipient's pointer and the active secrets at once, then the retired
//! ones. A page of more than 100 takes a third one: key and pointer come first.

use docyard_core::context::Context;
use docyard_core::values::id::{RecipientId, SecretId};
use lambda_http::Request;
use lambda_http::http::Response;

use super::{SecretOutput, list_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-secrets": Get "/v1/recipients/{recipientId}/secrets",
    description: "List secrets",
    memory: 128,
    credentials: [ApiKey],
    connections: 2,
    grants: [BatchGetItem on [Key, Recipient], Query on [Recipient]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("Those of the recipient, newest first; never a value.")
        .page_of::<SecretOutput>("A page of secrets")
        .not_found(Resource::Recipient, "No such recipient in the key's account")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let recipient = path::id::<RecipientId>(request);
    let is_key = |key: &str| SecretId::parse(key).is_some();
    let owner = path::lookup(recipient, |id| context.store.recipient_pointer(id));
    let read = |id, asked| async move { context.store.secrets(id, &asked).await };
    let page = list::of_owner(context, request, recipient, list_url, is_key, owner, read).await?;
    let (secrets, next) = page.ok_or(Error::NotFound(Resource::Recipient))?;
    let now = context.now();
    let secrets: Vec<SecretOutput> = secrets.iter().map(|secret| SecretOutput::new(secret, now)).collect();
    response::list(&secrets, next.as_deref())
}
