//! `POST /v1/docks/{dockId}/artifacts/upload`: creates an artifact of a file in one request, for files up to 4 MiB.
//!
//! Takes `multipart/form-data` with a `file`, and optionally `metadata`, a JSON object as text. The media type is what the file's
//! first bytes say, or else what the form says. Returns 201, the artifact, which is available, and its URL in `Location`. The same
//! content with the same filename and metadata is the same artifact, so that repeating it is safe.
//!
//! Three round trips to DynamoDB and one to S3: reads the key and the dock at once, declares the artifact, stores the file, completes
//! the artifact. An interruption leaves one that waits for its content, and repeating the request goes on.

use docyard_core::context::Context;
use docyard_core::model::artifact::{Content, Declared, Filename, MediaType, Metadata, State};
use docyard_core::store::Stored;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::content_hash::ContentHash;
use docyard_core::values::field_error::{FieldError, ValueErrors};
use lambda_http::Request;
use lambda_http::http::Response;

use super::complete::{check_uploaded, complete};
use super::create::of_artifact;
use super::declare_without_key;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::multipart::{self, File, Form};
use crate::http::{auth, input, path};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "upload-artifact": Post "/v1/docks/{dockId}/artifacts/upload",
    description: "Upload an artifact",
    memory: 1024,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Artifact, Dock, Key],
        PutItem on [Artifact, Artifacts, Audit, AuditEntity, Content],
        DeleteItem on [Artifacts],
    ],
    needs: [HeadObject, PutObject],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "A file of up to 4 MiB in one request. Its media type is what its first bytes say, or else what the form says. The same \
             content with the same filename and metadata is the same artifact.",
        )
        .multipart_body::<Input>(serde_json::json!({
            "file": "(the file)", "metadata": "{\"document_type\":\"declaration-page\"}",
        }), "A file of at most 4 MiB", TOO_LARGE)
        .response::<super::ArtifactOutput>(201, "The artifact, which is available")
        .etag()
        .location("/v1/docks/dock_01JHMV2B4MP0YHZX6Q3T0V1W2X/artifacts/art_01JHMV9J1VX7FR6EDYAB7C8D9E")
        .link("get-artifact-content", super::CREATED)
        .not_found(Resource::Dock, "No such dock in the key's account")
}

/// The body, for the document.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = UploadArtifact)]
#[expect(dead_code, reason = "`multipart::read` reads the body")]
struct Input {
    /// The file, with its name.
    #[schema(format = Binary, value_type = String)]
    file: Vec<u8>,
    /// Its metadata: a JSON object as text.
    #[schema(example = "{\"document_type\":\"declaration-page\"}")]
    metadata: Option<String>,
}

const TOO_LARGE: &str = "The file is larger than 4 MiB; create an artifact with its hash and size, and send the content to the address \
                         in upload";

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::lookup(path::id(request), |id| context.store.dock(id));
    let (caller, dock) = auth::authenticate_and(context, request, dock).await?;
    input::read_none(request)?;
    let (declared, file) = parse(multipart::read(request, TOO_LARGE).await?, context.now())?;
    let dock = dock.ok_or(Error::NotFound(Resource::Dock))?.id;
    let (artifact, is_duplicate) = declare_without_key(context, caller, dock, &declared).await?;
    if let State::Pending { content, .. } = &artifact.state {
        match context.objects()?.put(&artifact, content, &file.content).await? {
            Stored::New => {}
            // By a request that was interrupted, or to the address of one that declared it.
            Stored::Before => check_uploaded(context, &artifact).await?,
        }
    }
    let artifact = complete(context, caller, artifact).await?;
    of_artifact(context, &artifact, is_duplicate)
}

/// What the form declares, and the file.
fn parse(form: Form, now: Timestamp) -> Result<(Declared, File), Error> {
    let Form { file, metadata, mut errors } = form;
    let metadata = metadata.map_or(Ok(Metadata::default()), |text| match serde_json::from_slice(&text) {
        Ok(json) => Metadata::parse(json, now.latest_date()),
        Err(_) => Err(ValueErrors::from("must be a JSON object, as text")),
    });
    let metadata = metadata.map_err(|invalid| errors.extend(invalid.of_field("metadata")));
    let file = file.filter(|file| !file.content.is_empty());
    let filename = match &file {
        None => Err("is required, and must not be empty"),
        Some(file) => Filename::parse(file.filename.as_deref().unwrap_or_default()),
    };
    let filename = filename.map_err(|message| {
        let field = if file.is_none() { "file" } else { "file.filename" };
        errors.push(FieldError::new(field, message));
    });
    match (file, filename, metadata) {
        (Some(file), Ok(filename), Ok(metadata)) if errors.is_empty() => {
            let content = Content {
                media_type: media_type(&file),
                size: u64::try_from(file.content.len()).unwrap_or(u64::MAX),
                hash: ContentHash::of(&file.content),
            };
            Ok((Declared { filename, metadata, content: Some(content) }, file))
        }
        _ => Err(Error::Invalid(errors)),
    }
}

/// The media type that the first bytes say, or else the form.
fn media_type(file: &File) -> MediaType {
    let detected = infer::get(&file.content).map(|kind| kind.mime_type());
    let declared = file.media_type.as_deref();
    detected.or(declared).and_then(|text| MediaType::parse(text).ok()).unwrap_or_default()
}
