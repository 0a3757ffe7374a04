//! The cases of docks.

use serde_json::json;

use super::Thing::Dock;
use super::{Case, READ, WRITE, case};
use crate::fault::InjectedFault::{AnswerLost, Canceled, Refused};
use crate::fault::{CONFLICT, MIXED};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("create-dock")
            .body(json!({"name": "New {n}"}))
            .status(201)
            .calls(&[READ, WRITE])
            .repeated(201)
            .with_idempotency_key(201)
            .overcomes("TransactWriteItems", [AnswerLost])
            .measured(),
        case("list-docks")
            .calls(&[READ, &["Query"]])
            .repeated(200)
            .overcomes("Query", [Refused("ThrottlingException"), AnswerLost])
            .measured(),
        case("get-dock")
            .path(&[Dock])
            .calls(&[READ])
            .repeated(200)
            .overcomes("BatchGetItem", [Refused("ThrottlingException"); 2])
            .measured(),
        case("update-dock")
            .path(&[Dock])
            .body(json!({"name": "New {n}"}))
            .calls(&[READ, WRITE])
            .repeated(200)
            .overcomes(
                "TransactWriteItems",
                [MIXED, CONFLICT, AnswerLost, Canceled(&["ThrottlingError", "None"])],
            )
            .measured(),
    ]
}
