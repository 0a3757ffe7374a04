//! `GET /v1/healthz`: says that the service answers, and its version. Takes no key and reads nothing, so it says nothing
//! of the table.

use docyard_core::context::Context;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};
use serde::Serialize;

use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::Error;
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "get-health": Get "/v1/healthz",
    description: "Get the service's health",
    memory: 128,
    credentials: [],
    connections: 0,
    grants: [],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("Takes no key and reads nothing: it says that API Gateway reaches a function, and not how the database is.")
        .response::<Output>(200, "The service answers")
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Health))]
struct Output {
    /// Always `ok`.
    #[cfg_attr(feature = "openapi", schema(example = "ok"))]
    status: &'static str,
    /// The version of the API.
    #[cfg_attr(feature = "openapi", schema(example = "0.1.0"))]
    version: &'static str,
}

async fn handle(_: &Context, request: &Request) -> Result<Response<String>, Error> {
    input::read_none(request)?;
    response::json(StatusCode::OK, &Output { status: "ok", version: env!("CARGO_PKG_VERSION") })
}
