//! `POST /v1/docks/{dockId}/groups`: creates a group.
//!
//! Takes `name`, and optionally `description` and up to 25 `recipientIds`. Returns 201, the group, and its URL in `Location`.
//! Accepts an `Idempotency-Key`.
//!
//! Two round trips to DynamoDB: reads the key and the dock at once, then writes the group; one more between them to look at
//! the groups of its recipients, if it has any.

use std::collections::BTreeSet;

use docyard_core::context::Context;
use docyard_core::model::group::{Group, MAX_INITIAL_RECIPIENTS};
use docyard_core::model::idempotency::{Outcome, StoredResponse};
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::id::{GroupId, RecipientId};
use docyard_core::values::random;
use docyard_core::values::text::{LongText, Text};
use lambda_http::Request;
use lambda_http::http::Response;

use super::{GroupOutput, list_url, of_members, recipient_ids};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::idempotency::Attempt;
use crate::http::{auth, idempotency, input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "create-group": Post "/v1/docks/{dockId}/groups",
    description: "Create a group",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Dock, Groups, Idempotency, Key],
        Query on [Recipient],
        ConditionCheckItem on [Recipient],
        PutItem on [Audit, AuditEntity, Group, Groups, Idempotency, Recipient],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("Its recipients are a list of their own; up to 25 of them can be named at once.")
        .request_body::<Input>(
            serde_json::json!({"name": "East coast lenders", "description": "Renewals of 2025"}),
        )
        .accepts_idempotency_key()
        .response::<GroupOutput>(201, "The group")
        .etag()
        .replayable()
        .location("/v1/docks/dock_01JHMV2B4MP0YHZX6Q3T0V1W2X/groups/grp_01JHMV7G9SV5DP4CBW8Z5A6B7C")
        .link("get-group", super::CREATED)
        .link("update-group", super::CREATED)
        .link("list-group-recipients", super::CREATED)
        .link("add-group-recipients", super::CREATED)
        .link("delete-group", super::CREATED)
        .not_found(Resource::Dock, "No such dock in the key's account, or no such recipient in the dock")
        .conflict("A recipient is in 50 groups", super::TOO_MANY_GROUPS)
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CreateGroup, rename_all = "camelCase"))]
struct Input {
    name: Text,
    description: Option<LongText>,
    #[cfg_attr(feature = "openapi", schema(max_items = 25))]
    recipient_ids: Option<BTreeSet<RecipientId>>,
}

impl Input {
    fn parse(fields: &mut Fields) -> Result<Self, Rejected> {
        let name = fields.required("name", string(Text::parse));
        let description = fields.optional("description", string(LongText::parse));
        let recipient_ids = fields.optional("recipientIds", recipient_ids(0, MAX_INITIAL_RECIPIENTS));
        Ok(Self { name: name?, description: description?, recipient_ids: recipient_ids? })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::lookup(path::id(request), |id| context.store.dock(id));
    let (caller, dock) = auth::authenticate_and(context, request, dock).await?;
    let (key, body) = input::read(request, |input| {
        let key = input.idempotency_key();
        let body = input.body(Input::parse);
        Ok((key?, body?))
    })?;
    let dock = dock.ok_or(Error::NotFound(Resource::Dock))?.id;
    let now = context.now();
    let list = list_url(dock);
    let attempt = Attempt::new(key, caller.account, &list, request, now);
    let recipients = body.recipient_ids.unwrap_or_default();
    let group = Group {
        id: GroupId::generate(now, &mut random::system()),
        dock,
        account: caller.account,
        name: body.name,
        description: body.description,
        created_at: now,
        updated_at: None,
        version: 0,
    };
    if let Err(refused) = context.store.check_members(dock, group.id, &recipients).await? {
        return idempotency::replay_or(context, &attempt, of_members(refused), response::created).await;
    }
    let created = StoredResponse {
        body: response::to_json(&GroupOutput::from(&group))?,
        location: Some(format!("{list}/{}", group.id)),
    };
    let entry = context.entry(caller, group.created(&recipients));
    match context.store.create_group(&group, &recipients, &entry, attempt.storing(&created)).await? {
        Outcome::Done => {
            context.record.add_id(group.id);
            Ok(response::created(created))
        }
        Outcome::Replayed(replay) => idempotency::replay(replay, response::created),
        Outcome::Refused(refused) => Err(of_members(refused)),
    }
}
