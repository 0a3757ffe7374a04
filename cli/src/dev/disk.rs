//! Whether the disk failed a request. DynamoDB's API has no word for that: a function sees an internal error of
//! DynamoDB, repeats its call, and answers that the service is busy.

use std::cell::RefCell;
use std::fmt;

use aws_sdk_dynamodb::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;

tokio::task_local! {
    /// The last failure of the disk in [`observed`].
    static FAILURE: RefCell<Option<DiskFailure>>;
}

/// The disk is full, or fails. Nothing of the call was written.
pub(super) struct DiskFailure(&'static str);

impl DiskFailure {
    /// The failure that an error of the embedded DynamoDB tells of; `None` if it tells of none.
    pub(super) fn told_by(error: &str) -> Option<Self> {
        // SQLite's texts for SQLITE_FULL and SQLITE_IOERR, and what they mean.
        let meanings = [
            ("database or disk is full", "the disk is full"),
            ("disk I/O error", "the disk is full, or fails (input/output error)"),
        ];
        meanings.into_iter().find(|(text, _)| error.contains(text)).map(|(_, meaning)| Self(meaning))
    }
}

impl fmt::Display for DiskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Does `work`, and gives its output and whether the disk failed it. Its calls must have a client with [`Observer`],
/// and be made in the same task.
pub(super) async fn observed<T>(work: impl Future<Output = T>) -> (T, Option<DiskFailure>) {
    let work = async {
        let output = work.await;
        (output, FAILURE.with(RefCell::take))
    };
    FAILURE.scope(RefCell::default(), work).await
}

/// Reads the answers of the embedded DynamoDB for [`observed`].
#[derive(Debug)]
pub(super) struct Observer;

impl Intercept for Observer {
    fn name(&self) -> &'static str {
        "disk::Observer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let body =
            response.body().bytes().filter(|_| response.status().is_server_error()).unwrap_or_default();
        if let Some(failure) = DiskFailure::told_by(&String::from_utf8_lossy(body)) {
            // Outside of `observed` nobody asks.
            let _ = FAILURE.try_with(|last| last.replace(Some(failure)));
        }
        Ok(())
    }
}
