//! The resources and their rules: what a dock, a recipient, a secret is and what may happen to it.
//!
//! Nothing here reads or writes a table ([`crate::store`]), and nothing knows HTTP.

pub mod access;
pub mod account;
pub mod api_key;
pub mod artifact;
pub mod audit;
mod bearer;
pub mod certificate;
pub mod decision;
pub mod dock;
pub mod group;
pub mod idempotency;
pub mod identifiers;
pub mod job;
pub mod owned;
pub mod policy;
pub mod recipe;
pub mod recipient;
pub mod recipient_csv;
pub mod sealed_copy;
pub mod secret;
pub mod submission;
pub mod ticket;
pub mod token;
