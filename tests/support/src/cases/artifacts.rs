//! The cases of artifacts.

use serde_json::{Value, json};

use super::Thing::{Artifact, DeclaredArtifact, Dock, EmptyArtifact, MissingArtifact, UploadedArtifact};
use super::{Calls, Case, READ, READ_AND_QUERY, WRITE, case};
use crate::fault::InjectedFault::{AnswerLost, Refused, Status, Unreachable};
use crate::fault::{CONFLICT, MIXED};

const PUT: Calls = &["PutObject"];
const HEAD: Calls = &["HeadObject"];
const TWO_QUERIES: Calls = &["Query", "Query"];

/// What declares a content.
fn declared(filename: &str) -> Value {
    json!({
        "filename": filename,
        "hash": "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "size": 3,
        "contentType": "application/pdf",
        "metadata": {"document_type": "declaration-page", "lender_id": "LND-4821"},
    })
}

/// A form with a file.
fn form(filename: &str) -> Value {
    let file = format!("Content-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\r\nabc");
    let metadata = "Content-Disposition: form-data; name=\"metadata\"\r\n\r\n\
                    {\"document_type\":\"declaration-page\",\"lender_id\":\"LND-4821\"}";
    json!(format!("--b\r\n{file}\r\n--b\r\n{metadata}\r\n--b--\r\n"))
}

pub(super) fn cases() -> Vec<Case> {
    let upload = || {
        case("upload-artifact")
            .path(&[Dock])
            .header("content-type", "multipart/form-data; boundary=b")
            .status(201)
    };
    vec![
        case("create-artifact")
            .path(&[Dock])
            .body(declared("page-{n}.pdf"))
            .status(201)
            .calls(&[READ, WRITE])
            .repeated(201)
            .with_idempotency_key(201)
            .overcomes("TransactWriteItems", [CONFLICT, AnswerLost])
            .measured(),
        case("create-artifact")
            .what("metadata alone")
            .path(&[Dock])
            .body(json!({"filename": "page-{n}.pdf", "metadata": {"lender_id": "LND-4821"}}))
            .status(201)
            .calls(&[READ, WRITE])
            .repeated(201)
            .with_idempotency_key(201),
        case("create-artifact")
            .what("one that is there")
            .path(&[Dock])
            .body(declared("{declared}"))
            .status(201)
            .calls(&[READ, WRITE, READ])
            .repeated(201)
            .with_idempotency_key(201)
            .entries(0),
        case("create-artifact-batch")
            .what("2 artifacts")
            .path(&[Dock])
            .body(json!({"items": [declared("one-{n}.pdf"), declared("two-{n}.pdf"), {"filename": "a/b"}]}))
            .calls(&[READ, &["TransactWriteItems", "TransactWriteItems"]])
            .repeated(200)
            .entries(2)
            .overcomes("TransactWriteItems", [AnswerLost, AnswerLost]),
        case("create-artifact-batch")
            .what("one that is there")
            .path(&[Dock])
            .body(json!({"items": [declared("{declared}")]}))
            .entries(0),
        upload()
            .body(form("page-{n}.pdf"))
            .calls(&[READ, WRITE, PUT, WRITE])
            .repeated(201)
            .entries(2)
            .overcomes("PutObject", [Unreachable, Status(503)]),
        upload().what("one that waits").body(form("{declared}")),
        upload().what("one that is uploaded").body(form("{uploaded}")),
        case("list-artifacts")
            .what("a page of 10")
            .path(&[Dock])
            .query("limit=10")
            .calls(&[READ_AND_QUERY, TWO_QUERIES])
            .repeated(200)
            .overcomes("Query", [AnswerLost, Refused("ThrottlingException")])
            .measured(),
        case("list-artifacts")
            .what("10 with an entry of metadata")
            .path(&[Dock])
            .query("limit=10&status=AVAILABLE&metadataKey=lender_id&metadataValue=LND-4821")
            .calls(&[READ_AND_QUERY])
            .repeated(200),
        case("list-artifacts").what("a page of 1000").path(&[Dock]).query("limit=1000").repeated(200),
        case("get-artifact")
            .path(&[Dock, Artifact])
            .calls(&[READ])
            .repeated(200)
            .overcomes("BatchGetItem", [AnswerLost; 2])
            .measured(),
        case("get-artifact").what("none").path(&[Dock, MissingArtifact]).status(404),
        case("get-artifact-content")
            .path(&[Dock, Artifact])
            .calls(&[READ])
            .repeated(200)
            .overcomes("BatchGetItem", [AnswerLost; 2])
            .measured(),
        case("get-artifact-content").what("none yet").path(&[Dock, DeclaredArtifact]).status(409),
        case("complete-artifact")
            .path(&[Dock, UploadedArtifact])
            .calls(&[READ, HEAD, WRITE])
            .repeated(200)
            .overcomes("HeadObject", [Unreachable, Status(500)])
            .overcomes("TransactWriteItems", [MIXED, AnswerLost]),
        case("complete-artifact").what("again").path(&[Dock, Artifact]).calls(&[READ]).repeated(200).entries(0),
        case("complete-artifact")
            .what("nothing uploaded")
            .path(&[Dock, DeclaredArtifact])
            .status(409)
            .calls(&[READ, HEAD])
            .repeated(409),
        case("complete-artifact").what("metadata alone").path(&[Dock, EmptyArtifact]).status(409),
        case("update-artifact")
            .path(&[Dock, Artifact])
            .body(json!({"filename": "other-{n}.pdf", "metadata": {"lender_id": null, "policy_number": "P-{n}"}}))
            .calls(&[READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [CONFLICT, AnswerLost]),
        case("update-artifact")
            .what("to one that is there")
            .path(&[Dock, Artifact])
            .body(json!({
                "filename": "{declared}", "metadata": {"document_type": "declaration-page", "lender_id": "LND-4821"},
            }))
            .status(409)
            .calls(&[READ, WRITE])
            .repeated(409),
        case("delete-artifact")
            .path(&[Dock, Artifact])
            .calls(&[READ, WRITE])
            .repeated(404)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost]),
        case("delete-artifact").what("metadata alone").path(&[Dock, EmptyArtifact]).repeated(404),
        case("delete-artifact").what("none").path(&[Dock, MissingArtifact]).status(404),
    ]
}
