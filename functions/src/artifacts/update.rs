//! `PATCH /v1/docks/{dockId}/artifacts/{artifactId}`: updates an artifact by JSON Merge Patch (RFC 7396).
//!
//! Takes `filename`, and `metadata`, of which it sets and removes single keys; read-only fields are accepted if they equal the
//! current values. Returns the artifact. New metadata makes it available anew, so that it is delivered to whom it now concerns. If it
//! would be the same document as another one: 409 with that one's `artifactId`. Honours `If-Match`.
//!
//! Two round trips to DynamoDB: reads the key and the artifact at once, then writes the change; one if nothing changes.

use docyard_core::context::Context;
#[cfg(feature = "openapi")]
use docyard_core::model::artifact::MetadataChanges;
use docyard_core::model::artifact::{Artifact, ArtifactChanges, Filename, Metadata};
use docyard_core::store::ArtifactUpdate;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
#[cfg(feature = "openapi")]
use docyard_core::values::id::ArtifactId;
use docyard_core::values::patch::Patch;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{ArtifactOutput, duplicate, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "update-artifact": Patch "/v1/docks/{dockId}/artifacts/{artifactId}",
    description: "Update an artifact",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Artifact, Key],
        PutItem on [Artifact, Artifacts, Audit, AuditEntity, Content],
        DeleteItem on [Artifacts, Content],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "By JSON Merge Patch (RFC 7396): what is absent stays as it is, also a single key of the metadata; `null` removes a \
             key, or all of them. New metadata renews `availableAt`. Read-only fields may be sent as GET returns them.",
        )
        .accepts_if_match()
        .request_body::<Input>(serde_json::json!({"metadata": {"document_type": "endorsement"}}))
        .response::<ArtifactOutput>(200, "The artifact")
        .etag()
        .not_found(Resource::Artifact, "No such artifact in this dock")
        .taken::<ArtifactId>("It would be the same document as another artifact: `artifactId`", super::DUPLICATE)
}

/// The body, for the document.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = UpdateArtifact, rename_all = "camelCase")]
#[expect(dead_code, reason = "`parse` reads the body")]
struct Input {
    #[schema(value_type = Filename, required = false)]
    filename: Filename,
    metadata: Option<MetadataChanges>,
}

const READ_ONLY: &[&str] = &[
    "id",
    "dockId",
    "contentType",
    "size",
    "hash",
    "checksum",
    "status",
    "createdAt",
    "availableAt",
    "updatedAt",
];

fn parse(
    fields: &mut Fields,
    artifact: Option<&Artifact>,
    now: Timestamp,
) -> Result<ArtifactChanges, Rejected> {
    let current = artifact.and_then(|artifact| response::to_value(&ArtifactOutput::from(artifact)));
    let read_only = fields.read_only(READ_ONLY, current.as_ref());
    let filename = fields.change("filename", string(Filename::parse));
    let metadata = artifact.map(|artifact| artifact.metadata.clone()).unwrap_or_default();
    let metadata = fields.patch("metadata", |json| metadata.merged(json, now.latest_date()));
    read_only?;
    let metadata = match metadata? {
        Patch::Keep => None,
        Patch::Clear => Some(Metadata::default()),
        Patch::Set(metadata) => Some(metadata),
    };
    Ok(ArtifactChanges { filename: filename?, metadata })
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, artifact) = find(context, request).await?;
    let now = context.now();
    let read = |current: Option<&Artifact>| {
        input::read(request, |input| {
            let if_match = input.if_match();
            let changes = input.merge_patch(|fields| parse(fields, current, now));
            Ok((if_match?, changes?))
        })
    };
    let Some(artifact) = artifact else {
        read(None)?;
        return Err(Error::NotFound(Resource::Artifact));
    };
    let change = |artifact: Artifact| -> Result<Artifact, Error> {
        let (if_match, changes) = read(Some(&artifact))?;
        if_match.check(artifact.version)?;
        Ok(changes.apply(artifact, now))
    };
    let entry = |before: &Artifact, after: &Artifact| context.entry(caller, after.updated(before));
    match context.store.update_artifact(artifact, now, change, entry).await? {
        ArtifactUpdate::Updated(artifact) => {
            response::resource(&ArtifactOutput::from(&*artifact), artifact.version)
        }
        ArtifactUpdate::NoArtifact => Err(Error::NotFound(Resource::Artifact)),
        ArtifactUpdate::Duplicate(other) => Err(duplicate(other)),
    }
}
