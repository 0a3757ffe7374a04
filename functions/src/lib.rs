//! The endpoints of Docyard Access, one Lambda function each.
//!
//! A resource is a folder, an endpoint is a file in it: its documentation, its declaration, its input and output, its
//! handler. What endpoints share belongs in [`http`], or in crate `docyard-core` if it is not about HTTP. An HTTP
//! server belongs in the command-line tool.
//!
//! Modules import downwards only: [`http`], [`metrics`], [`route`] ← [`endpoint`] ← resources ← [`endpoints`].
//! [`lambda`] serves one endpoint, or the [`worker`] or the [`sealer`], and knows no resource. A test holds this.

pub mod access;
pub mod artifacts;
pub mod audit;
pub mod certificates;
pub mod docks;
pub mod endpoint;
pub mod endpoints;
pub mod groups;
pub mod health;
pub mod http;
pub mod lambda;
pub mod metrics;
#[cfg(feature = "openapi")]
pub mod openapi;
#[cfg(feature = "openapi")]
pub mod operation;
pub mod policies;
pub mod recipients;
pub mod retrieval;
pub mod route;
pub mod sealer;
pub mod secrets;
pub mod stream;
pub mod tokens;
pub mod worker;
