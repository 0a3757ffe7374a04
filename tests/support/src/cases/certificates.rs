//! The cases of certificates.

use serde_json::json;

use super::Thing::{Certificate, Member, MissingCertificate, Recipient};
use super::{Case, READ, READ_AND_QUERY, WRITE, case};
use crate::fault::InjectedFault::{AnswerLost, Refused, SilenceBefore, Unprocessed};
use crate::fault::{CONFLICT, MIXED};

pub(super) fn cases() -> Vec<Case> {
    let of = |pem: &str| json!({"name": "Certificate {n}", "certificate": pem});
    vec![
        case("register-certificate")
            .path(&[Recipient])
            .body(of("{pem}"))
            .status(201)
            .calls(&[READ_AND_QUERY, WRITE])
            .repeated(409)
            .with_idempotency_key(201)
            .overcomes("TransactWriteItems", [MIXED, CONFLICT, AnswerLost])
            .measured(),
        case("register-certificate")
            .what("registered already")
            .path(&[Member])
            .body(of("{registered}"))
            .status(409)
            .with_idempotency_key(409),
        case("list-certificates")
            .path(&[Member])
            .calls(&[READ_AND_QUERY])
            .repeated(200)
            .overcomes("Query", [Refused("ThrottlingException"); 2])
            .measured(),
        case("list-certificates").what("a page of 1000").path(&[Member]).query("limit=1000").repeated(200),
        case("get-certificate")
            .path(&[Member, Certificate])
            .calls(&[READ])
            .repeated(200)
            .overcomes("BatchGetItem", [Unprocessed, Refused("ThrottlingException")])
            .measured(),
        case("get-certificate").what("none").path(&[Member, MissingCertificate]).status(404),
        case("revoke-certificate")
            .path(&[Member, Certificate])
            .calls(&[READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [MIXED, SilenceBefore])
            .measured(),
        case("revoke-certificate").what("none").path(&[Member, MissingCertificate]).status(404),
    ]
}
