//! How an operator's commands reach DynamoDB: over the network as it is set up for the AWS CLI, with the region and the
//! credentials that the AWS CLI would take. Each is found before the first call, so that what is missing is named.

use std::error::Error;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::ProviderChainError;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{self, ProfileFileRegionProvider, ProfileSet};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::{CredentialsError, TokenError};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_dynamodb::Client;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_types::os_shim_internal::{Env, Fs};
use axum::http::Uri;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use docyard_core::aws::dynamodb;
use docyard_core::aws::s3::Bucket;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// How long a connection may take, TLS and a proxy's part included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long AWS may take to say who an operator is.
const IDENTITY_TIMEOUT: Duration = Duration::from_secs(3);

/// DynamoDB, as an operator reaches it.
pub(super) struct Connection {
    /// Its client. It has called no DynamoDB yet.
    pub(super) client: Client,
    credentials: Credentials,
    region: String,
    http: SharedHttpConnector,
    /// Who knows the operator; `None` if DynamoDB is not that of AWS.
    sts: Option<aws_sdk_sts::Client>,
}

impl Connection {
    /// Who the operator is: the ARN that AWS STS gives for the credentials, or if it gives none, the id of the access key, by
    /// which CloudTrail finds it too.
    pub(super) async fn identity(&self) -> String {
        let arn = async {
            let caller = self.sts.as_ref()?.get_caller_identity().send();
            tokio::time::timeout(IDENTITY_TIMEOUT, caller).await.ok()?.ok()?.arn
        };
        arn.await.unwrap_or_else(|| self.credentials.access_key_id().to_owned())
    }

    /// A bucket. Fails if its name or the endpoint of S3 is malformed.
    pub(super) fn bucket(&self, name: &str) -> Result<Bucket, String> {
        Bucket::of_operator(name, &self.region, self.credentials.clone(), self.http.clone())
    }
}

/// Connects to DynamoDB at the endpoint, or at the region's if there is none.
///
/// # Errors
/// What is missing or wrong, and what to do, in a line without secrets.
pub(super) async fn connect(endpoint_url: Option<&str>) -> Result<Connection, String> {
    for name in ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"] {
        if variable(name).is_some_and(|url| !is_url(&url)) {
            return Err(format!("{name} is not a URL, https://… or http://…"));
        }
    }
    let http = http_connector()?;
    let profiles = profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), None)
        .await
        .map_err(|error| format!("cannot read the AWS configuration: {}", causes(&error)))?;
    let (profile, origin) = (profiles.selected_profile(), origin(&profiles));
    if profiles.get_profile(origin).is_none() && (origin != profile || origin != "default") {
        let file = |name, default: &str| variable(name).unwrap_or_else(|| default.to_owned());
        return Err(format!(
            "there is no profile {origin} in {} or {}, though {} names it",
            file("AWS_CONFIG_FILE", "~/.aws/config"),
            file("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
            if origin == profile { "AWS_PROFILE" } else { "source_profile" },
        ));
    }
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .region()
        .await
        .filter(|region| !region.as_ref().is_empty())
        .ok_or_else(|| format!("no region: set AWS_REGION, or `region` in the profile {profile}"))?;
    let region_name = region.as_ref().to_owned();
    let shared = aws_config::defaults(BehaviorVersion::latest()).region(region);
    let shared = shared.http_client(http_client(http.clone())).load().await;
    let credentials = match shared.credentials_provider() {
        Some(provider) => {
            provider.provide_credentials().await.map_err(|error| no_credentials(&profiles, &error))?
        }
        None => return Err("no credentials".to_owned()),
    };
    let configured = || variable("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| variable("AWS_ENDPOINT_URL"));
    let url = endpoint_url.map(str::to_owned).or_else(configured);
    // A DynamoDB without TLS is none of AWS's.
    let is_aws = url.is_none_or(|url| !url.starts_with("http://"));
    let is_aws = is_aws || variable("AWS_ENDPOINT_URL_STS").is_some();
    // As they are: a command ends before they expire.
    let sts = aws_sdk_sts::config::Builder::from(&shared).credentials_provider(credentials.clone());
    let sts = is_aws.then(|| aws_sdk_sts::Client::from_conf(sts.build()));
    let mut config =
        aws_sdk_dynamodb::config::Builder::from(&shared).credentials_provider(credentials.clone());
    if let Some(url) = endpoint_url {
        config = config.endpoint_url(url);
    }
    let client = Client::from_conf(dynamodb::with_limits(config).build());
    Ok(Connection { client, credentials, region: region_name, http, sts })
}

/// Whether this is a URL that requests can be sent to.
pub(super) fn is_url(text: &str) -> bool {
    text.parse::<Uri>()
        .is_ok_and(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some())
}

/// A variable of the environment, if it is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The SDK's own HTTP client, which the functions do without, since it takes proxies from `HTTP_PROXY`, `HTTPS_PROXY`,
/// `ALL_PROXY` and `NO_PROXY`. It trusts the authorities in `AWS_CA_BUNDLE`, or else the operating system's.
fn http_connector() -> Result<SharedHttpConnector, String> {
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        // The value may hold a password.
        if variable(name).is_some_and(|url| !is_proxy_url(&url)) {
            return Err(format!("{name} is not the URL of a proxy, http://… or https://…"));
        }
    }
    let mut trusted = TrustStore::empty();
    for root in roots()? {
        trusted.add_pem_certificate(pem(&root));
    }
    let tls = TlsContext::builder().with_trust_store(trusted).build();
    let connector = Connector::builder()
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls.map_err(|error| format!("TLS cannot be set up: {error}"))?)
        .build();
    Ok(SharedHttpConnector::new(connector))
}

fn http_client(connector: SharedHttpConnector) -> SharedHttpClient {
    http_client_fn(move |_settings, _components| connector.clone())
}

/// Whether this is a URL of a proxy, whose scheme may be left out.
fn is_proxy_url(text: &str) -> bool {
    let is_known =
        |url: Uri| matches!(url.scheme_str(), None | Some("http" | "https")) && url.host().is_some();
    text.parse().is_ok_and(is_known)
}

/// The certificates of the authorities to trust, all of which rustls can read.
fn roots() -> Result<Vec<CertificateDer<'static>>, String> {
    let is_readable = |root: &CertificateDer<'static>| RootCertStore::empty().add(root.clone()).is_ok();
    let Some(path) = variable("AWS_CA_BUNDLE") else {
        // Without any, https:// fails for that reason, and http:// works.
        return Ok(rustls_native_certs::load_native_certs().certs.into_iter().filter(is_readable).collect());
    };
    let bundle =
        std::fs::read(&path).map_err(|error| format!("AWS_CA_BUNDLE: cannot read {path}: {error}"))?;
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bundle).collect();
    let mut roots = roots.map_err(|error| format!("AWS_CA_BUNDLE: {path} is not PEM: {error}"))?;
    roots.retain(is_readable);
    if roots.is_empty() {
        return Err(format!("AWS_CA_BUNDLE: {path} has no certificate of an authority in it"));
    }
    Ok(roots)
}

/// A certificate in PEM, the one form that the SDK's client takes.
fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = BASE64_STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// The profile that the selected one takes its credentials from: itself, unless it takes on a role from another.
fn origin(profiles: &ProfileSet) -> &str {
    let mut name = profiles.selected_profile();
    // Each profile once at most: they can name each other in a circle.
    for _ in profiles.profiles() {
        let profile = profiles.get_profile(name);
        match profile.and_then(|profile| profile.get("role_arn").and(profile.get("source_profile"))) {
            Some(source) => name = source,
            None => break,
        }
    }
    name
}

/// Why there are no credentials, and what to do.
fn no_credentials(profiles: &ProfileSet, error: &CredentialsError) -> String {
    let origin = origin(profiles);
    let has = |field| profiles.get_profile(origin).is_some_and(|profile| profile.get(field).is_some());
    let login = if has("sso_session") || has("sso_start_url") {
        Some("aws sso login")
    } else {
        has("login_session").then_some("aws login")
    };
    if let Some(login) = login {
        let causes = causes(error);
        return format!(
            "no credentials by the session of the profile {origin}: {causes}; log in again with: {login} --profile {origin}"
        );
    }
    // Of the sources that have none, the profile alone may say why.
    let chain =
        error.source().and_then(|source| source.downcast_ref::<ProviderChainError<CredentialsError>>());
    let cause = match chain {
        None => causes(error),
        Some(chain) => {
            let profile = chain.attempts().iter().find(|attempt| attempt.name() == "Profile");
            profile.map(|attempt| causes(attempt.error())).unwrap_or_default()
        }
    };
    let because = if cause.is_empty() { cause } else { format!(": {cause}") };
    format!(
        "no credentials by the environment, the profile {} or a role of this machine{because}; set AWS_PROFILE to a \
         profile that has some, or make one with: aws configure",
        profiles.selected_profile()
    )
}

/// An error's causes in one line, without those that only say that there is one. Not its `Debug`, which can hold the
/// answer of a server.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut causes = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if !error.is::<CredentialsError>() && !error.is::<TokenError>() {
            causes.push(error.to_string());
        }
        next = error.source();
    }
    let causes = causes.join(": ");
    causes.trim_end_matches('.').split_whitespace().collect::<Vec<_>>().join(" ")
}
