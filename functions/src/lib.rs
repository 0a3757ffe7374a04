//! The endpoints of Docyard Access: one module and one Lambda function each, and the table of their routes.
//!
//! An endpoint's module holds its documentation, what it takes, what it gives, its handler and its tests. What two
//! endpoints share belongs in crate `docyard`; an HTTP server belongs in the command-line tool.

pub mod create_recipient;
pub mod event;
pub mod generate_secret;
pub mod logging;
pub mod route;
pub mod runtime;
pub mod service;
