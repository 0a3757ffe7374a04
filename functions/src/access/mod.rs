//! Access: what the policies in force decide about a recipient.

use docyard_core::model::recipe::Factor;
use serde::Serialize;

use crate::endpoint::Endpoints;

pub mod evaluate;
pub mod get;

/// The endpoints of access.
pub const ENDPOINTS: Endpoints = Endpoints {
    resource: "Access",
    description: "What the policies in force decide about a recipient",
    list: &[&evaluate::ENDPOINT, &get::ENDPOINT],
};

/// What would do, of what is missing.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = MissingFacts))]
struct MissingOutput {
    factors: Vec<Factor>,
    /// The keys of identifiers.
    identifiers: Vec<String>,
}
