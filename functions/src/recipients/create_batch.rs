//! `POST /v1/docks/{dockId}/recipients/batch`: creates up to 500 recipients, each as by itself.
//!
//! Takes `recipients`, each of what creating one takes. Returns 200, how many were created, were there already with equal fields, and
//! failed; the recipients; and of those that failed the error that each would get by itself. `dryRun=true` checks, and writes nothing.
//! Repeating it is safe.
//!
//! Two round trips to DynamoDB for up to 32 recipients: reads the key and the dock at once, then writes the recipients at once; as many
//! again for the next, and one more for those that are there already.

use docyard_core::context::Context;
use docyard_core::values::field_error::ValueErrors;
use docyard_core::values::json::Json;
use lambda_http::Request;
use lambda_http::http::Response;

use super::many::{Import, Row, dry_run};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{auth, input, path};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "create-recipient-batch": Post "/v1/docks/{dockId}/recipients/batch",
    description: "Create many recipients",
    memory: 1024,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Dock, Key], PutItem on [Audit, AuditEntity, Dock, Recipient]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    super::many::document(
        operation.description(
            "Up to 500, each as by itself: what is wrong with one concerns that one alone. One that is there already with equal fields \
             is no error, so that a request can be repeated; with other fields it is a 409 with its `recipientId`.",
        ),
    )
    .batch_request_body::<Input>(serde_json::json!({"recipients": [{
        "name": "First National Bank",
        "email": "bulk@firstnational.example",
        "stakeholderClass": "mortgagee",
        "identifiers": {"lender_id": "LND-4821"},
    }]}))
}

/// The most recipients in a request.
const MAX_BATCH: usize = 500;

/// The body, for the document.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = CreateRecipientBatch)]
#[expect(dead_code, reason = "`recipients` reads the body")]
struct Input {
    #[schema(min_items = 1, max_items = 500)]
    recipients: Vec<super::create::Input>,
}

/// Reads 1 to 500 recipients, each by itself.
fn recipients(json: Json) -> Result<Vec<Json>, ValueErrors> {
    match json {
        Json::Array(items) if (1..=MAX_BATCH).contains(&items.len()) => Ok(items),
        _ => Err("must be an array of 1 to 500 objects".into()),
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::lookup(path::id(request), |id| context.store.dock(id));
    let (caller, dock) = auth::authenticate_and(context, request, dock).await?;
    let (is_dry_run, items) = input::read(request, |input| {
        let is_dry_run = dry_run(input);
        let items = input.batch_body(|fields| fields.required("recipients", recipients));
        Ok((is_dry_run?, items?))
    })?;
    let dock = dock.ok_or(Error::NotFound(Resource::Dock))?.id;
    let rows = items.into_iter().enumerate().map(|(number, json)| Row::of_json(number, json)).collect();
    Import::new(context, request, caller, dock, is_dry_run).run(rows).await
}
