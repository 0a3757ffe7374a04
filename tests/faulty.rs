//! An HTTP client under the SDK that makes calls of DynamoDB fail.
#![allow(dead_code, reason = "each test target uses its own part")]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use docyard_core::aws::dynamodb;
use docyard_core::aws::transport;
use docyard_core::store::Store;
use serde_json::{Value, json};

use crate::support::TABLE;

/// What befalls a call of DynamoDB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// No connection: nothing is done.
    Unreachable,
    /// Nothing is done, and no answer comes.
    SilenceBefore,
    /// It is done, and no answer comes.
    SilenceAfter,
    /// It is done, and the connection breaks before the answer.
    BrokenAfter,
    /// It is done, and half of the answer comes.
    HalfAnswer,
    /// 500, and nothing is done.
    ErrorBefore,
    /// 500, though it is done.
    ErrorAfter,
    /// It is refused with this code.
    Refused(&'static str),
    /// A transaction is canceled for these reasons, in the order of its writes.
    Canceled(&'static [&'static str]),
    /// A batch is taken, and nothing of it done.
    Unprocessed,
    /// It is done, so many milliseconds late, and answered as many late.
    Slow(u64, u64),
}

impl Fault {
    /// Whether it can befall a call of this operation.
    pub fn applies_to(self, operation: &str) -> bool {
        match self {
            Self::Canceled(_) => operation == "TransactWriteItems",
            Self::Unprocessed => operation.starts_with("Batch"),
            _ => true,
        }
    }
}

/// Says of each call, by its operation, what is to befall it.
pub type Decide = Arc<dyn Fn(&str) -> Option<Fault> + Send + Sync>;

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
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let connector = self.connector.clone();
        let broken = || ConnectorError::io("on purpose".into());
        let answer =
            |status: u16, body: String| HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        let error = |code: &str| json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "on purpose"});
        HttpConnectorFuture::new(async move {
            match fault {
                Fault::Slow(before, after) => {
                    tokio::time::sleep(Duration::from_millis(before)).await;
                    let response = connector.call(request).await;
                    tokio::time::sleep(Duration::from_millis(after)).await;
                    response
                }
                Fault::Unreachable => Err(broken()),
                Fault::SilenceBefore => std::future::pending().await,
                Fault::SilenceAfter => {
                    connector.call(request).await?;
                    std::future::pending().await
                }
                Fault::BrokenAfter => {
                    connector.call(request).await?;
                    Err(broken())
                }
                Fault::HalfAnswer => {
                    let mut response = connector.call(request).await?;
                    let status = response.status().as_u16();
                    let whole = aws_smithy_types::byte_stream::ByteStream::new(response.take_body());
                    let whole = whole.collect().await.unwrap().to_vec();
                    Ok(answer(status, String::from_utf8_lossy(&whole[..whole.len() / 2]).into_owned()))
                }
                Fault::ErrorBefore => Ok(answer(500, String::new())),
                Fault::ErrorAfter => {
                    connector.call(request).await?;
                    Ok(answer(500, error("InternalServerError").to_string()))
                }
                Fault::Refused(code) => Ok(answer(400, error(code).to_string())),
                Fault::Canceled(codes) => {
                    let reasons: Vec<Value> = codes.iter().map(|code| json!({"Code": code})).collect();
                    let mut error = error("TransactionCanceledException");
                    error["CancellationReasons"] = json!(reasons);
                    Ok(answer(400, error.to_string()))
                }
                Fault::Unprocessed => {
                    let items = &body["RequestItems"];
                    let left = json!({"Responses": {}, "UnprocessedKeys": items, "UnprocessedItems": items});
                    Ok(answer(200, left.to_string()))
                }
            }
        })
    }
}
