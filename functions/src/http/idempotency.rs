//! The `Idempotency-Key` header ([draft-ietf-httpapi-idempotency-key-header][draft]): a client may repeat a request
//! that creates a resource, and gets the first response again.
//!
//! [draft]: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/

use docyard_core::context::Context;
use docyard_core::model::idempotency::{IdempotentRequest, Replay, StoredResponse};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::id::AccountId;
use lambda_http::Request;
use lambda_http::http::{HeaderName, HeaderValue, Response};

use super::body;
use super::error::Error;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The idempotency key of a request.
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads the header's value: 1 to 255 printable ASCII characters, bare or as a quoted string. A bare key has no
    /// comma, since API Gateway joins a repeated header with commas.
    ///
    /// # Errors
    /// What it must be.
    pub(super) fn parse(value: &str) -> Result<Self, &'static str> {
        let value = value.trim();
        if !value.starts_with('"') && value.contains(',') {
            return Err("must be given once; a key with a comma in it is sent in double quotes");
        }
        let key =
            parse(value).ok_or("must be 1 to 255 printable ASCII characters, bare or in double quotes")?;
        Ok(Self(key))
    }
}

/// A request that creates a resource, once or repeatedly.
pub struct Attempt(Option<IdempotentRequest>);

impl Attempt {
    /// The request of `account` to `path`, received at `now`, and the key that it carries. Its body was read already.
    pub fn new(
        key: Option<IdempotencyKey>,
        account: AccountId,
        path: &str,
        request: &Request,
        now: Timestamp,
    ) -> Self {
        Self(key.map(|key| IdempotentRequest::new(account, path, &key.0, &body::canonical(request), now)))
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

/// What a request gets that cannot be carried out as things are: the response to its first attempt, since that one may be
/// why; else `error`.
///
/// # Errors
/// `error`, those of [`replay`], and those of the store.
pub async fn replay_or(
    context: &Context,
    attempt: &Attempt,
    error: Error,
    respond: impl FnOnce(StoredResponse) -> Response<String>,
) -> Result<Response<String>, Error> {
    match context.store.stored_response(attempt.request()).await? {
        Some(stored) => replay(stored, respond),
        None => Err(error),
    }
}

/// The response to a repeated request, as `respond` makes it of the stored one, with `Idempotent-Replayed: true`.
///
/// # Errors
/// [`Error::IdempotencyKeyReused`] if the key was used with another body.
pub fn replay(
    replay: Replay,
    respond: impl FnOnce(StoredResponse) -> Response<String>,
) -> Result<Response<String>, Error> {
    match replay {
        Replay::Response(stored) => {
            let mut response = respond(stored);
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        Replay::KeyReused => Err(Error::IdempotencyKeyReused),
    }
}

/// Reads a key: a structured field's string (RFC 8941 §3.3.3) if it begins with a quote, else the header as it is.
fn parse(header: &str) -> Option<String> {
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

    fn parsed(header: &str) -> Option<String> {
        IdempotencyKey::parse(header).ok().map(|key| key.0)
    }

    #[test]
    fn a_key_is_bare_or_quoted() {
        assert_eq!(parsed("8e03978e-40d5").as_deref(), Some("8e03978e-40d5"));
        assert_eq!(parsed(" \"8e03978e-40d5\" ").as_deref(), Some("8e03978e-40d5"));
        assert_eq!(parsed(r#""a\"b\\c, d""#).as_deref(), Some(r#"a"b\c, d"#));
        assert_eq!(parsed(&"k".repeat(255)).map(|key| key.len()), Some(255));
        for other in
            ["", " ", "\"\"", "\"a", "\"a\"b\"", r#""a\b""#, r#""a\""#, "é", "a\tb", &"k".repeat(256)]
        {
            assert_eq!(parsed(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_header_given_twice_is_no_key() {
        for twice in ["k,k", "k, k", "\"k\",\"k\"", "\"k\", \"k\"", "k,\"k\""] {
            assert_eq!(parsed(twice), None, "{twice:?}");
        }
        assert!(IdempotencyKey::parse("k,k").err().unwrap().contains("given once"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = IdempotencyKey::parse(&text);
        }

        #[test]
        fn a_quoted_key_comes_back(key in "[ -~]{1,255}") {
            let quoted = format!("\"{}\"", key.replace('\\', r"\\").replace('"', r#"\""#));
            prop_assert_eq!(parsed(&quoted), Some(key));
        }
    }
}
