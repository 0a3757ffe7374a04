//! `GET /v1/docks/{dockId}/artifacts/{artifactId}/content`: returns an address for the download of an artifact's content.
//!
//! An address of S3, good for 60 seconds, and no redirect, which would make clients send their API key on. What it gives is a
//! file to save, of a media type that no browser runs.
//!
//! One round trip to DynamoDB: reads the key and the artifact at once.

use docyard_core::context::Context;
use docyard_core::model::artifact::{MediaType, State};
use docyard_core::values::clock::Timestamp;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};
use serde::Serialize;

use super::find;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "get-artifact-content": Get "/v1/docks/{dockId}/artifacts/{artifactId}/content",
    description: "Get an artifact's content",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Artifact, Key]],
    needs: [GetObject],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "An address of S3 that is good for 60 seconds. Get it without an API key. It answers with a file to save, as \
             `application/octet-stream` unless it is a PDF, a PNG, JPEG, GIF or WebP image, or plain text.",
        )
        .response::<Output>(200, "Where the content is")
        .not_found(Resource::Artifact, "No such artifact in this dock")
        .conflict("The artifact has no content, or its content is not there yet", NOT_AVAILABLE)
}

const NOT_AVAILABLE: &str = "The artifact has no content yet; upload it and complete the artifact first";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ArtifactContent))]
struct Output<'a> {
    #[cfg_attr(feature = "openapi", schema(example = "https://bucket.s3.eu-central-1.amazonaws.com/…"))]
    url: &'a str,
    expires_at: Timestamp,
    content_type: &'a MediaType,
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (_, artifact) = find(context, request).await?;
    input::read_none(request)?;
    let artifact = artifact.ok_or(Error::NotFound(Resource::Artifact))?;
    let State::Available { content, .. } = &artifact.state else {
        return Err(Error::Conflict(NOT_AVAILABLE));
    };
    let download = context.objects()?.download(&artifact, content)?;
    let (url, expires_at) = (download.url.expose(), download.expires_at);
    response::json(StatusCode::OK, &Output { url, expires_at, content_type: &content.media_type })
}
