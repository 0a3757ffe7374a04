//! The DynamoDB client: how it connects, how long it waits, how often it tries again.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Config, Region, SharedHttpClient};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

/// The root certificates of AWS's endpoints: Amazon Root CA 1 to 4 and Starfield Services Root CA G2, as
/// <https://www.amazontrust.com/repository/> publishes them. Reading these takes a fraction of the time that
/// reading the operating system's store takes, which is most of what a client's construction costs.
const AMAZON_ROOTS: &str = include_str!("amazon-roots.pem");

/// Whose root certificates a client trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those of AWS's own endpoints: quick to load, enough for a function.
    Amazon,
    /// The operating system's: for an operator whose network may have an authority of its own.
    System,
}

/// The client of a Lambda function, from the environment that Lambda gives it: `AWS_REGION`, the credentials, and
/// `AWS_ENDPOINT_URL_DYNAMODB` or `AWS_ENDPOINT_URL` for another endpoint than the region's.
///
/// It opens no connection; [`crate::store::Store::connect`] does.
///
/// # Errors
/// The name of a variable that is missing.
pub fn function_client() -> Result<Client, &'static str> {
    let region = std::env::var("AWS_REGION").map_err(|_| "AWS_REGION")?;
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        std::env::var_os(name).ok_or(name)?;
    }
    let endpoint = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|url| !url.is_empty()));
    let mut config = Config::builder()
        .region(Region::new(region))
        .credentials_provider(EnvironmentVariableCredentialsProvider::new());
    config.set_endpoint_url(endpoint);
    Ok(Client::from_conf(with_transport(config, Roots::Amazon).build()))
}

/// Gives a client's configuration this project's transport, time limits and retries.
///
/// One attempt is given up after 2 s, one operation with its retries after 6 s.
pub fn with_transport(config: Builder, roots: Roots) -> Builder {
    config
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client(roots))
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(4)
                .with_initial_backoff(Duration::from_millis(50))
                .with_max_backoff(Duration::from_secs(1)),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(Duration::from_secs(2))
                .operation_timeout(Duration::from_secs(6))
                .build(),
        )
}

/// The HTTP client under the SDK: TLS by `rustls` and `ring`, with these roots.
pub fn http_client(roots: Roots) -> SharedHttpClient {
    let trust_store = match roots {
        Roots::Amazon => TrustStore::empty().with_pem_certificate(AMAZON_ROOTS),
        Roots::System => TrustStore::default(),
    };
    let builder = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    match TlsContext::builder().with_trust_store(trust_store).build() {
        Ok(context) => builder.tls_context(context).build_https(),
        Err(_) => builder.build_https(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    #[test]
    fn the_built_in_roots_are_the_five_that_aws_publishes() {
        let names: Vec<&str> = AMAZON_ROOTS.lines().filter_map(|line| line.strip_prefix("# ")).collect();
        assert_eq!(names.len(), 5);
        // Guards against an accidental edit: the certificates were checked against the SHA-256 fingerprints that
        // AWS publishes when this digest was taken.
        let pem: String = AMAZON_ROOTS.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            Digest::of(&pem).expose_hex(),
            "02b32e34c1dda0ea84a56f549ef500c0ad296e01efa5e7607a35501f479e0966"
        );
    }

    #[test]
    fn every_built_in_root_is_a_trust_anchor() {
        let mut store = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(AMAZON_ROOTS.as_bytes()) {
            store.add(certificate.unwrap()).unwrap();
        }
        assert_eq!(store.len(), 5);
    }
}
