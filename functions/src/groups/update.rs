//! `PATCH /v1/docks/{dockId}/groups/{groupId}`: updates a group by JSON Merge Patch (RFC 7396).
//!
//! Takes `name` and `description`, which `null` clears; read-only fields are accepted if they equal the current values.
//! Returns the group. Honours `If-Match`.
//!
//! Two round trips to DynamoDB: reads the key and the group at once, then writes the change; one if nothing changes.

use docyard_core::context::Context;
use docyard_core::model::group::{Group, GroupChanges};
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::text::{LongText, Text};
use lambda_http::Request;
use lambda_http::http::Response;

use super::{GroupOutput, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "update-group": Patch "/v1/docks/{dockId}/groups/{groupId}",
    description: "Update a group",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Groups, Key], PutItem on [Audit, AuditEntity, Groups]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "By JSON Merge Patch (RFC 7396): an absent field stays as it is, `null` clears the description. Read-only \
             fields may be sent as GET returns them.",
        )
        .accepts_if_match()
        .request_body::<Input>(serde_json::json!({"name": "East coast lenders"}))
        .response::<GroupOutput>(200, "The group")
        .etag()
        .not_found(Resource::Group, "No such group in this dock")
}

/// The body, for the document.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = UpdateGroup, rename_all = "camelCase")]
#[expect(dead_code, reason = "`parse` reads the body")]
struct Input {
    #[schema(value_type = Text, required = false)]
    name: Text,
    description: Option<LongText>,
}

fn parse(fields: &mut Fields, group: Option<&Group>) -> Result<GroupChanges, Rejected> {
    let current = group.and_then(|group| response::to_value(&GroupOutput::from(group)));
    let read_only = fields.read_only(&["id", "dockId", "createdAt", "updatedAt"], current.as_ref());
    let name = fields.change("name", string(Text::parse));
    let description = fields.patch("description", string(LongText::parse));
    read_only?;
    Ok(GroupChanges { name: name?, description: description? })
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, group) = find(context, request).await?;
    let now = context.now();
    let read = |current: Option<&Group>| {
        input::read(request, |input| {
            let if_match = input.if_match();
            let changes = input.merge_patch(|fields| parse(fields, current));
            Ok((if_match?, changes?))
        })
    };
    let Some(group) = group else {
        read(None)?;
        return Err(Error::NotFound(Resource::Group));
    };
    let change = |group: Group| -> Result<Group, Error> {
        let (if_match, changes) = read(Some(&group))?;
        if_match.check(group.version)?;
        Ok(changes.apply(group, now))
    };
    let entry = |before: &Group, after: &Group| context.entry(caller, after.updated(before));
    let group = context.store.update_group(group, change, entry).await?;
    let group = group.ok_or(Error::NotFound(Resource::Group))?;
    response::resource(&GroupOutput::from(&group), group.version)
}
