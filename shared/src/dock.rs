//! Docks: where an institution keeps documents for its recipients.

use crate::auth::Owned;
use crate::clock::Timestamp;
use crate::id::{AccountId, DockId};
use crate::name::Name;

/// A dock.
#[derive(Clone, Debug)]
pub struct Dock {
    /// Its id.
    pub id: DockId,
    /// Whose it is.
    pub account: AccountId,
    /// How it is displayed.
    pub name: Name,
    /// Whose documents it keeps, as far as that was said.
    pub profile: Profile,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Owned for Dock {
    fn owner(&self) -> AccountId {
        self.account
    }
}

/// What is known of the institution behind a dock; each a text like a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its domain.
    pub domain: Option<Name>,
    /// Its name in law.
    pub legal_name: Option<Name>,
    /// Its kind of business.
    pub business_type: Option<Name>,
    /// Where it is written to.
    pub business_email: Option<Name>,
}

/// Changes to a dock; what is not given stays as it is.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UpdateDock, rename_all = "camelCase"))]
pub struct DockChanges {
    /// Its new name.
    #[cfg_attr(feature = "openapi", schema(value_type = Name, required = false))]
    pub name: Option<Name>,
    /// Its new domain, or none.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Name>))]
    pub domain: Option<Option<Name>>,
    /// Its new name in law, or none.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Name>))]
    pub legal_name: Option<Option<Name>>,
    /// Its new kind of business, or none.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Name>))]
    pub business_type: Option<Option<Name>>,
    /// Its new address, or none.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Name>))]
    pub business_email: Option<Option<Name>>,
}

impl DockChanges {
    /// Whether they change nothing.
    pub fn is_empty(&self) -> bool {
        self.name.is_none()
            && self.domain.is_none()
            && self.legal_name.is_none()
            && self.business_type.is_none()
            && self.business_email.is_none()
    }

    /// The dock after these changes.
    pub fn apply(&self, mut dock: Dock) -> Dock {
        let Self { name, domain, legal_name, business_type, business_email } = self.clone();
        dock.name = name.unwrap_or(dock.name);
        dock.profile = Profile {
            domain: domain.unwrap_or(dock.profile.domain),
            legal_name: legal_name.unwrap_or(dock.profile.legal_name),
            business_type: business_type.unwrap_or(dock.profile.business_type),
            business_email: business_email.unwrap_or(dock.profile.business_email),
        };
        dock
    }
}
