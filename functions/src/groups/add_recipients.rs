//! `POST /v1/docks/{dockId}/groups/{groupId}/recipients`: adds recipients of the dock to a group. One that is in it already
//! is no error.
//!
//! Takes 1 to 100 `recipientIds`, and returns the group. They are added thirty at a time: an interruption may leave some
//! out, and repeating the request completes it.
//!
//! Three round trips to DynamoDB for up to thirty: reads the key and the group at once, then the groups of each recipient,
//! then writes the memberships.

use std::collections::BTreeSet;

use docyard_core::context::Context;
use docyard_core::model::group::MAX_RECIPIENTS;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::Fields;
use docyard_core::values::id::RecipientId;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{GroupOutput, find, of_members, recipient_ids};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "add-group-recipients": Post "/v1/docks/{dockId}/groups/{groupId}/recipients",
    description: "Add recipients to a group",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Groups, Key],
        Query on [Recipient],
        ConditionCheckItem on [Groups, Recipient],
        PutItem on [Audit, AuditEntity, Group, Recipient],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("One that is in it already is no error. They are added thirty at a time; repeating the request completes it.")
        .request_body::<Input>(serde_json::json!({"recipientIds": ["rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y"]}))
        .response::<GroupOutput>(200, "The group")
        .etag()
        .not_found(Resource::Group, "No such group in this dock, or no such recipient")
        .conflict("A recipient is in 50 groups", super::TOO_MANY_GROUPS)
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = GroupRecipients, rename_all = "camelCase"))]
pub(super) struct Input {
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 100))]
    pub(super) recipient_ids: BTreeSet<RecipientId>,
}

impl Input {
    pub(super) fn parse(fields: &mut Fields) -> Result<Self, Rejected> {
        Ok(Self { recipient_ids: fields.required("recipientIds", recipient_ids(1, MAX_RECIPIENTS))? })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, group) = find(context, request).await?;
    let Input { recipient_ids } = input::read(request, |input| input.body(Input::parse))?;
    let group = group.ok_or(Error::NotFound(Resource::Group))?;
    let entry = |added: &BTreeSet<RecipientId>| context.entry(caller, group.added(added));
    context.store.add_members(&group, &recipient_ids, entry).await?.map_err(of_members)?;
    response::resource(&GroupOutput::from(&group), group.version)
}
