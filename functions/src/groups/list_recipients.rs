//! `GET /v1/docks/{dockId}/groups/{groupId}/recipients`: lists the recipients of a group, those registered last first, page
//! by page.
//!
//! Three round trips to DynamoDB: reads the key, the group and the page of ids at once, then where the recipients are, then
//! the recipients. A page of more than 100 takes more: key and group come first, and recipients are read a hundred at a time.

use docyard_core::context::Context;
use docyard_core::model::recipient::Recipient;
use docyard_core::values::email::Email;
use docyard_core::values::id::{DockId, GroupId, RecipientId};
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::Response;
use serde::Serialize;

use super::list_url;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-group-recipients": Get "/v1/docks/{dockId}/groups/{groupId}/recipients",
    description: "List the recipients of a group",
    memory: 128,
    credentials: [ApiKey],
    connections: 2,
    grants: [BatchGetItem on [Dock, Groups, Key, Recipient], Query on [Group]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("Those registered last first.")
        .page_of::<MemberOutput>("A page of recipients")
        .not_found(Resource::Group, "No such group in this dock")
}

/// A recipient of a group.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = GroupRecipient))]
struct MemberOutput<'a> {
    id: RecipientId,
    name: &'a Text,
    email: &'a Email,
}

impl<'a> From<&'a Recipient> for MemberOutput<'a> {
    fn from(recipient: &'a Recipient) -> Self {
        Self { id: recipient.id, name: &recipient.name, email: &recipient.email }
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let ids = path::id::<DockId>(request).zip(path::id::<GroupId>(request));
    let url = |(dock, group)| format!("{}/{group}/recipients", list_url(dock));
    let is_key = |key: &str| RecipientId::parse(key).is_some();
    let owner = path::lookup(ids, |(dock, id)| context.store.group(dock, id));
    let read = |(_, group), asked| async move { context.store.members(group, &asked).await };
    let page = list::of_owner(context, request, ids, url, is_key, owner, read).await?;
    let (members, next) = page.ok_or(Error::NotFound(Resource::Group))?;
    let recipients = context.store.recipients_of(&members).await?;
    let members: Vec<MemberOutput> = recipients.iter().map(MemberOutput::from).collect();
    response::list(&members, next.as_deref())
}
