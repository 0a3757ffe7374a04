//! `GET /v1/docks`: lists the account's docks, newest first, page by page.
//!
//! Two round trips to DynamoDB: reads the key, then the page.

use docyard_core::context::{Caller, Context};
use docyard_core::values::id::DockId;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{DockOutput, PATH};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::Error;
use crate::http::{auth, input, list, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-docks": Get "/v1/docks",
    description: "List docks",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Key], Query on [Account]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("Those of the key's account, newest first.")
        .page_of::<DockOutput>("A page of docks")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let Caller { account, .. } = auth::authenticate(context, request).await?;
    // The path names no account, so this ties the cursor to it.
    let list = format!("{PATH} of {account}");
    let is_key = |key: &str| DockId::parse(key).is_some();
    let page = input::read(request, |input| list::page(input, &list, is_key))?;
    let docks = context.store.docks(account, &page).await?;
    let output: Vec<DockOutput> = docks.items.iter().map(DockOutput::from).collect();
    let next = docks.next.map(|last| list::next_url(PATH, &list, page.limit, &last));
    response::list(&output, next.as_deref())
}
