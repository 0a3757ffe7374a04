//! The floor of every function that calls DynamoDB: it makes the calls that the event's body lists, one after the
//! other, by the functions' own client, and answers with the nanoseconds that they took.
//!
//! A call is sent as it was recorded of a function, so the two differ in nothing but what the function does around its
//! calls. Building the request, which every program has to do, is left out: the floor is a little lower than any.

use std::collections::HashMap;
use std::time::Instant;

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use docyard_core::aws::dynamodb;
use docyard_core::store::{Partition, Store};
use lambda_http::{Error, Request, service_fn};
use serde::Deserialize;

/// One call of DynamoDB's API.
#[derive(Deserialize)]
struct Call {
    operation: String,
    /// The request's body: JSON.
    body: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let client = dynamodb::function_client()?;
    // As many connections as the function's, opened in the same way.
    let connections = std::env::var("CONNECTIONS")?.parse()?;
    Store::new(client.clone(), std::env::var("TABLE_NAME")?).connect(connections, Partition::Key).await;
    lambda_http::run(service_fn(|event: Request| answer(&client, event))).await
}

async fn answer(client: &Client, event: Request) -> Result<String, Error> {
    let calls: Vec<Call> = serde_json::from_slice(event.body())?;
    let begun = Instant::now();
    for call in calls {
        send(client, call).await?;
    }
    Ok(begun.elapsed().as_nanos().to_string())
}

async fn send(client: &Client, call: Call) -> Result<(), Error> {
    macro_rules! send {
        ($request:expr) => {{
            $request.customize().mutate_request(put_body(call.body)).send().await?;
        }};
    }
    // The SDK wants these to be set.
    let (table, key) = (Some("table".to_owned()), Some(HashMap::new()));
    match call.operation.as_str() {
        "BatchGetItem" => send!(client.batch_get_item().set_request_items(Some(HashMap::new()))),
        "Query" => send!(client.query().set_table_name(table)),
        "UpdateItem" => send!(client.update_item().set_table_name(table).set_key(key)),
        "BatchWriteItem" => send!(client.batch_write_item().set_request_items(Some(HashMap::new()))),
        "TransactWriteItems" => send!(client.transact_write_items().set_transact_items(Some(Vec::new()))),
        other => return Err(format!("{other}: name it here").into()),
    }
    Ok(())
}

/// Puts the recorded body in the place of the one that the SDK made of nothing.
fn put_body(body: String) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
    move |request| {
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body.as_str());
    }
}
