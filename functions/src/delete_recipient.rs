//! `DELETE /v1/docks/{dockId}/recipients/{recipientId}`: removes a recipient and its secrets. From the answer on none of
//! them verifies, and the email is free again.
//!
//! If it is interrupted, a recipient with fewer secrets may be left; repeating the request completes it.

use docyard::context::Context;
use docyard::error::Error;
use docyard::id::{DockId, RecipientId};
use docyard::{auth, path, response};
use lambda_http::Request;
use lambda_http::http::{Method, Response};

use crate::route::Route;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "delete-recipient",
    method: Method::DELETE,
    path: "/v1/docks/{dockId}/recipients/{recipientId}",
    handle: |context, request| Box::pin(handle(context, request)),
};

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::id(request, "dockId", DockId::parse);
    let recipient_id = path::id(request, "recipientId", RecipientId::parse);
    let pointer = path::lookup(recipient_id, |id| context.store.recipient_pointer(id));
    let (_, pointer) = auth::authenticate_and(context, request, pointer).await?;
    let pointer = pointer.filter(|pointer| Some(pointer.dock) == dock);
    let (id, pointer) = recipient_id.zip(pointer).ok_or(Error::NotFound("Recipient"))?;
    if context.store.delete_recipient(id, pointer).await? {
        Ok(response::success())
    } else {
        Err(Error::NotFound("Recipient"))
    }
}
