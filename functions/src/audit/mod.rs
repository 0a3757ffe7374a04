//! The audit trail: what happened to what, by whom, from where and when.
//!
//! Here: how entries are read, and how an account's own system adds some. Every endpoint that changes something makes its
//! own, with [`Context::entry`](docyard_core::context::Context::entry).

use docyard_core::model::audit::{Changes, EntityId, Entry, Metadata, Source, Word};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::id::{AuditEntryId, DockId};
use serde::Serialize;

use crate::endpoint::Endpoints;

pub mod create;
pub mod list;
pub mod list_of_entity;

/// The endpoints of the audit trail.
pub const ENDPOINTS: Endpoints = Endpoints {
    resource: "Audit",
    description: "What happened to what, by whom, from where and when",
    list: &[&list::ENDPOINT, &list_of_entity::ENDPOINT, &create::ENDPOINT],
};

/// The path of the entries.
const PATH: &str = "/v1/audit/logs";

/// An entry of the audit trail.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditEntry))]
struct EntryOutput<'a> {
    id: AuditEntryId,
    /// The dock it belongs to; `null` for what belongs to no dock: accounts and API keys.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    dock_id: Option<DockId>,
    entity_type: &'a Word,
    entity_id: &'a EntityId,
    action: &'a Word,
    /// Who did it: the id of an API key, or an operator's AWS identity.
    actor: &'a str,
    /// `api` for a request, `operator` for an operator's command, `account` for an event of the account's own system.
    source: Source,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    changes: Option<&'a Changes>,
    metadata: &'a Metadata,
    /// The address that the request came from.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    ip_address: Option<&'a str>,
    /// The first 256 characters of its `User-Agent`.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    user_agent: Option<&'a str>,
    created_at: Timestamp,
}

impl<'a> From<&'a Entry> for EntryOutput<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            id: entry.id,
            dock_id: entry.dock,
            entity_type: &entry.entity_type,
            entity_id: &entry.entity_id,
            action: &entry.action,
            actor: &entry.actor,
            source: entry.source,
            changes: entry.changes.as_ref(),
            metadata: &entry.metadata,
            ip_address: entry.origin.ip_address.as_deref(),
            user_agent: entry.origin.user_agent.as_deref(),
            created_at: entry.created_at,
        }
    }
}
