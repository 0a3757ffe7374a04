//! `POST /v1/audit/logs`: adds an event of the account's own system to the audit trail of a dock.
//!
//! Takes `dockId`, `entityType`, `entityId`, `action`, and optionally `metadata`. Kind and action are none that this service
//! uses itself; actor, time, address and source are the request's own: nobody writes history in another's name. Returns
//! 201 and the entry. Accepts an `Idempotency-Key`.
//!
//! Two round trips to DynamoDB: reads the key and the dock at once, then writes the entry.

use docyard_core::context::Context;
use docyard_core::model::audit::{Action, EntityId, EntityType, Event, Metadata, Word};
#[cfg(feature = "openapi")]
use docyard_core::model::audit::{FreeAction, FreeEntityType};
use docyard_core::model::idempotency::{Outcome, StoredResponse};
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::id::DockId;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{EntryOutput, PATH};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::idempotency::Attempt;
use crate::http::{auth, idempotency, input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "create-audit-log": Post "/v1/audit/logs",
    description: "Create an audit log",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Dock, Key], PutItem on [Audit, AuditEntity, Idempotency]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "An event of the account's own system, on an entity of its own. Actor, time and address are those of the \
             request, and `source` is `account`. It cannot be changed or deleted: put no personal data into it.",
        )
        .request_body::<Input>(serde_json::json!({
            "dockId": "dock_01JHMV2B4MP0YHZX6Q3T0V1W2X",
            "entityType": "claim",
            "entityId": "CLM-2025-0042",
            "action": "settled",
            "metadata": {"office": "Denver", "pages": 12},
        }))
        .accepts_idempotency_key()
        .response::<EntryOutput>(201, "The entry")
        .replayable()
        .not_found(Resource::Dock, "No such dock in the key's account")
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CreateAuditLog, rename_all = "camelCase"))]
struct Input {
    // `None` if the id is malformed.
    #[cfg_attr(feature = "openapi", schema(value_type = DockId))]
    dock_id: Option<DockId>,
    #[cfg_attr(feature = "openapi", schema(value_type = FreeEntityType))]
    entity_type: Word,
    entity_id: EntityId,
    #[cfg_attr(feature = "openapi", schema(value_type = FreeAction))]
    action: Word,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Metadata>))]
    metadata: Metadata,
}

impl Input {
    fn parse(fields: &mut Fields) -> Result<Self, Rejected> {
        let dock_id = fields.required("dockId", string(|text| Ok(DockId::parse(text))));
        let entity_type =
            fields.required("entityType", string(|text| Word::parse_free(text, EntityType::WORDS)));
        let entity_id = fields.required("entityId", string(EntityId::parse));
        let action = fields.required("action", string(|text| Word::parse_free(text, Action::WORDS)));
        let metadata = fields.optional("metadata", Metadata::parse);
        Ok(Self {
            dock_id: dock_id?,
            entity_type: entity_type?,
            entity_id: entity_id?,
            action: action?,
            metadata: metadata?.unwrap_or_default(),
        })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let read = input::read(request, |input| {
        let key = input.idempotency_key();
        let body = input.body(Input::parse);
        Ok((key?, body?))
    });
    let dock = read.as_ref().ok().and_then(|(_, body)| body.dock_id);
    let dock = path::lookup(dock, |id| context.store.dock(id));
    let (caller, dock) = auth::authenticate_and(context, request, dock).await?;
    let (key, body) = read?;
    let dock = dock.ok_or(Error::NotFound(Resource::Dock))?.id;
    let attempt = Attempt::new(key, caller.account, PATH, request, context.now());

    let event = Event::of_account(dock, body.entity_type, body.entity_id, body.action, body.metadata);
    let entry = context.entry(caller, event);
    let stored = StoredResponse { body: response::to_json(&EntryOutput::from(&entry))?, location: None };
    match context.store.create_entry(&entry, attempt.storing(&stored)).await? {
        Outcome::Done => {
            context.record.add_id(dock);
            context.record.add_id(entry.id);
            Ok(response::created_without_url(stored))
        }
        Outcome::Replayed(replay) => idempotency::replay(replay, response::created_without_url),
        Outcome::Refused(never) => match never {},
    }
}
