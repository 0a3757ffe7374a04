//! The table of routes, which the local server, the tests and the check of `template.yaml` all read.

use std::pin::Pin;

use docyard_core::context::Context;
use crate::http::error::Error;
use lambda_http::Request;
use lambda_http::http::{Method, Response};

#[cfg(feature = "openapi")]
use crate::openapi::Operation;
use crate::{
    create_dock, create_recipient, delete_recipient, generate_secret, get_dock, get_recipient, list_docks,
    list_recipients, list_secrets, revoke_secret, rotate_secret, update_dock, update_recipient,
    verify_secret,
};

/// Every endpoint, in the order of the documentation.
pub const ROUTES: &[&Route] = &[
    &create_dock::ROUTE,
    &list_docks::ROUTE,
    &get_dock::ROUTE,
    &update_dock::ROUTE,
    &create_recipient::ROUTE,
    &list_recipients::ROUTE,
    &get_recipient::ROUTE,
    &update_recipient::ROUTE,
    &delete_recipient::ROUTE,
    &generate_secret::ROUTE,
    &list_secrets::ROUTE,
    &rotate_secret::ROUTE,
    &revoke_secret::ROUTE,
    &verify_secret::ROUTE,
];

/// An endpoint: where it is reached, which function serves it, and how.
pub struct Route {
    /// The function's name: its binary's, and in lower case with dashes what `template.yaml` calls it.
    pub function: &'static str,
    /// The method it is reached by.
    pub method: Method,
    /// The path it is reached by, parameters in braces, as API Gateway writes it.
    pub path: &'static str,
    /// The handler.
    pub handle: for<'a> fn(&'a Context, &'a Request) -> Handled<'a>,
    /// Its description in the API's document.
    #[cfg(feature = "openapi")]
    pub document: fn(Operation) -> Operation,
}

/// What a handler returns, in time.
pub type Handled<'a> = Pin<Box<dyn Future<Output = Result<Response<String>, Error>> + Send + 'a>>;

impl Route {
    /// What API Gateway calls the route: `POST /v1/docks/{dockId}/recipients`.
    pub fn key(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}
