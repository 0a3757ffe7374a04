//! `PATCH /v1/docks/{dockId}`: updates a dock by JSON Merge Patch (RFC 7396).
//!
//! Takes any of `name`, `domain`, `legalName`, `businessType` and `businessEmail`. `null` clears all but the name; `{}`
//! changes nothing. Returns the dock.
//!
//! Two round trips to DynamoDB: reads the key and the dock at once, then writes the change.

use docyard_core::context::Context;
use docyard_core::model::dock::DockChanges;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};

use super::DockOutput;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::body::{Fields, string};
use crate::http::error::{Error, Resource};
use crate::http::{auth, body, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "update-dock": Patch "/v1/docks/{dockId}",
    description: "Update a dock",
    memory: 128,
    credentials: [ApiKey],
    grants: [GetItem on [Dock, Key], PutItem on [Account, Dock]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "By JSON Merge Patch (RFC 7396): an absent field stays as it is, `null` clears it, except the name.",
        )
        .request_body::<DockChanges>(serde_json::json!({"legalName": "First National Bank, N.A."}))
        .response::<DockOutput>(200, "The dock")
        .not_found(Resource::Dock, "No such dock in the key's account")
}

fn parse(fields: &mut Fields) -> Result<DockChanges, Rejected> {
    let name = fields.change("name", string(Text::parse));
    let domain = fields.patch("domain", string(Text::parse));
    let legal_name = fields.patch("legalName", string(Text::parse));
    let business_type = fields.patch("businessType", string(Text::parse));
    let business_email = fields.patch("businessEmail", string(Text::parse));
    Ok(DockChanges {
        name: name?,
        domain: domain?,
        legal_name: legal_name?,
        business_type: business_type?,
        business_email: business_email?,
    })
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::lookup(path::id(request), |id| context.store.versioned_dock(id));
    let (_, dock) = auth::authenticate_and(context, request, dock).await?;
    let changes = body::read_merge_patch(request, parse)?;
    let dock = dock.ok_or(Error::NotFound(Resource::Dock))?;
    let dock = context.store.update_dock(dock, &changes).await?.ok_or(Error::NotFound(Resource::Dock))?;
    response::json(StatusCode::OK, &DockOutput::from(&dock))
}
