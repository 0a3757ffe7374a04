//! `GET /v1/docks/{dockId}/groups/{groupId}`: returns a group, without its recipients.
//!
//! One round trip to DynamoDB: reads the key and the group at once.

use docyard_core::context::Context;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{GroupOutput, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "get-group": Get "/v1/docks/{dockId}/groups/{groupId}",
    description: "Get a group",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Groups, Key]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .response::<GroupOutput>(200, "The group")
        .etag()
        .not_found(Resource::Group, "No such group in this dock")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (_, group) = find(context, request).await?;
    input::read_none(request)?;
    let group = group.ok_or(Error::NotFound(Resource::Group))?;
    response::resource(&GroupOutput::from(&group), group.version)
}
