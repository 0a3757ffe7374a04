//! What an API Gateway HTTP API does between a client and a function: it matches the route, makes an event of [payload
//! format 2.0][format] of the request, calls the function, makes a response of its output, and answers by itself what
//! reaches no function.
//!
//! [format]: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use docyard_core::context::Context;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::random;
use docyard_core::values::x509::{self, X509};
use docyard_functions::endpoint::Endpoint;
use docyard_functions::endpoints;
use docyard_functions::lambda::event::Event;
use docyard_functions::lambda::service::service;
use docyard_functions::route::{Route, parameter};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use lambda_http::lambda_runtime::LambdaEvent;
use lambda_http::tower::ServiceExt;
use percent_encoding::percent_decode_str;
use rand::Rng;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::data_dir::DataDir;
use super::disk;
use super::server::READ_TIMEOUT;

/// The most bytes of a request line and its header values together.
const MAX_HEAD_BYTES: usize = 10_240;
/// The most bytes of a request's body.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;
/// How many functions run at once. Further requests wait, without a limit of time: the embedded database does one thing
/// at a time, and calls that wait for it inside a function would reach its time limits.
const MAX_RUNNING: usize = 32;

/// Headers that concern only one connection (RFC 9110 §7.6.1), and those that API Gateway sets itself.
const NOT_SENT_ON: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-port",
    "x-forwarded-proto",
];

/// The API: every route and its function.
pub(super) struct Gateway {
    context: Context,
    data_dir: Arc<DataDir>,
    running: Arc<Semaphore>,
}

/// The certificate that a client presented, in an event's form. It is an extension of each request on its connection.
#[derive(Clone)]
pub(super) struct ClientCertificate(pub(super) Arc<Value>);

impl ClientCertificate {
    /// Reads a certificate in DER; `None` if it is none.
    pub(super) fn from_der(der: &[u8]) -> Option<Self> {
        let certificate = X509::from_der(der)?;
        Some(Self(Arc::new(json!({
            "clientCertPem": x509::to_pem(der),
            "subjectDN": certificate.subject,
            "issuerDN": certificate.issuer,
            "serialNumber": with_colons(&certificate.serial_number),
            "validity": {
                "notBefore": openssl_time(certificate.not_before),
                "notAfter": openssl_time(certificate.not_after),
            },
        }))))
    }
}

/// Why a request does not reach a function, or its output not the client.
struct Refusal(StatusCode, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> axum::response::Response {
        let Self(status, message) = self;
        (status, [(CONTENT_TYPE, "application/json")], json!({ "message": message }).to_string())
            .into_response()
    }
}

const BAD_REQUEST: Refusal = Refusal(StatusCode::BAD_REQUEST, "Bad Request");
const NOT_FOUND: Refusal = Refusal(StatusCode::NOT_FOUND, "Not Found");
const BODY_TOO_LARGE: Refusal = Refusal(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
const HEAD_TOO_LARGE: Refusal =
    Refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large");
const BODY_TOO_SLOW: Refusal = Refusal(StatusCode::REQUEST_TIMEOUT, "Request Timeout");
/// API Gateway has neither a disk nor a directory, so these two have no words of its own.
const DISK_FAILED: Refusal = Refusal(
    StatusCode::INSUFFICIENT_STORAGE,
    "The disk is full, or fails; free some space and repeat the request",
);
const DATA_TAKEN_AWAY: Refusal =
    Refusal(StatusCode::INTERNAL_SERVER_ERROR, "The data of docyard dev was removed or replaced");
const FUNCTION_FAILED: Refusal = Refusal(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");

impl Gateway {
    /// The API over this context, whose data is in this directory and whose client has a [`disk::Observer`].
    pub(super) fn new(context: Context, data_dir: Arc<DataDir>) -> Self {
        Self { context, data_dir, running: Arc::new(Semaphore::new(MAX_RUNNING)) }
    }

    /// The router for an HTTP server.
    pub(super) fn router(self) -> Router {
        Router::new().fallback(Self::answer).with_state(Arc::new(self))
    }

    async fn answer(State(gateway): State<Arc<Self>>, request: Request) -> Result<Response<Body>, Refusal> {
        let (head, body) = request.into_parts();
        check_head(&head)?;
        let path = decoded_segments(head.uri.path())?;
        let (endpoint, path_parameters) =
            find(endpoints::all(), head.method.as_str(), &path).ok_or(NOT_FOUND)?;
        let body = Limited::new(body, MAX_BODY_BYTES).collect();
        let body = tokio::time::timeout(READ_TIMEOUT, body)
            .await
            .map_err(|_elapsed| BODY_TOO_SLOW)?
            .map_err(|error| if error.is::<LengthLimitError>() { BODY_TOO_LARGE } else { BAD_REQUEST })?;
        let body = body.to_bytes();
        let event = event(endpoint.route, &head, &path, path_parameters, &body, gateway.context.now());
        // The server has no connection with TLS without a certificate.
        let has_tls = head.extensions.get::<ClientCertificate>().is_some();
        let plain_authority = head.headers.get(HOST).map(text).filter(|_| !has_tls);
        gateway.invoke(endpoint, gateway.context.clone().with_plain_authority(plain_authority), event).await
    }

    /// Calls the function, which runs to its end even if the client disconnects.
    async fn invoke(
        &self,
        endpoint: &'static Endpoint,
        context: Context,
        event: Value,
    ) -> Result<Response<Body>, Refusal> {
        let event: Event = serde_json::from_value(event).map_err(|error| {
            tracing::error!(%error, "an event was not read");
            FUNCTION_FAILED
        })?;
        let function = service(endpoint, context);
        let call = function.oneshot(LambdaEvent::new(event, lambda_http::Context::default()));
        let permit = self.running.clone().acquire_owned().await.map_err(|_closed| FUNCTION_FAILED)?;
        let run = async move {
            let output = disk::observed(call).await;
            drop(permit);
            output
        };
        let Ok((Ok(output), failure)) = tokio::spawn(run).await else { return Err(FUNCTION_FAILED) };
        let output = serde_json::to_value(&output).ok();
        let response = output.as_ref().and_then(response).ok_or(FUNCTION_FAILED)?;
        // What was written after this is known to be lost must not be acknowledged.
        self.data_dir.check().map_err(|_reason| DATA_TAKEN_AWAY)?;
        match failure {
            Some(failure) if response.status().is_server_error() => {
                tracing::error!("{}", self.data_dir.cannot_write(&failure));
                Err(DISK_FAILED)
            }
            _ => Ok(response),
        }
    }
}

fn check_head(head: &axum::http::request::Parts) -> Result<(), Refusal> {
    let request_line = head.method.as_str().len() + head.uri.to_string().len();
    let values: usize = head.headers.values().map(HeaderValue::len).sum();
    if request_line + values > MAX_HEAD_BYTES {
        return Err(HEAD_TOO_LARGE);
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    let host_is_valid = |host: &HeaderValue| Authority::try_from(host.as_bytes()).is_ok();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if host_is_valid(host) => Ok(()),
        _ => Err(BAD_REQUEST),
    }
}

/// The path's segments, percent-decoded one by one, so that an encoded slash stays in its segment.
fn decoded_segments(path: &str) -> Result<Vec<String>, Refusal> {
    let segments = path.strip_prefix('/').ok_or(NOT_FOUND)?.split('/');
    let decode =
        |segment| percent_decode_str(segment).decode_utf8().map(Cow::into_owned).map_err(|_| BAD_REQUEST);
    segments.map(decode).collect()
}

/// The endpoint that serves a request, and the values of its path parameters. Like API Gateway it takes the most
/// specific route of the method: where routes differ, a literal segment wins over a parameter, whatever their order.
fn find(
    endpoints: impl Iterator<Item = &'static Endpoint>,
    method: &str,
    path: &[String],
) -> Option<(&'static Endpoint, Map<String, Value>)> {
    let matching = endpoints
        .filter(|endpoint| endpoint.route.method.as_str() == method)
        .filter_map(|endpoint| Some((endpoint, match_path(endpoint.route.path, path)?)));
    matching.min_by_key(|(endpoint, _)| {
        endpoint.route.path.split('/').map(|segment| parameter(segment).is_some()).collect::<Vec<_>>()
    })
}

/// The values of a route's path parameters, if the path is the route's.
fn match_path(pattern: &str, path: &[String]) -> Option<Map<String, Value>> {
    let pattern: Vec<&str> = pattern.trim_start_matches('/').split('/').collect();
    if pattern.len() != path.len() {
        return None;
    }
    let mut parameters = Map::new();
    for (expected, actual) in pattern.into_iter().zip(path) {
        match parameter(expected) {
            Some(_) if actual.is_empty() => return None,
            Some(name) => drop(parameters.insert(name.to_owned(), json!(actual))),
            None if expected == actual => {}
            None => return None,
        }
    }
    Some(parameters)
}

fn event(
    route: Route,
    head: &axum::http::request::Parts,
    path: &[String],
    path_parameters: Map<String, Value>,
    body: &[u8],
    now: Timestamp,
) -> Value {
    let path = format!("/{}", path.join("/"));
    // With its port, which API Gateway does not have.
    let host = head.headers.get(HOST).map(text).unwrap_or_default();
    let (body, is_base64) = encoded_body(&head.headers, body);
    let mut context = json!({
        "accountId": "000000000000",
        "apiId": "local",
        "domainName": host,
        "domainPrefix": host.split(['.', ':']).next(),
        "http": {
            "method": head.method.as_str(),
            "path": path,
            "protocol": format!("{:?}", head.version),
            "sourceIp": "127.0.0.1",
            "userAgent": head.headers.get("user-agent").map(text).unwrap_or_default(),
        },
        "requestId": request_id(),
        "routeKey": route.to_string(),
        "stage": "$default",
        "time": common_log_time(now),
        "timeEpoch": now.unix_milliseconds(),
    });
    let certificate = head.extensions.get::<ClientCertificate>();
    if let (Value::Object(context), Some(ClientCertificate(certificate))) = (&mut context, certificate) {
        context.insert("authentication".to_owned(), json!({ "clientCert": **certificate }));
    }
    let mut event = json!({
        "version": "2.0",
        "routeKey": route.to_string(),
        "rawPath": path,
        "rawQueryString": head.uri.query().unwrap_or_default(),
        "headers": headers(&head.headers, &host, certificate.is_some()),
        "requestContext": context,
        "pathParameters": path_parameters,
        "isBase64Encoded": is_base64,
    });
    let optional = [
        ("body", body.map(Value::String)),
        ("cookies", cookies(&head.headers)),
        ("queryStringParameters", head.uri.query().and_then(query_parameters)),
    ];
    if let Value::Object(event) = &mut event {
        event.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    event
}

/// A request id like API Gateway's: 16 characters of base64.
fn request_id() -> String {
    let mut bytes = [0; 11];
    random::system().fill_bytes(&mut bytes);
    STANDARD.encode(bytes)
}

/// `15/Jan/2025:10:32:00 +0000`, from `2025-01-15T10:32:00.000Z`.
fn common_log_time(now: Timestamp) -> String {
    let date = now.date();
    format!("{:02}/{}/{:04}:{} +0000", date.day(), month(now), date.year(), time_of_day(now))
}

/// `Jan  5 10:32:00 2025 GMT`, from `2025-01-05T10:32:00.000Z`, as OpenSSL prints the time of a certificate.
fn openssl_time(time: Timestamp) -> String {
    let date = time.date();
    format!("{} {:>2} {} {:04} GMT", month(time), date.day(), time_of_day(time), date.year())
}

/// The first three letters of the month.
fn month(time: Timestamp) -> String {
    time.date().month().to_string().chars().take(3).collect()
}

/// `10:32:00`, from `2025-01-15T10:32:00.000Z`.
fn time_of_day(time: Timestamp) -> String {
    time.to_string().chars().skip(11).take(8).collect()
}

/// Hex as API Gateway writes a serial number: `0a:1b`, from `0A1B`.
fn with_colons(hex: &str) -> String {
    let mut text = String::new();
    for (position, digit) in hex.to_lowercase().chars().enumerate() {
        if position > 0 && position % 2 == 0 {
            text.push(':');
        }
        text.push(digit);
    }
    text
}

/// The headers by their lower-case names; values of repeated ones joined with commas. Those of API Gateway say how the request came: with TLS
/// if it has a certificate, since the server has no connection with TLS without one.
fn headers(headers: &HeaderMap, host: &str, has_tls: bool) -> Map<String, Value> {
    let mut event: Map<String, Value> = headers
        .keys()
        .filter(|name| **name != COOKIE && !NOT_SENT_ON.contains(&name.as_str()))
        .map(|name| (name.as_str().to_owned(), json!(joined(headers, name, ","))))
        .collect();
    let (scheme, default_port) = if has_tls { ("https", "443") } else { ("http", "80") };
    let port = host.parse::<Authority>().ok().and_then(|authority| Some(authority.port()?.to_string()));
    event.insert("x-forwarded-port".to_owned(), json!(port.as_deref().unwrap_or(default_port)));
    event.insert("x-forwarded-proto".to_owned(), json!(scheme));
    event
}

fn joined(headers: &HeaderMap, name: &HeaderName, separator: &str) -> String {
    headers.get_all(name).iter().map(text).collect::<Vec<_>>().join(separator)
}

/// A header's value as text: UTF-8, or else Latin-1.
fn text(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().copied().map(char::from).collect(), str::to_owned)
}

fn cookies(headers: &HeaderMap) -> Option<Value> {
    headers
        .contains_key(COOKIE)
        .then(|| joined(headers, &COOKIE, "; ").split("; ").map(Value::from).collect())
}

/// The decoded parameters, repeated ones joined with commas.
fn query_parameters(query: &str) -> Option<Value> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let mut parameters: Map<String, Value> = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name), decode(value));
        let value = match parameters.get(&name).and_then(Value::as_str) {
            Some(earlier) => format!("{earlier},{value}"),
            None => value,
        };
        parameters.insert(name, json!(value));
    }
    (!parameters.is_empty()).then_some(Value::Object(parameters))
}

/// The body as text if its type is text, else in base64; and whether it is base64.
fn encoded_body(headers: &HeaderMap, body: &[u8]) -> (Option<String>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    let content_type = headers.get(CONTENT_TYPE).map(text).unwrap_or_default().to_ascii_lowercase();
    let is_text = ["text/", "application/json", "application/javascript", "application/xml"]
        .iter()
        .any(|prefix| content_type.starts_with(prefix));
    match std::str::from_utf8(body) {
        Ok(text) if is_text => (Some(text.to_owned()), false),
        _ => (Some(STANDARD.encode(body)), true),
    }
}

/// The response that a function's output describes; `None` if it describes none.
fn response(output: &Value) -> Option<Response<Body>> {
    let body = output.get("body").and_then(Value::as_str).unwrap_or_default();
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() =
        StatusCode::from_u16(output.get("statusCode")?.as_u64()?.try_into().ok()?).ok()?;
    for (name, value) in output.get("headers")?.as_object()? {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        response.headers_mut().insert(name, HeaderValue::from_str(value.as_str()?).ok()?);
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use docyard_functions::recipients::create;
    use docyard_functions::route::Method;

    fn head(uri: &str, headers: &[(&'static str, &[u8])]) -> axum::http::request::Parts {
        let mut request = Request::builder().method("POST").uri(uri);
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
        }
        request.body(Body::empty()).unwrap().into_parts().0
    }

    fn event_of(uri: &str, headers: &[(&'static str, &[u8])], body: &[u8]) -> Value {
        let head = head(uri, headers);
        let path = decoded_segments(head.uri.path()).ok().unwrap();
        let parameters = match_path(create::ENDPOINT.route.path, &path).unwrap();
        let now = Timestamp::parse("2025-01-05T10:32:00.000Z").unwrap();
        event(create::ENDPOINT.route, &head, &path, parameters, body, now)
    }

    const fn endpoint(route: Route) -> Endpoint {
        Endpoint { route, ..create::ENDPOINT }
    }

    #[test]
    fn the_most_specific_route_of_the_method_matches_whatever_the_order() {
        const BY_ID: &Endpoint = &endpoint(Route::new(Method::Get, "/v1/docks/{dockId}"));
        const LITERAL: &Endpoint = &endpoint(Route::new(Method::Get, "/v1/docks/search"));
        const LITERAL_FIRST: &Endpoint = &endpoint(Route::new(Method::Get, "/v1/docks/search/{dockId}"));
        const LITERAL_LAST: &Endpoint = &endpoint(Route::new(Method::Get, "/v1/docks/{dockId}/recipients"));
        const POST: &Endpoint = &endpoint(Route::new(Method::Post, "/v1/docks/{dockId}"));
        let routes = [BY_ID, LITERAL, LITERAL_FIRST, LITERAL_LAST, POST];
        for (method, path, expected) in [
            ("GET", "/v1/docks/search", LITERAL),
            ("GET", "/v1/docks/other", BY_ID),
            ("POST", "/v1/docks/search", POST),
            ("GET", "/v1/docks/search/recipients", LITERAL_FIRST),
            ("GET", "/v1/docks/other/recipients", LITERAL_LAST),
        ] {
            let path = decoded_segments(path).ok().unwrap();
            for turn in 0..routes.len() {
                let mut routes = routes;
                routes.rotate_left(turn);
                for routes in [routes, {
                    routes.reverse();
                    routes
                }] {
                    let (found, _) = find(routes.into_iter(), method, &path).unwrap();
                    assert_eq!(found.route, expected.route, "{method} {path:?}");
                }
            }
        }
        assert!(find(routes.into_iter(), "PUT", &["v1".into(), "docks".into(), "search".into()]).is_none());
    }

    #[test]
    fn an_event_has_the_shape_of_payload_format_2() {
        let uri = "/v1/docks/a%2Fb%20c/recipients?x=1&y=%C3%A9+z&x=2";
        let headers: &[(&'static str, &[u8])] = &[
            ("host", b"localhost:3000"),
            ("user-agent", b"curl/8"),
            ("content-type", b"application/json"),
            ("x-two", b"a"),
            ("x-two", b"b"),
            ("x-latin", b"Beno\xeet"),
            ("cookie", b"a=1; b=2"),
            ("connection", b"keep-alive"),
            ("x-forwarded-proto", b"gopher"),
        ];
        let mut event = event_of(uri, headers, b"{}");
        let request_id = event["requestContext"]["requestId"].take();
        assert_eq!(request_id.as_str().unwrap().len(), 16);
        assert_eq!(
            event,
            json!({
                "version": "2.0",
                "routeKey": "POST /v1/docks/{dockId}/recipients",
                "rawPath": "/v1/docks/a/b c/recipients",
                "rawQueryString": "x=1&y=%C3%A9+z&x=2",
                "cookies": ["a=1", "b=2"],
                "headers": {
                    "host": "localhost:3000", "user-agent": "curl/8", "content-type": "application/json",
                    "x-two": "a,b", "x-latin": "Beno\u{ee}t", "x-forwarded-port": "3000", "x-forwarded-proto": "http",
                },
                "queryStringParameters": {"x": "1,2", "y": "é z"},
                "requestContext": {
                    "accountId": "000000000000", "apiId": "local", "domainName": "localhost:3000",
                    "domainPrefix": "localhost",
                    "http": {
                        "method": "POST", "path": "/v1/docks/a/b c/recipients", "protocol": "HTTP/1.1",
                        "sourceIp": "127.0.0.1", "userAgent": "curl/8",
                    },
                    "requestId": null,
                    "routeKey": "POST /v1/docks/{dockId}/recipients",
                    "stage": "$default",
                    "time": "05/Jan/2025:10:32:00 +0000",
                    "timeEpoch": 1_736_073_120_000_u64,
                },
                "pathParameters": {"dockId": "a/b c"},
                "body": "{}",
                "isBase64Encoded": false,
            })
        );
    }

    /// A certificate that says what these do.
    fn certificate(
        subject: &str,
        serial_number: &[u8],
        from: (i32, u8, u8),
        to: (i32, u8, u8),
    ) -> rcgen::Certificate {
        let mut certificate = rcgen::CertificateParams::default();
        certificate.distinguished_name = rcgen::DistinguishedName::new();
        certificate.distinguished_name.push(rcgen::DnType::CommonName, subject);
        certificate.serial_number = Some(rcgen::SerialNumber::from_slice(serial_number));
        certificate.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        certificate.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
        certificate.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_certificate_that_was_presented_is_in_the_event_as_api_gateway_writes_it() {
        let certificate = certificate("A client", &[0x0a, 0x1b, 0xc2], (1985, 8, 5), (2120, 11, 25));
        let mut head = head("/v1/docks/a/recipients", &[]);
        head.extensions.insert(ClientCertificate::from_der(certificate.der()).unwrap());
        let now = Timestamp::parse("2025-01-05T10:32:00.000Z").unwrap();
        let event = event(create::ENDPOINT.route, &head, &[], Map::new(), b"", now);
        assert_eq!(
            event["requestContext"]["authentication"],
            json!({
                "clientCert": {
                    "clientCertPem": certificate.pem().replace("\r\n", "\n"),
                    "subjectDN": "CN=A client",
                    "issuerDN": "CN=A client",
                    "serialNumber": "0a:1b:c2",
                    "validity": {
                        "notBefore": "Aug  5 00:00:00 1985 GMT",
                        "notAfter": "Nov 25 00:00:00 2120 GMT",
                    },
                },
            })
        );
        assert_eq!(event["requestContext"]["stage"], "$default", "beside all else");
        // What a function reads.
        assert!(serde_json::from_value::<Event>(event).is_ok());
    }

    #[test]
    fn a_time_is_written_as_openssl_writes_it() {
        for (time, expected) in [
            ("2120-08-05T00:28:21.000Z", "Aug  5 00:28:21 2120 GMT"),
            ("2025-12-31T23:59:59.999Z", "Dec 31 23:59:59 2025 GMT"),
        ] {
            assert_eq!(openssl_time(Timestamp::parse(time).unwrap()), expected);
        }
    }

    #[test]
    fn headers_that_pretend_to_be_a_certificate_make_no_authentication() {
        let pem = b"-----BEGIN CERTIFICATE-----";
        let headers: &[(&'static str, &[u8])] = &[
            ("x-amzn-mtls-clientcert", pem),
            ("x-amzn-mtls-clientcert-leaf", pem),
            ("x-client-cert", pem),
            ("x-forwarded-client-cert", pem),
            ("client-cert", pem),
            ("authentication", pem),
        ];
        let mut event = event_of("/v1/docks/a/recipients", headers, b"");
        let context = event["requestContext"].take();
        assert!(context.get("authentication").is_none(), "{context}");
        assert_eq!(
            event["headers"].as_object().unwrap().len(),
            headers.len() + 2,
            "they are sent on as they are"
        );
    }

    #[test]
    fn what_is_no_certificate_is_not_read_as_one() {
        assert!(ClientCertificate::from_der(b"").is_none());
        assert!(ClientCertificate::from_der(b"0\x03abc").is_none());
    }

    #[test]
    fn a_body_that_is_not_declared_as_text_is_sent_in_base64() {
        let uri = "/v1/docks/a/recipients";
        for (content_type, body, base64) in [
            (&b"application/json; charset=utf-8"[..], &b"{}"[..], false),
            (b"application/x-www-form-urlencoded", b"{}", true),
            (b"application/json", b"\xff", true),
        ] {
            let event = event_of(uri, &[("content-type", content_type)], body);
            assert_eq!(event["isBase64Encoded"], base64, "{content_type:?}");
        }
        assert_eq!(event_of(uri, &[], b"{}")["body"], "e30=");
        assert!(event_of(uri, &[], b"").get("body").is_none());
    }

    #[test]
    fn a_path_is_a_routes_only_segment_by_segment() {
        let matches = |path: &str| {
            match_path(create::ENDPOINT.route.path, &decoded_segments(path).ok().unwrap()).is_some()
        };
        assert!(matches("/v1/docks/x/recipients"));
        for path in [
            "/v1/docks/x/recipients/",
            "//v1/docks/x/recipients",
            "/v1/docks//recipients",
            "/V1/docks/x/recipients",
            "/v1/docks/x/y/recipients",
            "/v1/docks/recipients",
            "/v1/docks/x%2Frecipients",
            "/",
        ] {
            assert!(!matches(path), "{path}");
        }
        for path in ["/%", "/%zz", "/%ff"] {
            assert_eq!(
                decoded_segments(path).err().map(|refusal| refusal.0.as_u16()),
                (path == "/%ff").then_some(400),
                "{path}"
            );
        }
    }

    #[test]
    fn a_request_needs_one_valid_host_and_a_head_of_10_240_bytes() {
        let refused =
            |headers: &[(&'static str, &[u8])]| check_head(&head("/", headers)).err().map(|r| r.0.as_u16());
        assert_eq!(refused(&[("host", b"localhost:3000")]), None);
        for host in [&b"["[..], b"", b"a b", b"\xff"] {
            assert_eq!(refused(&[("host", host)]), Some(400), "{host:?}");
        }
        assert_eq!(refused(&[]), Some(400));
        assert_eq!(refused(&[("host", b"a"), ("host", b"a")]), Some(400));
        // "POST", "/" and "a" are 6 bytes.
        assert_eq!(refused(&[("host", b"a"), ("x", &[b'x'; 10_234])]), None);
        assert_eq!(refused(&[("host", b"a"), ("x", &[b'x'; 10_235])]), Some(431));
    }
}
