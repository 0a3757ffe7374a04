//! `POST /v1/docks/{dockId}/artifacts/batch`: creates up to 100 artifacts, each as by itself.
//!
//! Takes `items`, each of what creating one takes. Returns 200, and in the order of the items an artifact each, or the `error`
//! that it would get by itself. Repeating it is safe for those whose content is declared.
//!
//! Two round trips to DynamoDB for up to 32 items: reads the key and the dock at once, then writes the artifacts at once; as many
//! again for the next, and one more for those that are there already.

use docyard_core::context::Context;
use docyard_core::model::artifact::{Declared, MAX_BATCH};
use docyard_core::store::at_once;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::field_error::ValueErrors;
use docyard_core::values::fields::object;
use docyard_core::values::id::ArtifactBatchId;
use docyard_core::values::json::Json;
use docyard_core::values::random;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};
use serde::Serialize;

use super::create::output_of;
use super::{ArtifactOutput, declare_without_key, parse_declared};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::body::not_an_object;
use crate::http::error::{Error, Resource};
use crate::http::response::ErrorBody;
use crate::http::{auth, input, path, request_id, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "create-artifact-batch": Post "/v1/docks/{dockId}/artifacts/batch",
    description: "Create many artifacts",
    memory: 1024,
    credentials: [ApiKey],
    connections: 2,
    grants: [
        BatchGetItem on [Artifact, Dock, Key],
        PutItem on [Artifact, Artifacts, Audit, AuditEntity, Content],
    ],
    needs: [PutObject],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Up to 100, each as by itself: what is wrong with one concerns that one alone. The answer has them in the order \
             of the items.",
        )
        .batch_request_body::<Input>(serde_json::json!({"items": [{
            "filename": "declaration-page-2025.pdf",
            "metadata": {"document_type": "declaration-page", "lender_id": "LND-4821"},
            "hash": "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "size": 3,
        }]}))
        .response::<Output>(200, "An artifact or an error for each item")
        .not_found(Resource::Dock, "No such dock in the key's account")
}

/// The body, for the document.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = CreateArtifactBatch)]
#[expect(dead_code, reason = "`parse` reads the body")]
struct Input {
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<super::create::Input>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ArtifactBatch))]
struct Output<'a> {
    batch_id: ArtifactBatchId,
    artifacts: Vec<ItemOutput<'a>>,
}

/// What became of an item: the artifact, or an error.
#[derive(Serialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ArtifactBatchItem))]
enum ItemOutput<'a> {
    Artifact(Box<ArtifactOutput<'a>>),
    Error {
        #[cfg_attr(feature = "openapi", schema(value_type = ErrorBody))]
        error: &'a ErrorBody,
    },
}

/// Reads 1 to 100 items, each by itself.
fn items(json: Json) -> Result<Vec<Json>, ValueErrors> {
    match json {
        Json::Array(items) if (1..=MAX_BATCH).contains(&items.len()) => Ok(items),
        _ => Err("must be an array of 1 to 100 objects".into()),
    }
}

fn parse(item: Json, now: Timestamp) -> Result<Declared, Error> {
    if !matches!(item, Json::Object(_)) {
        return Err(not_an_object());
    }
    object(|fields| parse_declared(fields, now))(item).map_err(|errors| Error::Invalid(errors.into()))
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let now = context.now();
    let dock = path::lookup(path::id(request), |id| context.store.dock(id));
    let (caller, dock) = auth::authenticate_and(context, request, dock).await?;
    let items = input::read(request, |input| input.batch_body(|fields| fields.required("items", items)))?;
    let dock = dock.ok_or(Error::NotFound(Resource::Dock))?.id;
    let created = items.into_iter().map(async |item| {
        let created = match parse(item, now) {
            Ok(declared) => declare_without_key(context, caller, dock, &declared).await,
            Err(error) => Err(error),
        };
        Ok::<_, Error>(created.map_err(|error| body_of(error, request)))
    });
    let created = at_once(created).await?;
    let outputs = created.iter().map(|created| {
        Ok(match created {
            Ok((artifact, is_duplicate)) => {
                ItemOutput::Artifact(Box::new(output_of(context, artifact, *is_duplicate)?))
            }
            Err(error) => ItemOutput::Error { error },
        })
    });
    let artifacts = outputs.collect::<Result<_, Error>>()?;
    let batch_id = ArtifactBatchId::generate(now, &mut random::system());
    response::json(StatusCode::OK, &Output { batch_id, artifacts })
}

/// What an item gets that has no artifact. What failed inside is in the log alone.
fn body_of(error: Error, request: &Request) -> ErrorBody {
    if let Some(fault) = error.fault() {
        tracing::warn!("an item of a batch failed: {fault}");
    }
    response::error_body(error, &request_id(request))
}
