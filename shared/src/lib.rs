//! The domain of Docyard Access and its storage.
//!
//! What belongs here: what more than one endpoint, or an endpoint and the command-line tool, must agree on. What does
//! not: an endpoint or anything of HTTP (crate `docyard-functions`).
//!
//! Modules import downwards only: [`values`] ← [`model`] ← [`store`] ← [`context`].

pub mod aws;
pub mod context;
pub mod model;
pub mod request_record;
#[cfg(feature = "openapi")]
mod schema;
pub mod store;
pub mod values;
