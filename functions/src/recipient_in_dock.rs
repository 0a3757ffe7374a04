//! The recipient that a path names, for the endpoints at `/v1/docks/{dockId}/recipients/{recipientId}`.

use docyard_core::context::Context;
use crate::http::error::Error;
use docyard_core::values::id::DockId;
use docyard_core::values::id::RecipientId;
use docyard_core::store::RecipientPointer;
use crate::http::auth;
use crate::http::path;
use lambda_http::Request;

/// Authenticates the caller and finds the recipient; `None` if it is not in this dock, or the dock not the caller's.
///
/// # Errors
/// Those of [`auth::authenticate_and`].
pub async fn find(
    context: &Context,
    request: &Request,
) -> Result<Option<(RecipientId, RecipientPointer)>, Error> {
    let dock = path::id(request, "dockId", DockId::parse);
    let id = path::id(request, "recipientId", RecipientId::parse);
    let pointer = path::lookup(id, |id| context.store.recipient_pointer(id));
    let (_, pointer) = auth::authenticate_and(context, request, pointer).await?;
    Ok(id.zip(pointer.filter(|pointer| Some(pointer.dock) == dock)))
}
