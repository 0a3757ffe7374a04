//! Groups: recipients of a dock that policies can be limited to.

use std::collections::BTreeSet;

use docyard_core::context::{Caller, Context};
use docyard_core::model::group::Group;
use docyard_core::store::MembersRefused;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::field_error::ValueErrors;
use docyard_core::values::fields::different;
use docyard_core::values::id::{DockId, GroupId, RecipientId};
use docyard_core::values::json::Json;
use docyard_core::values::text::{LongText, Text};
use lambda_http::Request;
use serde::Serialize;

use crate::endpoint::Endpoints;
use crate::http::error::{Error, Resource};
use crate::http::{auth, path};

pub mod add_recipients;
pub mod assign_policy;
pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod list_recipients;
pub mod remove_recipient;
pub mod remove_recipients;
pub mod unassign_policy;
pub mod update;

/// The endpoints of groups.
pub const ENDPOINTS: Endpoints = Endpoints {
    resource: "Groups",
    description: "Recipients of a dock that policies can be limited to",
    list: &[
        &create::ENDPOINT,
        &list::ENDPOINT,
        &get::ENDPOINT,
        &update::ENDPOINT,
        &delete::ENDPOINT,
        &list_recipients::ENDPOINT,
        &add_recipients::ENDPOINT,
        &remove_recipients::ENDPOINT,
        &remove_recipient::ENDPOINT,
        &assign_policy::ENDPOINT,
        &unassign_policy::ENDPOINT,
    ],
};

/// The path of a dock's groups.
fn list_url(dock: DockId) -> String {
    format!("/v1/docks/{dock}/groups")
}

/// Authenticates the caller and finds the group that the path names; `None` if the dock of the path does not have it or is
/// another account's.
///
/// # Errors
/// Those of [`auth::authenticate_and`].
async fn find(context: &Context, request: &Request) -> Result<(Caller, Option<Group>), Error> {
    let ids = path::id::<DockId>(request).zip(path::id::<GroupId>(request));
    let group = path::lookup(ids, |(dock, id)| context.store.group(dock, id));
    auth::authenticate_and(context, request, group).await
}

const TOO_MANY_GROUPS: &str = "A recipient is in 50 groups; remove it from one first";

/// Why recipients were not added.
fn of_members(refused: MembersRefused) -> Error {
    match refused {
        MembersRefused::NoGroup => Error::NotFound(Resource::Group),
        MembersRefused::NoRecipient => Error::NotFound(Resource::Recipient),
        MembersRefused::TooManyGroups => Error::Conflict(TOO_MANY_GROUPS),
    }
}

/// Makes a parser of `min` to `max` different ids of recipients.
fn recipient_ids(min: usize, max: usize) -> impl FnOnce(Json) -> Result<BTreeSet<RecipientId>, ValueErrors> {
    move |json| {
        let id = |text: &str| RecipientId::parse(text).ok_or("must be the id of a recipient, such as rcp_…");
        different(json, min, max, id).map(BTreeSet::from_iter)
    }
}

/// A group as the API shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Group))]
struct GroupOutput<'a> {
    id: GroupId,
    dock_id: DockId,
    name: &'a Text,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    description: Option<&'a LongText>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Timestamp, required = false))]
    updated_at: Option<Timestamp>,
}

impl<'a> From<&'a Group> for GroupOutput<'a> {
    fn from(group: &'a Group) -> Self {
        Self {
            id: group.id,
            dock_id: group.dock,
            name: &group.name,
            description: group.description.as_ref(),
            created_at: group.created_at,
            updated_at: group.updated_at,
        }
    }
}

/// The path parameters of a group that was just created.
#[cfg(feature = "openapi")]
const CREATED: &[(&str, &str)] = &[("dockId", "$request.path.dockId"), ("groupId", "$response.body#/id")];

/// The outcome of an assignment.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicyAssignment))]
struct AssignmentOutput {
    /// Always `true`.
    #[cfg_attr(feature = "openapi", schema(example = true))]
    success: bool,
    policy_id: docyard_core::values::id::PolicyId,
}
