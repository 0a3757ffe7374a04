//! Requests of OAuth 2.0 clients, as [RFC 6749](https://www.rfc-editor.org/rfc/rfc6749) has them: parameters in a form or
//! in JSON, a client that authenticates in the body or by HTTP Basic, and errors of §5.2.
//!
//! Unknown parameters are ignored and empty ones are absent, as §3.2 demands; nothing is taken from the query, since
//! addresses are logged on the way.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use docyard_core::values::json::Json;
use lambda_http::http::header::{AUTHORIZATION, CONTENT_TYPE};
use lambda_http::{Request, RequestExt};
use zeroize::Zeroizing;

use super::body::{self, JSON};
use super::error::{Error, OAuthCode};
use super::header::is_repeated;

/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// An error with this code.
pub fn error(code: OAuthCode, description: impl Into<String>) -> Error {
    Error::OAuth { code, description: description.into() }
}

fn invalid_request(description: impl Into<String>) -> Error {
    error(OAuthCode::InvalidRequest, description)
}

/// The parameters of a request. A handler takes out those that it knows.
pub struct Parameters(Vec<(String, Json)>);

/// What a client authenticates with. Either may be missing.
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// `client_secret`.
    pub secret: Zeroizing<String>,
    /// Whether they were in the header `Authorization`.
    pub by_header: bool,
}

impl Parameters {
    /// Reads the parameters of a request's body.
    ///
    /// # Errors
    /// 400 `invalid_request`, 413 or 415.
    pub fn read(request: &Request) -> Result<Self, Error> {
        if request.query_string_parameters_ref().is_some_and(|query| query.iter().next().is_some()) {
            return Err(invalid_request("Send all parameters in the body; an address is logged on its way"));
        }
        let text = body::text(request)?;
        body::check_encoding(request)?;
        let mut parameters = match media_type(request)? {
            MediaType::Form => {
                let pairs = form_urlencoded::parse(text);
                pairs.map(|(name, value)| (name.into_owned(), Json::String(value.into_owned()))).collect()
            }
            MediaType::Json => match serde_json::from_slice(text) {
                Ok(Json::Object(members)) => members,
                _ => return Err(invalid_request("The body must be a form, or a JSON object")),
            },
        };
        parameters.retain(|(_, value)| match value {
            Json::Null => false,
            Json::String(text) => !text.is_empty(),
            _ => true,
        });
        let mut names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        if names.len() < count {
            return Err(invalid_request("A parameter is given more than once"));
        }
        Ok(Self(parameters))
    }

    /// Takes the parameter of this name; `None` if it is absent.
    pub fn take(&mut self, name: &str) -> Option<Json> {
        let at = self.0.iter().position(|(given, _)| given == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Takes the parameter of this name, which must be a text; `None` if it is absent.
    ///
    /// # Errors
    /// 400 `invalid_request`.
    pub fn take_text(&mut self, name: &str) -> Result<Option<String>, Error> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid_request(format!("{name} must be a string"))),
        }
    }

    /// Takes the parameter of this name, which must be there.
    ///
    /// # Errors
    /// 400 `invalid_request`.
    pub fn take_required(&mut self, name: &str) -> Result<String, Error> {
        self.take_text(name)?.ok_or_else(|| invalid_request(format!("{name} is required")))
    }

    /// Takes what the client authenticates with: HTTP Basic, or `client_id` and `client_secret` in the body (§2.3.1).
    ///
    /// # Errors
    /// 400 `invalid_request` for both at once, 401 `invalid_client` for another header `Authorization`.
    pub fn take_client(&mut self, request: &Request) -> Result<Client, Error> {
        let id = self.take_text("client_id")?;
        let secret = self.take_text("client_secret")?.map(Zeroizing::new);
        let Some(header) = request.headers().get(AUTHORIZATION) else {
            let (id, secret) = (id.unwrap_or_default(), secret.unwrap_or_default());
            return Ok(Client { id, secret, by_header: false });
        };
        let (basic_id, basic_secret) = basic_credentials(header.as_bytes()).ok_or_else(|| {
            let description = "The header Authorization must be Basic, with the client's id and secret";
            error(OAuthCode::InvalidClient { by_header: true }, description)
        })?;
        if secret.is_some() {
            return Err(invalid_request("Send the secret once: in the header Authorization, or in the body"));
        }
        if id.is_some_and(|id| id != basic_id) {
            return Err(invalid_request("client_id is another one than that of the header Authorization"));
        }
        Ok(Client { id: basic_id, secret: basic_secret, by_header: true })
    }
}

enum MediaType {
    Form,
    Json,
}

/// What the body is declared as; JSON if it is not declared.
fn media_type(request: &Request) -> Result<MediaType, Error> {
    const RULE: &str =
        "Send the parameters as a form, with Content-Type: application/x-www-form-urlencoded, or as JSON";
    let Some(declared) = request.headers().get(CONTENT_TYPE) else { return Ok(MediaType::Json) };
    if is_repeated(declared.as_bytes()) {
        return Err(invalid_request("Content-Type must be given once"));
    }
    let is = |media_type| body::essence(declared.as_bytes()).eq_ignore_ascii_case(media_type);
    if is(FORM.as_bytes()) {
        Ok(MediaType::Form)
    } else if is(JSON.as_bytes()) {
        Ok(MediaType::Json)
    } else {
        Err(Error::UnsupportedMediaType(RULE))
    }
}

/// The id and the secret of `Authorization: Basic …` ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617)); each of them is
/// encoded as in a form before (RFC 6749 §2.3.1).
fn basic_credentials(header: &[u8]) -> Option<(String, Zeroizing<String>)> {
    let (scheme, credentials) = header.trim_ascii().split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let credentials = Zeroizing::new(STANDARD.decode(credentials.trim_ascii()).ok()?);
    let (id, secret) = std::str::from_utf8(&credentials).ok()?.split_once(':')?;
    Some((form_decoded(id), Zeroizing::new(form_decoded(secret))))
}

fn form_decoded(text: &str) -> String {
    // The name of a pair: up to an `=`, which an encoded text does not have.
    let encoded = text.replace('=', "%3D").replace('&', "%26");
    form_urlencoded::parse(encoded.as_bytes()).map(|(name, _)| name.into_owned()).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::Body;
    use proptest::prelude::*;

    fn request(content_type: Option<&str>, authorization: Option<&str>, body: &str) -> Request {
        let mut request = Request::new(Body::from(body));
        for (name, value) in [(CONTENT_TYPE, content_type), (AUTHORIZATION, authorization)] {
            if let Some(value) = value {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
        }
        request
    }

    fn code(error: Error) -> OAuthCode {
        match error {
            Error::OAuth { code, .. } => code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_form_and_json_have_the_same_parameters() {
        for (content_type, body) in [
            (Some("application/x-www-form-urlencoded"), "a=x+y%26&b=&unknown=1"),
            (Some("Application/X-WWW-Form-Urlencoded; charset=UTF-8"), "a=x+y%26"),
            (Some("application/json"), r#"{"a":"x y&","b":"","c":null,"unknown":{}}"#),
            (None, r#"{"a":"x y&"}"#),
        ] {
            let mut parameters = Parameters::read(&request(content_type, None, body)).ok().unwrap();
            assert_eq!(parameters.take_required("a").unwrap(), "x y&", "{body}");
            assert_eq!(parameters.take_text("b").unwrap(), None, "{body}");
            assert_eq!(code(parameters.take_required("b").unwrap_err()), OAuthCode::InvalidRequest);
        }
    }

    #[test]
    fn a_parameter_is_given_once_and_is_a_text() {
        let form = |body| Parameters::read(&request(Some(FORM), None, body));
        assert_eq!(code(form("a=1&a=1").err().unwrap()), OAuthCode::InvalidRequest);
        assert!(form("a=1&a=").is_ok(), "an empty one is absent");
        let mut json = Parameters::read(&request(None, None, r#"{"a":1}"#)).ok().unwrap();
        assert_eq!(code(json.take_text("a").unwrap_err()), OAuthCode::InvalidRequest);
        for body in ["", "[]", "x", "null", r#"{"a":"1","a":"1"}"#] {
            let refused = Parameters::read(&request(None, None, body)).err().unwrap();
            assert_eq!(code(refused), OAuthCode::InvalidRequest, "{body}");
        }
        let other = Parameters::read(&request(Some("text/plain"), None, "a=1")).err().unwrap();
        assert!(matches!(other, Error::UnsupportedMediaType(_)));
    }

    fn client(authorization: Option<&str>, body: &str) -> Result<(String, String, bool), OAuthCode> {
        let request = request(Some(FORM), authorization, body);
        let client = Parameters::read(&request).ok().unwrap().take_client(&request).map_err(code)?;
        Ok((client.id, client.secret.to_string(), client.by_header))
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn a_client_authenticates_in_the_body_or_by_basic() {
        let of = |id: &str, secret: &str, by_header| Ok((id.to_owned(), secret.to_owned(), by_header));
        assert_eq!(client(None, "client_id=rcp_1&client_secret=s"), of("rcp_1", "s", false));
        assert_eq!(client(None, ""), of("", "", false));
        assert_eq!(client(Some(&basic("rcp_1:s")), ""), of("rcp_1", "s", true));
        assert_eq!(client(Some(&basic("rcp%5F1:s%3A+%25")), "client_id=rcp_1"), of("rcp_1", "s: %", true));
        assert_eq!(client(Some(&basic("a=b:c&d")), ""), of("a=b", "c&d", true), "not encoded");
        assert_eq!(client(Some(&basic("a:b").replace("Basic", "bAsic")), ""), of("a", "b", true));
    }

    #[test]
    fn two_secrets_two_clients_and_other_schemes_are_refused() {
        let by_basic = basic("rcp_1:s");
        assert_eq!(client(Some(&by_basic), "client_secret=s"), Err(OAuthCode::InvalidRequest));
        assert_eq!(client(Some(&by_basic), "client_id=rcp_2"), Err(OAuthCode::InvalidRequest));
        for other in ["Bearer x", "Basic", "Basic %", "Basic eA==", "", "Basic \u{7f}"] {
            let Ok(header) = lambda_http::http::HeaderValue::from_bytes(other.as_bytes()) else { continue };
            let refused = client(header.to_str().ok(), "client_id=rcp_1&client_secret=s");
            assert_eq!(refused, Err(OAuthCode::InvalidClient { by_header: true }), "{other}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(content_type in prop::option::of("[ -~]{0,40}"), authorization in prop::option::of("(Basic )?[ -~]{0,40}"), body in any::<String>()) {
            let request = request(content_type.as_deref(), authorization.as_deref(), &body);
            if let Ok(mut parameters) = Parameters::read(&request) {
                let _ = parameters.take_client(&request);
            }
        }

        #[test]
        fn what_a_client_encodes_comes_back(id in "\\PC{0,20}", secret in "\\PC{0,20}") {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let header = basic(&format!("{}:{}", encode(&id), encode(&secret)));
            prop_assert_eq!(client(Some(&header), ""), Ok((id, secret, true)));
        }
    }
}
