//! `POST /v1/docks/{dockId}/artifacts/{artifactId}/complete`: makes an artifact available whose content was uploaded.
//!
//! Compares size and SHA-256 with what S3 reports. Returns the artifact; again, the same. Takes no body.
//!
//! Two round trips to DynamoDB and one to S3: reads the key and the artifact at once, asks S3, then writes; one to DynamoDB if it
//! is available already.

use docyard_core::context::{Caller, Context};
use docyard_core::model::artifact::{Artifact, State};
use docyard_core::store::ArtifactUpdate;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{ArtifactOutput, NO_CONTENT, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "complete-artifact": Post "/v1/docks/{dockId}/artifacts/{artifactId}/complete",
    description: "Complete an artifact",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Artifact, Key],
        PutItem on [Artifact, Artifacts, Audit, AuditEntity, Content],
        DeleteItem on [Artifacts],
    ],
    needs: [HeadObject],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("Once its content is uploaded: from then on the artifact is available. Completing it again is no error.")
        .response::<ArtifactOutput>(200, "The artifact")
        .etag()
        .not_found(Resource::Artifact, "No such artifact in this dock, or its content did not come within 24 hours")
        .conflict("Nothing was uploaded yet, or the artifact has metadata alone", NOT_UPLOADED)
}

const NOT_UPLOADED: &str =
    "Nothing was uploaded yet; send the content to the address in upload, then repeat the request";
const NOT_DECLARED: &str =
    "What was uploaded is not what was declared; delete the artifact and create it anew";

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, artifact) = find(context, request).await?;
    input::read(request, |input| input.no_body())?;
    let artifact = artifact.ok_or(Error::NotFound(Resource::Artifact))?;
    check_uploaded(context, &artifact).await?;
    let artifact = complete(context, caller, artifact).await?;
    response::resource(&ArtifactOutput::from(&artifact), artifact.version)
}

/// Checks that S3 has what an artifact waits for.
///
/// # Errors
/// [`Error::Conflict`] if it has not.
pub(super) async fn check_uploaded(context: &Context, artifact: &Artifact) -> Result<(), Error> {
    let State::Pending { content, .. } = &artifact.state else { return Ok(()) };
    match context.objects()?.head(artifact).await? {
        None => Err(Error::Conflict(NOT_UPLOADED)),
        Some(object) if object.is(content) => Ok(()),
        Some(_) => Err(Error::Conflict(NOT_DECLARED)),
    }
}

/// Makes an artifact available whose content is there; one that is available already stays as it is.
///
/// # Errors
/// [`Error::Conflict`] for one that has metadata alone.
pub(super) async fn complete(
    context: &Context,
    caller: Caller,
    artifact: Artifact,
) -> Result<Artifact, Error> {
    let now = context.now();
    let change = |artifact: Artifact| match &artifact.state {
        State::Empty => Err(Error::Conflict(NO_CONTENT)),
        State::Pending { .. } if !artifact.exists(now) => Err(Error::NotFound(Resource::Artifact)),
        State::Pending { .. } => Ok(artifact.completed(now).unwrap_or(artifact)),
        State::Available { .. } => Ok(artifact),
    };
    let entry = |before: &Artifact, after: &Artifact| context.entry(caller, after.updated(before));
    match context.store.update_artifact(artifact, now, change, entry).await? {
        ArtifactUpdate::Updated(artifact) => Ok(*artifact),
        ArtifactUpdate::NoArtifact => Err(Error::NotFound(Resource::Artifact)),
        // Its claim is its own.
        ArtifactUpdate::Duplicate(other) => Err(super::duplicate(other)),
    }
}
