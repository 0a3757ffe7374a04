//! `POST /v1/docks/{dockId}/artifacts`: creates an artifact, and says how to upload its content.
//!
//! Takes `filename`, and optionally `metadata`; and of a content `hash` and `size` together, and optionally `contentType`.
//! Returns 201, the artifact, its URL in `Location`, and where content was declared, in `upload` an address of S3 that takes
//! just this content, once, within 15 minutes. The same content with the same filename and metadata is the same artifact: the
//! one that is there is returned, with `isDuplicate`. Accepts an `Idempotency-Key`; a repetition gets a fresh address.
//!
//! Two round trips to DynamoDB: reads the key and the dock at once, then writes the artifact; one more to read the artifact that
//! is the same, or was created before.

use docyard_core::context::Context;
use docyard_core::model::artifact::Artifact;
use docyard_core::model::idempotency::Replay;
use docyard_core::values::id::ArtifactId;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{ArtifactOutput, Declaration, declare, list_url, parse_declared, upload_of};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::idempotency::Attempt;
use crate::http::{auth, idempotency, input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "create-artifact": Post "/v1/docks/{dockId}/artifacts",
    description: "Create an artifact",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Artifact, Dock, Key],
        PutItem on [Artifact, Artifacts, Audit, AuditEntity, Content, Idempotency],
    ],
    needs: [PutObject],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "With `hash` and `size` its content is declared: send it to the address in `upload`, then complete the artifact, \
             within 24 hours. S3 refuses anything else than what was declared, and a second upload. Without them it has \
             metadata alone. The same content with the same filename and metadata is the same artifact.",
        )
        .request_body::<Input>(serde_json::json!({
            "filename": "declaration-page-2025.pdf",
            "metadata": {"document_type": "declaration-page", "lender_id": "LND-4821"},
            "hash": "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "size": 3,
            "contentType": "application/pdf",
        }))
        .accepts_idempotency_key()
        .response::<ArtifactOutput>(201, "The artifact")
        .etag()
        .replayable()
        .location("/v1/docks/dock_01JHMV2B4MP0YHZX6Q3T0V1W2X/artifacts/art_01JHMV9J1VX7FR6EDYAB7C8D9E")
        .link("get-artifact", super::CREATED)
        .link("complete-artifact", super::CREATED)
        .link("update-artifact", super::CREATED)
        .link("delete-artifact", super::CREATED)
        .not_found(Resource::Dock, "No such dock in the key's account")
}

/// The body, for the document.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = CreateArtifact, rename_all = "camelCase")]
#[expect(dead_code, reason = "`parse_declared` reads the body")]
pub(super) struct Input {
    filename: docyard_core::model::artifact::Filename,
    metadata: Option<docyard_core::model::artifact::Metadata>,
    /// The SHA-256 of the content. With `size`.
    hash: Option<docyard_core::values::content_hash::ContentHash>,
    /// The size of the content in bytes. With `hash`.
    #[schema(minimum = 1, maximum = 5_000_000_000_u64)]
    size: Option<u64>,
    /// The media type of the content, `application/octet-stream` unless it is given.
    content_type: Option<docyard_core::model::artifact::MediaType>,
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let now = context.now();
    let dock = path::lookup(path::id(request), |id| context.store.dock(id));
    let (caller, dock) = auth::authenticate_and(context, request, dock).await?;
    let (key, declared) = input::read(request, |input| {
        let key = input.idempotency_key();
        let declared = input.body(|fields| parse_declared(fields, now));
        Ok((key?, declared?))
    })?;
    let dock = dock.ok_or(Error::NotFound(Resource::Dock))?.id;
    let attempt = Attempt::new(key, caller.account, &list_url(dock), request, now);
    respond(context, declare(context, caller, dock, &declared, attempt.request()).await?).await
}

async fn respond(context: &Context, declaration: Declaration) -> Result<Response<String>, Error> {
    match declaration {
        Declaration::Created(artifact) => of_artifact(context, &artifact, false),
        Declaration::Duplicate(artifact) => of_artifact(context, &artifact, true),
        Declaration::Replayed(replay) => {
            let replay = with_address(context, replay).await?;
            idempotency::replay(replay, response::created)
        }
    }
}

/// 201 with an artifact, and how to upload what it waits for.
pub(super) fn of_artifact(
    context: &Context,
    artifact: &Artifact,
    is_duplicate: bool,
) -> Result<Response<String>, Error> {
    let response = output_of(context, artifact, is_duplicate)?.stored()?;
    Ok(response::created_at_version(response, artifact.version))
}

/// An artifact in the answer to a request that creates, and how to upload what it waits for.
pub(super) fn output_of<'a>(
    context: &Context,
    artifact: &'a Artifact,
    is_duplicate: bool,
) -> Result<ArtifactOutput<'a>, Error> {
    let upload = upload_of(context, artifact)?;
    Ok(ArtifactOutput { upload, ..ArtifactOutput::declared(artifact, is_duplicate) })
}

/// The stored response with a fresh address, if its artifact still waits for its content.
async fn with_address(context: &Context, replay: Replay) -> Result<Replay, Error> {
    let Replay::Response(mut stored) = replay else { return Ok(replay) };
    let id = stored.location.as_deref().and_then(|url| ArtifactId::parse(url.rsplit('/').next()?));
    let artifact = path::lookup(id, |id| context.store.artifact(id, context.now())).await?;
    let upload = artifact.map(|artifact| upload_of(context, &artifact)).transpose()?.flatten();
    if let Some((upload, body)) = upload.zip(stored.body.strip_suffix('}')) {
        stored.body = format!("{body},\"upload\":{}}}", response::to_json(&upload)?);
    }
    Ok(Replay::Response(stored))
}
