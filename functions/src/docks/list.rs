//! `GET /v1/docks`: the account's docks, newest first, page by page.
//!
//! Round trips to DynamoDB: two. The key is read, then the page.

use docyard_core::context::Context;
use crate::http::error::Error;
use docyard_core::values::id::DockId;
use crate::http::list;
use crate::http::list::Parameters;
use crate::http::auth;
use crate::http::response;
use lambda_http::Request;
use lambda_http::http::{Method, Response};

#[cfg(feature = "openapi")]
use crate::openapi::Operation;
use crate::route::Route;
use crate::wire::DockOutput;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "list-docks",
    method: Method::GET,
    path: "/v1/docks",
    handle: |context, request| Box::pin(handle(context, request)),
    #[cfg(feature = "openapi")]
    document,
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .describe("Docks", "List the docks", "Those of the key's account, newest first.")
        .is_paged()
        .gives_page_of::<DockOutput>("A page of docks")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let account = auth::authenticate(context, request).await?;
    let mut parameters = Parameters::of(request);
    // The path names no account, so the cursor is tied to it by this.
    let list = format!("/v1/docks of {account}");
    let window = parameters.window(&list, |key| DockId::parse(key).is_some());
    let window = parameters.finish(window)?;
    let page = context.store.docks(account, &window).await?;
    let docks: Vec<DockOutput> = page.items.iter().map(DockOutput::from).collect();
    let next = page.next.map(|last| list::next_url("/v1/docks", &list, window.limit, &last));
    response::list(&docks, next.as_deref())
}
