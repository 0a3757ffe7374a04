//! A network that fails in every way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use docyard_test_support::dev::Dev;
use docyard_test_support::http_client;
use tokio::net::TcpListener;

/// Between the command and both the API and S3: of each three requests one meets a fault.
pub(crate) struct Unreliable {
    http: reqwest::Client,
    api: String,
    pub(crate) url: String,
    requests: AtomicUsize,
    pub(crate) faults: AtomicUsize,
}

/// What stands in a path before the address of S3.
const S3: &str = "/s3/";

impl Unreliable {
    /// Its address.
    pub(crate) async fn before(dev: &Dev) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let unreliable = Arc::new(Self {
            http: http_client().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            api: dev.url.clone(),
            url: format!("http://{}", listener.local_addr().unwrap()),
            requests: AtomicUsize::new(0),
            faults: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(Self::pass).with_state(unreliable.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        unreliable
    }

    async fn pass(
        State(this): State<Arc<Self>>,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Body,
    ) -> Response<Body> {
        let n = this.requests.fetch_add(1, Ordering::SeqCst);
        let fault = (n % 3 == 1).then(|| this.faults.fetch_add(1, Ordering::SeqCst) % 7);
        let busy = |status: u16| {
            Response::builder().status(status).header("retry-after", "0").body(Body::empty()).unwrap()
        };
        match fault {
            Some(0) => return busy(503),
            Some(1) => return busy(429),
            // The connection breaks with the task that serves it.
            Some(2) => panic!("a broken connection, on purpose"),
            _ => {}
        }
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let answer = this.forward(method, &uri, headers, body).await;
        match fault {
            Some(3) => panic!("a broken connection after the request, on purpose"),
            Some(4) => busy(500),
            Some(5) => {
                let (mut parts, body) = answer.into_parts();
                let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                // As many bytes are promised, and half of them come.
                parts.headers.insert("content-length", (whole.len() + 10).into());
                let half = whole.slice(..whole.len() / 2);
                let cut = [Ok(half), Err(std::io::Error::other("cut, on purpose"))];
                Response::from_parts(parts, Body::from_stream(futures_util::stream::iter(cut)))
            }
            // A byte of a document is another one.
            Some(6) if answer.status() == 200 && !answer.headers().contains_key("x-request-id") => {
                let (parts, body) = answer.into_parts();
                let mut content = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
                if let Some(last) = content.last_mut() {
                    *last ^= 1;
                }
                Response::from_parts(parts, Body::from(content))
            }
            _ => answer,
        }
    }

    async fn forward(
        &self,
        method: Method,
        uri: &Uri,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Response<Body> {
        let path = uri.path_and_query().unwrap().as_str();
        let target = match path.strip_prefix(S3) {
            Some(rest) => {
                // The host is signed.
                let (host, path) = rest.split_once('/').unwrap();
                headers.insert("host", host.parse().unwrap());
                format!("http://{host}/{path}")
            }
            None => {
                headers.remove("host");
                format!("{}{path}", self.api)
            }
        };
        let answer = self.http.request(method, target).headers(headers).body(body).send().await.unwrap();
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        let through_this = |address: &str| format!("{}{S3}{address}", self.url);
        if let Some(address) =
            headers.get("location").and_then(|it| it.to_str().unwrap().strip_prefix("http://"))
        {
            headers.insert("location", through_this(address).parse().unwrap());
        }
        let text = answer.text().await.unwrap();
        let text = text.replace("\"url\":\"http://", &format!("\"url\":\"{}", through_this("")));
        headers.insert("content-length", text.len().into());
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}
