//! The cases of retrieval.

use super::{Case, READ_AND_QUERY, Sender, WRITE, case};
use crate::fault::InjectedFault::{AnswerLost, Refused, Unprocessed};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("get-retrieval-access")
            .by(Sender::Member)
            .calls(&[READ_AND_QUERY, &["BatchGetItem", "GetItem", "Query"]])
            .repeated(200)
            .overcomes("Query", [Refused("ThrottlingException"), AnswerLost])
            .overcomes("BatchGetItem", [Unprocessed])
            .measured(),
        case("get-retrieval-access")
            .what("nothing granted")
            .by(Sender::Outsider)
            .status(403)
            .calls(&[READ_AND_QUERY, &["GetItem", "Query"], WRITE])
            .repeated(403),
    ]
}
