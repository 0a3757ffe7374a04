//! The JSON body of a request: one object, whose unknown and duplicate fields are refused. [`super::input`] reads it.

use docyard_core::values::field_error::{FieldError, Rejected, shown};
use docyard_core::values::fields::Fields;
use docyard_core::values::json::Json;
use lambda_http::Request;
use lambda_http::http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::error::Error;
use super::header::is_repeated;

/// The largest body, in bytes after base64 is decoded: 64 KiB.
pub const MAX_BYTES: usize = 64 * 1024;
/// The largest body that holds many resources: 1 MiB.
pub const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// What is said of a larger body.
pub(crate) const TOO_LARGE: &str = "The request body is larger than 64 KiB";
pub(crate) const BATCH_TOO_LARGE: &str = "The request body is larger than 1 MiB; send several requests";

/// The media type of a body (RFC 8259), assumed where none is declared.
pub(super) const JSON: &str = "application/json";
/// The media type of a merge patch (RFC 7396).
pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";

/// Reads the members of a request's body into a domain value, and adds what is wrong to `errors`.
///
/// `parse` takes every field it knows out of [`Fields`] before it returns an error, so that all errors are collected. A
/// field that it leaves is refused as unknown.
pub(super) fn parse_object<T>(
    members: Vec<(String, Json)>,
    errors: &mut Vec<FieldError>,
    parse: impl FnOnce(&mut Fields) -> Result<T, Rejected>,
) -> Result<T, Rejected> {
    let (value, found) = Fields::read(members, parse);
    errors.extend(found);
    value
}

/// The members of the object that is a request's body, declared as one of `media_types`.
pub(super) fn object(request: &Request, media_types: &[&str]) -> Result<Vec<(String, Json)>, Error> {
    object_of(json(text(request)?, request, media_types)?)
}

/// The members of the object that is a request's body, of at most [`MAX_BATCH_BYTES`].
pub(super) fn batch_object(request: &Request) -> Result<Vec<(String, Json)>, Error> {
    object_of(json(limited(request, MAX_BATCH_BYTES, BATCH_TOO_LARGE)?, request, &[JSON])?)
}

fn object_of(json: Json) -> Result<Vec<(String, Json)>, Error> {
    match json {
        Json::Object(members) => Ok(members),
        _ => Err(not_an_object()),
    }
}

/// What a body gets that is something else.
pub(crate) fn not_an_object() -> Error {
    bad_request("The request body must be a JSON object, such as {\"name\": \"…\"}")
}

/// The members of the object that is a request's body, if it has one: no body, white space and `null` are an empty
/// object.
pub(super) fn optional_object(request: &Request) -> Result<Vec<(String, Json)>, Error> {
    let body = text(request)?;
    if body.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    match json(body, request, &[JSON])? {
        Json::Object(members) => Ok(members),
        Json::Null => Ok(Vec::new()),
        _ => Err(bad_request("The request body must be a JSON object, or absent")),
    }
}

/// The canonical form of a request's body, which was read already; that of an empty object for a body that is absent.
pub(super) fn canonical(request: &Request) -> String {
    match serde_json::from_slice(without_bom(request)) {
        Ok(body @ Json::Object(_)) => body.canonical(),
        _ => Json::Object(Vec::new()).canonical(),
    }
}

fn json(body: &[u8], request: &Request, media_types: &[&str]) -> Result<Json, Error> {
    if body.is_empty() {
        return Err(bad_request("The request needs a body: a JSON object"));
    }
    check_encoding(request)?;
    check_media_type(request, media_types)?;
    serde_json::from_slice(body).map_err(|_| bad_request("The request body is not valid JSON in UTF-8"))
}

/// The body, which is not too large, without a byte order mark.
pub(super) fn text(request: &Request) -> Result<&[u8], Error> {
    limited(request, MAX_BYTES, TOO_LARGE)
}

fn limited<'a>(request: &'a Request, max: usize, message: &'static str) -> Result<&'a [u8], Error> {
    if request.body().len() > max {
        return Err(Error::PayloadTooLarge(message));
    }
    Ok(without_bom(request))
}

/// The body without the byte order mark that it may begin with (RFC 8259 §8.1).
fn without_bom(request: &Request) -> &[u8] {
    let body: &[u8] = request.body();
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Refuses a body that is compressed (RFC 9110 §8.4).
pub(super) fn check_encoding(request: &Request) -> Result<(), Error> {
    let Some(encoding) = request.headers().get(CONTENT_ENCODING) else { return Ok(()) };
    let encoding = encoding.as_bytes().trim_ascii();
    if encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") {
        return Ok(());
    }
    Err(Error::UnsupportedEncoding(shown(&String::from_utf8_lossy(encoding))))
}

/// Refuses a body that is declared as anything but one of `media_types`. None is declared for JSON too.
fn check_media_type(request: &Request, media_types: &[&str]) -> Result<(), Error> {
    let Some(declared) = request.headers().get(CONTENT_TYPE) else { return Ok(()) };
    if is_repeated(declared.as_bytes()) {
        // [`super::input`] refuses it.
        return Ok(());
    }
    let is = |media_type: &&str| essence(declared.as_bytes()).eq_ignore_ascii_case(media_type.as_bytes());
    if media_types.iter().any(is) { Ok(()) } else { Err(Error::UnsupportedMediaType(SEND_JSON)) }
}

const SEND_JSON: &str = "Send the request body as JSON, with Content-Type: application/json";

/// A media type without its parameters.
pub(super) fn essence(media_type: &[u8]) -> &[u8] {
    media_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii()
}

fn bad_request(message: &'static str) -> Error {
    Error::BadRequest { message, errors: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::input;
    use docyard_core::values::field_error::MAX_FIELD_CHARS;
    use docyard_core::values::fields::string;
    use docyard_core::values::patch::Patch;
    use lambda_http::Body;
    use proptest::prelude::*;
    use serde_json::Value;

    fn request(content_type: Option<&str>, body: impl Into<Vec<u8>>) -> Request {
        let mut request = Request::new(Body::Binary(body.into()));
        if let Some(content_type) = content_type {
            request.headers_mut().insert(CONTENT_TYPE, content_type.parse().unwrap());
        }
        request
    }

    /// Reads `{"a": string, "b": optional string}`.
    fn read_ab(body: impl Into<Vec<u8>>) -> Result<(String, Option<String>), Error> {
        input::read(&request(None, body), |input| {
            input.body(|fields| {
                let a = fields.required("a", string(|text| Ok(text.to_owned())));
                let b = fields.optional("b", string(|text| Ok(text.to_owned())));
                Ok((a?, b?))
            })
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
        assert_eq!(
            read_ab("\u{feff}{\"a\":\"x\"}").unwrap(),
            ("x".into(), None),
            "a byte order mark is skipped"
        );
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
                matches!(read_ab(body), Err(Error::BadRequest { message, .. }) if message.contains("must be a JSON object")),
                "{body}"
            );
        }
        assert!(
            matches!(read_ab(""), Err(Error::BadRequest { message, .. }) if message.contains("needs a body"))
        );
        for body in [
            &b"{"[..],
            b" ",
            b"{\"a\":\"\xff\"}",
            b"\xef\xbb\xbf\xef\xbb\xbf{\"a\":\"x\"}",
            b"{\"a\":\"\\ud800\"}",
            b"{\"a\":1e999}",
            b"{}x",
            b"{\"a\":NaN}",
        ] {
            assert!(
                matches!(read_ab(body), Err(Error::BadRequest { message, .. }) if message.contains("not valid JSON")),
                "{body:?}"
            );
        }
        let deep = format!("{{\"a\":{}", "[".repeat(60_000));
        assert!(matches!(read_ab(deep), Err(Error::BadRequest { .. })));
    }

    #[test]
    fn a_body_may_have_64_kib_and_not_one_byte_more() {
        let body = |size: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(size - 8));
        assert!(read_ab(body(MAX_BYTES)).is_ok());
        assert!(matches!(read_ab(body(MAX_BYTES + 1)), Err(Error::PayloadTooLarge(_))));
    }

    #[test]
    fn only_json_may_be_declared() {
        let object = |media_type| object(&request(media_type, "{}"), &[JSON]);
        for json in [
            None,
            Some("application/json"),
            Some("Application/JSON ; charset=utf-8"),
            Some("application/json;"),
        ] {
            assert!(object(json).is_ok(), "{json:?}");
        }
        for other in [
            "text/plain",
            "application/merge-patch+json",
            "application/x-www-form-urlencoded",
            "",
            "application/jsonp",
        ] {
            let refusal = object(Some(other)).err();
            assert!(matches!(refusal, Some(Error::UnsupportedMediaType(_))), "{other:?}");
        }
    }

    #[test]
    fn only_a_plain_body_is_read() {
        let encoded = |encoding: &str| {
            let mut request = request(None, "{}");
            request.headers_mut().insert(CONTENT_ENCODING, encoding.parse().unwrap());
            object(&request, &[JSON]).err()
        };
        for plain in ["identity", " Identity ", ""] {
            assert!(encoded(plain).is_none(), "{plain:?}");
        }
        for other in ["gzip", "br", "gzip, identity", "identity,identity", "aws-chunked"] {
            let refusal = encoded(other);
            assert!(matches!(refusal, Some(Error::UnsupportedEncoding(name)) if name == other), "{other:?}");
        }
    }

    fn patch<T>(
        body: &str,
        parse: impl FnOnce(&mut Fields) -> Result<T, Rejected>,
    ) -> Result<T, Vec<FieldError>> {
        let request = request(Some("application/merge-patch+json"), body);
        input::read(&request, |input| input.merge_patch(parse)).map_err(|error| match error {
            Error::Invalid(errors) => errors,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_patch_tells_absent_null_and_given_apart() {
        let patch = |body: &str| {
            patch(body, |fields| {
                let a = fields.change("a", string(|text| Ok(text.to_owned())));
                let b = fields.patch("b", string(|text| Ok(text.to_owned())));
                Ok((a?, b?))
            })
        };
        assert_eq!(patch("{}").unwrap(), (None, Patch::Keep));
        assert_eq!(patch(r#"{"a":"x","b":"y"}"#).unwrap(), (Some("x".into()), Patch::Set("y".into())));
        assert_eq!(patch(r#"{"b":null}"#).unwrap(), (None, Patch::Clear));
        assert!(patch(r#"{"a":null}"#).unwrap_err()[0].message.contains("cannot be cleared"));
    }

    #[test]
    fn a_patch_may_repeat_what_it_cannot_change() {
        let current = serde_json::json!({"id": "1", "at": "2025-01-15T10:32:00.000Z"});
        let read_only = |body: &str, current: Option<&Value>| {
            let errors = patch(body, |fields| fields.read_only(&["id", "at", "none"], current)).err();
            errors.map(|errors| errors.into_iter().map(|error| error.field).collect::<Vec<_>>())
        };
        for same in [
            "{}",
            r#"{"id":"1"}"#,
            r#"{"at":"2025-01-15T10:32:00.000Z","id":"1","none":null}"#,
            r#"{"at":"2025-01-15T10:32:00+00:00"}"#,
        ] {
            assert_eq!(read_only(same, Some(&current)), None, "{same}");
        }
        assert_eq!(
            read_only(r#"{"id":"2","at":null,"none":"x"}"#, Some(&current)).unwrap(),
            ["id", "at", "none"]
        );
        assert_eq!(read_only(r#"{"id":"2"}"#, None), None, "nothing to compare with");
    }

    #[test]
    fn an_optional_body_may_be_absent_white_space_null_or_empty() {
        let read = |content_type, body: &str| {
            input::read(&request(content_type, body), |input| {
                input.optional_body(|fields| fields.optional("a", string(|text| Ok(text.to_owned()))))
            })
        };
        for none in ["", " \r\n", "null", " null ", "{}", "\u{feff}", "\u{feff}null"] {
            assert_eq!(read(None, none).unwrap(), None, "{none:?}");
        }
        assert!(read(Some("text/plain"), "").is_ok());
        assert_eq!(read(None, r#"{"a":"x"}"#).unwrap(), Some("x".to_owned()));
        assert!(matches!(read(None, r#"{"b":1}"#), Err(Error::Invalid(_))));
        for other in ["x", "[]", "0", "\"\""] {
            assert!(matches!(read(None, other), Err(Error::BadRequest { .. })), "{other:?}");
        }
    }

    #[test]
    fn a_body_that_is_absent_has_the_canonical_form_of_an_empty_one() {
        for none in ["", " ", "null", "{}", "\u{feff}{ }"] {
            assert_eq!(canonical(&request(None, none)), "{}", "{none:?}");
        }
        assert_eq!(
            canonical(&request(None, "\u{feff}{\"b\":1, \"a\":2}")),
            r#"{"a":2,"b":1}"#.replace(", ", ",")
        );
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
