//! `GET /v1/docks/{dockId}/recipients/{recipientId}`: one recipient.
//!
//! Round trips to DynamoDB: two. The key and the recipient's pointer are read at once, then the recipient.

use docyard_core::context::Context;
use crate::http::error::Error;
use crate::http::response;
use lambda_http::Request;
use lambda_http::http::{Method, Response, StatusCode};

#[cfg(feature = "openapi")]
use crate::openapi::Operation;
use crate::recipient_in_dock;
use crate::route::Route;
use crate::wire::RecipientOutput;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "get-recipient",
    method: Method::GET,
    path: "/v1/docks/{dockId}/recipients/{recipientId}",
    handle: |context, request| Box::pin(handle(context, request)),
    #[cfg(feature = "openapi")]
    document,
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .describe("Recipients", "Show a recipient", "")
        .gives::<RecipientOutput>(200, "The recipient")
        .fails(404, "No such recipient in this dock", "Recipient not found")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let found = recipient_in_dock::find(context, request).await?;
    let (id, pointer) = found.ok_or(Error::NotFound("Recipient"))?;
    let recipient = context.store.recipient(id, pointer).await?.ok_or(Error::NotFound("Recipient"))?;
    response::json(StatusCode::OK, &RecipientOutput::from(&recipient))
}
