//! The API over HTTP, as the account's and the institution's commands use it: what may pass is tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use docyard_core::values::random;
use futures_util::TryStreamExt;
use rand::Rng;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Body, Certificate, Client, Identity, RequestBuilder, StatusCode, redirect};
use serde_json::Value;
use tokio::fs::File;
use tokio_util::io::ReaderStream;

/// How often a request is tried in all.
pub(crate) const MAX_ATTEMPTS: u32 = 8;
/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(20);
/// How many bytes of a file are read at once.
const CHUNK: usize = 256 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing may be sent or answered.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// A response.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; `null` if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What an error says.
    pub(crate) fn message(&self) -> String {
        let body = self.json();
        match body.get("message").and_then(Value::as_str) {
            Some(message) => format!("{} {message}", self.status.as_u16()),
            None => self.status.to_string(),
        }
    }
}

/// An address without the slash at its end. Keys and passphrases are sent there, so it must be encrypted, but to this machine.
pub(crate) fn url(text: &str) -> Result<String, &'static str> {
    let url: reqwest::Url = text.parse().map_err(|_| "must be a URL such as https://access.example.com")?;
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(text.trim_end_matches('/').to_owned()),
        "http" if is_local => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("must begin with https://, since keys are sent there"),
    }
}

/// A client for the API at this address, and for what it refers to. It trusts the operating system's certificates and follows no
/// redirect: with the request it would send the key on. What is not encrypted goes through no proxy.
pub(crate) fn client(url: &str) -> Result<Client, String> {
    client_with(url, None, None)
}

/// The same with a certificate of its own, and that of another authority that it trusts.
pub(crate) fn client_with(
    url: &str,
    identity: Option<Identity>,
    authority: Option<Certificate>,
) -> Result<Client, String> {
    // An error says that it was chosen before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder().connect_timeout(CONNECT_TIMEOUT).redirect(redirect::Policy::none());
    if let Some(identity) = identity {
        builder = builder.identity(identity);
    }
    builder = builder.tls_certs_merge(authority);
    let builder = if url.starts_with("https://") { builder } else { builder.no_proxy() };
    builder.build().map_err(|error| format!("no HTTP client: {error}"))
}

/// How much of a body was sent.
#[derive(Clone, Default)]
pub(crate) struct Sent(Arc<AtomicUsize>);

impl Sent {
    /// The body of a request: a file, which is counted as it is sent.
    pub(crate) fn body(&self, file: File) -> Body {
        let sent = self.clone();
        let counted = ReaderStream::with_capacity(file, CHUNK).inspect_ok(move |chunk| {
            sent.0.fetch_add(chunk.len(), Ordering::Relaxed);
        });
        Body::wrap_stream(counted)
    }

    /// Waits for `work`, as long as it goes on.
    async fn unless_stalled<T>(&self, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let mut work = std::pin::pin!(work);
        loop {
            let before = self.0.load(Ordering::Relaxed);
            match tokio::time::timeout(STALL_TIMEOUT, &mut work).await {
                Ok(done) => return done,
                Err(_) if self.0.load(Ordering::Relaxed) == before => {
                    return Err("nothing was sent or answered for a minute".to_owned());
                }
                Err(_) => {}
            }
        }
    }
}

/// Sends what `request` makes, and waits for the whole answer. A broken connection, a cut answer, 408, 429 and 5xx are tried again, after
/// the pause that the answer asks for, or one that grows. `sent` counts what is sent of the body, if that may take long.
///
/// # Errors
/// There is no answer after all attempts, or the request cannot be made.
pub(crate) async fn send<E: ToString>(
    sent: &Sent,
    mut request: impl AsyncFnMut() -> Result<RequestBuilder, E>,
) -> Result<Answer, String> {
    for attempt in 1.. {
        let request = request().await.map_err(|error| error.to_string())?;
        let (failure, pause) = match sent.unless_stalled(exchange(request)).await {
            Ok(answer) if is_busy(answer.status) => {
                let pause = asked_pause(&answer.headers);
                (Ok(answer), pause)
            }
            Ok(answer) => return Ok(answer),
            Err(error) => (Err(error), None),
        };
        if attempt == MAX_ATTEMPTS {
            return failure;
        }
        tokio::time::sleep(pause.unwrap_or_else(|| growing_pause(attempt))).await;
    }
    Err("not tried".to_owned())
}

async fn exchange(request: RequestBuilder) -> Result<Answer, String> {
    let read = async {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await?.to_vec();
        Ok(Answer { status, headers, body })
    };
    // Without the address, which may be a signed one.
    read.await.map_err(|error: reqwest::Error| cause(&error.without_url()))
}

/// Waits for a part of an answer, for a minute.
///
/// # Errors
/// It did not come.
pub(crate) async fn in_time<T>(part: impl Future<Output = Result<T, reqwest::Error>>) -> Result<T, String> {
    match tokio::time::timeout(STALL_TIMEOUT, part).await {
        Ok(came) => came.map_err(|error| cause(&error.without_url())),
        Err(_) => Err("nothing was sent or answered for a minute".to_owned()),
    }
}

/// The innermost cause of an error.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn is_busy(status: StatusCode) -> bool {
    [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status) || status.is_server_error()
}

fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_PAUSE))
}

/// At random up to 200 ms, doubled with each attempt.
pub(crate) fn growing_pause(attempt: u32) -> Duration {
    let ceiling = 200 * 2_u64.pow(attempt.saturating_sub(1).min(6));
    Duration::from_millis(random::system().next_u64() % ceiling + 1).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_may_take_as_long_as_it_goes_on() {
        let sent = Sent::default();
        let slow = async {
            for _ in 0..10 {
                tokio::time::sleep(STALL_TIMEOUT * 9 / 10).await;
                sent.0.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        assert_eq!(sent.unless_stalled(slow).await, Ok(()));
        let stalled = async {
            sent.0.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<Result<(), String>>().await
        };
        assert!(sent.unless_stalled(stalled).await.is_err());
    }

    #[test]
    fn the_key_is_sent_encrypted_or_to_this_machine() {
        for address in
            ["https://access.example.com", "http://localhost:3000", "http://127.0.0.1:1", "http://[::1]:1"]
        {
            assert_eq!(url(&format!("{address}/")), Ok(address.to_owned()));
        }
        for address in ["http://access.example.com", "http://localhost.example.com", "ftp://a", "access", ""]
        {
            assert!(url(address).is_err(), "{address}");
        }
    }
}
