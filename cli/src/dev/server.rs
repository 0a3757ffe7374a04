//! The HTTP server: it accepts connections, and closes those whose clients fall silent.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How long the head of a request may take, counted from the end of the one before it, and how long its body may. It is
/// also how long API Gateway waits for a function.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How many files may be open, as far as the system allows it: each connection is one. macOS allows no more.
const OPEN_FILES: u64 = 10_240;

/// How many of them are for others than clients: the connections to the embedded DynamoDB at both ends, its other
/// clients, and the database.
const RESERVED_FILES: u64 = 256;

/// Serves until `stop` is done. Then it returns when all running requests are answered.
pub(super) async fn serve(mut listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let connections = GracefulShutdown::new();
    let free = Arc::new(Semaphore::new(max_connections()));
    // Clients for whom there is no free connection wait to be accepted.
    let mut accept = async || {
        let permit = free.clone().acquire_owned().await;
        // axum's `accept` does not fail: it waits for what passes.
        (permit, Listener::accept(&mut listener).await)
    };
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            (permit, (stream, _)) = accept() => {
                let served = connections.watch(connection(stream, router.clone()));
                tokio::spawn(async move {
                    // An error is the client's: it left, or sent what is no HTTP.
                    let _ = served.await;
                    drop(permit);
                });
            }
            () = &mut stop => break,
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// The exchange with one client. It ends with an error if the client takes longer than [`READ_TIMEOUT`].
fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
) -> impl GracefulConnection<Error = hyper::Error, Output: Send> + Send {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}

/// Raises the limit of open files as far as is allowed, and gives how many connections that leaves for clients.
fn max_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = limit.maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
    let mut files = limit.current.unwrap_or(OPEN_FILES);
    if files < raised && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }).is_ok() {
        files = raised;
    }
    let connections = files.min(OPEN_FILES).saturating_sub(RESERVED_FILES).max(1);
    usize::try_from(connections).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::data_dir::DataDir;
    use crate::dev::gateway::Gateway;
    use docyard_core::aws::dynamodb;
    use docyard_core::context::Context;
    use docyard_core::model::api_key::Mode;
    use docyard_core::store::Store;
    use docyard_core::values::clock::Clock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{Instant, sleep, timeout};

    /// The API over a table that is out of reach.
    fn router(directory: &tempfile::TempDir) -> Router {
        let store = Store::new(dynamodb::local_client("http://127.0.0.1:1"), "t");
        let context = Context::new(store, Mode::Live, Clock::system());
        Gateway::new(context, Arc::new(DataDir::open(directory.path()).unwrap())).router()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_whose_client_falls_silent_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        let router = router(&directory);
        for (sent, answered) in [
            ("", ""),
            ("GET", ""),
            ("GET / HTTP/1.1\r\nHost: a\r\n", ""),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 "),
            ("POST /v1/docks HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{", "HTTP/1.1 408 "),
        ] {
            let (mut client, server) = tokio::io::duplex(1024);
            let started = Instant::now();
            tokio::spawn(connection(server, router.clone()));
            client.write_all(sent.as_bytes()).await.unwrap();
            let mut answer = String::new();
            let closed = timeout(3 * READ_TIMEOUT, client.read_to_string(&mut answer)).await;
            assert!(closed.is_ok(), "{sent:?}: it is still open");
            assert!(started.elapsed() >= READ_TIMEOUT, "{sent:?}");
            assert!(
                answer.starts_with(answered) && answer.is_empty() == answered.is_empty(),
                "{sent:?}: {answer}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_again_in_time_keeps_its_connection() {
        let directory = tempfile::tempdir().unwrap();
        let (mut client, server) = tokio::io::duplex(1024);
        tokio::spawn(connection(server, router(&directory)));
        for _ in 0..5 {
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            assert!(client.read(&mut [0; 1024]).await.unwrap() > 0);
            sleep(READ_TIMEOUT - Duration::from_secs(1)).await;
        }
    }
}
