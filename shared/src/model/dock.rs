//! Docks: where an institution keeps documents for its recipients.

use serde::{Deserialize, Serialize};

use super::audit::{Action, Event, Fields};
use super::owned::Owned;
use crate::values::clock::Timestamp;
use crate::values::domain::Domain;
use crate::values::email::Email;
use crate::values::id::{AccountId, DockId};
use crate::values::patch::Patch;
use crate::values::text::Text;

/// A dock.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Counts its changes, from 0.
    pub version: u64,
}

impl Owned for Dock {
    fn owner(&self) -> AccountId {
        self.account
    }
}

impl Dock {
    /// That it was created.
    pub fn created(&self) -> Event {
        Event::new(Action::Create, self.id).in_dock(self.id).changing(Fields::default(), self.fields())
    }

    /// That it was updated.
    pub fn updated(&self, before: &Self) -> Event {
        Event::new(Action::Update, self.id).in_dock(self.id).changing(before.fields(), self.fields())
    }

    fn fields(&self) -> Fields {
        let Profile { domain, legal_name, business_type, business_email } = &self.profile;
        Fields::default()
            .shown("name", Some(self.name.as_str()))
            .shown("domain", domain.as_ref().map(Domain::as_str))
            .shown("legalName", legal_name.as_ref().map(Text::as_str))
            .shown("businessType", business_type.as_ref().map(Text::as_str))
            .personal("businessEmail", business_email.as_ref().map(Email::as_str))
    }
}

/// Optional details of the institution behind a dock. Nothing checks that a domain or an address exists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// Its domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
    /// Its legal name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_name: Option<Text>,
    /// Its kind of business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_type: Option<Text>,
    /// Its contact address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_email: Option<Email>,
}

/// A merge patch of a dock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockChanges {
    /// Its new name.
    pub name: Option<Text>,
    /// Its new domain.
    pub domain: Patch<Domain>,
    /// Its new legal name.
    pub legal_name: Patch<Text>,
    /// Its new kind of business.
    pub business_type: Patch<Text>,
    /// Its new contact address.
    pub business_email: Patch<Email>,
}

impl DockChanges {
    /// The dock after the patch; the same dock if that changes nothing.
    pub fn apply(self, dock: Dock) -> Dock {
        let changed = Dock {
            name: self.name.unwrap_or_else(|| dock.name.clone()),
            profile: Profile {
                domain: self.domain.apply(dock.profile.domain.clone()),
                legal_name: self.legal_name.apply(dock.profile.legal_name.clone()),
                business_type: self.business_type.apply(dock.profile.business_type.clone()),
                business_email: self.business_email.apply(dock.profile.business_email.clone()),
            },
            ..dock
        };
        if changed == dock { dock } else { Dock { version: dock.version + 1, ..changed } }
    }
}
