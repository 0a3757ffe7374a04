//! The JSON body of a request: one object, whose unknown and duplicate fields are refused. All errors are collected
//! before the request is answered.

use docyard_core::values::field_error::{FieldError, Rejected, ValueErrors, shown};
use docyard_core::values::json::Json;
use docyard_core::values::patch::Patch;
use lambda_http::Request;
use lambda_http::http::header::CONTENT_TYPE;

use super::error::Error;

/// The largest body, in bytes after base64 is decoded: 64 KiB.
pub const MAX_BYTES: usize = 64 * 1024;

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// The fields of a request body. A parser takes out those it knows.
pub struct Fields {
    members: Vec<(String, Json)>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Takes a field that must be present and not `null`.
    ///
    /// # Errors
    /// [`Rejected`] if it is missing or `parse` fails.
    pub fn required<T, E: Into<ValueErrors>>(
        &mut self,
        field: &str,
        parse: impl FnOnce(Json) -> Result<T, E>,
    ) -> Result<T, Rejected> {
        match self.take(field) {
            None | Some(Json::Null) => {
                self.errors.push(FieldError::new(field, "is required"));
                Err(Rejected)
            }
            Some(json) => self.accept(field, parse(json)),
        }
    }

    /// Takes a field that may be absent or `null`.
    ///
    /// # Errors
    /// [`Rejected`] if `parse` fails.
    pub fn optional<T, E: Into<ValueErrors>>(
        &mut self,
        field: &str,
        parse: impl FnOnce(Json) -> Result<T, E>,
    ) -> Result<Option<T>, Rejected> {
        match self.take(field) {
            None | Some(Json::Null) => Ok(None),
            Some(json) => self.accept(field, parse(json)).map(Some),
        }
    }

    /// Takes a field of a merge patch whose value cannot be removed; `None` if it is absent.
    ///
    /// # Errors
    /// [`Rejected`] if `parse` fails, which is given `null` too.
    pub fn change<T, E: Into<ValueErrors>>(
        &mut self,
        field: &str,
        parse: impl FnOnce(Json) -> Result<T, E>,
    ) -> Result<Option<T>, Rejected> {
        match self.take(field) {
            None => Ok(None),
            Some(json) => self.accept(field, parse(json)).map(Some),
        }
    }

    /// Takes a field of a merge patch whose value `null` removes.
    ///
    /// # Errors
    /// [`Rejected`] if `parse` fails.
    pub fn patch<T, E: Into<ValueErrors>>(
        &mut self,
        field: &str,
        parse: impl FnOnce(Json) -> Result<T, E>,
    ) -> Result<Patch<T>, Rejected> {
        match self.take(field) {
            None => Ok(Patch::Keep),
            Some(Json::Null) => Ok(Patch::Clear),
            Some(json) => self.accept(field, parse(json)).map(Patch::Set),
        }
    }

    /// Takes the field of this name. Given more than once, it is an error.
    fn take(&mut self, field: &str) -> Option<Json> {
        let at = self.members.iter().position(|(name, _)| name == field)?;
        let (_, json) = self.members.remove(at);
        if self.members.iter().any(|(name, _)| name == field) {
            self.members.retain(|(name, _)| name != field);
            self.errors.push(FieldError::new(field, "is given more than once"));
        }
        Some(json)
    }

    fn accept<T, E: Into<ValueErrors>>(&mut self, field: &str, parsed: Result<T, E>) -> Result<T, Rejected> {
        parsed.map_err(|errors| {
            self.errors.extend(errors.into().of_field(field));
            Rejected
        })
    }
}

/// Makes a parser of a JSON string from a parser of its text: `string(Email::parse)`.
pub fn string<T>(
    parse: impl FnOnce(&str) -> Result<T, &'static str>,
) -> impl FnOnce(Json) -> Result<T, &'static str> {
    |json| match json {
        Json::String(text) => parse(&text),
        _ => Err("must be a string"),
    }
}

/// Reads a request's body into a domain value.
///
/// `parse` takes every field it knows out of [`Fields`] before it returns an error, so that all errors are collected. A
/// field that it leaves is refused as unknown.
///
/// # Errors
/// 413, 415 or 400, as `Error` describes them.
pub fn read<T>(
    request: &Request,
    parse: impl FnOnce(&mut Fields) -> Result<T, Rejected>,
) -> Result<T, Error> {
    parse_object(object(request, &[JSON])?, parse)
}

/// Reads the body of a PATCH as [`read`] does; it may also be declared as `application/merge-patch+json`.
///
/// # Errors
/// 413, 415 or 400, as `Error` describes them.
pub fn read_merge_patch<T>(
    request: &Request,
    parse: impl FnOnce(&mut Fields) -> Result<T, Rejected>,
) -> Result<T, Error> {
    parse_object(object(request, &[JSON, MERGE_PATCH])?, parse)
}

/// Accepts the body of a request without fields: an empty one, or `{}`.
///
/// # Errors
/// 413, 415 or 400, as `Error` describes them.
pub fn read_empty(request: &Request) -> Result<(), Error> {
    if request.body().is_empty() { Ok(()) } else { read(request, |_| Ok(())) }
}

fn parse_object<T>(
    members: Vec<(String, Json)>,
    parse: impl FnOnce(&mut Fields) -> Result<T, Rejected>,
) -> Result<T, Error> {
    let mut fields = Fields { members, errors: Vec::new() };
    let value = parse(&mut fields);
    let Fields { members, mut errors } = fields;
    let unknown = |(name, _): &(String, Json)| FieldError::new(shown(name), "is not a field of this request");
    errors.extend(members.iter().map(unknown));
    match value {
        Ok(value) if errors.is_empty() => Ok(value),
        _ => Err(Error::Invalid(errors)),
    }
}

fn object(request: &Request, content_types: &[&str]) -> Result<Vec<(String, Json)>, Error> {
    let body: &[u8] = request.body();
    if body.len() > MAX_BYTES {
        return Err(Error::PayloadTooLarge);
    }
    if body.is_empty() {
        return Err(Error::BadRequest("The request needs a body: a JSON object"));
    }
    if let Some(content_type) = request.headers().get(CONTENT_TYPE) {
        let essence = content_type.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default();
        let is = |content_type: &&str| essence.trim_ascii().eq_ignore_ascii_case(content_type.as_bytes());
        if !content_types.iter().any(is) {
            return Err(Error::UnsupportedMediaType);
        }
    }
    match serde_json::from_slice(body) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(_) => Err(Error::BadRequest("The request body must be a JSON object, such as {\"name\": \"…\"}")),
        Err(_) => Err(Error::BadRequest("The request body is not valid JSON in UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use docyard_core::values::field_error::MAX_FIELD_CHARS;
    use lambda_http::Body;
    use proptest::prelude::*;

    fn request(content_type: Option<&str>, body: impl Into<Vec<u8>>) -> Request {
        let mut request = Request::new(Body::Binary(body.into()));
        if let Some(content_type) = content_type {
            request.headers_mut().insert(CONTENT_TYPE, content_type.parse().unwrap());
        }
        request
    }

    /// Reads `{"a": string, "b": optional string}`.
    fn read_ab(body: impl Into<Vec<u8>>) -> Result<(String, Option<String>), Error> {
        read(&request(None, body), |fields| {
            let a = fields.required("a", string(|text| Ok(text.to_owned())));
            let b = fields.optional("b", string(|text| Ok(text.to_owned())));
            Ok((a?, b?))
        })
    }

    fn errors(body: &str) -> Vec<String> {
        match read_ab(body) {
            Err(Error::Invalid(errors)) => {
                errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect()
            }
            other => panic!("expected validation errors of {body}, got {other:?}"),
        }
    }

    #[test]
    fn returns_the_fields() {
        assert_eq!(read_ab(r#"{"a":"x"}"#).unwrap(), ("x".into(), None));
        assert_eq!(read_ab(r#" {"b":"y","a":"x"} "#).unwrap(), ("x".into(), Some("y".into())));
        assert_eq!(read_ab(r#"{"a":"x","b":null}"#).unwrap(), ("x".into(), None));
    }

    #[test]
    fn names_everything_that_is_wrong_at_once() {
        assert_eq!(
            errors(r#"{"b":1,"c":2,"d":3,"c":4}"#),
            [
                "a is required",
                "b must be a string",
                "c is not a field of this request",
                "d is not a field of this request",
                "c is not a field of this request",
            ]
        );
    }

    #[test]
    fn null_is_no_value_for_a_required_field() {
        assert_eq!(errors(r#"{"a":null}"#), ["a is required"]);
    }

    #[test]
    fn a_field_given_twice_is_refused_even_with_one_value() {
        assert_eq!(errors(r#"{"a":"x","a":"x"}"#), ["a is given more than once"]);
        assert_eq!(errors(r#"{"a":"x","\u0061":"x","a":"x"}"#), ["a is given more than once"]);
    }

    #[test]
    fn a_long_or_secret_name_is_not_repeated_whole() {
        let unknown = |name: &str| errors(&format!("{{{name:?}:1,\"a\":\"x\"}}")).remove(0);
        let long = format!("{}… is not a field of this request", "k".repeat(MAX_FIELD_CHARS));
        assert_eq!(unknown(&"k".repeat(100)), long);
        assert_eq!(unknown("the dk_live_abc"), "the dk_… is not a field of this request");
        assert_eq!(unknown(""), "\"\" is not a field of this request");
    }

    #[test]
    fn only_a_json_object_is_a_body() {
        for body in ["[]", "null", "\"x\"", "1", "true"] {
            assert!(
                matches!(read_ab(body), Err(Error::BadRequest(m)) if m.contains("must be a JSON object")),
                "{body}"
            );
        }
        assert!(matches!(read_ab(""), Err(Error::BadRequest(m)) if m.contains("needs a body")));
        for body in [
            &b"{"[..],
            b" ",
            b"{\"a\":\"\xff\"}",
            b"\xef\xbb\xbf{\"a\":\"x\"}",
            b"{\"a\":\"\\ud800\"}",
            b"{\"a\":1e999}",
            b"{}x",
            b"{\"a\":NaN}",
        ] {
            assert!(
                matches!(read_ab(body), Err(Error::BadRequest(m)) if m.contains("not valid JSON")),
                "{body:?}"
            );
        }
        let deep = format!("{{\"a\":{}", "[".repeat(60_000));
        assert!(matches!(read_ab(deep), Err(Error::BadRequest(_))));
    }

    #[test]
    fn a_body_may_have_64_kib_and_not_one_byte_more() {
        let body = |size: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(size - 8));
        assert!(read_ab(body(MAX_BYTES)).is_ok());
        assert!(matches!(read_ab(body(MAX_BYTES + 1)), Err(Error::PayloadTooLarge)));
    }

    #[test]
    fn only_json_may_be_declared() {
        for json in [
            None,
            Some("application/json"),
            Some("Application/JSON ; charset=utf-8"),
            Some("application/json;"),
        ] {
            assert!(object(&request(json, "{}"), &[JSON]).is_ok(), "{json:?}");
        }
        for other in [
            "text/plain",
            "application/merge-patch+json",
            "application/x-www-form-urlencoded",
            "",
            "application/jsonp",
            "application/json,text/plain",
        ] {
            assert!(
                matches!(object(&request(Some(other), "{}"), &[JSON]), Err(Error::UnsupportedMediaType)),
                "{other:?}"
            );
        }
    }

    #[test]
    fn a_patch_tells_absent_null_and_given_apart() {
        let patch = |body: &str| {
            read_merge_patch(&request(Some("application/merge-patch+json"), body), |fields| {
                let a = fields.change("a", string(|text| Ok(text.to_owned())));
                let b = fields.patch("b", string(|text| Ok(text.to_owned())));
                Ok((a?, b?))
            })
        };
        assert_eq!(patch("{}").unwrap(), (None, Patch::Keep));
        assert_eq!(patch(r#"{"a":"x","b":"y"}"#).unwrap(), (Some("x".into()), Patch::Set("y".into())));
        assert_eq!(patch(r#"{"b":null}"#).unwrap(), (None, Patch::Clear));
        assert!(
            matches!(patch(r#"{"a":null}"#), Err(Error::Invalid(c)) if c[0].message == "must be a string")
        );
    }

    #[test]
    fn a_request_without_a_body_takes_an_empty_object_too() {
        assert!(read_empty(&request(Some("text/plain"), "")).is_ok());
        assert!(read_empty(&request(None, "{}")).is_ok());
        assert!(matches!(read_empty(&request(None, r#"{"a":1}"#)), Err(Error::Invalid(_))));
        assert!(matches!(read_empty(&request(None, "x")), Err(Error::BadRequest(_))));
    }

    proptest! {
        #[test]
        fn reading_never_panics(body in any::<Vec<u8>>()) {
            let _ = read_ab(body);
        }

        #[test]
        fn a_string_is_read_as_it_was_written(text in any::<String>()) {
            let body = serde_json::json!({"a": text}).to_string();
            prop_assert_eq!(read_ab(body).unwrap().0, text);
        }
    }
}
