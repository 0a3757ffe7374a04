//! What goes wrong with the table: nothing of a failed call but its operation and its error code, since an error of the
//! SDK can hold whole items.

use std::borrow::Cow;
use std::error::Error as _;
use std::fmt;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::aws::dynamodb::is_throttling_code;

/// What failed inside, for the log alone: never an item, a value or a whole error of the SDK.
#[derive(Clone, Debug)]
pub struct Fault(String);

impl Fault {
    /// A fault. The description holds no data of a caller.
    pub fn new(description: impl Into<String>) -> Self {
        Self(description.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a call of the store failed. Nothing is half done; what was written in steps can be repeated.
#[derive(Clone, Debug)]
pub enum Error {
    /// DynamoDB throttled, was in conflict or out of reach, also after the retries. Repeating the call may help.
    Unavailable(Fault),
    /// A bug: of ours, of the table's items, or of the deployment's permissions.
    Internal(Fault),
}

impl Error {
    /// What failed.
    pub fn fault(&self) -> &Fault {
        match self {
            Self::Unavailable(fault) | Self::Internal(fault) => fault,
        }
    }

    pub(super) fn unavailable(description: impl Into<String>) -> Self {
        Self::Unavailable(Fault::new(description))
    }

    pub(super) fn internal(description: impl Into<String>) -> Self {
        Self::Internal(Fault::new(description))
    }

    /// The SDK refused to build a part of a request that lacks a required field: a bug.
    pub(super) fn incomplete<E>(part: &'static str) -> impl Fn(E) -> Self {
        move |_| Self::internal(format!("{part}: incomplete"))
    }

    /// A condition failed that always holds: a bug.
    pub(super) fn unexpected_refusal(operation: &str) -> Self {
        Self::internal(format!("{operation}: refused by a condition that must hold"))
    }

    /// The error of a failed call: unavailable if another attempt may succeed.
    pub(super) fn of_call<E: ProvideErrorMetadata>(
        operation: &str,
        error: &SdkError<E, HttpResponse>,
    ) -> Self {
        let (is_transient, cause): (bool, Cow<str>) = match error {
            SdkError::TimeoutError(_) => (true, "timed out".into()),
            // The innermost cause is one of the network or of TLS, and holds nothing of the request.
            SdkError::DispatchFailure(failure) => {
                let mut cause = failure.as_connector_error().and_then(|error| error.source());
                while let Some(inner) = cause.and_then(|error| error.source()) {
                    cause = Some(inner);
                }
                let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                (true, format!("out of reach{cause}").into())
            }
            SdkError::ResponseError(_) => (true, "unreadable answer".into()),
            SdkError::ServiceError(context) => {
                let status = context.raw().status();
                match error.code() {
                    // An answer that cannot be read, such as half of one: every error of DynamoDB has a code.
                    None => (true, "unreadable answer".into()),
                    Some(code) => (is_transient_code(code) || status.is_server_error(), code.into()),
                }
            }
            _ => (false, "not sent".into()),
        };
        let fault = Fault::new(format!("{operation}: {cause}"));
        if is_transient { Self::Unavailable(fault) } else { Self::Internal(fault) }
    }
}

/// Whether an error of this code is transient, so that a retry may succeed.
pub(super) fn is_transient_code(code: &str) -> bool {
    is_throttling_code(code)
        || matches!(
            code,
            "TransactionConflict"
                | "TransactionConflictException"
                | "TransactionInProgressException"
                | "InternalServerError"
                | "ServiceUnavailable"
        )
}
