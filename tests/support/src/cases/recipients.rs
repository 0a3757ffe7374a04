//! The cases of recipients.

use serde_json::json;

use super::Thing::{Dock, Member, Recipient, SceneDock};
use super::{Case, READ, READ_AND_QUERY, WRITE, case};
use crate::fault::InjectedFault::{AnswerLost, Refused};
use crate::fault::{CONFLICT, MIXED};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("create-recipient")
            .path(&[Dock])
            .body(json!({
                "name": "First National Bank",
                "email": "bulk{n}@firstnational.example",
                "stakeholderClass": "mortgagee",
                "identifiers": {"lender_id": "LND-4821", "policy_number": "POL-2025-88401"},
            }))
            .status(201)
            .calls(&[READ, WRITE])
            .repeated(409)
            .with_idempotency_key(201)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost, CONFLICT])
            .measured(),
        case("create-recipient-batch")
            .what("1 recipient")
            .path(&[Dock])
            .body(json!({"recipients": [
                {"name": "First National Bank", "email": "batch{n}@firstnational.example"}, {"name": ""},
            ]}))
            .calls(&[READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [CONFLICT, AnswerLost])
            .measured(),
        case("create-recipient-batch")
            .what("two of one email")
            .path(&[Dock])
            .body(json!({"recipients": [
                {"name": "One", "email": "twice{n}@example.com"}, {"name": "Two", "email": "twice{n}@example.com"},
            ]}))
            .calls(&[READ, WRITE, WRITE, READ])
            .repeated(200),
        case("create-recipient-batch")
            .what("a dry run")
            .path(&[Dock])
            .query("dryRun=true")
            .body(json!({"recipients": [{"name": "Another", "email": "dry{n}@example.com"}]}))
            .calls(&[READ, READ])
            .repeated(200)
            .entries(0),
        case("import-recipients")
            .what("1 recipient")
            .path(&[Dock])
            .header("content-type", "multipart/form-data; boundary=b")
            .body(json!(
                "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n\
                 name,email,lender_id\nFirst National Bank,csv{n}@firstnational.example,LND-4821\nnone\n\r\n--b--\r\n"
            ))
            .calls(&[READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost]),
        case("list-recipients")
            .what("a page of 10")
            .path(&[Dock])
            .query("limit=10")
            .calls(&[READ_AND_QUERY])
            .repeated(200)
            .overcomes("Query", [Refused("ThrottlingException")]),
        case("list-recipients").what("a page of 100").path(&[Dock]).measured(),
        case("list-recipients").what("a page of 1000").path(&[Dock]).query("limit=1000").repeated(200),
        case("list-recipients")
            .what("one by email")
            .path(&[Dock])
            .query("email=there%40example.com")
            .calls(&[READ])
            .repeated(200),
        case("get-recipient")
            .path(&[Dock, Recipient])
            .calls(&[READ, READ])
            .repeated(200)
            .overcomes("BatchGetItem", [AnswerLost; 3])
            .measured(),
        case("update-recipient")
            .path(&[Dock, Recipient])
            .body(json!({"name": "First National Bank {n}"}))
            .calls(&[READ, READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [CONFLICT, AnswerLost])
            .measured(),
        case("update-recipient")
            .what("a new email")
            .path(&[Dock, Recipient])
            .body(json!({"email": "moved{n}@example.com"}))
            .calls(&[READ, READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [MIXED, CONFLICT, AnswerLost, CONFLICT]),
        case("update-recipient")
            .what("nothing")
            .path(&[Dock, Recipient])
            .body(json!({}))
            .calls(&[READ, READ])
            .repeated(200),
        case("delete-recipient")
            .path(&[Dock, Recipient])
            .calls(&[READ, WRITE])
            .repeated(404)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost])
            .measured(),
        case("delete-recipient").what("of two groups").path(&[SceneDock, Member]),
        case("update-recipient")
            .what("a new class")
            .path(&[Dock, Recipient])
            .body(json!({"stakeholderClass": "agent"}))
            .calls(&[READ, READ, WRITE])
            .repeated(200),
        case("delete-recipient")
            .what("with If-Match")
            .path(&[Dock, Recipient])
            .header("if-match", "\"0\"")
            .calls(&[READ, READ, WRITE])
            .repeated(404)
            .overcomes("TransactWriteItems", [CONFLICT, AnswerLost]),
    ]
}
