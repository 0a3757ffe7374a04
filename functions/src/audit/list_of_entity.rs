//! `GET /v1/audit/logs/entity/{entityType}/{entityId}`: lists the audit trail of one entity of the account, newest first,
//! page by page. An entity without entries gets 404: so does another account's.
//!
//! Two round trips to DynamoDB: reads the key, then the page.

use docyard_core::context::{Caller, Context};
use docyard_core::model::audit::{EntityId, Word};
use docyard_core::values::id::AuditEntryId;
use docyard_core::values::uri::encoded;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{EntryOutput, PATH};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{auth, input, list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;
use crate::route::{ENTITY_ID, ENTITY_TYPE};

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-entity-audit-logs": Get "/v1/audit/logs/entity/{entityType}/{entityId}",
    description: "List an entity's audit logs",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Key], Query on [AuditEntity]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "What happened to an entity of the key's account, newest first, also after it was deleted. A rotation is part \
             of the trail of both secrets.",
        )
        .page_of::<EntryOutput>("A page of entries")
        .not_found(Resource::AuditLog, "The key's account has no entry on such an entity")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let Caller { account, .. } = auth::authenticate(context, request).await?;
    let entity_type = path::text(request, ENTITY_TYPE).and_then(|text| Word::parse(text).ok());
    let entity_id = path::text(request, ENTITY_ID).and_then(|text| EntityId::parse(text).ok());
    let entity = entity_type.zip(entity_id);
    let url = entity
        .as_ref()
        .map(|(entity_type, id)| format!("{PATH}/entity/{entity_type}/{}", encoded(&id.to_string())));
    let url = url.unwrap_or_default();
    // The path names no account, so this ties the cursor to it.
    let list = format!("{url} of {account}");
    let is_key = |key: &str| AuditEntryId::parse(key).is_some();
    let asked = input::read(request, |input| list::page(input, &list, is_key))?;
    let (entity_type, entity_id) = entity.ok_or(Error::NotFound(Resource::AuditLog))?;
    let page = context.store.entity_entries(account, &entity_type, &entity_id, &asked).await?;
    if page.items.is_empty() && asked.after.is_none() {
        return Err(Error::NotFound(Resource::AuditLog));
    }
    let entries: Vec<EntryOutput> = page.items.iter().map(EntryOutput::from).collect();
    let next = page.next.map(|last| list::next_url(&url, &list, asked.limit, &last));
    response::list(&entries, next.as_deref())
}
