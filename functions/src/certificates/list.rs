//! `GET /v1/recipients/{recipientId}/certificates`: lists a recipient's certificates, newest first, page by page.
//! Revoked and expired ones stay for 400 days.
//!
//! One round trip to DynamoDB: reads the key, the recipient's pointer and the certificates at once. A page of more than
//! 100 takes a second one: key and pointer come first.

use docyard_core::context::Context;
use docyard_core::values::id::{CertificateId, RecipientId};
use lambda_http::Request;
use lambda_http::http::Response;

use super::{CertificateOutput, list_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-certificates": Get "/v1/recipients/{recipientId}/certificates",
    description: "List certificates",
    memory: 128,
    credentials: [ApiKey],
    connections: 2,
    grants: [BatchGetItem on [Key, Recipient], Query on [Recipient]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Those of the recipient, newest first. Revoked and expired ones stay in the list for 400 days.",
        )
        .page_of::<CertificateOutput>("A page of certificates")
        .not_found(Resource::Recipient, "No such recipient in the key's account")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let recipient = path::id::<RecipientId>(request);
    let is_key = |key: &str| CertificateId::parse(key).is_some();
    let owner = path::lookup(recipient, |id| context.store.recipient_pointer(id));
    let read = |id, asked| async move { context.store.certificates(id, &asked).await };
    let page = list::of_owner(context, request, recipient, list_url, is_key, owner, read).await?;
    let (certificates, next) = page.ok_or(Error::NotFound(Resource::Recipient))?;
    let now = context.now();
    let certificates: Vec<CertificateOutput> =
        certificates.iter().map(|certificate| CertificateOutput::new(certificate, now)).collect();
    response::list(&certificates, next.as_deref())
}
