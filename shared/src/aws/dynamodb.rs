//! The DynamoDB client: its endpoint, credentials, time limits and retries.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Config, Credentials, Region};

use crate::aws::transport;

/// The client of a Lambda function, from the environment that Lambda gives it: `AWS_REGION`, the credentials, and
/// `AWS_ENDPOINT_URL_DYNAMODB` or `AWS_ENDPOINT_URL` for another endpoint than the region's.
///
/// It opens no connection yet; `Store::connect` does.
///
/// # Errors
/// The name of a variable that is missing.
pub fn function_client() -> Result<Client, &'static str> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or(name);
    let region = variable("AWS_REGION")?;
    // They stay the same for as long as the sandbox lives.
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID")?,
        variable("AWS_SECRET_ACCESS_KEY")?,
        variable("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    );
    let endpoint =
        ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"].into_iter().find_map(|name| variable(name).ok());
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(transport::http_client(transport::amazon_roots()))
        .region(Region::new(region))
        .credentials_provider(credentials);
    config.set_endpoint_url(endpoint);
    Ok(Client::from_conf(with_limits(config).build()))
}

/// Sets the time limits and retries of a client: 2 s for one attempt, 6 s for an operation with its retries, four
/// attempts.
pub fn with_limits(config: Builder) -> Builder {
    config
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(4)
                .with_initial_backoff(Duration::from_millis(50))
                .with_max_backoff(Duration::from_secs(1)),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(Duration::from_secs(2))
                .operation_timeout(Duration::from_secs(6))
                .build(),
        )
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
        .credentials_provider(Credentials::new("local", "local", None, None, "local"));
    with_limits(config)
}
