//! The service itself.

use crate::endpoint::Endpoints;

pub mod get;

/// The endpoints of the service itself.
pub const ENDPOINTS: Endpoints =
    Endpoints { resource: "Health", description: "Whether the service answers", list: &[&get::ENDPOINT] };
