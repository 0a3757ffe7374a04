//! The `Idempotency-Key` header ([draft-ietf-httpapi-idempotency-key-header][draft]): a client may repeat a request
//! that creates a resource, and gets the first response again.
//!
//! [draft]: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/

use docyard_core::model::idempotency::{IdempotentRequest, Replay, StoredResponse};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::field_error::FieldError;
use docyard_core::values::id::AccountId;
use lambda_http::http::{HeaderMap, Response};

use super::error::Error;

const HEADER: &str = "idempotency-key";

/// The idempotency key of a request.
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads the header; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the key is not 1 to 255 printable ASCII characters, bare or as a quoted string.
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
}

/// A request that creates a resource, once or repeatedly.
pub struct Attempt(Option<IdempotentRequest>);

impl Attempt {
    /// The request of `account` to `path` with `body`, received at `now`, and the key that it carries.
    pub fn new(
        key: Option<IdempotencyKey>,
        account: AccountId,
        path: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Self {
        Self(key.map(|key| IdempotentRequest::new(account, path, &key.0, body, now)))
    }

    /// The request, if it carries a key.
    pub fn request(&self) -> Option<&IdempotentRequest> {
        self.0.as_ref()
    }

    /// The request, if it carries a key, and the response to store for its repetitions.
    pub fn storing<'a>(
        &'a self,
        response: &'a StoredResponse,
    ) -> Option<(&'a IdempotentRequest, &'a StoredResponse)> {
        Some((self.0.as_ref()?, response))
    }
}

/// The response to a repeated request, as `respond` makes it of the stored one.
///
/// # Errors
/// [`Error::IdempotencyKeyReused`] if the key was used with another body.
pub fn replay(
    replay: Replay,
    respond: impl FnOnce(StoredResponse) -> Response<String>,
) -> Result<Response<String>, Error> {
    match replay {
        Replay::Response(stored) => Ok(respond(stored)),
        Replay::KeyReused => Err(Error::IdempotencyKeyReused),
    }
}

/// Reads a key: a structured field's string (RFC 8941 §3.3.3) if it begins with a quote, else the header as it is.
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
