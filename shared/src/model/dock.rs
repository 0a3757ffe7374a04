//! Docks: where an institution keeps documents for its recipients.

use serde::{Deserialize, Serialize};

use super::owned::Owned;
use crate::values::clock::Timestamp;
use crate::values::id::{AccountId, DockId};
use crate::values::patch::Patch;
use crate::values::text::Text;

/// A dock.
#[derive(Clone, Debug)]
pub struct Dock {
    /// Its id.
    pub id: DockId,
    /// The account that owns it.
    pub account: AccountId,
    /// Its display name.
    pub name: Text,
    /// Optional details of the institution.
    pub profile: Profile,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Owned for Dock {
    fn owner(&self) -> AccountId {
        self.account
    }
}

/// Optional details of the institution behind a dock. They are texts: nothing checks that a domain or an address
/// exists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// Its domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Text>,
    /// Its legal name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_name: Option<Text>,
    /// Its kind of business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_type: Option<Text>,
    /// Its contact address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_email: Option<Text>,
}

/// A merge patch of a dock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UpdateDock, rename_all = "camelCase"))]
pub struct DockChanges {
    /// Its new name.
    #[cfg_attr(feature = "openapi", schema(value_type = Text, required = false))]
    pub name: Option<Text>,
    /// Its new domain.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Text>))]
    pub domain: Patch<Text>,
    /// Its new legal name.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Text>))]
    pub legal_name: Patch<Text>,
    /// Its new kind of business.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Text>))]
    pub business_type: Patch<Text>,
    /// Its new contact address.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Text>))]
    pub business_email: Patch<Text>,
}

impl DockChanges {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The dock after the patch.
    pub fn apply(self, dock: Dock) -> Dock {
        Dock {
            name: self.name.unwrap_or(dock.name),
            profile: Profile {
                domain: self.domain.apply(dock.profile.domain),
                legal_name: self.legal_name.apply(dock.profile.legal_name),
                business_type: self.business_type.apply(dock.profile.business_type),
                business_email: self.business_email.apply(dock.profile.business_email),
            },
            ..dock
        }
    }
}
