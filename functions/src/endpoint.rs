//! What an endpoint is: the declaration that each endpoint's module makes with `endpoint!`.
//!
//! Template, document and binaries are written from these declarations; `docs/architecture.md` says how.

use std::fmt;
use std::pin::Pin;

use docyard_core::context::Context;
use docyard_core::store::Partition;
use docyard_core::values::id::AnyId;
use lambda_http::Request;
use lambda_http::http::Response;

use crate::http::error::Error;
#[cfg(feature = "openapi")]
use crate::operation::Operation;

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
    /// What its code does on the table, and its function's role may do.
    pub grants: &'static [Grant],
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

/// A method and a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces as API Gateway writes them.
    pub path: &'static str,
}

/// API Gateway's route key: `POST /v1/docks/{dockId}/recipients`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.path)
    }
}

impl Route {
    /// A route. A parameter that names no kind of id ([`AnyId::NAMES`]) does not compile where this is a constant.
    ///
    /// # Panics
    /// If the path has such a parameter.
    #[expect(clippy::panic, clippy::indexing_slicing, reason = "evaluated when an endpoint is compiled")]
    pub const fn new(method: Method, path: &'static str) -> Self {
        let bytes = path.as_bytes();
        let (mut start, mut at) = (None, 0);
        while at < bytes.len() {
            match (bytes[at], start) {
                (b'{', None) => start = Some(at + 1),
                (b'}', Some(from)) => {
                    if !is_id_name(bytes, from, at) {
                        panic!("a path parameter must be the name of an id, such as dockId in braces");
                    }
                    start = None;
                }
                _ => {}
            }
            at += 1;
        }
        Self { method, path }
    }

    /// The names of the path's parameters, in their order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(parameter)
    }
}

/// Whether `path[from..to]` is the name of a kind of id.
#[expect(clippy::indexing_slicing, reason = "evaluated when an endpoint is compiled")]
const fn is_id_name(path: &[u8], from: usize, to: usize) -> bool {
    let mut kind = 0;
    while kind < AnyId::NAMES.len() {
        let name = AnyId::NAMES[kind].as_bytes();
        let mut at = 0;
        while at < name.len() && from + at < to && name[at] == path[from + at] {
            at += 1;
        }
        if at == name.len() && from + at == to {
            return true;
        }
        kind += 1;
    }
    false
}

/// The name of the parameter, if the segment of a path is one: `dockId` for `{dockId}`.
pub fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// The methods of the API (RFC 9110 §9.3, RFC 5789).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the methods' own names")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// The method as a request line has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// An API key of an account, as a bearer token.
    ApiKey,
}

/// A permission of a function's role: one action on some kinds of partition.
///
/// IAM knows no action for a transaction: it demands those of the transaction's writes. Whether it judges each write by its
/// own partition or by all of the transaction's is not documented, so each action is granted for all of them.
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
    GetItem,
    PutItem,
    Query,
    UpdateItem,
}

/// Declares the endpoint of a module, which has a function `handle` and, with feature `openapi`, a function `document`.
macro_rules! endpoint {
    (
        $name:literal: $method:ident $path:literal,
        description: $description:literal,
        memory: $memory:literal,
        credentials: [$($credential:ident),*],
        grants: [$($action:ident on [$($partition:ident),+]),* $(,)?],
    ) => {
        $crate::endpoint::Endpoint {
            name: $name,
            route: $crate::endpoint::Route::new($crate::endpoint::Method::$method, $path),
            description: $description,
            memory: $memory,
            credentials: &[$($crate::endpoint::Credential::$credential),*],
            grants: &[$($crate::endpoint::Grant {
                action: $crate::endpoint::Action::$action,
                partitions: &[$(docyard_core::store::Partition::$partition),+],
            }),*],
            handle: |context, request| Box::pin(handle(context, request)),
            #[cfg(feature = "openapi")]
            document,
        }
    };
}

pub(crate) use endpoint;
