//! The endpoints of Docyard Access: one module and one Lambda function each, and the table of their routes.
//!
//! An endpoint's module holds its documentation, what it takes, what it gives, its handler and its tests. What two
//! endpoints share belongs in crate `docyard`; an HTTP server belongs in the command-line tool.

pub mod create_dock;
pub mod create_recipient;
pub mod delete_recipient;
pub mod event;
pub mod generate_secret;
pub mod get_dock;
pub mod get_recipient;
pub mod list_docks;
pub mod list_recipients;
pub mod list_secrets;
pub mod logging;
pub mod metrics;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod recipient_in_dock;
pub mod revoke_secret;
pub mod rotate_secret;
pub mod route;
pub mod runtime;
pub mod service;
pub mod update_dock;
pub mod update_recipient;
pub mod verify_secret;
pub mod wire;
