//! Artifacts: the documents of a dock, each with the metadata by which policies find it.

use docyard_core::context::{Caller, Context};
use docyard_core::model::artifact::{
    Artifact, Content, Declared, Filename, MAX_SIZE, MediaType, Metadata, State, Status,
};
use docyard_core::model::idempotency::{IdempotentRequest, Outcome, Replay, StoredResponse};
use docyard_core::store::{Fault, Upload};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::content_hash::ContentHash;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::id::{ArtifactId, DockId};
use docyard_core::values::json::Json;
use docyard_core::values::random;
use lambda_http::Request;
use serde::{Serialize, Serializer};

use crate::endpoint::Endpoints;
use crate::http::error::{Error, Taken};
use crate::http::{auth, path, response};

pub mod complete;
pub mod create;
pub mod create_batch;
pub mod delete;
pub mod get;
pub mod get_content;
pub mod list;
pub mod update;
pub mod upload;

/// The endpoints of artifacts.
pub const ENDPOINTS: Endpoints = Endpoints {
    resource: "Artifacts",
    description: "The documents of a dock, each with the metadata by which policies find it",
    list: &[
        &create::ENDPOINT,
        &create_batch::ENDPOINT,
        &upload::ENDPOINT,
        &list::ENDPOINT,
        &get::ENDPOINT,
        &get_content::ENDPOINT,
        &complete::ENDPOINT,
        &update::ENDPOINT,
        &delete::ENDPOINT,
    ],
};

/// How often an artifact is declared whose claim another one has that is gone by the time it is read.
const MAX_ATTEMPTS: u32 = 3;

const NO_CONTENT: &str = "The artifact has metadata alone; declare its content when you create it";

/// The path of a dock's artifacts.
fn list_url(dock: DockId) -> String {
    format!("/v1/docks/{dock}/artifacts")
}

/// Authenticates the caller and finds the artifact that the path names; `None` if the dock of the path does not have it or
/// is another account's.
///
/// # Errors
/// Those of [`auth::authenticate_and`].
async fn find(context: &Context, request: &Request) -> Result<(Caller, Option<Artifact>), Error> {
    let dock = path::id::<DockId>(request);
    let id = dock.and(path::id::<ArtifactId>(request));
    let now = context.now();
    let artifact = path::lookup(id, |id| context.store.artifact(id, now));
    let (caller, artifact) = auth::authenticate_and(context, request, artifact).await?;
    Ok((caller, artifact.filter(|artifact| Some(artifact.dock) == dock)))
}

/// Reads what an artifact is declared to be.
fn parse_declared(fields: &mut Fields, now: Timestamp) -> Result<Declared, Rejected> {
    let filename = fields.required("filename", string(Filename::parse));
    let metadata = fields.optional("metadata", |json| Metadata::parse(json, now.latest_date()));
    let hash = fields.optional("hash", string(ContentHash::parse));
    let size = fields.optional("size", size);
    let media_type = fields.optional("contentType", string(MediaType::parse));
    let content = match (hash?, size?, media_type?) {
        (Some(hash), Some(size), media_type) => {
            Some(Content { media_type: media_type.unwrap_or_default(), size, hash })
        }
        (None, None, None) => None,
        (hash, size, _) => {
            for (name, is_missing) in [("hash", hash.is_none()), ("size", size.is_none())] {
                if is_missing {
                    fields.refuse(
                        name,
                        "is required where the content is declared, which hash and size do together",
                    );
                }
            }
            return Err(Rejected);
        }
    };
    Ok(Declared { filename: filename?, metadata: metadata?.unwrap_or_default(), content })
}

fn size(json: Json) -> Result<u64, &'static str> {
    const RULE: &str = "must be an integer from 1 to 5000000000: the size in bytes";
    match json {
        Json::Integer(number) => {
            u64::try_from(number).ok().filter(|size| (1..=MAX_SIZE).contains(size)).ok_or(RULE)
        }
        _ => Err(RULE),
    }
}

/// How the declaration of an artifact ended.
enum Declaration {
    /// It is a new one.
    Created(Artifact),
    /// The dock had the same document already: this one.
    Duplicate(Artifact),
    /// The request was made before.
    Replayed(Replay),
}

/// Creates an artifact of the caller's dock, or finds the one that is the same document.
///
/// # Errors
/// Those of the store.
async fn declare(
    context: &Context,
    caller: Caller,
    dock: DockId,
    declared: &Declared,
    idempotent: Option<&IdempotentRequest>,
) -> Result<Declaration, Error> {
    for _ in 0..MAX_ATTEMPTS {
        let now = context.now();
        let id = ArtifactId::generate(now, &mut random::system());
        let artifact = Artifact::new(id, dock, caller.account, declared.clone(), now);
        let stored = idempotent.map(|_| ArtifactOutput::declared(&artifact, false).stored()).transpose()?;
        let entry = context.entry(caller, artifact.created());
        match context.store.create_artifact(&artifact, &entry, idempotent.zip(stored.as_ref())).await? {
            Outcome::Done => {
                context.record.add_id(artifact.id);
                return Ok(Declaration::Created(artifact));
            }
            Outcome::Replayed(replay) => return Ok(Declaration::Replayed(replay)),
            Outcome::Refused(existing) => {
                if let Some(existing) = context.store.artifact(existing, context.now()).await? {
                    context.record.add_id(existing.id);
                    return Ok(Declaration::Duplicate(existing));
                }
            }
        }
    }
    Err(Error::Unavailable(Fault::new("create artifact: the same document comes and goes")))
}

/// The same for a request without an idempotency key. Says whether the artifact was there already.
///
/// # Errors
/// Those of the store.
async fn declare_without_key(
    context: &Context,
    caller: Caller,
    dock: DockId,
    declared: &Declared,
) -> Result<(Artifact, bool), Error> {
    match declare(context, caller, dock, declared, None).await? {
        Declaration::Created(artifact) => Ok((artifact, false)),
        Declaration::Duplicate(artifact) => Ok((artifact, true)),
        Declaration::Replayed(_) => {
            Err(Error::Internal(Fault::new("create artifact: replayed without a key")))
        }
    }
}

/// How to upload what an artifact waits for; `None` if it waits for nothing.
fn upload_of(context: &Context, artifact: &Artifact) -> Result<Option<UploadOutput>, Error> {
    match &artifact.state {
        State::Pending { content, .. } => {
            Ok(Some(UploadOutput::from(context.objects()?.upload(artifact, content)?)))
        }
        State::Empty | State::Available { .. } => Ok(None),
    }
}

/// Another artifact of the dock is the same document.
fn duplicate(id: ArtifactId) -> Error {
    Error::Taken(Taken { kind: "artifact_exists", message: DUPLICATE, by: id.into() })
}

const DUPLICATE: &str = "Another artifact of this dock has the same content, filename and metadata";

/// An artifact as the API shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Artifact))]
struct ArtifactOutput<'a> {
    id: ArtifactId,
    dock_id: DockId,
    filename: &'a Filename,
    /// `null` where it has metadata alone, as are the next three.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    content_type: Option<&'a MediaType>,
    /// In bytes.
    #[cfg_attr(feature = "openapi", schema(required = true, maximum = 5_000_000_000_u64, example = 245_760))]
    size: Option<u64>,
    /// The SHA-256 of the content.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    hash: Option<ContentHash>,
    /// The same without its prefix.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    checksum: Option<String>,
    metadata: &'a Metadata,
    status: Status,
    /// In the answer to a request that creates: whether the dock had the same document already, which this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = bool, required = false))]
    is_duplicate: Option<bool>,
    created_at: Timestamp,
    /// When its content was complete, or its metadata was changed after that; `null` before.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    available_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Timestamp, required = false))]
    updated_at: Option<Timestamp>,
    /// In the answer to a request that creates, if the artifact waits for its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = UploadOutput, required = false))]
    upload: Option<UploadOutput>,
}

impl<'a> ArtifactOutput<'a> {
    /// The artifact in the answer to a request that creates, without an address for its upload.
    fn declared(artifact: &'a Artifact, is_duplicate: bool) -> Self {
        Self { is_duplicate: Some(is_duplicate), ..Self::from(artifact) }
    }

    /// The response to a request that creates.
    fn stored(&self) -> Result<StoredResponse, Error> {
        let location = format!("{}/{}", list_url(self.dock_id), self.id);
        Ok(StoredResponse { body: response::to_json(self)?, location: Some(location) })
    }
}

impl<'a> From<&'a Artifact> for ArtifactOutput<'a> {
    fn from(artifact: &'a Artifact) -> Self {
        let content = artifact.content();
        Self {
            id: artifact.id,
            dock_id: artifact.dock,
            filename: &artifact.filename,
            content_type: content.map(|content| &content.media_type),
            size: content.map(|content| content.size),
            hash: content.map(|content| content.hash),
            checksum: content.map(|content| content.hash.hex()),
            metadata: &artifact.metadata,
            status: artifact.status(),
            is_duplicate: None,
            created_at: artifact.created_at,
            available_at: artifact.available_at(),
            updated_at: artifact.updated_at,
            upload: None,
        }
    }
}

/// How to upload the content: one request, to S3, with these headers and without an API key.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ArtifactUpload))]
struct UploadOutput {
    #[cfg_attr(feature = "openapi", schema(example = "https://bucket.s3.eu-central-1.amazonaws.com/…"))]
    url: String,
    #[cfg_attr(feature = "openapi", schema(example = "PUT"))]
    method: &'static str,
    #[serde(serialize_with = "as_object")]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, String>))]
    headers: [(&'static str, String); 4],
    /// After that, repeat the request that created the artifact to get another one.
    expires_at: Timestamp,
}

fn as_object<S: Serializer>(headers: &[(&'static str, String); 4], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(headers.iter().map(|(name, value)| (name, value)))
}

impl From<Upload> for UploadOutput {
    fn from(upload: Upload) -> Self {
        Self {
            url: upload.url.expose().to_owned(),
            method: "PUT",
            headers: upload.headers,
            expires_at: upload.expires_at,
        }
    }
}

/// The path parameters of an artifact that was just created.
#[cfg(feature = "openapi")]
const CREATED: &[(&str, &str)] = &[("dockId", "$request.path.dockId"), ("artifactId", "$response.body#/id")];
