//! The cases of groups.

use serde_json::json;

use super::Thing::{Dock, Group, Member, MissingGroup, PlainGroup, SceneDock};
use super::{Case, READ, READ_AND_QUERY, WRITE, case};
use crate::fault::InjectedFault::{AnswerLost, Refused, Unprocessed};
use crate::fault::{CONFLICT, MIXED};

pub(super) fn cases() -> Vec<Case> {
    let one = |recipient: &str| json!({"recipientIds": [recipient]});
    vec![
        case("create-group")
            .path(&[Dock])
            .body(json!({"name": "Group {n}"}))
            .status(201)
            .calls(&[READ, WRITE])
            .repeated(201)
            .with_idempotency_key(201)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost]),
        case("create-group")
            .what("with a recipient")
            .path(&[SceneDock])
            .body(json!({"name": "Group {n}", "recipientIds": ["{member}"]}))
            .status(201)
            .calls(&[READ, &["Query"], WRITE])
            .repeated(201)
            .with_idempotency_key(201),
        case("create-group")
            .what("one too many of a recipient")
            .path(&[SceneDock])
            .body(json!({"name": "Group {n}", "recipientIds": ["{crowded}"]}))
            .status(409)
            .with_idempotency_key(409),
        case("list-groups")
            .what("a page of 10")
            .path(&[SceneDock])
            .query("limit=10")
            .calls(&[READ_AND_QUERY])
            .repeated(200)
            .overcomes("Query", [AnswerLost])
            .measured(),
        case("get-group")
            .path(&[SceneDock, Group])
            .calls(&[READ])
            .repeated(200)
            .overcomes("BatchGetItem", [AnswerLost; 2])
            .measured(),
        case("update-group")
            .path(&[SceneDock, Group])
            .body(json!({"description": "Description {n}"}))
            .calls(&[READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [CONFLICT, AnswerLost])
            .measured(),
        case("delete-group")
            .path(&[SceneDock, PlainGroup])
            .calls(&[READ, WRITE, &["Query"]])
            .repeated(404)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost]),
        case("delete-group").what("of a policy").path(&[SceneDock, Group]).entries(2),
        case("delete-group").what("none").path(&[SceneDock, MissingGroup]).status(404),
        case("list-group-recipients")
            .what("a page of 10")
            .path(&[SceneDock, Group])
            .query("limit=10")
            .calls(&[READ_AND_QUERY, READ, READ])
            .repeated(200)
            .overcomes("BatchGetItem", [Unprocessed, Refused("ThrottlingException")])
            .measured(),
        case("add-group-recipients")
            .path(&[SceneDock, Group])
            .body(one("{outsider}"))
            .calls(&[READ, &["Query"], WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [CONFLICT, AnswerLost]),
        case("add-group-recipients")
            .what("one too many of a recipient")
            .path(&[SceneDock, Group])
            .body(one("{crowded}"))
            .status(409),
        case("remove-group-recipients")
            .path(&[SceneDock, Group])
            .body(one("{member}"))
            .calls(&[READ, READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [CONFLICT, AnswerLost]),
        case("remove-group-recipient")
            .path(&[SceneDock, Group, Member])
            .calls(&[READ, READ, WRITE])
            .repeated(404)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost]),
        case("assign-policy")
            .path(&[SceneDock, PlainGroup])
            .body(json!({"policyId": "{policy}"}))
            .calls(&[READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [CONFLICT, AnswerLost]),
        case("unassign-policy")
            .path(&[SceneDock, Group])
            .body(json!({"policyId": "{policy}"}))
            .calls(&[READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [CONFLICT, AnswerLost]),
    ]
}
