//! The API's HTTP conventions: what every handler does with a request, and what it answers.
//!
//! Nothing here knows an endpoint or Lambda.

pub mod auth;
pub mod body;
pub mod error;
mod header;
pub mod idempotency;
pub mod if_match;
pub mod input;
pub mod list;
pub mod oauth;
pub mod path;
pub mod refusal;
pub mod response;
