//! What is counted and timed, in CloudWatch's [embedded metric format][emf]: a line of JSON for each request, of which
//! CloudWatch Logs makes metrics.
//!
//! Handlers count through crate `metrics`, which does nothing if no [`Recorder`] is installed, as in the local server.
//!
//! [emf]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

use std::io::Write;

use metrics::Unit;
use metrics_cloudwatch_embedded::{Builder, Collector};

/// The namespace of all metrics.
pub const NAMESPACE: &str = "DocyardAccess";

/// The only dimension. Its value is the deployment's stage.
pub const DIMENSION: &str = "Stage";

/// Recipients that were created.
pub const RECIPIENTS_CREATED: &str = "RecipientsCreated";
/// Secrets that were generated, without replacements.
pub const SECRETS_GENERATED: &str = "SecretsGenerated";
/// Secrets that were rotated.
pub const SECRETS_ROTATED: &str = "SecretsRotated";
/// Secrets that were revoked.
pub const SECRETS_REVOKED: &str = "SecretsRevoked";
/// Verifications of a valid value.
pub const VALID_VERIFICATIONS: &str = "ValidVerifications";
/// Verifications of a value that is not valid.
pub const INVALID_VERIFICATIONS: &str = "InvalidVerifications";
/// Access tokens that were issued.
pub const TOKENS_ISSUED: &str = "TokensIssued";
/// Requests of recipients that proved who they are, and that no policy let in.
pub const ACCESS_REFUSALS: &str = "AccessRefusals";
/// Requests without a valid API key or access token, and requests for a token with a wrong passphrase.
pub const AUTHENTICATION_FAILURES: &str = "AuthenticationFailures";
/// Items of the audit trail that were changed, deleted before their time, or written by somebody else.
pub const AUDIT_ALTERATIONS: &str = "AuditAlterations";
/// How long requests took inside the function, in milliseconds.
pub const LATENCY: &str = "Latency";
/// Requests that were the first of their sandbox.
pub const COLD_STARTS: &str = "ColdStarts";

/// All metrics.
pub const ALL: &[&str] = &[
    RECIPIENTS_CREATED,
    SECRETS_GENERATED,
    SECRETS_ROTATED,
    SECRETS_REVOKED,
    VALID_VERIFICATIONS,
    INVALID_VERIFICATIONS,
    TOKENS_ISSUED,
    ACCESS_REFUSALS,
    AUTHENTICATION_FAILURES,
    AUDIT_ALTERATIONS,
    LATENCY,
    COLD_STARTS,
];

/// Increments a counter.
pub fn count(metric: &'static str) {
    metrics::counter!(metric).increment(1);
}

/// Records the time of a request.
pub fn latency(milliseconds: f64) {
    metrics::histogram!(LATENCY).record(milliseconds);
}

/// Collects the metrics of this process.
#[derive(Clone, Copy)]
pub struct Recorder(&'static Collector);

impl Recorder {
    /// Starts collecting.
    ///
    /// # Errors
    /// If another recorder is installed.
    pub fn install(stage: String) -> Result<Self, String> {
        let collector =
            Builder::new().cloudwatch_namespace(NAMESPACE).with_dimension(DIMENSION, stage).init();
        let collector = collector.map_err(|error| error.to_string())?;
        for metric in ALL.iter().copied().filter(|metric| *metric != LATENCY) {
            metrics::describe_counter!(metric, Unit::Count, "");
        }
        metrics::describe_histogram!(LATENCY, Unit::Milliseconds, "");
        Ok(Self(collector))
    }

    /// Writes what was collected since the last call, as one line on the standard output.
    pub fn flush(self) {
        let mut line = Vec::new();
        if self.0.flush(&mut line).is_ok() {
            // If the standard output is closed, there is nowhere to report it.
            let _ = std::io::stdout().write_all(&line);
        }
    }
}
