//! The HTTP server: it accepts connections, does mutual TLS on those of some ports, and closes those whose clients fall
//! silent.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use axum::{Extension, Router};
use futures_util::future::select_all;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::gateway::ClientCertificate;

/// How long the head of a request may take, counted from the end of the one before it, and how long its body may. It is
/// also how long API Gateway waits for a function.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How many files may be open, as far as the system allows it: each connection is one. macOS allows no more.
const OPEN_FILES: u64 = 10_240;

/// How many of them are for others than clients: the connections to the embedded DynamoDB at both ends, its other
/// clients, and the database.
const RESERVED_FILES: u64 = 256;

/// Where clients connect.
pub(super) struct Port {
    pub(super) listener: TcpListener,
    /// What does mutual TLS on its connections; `None` for plain HTTP.
    pub(super) tls: Option<TlsAcceptor>,
}

/// Serves these ports, one at least, until `stop` is done. Then it returns when all running requests are answered.
pub(super) async fn serve(mut ports: Vec<Port>, router: Router, stop: impl Future<Output = ()>) {
    let connections = GracefulShutdown::new();
    let free = Arc::new(Semaphore::new(max_connections()));
    // Clients for whom there is no free connection wait to be accepted.
    let mut accept = async || {
        let permit = free.clone().acquire_owned().await;
        let clients = ports.iter_mut().map(|port| {
            Box::pin(async {
                // axum's `accept` does not fail: it waits for what passes.
                let (stream, _) = Listener::accept(&mut port.listener).await;
                (stream, port.tls.clone())
            })
        });
        let ((stream, tls), ..) = select_all(clients).await;
        (permit, stream, tls)
    };
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            (permit, stream, tls) = accept() => {
                let exchange = exchange(stream, tls, router.clone(), connections.watcher());
                tokio::spawn(async move {
                    exchange.await;
                    drop(permit);
                });
            }
            () = &mut stop => break,
        }
    }
    drop(ports);
    connections.shutdown().await;
}

/// All that is exchanged with one client, over TLS or not.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    tls: Option<TlsAcceptor>,
    router: Router,
    watcher: Watcher,
) {
    // An error of a connection is the client's: it left, or sent what is no HTTP.
    let Some(tls) = tls else {
        let _ = watcher.watch(connection(stream, router)).await;
        return;
    };
    match handshake(&tls, stream).await {
        Ok((stream, certificate)) => {
            let router = router.layer(Extension(certificate));
            let _ = watcher.watch(connection(stream, router)).await;
        }
        Err(reason) => tracing::debug!(reason, "a TLS handshake failed"),
    }
}

/// Does the handshake of TLS, within [`READ_TIMEOUT`], and gives the client's certificate. An error says why it failed.
async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    tls: &TlsAcceptor,
    stream: S,
) -> Result<(TlsStream<S>, ClientCertificate), String> {
    let stream = tokio::time::timeout(READ_TIMEOUT, tls.accept(stream))
        .await
        .map_err(|_elapsed| "the client took too long")?
        .map_err(|error| error.to_string())?;
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let certificate = certificate.and_then(|certificate| ClientCertificate::from_der(certificate));
    let certificate = certificate.ok_or("the client's certificate cannot be read")?;
    Ok((stream, certificate))
}

/// The requests of one client. It ends with an error if the client takes longer than [`READ_TIMEOUT`].
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
    use crate::dev::tls;
    use docyard_core::aws::dynamodb;
    use docyard_core::context::Context;
    use docyard_core::model::api_key::Mode;
    use docyard_core::store::Store;
    use docyard_core::values::clock::Clock;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
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

    /// What does mutual TLS, with certificates in `directory`.
    fn acceptor(directory: &tempfile::TempDir) -> TlsAcceptor {
        tls::acceptor(directory.path(), Clock::system().now()).unwrap()
    }

    /// The client's end of a connection that is served with mutual TLS.
    fn served(connections: &GracefulShutdown, tls: &TlsAcceptor, router: Router) -> DuplexStream {
        let (client, server) = duplex(1024);
        tokio::spawn(exchange(server, Some(tls.clone()), router, connections.watcher()));
        client
    }

    /// A client of the server whose certificates are in `directory`, with the certificate of this name.
    fn client_config(directory: &tempfile::TempDir, name: &str) -> ClientConfig {
        let certificate =
            |name: &str| CertificateDer::from_pem_file(directory.path().join(format!("{name}.pem"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(directory.path().join(format!("{name}.key"))).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate("ca")).unwrap();
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate(name)], key)
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_whose_client_falls_silent_before_or_after_the_handshake_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        let (connections, tls) = (GracefulShutdown::new(), acceptor(&directory));
        for sent in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
            let mut client = served(&connections, &tls, Router::new());
            let started = Instant::now();
            client.write_all(sent).await.unwrap();
            let closed = timeout(3 * READ_TIMEOUT, client.read_to_end(&mut Vec::new())).await;
            assert!(closed.is_ok(), "{sent:?}: it is still open");
            assert!(started.elapsed() >= READ_TIMEOUT, "{sent:?}");
        }
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client_config(&directory, "client")));
        let name = ServerName::try_from("localhost").unwrap();
        let stream = served(&connections, &tls, Router::new());
        let mut client = connector.connect(name, stream).await.unwrap();
        let started = Instant::now();
        let mut answer = Vec::new();
        assert!(timeout(3 * READ_TIMEOUT, client.read_to_end(&mut answer)).await.is_ok(), "it is still open");
        assert!(started.elapsed() >= READ_TIMEOUT && answer.is_empty());
    }

    #[tokio::test]
    async fn each_request_over_mutual_tls_has_the_certificate_of_its_own_connection() {
        let directory = tempfile::tempdir().unwrap();
        let (connections, tls) = (GracefulShutdown::new(), acceptor(&directory));
        let subject = async |Extension(certificate): Extension<ClientCertificate>| {
            certificate.0["subjectDN"].as_str().unwrap().to_owned()
        };
        for (name, expected) in
            [("client", "CN=First National Bank (development)"), ("stranger", "CN=A stranger (development)")]
        {
            let connector = tokio_rustls::TlsConnector::from(Arc::new(client_config(&directory, name)));
            let stream = served(&connections, &tls, Router::new().fallback(subject));
            let host = ServerName::try_from("localhost").unwrap();
            let mut client = connector.connect(host, stream).await.unwrap();
            for connection in ["keep-alive", "close"] {
                let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n");
                client.write_all(request.as_bytes()).await.unwrap();
            }
            let mut answers = String::new();
            client.read_to_string(&mut answers).await.unwrap();
            assert_eq!(answers.matches(expected).count(), 2, "{answers}");
        }
    }
}
