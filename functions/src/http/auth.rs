//! Authentication: the API key of a request and the account it belongs to, or the access token of a request and the
//! recipient it belongs to.
//!
//! Runs first. Without a valid credential the only answer is 401.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use lambda_http::http::HeaderMap;
use lambda_http::http::header::AUTHORIZATION;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

use crate::http::error::Error;
use docyard_core::context::{Caller, Context};
use docyard_core::model::api_key::{ApiKey, Mode};
use docyard_core::model::audit::{Entry, Event};
use docyard_core::model::identifiers::Identifiers;
use docyard_core::model::owned::Owned;
use docyard_core::model::ticket::Issuer;
use docyard_core::model::token::{AccessToken, TokenKind, TokenRecord};
use docyard_core::store::{self, ActiveItems, ActiveRecipient};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::digest::Digest;
use docyard_core::values::thumbprint::Thumbprint;

/// Returns whose API key the request carries. A token that cannot be a key of this deployment is refused without a
/// read.
///
/// # Errors
/// [`Error::Unauthorized`], the same for every cause; [`Error::Unavailable`] or [`Error::Internal`].
pub async fn authenticate(context: &Context, request: &Request) -> Result<Caller, Error> {
    let key = presented_key(request.headers(), context.mode)?;
    caller_of(context, &key).await
}

/// How long a read may take once the key is refused. One that was begun at once with the key ends about when that does;
/// given up before, it would take its connection with it, which costs the next request more than this.
const LINGER: Duration = Duration::from_millis(20);

/// Returns whose API key the request carries, and what `read` finds if it belongs to that account. Key and resource
/// are read at once. When the key is refused, `read` has 20 ms to end.
///
/// # Errors
/// As [`authenticate`].
pub async fn authenticate_and<T: Owned>(
    context: &Context,
    request: &Request,
    read: impl Future<Output = Result<Option<T>, store::Error>>,
) -> Result<(Caller, Option<T>), Error> {
    let key = presented_key(request.headers(), context.mode)?;
    let (caller, found) = beside(caller_of(context, &key), read).await?;
    Ok((caller, found?.filter(|resource| resource.owner() == caller.account)))
}

/// Reads at once who asks and what they may be told. An error of `read` waits until it is known who asks; when they are
/// refused, `read` has 20 ms to end.
async fn beside<A, T>(
    authenticated: impl Future<Output = Result<A, Error>>,
    read: impl Future<Output = T>,
) -> Result<(A, T), Error> {
    let (authenticated, mut read) = (pin!(authenticated), pin!(read));
    match select(authenticated, read.as_mut()).await {
        Either::Left((Ok(authenticated), read)) => Ok((authenticated, read.await)),
        Either::Left((Err(refused), read)) => {
            let _ = tokio::time::timeout(LINGER, read).await;
            Err(refused)
        }
        Either::Right((found, authenticated)) => Ok((authenticated.await?, found)),
    }
}

/// Whose the key is; one read.
async fn caller_of(context: &Context, key: &ApiKey) -> Result<Caller, Error> {
    caller_by(context, &key.digest()).await
}

/// Whose the key with this digest is; one read.
///
/// # Errors
/// As [`authenticate`].
pub async fn caller_by(context: &Context, digest: &Digest) -> Result<Caller, Error> {
    let record = context.store.api_key(digest).await?;
    match record {
        Some(record) if record.mode == context.mode && record.is_valid(context.now()) => {
            context.record.set_caller(record.account, record.id);
            Ok(Caller { account: record.account, key: record.id, key_expires_at: record.expires_at })
        }
        _ => Err(Error::Unauthorized { token_sent: true }),
    }
}

/// A recipient that proved itself by an access token, and what is active of it.
pub struct Institution {
    /// What the token was made from.
    pub token: TokenRecord,
    /// What is active of the recipient.
    pub active: ActiveRecipient,
    /// The digest of the token.
    pub digest: Digest,
}

/// Who asks where both an API key and an access token open.
pub enum Asker {
    /// An account, with the digest of its key.
    Account(Caller, Digest),
    /// A recipient.
    Recipient(Box<Institution>),
}

impl Asker {
    /// When its credential ends, if it does.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Account(caller, _) => caller.key_expires_at,
            Self::Recipient(institution) => Some(institution.token.expires_at),
        }
    }

    /// Who may use a ticket that it is given; `submitted` is what an account submitted for the job.
    pub fn issuer(&self, submitted: &Identifiers) -> Issuer {
        match self {
            Self::Account(_, key) => Issuer::Account { key: key.clone(), submitted: submitted.clone() },
            Self::Recipient(institution) => Issuer::Recipient { token: institution.digest.clone() },
        }
    }

    /// The audit entry on an event that its request brings about.
    pub fn entry(&self, context: &Context, event: Event) -> Entry {
        match self {
            Self::Account(caller, _) => context.entry(*caller, event),
            Self::Recipient(institution) => {
                context.entry_of_recipient(institution.token.account, institution.token.recipient, event)
            }
        }
    }
}

/// Returns who asks, by an API key or by an access token, and what `read` finds, which is read at once. It is for the caller to
/// say whose that is.
///
/// # Errors
/// As [`authenticate_and`].
pub async fn authenticate_asker<T>(
    context: &Context,
    request: &Request,
    read: impl Future<Output = Result<T, store::Error>>,
) -> Result<(Asker, T), Error> {
    if presented(request.headers(), AccessToken::parse).is_ok() {
        let institution = authenticate_recipient(context, request);
        let (institution, found) = beside(institution, read).await?;
        return Ok((Asker::Recipient(Box::new(institution)), found?));
    }
    let key = presented_key(request.headers(), context.mode)?;
    let (caller, found) = beside(caller_of(context, &key), read).await?;
    Ok((Asker::Account(caller, key.digest()), found?))
}

/// Returns whose access token the request carries. The token, and all that it depends on, are read at once. A token that
/// cannot be one is refused without a read.
///
/// # Errors
/// As [`authenticate`].
pub async fn authenticate_recipient(context: &Context, request: &Request) -> Result<Institution, Error> {
    let presented = presented(request.headers(), AccessToken::parse)?;
    let recipient = presented.recipient();
    let digest = presented.digest();
    let (token, active) =
        tokio::try_join!(context.store.token(recipient, &digest), context.store.active_recipient(recipient))?;
    let (token, active) = token.zip(active).ok_or(Error::Unauthorized { token_sent: true })?;
    accept(context, Institution { token, active, digest }, connection_certificate(request).as_ref())
}

/// Returns an institution if its token opens anything now, on a connection with this certificate.
///
/// # Errors
/// [`Error::Unauthorized`].
pub fn accept(
    context: &Context,
    institution: Institution,
    connection: Option<&Thumbprint>,
) -> Result<Institution, Error> {
    let refused = Error::Unauthorized { token_sent: true };
    let Institution { token, active, .. } = &institution;
    let ActiveItems { secrets, certificates, .. } = &active.items;
    let generation = active.pointer.token_generation;
    if !token.is_valid(generation, secrets, certificates, connection, context.now()) {
        return Err(refused);
    }
    context.record.set_account(token.account);
    context.record.add_id(token.recipient);
    context.record.add_id(token.id);
    match token.kind {
        TokenKind::Institution => Ok(institution),
        TokenKind::Unknown => Err(refused),
    }
}

/// The thumbprint of the certificate of the connection, as API Gateway reports it; `None` without mutual TLS. Headers and
/// bodies have no say in it.
pub fn connection_certificate(request: &Request) -> Option<Thumbprint> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => {
            let certificate = context.authentication.as_ref()?.client_cert.as_ref()?;
            Thumbprint::of_pem(certificate.client_cert_pem.as_deref()?)
        }
        _ => None,
    }
}

/// The well-formed key of this mode in the header.
fn presented_key(headers: &HeaderMap, mode: Mode) -> Result<ApiKey, Error> {
    presented(headers, |text| ApiKey::parse(text).filter(|key| key.mode() == mode))
}

/// The credential in `Authorization: Bearer …` (RFC 6750 §2.1), as `parse` reads it.
fn presented<T>(headers: &HeaderMap, parse: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
    let token = bearer_token(headers).ok_or(Error::Unauthorized { token_sent: false })?;
    let credential = std::str::from_utf8(token).ok().and_then(parse);
    credential.ok_or(Error::Unauthorized { token_sent: true })
}

/// What follows `Bearer` in the header; the scheme's case does not matter (RFC 9110 §11.1).
fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes().trim_ascii();
    let (scheme, token) = value.split_at_checked("Bearer".len())?;
    let token = token.strip_prefix(b" ")?.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use docyard_core::values::random;
    use lambda_http::http::HeaderValue;
    use proptest::prelude::*;

    /// What `presented_key` makes of a header: whether it was a key, or whether a token was seen at all.
    fn presented(value: &[u8]) -> Result<(), bool> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        match presented_key(&headers, Mode::Live) {
            Ok(_) => Ok(()),
            Err(Error::Unauthorized { token_sent }) => Err(token_sent),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn takes_a_well_formed_key_behind_bearer_in_any_case() {
        let key = ApiKey::generate(Mode::Live, &mut random::system());
        for scheme in ["Bearer ", "bearer ", "BEARER   "] {
            assert_eq!(presented(format!("{scheme}{}", key.expose()).as_bytes()), Ok(()), "{scheme:?}");
        }
        let (a, b) = (key.expose(), key.expose());
        assert_eq!(presented(format!("Bearer {a},Bearer {b}").as_bytes()), Err(true), "two headers, joined");
        let test_key = ApiKey::generate(Mode::Test, &mut random::system());
        assert_eq!(presented(format!("Bearer {}", test_key.expose()).as_bytes()), Err(true), "wrong mode");
    }

    #[test]
    fn knows_whether_a_token_was_sent() {
        for none in
            ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearerdk_live_x", "dk_live_x", "Bear er x"]
        {
            assert_eq!(presented(none.as_bytes()), Err(false), "{none:?}");
        }
        for token in [&b"Bearer x"[..], b"bearer dk_live_", b"Bearer \xff\xfe", b"Bearer a b"] {
            assert_eq!(presented(token), Err(true), "{token:?}");
        }
        assert!(matches!(
            presented_key(&HeaderMap::new(), Mode::Live),
            Err(Error::Unauthorized { token_sent: false })
        ));
    }

    proptest! {
        #[test]
        fn reading_a_header_never_panics(value in proptest::collection::vec(0x20u8..=0xff, 0..60)) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.insert(AUTHORIZATION, value);
            }
            prop_assert!(presented_key(&headers, Mode::Live).is_err());
        }
    }
}
