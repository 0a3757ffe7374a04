//! `GET /v1/docks/{dockId}/artifacts/{artifactId}`: returns an artifact, without its content.
//!
//! One round trip to DynamoDB: reads the key and the artifact at once.

use docyard_core::context::Context;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{ArtifactOutput, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "get-artifact": Get "/v1/docks/{dockId}/artifacts/{artifactId}",
    description: "Get an artifact",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Artifact, Key]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .response::<ArtifactOutput>(200, "The artifact")
        .etag()
        .not_found(Resource::Artifact, "No such artifact in this dock")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (_, artifact) = find(context, request).await?;
    input::read_none(request)?;
    let artifact = artifact.ok_or(Error::NotFound(Resource::Artifact))?;
    response::resource(&ArtifactOutput::from(&artifact), artifact.version)
}
