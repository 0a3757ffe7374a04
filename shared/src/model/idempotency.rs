//! Requests that their caller may repeat, and the response that is stored for the repetition.

use crate::values::clock::Timestamp;
use crate::values::digest::Digest;
use crate::values::id::AccountId;

/// How many days a response is stored.
pub const DAYS: u16 = 1;

/// A request that carries an idempotency key: by which account, to which path, with which key and which body.
#[derive(Clone)]
pub struct IdempotentRequest {
    /// Identifies the request: a SHA-256 over account, path and key, in hex.
    pub(crate) id: String,
    /// A SHA-256 over the body's canonical form, in hex.
    pub(crate) fingerprint: String,
    pub(crate) at: Timestamp,
}

impl IdempotentRequest {
    /// The request of `account` to `path` with `key`, received at `at`. `body` is its body's canonical form.
    pub fn new(account: AccountId, path: &str, key: &str, body: &str, at: Timestamp) -> Self {
        let id = Digest::of(&format!("{account} {path} {key}")).expose_hex();
        Self { id, fingerprint: Digest::of(body).expose_hex(), at }
    }
}

/// The response to the first of several identical requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// Its body: JSON, without the value of a secret.
    pub body: String,
    /// Its `Location`.
    pub location: Option<String>,
}

/// What the store has for a request that carries an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// The response to the same request.
    Response(StoredResponse),
    /// The key was used with another body.
    KeyReused,
}

/// Outcome of a write that may carry an idempotency key. `R` says why a write is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<R> {
    /// Everything is written.
    Done,
    /// Nothing is written: the key is known.
    Replayed(Replay),
    /// Nothing is written: the state of the table forbids it.
    Refused(R),
}
