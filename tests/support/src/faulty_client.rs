//! A store whose calls of DynamoDB fail: an HTTP client under the SDK, which is else the functions' own.

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
use docyard_core::aws::{dynamodb, transport};
use docyard_core::store::Store;

use crate::fault::{Broken, InjectedFault};
use crate::table::TABLE;

/// The fault of each call, by its operation.
pub type Decide = Arc<dyn Fn(&str) -> Option<InjectedFault> + Send + Sync>;

/// A table's store whose calls fail as `decide` says, and whose client is else the functions' own.
pub fn store(url: &str, decide: Decide) -> Store {
    let client = Faulty { client: transport::http_client(transport::amazon_roots()), decide };
    let config = dynamodb::local_config(url).http_client(client).build();
    Store::new(Client::from_conf(config), TABLE)
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
        let operation = request.headers().get("x-amz-target").unwrap().rsplit('.').next().unwrap().to_owned();
        let Some(fault) = (self.faulty.decide)(&operation) else { return self.connector.call(request) };
        let body = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let connector = self.connector.clone();
        HttpConnectorFuture::new(async move {
            let forward = || async move {
                let mut response = connector.call(request).await?;
                let body = ByteStream::new(response.take_body()).collect().await.unwrap().to_vec();
                Ok((response.status().as_u16(), body))
            };
            match fault.apply(&body, forward).await {
                Ok((status, body)) => Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))),
                Err(Broken::OnPurpose) => Err(ConnectorError::io("on purpose".into())),
                Err(Broken::Forward(error)) => Err(error),
            }
        })
    }
}
