//! `GET /v1/recipients/{recipientId}/certificates`: lists a recipient's certificates, newest first, page by page.
//! Revoked and expired ones stay for 400 days.
//!
//! One round trip to DynamoDB: reads the key, the recipient's pointer and the certificates at once. A page of more than
//! 100 takes a second one: key and pointer come first.

use docyard_core::context::Context;
use docyard_core::values::id::{CertificateId, RecipientId};
use docyard_core::values::page::Page;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{CertificateOutput, list_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-certificates": Get "/v1/recipients/{recipientId}/certificates",
    description: "List certificates",
    memory: 128,
    credentials: [ApiKey],
    grants: [GetItem on [Key, Recipient], Query on [Recipient]],
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
    let recipient_id = path::id::<RecipientId>(request);
    let list = recipient_id.map(list_url).unwrap_or_default();
    let is_key = |key: &str| CertificateId::parse(key).is_some();
    let asked = input::read(request, |input| list::page(input, &list, is_key));
    let page = async {
        match (recipient_id, &asked) {
            (Some(id), Ok(asked)) => context.store.certificates(id, asked).await,
            _ => Ok(Page::empty()),
        }
    };
    let limit = asked.as_ref().map_or(1, |asked| asked.limit);
    let pointer = path::lookup(recipient_id, |id| context.store.recipient_pointer(id));
    let page = list::authenticate_and_read(context, request, pointer, page, limit).await?;
    let asked = asked?;
    let page = page.ok_or(Error::NotFound(Resource::Recipient))?;
    let now = context.now();
    let certificates: Vec<CertificateOutput> =
        page.items.iter().map(|certificate| CertificateOutput::new(certificate, now)).collect();
    let next = page.next.map(|last| list::next_url(&list, &list, asked.limit, &last));
    response::list(&certificates, next.as_deref())
}
