//! Docks: where an institution keeps documents for its recipients.

use docyard_core::model::dock::{Dock, Profile};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::domain::Domain;
use docyard_core::values::email::Email;
use docyard_core::values::id::DockId;
use docyard_core::values::text::Text;
use serde::Serialize;

use crate::endpoint::Endpoints;

pub mod create;
pub mod get;
pub mod list;
pub mod update;

/// The endpoints of docks.
pub const ENDPOINTS: Endpoints = Endpoints {
    resource: "Docks",
    description: "Where an institution keeps documents",
    list: &[&create::ENDPOINT, &list::ENDPOINT, &get::ENDPOINT, &update::ENDPOINT],
};

/// The path of all docks of an account.
const PATH: &str = "/v1/docks";

/// The path of a dock.
fn url(id: DockId) -> String {
    format!("{PATH}/{id}")
}

/// A dock as the API shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Dock))]
struct DockOutput<'a> {
    id: DockId,
    name: &'a Text,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    domain: Option<&'a Domain>,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    legal_name: Option<&'a Text>,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    business_type: Option<&'a Text>,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    business_email: Option<&'a Email>,
    created_at: Timestamp,
}

impl<'a> From<&'a Dock> for DockOutput<'a> {
    fn from(dock: &'a Dock) -> Self {
        let Profile { domain, legal_name, business_type, business_email } = &dock.profile;
        Self {
            id: dock.id,
            name: &dock.name,
            domain: domain.as_ref(),
            legal_name: legal_name.as_ref(),
            business_type: business_type.as_ref(),
            business_email: business_email.as_ref(),
            created_at: dock.created_at,
        }
    }
}
