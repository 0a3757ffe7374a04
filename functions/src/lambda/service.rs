//! From an event to a response: what surrounds every handler, the same on Lambda and in the local server.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use docyard_core::context::Context;
use crate::http::error::Error;
use docyard_core::store::Fault;
use docyard_core::values::id::DockId;
use docyard_core::values::id::RecipientId;
use docyard_core::values::id::SecretId;
use crate::http::path;
use crate::http::response;
use futures_util::FutureExt;
use lambda_http::http::Response;
use lambda_http::lambda_runtime::LambdaEvent;
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::tower::{Service, ServiceExt};
use lambda_http::{Adapter, Body, IntoResponse, Request, RequestExt, service_fn};
use serde::Serialize;

use crate::lambda::event::Event;
use crate::metrics;
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

/// Whether this process has been asked before.
static IS_WARM: AtomicBool = AtomicBool::new(false);

async fn answer(route: &Route, context: Context, request: Request) -> Result<TextResponse, Infallible> {
    let begun = Instant::now();
    let is_cold = !IS_WARM.swap(true, Ordering::Relaxed);
    let request_id = request_id(&request);
    let context = context.for_request();
    note_path(&context, &request);
    let handled = AssertUnwindSafe((route.handle)(&context, &request)).catch_unwind();
    let result = match tokio::time::timeout(TIME_LIMIT, handled).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(Error::Internal(Fault::new("the handler panicked"))),
        Err(_elapsed) => Err(Error::Unavailable(Fault::new("the request took too long"))),
    };
    let error = result.as_ref().err().map(Error::kind);
    let fault = result.as_ref().err().and_then(Error::fault).map(Fault::to_string);
    let response = response::finish(result, &request_id);
    let milliseconds = begun.elapsed().as_micros() as f64 / 1000.0;

    if is_cold {
        metrics::count(metrics::COLD_STARTS);
    }
    if error == Some("unauthorized") {
        metrics::count(metrics::AUTHENTICATION_FAILURES);
    }
    metrics::latency(milliseconds);

    let notes = context.log.notes();
    let lambda = request.lambda_context_ref();
    // The level is part of an event's type.
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                request_id,
                lambda_request_id =
                    lambda.map(|lambda| lambda.request_id.as_str()).filter(|id| !id.is_empty()),
                trace_id = lambda.and_then(|lambda| lambda.xray_trace_id.as_deref()),
                function = route.function,
                route = route.key(),
                account = notes.account.map(display),
                key = notes.key.map(display),
                dock = notes.dock.map(display),
                recipient = notes.recipient.map(display),
                secret = notes.secret.map(display),
                status = response.status().as_u16(),
                error,
                fault,
                milliseconds,
                round_trips = notes.round_trips,
                read_units = notes.read_units,
                write_units = notes.write_units,
                cold_start = is_cold,
                "request"
            )
        };
    }
    match response.status().as_u16() {
        503 => log!(warn),
        500.. => log!(error),
        _ => log!(info),
    }
    Ok(TextResponse(response))
}

/// Notes what the path names, by well-formed ids alone: what else stands there may be anything.
fn note_path(context: &Context, request: &Request) {
    if let Some(id) = path::id(request, "dockId", DockId::parse) {
        context.log.dock(id);
    }
    if let Some(id) = path::id(request, "recipientId", RecipientId::parse) {
        context.log.recipient(id);
    }
    if let Some(id) = path::id(request, "secretId", SecretId::parse) {
        context.log.secret(id);
    }
}

/// API Gateway's id of the request.
fn request_id(request: &Request) -> String {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone().unwrap_or_default(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use docyard_core::model::api_key::Mode;
    use docyard_core::values::clock::Clock;
    use docyard_core::aws::dynamodb;
    use docyard_core::store::Store;
    use lambda_http::http::Method;
    use serde_json::{Value, json};

    /// What an endpoint with this handler answers, over a table that is out of reach.
    async fn answer_of(route: &'static Route) -> Value {
        let store = Store::new(dynamodb::local_client("http://127.0.0.1:1"), "t");
        let context = Context::new(store, Mode::Live, Clock::system());
        let event = json!({
            "version": "2.0",
            "requestContext": {"requestId": "req-1", "http": {"method": "GET"}},
        });
        let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), lambda_http::Context::default());
        let Ok(output) = service(route, context).oneshot(event).await;
        let mut output = serde_json::to_value(output).unwrap();
        output["body"] = serde_json::from_str(output["body"].as_str().unwrap()).unwrap();
        output
    }

    #[tokio::test]
    async fn a_panic_gets_a_500_in_the_contracts_form() {
        static ROUTE: Route = Route {
            function: "panics",
            method: Method::GET,
            path: "/",
            handle: |_, _| Box::pin(async { panic!("on purpose") }),
            #[cfg(feature = "openapi")]
            document: |operation| operation,
        };
        let answer = answer_of(&ROUTE).await;
        assert_eq!((&answer["statusCode"], &answer["body"]["statusCode"]), (&json!(500), &json!(500)));
        assert_eq!(answer["headers"]["x-request-id"], "req-1");
        assert!(!answer.to_string().contains("on purpose"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_gets_a_503() {
        static ROUTE: Route = Route {
            function: "hangs",
            method: Method::GET,
            path: "/",
            handle: |_, _| Box::pin(std::future::pending()),
            #[cfg(feature = "openapi")]
            document: |operation| operation,
        };
        let answer = answer_of(&ROUTE).await;
        assert_eq!((&answer["statusCode"], &answer["headers"]["retry-after"]), (&json!(503), &json!("1")));
    }
}
