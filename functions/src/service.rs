//! From an event to a response: what surrounds every handler, the same on Lambda and in the local server.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use docyard::context::Context;
use docyard::error::{Error, Fault};
use docyard::response;
use futures_util::FutureExt;
use lambda_http::http::Response;
use lambda_http::lambda_runtime::LambdaEvent;
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::tower::{Service, ServiceExt};
use lambda_http::{Adapter, Body, IntoResponse, Request, RequestExt, service_fn};
use serde::Serialize;

use crate::event::Event;
use crate::route::Route;

/// How long a request may take before it is answered 503: less than the functions' timeout in `template.yaml`, so
/// that the caller gets the contract's answer and not API Gateway's.
pub const TIME_LIMIT: Duration = Duration::from_secs(15);

/// The service of one endpoint: API Gateway's event in, its answer to API Gateway out. It answers every event, also
/// where the handler panics or takes too long.
pub fn service(
    route: &'static Route,
    context: Context,
) -> impl Service<LambdaEvent<Event>, Response = impl Serialize + Send, Error = Infallible, Future: Send> + Send
{
    let handler = service_fn(move |request: Request| answer(route, context.clone(), request));
    Adapter::from(handler).map_request(|event: LambdaEvent<Event>| LambdaEvent {
        payload: LambdaRequest::from(event.payload),
        context: event.context,
    })
}

/// A response whose body is text.
///
/// `lambda_http` would convert a plain `Response<String>` from whatever character set it declares, and link the tables
/// of all of them.
struct TextResponse(Response<String>);

impl IntoResponse for TextResponse {
    fn into_response(self) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        Box::pin(std::future::ready(self.0.map(Body::Text)))
    }
}

async fn answer(route: &Route, context: Context, request: Request) -> Result<TextResponse, Infallible> {
    let request_id = request_id(&request);
    let handled = AssertUnwindSafe((route.handle)(&context, &request)).catch_unwind();
    let result = match tokio::time::timeout(TIME_LIMIT, handled).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(Error::Internal(Fault::new("the handler panicked"))),
        Err(_elapsed) => Err(Error::Unavailable(Fault::new("the request took too long"))),
    };
    let response = response::finish(result, &request_id);
    tracing::info!(request_id, function = route.function, status = response.status().as_u16(), "request");
    Ok(TextResponse(response))
}

/// API Gateway's id of the request.
fn request_id(request: &Request) -> String {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone().unwrap_or_default(),
        _ => String::new(),
    }
}
