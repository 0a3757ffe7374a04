//! The cases of the audit trail.

use serde_json::json;

use super::Thing::{Recipient, RecipientType};
use super::{Calls, Case, READ, WRITE, case};
use crate::fault::InjectedFault::{AnswerLost, Refused};
use crate::fault::{CONFLICT, MIXED};

/// One for each partition of a dock's trail.
const QUERY_EIGHT: Calls = &["Query"; 8];

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("list-audit-logs")
            .what("a page of 10")
            .query("dockId={dock}&limit=10")
            .calls(&[READ, QUERY_EIGHT])
            .repeated(200)
            .overcomes("Query", [Refused("ThrottlingException"), AnswerLost])
            .measured(),
        case("list-audit-logs")
            .what("of one action")
            .query("dockId={dock}&action=create&from=2025-01-15T10:32:00Z&to=9999-01-01T00:00:00Z")
            .repeated(200),
        case("list-entity-audit-logs")
            .what("a page of 10")
            .path(&[RecipientType, Recipient])
            .query("limit=10")
            .calls(&[READ, &["Query"]])
            .repeated(200)
            .overcomes("Query", [Refused("ThrottlingException"), AnswerLost])
            .measured(),
        case("create-audit-log")
            .body(json!({
                "dockId": "{dock}",
                "entityType": "claim",
                "entityId": "CLM-2025-{n}",
                "action": "settled",
                "metadata": {"office": "Denver", "pages": 12},
            }))
            .status(201)
            .calls(&[READ, WRITE])
            .repeated(201)
            .with_idempotency_key(201)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost, CONFLICT])
            .event_of_account()
            .measured(),
    ]
}
