//! The API in this process: the same service as on Lambda, an event in and an answer out.

use std::collections::BTreeMap;

use docyard_core::context::Context;
use docyard_core::model::submission::SubmissionKey;
use docyard_core::store::Store;
use docyard_functions::endpoint::Endpoint;
use docyard_functions::endpoints;
use docyard_functions::lambda::event::Event;
use docyard_functions::lambda::service::service;
use docyard_functions::route::Route;
use lambda_http::lambda_runtime::LambdaEvent;
use lambda_http::tower::ServiceExt;
use serde_json::{Value, json};

use crate::cases::Case;
use crate::scene::Scene;
use crate::{certificate, redacted};

/// All endpoints over one context.
#[derive(Clone)]
pub struct Api {
    context: Context,
}

/// An endpoint's answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    /// The body as it was sent.
    pub text: String,
    pub body: Value,
}

impl Reply {
    /// The id of what it tells of; it must have this status.
    #[track_caller]
    pub fn id(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.shown());
        self.body["id"].as_str().unwrap().to_owned()
    }

    /// The things on the page; it must be one.
    #[track_caller]
    pub fn list(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.shown());
        self.body.as_array().unwrap().clone()
    }

    /// The query of the next page; `None` after the last.
    pub fn next_query(&self) -> Option<String> {
        let link = self.headers.get("link")?;
        Some(link.split(['?', '>']).nth(1).unwrap().to_owned())
    }

    /// Status and body, as a test that fails may print them.
    pub fn shown(&self) -> String {
        format!("{} {}", self.status, redacted(&self.body.to_string()))
    }
}

impl Api {
    pub fn new(context: Context) -> Self {
        Self { context: context.with_submission_key(SubmissionKey::development()) }
    }

    /// The store that it works on.
    pub fn store(&self) -> &Store {
        &self.context.store
    }

    /// Asks an endpoint. Of the path parameters it takes those that are its own.
    pub async fn ask(
        &self,
        endpoint: &str,
        parameters: &[(&str, &str)],
        query: &str,
        headers: &[(&str, String)],
        body: Option<String>,
    ) -> Reply {
        self.ask_over(None, endpoint, parameters, query, headers, body).await
    }

    /// The same over a connection with this certificate.
    pub async fn ask_over(
        &self,
        pem: Option<&str>,
        endpoint: &str,
        parameters: &[(&str, &str)],
        query: &str,
        headers: &[(&str, String)],
        body: Option<String>,
    ) -> Reply {
        let endpoint = endpoints::named(endpoint);
        let route = endpoint.route;
        let own = parameters.iter().filter(|(name, _)| route.parameters().any(|own| own == *name));
        let parameters: BTreeMap<&str, &str> = own.map(|(name, value)| (*name, *value)).collect();
        let headers: BTreeMap<&str, &String> = headers.iter().map(|(name, value)| (*name, value)).collect();
        let mut event = Self::event(route, query, &headers, &parameters, body);
        if let Some(pem) = pem {
            event["requestContext"]["authentication"] = certificate::authentication(pem);
        }
        self.invoke(endpoint, event).await
    }

    /// Asks for a token, over a connection with this certificate. `more` are further parameters.
    pub async fn token(&self, recipient: &str, passphrase: &str, pem: Option<&str>, more: Value) -> Reply {
        let mut body = json!({
            "grant_type": "client_credentials", "client_id": recipient, "client_secret": passphrase,
        });
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        self.ask_over(pem, "issue-token", &[], "", &[], Some(body.to_string())).await
    }

    /// What a token opens, over a connection with this certificate.
    pub async fn opened(&self, token: &str, pem: Option<&str>) -> Reply {
        let headers = [("authorization", format!("Bearer {token}"))];
        self.ask_over(pem, "get-retrieval-access", &[], "", &headers, None).await
    }

    fn event(
        route: Route,
        query: &str,
        headers: &BTreeMap<&str, &String>,
        parameters: &BTreeMap<&str, &str>,
        body: Option<String>,
    ) -> Value {
        json!({
            "version": "2.0",
            "routeKey": route.to_string(),
            "rawPath": route.path,
            "rawQueryString": query,
            "headers": headers,
            "pathParameters": parameters,
            "requestContext": {
                "requestId": "r",
                "http": {"method": route.method.as_str(), "path": route.path, "protocol": "HTTP/1.1"},
            },
            "body": body,
            "isBase64Encoded": false,
        })
    }

    /// Asks the endpoint of a case, as who sends it.
    pub async fn ask_as(
        &self,
        case: &Case,
        scene: &Scene,
        parameters: &[(&str, &str)],
        query: &str,
        headers: &[(&str, String)],
        body: Option<String>,
    ) -> Reply {
        let parameters: BTreeMap<&str, &str> = parameters.iter().copied().collect();
        let headers: BTreeMap<&str, &String> = headers.iter().map(|(name, value)| (*name, value)).collect();
        let mut event = Self::event(case.endpoint().route, query, &headers, &parameters, body);
        case.send(&mut event, scene);
        self.invoke(case.endpoint(), event).await
    }

    /// Sends an event to an endpoint.
    pub async fn invoke(&self, endpoint: &'static Endpoint, event: Value) -> Reply {
        let event: Event = serde_json::from_value(event).unwrap();
        let event = LambdaEvent::new(event, lambda_http::Context::default());
        let Ok(output) = service(endpoint, self.context.clone()).oneshot(event).await;
        let output = serde_json::to_value(output).unwrap();
        let text = output["body"].as_str().unwrap_or_default();
        Reply {
            status: output["statusCode"].as_u64().unwrap().try_into().unwrap(),
            headers: serde_json::from_value(output["headers"].clone()).unwrap(),
            text: text.to_owned(),
            // A redirect has none.
            body: if text.is_empty() { Value::Null } else { serde_json::from_str(text).unwrap() },
        }
    }
}
