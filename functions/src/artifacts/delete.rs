//! `DELETE /v1/docks/{dockId}/artifacts/{artifactId}`: deletes an artifact. From then on no list shows it; its content is deleted
//! right behind. Honours `If-Match`.
//!
//! Two round trips to DynamoDB: reads the key and the artifact at once, then deletes it.

use docyard_core::context::Context;
use docyard_core::model::artifact::Artifact;
use lambda_http::Request;
use lambda_http::http::Response;

use super::find;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "delete-artifact": Delete "/v1/docks/{dockId}/artifacts/{artifactId}",
    description: "Delete an artifact",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Artifact, Key],
        PutItem on [Audit, AuditEntity, Cleanup],
        DeleteItem on [Artifact, Artifacts, Content],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("From then on it is gone everywhere. Its content is deleted right behind.")
        .accepts_if_match()
        .success("It is deleted")
        .not_found(Resource::Artifact, "No such artifact in this dock")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, artifact) = find(context, request).await?;
    let if_match = input::read(request, |input| input.if_match())?;
    let artifact = artifact.ok_or(Error::NotFound(Resource::Artifact))?;
    let deleted = artifact.deleted();
    let check = |artifact: &Artifact| if_match.check(artifact.version);
    let entry = || context.entry(caller, deleted.clone());
    if context.store.delete_artifact(artifact, context.now(), check, entry).await? {
        response::success()
    } else {
        Err(Error::NotFound(Resource::Artifact))
    }
}
