//! What is observed of a request: one line of the log and the metrics. `docs/logging.md` describes both.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use docyard_core::request_record::RecordedValues;
use docyard_core::store::Fault;
use lambda_http::{Request, RequestExt};

use crate::endpoint::Endpoint;
use crate::http::error::Error;
use crate::metrics;

/// A request that was answered.
pub(super) struct Observed<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) request: &'a Request,
    pub(super) request_id: &'a str,
    pub(super) is_cold: bool,
    pub(super) recorded: RecordedValues,
    pub(super) status: u16,
    pub(super) failure: Option<Failure>,
    pub(super) elapsed: Duration,
}

/// Why a request failed.
pub(super) struct Failure {
    kind: &'static str,
    fault: Option<String>,
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        Self { kind: error.kind(), fault: error.fault().map(Fault::to_string) }
    }
}

/// Whether this request is the first of its process. Called once for each request, when it begins.
pub(super) fn is_cold_start() -> bool {
    static IS_WARM: AtomicBool = AtomicBool::new(false);
    !IS_WARM.swap(true, Ordering::Relaxed)
}

/// Writes the line of the log and counts the metrics.
pub(super) fn request(observed: Observed) {
    let Observed { endpoint, request, request_id, is_cold, recorded, status, failure, elapsed } = observed;
    let milliseconds = elapsed.as_micros() as f64 / 1000.0;
    let error = failure.as_ref().map(|failure| failure.kind);
    let fault = failure.as_ref().and_then(|failure| failure.fault.as_deref());

    if is_cold {
        metrics::count(metrics::COLD_STARTS);
    }
    if matches!(error, Some("unauthorized" | "invalid_client")) {
        metrics::count(metrics::AUTHENTICATION_FAILURES);
    }
    if matches!(error, Some("unauthorized_client" | "forbidden")) {
        metrics::count(metrics::ACCESS_REFUSALS);
    }
    metrics::latency(milliseconds);

    let lambda = request.lambda_context_ref();
    let ids = recorded.ids.iter().fold(String::new(), |mut ids, id| {
        let _ = write!(ids, "{}{id}", if ids.is_empty() { "" } else { " " });
        ids
    });
    // The level is part of an event's type.
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                request_id,
                lambda_request_id =
                    lambda.map(|lambda| lambda.request_id.as_str()).filter(|id| !id.is_empty()),
                trace_id = lambda.and_then(|lambda| lambda.xray_trace_id.as_deref()),
                function = endpoint.name,
                route = endpoint.route.to_string(),
                account = recorded.account.map(display),
                key = recorded.key.map(display),
                ids = Some(ids.as_str()).filter(|ids| !ids.is_empty()),
                status,
                error,
                fault,
                milliseconds,
                round_trips = recorded.round_trips,
                read_units = recorded.read_units,
                write_units = recorded.write_units,
                cold_start = is_cold,
                "request"
            )
        };
    }
    match status {
        503 => log!(warn),
        500.. => log!(error),
        _ => log!(info),
    }
}
