//! `GET /v1/docks/{dockId}`: one dock.
//!
//! Round trips to DynamoDB: one. The key and the dock are read at once.

use docyard_core::context::Context;
use crate::http::error::Error;
use docyard_core::values::id::DockId;
use crate::http::auth;
use crate::http::path;
use crate::http::response;
use lambda_http::Request;
use lambda_http::http::{Method, Response, StatusCode};

#[cfg(feature = "openapi")]
use crate::openapi::Operation;
use crate::route::Route;
use crate::wire::DockOutput;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "get-dock",
    method: Method::GET,
    path: "/v1/docks/{dockId}",
    handle: |context, request| Box::pin(handle(context, request)),
    #[cfg(feature = "openapi")]
    document,
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation.describe("Docks", "Show a dock", "").gives::<DockOutput>(200, "The dock").fails(
        404,
        "No such dock in the key's account",
        "Dock not found",
    )
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::lookup(path::id(request, "dockId", DockId::parse), |id| context.store.dock(id));
    let (_, dock) = auth::authenticate_and(context, request, dock).await?;
    let dock = dock.ok_or(Error::NotFound("Dock"))?;
    response::json(StatusCode::OK, &DockOutput::from(&dock))
}
