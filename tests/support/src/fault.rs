//! What can go wrong with a call of DynamoDB.

use std::time::Duration;

use serde_json::{Value, json};

/// A fault of one call of DynamoDB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InjectedFault {
    /// No connection: nothing is done.
    Unreachable,
    /// Nothing is done, and no answer comes.
    SilenceBefore,
    /// It is done, and no answer comes.
    SilenceAfter,
    /// It is done, and the connection breaks before the answer.
    BrokenAfter,
    /// It is done, and half of the answer comes.
    HalfAnswer,
    /// 500, and nothing is done.
    ErrorBefore,
    /// 500, though it is done.
    ErrorAfter,
    /// An empty 500, though it is done.
    AnswerLost,
    /// It is refused with this code.
    Refused(&'static str),
    /// A transaction is canceled for these reasons, in the order of its writes.
    Canceled(&'static [&'static str]),
    /// A batch is taken, and nothing of it done.
    Unprocessed,
    /// It is done, so many milliseconds late, and answered as many late.
    Slow(u64, u64),
}

impl InjectedFault {
    /// Whether a call of this operation can have it.
    pub fn applies_to(self, operation: &str) -> bool {
        match self {
            Self::Canceled(_) => operation == "TransactWriteItems",
            Self::Unprocessed => operation.starts_with("Batch"),
            _ => true,
        }
    }

    /// Answers a call with this fault: the status and the body, or a broken connection. `forward` makes the call.
    pub async fn apply<E, F: Future<Output = Result<(u16, Vec<u8>), E>>>(
        self,
        request: &Value,
        forward: impl FnOnce() -> F,
    ) -> Result<(u16, Vec<u8>), Broken<E>> {
        match self {
            Self::Slow(before, after) => {
                tokio::time::sleep(Duration::from_millis(before)).await;
                let answer = forward().await.map_err(Broken::Forward)?;
                tokio::time::sleep(Duration::from_millis(after)).await;
                Ok(answer)
            }
            Self::Unreachable => Err(Broken::OnPurpose),
            Self::SilenceBefore => std::future::pending().await,
            Self::SilenceAfter => {
                forward().await.map_err(Broken::Forward)?;
                std::future::pending().await
            }
            Self::BrokenAfter => {
                forward().await.map_err(Broken::Forward)?;
                Err(Broken::OnPurpose)
            }
            Self::HalfAnswer => {
                let (status, body) = forward().await.map_err(Broken::Forward)?;
                Ok((status, body[..body.len() / 2].to_vec()))
            }
            Self::ErrorBefore => Ok((500, Vec::new())),
            Self::ErrorAfter => {
                forward().await.map_err(Broken::Forward)?;
                Ok((500, error("InternalServerError").to_string().into_bytes()))
            }
            Self::AnswerLost => {
                forward().await.map_err(Broken::Forward)?;
                Ok((500, Vec::new()))
            }
            Self::Refused(code) => Ok((400, error(code).to_string().into_bytes())),
            Self::Canceled(codes) => {
                let mut error = error("TransactionCanceledException");
                error["CancellationReasons"] = codes.iter().map(|code| json!({"Code": code})).collect();
                Ok((400, error.to_string().into_bytes()))
            }
            Self::Unprocessed => {
                let items = &request["RequestItems"];
                let left = json!({"Responses": {}, "UnprocessedKeys": items, "UnprocessedItems": items});
                Ok((200, left.to_string().into_bytes()))
            }
        }
    }
}

/// A transaction is canceled because of another one on the same items.
pub const CONFLICT: InjectedFault = InjectedFault::Canceled(&["None", "TransactionConflict"]);

/// While another transaction commits, a loser may see the outcome at one item and the conflict at the next.
pub const MIXED: InjectedFault =
    InjectedFault::Canceled(&["ConditionalCheckFailed", "TransactionConflict", "None"]);

/// An identifier in the message of every error: what DynamoDB says may hold a caller's data.
pub const IN_MESSAGE: &str = "POL-2025-88401";

fn error(code: &str) -> Value {
    json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": IN_MESSAGE})
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Broken<E> {
    /// The fault breaks the connection.
    OnPurpose,
    /// The call itself failed.
    Forward(E),
}
