//! The cases of access tokens.

use serde_json::{Value, json};

use super::Sender::Anyone;
use super::Thing::Member;
use super::{Calls, Case, READ, READ_AND_QUERY, WRITE, case};
use crate::fault::InjectedFault::{AnswerLost, Refused, SilenceBefore, Unprocessed};
use crate::fault::MIXED;

const QUERY: Calls = &["Query"];
const DECIDE: Calls = &["BatchGetItem", "Query", "UpdateItem"];

pub(super) fn cases() -> Vec<Case> {
    let of = |recipient: &str, passphrase: &str, more: Value| {
        let mut body = json!({
            "grant_type": "client_credentials", "client_id": recipient, "client_secret": passphrase,
        });
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        body
    };
    vec![
        case("issue-token")
            .by(Anyone)
            .body(of("{member}", "{passphrase}", json!({})))
            .calls(&[QUERY, DECIDE, WRITE])
            .repeated(200)
            .overcomes("Query", [AnswerLost, Refused("ThrottlingException")])
            .overcomes("BatchGetItem", [Unprocessed])
            .overcomes("UpdateItem", [AnswerLost])
            .overcomes("TransactWriteItems", [MIXED, AnswerLost]),
        case("issue-token")
            .what("with identifiers")
            .by(Anyone)
            .body(of("{member}", "{passphrase}", json!({"identifiers": {"policy_number": "POL-{n}"}})))
            .calls(&[READ_AND_QUERY, &["BatchGetItem", "Query", "UpdateItem", "UpdateItem"], WRITE])
            .repeated(200)
            .overcomes("UpdateItem", [AnswerLost, SilenceBefore]),
        case("issue-token")
            .what("nothing granted")
            .by(Anyone)
            .body(of("{outsider}", "{outsider_passphrase}", json!({})))
            .status(400)
            .calls(&[QUERY, &["BatchGetItem", "Query", "UpdateItem"], WRITE])
            .repeated(400),
        case("issue-token")
            .what("a wrong passphrase")
            .by(Anyone)
            .body(of("{member}", "{outsider_passphrase}", json!({})))
            .status(401)
            .calls(&[QUERY])
            .repeated(401),
        case("revoke-token")
            .by(Anyone)
            .body(json!({"token": "{token}"}))
            .calls(&[READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost]),
        case("revoke-recipient-tokens")
            .path(&[Member])
            .calls(&[READ, WRITE])
            .repeated(200)
            .overcomes("TransactWriteItems", [MIXED, AnswerLost])
            .measured(),
    ]
}
