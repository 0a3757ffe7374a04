//! The domain of Docyard Access, its rules, its storage and its HTTP conventions.
//!
//! What belongs here: everything that more than one endpoint, or an endpoint and the command-line tool, must
//! agree on. What does not: a particular endpoint (crate `docyard-functions`) and any HTTP server.
//!
//! Raw JSON becomes domain types once, at the edge ([`body`]); past it, nothing invalid can be written down.

pub mod api_key;
pub mod auth;
pub mod body;
pub mod clock;
pub mod context;
pub mod digest;
pub mod dock;
pub mod dynamodb;
pub mod email;
pub mod error;
pub mod id;
pub mod idempotency;
pub mod identifiers;
pub mod list;
pub mod name;
pub mod path;
pub mod random;
pub mod recipient;
pub mod request_log;
pub mod response;
#[cfg(feature = "openapi")]
mod schema;
pub mod secret;
pub mod store;
pub mod transport;
