//! The HTTP client under the SDK and under the calls of S3: HTTP/1.1 over TLS by `rustls` and `ring`, and nothing else.
//!
//! The SDK's own (`aws-smithy-http-client`) also brings HTTP/2, proxies and the operating system's root certificates,
//! none of which a function uses; `docs/performance.md` has what they cost. Time limits and retries are those of its users: see
//! [`crate::aws::dynamodb`] and [`crate::store::Objects`].
//!
//! Lambda freezes a sandbox between two events, for minutes. Meanwhile its connections may end, and nobody in it is told:
//! a router that forgot one swallows what is sent on it. So an exchange over a connection that was idle for long has a
//! short time limit, and if it fails, all connections are given up.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll};
use std::time::{Duration, Instant, SystemTime};

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{
    CaptureConnection, HttpConnector as TcpConnector, HttpInfo, capture_connection,
};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

/// The root certificates of AWS's endpoints: Amazon Root CA 1 to 4 and Starfield Services Root CA G2, as
/// <https://www.amazontrust.com/repository/> publishes them. In DER, since decoding PEM is a tenth of the work of a
/// start.
const AMAZON_ROOTS: [&[u8]; 5] = [
    include_bytes!("roots/amazon-root-ca-1.der"),
    include_bytes!("roots/amazon-root-ca-2.der"),
    include_bytes!("roots/amazon-root-ca-3.der"),
    include_bytes!("roots/amazon-root-ca-4.der"),
    include_bytes!("roots/starfield-services-root-ca-g2.der"),
];

/// How long to wait for a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// The root certificates of AWS's endpoints. To read the operating system's store instead would be most of the cost of
/// a client.
pub fn amazon_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(AMAZON_ROOTS.map(CertificateDer::from));
    roots
}

/// After how long a connection that was not used may be dead without our knowing.
const LONG_IDLE: Duration = Duration::from_secs(1);

/// How long an exchange over such a connection may take: many times what DynamoDB takes, and little enough that another
/// attempt over a new connection ends within a second.
const AFTER_IDLE_TIMEOUT: Duration = Duration::from_millis(300);

/// An HTTP client for the SDK that trusts `roots`. It opens a connection when it is first used.
pub fn http_client(roots: RootCertStore) -> SharedHttpClient {
    let connector = connector(roots);
    http_client_fn(move |_settings, _components| connector.clone())
}

/// What sends a request of such a client.
pub fn connector(roots: RootCertStore) -> SharedHttpConnector {
    let mut tcp = TcpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let provider = Arc::new(ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_protocol_versions(rustls::DEFAULT_VERSIONS);
    let connections = tls.map(|tls| {
        let tls = tls.with_root_certificates(roots).with_no_client_auth();
        let used = LastUses::default();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(NotingConnector { tcp, used: used.clone() });
        Arc::new(Connections { pool: Mutex::new(Pool::new(connector.clone(), 0)), connector, used })
    });
    SharedHttpConnector::new(Transport { connections })
}

#[derive(Debug)]
struct Transport {
    connections: Result<Arc<Connections>, rustls::Error>,
}

impl HttpConnector for Transport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connections = self.connections.clone();
        HttpConnectorFuture::new(async move {
            let connections = connections.map_err(|error| ConnectorError::user(error.into()))?;
            let mut request =
                request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let connection = capture_connection(&mut request);
            if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
                let connection = connection.clone();
                capture.set_connection_retriever(move || Some(metadata(connection.clone())));
            }
            let response = connections.exchange(connection, |client| client.request(request)).await?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// The connections, and how to open new ones.
#[derive(Debug)]
struct Connections {
    connector: HttpsConnector<NotingConnector>,
    pool: Mutex<Pool>,
    used: LastUses,
}

type HttpClient = Client<HttpsConnector<NotingConnector>, SdkBody>;

/// A time by both clocks: which of them stands still in a freeze depends on how the sandbox is frozen.
type Time = (Instant, SystemTime);

/// When each connection was opened, or an answer last came over it, by its address here.
#[derive(Clone, Debug, Default)]
struct LastUses(Arc<Mutex<HashMap<SocketAddr, Time>>>);

impl LastUses {
    fn note(&self, connection: SocketAddr) {
        lock(&self.0).insert(connection, now());
    }

    /// Whether a connection was idle for so long that it may be dead.
    fn is_doubtful(&self, connection: Option<SocketAddr>) -> bool {
        let now = now();
        connection.and_then(|address| lock(&self.0).get(&address).copied()).is_some_and(|(instant, time)| {
            let by_wall_clock = now.1.duration_since(time).unwrap_or_default();
            now.0.duration_since(instant).max(by_wall_clock) > LONG_IDLE
        })
    }
}

/// Notes when it opens a connection. The client may open one for a request that then takes another, and keep it unused.
#[derive(Clone, Debug)]
struct NotingConnector {
    tcp: TcpConnector,
    used: LastUses,
}

impl Service<Uri> for NotingConnector {
    type Response = <TcpConnector as Service<Uri>>::Response;
    type Error = <TcpConnector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connection, used) = (self.tcp.call(uri), self.used.clone());
        Box::pin(async move {
            let connection = connection.await?;
            if let Ok(address) = connection.inner().local_addr() {
                used.note(address);
            }
            Ok(connection)
        })
    }
}

/// Connections that are kept.
#[derive(Debug)]
struct Pool {
    client: HttpClient,
    /// How many pools there were before.
    generation: u64,
}

impl Pool {
    fn new(connector: HttpsConnector<NotingConnector>, generation: u64) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Self { client, generation }
    }
}

impl Connections {
    /// Sends a request, over the connection that `connection` will tell of, and waits for the head of its response. If
    /// it fails over a doubtful connection, all connections are given up.
    ///
    /// Whatever ends an exchange before its response may pass, and every call here can be repeated: reads by nature,
    /// transactions by their token.
    async fn exchange<T, F: Future<Output = Result<T, legacy::Error>>>(
        &self,
        connection: CaptureConnection,
        send: impl FnOnce(&HttpClient) -> F,
    ) -> Result<T, ConnectorError> {
        let (client, generation) = {
            let pool = lock(&self.pool);
            (pool.client.clone(), pool.generation)
        };
        let result = tokio::select! {
            biased;
            result = send(&client) => result.map_err(|error| ConnectorError::io(error.into())),
            () = self.end_of_patience(connection.clone()) => {
                Err(ConnectorError::timeout("a connection that was idle for long does not answer".into()))
            }
        };
        let address = address(&connection);
        match (&result, address) {
            (Ok(_), Some(address)) => self.used.note(address),
            (Err(_), _) if self.used.is_doubtful(address) => {
                let mut pool = lock(&self.pool);
                if pool.generation == generation {
                    *pool = Pool::new(self.connector.clone(), generation + 1);
                }
            }
            _ => {}
        }
        result
    }

    /// Ends when an exchange over a doubtful connection has taken too long, counted from when it has the connection.
    /// Over another connection it never ends.
    async fn end_of_patience(&self, mut connection: CaptureConnection) {
        connection.wait_for_connection_metadata().await;
        if !self.used.is_doubtful(address(&connection)) {
            return std::future::pending().await;
        }
        tokio::time::sleep(AFTER_IDLE_TIMEOUT).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address of a connection here, once there is one.
fn address(connection: &CaptureConnection) -> Option<SocketAddr> {
    let mut extensions = Default::default();
    connection.connection_metadata().as_ref()?.get_extras(&mut extensions);
    extensions.get::<HttpInfo>().map(HttpInfo::local_addr)
}

#[expect(clippy::disallowed_methods, reason = "measures a pause; nothing of the domain depends on it")]
fn now() -> Time {
    (Instant::now(), SystemTime::now())
}

/// Lets the SDK close the connection of a failed attempt, so that the next attempt takes another.
fn metadata(connection: CaptureConnection) -> ConnectionMetadata {
    let poison = move || {
        if let Some(connection) = connection.connection_metadata().as_ref() {
            connection.poison();
        }
    };
    ConnectionMetadata::builder().proxied(false).poison_fn(poison).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::digest::Digest;

    #[test]
    fn the_built_in_roots_are_the_five_that_aws_publishes() {
        assert_eq!(amazon_roots().len(), 5);
        // The certificates' SHA-256 fingerprints.
        let fingerprints = AMAZON_ROOTS.map(|root| Digest::of_bytes(root).expose_hex());
        assert_eq!(
            fingerprints,
            [
                "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
                "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
                "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
                "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
                "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
            ]
        );
    }

    #[tokio::test]
    async fn a_connection_that_no_request_used_is_doubtful_after_a_pause_too() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let uri: Uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let used = LastUses::default();
        let mut connector = NotingConnector { tcp: TcpConnector::new(), used: used.clone() };
        let connection = connector.call(uri).await.unwrap();
        let address = connection.inner().local_addr().ok();
        assert!(!used.is_doubtful(address), "it is new");
        for (instant, time) in lock(&used.0).values_mut() {
            *instant -= LONG_IDLE;
            *time -= LONG_IDLE;
        }
        assert!(used.is_doubtful(address));
    }

    #[test]
    fn tls_is_configured_without_an_error() {
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        assert!(tls.with_protocol_versions(rustls::DEFAULT_VERSIONS).is_ok());
    }
}
