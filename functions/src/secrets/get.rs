//! `GET /v1/recipients/{recipientId}/secrets/{secretId}`: returns a secret as the list shows it; never its value.
//!
//! One round trip to DynamoDB: reads the key and the secret with its recipient's pointer at once.

use docyard_core::context::Context;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};

use super::{Found, SecretOutput, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "get-secret": Get "/v1/recipients/{recipientId}/secrets/{secretId}",
    description: "Get a secret",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Key, Recipient]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("As the list shows it; never its value.")
        .response::<SecretOutput>(200, "The secret")
        .not_found(Resource::Secret, "No such secret in the key's account")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (_, found) = find(context, request).await?;
    input::read_none(request)?;
    let Found { secret, .. } = found.ok_or(Error::NotFound(Resource::Secret))?;
    response::json(StatusCode::OK, &SecretOutput::new(&secret, context.now()))
}
