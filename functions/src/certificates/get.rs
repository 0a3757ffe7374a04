//! `GET /v1/recipients/{recipientId}/certificates/{certificateId}`: returns a certificate as the list shows it.
//!
//! One round trip to DynamoDB: reads the key and the certificate with its recipient's pointer at once.

use docyard_core::context::Context;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};

use super::{CertificateOutput, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "get-certificate": Get "/v1/recipients/{recipientId}/certificates/{certificateId}",
    description: "Get a certificate",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Key, Recipient]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("As the list shows it.")
        .response::<CertificateOutput>(200, "The certificate")
        .not_found(Resource::Certificate, "No such certificate in the key's account")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (_, found) = find(context, request).await?;
    input::read_none(request)?;
    let found = found.ok_or(Error::NotFound(Resource::Certificate))?;
    response::json(StatusCode::OK, &CertificateOutput::new(&found.certificate, context.now()))
}
