//! The HTTP response of a handler's result: the one place that knows the status and the body of each error.

use docyard_core::model::access::Shortfall;
use docyard_core::model::idempotency::StoredResponse;
use docyard_core::store::Fault;
use docyard_core::values::field_error::FieldError;
use docyard_core::values::id::AnyId;
use lambda_http::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, ETAG, LINK, LOCATION, REFERRER_POLICY, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use lambda_http::http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::error::{Error, OAuthCode};
use super::if_match::entity_tag;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How many seconds a caller should wait after a 503.
const RETRY_AFTER_SECONDS: u64 = 1;

/// `value` as JSON.
///
/// # Errors
/// [`Error::Internal`] if it has no JSON form: a bug.
pub fn to_json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::Internal(Fault::new("response: not JSON")))
}

/// `value` as a JSON value; `None` if it has no JSON form. By way of the text, which is made of it anyway: a second way to
/// serialise is code.
pub fn to_value(value: &impl Serialize) -> Option<Value> {
    serde_json::from_str(&serde_json::to_string(value).ok()?).ok()
}

/// A response with `value` as its JSON body.
///
/// # Errors
/// As [`to_json`].
pub fn json(status: StatusCode, value: &impl Serialize) -> Result<Response<String>, Error> {
    let mut response = Response::new(to_json(value)?);
    *response.status_mut() = status;
    Ok(response)
}

/// 200 with the representation of a resource, and its version in `ETag` (RFC 9110 §8.8.3).
///
/// # Errors
/// As [`to_json`].
pub fn resource(representation: &impl Serialize, version: u64) -> Result<Response<String>, Error> {
    let mut response = json(StatusCode::OK, representation)?;
    response.headers_mut().extend(header(ETAG, Some(&entity_tag(version))));
    Ok(response)
}

/// 201 for a created resource with versions: its representation, its first version in `ETag`, and its URL in
/// `Location`.
pub fn created(response: StoredResponse) -> Response<String> {
    created_at_version(response, 0)
}

/// 201 for what was created, or had been: its representation, its version in `ETag`, and its URL in `Location`.
pub fn created_at_version(response: StoredResponse, version: u64) -> Response<String> {
    let mut created = created_immutable(response);
    created.headers_mut().extend(header(ETAG, Some(&entity_tag(version))));
    created
}

/// 201 for what was created and never changes: its representation, and its URL in `Location`.
pub fn created_immutable(response: StoredResponse) -> Response<String> {
    let location = header(LOCATION, response.location.as_deref());
    let mut created = created_without_url(response);
    created.headers_mut().extend(location);
    created
}

/// 201 for what was created and has neither versions nor a URL of its own.
pub fn created_without_url(response: StoredResponse) -> Response<String> {
    let mut created = Response::new(response.body);
    *created.status_mut() = StatusCode::CREATED;
    created
}

/// 200 for a repeated request that created a secret, whose value is shown only once.
pub fn without_value(response: StoredResponse) -> Response<String> {
    Response::new(response.body)
}

/// The body of a success that has no representation.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Success {
    /// Always `true`.
    #[cfg_attr(feature = "openapi", schema(example = true))]
    success: bool,
}

/// 200 with `{"success": true}`.
///
/// # Errors
/// Never, in practice.
pub fn success() -> Result<Response<String>, Error> {
    json(StatusCode::OK, &Success { success: true })
}

/// 200 with one page of a list, and the URL of the next one in `Link` (RFC 8288) if there is one.
///
/// # Errors
/// As [`to_json`].
pub fn list(page: &impl Serialize, next: Option<&str>) -> Result<Response<String>, Error> {
    let mut response = json(StatusCode::OK, page)?;
    let link = next.map(|url| format!("<{url}>; rel=\"next\""));
    response.headers_mut().extend(header(LINK, link.as_deref()));
    Ok(response)
}

fn header(name: HeaderName, value: Option<&str>) -> Option<(HeaderName, HeaderValue)> {
    Some((name, HeaderValue::from_str(value?).ok()?))
}

/// The response to a handler's result, with the headers that every response carries and errors in the API's form.
pub fn finish(result: Result<Response<String>, Error>, request_id: &str) -> Response<String> {
    let mut response = result.unwrap_or_else(|error| of_error(error, request_id));
    let has_body = !response.body().is_empty();
    let headers = response.headers_mut();
    if has_body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, request_id);
    }
    response
}

/// The most validation errors in one response, so that a hostile request cannot make it large.
const MAX_DETAILS: usize = 100;

/// The body of an error. Those of API Gateway itself have only `message`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(rename_all = "camelCase"))]
pub struct ErrorBody {
    /// The status of the response.
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub(crate) status_code: u16,
    /// What is wrong and what to do about it.
    pub(crate) message: String,
    /// The status in words.
    #[cfg_attr(feature = "openapi", schema(required = false))]
    error: &'static str,
    /// With 400: everything that is wrong with fields, query parameters and headers. With 403: what is missing.
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub(crate) details: Vec<FieldError>,
    /// With 409 for a value that is taken: the resource that has it, under the name of its id, such as `recipientId`.
    #[cfg_attr(feature = "openapi", schema(ignore))]
    taken_by: Option<AnyId>,
}

impl Serialize for ErrorBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("statusCode", &self.status_code)?;
        body.serialize_entry("message", &self.message)?;
        body.serialize_entry("error", self.error)?;
        if !self.details.is_empty() {
            body.serialize_entry("details", &self.details)?;
        }
        if let Some(id) = self.taken_by {
            body.serialize_entry(id.name(), &id.to_string())?;
        }
        body.end()
    }
}

fn of_error(error: Error, request_id: &str) -> Response<String> {
    if let Error::OAuth { code, description } = error {
        return of_oauth_error(code, &description);
    }
    let (status, body, header) = described(error, request_id);
    let mut response = Response::new(serde_json::to_string(&body).unwrap_or_default());
    *response.status_mut() = status;
    response.headers_mut().extend(header);
    response
}

/// The body of the response to an error, for a request that has several.
pub fn error_body(error: Error, request_id: &str) -> ErrorBody {
    described(error, request_id).1
}

/// The status, the body and the header of the response to an error.
fn described(error: Error, request_id: &str) -> (StatusCode, ErrorBody, Option<(HeaderName, HeaderValue)>) {
    let mut details = Vec::new();
    let mut taken_by = None;
    let mut header = None;
    let (status, message) = match error {
        Error::BadRequest { message, errors } => {
            details = errors;
            (StatusCode::BAD_REQUEST, message.to_owned())
        }
        Error::Invalid(errors) => {
            let summary = summary(&errors);
            details = errors;
            (StatusCode::BAD_REQUEST, summary)
        }
        Error::Unauthorized { token_sent } => {
            let challenge = if token_sent { "Bearer error=\"invalid_token\"" } else { "Bearer" };
            header = Some((WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
            (StatusCode::UNAUTHORIZED, "Invalid or expired API key".to_owned())
        }
        Error::InvalidLink => {
            header = Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
            (StatusCode::UNAUTHORIZED, INVALID_LINK.to_owned())
        }
        Error::OAuth { description, .. } => (StatusCode::BAD_REQUEST, description),
        Error::Forbidden(Shortfall { factors, identifiers }) => {
            let factors = factors.iter().map(|factor| format!("factors.{factor}"));
            let identifiers = identifiers.iter().map(|key| format!("identifiers.{key}"));
            details = factors.chain(identifiers).map(|field| FieldError::new(field, "is missing")).collect();
            (StatusCode::FORBIDDEN, NOT_GRANTED.to_owned())
        }
        Error::NotFound(resource) => (StatusCode::NOT_FOUND, format!("{resource} not found")),
        Error::Taken(taken) => {
            taken_by = Some(taken.by);
            (StatusCode::CONFLICT, taken.message.to_owned())
        }
        Error::Conflict(message) => (StatusCode::CONFLICT, message.to_owned()),
        Error::Gone(message) => (StatusCode::GONE, message.to_owned()),
        Error::PreconditionFailed => (
            StatusCode::PRECONDITION_FAILED,
            "If-Match names another state than the current one; get the resource again, and decide anew"
                .to_owned(),
        ),
        Error::IdempotencyKeyReused => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "This Idempotency-Key was used with another request body; use a new key for a new request"
                .to_owned(),
        ),
        Error::PayloadTooLarge(message) => (StatusCode::PAYLOAD_TOO_LARGE, message.to_owned()),
        Error::UnsupportedMediaType(message) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, message.to_owned()),
        Error::UnsupportedEncoding(encoding) => {
            header = Some((ACCEPT_ENCODING, HeaderValue::from_static("identity")));
            let message =
                format!("Send the request body as it is: Content-Encoding {encoding} is not supported");
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
        }
        Error::TooManyRequests { retry_after } => {
            header = Some((RETRY_AFTER, HeaderValue::from(retry_after)));
            (StatusCode::TOO_MANY_REQUESTS, TOO_MANY_TOKENS.to_owned())
        }
        Error::Unavailable(_) => {
            header = Some((RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS)));
            (StatusCode::SERVICE_UNAVAILABLE, "The service is busy; please repeat the request".to_owned())
        }
        Error::Internal(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("Something went wrong on our side; report request id {request_id}"),
        ),
    };
    details.truncate(MAX_DETAILS);
    let body = ErrorBody {
        status_code: status.as_u16(),
        message,
        error: status.canonical_reason().unwrap_or_default(),
        details,
        taken_by,
    };
    (status, body, header)
}

/// What who has a link is told that opens nothing.
pub const INVALID_LINK: &str =
    "Invalid or expired link; get the results of the job again, on the same connection as before";

/// What a recipient is told that no policy lets in.
pub const NOT_GRANTED: &str =
    "No policy in force grants this recipient anything with what it has proven and submitted";

/// What a recipient is told that asks too often.
pub const TOO_MANY_TOKENS: &str =
    "This recipient has asked for too many tokens; repeat the request after Retry-After seconds";

/// The body of an error of an OAuth 2.0 request (RFC 6749 §5.2).
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OAuthError<'a> {
    /// The code.
    #[cfg_attr(feature = "openapi", schema(example = "invalid_client"))]
    error: &'a str,
    /// What to do about it.
    error_description: &'a str,
}

fn of_oauth_error(code: OAuthCode, description: &str) -> Response<String> {
    let body = OAuthError { error: code.as_str(), error_description: description };
    let mut response = Response::new(serde_json::to_string(&body).unwrap_or_default());
    *response.status_mut() = match code {
        OAuthCode::InvalidClient { .. } => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    if let OAuthCode::InvalidClient { by_header: true } = code {
        let challenge = HeaderValue::from_static("Basic realm=\"Docyard Access\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// One sentence for all errors: the first in full, then the number of the others.
fn summary(errors: &[FieldError]) -> String {
    let Some(first) = errors.first() else { return "The request is not valid".to_owned() };
    let more = match errors.len() {
        1 => String::new(),
        2 => " (and 1 more problem: see details)".to_owned(),
        n => format!(" (and {} more problems: see details)", n - 1),
    };
    format!("{} {}{more}", first.field, first.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(error: Error) -> (u16, serde_json::Value, Response<String>) {
        let response = finish(Err(error), "req-1");
        let body = serde_json::from_str(response.body()).unwrap();
        (response.status().as_u16(), body, response)
    }

    #[test]
    fn every_response_carries_the_request_id_and_is_not_cached() {
        for result in [json(StatusCode::OK, &1), Err(Error::PayloadTooLarge(""))] {
            let response = finish(result, "req-1");
            assert_eq!(response.headers()["x-request-id"], "req-1");
            assert_eq!(response.headers()["cache-control"], "no-store");
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
            assert_eq!(response.headers()["referrer-policy"], "no-referrer");
            assert_eq!(response.headers()["strict-transport-security"], "max-age=31536000");
            assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
        }
    }

    #[test]
    fn a_401_says_whether_a_token_was_wrong_or_missing_in_its_header_alone() {
        let (status, missing_body, missing) = parts(Error::Unauthorized { token_sent: false });
        let (_, wrong_body, wrong) = parts(Error::Unauthorized { token_sent: true });
        assert_eq!(status, 401);
        assert_eq!(
            missing_body,
            serde_json::json!({"statusCode": 401, "message": "Invalid or expired API key", "error": "Unauthorized"})
        );
        assert_eq!(wrong_body, missing_body);
        assert_eq!(missing.headers()["www-authenticate"], "Bearer");
        assert_eq!(wrong.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
    }

    #[test]
    fn a_503_says_when_to_come_back_and_nothing_of_the_cause() {
        let (status, body, response) = parts(Error::Unavailable(Fault::new("PutItem: Throttled")));
        assert_eq!((status, body["error"].as_str()), (503, Some("Service Unavailable")));
        assert_eq!(response.headers()["retry-after"], "1");
        assert!(!response.body().contains("PutItem"));
    }

    #[test]
    fn a_500_tells_the_request_id_and_nothing_of_the_cause() {
        let (status, body, response) = parts(Error::Internal(Fault::new("GetItem: ValidationException")));
        assert_eq!((status, body["error"].as_str()), (500, Some("Internal Server Error")));
        assert!(body["message"].as_str().unwrap().contains("req-1"));
        assert!(!response.body().contains("GetItem"));
    }

    #[test]
    fn validation_errors_are_listed_and_summed_up() {
        let errors = vec![FieldError::new("name", "is required"), FieldError::new("email", "is required")];
        let (status, body, _) = parts(Error::Invalid(errors));
        assert_eq!(status, 400);
        assert_eq!(body["message"], "name is required (and 1 more problem: see details)");
        assert_eq!(body["details"][1], serde_json::json!({"field": "email", "message": "is required"}));
        let (_, body, _) = parts(Error::Invalid(vec![FieldError::new("x", "is wrong"); 300]));
        assert_eq!(body["message"], "x is wrong (and 299 more problems: see details)");
        assert_eq!(body["details"].as_array().unwrap().len(), 100);
    }
}
