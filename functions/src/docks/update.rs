//! `PATCH /v1/docks/{dockId}`: updates a dock by JSON Merge Patch (RFC 7396).
//!
//! Takes any of `name`, `domain`, `legalName`, `businessType` and `businessEmail`; read-only fields are accepted if they
//! equal the current values. `null` clears all but the name; `{}` changes nothing. Returns the dock. Honours `If-Match`.
//!
//! Two round trips to DynamoDB: reads the key and the dock at once, then writes the change.

use docyard_core::context::Context;
use docyard_core::model::dock::{Dock, DockChanges};
#[cfg(feature = "openapi")]
use docyard_core::values::clock::Timestamp;
use docyard_core::values::domain::Domain;
use docyard_core::values::email::Email;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
#[cfg(feature = "openapi")]
use docyard_core::values::id::DockId;
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::Response;

use super::DockOutput;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{auth, input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "update-dock": Patch "/v1/docks/{dockId}",
    description: "Update a dock",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Dock, Key], PutItem on [Account, Audit, AuditEntity, Dock]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "By JSON Merge Patch (RFC 7396): an absent field stays as it is, `null` clears it, except the name. \
             Read-only fields may be sent as GET returns them.",
        )
        .accepts_if_match()
        .request_body::<Input>(serde_json::json!({"legalName": "First National Bank, N.A."}))
        .response::<DockOutput>(200, "The dock")
        .etag()
        .not_found(Resource::Dock, "No such dock in the key's account")
}

/// The body, for the document.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = UpdateDock, rename_all = "camelCase")]
#[expect(dead_code, reason = "`parse` reads the body")]
struct Input {
    #[schema(value_type = Text, required = false)]
    name: Text,
    domain: Option<Domain>,
    legal_name: Option<Text>,
    business_type: Option<Text>,
    business_email: Option<Email>,
    /// Taken if it is unchanged.
    #[schema(value_type = DockId, required = false)]
    id: DockId,
    /// Taken if it is unchanged.
    #[schema(value_type = Timestamp, required = false)]
    created_at: Timestamp,
}

/// Reads a merge patch of the dock; `None` if there is no such dock.
fn parse(fields: &mut Fields, dock: Option<&Dock>) -> Result<DockChanges, Rejected> {
    let current = dock.and_then(|dock| response::to_value(&DockOutput::from(dock)));
    let read_only = fields.read_only(&["id", "createdAt"], current.as_ref());
    let name = fields.change("name", string(Text::parse));
    let domain = fields.patch("domain", string(Domain::parse));
    let legal_name = fields.patch("legalName", string(Text::parse));
    let business_type = fields.patch("businessType", string(Text::parse));
    let business_email = fields.patch("businessEmail", string(Email::parse));
    read_only?;
    Ok(DockChanges {
        name: name?,
        domain: domain?,
        legal_name: legal_name?,
        business_type: business_type?,
        business_email: business_email?,
    })
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::lookup(path::id(request), |id| context.store.dock(id));
    let (caller, dock) = auth::authenticate_and(context, request, dock).await?;
    let read = |current: Option<&Dock>| {
        input::read(request, |input| {
            let if_match = input.if_match();
            let changes = input.merge_patch(|fields| parse(fields, current));
            Ok((if_match?, changes?))
        })
    };
    let Some(dock) = dock else {
        read(None)?;
        return Err(Error::NotFound(Resource::Dock));
    };
    let change = |dock: Dock| -> Result<Dock, Error> {
        let (if_match, changes) = read(Some(&dock))?;
        if_match.check(dock.version)?;
        Ok(changes.apply(dock))
    };
    let entry = |before: &Dock, after: &Dock| context.entry(caller, after.updated(before));
    let dock =
        context.store.update_dock(dock, change, entry).await?.ok_or(Error::NotFound(Resource::Dock))?;
    response::resource(&DockOutput::from(&dock), dock.version)
}
