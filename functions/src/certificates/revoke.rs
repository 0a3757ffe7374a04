//! `POST /v1/recipients/{recipientId}/certificates/{certificateId}/revoke`: revokes a certificate. Once it has returned,
//! the certificate proves nothing for this recipient, and every token that is bound to it is dead. One that was revoked
//! stays so; one that has expired can be revoked too.
//!
//! Takes no body.
//!
//! Two round trips to DynamoDB: reads the key and the certificate with its recipient's pointer at once, then writes the
//! revocation.

use docyard_core::context::Context;
use docyard_core::store::CertificateRevocation;
use lambda_http::Request;
use lambda_http::http::Response;

use super::find;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "revoke-certificate": Post "/v1/recipients/{recipientId}/certificates/{certificateId}/revoke",
    description: "Revoke a certificate",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Key, Recipient],
        DeleteItem on [Recipient],
        PutItem on [Audit, AuditEntity, Recipient],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "From then on it proves nothing for this recipient, and every access token that is bound to it is dead. To \
             revoke one again changes nothing. API Gateway checks no revocation list: this is the revocation.",
        )
        .success("It is revoked")
        .not_found(Resource::Certificate, "No such certificate in the key's account")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, found) = find(context, request).await?;
    input::read(request, |input| input.no_body())?;
    let found = found.ok_or(Error::NotFound(Resource::Certificate))?;
    let entry = context.entry(caller, found.certificate.revoked(found.dock));
    match context.store.revoke_certificate(found.certificate, &entry, context.now()).await? {
        CertificateRevocation::Revoked => response::success(),
        CertificateRevocation::Gone => Err(Error::NotFound(Resource::Certificate)),
    }
}
