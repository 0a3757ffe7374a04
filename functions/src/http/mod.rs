//! The API's HTTP conventions: what every handler does with a request, and what it answers.
//!
//! Nothing here knows an endpoint or Lambda.

pub mod auth;
pub mod body;
pub mod error;
pub mod header;
pub mod idempotency;
pub mod if_match;
pub mod input;
pub mod list;
pub mod multipart;
pub mod oauth;
pub mod path;
pub mod refusal;
pub mod response;

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

/// API Gateway's id of the request.
pub(crate) fn request_id(request: &Request) -> String {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone().unwrap_or_default(),
        _ => String::new(),
    }
}
