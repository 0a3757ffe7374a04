//! The DynamoDB client: its endpoint, credentials, time limits and retries.

use std::time::Duration;

use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::user_agent::UserAgentInterceptor;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::{BeforeSerializationInterceptorContextRef, InterceptorContext};
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction, RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Builder, Config, ConfigBag, Credentials, Intercept, Region,
    StalledStreamProtectionConfig,
};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::CancellationReason;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::{disable_interceptor, dyn_dispatch_hint};

use crate::aws::environment::{Environment, endpoint_url};
use crate::aws::transport;

/// The client of a Lambda function, from the environment that Lambda gives it: `AWS_REGION`, the credentials, and
/// `AWS_ENDPOINT_URL_DYNAMODB` or `AWS_ENDPOINT_URL` for another endpoint than the region's.
///
/// It opens no connection yet; `Store::connect` does.
///
/// # Errors
/// Which variable is missing or malformed.
pub fn function_client() -> Result<Client, String> {
    let Environment { region, credentials } = Environment::read()?;
    let endpoint = endpoint_url("AWS_ENDPOINT_URL_DYNAMODB")?;
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(transport::http_client(transport::amazon_roots()))
        .region(Region::new(region))
        .retry_partition(retries_within(TokenBucket::builder().capacity(RETRY_TOKENS).build()))
        // An attempt has its own time limit, answer included.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .interceptor(NoDescription)
        .credentials_provider(credentials);
    config.set_endpoint_url(endpoint);
    Ok(Client::from_conf(with_limits(config).build()))
}

/// Leaves out the headers in which the SDK describes itself and its attempts: DynamoDB answers alike without them, and to write, sign
/// and send them is a twentieth of a request's work.
#[derive(Debug)]
struct NoDescription;

#[dyn_dispatch_hint]
impl Intercept for NoDescription {
    fn name(&self) -> &'static str {
        "no description"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let state = config.interceptor_state();
        state.store_put(disable_interceptor::<InvocationIdInterceptor>("not read"));
        state.store_put(disable_interceptor::<RequestInfoInterceptor>("not read"));
        state.store_put(disable_interceptor::<UserAgentInterceptor>("not read"));
        Ok(())
    }
}

/// The tokens of a function's bucket. A retry costs 5, 10 after a timeout, until it succeeds; a call that succeeds at once
/// gives one back. The SDK's 500 are for clients of many requests at once; a function has one.
const RETRY_TOKENS: usize = 100;

/// Retries within a bucket of this client's own.
fn retries_within(bucket: TokenBucket) -> RetryPartition {
    RetryPartition::custom("docyard").token_bucket(bucket).build()
}

/// Sets the time limits and retries of a client: 2 s for one attempt, 6 s for an operation with its retries, four
/// attempts, within the SDK's token bucket, which ends the retries of a client that has little else but failures.
pub fn with_limits(config: Builder) -> Builder {
    config
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(4)
                .with_initial_backoff(Duration::from_millis(50))
                .with_max_backoff(Duration::from_secs(1)),
        )
        .retry_classifier(ThrottledTransactions)
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(Duration::from_secs(2))
                .operation_timeout(Duration::from_secs(6))
                .build(),
        )
}

/// Whether DynamoDB throttles a call that fails with this code, or a write of a transaction that it cancels.
pub fn is_throttling_code(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceeded"
            | "ProvisionedThroughputExceededException"
            | "ThrottlingError"
            | "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded"
    )
}

/// Lets the SDK retry a transaction that is canceled for throttling as it retries any throttled call.
#[derive(Debug)]
struct ThrottledTransactions;

impl ClassifyRetry for ThrottledTransactions {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(|result| result.err()?.as_operation_error());
        match error.and_then(|error| error.downcast_ref()) {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled))
                if canceled
                    .cancellation_reasons()
                    .iter()
                    .filter_map(CancellationReason::code)
                    .any(is_throttling_code) =>
            {
                RetryAction::throttling_error()
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "throttled transactions"
    }
}

/// A client of a DynamoDB endpoint that accepts any credentials, for `docyard dev` and the tests.
pub fn local_client(url: &str) -> Client {
    Client::from_conf(local_config(url).build())
}

/// The configuration of a [`local_client`].
pub fn local_config(url: &str) -> Builder {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(transport::http_client(transport::amazon_roots()))
        .endpoint_url(url)
        .region(Region::from_static("local"))
        // Thousands of requests may share this one client.
        .retry_partition(retries_within(TokenBucket::unlimited()))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"));
    with_limits(config)
}
