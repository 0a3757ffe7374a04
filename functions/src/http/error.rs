//! Why a request failed, as its caller may be told. [`super::response`] turns it into HTTP.

use std::fmt;

use docyard_core::model::access::Shortfall;
use docyard_core::store::{self, Fault};
use docyard_core::values::field_error::FieldError;
use docyard_core::values::id::AnyId;

/// Why a request failed.
#[derive(Debug)]
pub enum Error {
    /// 400: the body cannot be read at all.
    BadRequest {
        /// What to send.
        message: &'static str,
        /// What is wrong with parameters and headers.
        errors: Vec<FieldError>,
    },
    /// 400: fields, parameters or headers break their rules. All of them are named.
    Invalid(Vec<FieldError>),
    /// 401: no valid credential. The same for every cause.
    Unauthorized {
        /// Whether a bearer token was sent at all (RFC 6750 §3.1).
        token_sent: bool,
    },
    /// 401: the ticket of a link opens nothing. The same for every cause.
    InvalidLink,
    /// 400 or 401: a request of an OAuth 2.0 client failed, in the form of RFC 6749 §5.2.
    OAuth {
        /// Why.
        code: OAuthCode,
        /// What to do about it, in ASCII without quotes and backslashes.
        description: String,
    },
    /// 403: the recipient proved who it is, and no policy in force grants it anything.
    Forbidden(Shortfall),
    /// 404: the caller's account has no such resource.
    NotFound(Resource),
    /// 409: the resource's state forbids it. The message says what to do instead.
    Conflict(&'static str),
    /// 409: another resource has the value that must be unique.
    Taken(Taken),
    /// 410: what there was is there no longer. The message says what to do instead.
    Gone(&'static str),
    /// 412: `If-Match` names another state of the resource.
    PreconditionFailed,
    /// 413: the body is larger than the endpoint takes. The message says how large it may be.
    PayloadTooLarge(&'static str),
    /// 415: the `Content-Type` is none that the endpoint takes. The message says what to send.
    UnsupportedMediaType(&'static str),
    /// 415: the body has this `Content-Encoding`.
    UnsupportedEncoding(String),
    /// 422: the idempotency key was used with another body.
    IdempotencyKeyReused,
    /// 429: the recipient has made too many requests for a token in this minute.
    TooManyRequests {
        /// How many seconds are left of the minute.
        retry_after: u64,
    },
    /// 500: a bug of ours.
    Internal(Fault),
    /// 503: DynamoDB or S3 throttled, was in conflict or out of reach, also after the retries.
    Unavailable(Fault),
}

/// The error codes of RFC 6749 §5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OAuthCode {
    /// 400: a parameter is missing, given twice, or malformed.
    InvalidRequest,
    /// 401: the client did not authenticate.
    InvalidClient {
        /// Whether it tried to by the header `Authorization`.
        by_header: bool,
    },
    /// 400: the client may not have a token.
    UnauthorizedClient,
    /// 400: there is no such grant.
    UnsupportedGrantType,
    /// 400: there is no such scope.
    InvalidScope,
}

impl OAuthCode {
    /// The code as the response has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient { .. } => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
        }
    }
}

/// A kind of resource, as a 404 names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `Dock not found`
    Dock,
    /// `Recipient not found`
    Recipient,
    /// `Secret not found`
    Secret,
    /// `Certificate not found`
    Certificate,
    /// `Policy not found`
    Policy,
    /// `Version not found`
    Version,
    /// `Template not found`
    Template,
    /// `Group not found`
    Group,
    /// `Artifact not found`
    Artifact,
    /// `Job not found`
    Job,
    /// `Audit log not found`
    AuditLog,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dock => "Dock",
            Self::Recipient => "Recipient",
            Self::Secret => "Secret",
            Self::Certificate => "Certificate",
            Self::Policy => "Policy",
            Self::Version => "Version",
            Self::Template => "Template",
            Self::Group => "Group",
            Self::Artifact => "Artifact",
            Self::Job => "Job",
            Self::AuditLog => "Audit log",
        })
    }
}

/// A value that must be unique and is taken.
#[derive(Debug)]
pub struct Taken {
    /// Its name in the log, such as `email_taken`.
    pub kind: &'static str,
    /// What the caller is told.
    pub message: &'static str,
    /// The resource that has the value. The response shows it under [`AnyId::name`].
    pub by: AnyId,
}

impl Error {
    /// Its name in the log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadRequest { .. } => "bad_request",
            Self::Invalid(_) => "invalid",
            Self::Unauthorized { .. } => "unauthorized",
            Self::InvalidLink => "invalid_link",
            Self::OAuth { code, .. } => code.as_str(),
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::Conflict(_) => "conflict",
            Self::Taken(taken) => taken.kind,
            Self::Gone(_) => "gone",
            Self::PreconditionFailed => "precondition_failed",
            Self::PayloadTooLarge(_) => "payload_too_large",
            Self::UnsupportedMediaType(_) => "unsupported_media_type",
            Self::UnsupportedEncoding(_) => "unsupported_encoding",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::Internal(_) => "internal",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// What failed inside, if it was not the caller's mistake.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Unavailable(fault) | Self::Internal(fault) => Some(fault),
            _ => None,
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Unavailable(fault) => Self::Unavailable(fault),
            store::Error::Internal(fault) => Self::Internal(fault),
        }
    }
}
