//! The calls of S3 on one bucket, signed with [Signature Version 4]: sent from here, or as an address for someone else.
//!
//! The SDK's client of S3 does far more than the three calls that are made here, and is larger than a function may be. The
//! signing is the SDK's own.
//!
//! [Signature Version 4]: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use http::{Request, Uri};
use sha2::{Digest, Sha256};

use crate::aws::environment::{Environment, endpoint_url, given};
use crate::aws::transport;

/// A header and its value.
pub type Header<'a> = (&'a str, &'a str);

/// A bucket, and the credentials to reach it. It has no `Debug`, so that they reach no log.
pub struct Bucket {
    /// The address of its objects' keys, without the slash before one.
    url: String,
    region: String,
    identity: Identity,
    http: SharedHttpConnector,
}

/// An address that lets whoever has it make one call. It has neither `Debug` nor `Display`, so that it reaches no log.
///
/// ```compile_fail,E0277
/// fn shown(url: docyard_core::aws::s3::SignedUrl) -> String { format!("{url:?}") }
/// ```
pub struct SignedUrl(String);

impl SignedUrl {
    /// The address, for the response to who asked for it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Why a call got no response: a request that cannot be signed or sent at all is a bug; anything else may pass.
#[derive(Debug)]
pub struct CallFailed {
    /// What failed, without anything of the request.
    pub cause: &'static str,
    /// Whether another attempt may succeed.
    pub is_transient: bool,
}

const NOT_SIGNED: CallFailed = CallFailed::bug("not signed");

impl CallFailed {
    const fn bug(cause: &'static str) -> Self {
        Self { cause, is_transient: false }
    }
}

impl Bucket {
    /// The bucket of a Lambda function, from its environment: `BUCKET_NAME`, the region and the credentials that Lambda
    /// gives, and `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` for another endpoint than the region's.
    ///
    /// # Errors
    /// Which variable is missing or malformed.
    pub fn of_function() -> Result<Self, String> {
        let Environment { region, credentials } = Environment::read()?;
        let name = given("BUCKET_NAME").ok_or("BUCKET_NAME is not set")?;
        let url = url(&name, &region).map_err(|reason| format!("BUCKET_NAME: {reason}"))?;
        Ok(Self::new(url, region, credentials))
    }

    /// The bucket of this name, as an operator reaches it with credentials of their own: in this region, or at the endpoint that
    /// `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` names.
    ///
    /// # Errors
    /// What is malformed.
    pub fn of_operator(
        name: &str,
        region: &str,
        credentials: Credentials,
        http: SharedHttpConnector,
    ) -> Result<Self, String> {
        let url = url(name, region)?;
        Ok(Self { url, region: region.to_owned(), identity: credentials.into(), http })
    }

    /// The bucket at this address of a local server, which knows this key alone.
    pub fn local(url: impl Into<String>, access_key: &str, secret_key: &str) -> Self {
        let credentials = Credentials::new(access_key, secret_key, None, None, "local");
        Self::new(url.into(), "us-east-1".to_owned(), credentials)
    }

    /// The same bucket. Its calls are sent by `http`, which a test makes fail.
    pub fn sending_by(self, http: SharedHttpConnector) -> Self {
        Self { http, ..self }
    }

    fn new(url: String, region: String, credentials: Credentials) -> Self {
        let http = transport::connector(transport::amazon_roots());
        Self { url, region, identity: credentials.into(), http }
    }

    /// An address for `method` on an object, good for `lifetime` from `at`. Who uses it must send these headers, and for a
    /// `GET` gets the headers that `query` asks S3 to answer with.
    ///
    /// # Errors
    /// It cannot be signed: a bug.
    pub fn presign(
        &self,
        method: &str,
        key: &str,
        query: &str,
        headers: &[Header<'_>],
        lifetime: Duration,
        at: SystemTime,
    ) -> Result<SignedUrl, CallFailed> {
        let separator = if query.is_empty() { "" } else { "?" };
        let url = format!("{}/{key}{separator}{query}", self.url);
        let mut settings = settings();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(lifetime);
        let mut request = request(method, &url, &[], SdkBody::empty())?;
        self.sign(&mut request, headers, SignableBody::UnsignedPayload, settings, at)?;
        Ok(SignedUrl(request.uri().to_string()))
    }

    /// Makes a call on an object, and returns the response; one attempt, without a time limit.
    ///
    /// # Errors
    /// There is no response.
    pub async fn send(
        &self,
        method: &str,
        key: &str,
        headers: &[Header<'_>],
        body: &[u8],
        at: SystemTime,
    ) -> Result<HttpResponse, CallFailed> {
        let mut request =
            request(method, &format!("{}/{key}", self.url), headers, SdkBody::from(body.to_vec()))?;
        let mut settings = settings();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let digest = hex::encode(Sha256::digest(body));
        self.sign(&mut request, headers, SignableBody::Precomputed(digest), settings, at)?;
        let request = request.try_into().map_err(|_| CallFailed::bug("not a request"))?;
        self.http.call(request).await.map_err(|error| match error {
            error if error.is_user() => CallFailed::bug("not sent"),
            error if error.is_timeout() => CallFailed { cause: "timed out", is_transient: true },
            _ => CallFailed { cause: "out of reach", is_transient: true },
        })
    }

    fn sign(
        &self,
        request: &mut Request<SdkBody>,
        headers: &[Header<'_>],
        body: SignableBody<'_>,
        settings: SigningSettings,
        at: SystemTime,
    ) -> Result<(), CallFailed> {
        let parameters = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name("s3")
            .time(at)
            .settings(settings)
            .build()
            .map_err(|_| NOT_SIGNED)?
            .into();
        let (method, url) = (request.method().clone(), request.uri().to_string());
        let signable = SignableRequest::new(method.as_str(), url, headers.iter().copied(), body)
            .map_err(|_| NOT_SIGNED)?;
        let (instructions, _) = sign(signable, &parameters).map_err(|_| NOT_SIGNED)?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }
}

/// The address of a bucket's objects.
fn url(bucket: &str, region: &str) -> Result<String, String> {
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, without dots, which TLS cannot have.
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(is_name) {
        return Err("a bucket's name must be 3 to 63 of a-z, 0-9 and -".to_owned());
    }
    Ok(match endpoint_url("AWS_ENDPOINT_URL_S3")? {
        Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
        None => format!("https://{bucket}.s3.{region}.{}", domain(region)),
    })
}

/// S3 takes a path as it is.
fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings
}

fn request(
    method: &str,
    url: &str,
    headers: &[Header<'_>],
    body: SdkBody,
) -> Result<Request<SdkBody>, CallFailed> {
    let uri: Uri = url.parse().map_err(|_| CallFailed::bug("not an address"))?;
    let builder = Request::builder().method(method).uri(uri);
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    builder.body(body).map_err(|_| CallFailed::bug("not a request"))
}

/// The domain of AWS's endpoints in a region.
fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}
