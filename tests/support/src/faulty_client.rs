//! A store whose calls of DynamoDB fail, and objects whose calls of S3 do: an HTTP client under them, which is else the
//! functions' own.

use std::fmt;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use axum::http::{HeaderName, HeaderValue};
use docyard_core::aws::{dynamodb, transport};
use docyard_core::store::{Objects, SealedCopy, Store};
use docyard_core::values::clock::Clock;

use crate::bucket::TestBucket;
use crate::fault::{Answered, Broken, InjectedFault};
use crate::table::TABLE;

/// The fault of each call, by its operation.
pub type Decide = Arc<dyn Fn(&str) -> Option<InjectedFault> + Send + Sync>;

/// A table's store whose calls fail as `decide` says, and whose client is else the functions' own.
pub fn store(url: &str, decide: Decide) -> Store {
    let client = Faulty { client: transport::http_client(transport::amazon_roots()), decide };
    let config = dynamodb::local_config(url).http_client(client).build();
    Store::new(Client::from_conf(config), TABLE)
}

/// The objects of a bucket whose calls fail as `decide` says.
pub fn objects(bucket: &TestBucket, decide: Decide) -> Objects {
    Objects::new(bucket.bucket().sending_by(connector(decide)), Clock::system())
}

/// The sealed copy in a bucket whose calls fail as `decide` says.
pub fn sealed_copy(bucket: &TestBucket, decide: Decide) -> SealedCopy {
    SealedCopy::new(bucket.bucket().sending_by(connector(decide)), Clock::system())
}

fn connector(decide: Decide) -> SharedHttpConnector {
    let client = transport::http_client(transport::amazon_roots());
    let connector = transport::connector(transport::amazon_roots());
    SharedHttpConnector::new(FaultyConnector { connector, faulty: Faulty { client, decide } })
}

#[derive(Clone)]
struct Faulty {
    client: SharedHttpClient,
    decide: Decide,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl HttpClient for Faulty {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        SharedHttpConnector::new(FaultyConnector { connector, faulty: self.clone() })
    }
}

#[derive(Debug)]
struct FaultyConnector {
    connector: SharedHttpConnector,
    faulty: Faulty,
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = operation(request.headers().get("x-amz-target"), request.method());
        let Some(fault) = (self.faulty.decide)(&operation) else { return self.connector.call(request) };
        // Of S3 it is no JSON, and no fault asks for it.
        let body = serde_json::from_slice(request.body().bytes().unwrap()).unwrap_or_default();
        let connector = self.connector.clone();
        HttpConnectorFuture::new(async move {
            let forward = || async move {
                let mut response = connector.call(request).await?;
                let body = ByteStream::new(response.take_body()).collect().await.unwrap().to_vec();
                let headers = response.headers().iter().map(|(name, value)| {
                    (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap())
                });
                Ok(Answered { status: response.status().as_u16(), headers: headers.collect(), body })
            };
            match fault.apply(&body, forward).await {
                Ok(Answered { status, headers, body }) => {
                    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
                    for (name, value) in &headers {
                        response
                            .headers_mut()
                            .insert(name.as_str().to_owned(), value.to_str().unwrap().to_owned());
                    }
                    Ok(response)
                }
                Err(Broken::OnPurpose) => Err(ConnectorError::io("on purpose".into())),
                Err(Broken::Forward(error)) => Err(error),
            }
        })
    }
}

/// The name of the operation of a call: of DynamoDB's the target says it, and of S3's the method.
pub(crate) fn operation(target: Option<&str>, method: &str) -> String {
    match (target, method) {
        (Some(target), _) => target.rsplit('.').next().unwrap().to_owned(),
        (None, "PUT") => "PutObject".to_owned(),
        (None, "HEAD") => "HeadObject".to_owned(),
        (None, "GET") => "GetObject".to_owned(),
        (None, "DELETE") => "DeleteObject".to_owned(),
        (None, other) => panic!("which operation is {other}?"),
    }
}
