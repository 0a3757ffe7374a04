//! Reading a request's JSON body: one object, whose unknown and duplicate fields are refused, and about which
//! all complaints are collected before any is answered.

use std::fmt;

use lambda_http::http::header::CONTENT_TYPE;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::http::error::Error;
use docyard_core::values::field_error::FieldError;

/// The largest body, in bytes after any base64 is undone: 64 KiB.
pub const MAX_BYTES: usize = 64 * 1024;

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// The most characters of a field's name that an answer repeats.
const MAX_FIELD_CHARS: usize = 64;

/// The members of a request body, taken out one by one by [`read`]'s caller.
pub struct Fields {
    members: Vec<(String, Json)>,
    complaints: Vec<FieldError>,
}

impl Fields {
    /// Takes a field that must be there and not `null`. `None` means that a complaint was recorded.
    pub fn required<T>(
        &mut self,
        field: &str,
        parse: impl FnOnce(Json) -> Result<T, Vec<FieldError>>,
    ) -> Option<T> {
        match self.take(field) {
            None | Some(Json::Null) => {
                self.complaints.push(FieldError::new(field, "is required"));
                None
            }
            Some(json) => self.accept(parse(json)),
        }
    }

    /// Takes a field that may be absent or `null`, which gives `Some(T::default())`. `None` means that a complaint
    /// was recorded.
    pub fn optional<T: Default>(
        &mut self,
        field: &str,
        parse: impl FnOnce(Json) -> Result<T, Vec<FieldError>>,
    ) -> Option<T> {
        match self.take(field) {
            None | Some(Json::Null) => Some(T::default()),
            Some(json) => self.accept(parse(json)),
        }
    }

    /// Takes a field of a merge patch (RFC 7396) that cannot be cleared: `Some(None)` if it is absent. `None` means that
    /// a complaint was recorded.
    pub fn change<T>(
        &mut self,
        field: &str,
        parse: impl FnOnce(Json) -> Result<T, Vec<FieldError>>,
    ) -> Option<Option<T>> {
        match self.take(field) {
            None => Some(None),
            Some(json) => self.accept(parse(json)).map(Some),
        }
    }

    /// Takes a field of a merge patch that `null` clears, to `T::default()`: `Some(None)` if it is absent. `None` means
    /// that a complaint was recorded.
    pub fn change_or_clear<T: Default>(
        &mut self,
        field: &str,
        parse: impl FnOnce(Json) -> Result<T, Vec<FieldError>>,
    ) -> Option<Option<T>> {
        self.change(field, |json| if json == Json::Null { Ok(T::default()) } else { parse(json) })
    }

    /// Takes the first member of this name; a second one stays behind, to be refused as a duplicate.
    fn take(&mut self, field: &str) -> Option<Json> {
        let at = self.members.iter().position(|(name, _)| name == field)?;
        let (_, json) = self.members.remove(at);
        if self.members.iter().any(|(name, _)| name == field) {
            self.members.retain(|(name, _)| name != field);
            self.complaints.push(FieldError::new(field, "is given more than once"));
        }
        Some(json)
    }

    fn accept<T>(&mut self, parsed: Result<T, Vec<FieldError>>) -> Option<T> {
        parsed.map_err(|complaints| self.complaints.extend(complaints)).ok()
    }
}

/// A parser of a string field, made of one for the text: `string("name", Text::parse)`.
pub fn string<T>(
    field: &'static str,
    parse: impl FnOnce(&str) -> Result<T, &'static str>,
) -> impl FnOnce(Json) -> Result<T, Vec<FieldError>> {
    move |json| {
        match json {
            Json::String(text) => parse(&text),
            _ => Err("must be a string"),
        }
        .map_err(|message| vec![FieldError::new(field, message)])
    }
}

/// Reads a request's body into a domain value.
///
/// `parse` takes each field it knows out of [`Fields`] *before* it gives up on any, so that every complaint is
/// recorded; what it leaves behind is refused as unknown.
///
/// # Errors
/// 413, 415 or 400, as `Error` describes them.
pub fn read<T>(
    request: &lambda_http::Request,
    parse: impl FnOnce(&mut Fields) -> Option<T>,
) -> Result<T, Error> {
    parse_object(object(request, &[JSON])?, parse)
}

/// Reads the body of a PATCH as [`read`] does; it may also be declared as `application/merge-patch+json`.
///
/// # Errors
/// 413, 415 or 400, as `Error` describes them.
pub fn read_merge_patch<T>(
    request: &lambda_http::Request,
    parse: impl FnOnce(&mut Fields) -> Option<T>,
) -> Result<T, Error> {
    parse_object(object(request, &[JSON, MERGE_PATCH])?, parse)
}

/// Accepts the body of a request that takes none: an empty one, or `{}`.
///
/// # Errors
/// 413, 415 or 400, as `Error` describes them.
pub fn read_nothing(request: &lambda_http::Request) -> Result<(), Error> {
    if request.body().is_empty() { Ok(()) } else { read(request, |_| Some(())) }
}

fn parse_object<T>(
    members: Vec<(String, Json)>,
    parse: impl FnOnce(&mut Fields) -> Option<T>,
) -> Result<T, Error> {
    let mut fields = Fields { members, complaints: Vec::new() };
    let value = parse(&mut fields);
    let Fields { members, mut complaints } = fields;
    complaints.extend(
        members.iter().map(|(name, _)| FieldError::new(shown(name), "is not a field of this request")),
    );
    match value {
        Some(value) if complaints.is_empty() => Ok(value),
        _ => Err(Error::Invalid(complaints)),
    }
}

fn object(request: &lambda_http::Request, content_types: &[&str]) -> Result<Vec<(String, Json)>, Error> {
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
    use lambda_http::{Body, Request};
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
            let a = fields.required("a", string("a", |text| Ok(text.to_owned())));
            let b = fields.optional("b", string("b", |text| Ok(Some(text.to_owned()))));
            Some((a?, b?))
        })
    }

    fn complaints(body: &str) -> Vec<String> {
        match read_ab(body) {
            Err(Error::Invalid(complaints)) => {
                complaints.iter().map(|c| format!("{} {}", c.field, c.message)).collect()
            }
            other => panic!("expected complaints about {body}, got {other:?}"),
        }
    }

    #[test]
    fn gives_the_fields() {
        assert_eq!(read_ab(r#"{"a":"x"}"#).unwrap(), ("x".into(), None));
        assert_eq!(read_ab(r#" {"b":"y","a":"x"} "#).unwrap(), ("x".into(), Some("y".into())));
        assert_eq!(read_ab(r#"{"a":"x","b":null}"#).unwrap(), ("x".into(), None));
    }

    #[test]
    fn names_everything_that_is_wrong_at_once() {
        assert_eq!(
            complaints(r#"{"b":1,"c":2,"d":3,"c":4}"#),
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
        assert_eq!(complaints(r#"{"a":null}"#), ["a is required"]);
    }

    #[test]
    fn a_field_given_twice_is_refused_even_with_one_value() {
        assert_eq!(complaints(r#"{"a":"x","a":"x"}"#), ["a is given more than once"]);
        assert_eq!(complaints(r#"{"a":"x","\u0061":"x","a":"x"}"#), ["a is given more than once"]);
    }

    #[test]
    fn a_long_or_secret_name_is_not_repeated_whole() {
        let unknown = |name: &str| complaints(&format!("{{{name:?}:1,\"a\":\"x\"}}")).remove(0);
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
                let a = fields.change("a", string("a", |text| Ok(text.to_owned())));
                let b = fields.change_or_clear("b", string("b", |text| Ok(Some(text.to_owned()))));
                Some((a?, b?))
            })
        };
        assert_eq!(patch("{}").unwrap(), (None, None));
        assert_eq!(patch(r#"{"a":"x","b":"y"}"#).unwrap(), (Some("x".into()), Some(Some("y".into()))));
        assert_eq!(patch(r#"{"b":null}"#).unwrap(), (None, Some(None)));
        assert!(
            matches!(patch(r#"{"a":null}"#), Err(Error::Invalid(c)) if c[0].message == "must be a string")
        );
    }

    #[test]
    fn a_request_without_a_body_takes_an_empty_object_too() {
        assert!(read_nothing(&request(Some("text/plain"), "")).is_ok());
        assert!(read_nothing(&request(None, "{}")).is_ok());
        assert!(matches!(read_nothing(&request(None, r#"{"a":1}"#)), Err(Error::Invalid(_))));
        assert!(matches!(read_nothing(&request(None, "x")), Err(Error::BadRequest(_))));
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
