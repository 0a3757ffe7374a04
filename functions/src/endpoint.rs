//! What an endpoint is: the declaration that each endpoint's module makes with `endpoint!`.
//!
//! Template, document and binaries are written from these declarations; `docs/architecture.md` says how.

use std::pin::Pin;

use docyard_core::context::Context;
use docyard_core::store::Partition;
use lambda_http::Request;
use lambda_http::http::Response;

use crate::http::error::Error;
#[cfg(feature = "openapi")]
use crate::operation::Operation;
use crate::route::{Credential, Route};

/// An endpoint of the API, which one function serves.
pub struct Endpoint {
    /// The name of the function and of its binary: `create-recipient`.
    pub name: &'static str,
    /// The method and path that reach it.
    pub route: Route,
    /// What it does, as an imperative: `Create a recipient`.
    pub description: &'static str,
    /// The memory of its function in MB, which is also its share of a CPU.
    pub memory: u32,
    /// The credentials that it accepts.
    pub credentials: &'static [Credential],
    /// How many connections to DynamoDB its function opens before the first request: as many as a request uses at once.
    pub connections: usize,
    /// What its code does on the table, and its function's role may do.
    pub grants: &'static [Grant],
    /// What its function needs besides the table.
    pub needs: &'static [Need],
    /// Its handler.
    pub handle: Handler,
    /// Describes its parameters, bodies and responses for the API's document.
    #[cfg(feature = "openapi")]
    pub document: fn(Operation) -> Operation,
}

/// The endpoints of a resource.
pub struct Endpoints {
    /// The resource's name in the plural: `Recipients`.
    pub resource: &'static str,
    /// What the resource is, in one line.
    pub description: &'static str,
    /// The endpoints, in the order of the documentation.
    pub list: &'static [&'static Endpoint],
}

/// A handler: what an endpoint does with a request.
pub type Handler = for<'a> fn(&'a Context, &'a Request) -> HandlerFuture<'a>;

/// What a handler returns, in time.
pub type HandlerFuture<'a> = Pin<Box<dyn Future<Output = Result<Response<String>, Error>> + Send + 'a>>;

/// A permission of a function's role: one action on some kinds of partition.
///
/// IAM knows no action for a transaction: it demands those of the transaction's writes. That it judges each by its own
/// partition is assumed (`docs/security.md` says what is known of that).
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    /// What is allowed.
    pub action: Action,
    /// Where.
    pub partitions: &'static [Partition],
}

/// An IAM action of DynamoDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the actions' own names")]
pub enum Action {
    BatchGetItem,
    BatchWriteItem,
    ConditionCheckItem,
    DeleteItem,
    PutItem,
    Query,
    UpdateItem,
}

/// What a function may need besides the table. Its environment has it, and no other function's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The key of the digests of submitted identifiers: the variable `SUBMISSION_KEY`.
    SubmissionKey,
    /// To delete objects: the variable `BUCKET_NAME`.
    DeleteObject,
    /// To sign addresses for the download of objects: the variable `BUCKET_NAME`.
    GetObject,
    /// To ask for objects, also for one that is missing: the variable `BUCKET_NAME`.
    HeadObject,
    /// To put objects, and to sign addresses for their upload: the variable `BUCKET_NAME`.
    PutObject,
}

/// Declares the endpoint of a module, which has a function `handle` and, with feature `openapi`, a function `document`.
macro_rules! endpoint {
    (
        $name:literal: $method:ident $path:literal,
        description: $description:literal,
        memory: $memory:literal,
        credentials: [$($credential:ident),*],
        connections: $connections:literal,
        grants: [$($action:ident on [$($partition:ident),+]),* $(,)?],
        $(needs: [$($need:ident),+],)?
    ) => {
        $crate::endpoint::Endpoint {
            name: $name,
            route: $crate::route::Route::new($crate::route::Method::$method, $path),
            description: $description,
            memory: $memory,
            credentials: &[$($crate::route::Credential::$credential),*],
            connections: $connections,
            grants: &[$($crate::endpoint::Grant {
                action: $crate::endpoint::Action::$action,
                partitions: &[$(docyard_core::store::Partition::$partition),+],
            }),*],
            needs: &[$($($crate::endpoint::Need::$need),+)?],
            handle: |context, request| Box::pin(handle(context, request)),
            #[cfg(feature = "openapi")]
            document,
        }
    };
}

pub(crate) use endpoint;
