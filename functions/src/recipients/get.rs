//! `GET /v1/docks/{dockId}/recipients/{recipientId}`: returns a recipient.
//!
//! Two round trips to DynamoDB: reads the key and the recipient's pointer at once, then the recipient.

use docyard_core::context::Context;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{Found, RecipientOutput, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "get-recipient": Get "/v1/docks/{dockId}/recipients/{recipientId}",
    description: "Get a recipient",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Dock, Key, Recipient]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .response::<RecipientOutput>(200, "The recipient")
        .etag()
        .not_found(Resource::Recipient, "No such recipient in this dock")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (_, found) = find(context, request).await?;
    input::read_none(request)?;
    let Found { id, pointer } = found.ok_or(Error::NotFound(Resource::Recipient))?;
    let recipient = context.store.recipient(id, pointer).await?;
    let recipient = recipient.ok_or(Error::NotFound(Resource::Recipient))?;
    response::resource(&RecipientOutput::from(&recipient), recipient.version)
}
