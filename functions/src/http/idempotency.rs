//! Idempotent creation: the `Idempotency-Key` header, and what is remembered of the request that it named
//! ([draft-ietf-httpapi-idempotency-key-header](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)).

use lambda_http::http::{HeaderMap, Response, StatusCode};

use docyard_core::values::clock::Timestamp;
use docyard_core::values::digest::Digest;
use crate::http::error::Error;
use docyard_core::values::field_error::FieldError;
use docyard_core::values::id::AccountId;
use crate::http::response;

const HEADER: &str = "idempotency-key";

/// How many days a request is remembered.
pub const DAYS: u16 = 1;

/// A request that its caller may repeat: by whom, on which path, with which key and which body.
#[derive(Clone)]
pub struct IdempotentRequest {
    /// Tells this request from others: a SHA-256 over account, path and key.
    pub(crate) id: String,
    /// A SHA-256 over the body.
    pub(crate) fingerprint: String,
    pub(crate) at: Timestamp,
}

/// The answer to the first of a series of repeated requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// Its body, without the value of a secret.
    pub body: String,
    /// Its `Location`.
    pub location: Option<String>,
}

impl StoredResponse {
    /// The answer to a request that made a thing, the first time and every other.
    pub fn created(self) -> Response<String> {
        response::created(self.body, self.location.as_deref())
    }

    /// The answer to the repetition of a request that made a secret, whose value is shown once: 200, and no value.
    pub fn without_value(self) -> Response<String> {
        let mut response = Response::new(self.body);
        *response.status_mut() = StatusCode::OK;
        response
    }
}

/// The key that a request carries.
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The header of a request; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the key is not 1 to 255 printable ASCII characters, bare or as a quoted string.
    pub fn read(headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let Some(value) = headers.get(HEADER) else { return Ok(None) };
        match std::str::from_utf8(value.as_bytes()).ok().and_then(parse) {
            Some(key) => Ok(Some(Self(key))),
            None => {
                let message = "must be 1 to 255 printable ASCII characters, bare or in double quotes";
                Err(Error::Invalid(vec![FieldError::new("Idempotency-Key", message)]))
            }
        }
    }

    /// The request that has this key: by `account`, to `path`, with `body`.
    pub fn of(&self, account: AccountId, path: &str, body: &[u8], at: Timestamp) -> IdempotentRequest {
        let id = Digest::of(&format!("{account} {path} {}", self.0)).expose_hex();
        IdempotentRequest { id, fingerprint: Digest::of_bytes(body).expose_hex(), at }
    }
}

/// The key itself: what stands between quotes and after backslashes, as a structured field's string (RFC 8941 §3.3.3),
/// or else the header as it is.
fn parse(header: &str) -> Option<String> {
    let header = header.trim();
    let key = match header.strip_prefix('"') {
        None => header.to_owned(),
        Some(quoted) => {
            let quoted = quoted.strip_suffix('"')?;
            let mut key = String::new();
            let mut characters = quoted.chars();
            while let Some(character) = characters.next() {
                key.push(match character {
                    '\\' => characters.next().filter(|next| ['"', '\\'].contains(next))?,
                    '"' => return None,
                    other => other,
                });
            }
            key
        }
    };
    ((1..=255).contains(&key.len()) && key.bytes().all(|b| (b' '..=b'~').contains(&b))).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_is_bare_or_quoted() {
        assert_eq!(parse("8e03978e-40d5").as_deref(), Some("8e03978e-40d5"));
        assert_eq!(parse(" \"8e03978e-40d5\" ").as_deref(), Some("8e03978e-40d5"));
        assert_eq!(parse(r#""a\"b\\c""#).as_deref(), Some(r#"a"b\c"#));
        assert_eq!(parse(&"k".repeat(255)).map(|key| key.len()), Some(255));
        for other in
            ["", " ", "\"\"", "\"a", "\"a\"b\"", r#""a\b""#, r#""a\""#, "é", "a\tb", &"k".repeat(256)]
        {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn a_quoted_key_comes_back(key in "[ -~]{1,255}") {
            let quoted = format!("\"{}\"", key.replace('\\', r"\\").replace('"', r#"\""#));
            prop_assert_eq!(parse(&quoted), Some(key));
        }
    }
}
