//! The cases of secrets.

use serde_json::json;

use super::Thing::{FullRecipient, MissingSecret, Recipient, Secret};
use super::{Case, READ, READ_AND_QUERY, WRITE, case};
use crate::fault::InjectedFault::{AnswerLost, Refused, SilenceBefore, Unprocessed};
use crate::fault::{CONFLICT, MIXED};

pub(super) fn cases() -> Vec<Case> {
    let label = || json!({"name": "First National Bank — Bulk API Passphrase", "expiresInDays": 90});
    vec![
        case("generate-secret")
            .path(&[Recipient])
            .body(label())
            .status(201)
            .calls(&[READ_AND_QUERY, WRITE])
            .repeated(201)
            .with_idempotency_key(200)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost])
            .measured(),
        case("generate-secret")
            .what("one too many")
            .path(&[FullRecipient])
            .body(label())
            .status(409)
            .with_idempotency_key(409),
        case("list-secrets")
            .path(&[Recipient])
            .calls(&[READ_AND_QUERY, &["Query"]])
            .repeated(200)
            .overcomes("Query", [Refused("ThrottlingException"); 2])
            .measured(),
        case("list-secrets").what("a page of 1000").path(&[Recipient]).query("limit=1000").repeated(200),
        case("get-secret")
            .path(&[Recipient, Secret])
            .calls(&[READ])
            .repeated(200)
            .overcomes("BatchGetItem", [Unprocessed, Refused("ThrottlingException")])
            .measured(),
        case("get-secret").what("none").path(&[Recipient, MissingSecret]).status(404),
        case("rotate-secret")
            .path(&[Recipient, Secret])
            .status(201)
            .calls(&[READ, WRITE])
            .repeated(409)
            .with_idempotency_key(200)
            .overcomes("BatchGetItem", [Unprocessed, Refused("ThrottlingException")])
            .overcomes("TransactWriteItems", [MIXED, CONFLICT, AnswerLost])
            .measured(),
        case("rotate-secret")
            .what("with a grace")
            .path(&[Recipient, Secret])
            .body(json!({"graceHours": 24}))
            .status(201)
            .calls(&[READ, &["Query"], WRITE])
            .repeated(409)
            .with_idempotency_key(200),
        case("rotate-secret").what("none").path(&[Recipient, MissingSecret]).status(404),
        case("revoke-secret")
            .path(&[Recipient, Secret])
            .calls(&[READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [MIXED, SilenceBefore])
            .measured(),
        case("revoke-secret").what("none").path(&[Recipient, MissingSecret]).status(404),
        case("verify-secret")
            .path(&[Recipient])
            .body(json!({"secret": "{value}"}))
            .calls(&[READ_AND_QUERY])
            .repeated(200)
            .overcomes("Query", [SilenceBefore])
            .measured(),
    ]
}
