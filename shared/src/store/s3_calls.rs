//! The calls of S3: each up to three times if it fails or S3 is busy, and counted.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::byte_stream::ByteStream;

use super::error::Error;
use super::retry::back_off;
use crate::aws::s3::{Bucket, CallFailed, Header};
use crate::request_record::RequestRecord;
use crate::values::clock::{Clock, Timestamp};

/// How often a call is tried in all.
const MAX_ATTEMPTS: u32 = 3;

/// A bucket, and how it is called. Cloning it is cheap.
#[derive(Clone)]
pub(super) struct S3Calls {
    pub(super) bucket: Arc<Bucket>,
    /// Times of signatures come from it.
    pub(super) clock: Clock,
    attempt_timeout: Duration,
    record: RequestRecord,
}

/// A response that is there as a whole.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

impl S3Calls {
    /// Calls of this bucket, an attempt of which takes `attempt_timeout` at most.
    pub(super) fn new(bucket: Bucket, clock: Clock, attempt_timeout: Duration) -> Self {
        Self { bucket: Arc::new(bucket), clock, attempt_timeout, record: RequestRecord::default() }
    }

    /// The same, counted in `record`.
    pub(super) fn recording_to(&self, record: RequestRecord) -> Self {
        Self { record, ..self.clone() }
    }

    /// Makes a call, and returns the response. Its status is the caller's to judge, but for one that says that S3 is busy.
    pub(super) async fn send(
        &self,
        operation: &str,
        method: &str,
        key: &str,
        headers: &[Header<'_>],
        body: &[u8],
    ) -> Result<Response, Error> {
        for attempt in 1.. {
            let sent = self.attempt(method, key, headers, body);
            let error = match self.record.call(tokio::time::timeout(self.attempt_timeout, sent)).await {
                Ok(Ok(response)) if is_busy(response.status) => {
                    Error::unavailable(format!("{operation}: {}", response.status))
                }
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(failed)) => of_failure(operation, &failed),
                Err(_elapsed) => Error::unavailable(format!("{operation}: timed out")),
            };
            if attempt == MAX_ATTEMPTS || matches!(error, Error::Internal(_)) {
                return Err(error);
            }
            back_off(attempt).await;
        }
        Err(Error::internal("S3: not tried"))
    }

    async fn attempt(
        &self,
        method: &str,
        key: &str,
        headers: &[Header<'_>],
        body: &[u8],
    ) -> Result<Response, CallFailed> {
        let now = system_time(self.clock.now());
        let mut response = self.bucket.send(method, key, headers, body, now).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = ByteStream::new(response.take_body()).collect().await;
        let body = body.map_err(|_| CallFailed { cause: "cut short", is_transient: true })?;
        Ok(Response { status, headers, body: body.to_vec() })
    }
}

/// Whether S3 may answer otherwise when it is asked again.
fn is_busy(status: u16) -> bool {
    status >= 500 || [408, 409, 429].contains(&status)
}

pub(super) fn unexpected(operation: &str, status: u16) -> Error {
    Error::internal(format!("{operation}: {status}"))
}

pub(super) fn of_failure(operation: &str, failed: &CallFailed) -> Error {
    let fault = format!("{operation}: {}", failed.cause);
    if failed.is_transient { Error::unavailable(fault) } else { Error::internal(fault) }
}

pub(super) fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(at.unix_milliseconds())
}
