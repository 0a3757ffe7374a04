//! `GET /v1/docks/{dockId}`: returns a dock.
//!
//! One round trip to DynamoDB: reads the key and the dock at once.

use docyard_core::context::Context;
use lambda_http::Request;
use lambda_http::http::Response;

use super::DockOutput;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{auth, input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "get-dock": Get "/v1/docks/{dockId}",
    description: "Get a dock",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Dock, Key]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .response::<DockOutput>(200, "The dock")
        .etag()
        .not_found(Resource::Dock, "No such dock in the key's account")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::lookup(path::id(request), |id| context.store.dock(id));
    let (_, dock) = auth::authenticate_and(context, request, dock).await?;
    input::read_none(request)?;
    let dock = dock.ok_or(Error::NotFound(Resource::Dock))?;
    response::resource(&DockOutput::from(&dock), dock.version)
}
