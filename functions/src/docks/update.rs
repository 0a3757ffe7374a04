//! `PATCH /v1/docks/{dockId}`: changes a dock, by JSON Merge Patch (RFC 7396).
//!
//! Takes any of `name`, `domain`, `legalName`, `businessType` and `businessEmail`; `null` clears all but the name. `{}`
//! changes nothing.
//!
//! Round trips to DynamoDB: two. The key and the dock are read at once, then the change is written.

use crate::http::body;
use crate::http::body::Fields;
use crate::http::body::string;
use docyard_core::context::Context;
use docyard_core::model::dock::DockChanges;
use crate::http::error::Error;
use docyard_core::values::id::DockId;
use docyard_core::values::text::Text;
use crate::http::auth;
use crate::http::path;
use crate::http::response;
use lambda_http::Request;
use lambda_http::http::{Method, Response, StatusCode};

#[cfg(feature = "openapi")]
use crate::openapi::Operation;
use crate::route::Route;
use crate::wire::DockOutput;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "update-dock",
    method: Method::PATCH,
    path: "/v1/docks/{dockId}",
    handle: |context, request| Box::pin(handle(context, request)),
    #[cfg(feature = "openapi")]
    document,
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .describe(
            "Docks",
            "Change a dock",
            "By JSON Merge Patch (RFC 7396): what is left out stays, `null` clears all but the name.",
        )
        .takes::<DockChanges>(serde_json::json!({"legalName": "First National Bank, N.A."}))
        .gives::<DockOutput>(200, "The dock")
        .fails(404, "No such dock in the key's account", "Dock not found")
}

fn parse(fields: &mut Fields) -> Option<DockChanges> {
    let name = fields.change("name", string("name", Text::parse));
    let mut text = |field| fields.change_or_clear(field, string(field, |text| Text::parse(text).map(Some)));
    let domain = text("domain");
    let legal_name = text("legalName");
    let business_type = text("businessType");
    let business_email = text("businessEmail");
    Some(DockChanges {
        name: name?,
        domain: domain?,
        legal_name: legal_name?,
        business_type: business_type?,
        business_email: business_email?,
    })
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock =
        path::lookup(path::id(request, "dockId", DockId::parse), |id| context.store.versioned_dock(id));
    let (_, dock) = auth::authenticate_and(context, request, dock).await?;
    let changes = body::read_merge_patch(request, parse)?;
    let dock = dock.ok_or(Error::NotFound("Dock"))?;
    let dock = context.store.update_dock(dock, &changes).await?.ok_or(Error::NotFound("Dock"))?;
    response::json(StatusCode::OK, &DockOutput::from(&dock))
}
