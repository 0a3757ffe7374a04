//! `DELETE /v1/docks/{dockId}/recipients/{recipientId}`: removes a recipient and its secrets. From the answer on none of
//! them verifies, and the email is free again.
//!
//! If it is interrupted, a recipient with fewer secrets may be left; repeating the request completes it.

use docyard_core::context::Context;
use crate::http::error::Error;
use crate::http::response;
use lambda_http::Request;
use lambda_http::http::{Method, Response};

#[cfg(feature = "openapi")]
use crate::openapi::Operation;
use crate::recipient_in_dock;
use crate::route::Route;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "delete-recipient",
    method: Method::DELETE,
    path: "/v1/docks/{dockId}/recipients/{recipientId}",
    handle: |context, request| Box::pin(handle(context, request)),
    #[cfg(feature = "openapi")]
    document,
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .describe(
            "Recipients",
            "Remove a recipient",
            "From then on none of its secrets verifies, and the email is free.",
        )
        .succeeds_silently("It is removed")
        .fails(404, "No such recipient in this dock", "Recipient not found")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let found = recipient_in_dock::find(context, request).await?;
    let (id, pointer) = found.ok_or(Error::NotFound("Recipient"))?;
    if context.store.delete_recipient(id, pointer).await? {
        response::success()
    } else {
        Err(Error::NotFound("Recipient"))
    }
}
