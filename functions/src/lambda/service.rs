//! From an event to a response: what surrounds every handler, on Lambda and in the local server alike.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::{Duration, Instant};

use docyard_core::context::Context;
use docyard_core::model::audit::Origin;
use docyard_core::store::Fault;
use docyard_core::values::id::AnyId;
use futures_util::FutureExt;
use lambda_http::http::Response;
use lambda_http::lambda_runtime::LambdaEvent;
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::tower::{Service, ServiceExt};
use lambda_http::{Adapter, Body, IntoResponse, Request, RequestExt, service_fn};
use serde::Serialize;

use super::event::Event;
use super::observe;
use crate::endpoint::Endpoint;
use crate::http::error::Error;
use crate::http::{request_id, response};

/// How long a request may take before it gets a 503: less than the functions' timeout in `template.yaml`, so that the
/// caller gets this response and not API Gateway's.
pub const TIME_LIMIT: Duration = Duration::from_secs(15);

/// The service of one endpoint: takes API Gateway's event and returns the response for it. It answers every event, also
/// if the handler panics or takes too long.
pub fn service(
    endpoint: &'static Endpoint,
    context: Context,
) -> impl Service<LambdaEvent<Event>, Response = impl Serialize + Send, Error = Infallible, Future: Send> + Send
{
    let handler = service_fn(move |request: Request| answer(endpoint, context.clone(), request));
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

async fn answer(endpoint: &Endpoint, context: Context, request: Request) -> Result<TextResponse, Infallible> {
    let begun = Instant::now();
    let is_cold = observe::is_cold_start();
    let request_id = request_id(&request);
    let context = context.for_request(origin(&request));
    record_path_ids(endpoint, &context, &request);
    let result = run(endpoint, &context, &request).await;
    let failure = result.as_ref().err().map(observe::Failure::of);
    let response = response::finish(result, &request_id);
    observe::request(observe::Observed {
        endpoint,
        request: &request,
        request_id: &request_id,
        is_cold,
        recorded: context.record.values(),
        status: response.status().as_u16(),
        failure,
        elapsed: begun.elapsed(),
    });
    Ok(TextResponse(response))
}

/// Calls the handler. A panic becomes a 500, and a handler that takes too long a 503.
async fn run(endpoint: &Endpoint, context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let handled = AssertUnwindSafe((endpoint.handle)(context, request)).catch_unwind();
    match tokio::time::timeout(TIME_LIMIT, handled).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(Error::Internal(Fault::new("the handler panicked"))),
        Err(_elapsed) => Err(Error::Unavailable(Fault::new("the request took too long"))),
    }
}

/// Records the resources that the path names. Only well-formed ids are taken: anything else may stand in a path.
fn record_path_ids(endpoint: &Endpoint, context: &Context, request: &Request) {
    let Some(parameters) = request.path_parameters_ref() else { return };
    for name in endpoint.route.parameters() {
        let id = parameters.first(name).and_then(AnyId::parse);
        if let Some(id) = id.filter(|id| id.name() == name) {
            context.record.add_id(id);
        }
    }
}

/// Where API Gateway says that the request comes from.
fn origin(request: &Request) -> Origin {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            Origin::new(context.http.source_ip.as_deref(), context.http.user_agent.as_deref())
        }
        _ => Origin::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Handler;
    use crate::route::{Method, Route};
    use docyard_core::aws::dynamodb;
    use docyard_core::model::api_key::Mode;
    use docyard_core::store::Store;
    use docyard_core::values::clock::Clock;
    use serde_json::{Value, json};

    /// An endpoint with this handler.
    const fn endpoint(handle: Handler) -> Endpoint {
        Endpoint {
            name: "test",
            route: Route::new(Method::Get, "/"),
            description: "",
            memory: 128,
            credentials: &[],
            connections: 0,
            grants: &[],
            needs: &[],
            handle,
            #[cfg(feature = "openapi")]
            document: |operation| operation,
        }
    }

    /// The response of an endpoint over a table that is out of reach.
    async fn response_of(endpoint: &'static Endpoint) -> Value {
        let store = Store::new(dynamodb::local_client("http://127.0.0.1:1"), "t");
        let context = Context::new(store, Mode::Live, Clock::system());
        let event = json!({
            "version": "2.0",
            "requestContext": {"requestId": "req-1", "http": {"method": "GET"}},
        });
        let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), lambda_http::Context::default());
        let Ok(output) = service(endpoint, context).oneshot(event).await;
        let mut output = serde_json::to_value(output).unwrap();
        output["body"] = serde_json::from_str(output["body"].as_str().unwrap()).unwrap();
        output
    }

    #[tokio::test]
    async fn a_panic_gets_a_500_in_the_contracts_form() {
        static ENDPOINT: Endpoint = endpoint(|_, _| Box::pin(async { panic!("on purpose") }));
        let response = response_of(&ENDPOINT).await;
        assert_eq!((&response["statusCode"], &response["body"]["statusCode"]), (&json!(500), &json!(500)));
        assert_eq!(response["headers"]["x-request-id"], "req-1");
        assert!(!response.to_string().contains("on purpose"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_gets_a_503() {
        static ENDPOINT: Endpoint = endpoint(|_, _| Box::pin(std::future::pending()));
        let response = response_of(&ENDPOINT).await;
        assert_eq!(
            (&response["statusCode"], &response["headers"]["retry-after"]),
            (&json!(503), &json!("1"))
        );
    }
}
