//! Retrieval: what an institution does with its access token.

use crate::endpoint::Endpoints;

pub mod access;

/// The endpoints of retrieval.
pub const ENDPOINTS: Endpoints = Endpoints {
    resource: "Retrieval",
    description: "What an institution does with its access token",
    list: &[&access::ENDPOINT],
};
