//! The cases of access.

use serde_json::json;

use super::Thing::{Member, SceneDock};
use super::{Case, READ_AND_QUERY, case};
use crate::fault::InjectedFault::{AnswerLost, Refused, Unprocessed};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("evaluate-access")
            .path(&[SceneDock])
            .body(json!({
                "subject": {"type": "recipient", "id": "{member}"},
                "action": {"name": "bulk_api"},
                "resource": {"type": "dock"},
                "context": {"factors": ["shared_passphrase"]},
            }))
            .calls(&[READ_AND_QUERY, READ_AND_QUERY])
            .repeated(200)
            .overcomes("Query", [Refused("ThrottlingException"), AnswerLost])
            .overcomes("BatchGetItem", [Unprocessed])
            .measured(),
        case("evaluate-access")
            .what("an artifact of another dock")
            .path(&[SceneDock])
            .body(json!({
                "subject": {"type": "recipient", "id": "{member}"},
                "action": {"name": "bulk_api"},
                "resource": {"type": "artifact", "id": "{artifact}"},
            }))
            .status(404),
        case("get-recipient-access")
            .path(&[Member])
            .calls(&[READ_AND_QUERY, READ_AND_QUERY])
            .repeated(200)
            .overcomes("Query", [AnswerLost])
            .measured(),
    ]
}
