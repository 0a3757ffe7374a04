//! A Lambda function around an endpoint: from API Gateway's event to its response, with the log and the metrics.
//!
//! Nothing here knows a particular endpoint.

pub mod event;
pub mod logging;
mod observe;
pub mod runtime;
pub mod service;
