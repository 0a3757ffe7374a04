//! What can go wrong with a call of DynamoDB or of S3.

use std::time::Duration;

use axum::http::HeaderMap;
use serde_json::{Value, json};

/// What a call is answered.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answered {
    fn new(status: u16, body: &str) -> Self {
        Self { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() }
    }
}

/// Whether an operation is one of S3.
pub fn is_of_s3(operation: &str) -> bool {
    operation.ends_with("Object")
}

/// A fault of one call of DynamoDB or of S3.
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
    /// S3 refuses it with this status, and nothing is done.
    Status(u16),
    /// It is done, so many milliseconds late, and answered as many late.
    Slow(u64, u64),
}

impl InjectedFault {
    /// Whether a call of this operation can have it.
    pub fn applies_to(self, operation: &str) -> bool {
        match self {
            Self::Canceled(_) => operation == "TransactWriteItems",
            Self::Unprocessed => operation.starts_with("Batch"),
            Self::Refused(_) => !is_of_s3(operation),
            Self::Status(_) => is_of_s3(operation),
            _ => true,
        }
    }

    /// Answers a call with this fault, or breaks its connection. `forward` makes the call.
    pub async fn apply<E, F: Future<Output = Result<Answered, E>>>(
        self,
        request: &Value,
        forward: impl FnOnce() -> F,
    ) -> Result<Answered, Broken<E>> {
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
                let answered = forward().await.map_err(Broken::Forward)?;
                let body = answered.body[..answered.body.len() / 2].to_vec();
                Ok(Answered { headers: HeaderMap::new(), body, ..answered })
            }
            Self::ErrorBefore => Ok(Answered::new(500, "")),
            Self::Status(status) => Ok(Answered::new(status, "")),
            Self::ErrorAfter => {
                forward().await.map_err(Broken::Forward)?;
                Ok(Answered::new(500, &error("InternalServerError").to_string()))
            }
            Self::AnswerLost => {
                forward().await.map_err(Broken::Forward)?;
                Ok(Answered::new(500, ""))
            }
            Self::Refused(code) => Ok(Answered::new(400, &error(code).to_string())),
            Self::Canceled(codes) => {
                let mut error = error("TransactionCanceledException");
                error["CancellationReasons"] = codes.iter().map(|code| json!({"Code": code})).collect();
                Ok(Answered::new(400, &error.to_string()))
            }
            Self::Unprocessed => {
                let items = &request["RequestItems"];
                let left = json!({"Responses": {}, "UnprocessedKeys": items, "UnprocessedItems": items});
                Ok(Answered::new(200, &left.to_string()))
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
