//! The cases of policies.

use serde_json::json;

use super::Thing::{Dock, Draft, FullPolicy, MissingPolicy, Published, SceneDock, Scheduled, VersionOne};
use super::{Case, READ, READ_AND_QUERY, WRITE, case};
use crate::fault::InjectedFault::{AnswerLost, Refused};
use crate::fault::{CONFLICT, MIXED};
use crate::scene::{other_recipe, recipe};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("create-policy")
            .path(&[Dock])
            .body(json!({"name": "Policy {n}", "recipe": recipe()}))
            .status(201)
            .calls(&[READ, WRITE])
            .repeated(201)
            .with_idempotency_key(201)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost, CONFLICT]),
        case("create-policy")
            .what("for a group")
            .path(&[SceneDock])
            .body(json!({"name": "Policy {n}", "recipe": recipe(), "audience": {"groupIds": ["{group}"]}}))
            .status(201)
            .calls(&[READ, WRITE]),
        case("list-policies")
            .what("a page of 10")
            .path(&[SceneDock])
            .query("limit=10")
            .calls(&[READ_AND_QUERY])
            .repeated(200)
            .overcomes("Query", [Refused("ThrottlingException")])
            .measured(),
        case("get-policy")
            .path(&[SceneDock, Published])
            .calls(&[READ])
            .repeated(200)
            .overcomes("BatchGetItem", [AnswerLost; 2])
            .measured(),
        case("update-policy")
            .what("its name")
            .path(&[SceneDock, Published])
            .body(json!({"name": "Policy {n}"}))
            .calls(&[READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [CONFLICT, AnswerLost])
            .measured(),
        case("update-policy")
            .what("a new recipe")
            .path(&[SceneDock, Draft])
            .body(json!({"recipe": other_recipe(), "changelog": "Endorsements too"}))
            .calls(&[READ, WRITE])
            .repeated(200),
        case("update-policy")
            .what("an audience")
            .path(&[SceneDock, Draft])
            .body(json!({"audience": {"groupIds": ["{group}"]}}))
            .calls(&[READ, WRITE])
            .repeated(200),
        case("delete-policy")
            .path(&[SceneDock, Draft])
            .calls(&[READ, WRITE])
            .repeated(404)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost]),
        case("delete-policy").what("none").path(&[SceneDock, MissingPolicy]).status(404),
        case("publish-policy")
            .what("to production")
            .path(&[SceneDock, Draft])
            .body(json!({"stage": "production", "version": 1}))
            .calls(&[READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [CONFLICT, AnswerLost])
            .measured(),
        case("publish-policy")
            .what("to a pilot")
            .path(&[SceneDock, Draft])
            .body(json!({"stage": "pilot", "recipientIds": ["{member}"]}))
            .calls(&[READ, WRITE])
            .repeated(200),
        case("publish-policy")
            .what("to sandbox")
            .path(&[SceneDock, Published])
            .body(json!({"stage": "sandbox"}))
            .calls(&[READ, WRITE])
            .repeated(200),
        case("rollback-policy")
            .path(&[SceneDock, Published, VersionOne])
            .status(201)
            .calls(&[READ, WRITE])
            .repeated(201)
            .with_idempotency_key(201)
            .overcomes("TransactWriteItems", [CONFLICT, AnswerLost]),
        case("rollback-policy").what("scheduled").path(&[SceneDock, Scheduled, VersionOne]).status(201),
        case("rollback-policy")
            .what("of another state")
            .path(&[SceneDock, Published, VersionOne])
            .header("if-match", "\"77\"")
            .status(412)
            .with_idempotency_key(412),
        case("simulate-policy")
            .what("of a dock of 2")
            .path(&[SceneDock, Published])
            .body(json!({}))
            .calls(&[READ, READ_AND_QUERY, &["Query", "Query"]])
            .repeated(200)
            .overcomes("Query", [Refused("ThrottlingException")])
            .measured(),
        case("simulate-policy").what("a version").path(&[SceneDock, Published]).body(json!({"version": 1})),
        case("create-policy-version")
            .path(&[SceneDock, Draft])
            .status(201)
            .calls(&[READ, WRITE])
            .repeated(201)
            .with_idempotency_key(201)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost]),
        case("create-policy-version")
            .what("one too many")
            .path(&[SceneDock, FullPolicy])
            .status(409)
            .with_idempotency_key(409),
        case("list-policy-versions")
            .what("a page of 10")
            .path(&[SceneDock, Published])
            .query("limit=10")
            .calls(&[READ_AND_QUERY])
            .repeated(200)
            .overcomes("Query", [AnswerLost])
            .measured(),
        case("get-policy-version")
            .path(&[SceneDock, Published, VersionOne])
            .calls(&[READ])
            .repeated(200)
            .overcomes("BatchGetItem", [AnswerLost; 3])
            .measured(),
        case("list-policy-templates")
            .calls(&[READ])
            .repeated(200)
            .overcomes("BatchGetItem", [AnswerLost])
            .measured(),
        case("create-policy-from-template")
            .path(&[Dock])
            .body(json!({"templateId": "tpl_mortgagee_bulk"}))
            .status(201)
            .calls(&[READ, WRITE])
            .repeated(201)
            .with_idempotency_key(201)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost]),
    ]
}
