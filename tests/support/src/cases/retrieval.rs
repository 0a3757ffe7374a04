//! The cases of retrieval.

use serde_json::json;

use super::Thing::{
    AccountJob, Job, MissingArtifact, MissingJob, OpenJob, OutsiderArtifact, OutsiderJob, RetrievedArtifact,
};
use super::{Case, READ, READ_AND_QUERY, Sender, WRITE, case};
use crate::fault::InjectedFault::{AnswerLost, Refused, Unprocessed};
use crate::fault::{CONFLICT, MIXED};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("get-retrieval-access")
            .by(Sender::Member)
            .calls(&[READ_AND_QUERY, READ_AND_QUERY])
            .repeated(200)
            .overcomes("Query", [Refused("ThrottlingException"), AnswerLost])
            .overcomes("BatchGetItem", [Unprocessed])
            .measured(),
        case("get-retrieval-access")
            .what("nothing granted")
            .by(Sender::Outsider)
            .status(403)
            .calls(&[READ_AND_QUERY, READ_AND_QUERY, WRITE])
            .repeated(403),
        case("create-retrieval-job")
            .by(Sender::Member)
            .body(json!({"metadata": {"document_type": "declaration-page"}}))
            .status(201)
            .calls(&[READ_AND_QUERY, READ_AND_QUERY, WRITE])
            .repeated(201)
            .with_idempotency_key(201)
            .overcomes("BatchGetItem", [Unprocessed])
            .overcomes("TransactWriteItems", [CONFLICT, AnswerLost]),
        case("create-retrieval-job")
            .what("with a cursor")
            .by(Sender::Member)
            .body(json!({"cursor": "{cursor}"}))
            .status(201)
            .calls(&[READ_AND_QUERY, READ_AND_QUERY, WRITE])
            .repeated(201),
        case("create-retrieval-job")
            .what("by the account")
            .body(json!({"dockId": "{scene_dock}", "recipientId": "{member}"}))
            .status(201)
            .calls(&[READ_AND_QUERY, READ_AND_QUERY, WRITE])
            .repeated(201)
            .with_idempotency_key(201),
        case("create-retrieval-job")
            .what("too many")
            .body(json!({"dockId": "{scene_dock}", "recipientId": "{busy}"}))
            .status(409)
            .repeated(409)
            .with_idempotency_key(409),
        case("create-retrieval-job")
            .what("nothing granted")
            .by(Sender::Outsider)
            .body(json!({}))
            .status(403)
            .calls(&[READ_AND_QUERY, READ_AND_QUERY, WRITE])
            .repeated(403),
        case("list-retrieval-jobs")
            .by(Sender::Member)
            .calls(&[READ_AND_QUERY, &["Query"], READ])
            .repeated(200)
            .overcomes("BatchGetItem", [Unprocessed]),
        case("list-retrieval-jobs")
            .what("by the account")
            .query("dockId={dock}")
            .calls(&[READ, &["Query"]])
            .repeated(200),
        case("get-retrieval-job")
            .by(Sender::Member)
            .path(&[Job])
            .calls(&[READ_AND_QUERY])
            .repeated(200)
            .overcomes("BatchGetItem", [AnswerLost; 2]),
        case("get-retrieval-job").what("by the account").path(&[AccountJob]).calls(&[READ]).repeated(200),
        case("get-retrieval-job").what("none").path(&[MissingJob]).status(404),
        case("list-retrieval-results")
            .by(Sender::Member)
            .path(&[Job])
            .calls(&[READ_AND_QUERY, READ_AND_QUERY, WRITE])
            .repeated(200)
            .overcomes("BatchGetItem", [Unprocessed])
            .overcomes("TransactWriteItems", [MIXED, AnswerLost]),
        case("list-retrieval-results")
            .what("by the account")
            .path(&[AccountJob])
            .calls(&[READ, &["Query"], READ_AND_QUERY, WRITE])
            .repeated(200),
        case("list-retrieval-results")
            .what("nothing granted any more")
            .by(Sender::Outsider)
            .path(&[OutsiderJob])
            .status(403)
            .repeated(403),
        case("cancel-retrieval-job")
            .by(Sender::Member)
            .path(&[OpenJob])
            .calls(&[READ_AND_QUERY, READ, WRITE])
            .repeated(409)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost]),
        case("cancel-retrieval-job").what("ended").path(&[AccountJob]).status(409).repeated(409),
        case("download-artifact")
            .by(Sender::Anyone)
            .path(&[Job, RetrievedArtifact])
            .query("ticket={ticket}")
            .status(302)
            .calls(&[READ_AND_QUERY, READ_AND_QUERY, WRITE])
            .repeated(302)
            .recorded()
            .overcomes("TransactWriteItems", [MIXED, AnswerLost]),
        case("download-artifact")
            .what("with a link of the account")
            .by(Sender::Anyone)
            .path(&[AccountJob, RetrievedArtifact])
            .query("ticket={account_ticket}")
            .status(302)
            .repeated(302)
            .recorded(),
        case("download-artifact")
            .what("withdrawn")
            .by(Sender::Anyone)
            .path(&[OutsiderJob, OutsiderArtifact])
            .query("ticket={outsider_ticket}")
            .status(403)
            .repeated(403),
        case("download-artifact")
            .what("of another page")
            .by(Sender::Anyone)
            .path(&[Job, MissingArtifact])
            .query("ticket={ticket}")
            .status(404)
            .repeated(404),
    ]
}
