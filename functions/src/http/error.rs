//! What a caller may be told when a request fails. [`crate::http::response`] turns it into HTTP.

use std::fmt;

use serde::Serialize;

use docyard_core::values::id::RecipientId;

/// A complaint about one field of a request body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The field, by its path from the body's top: `email`, `identifiers.nda_hash`.
    pub field: String,
    /// What it must be, as the rest of a sentence that begins with the field.
    pub message: String,
}

impl FieldError {
    /// A complaint about `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// What failed inside, for the log alone: never an item, a value or a whole error of the SDK.
#[derive(Debug)]
pub struct Fault(String);

impl Fault {
    /// A fault, described without any data of a caller's.
    pub fn new(description: impl Into<String>) -> Self {
        Self(description.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a request failed.
#[derive(Debug)]
pub enum Error {
    /// 400: the body cannot be read at all. The message says what to send.
    BadRequest(&'static str),
    /// 400: fields of the body break their rules; all of them are named.
    Invalid(Vec<FieldError>),
    /// 401: no valid API key. The same for every cause.
    Unauthorized {
        /// Whether a bearer token was sent at all (RFC 6750 §3.1).
        token_sent: bool,
    },
    /// 404: no such thing in the caller's account. Holds what is missing: `Dock`, `Recipient`.
    NotFound(&'static str),
    /// 409: another recipient of the dock has the email.
    EmailTaken(RecipientId),
    /// 409: the state of the thing forbids it. The message says what to do instead.
    Conflict(&'static str),
    /// 422: the `Idempotency-Key` was used with another body.
    IdempotencyKeyReused,
    /// 413: the body is larger than [`crate::http::body::MAX_BYTES`].
    PayloadTooLarge,
    /// 415: the body says that it is something else than JSON.
    UnsupportedMediaType,
    /// 503: DynamoDB throttled, in conflict or out of reach, after the retries.
    Unavailable(Fault),
    /// 500: a defect of ours.
    Internal(Fault),
}

impl Error {
    /// What the log calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::Invalid(_) => "invalid",
            Self::Unauthorized { .. } => "unauthorized",
            Self::NotFound(_) => "not_found",
            Self::EmailTaken(_) => "email_taken",
            Self::Conflict(_) => "conflict",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// What failed inside, if it was not the caller's fault.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Unavailable(fault) | Self::Internal(fault) => Some(fault),
            _ => None,
        }
    }
}
