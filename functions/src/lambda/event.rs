//! An API Gateway event on its way to `lambda_http`.
//!
//! `lambda_http` makes an [`http::Request`](lambda_http::Request) of an event, and fails or panics on parts that a
//! client controls: a header value beyond ASCII, an invalid `Host`, a query with a raw `<` in it. Each would be
//! answered 500. Its reader of events refuses a whole one for a part that nobody reads, such as the validity of a client's
//! certificate. So an event is read here: what handlers use of it, and nothing else. A body that is declared as base64 and
//! is not, which API Gateway does not send, would make it panic too, and is refused here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_http::aws_lambda_events::apigw::{
    ApiGatewayV2httpRequest, ApiGatewayV2httpRequestContextAuthentication,
    ApiGatewayV2httpRequestContextAuthenticationClientCert,
};
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, header};
use lambda_http::request::LambdaRequest;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::http::header::FORWARDED_HOST;

/// An event of an API Gateway HTTP API, [payload format 2.0][format].
///
/// [format]: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
pub struct Event(LambdaRequest);

impl From<Event> for LambdaRequest {
    fn from(event: Event) -> Self {
        event.0
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The error says nothing about the event: it is logged, and the event contains a key.
        let refused = || de::Error::custom("not an event of an API Gateway HTTP API, payload format 2.0");
        let event = Value::deserialize(deserializer)?;
        let request = request(&event).ok_or_else(refused)?;
        Ok(Self(LambdaRequest::ApiGatewayV2(request)))
    }
}

/// What handlers use of an event; `None` if it is none.
fn request(event: &Value) -> Option<ApiGatewayV2httpRequest> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let mut request = ApiGatewayV2httpRequest::default();
    let context = &mut request.request_context;
    context.http.method = text("/requestContext/http/method")?.parse().ok()?;
    context.http.source_ip = text("/requestContext/http/sourceIp");
    context.http.user_agent = text("/requestContext/http/userAgent");
    context.request_id = text("/requestContext/requestId");
    context.authentication = event.pointer("/requestContext/authentication").and_then(client_certificate);
    request.headers = event.get("headers").map(header_map).unwrap_or_default();
    // `lambda_http` makes a URL of it, and panics where it is none.
    request.headers.remove(header::HOST);
    request.headers.remove(&FORWARDED_HOST);
    let domain = text("/requestContext/domainName").and_then(|domain| HeaderValue::try_from(domain).ok());
    if let Some(domain) = domain {
        request.headers.insert(FORWARDED_HOST, domain);
    }
    request.body = text("/body");
    request.is_base64_encoded = event.get("isBase64Encoded").and_then(Value::as_bool).unwrap_or_default();
    if request.is_base64_encoded && STANDARD.decode(request.body.as_deref().unwrap_or_default()).is_err() {
        return None;
    }
    // Parsing a query cannot fail.
    request.query_string_parameters = text("/rawQueryString").unwrap_or_default().parse().unwrap_or_default();
    let parameters = event.get("pathParameters").and_then(Value::as_object);
    for (name, value) in parameters.into_iter().flatten() {
        request.path_parameters.insert(name.clone(), value.as_str()?.to_owned());
    }
    Some(request)
}

/// The certificate of the connection, as API Gateway passes it on. Of what else it says of one nothing is read.
fn client_certificate(authentication: &Value) -> Option<ApiGatewayV2httpRequestContextAuthentication> {
    let pem = authentication.pointer("/clientCert/clientCertPem")?.as_str()?;
    let mut certificate = ApiGatewayV2httpRequestContextAuthenticationClientCert::default();
    certificate.client_cert_pem = Some(pem.to_owned());
    let mut authentication = ApiGatewayV2httpRequestContextAuthentication::default();
    authentication.client_cert = Some(certificate);
    Some(authentication)
}

/// The headers; values beyond ASCII as their bytes (RFC 9110 §5.5, `obs-text`). Invalid headers are left out.
fn header_map(headers: &Value) -> HeaderMap {
    let headers = headers.as_object();
    headers
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            let value = HeaderValue::from_bytes(value.as_str()?.as_bytes()).ok()?;
            Some((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::request::RequestContext;
    use lambda_http::{Request, RequestExt};
    use serde_json::json;

    fn event() -> Value {
        json!({
            "version": "2.0",
            "routeKey": "GET /v1/things/{thing}",
            "rawPath": "/live/v1/things/a",
            "rawQueryString": "",
            "headers": {"host": "api.example.com", "x-forwarded-proto": "https"},
            "pathParameters": {"thing": "a"},
            "requestContext": {
                "accountId": "123456789012", "apiId": "api", "stage": "live", "requestId": "JKJaXmPLvHcESHA=",
                "domainName": "api.example.com", "time": "15/Jan/2025:10:32:00 +0000", "timeEpoch": 1736937120000i64,
                "http": {"method": "GET", "path": "/live/v1/things/a", "protocol": "HTTP/1.1",
                         "sourceIp": "192.0.2.1", "userAgent": "curl/8.0"}
            },
            "isBase64Encoded": false
        })
    }

    fn request(event: &Value) -> Request {
        let event: Event = serde_json::from_str(&event.to_string()).unwrap();
        LambdaRequest::from(event).into()
    }

    #[test]
    fn becomes_a_request_with_its_path_parameters() {
        assert_eq!(request(&event()).path_parameters_ref().unwrap().first("thing"), Some("a"));
    }

    #[test]
    fn a_header_beyond_ascii_is_kept_as_its_bytes() {
        let mut event = event();
        event["headers"]["user-agent"] = json!("Benoît 🔑");
        event["headers"]["x-\u{1}"] = json!("no header");
        let request = request(&event);
        assert_eq!(request.headers()["user-agent"].as_bytes(), "Benoît 🔑".as_bytes());
        assert_eq!(request.headers().len(), 3);
    }

    #[test]
    fn a_clients_certificate_never_refuses_an_event() {
        let of = |authentication: Value| {
            let mut event = event();
            event["requestContext"]["authentication"] = authentication;
            let context = request(&event).request_context_ref().cloned();
            let Some(RequestContext::ApiGatewayV2(context)) = context else { panic!("another context") };
            context.authentication?.client_cert?.client_cert_pem
        };
        let whole = json!({
            "clientCertPem": "PEM", "subjectDN": "CN=a", "issuerDN": "CN=b", "serialNumber": "1",
            "validity": {"notBefore": "Aug  5 00:28:21 2025 GMT", "notAfter": "Aug  5 00:28:21 2120 GMT"},
        });
        assert_eq!(of(json!({"clientCert": whole})).as_deref(), Some("PEM"));
        assert_eq!(
            of(json!({"clientCert": {"clientCertPem": "PEM"}})).as_deref(),
            Some("PEM"),
            "without the rest"
        );
        let odd = json!({"clientCertPem": "PEM", "validity": 7, "subjectDN": [], "serialNumber": {}});
        assert_eq!(of(json!({"clientCert": odd, "more": true})).as_deref(), Some("PEM"), "with an odd rest");
        for none in [
            json!(null),
            json!("PEM"),
            json!([]),
            json!({}),
            json!({"clientCert": null}),
            json!({"clientCert": []}),
            json!({"clientCert": {}}),
            json!({"clientCert": {"clientCertPem": null}}),
            json!({"clientCert": {"clientCertPem": 1}}),
            json!({"clientCertPem": "PEM"}),
        ] {
            assert_eq!(of(none.clone()), None, "{none}");
        }
    }

    #[test]
    fn no_host_path_or_forwarded_scheme_makes_a_panic() {
        for hostile in
            ["[", "", "a b", "a:b", "%", "\u{e9}", "http,https", "::", "//", "?#", "\0", &"x".repeat(70_000)]
        {
            let mut event = event();
            event["headers"]["host"] = json!(hostile);
            event["headers"]["x-forwarded-proto"] = json!(hostile);
            event["requestContext"]["domainName"] = json!(hostile);
            event["rawPath"] = json!(format!("/{hostile}"));
            event["pathParameters"]["thing"] = json!(hostile);
            assert_eq!(request(&event).path_parameters_ref().unwrap().first("thing"), Some(hostile));
        }
    }

    #[test]
    fn the_host_is_that_of_api_gateway_and_of_no_header() {
        let mut event = event();
        event["headers"] = json!({"host": "a.example", "x-forwarded-host": "b.example"});
        assert_eq!(request(&event).headers()[FORWARDED_HOST], "api.example.com");
        event["requestContext"].as_object_mut().unwrap().remove("domainName");
        assert!(request(&event).headers().get(FORWARDED_HOST).is_none());
    }

    #[test]
    fn a_raw_query_keeps_its_meaning() {
        let mut event = event();
        event["rawQueryString"] = json!("a=<\" é#>&b=%3C+x");
        let request = request(&event);
        let query = request.query_string_parameters_ref().unwrap();
        assert_eq!((query.first("a"), query.first("b")), (Some("<\" é#>"), Some("< x")));
    }

    #[test]
    fn what_is_no_event_is_refused_without_being_repeated() {
        for text in [
            "{}",
            "[]",
            "null",
            r#"{"requestContext":{"http":{}},"isBase64Encoded":true,"body":"Bearer %"}"#,
            r#"{"headers":{"authorization":"Bearer x"},"requestContext":"Bearer x"}"#,
        ] {
            let error = serde_json::from_str::<Event>(text).err().unwrap().to_string();
            assert!(!error.contains("Bearer"), "{error}");
        }
    }
}
