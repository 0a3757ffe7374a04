//! Recipients: the parties who may fetch documents from a dock.

use std::fmt;

use super::audit::{Action, Event, Fields};
use super::identifiers::Identifiers;
use crate::values::clock::Timestamp;
use crate::values::email::Email;
use crate::values::id::{AccountId, DockId, RecipientId};
use crate::values::patch::Patch;
use crate::values::text::Text;

/// The kind of party a recipient is. It decides how the party proves itself elsewhere, not what it may have here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum StakeholderClass {
    /// A lender with an interest in the property.
    Mortgagee,
    /// An insurance or title agent.
    Agent,
    /// The insured party.
    Policyholder,
    /// Someone who inspects the documents for a time.
    Auditor,
}

impl StakeholderClass {
    /// Reads a class by its exact name. The error names them all.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "mortgagee" => Ok(Self::Mortgagee),
            "agent" => Ok(Self::Agent),
            "policyholder" => Ok(Self::Policyholder),
            "auditor" => Ok(Self::Auditor),
            _ => Err("must be one of mortgagee, agent, policyholder, auditor"),
        }
    }
}

impl fmt::Display for StakeholderClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mortgagee => "mortgagee",
            Self::Agent => "agent",
            Self::Policyholder => "policyholder",
            Self::Auditor => "auditor",
        })
    }
}

/// A recipient of a dock. Its email is unique within the dock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Its id.
    pub id: RecipientId,
    /// The dock it may fetch from.
    pub dock: DockId,
    /// The account that the dock belongs to.
    pub account: AccountId,
    /// Its display name.
    pub name: Text,
    /// Its email address, unique within the dock.
    pub email: Email,
    /// The kind of party it is, if that is known.
    pub stakeholder_class: Option<StakeholderClass>,
    /// The identifiers that it is known by.
    pub identifiers: Identifiers,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed; `None` if it never was.
    pub updated_at: Option<Timestamp>,
    /// Counts its changes, from 0.
    pub version: u64,
}

impl Recipient {
    /// That it was created.
    pub fn created(&self) -> Event {
        Event::new(Action::Create, self.id).in_dock(self.dock).changing(Fields::default(), self.fields())
    }

    /// That it was updated.
    pub fn updated(&self, before: &Self) -> Event {
        Event::new(Action::Update, self.id).in_dock(self.dock).changing(before.fields(), self.fields())
    }

    /// That the recipient of this id was deleted.
    pub fn deleted(id: RecipientId, dock: DockId) -> Event {
        Event::new(Action::Delete, id).in_dock(dock)
    }

    /// That all tokens of the recipient of this id were revoked.
    pub fn tokens_revoked(id: RecipientId, dock: DockId) -> Event {
        Event::new(Action::Revoke, id).in_dock(dock).with("revoked", "tokens")
    }

    fn fields(&self) -> Fields {
        let fields = Fields::default()
            .personal("name", Some(self.name.as_str()))
            .personal("email", Some(self.email.as_str()))
            .shown("stakeholderClass", self.stakeholder_class.map(|class| class.to_string()).as_deref());
        self.identifiers
            .iter()
            .fold(fields, |fields, (key, value)| fields.personal(&format!("identifiers.{key}"), Some(value)))
    }
}

/// A merge patch of a recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientChanges {
    /// Its new name.
    pub name: Option<Text>,
    /// Its new email address.
    pub email: Option<Email>,
    /// Its new class.
    pub stakeholder_class: Patch<StakeholderClass>,
    /// What it is known by after the patch.
    pub identifiers: Patch<Identifiers>,
}

impl RecipientChanges {
    /// The recipient after the patch, changed at `now`; the same recipient if that changes nothing. A clock that went
    /// back does not take the time of the last change back.
    pub fn apply(self, recipient: Recipient, now: Timestamp) -> Recipient {
        let changed = Recipient {
            name: self.name.unwrap_or_else(|| recipient.name.clone()),
            email: self.email.unwrap_or_else(|| recipient.email.clone()),
            stakeholder_class: self.stakeholder_class.apply(recipient.stakeholder_class),
            identifiers: self.identifiers.apply(Some(recipient.identifiers.clone())).unwrap_or_default(),
            ..recipient.clone()
        };
        if changed == recipient {
            return recipient;
        }
        let last = recipient.updated_at.unwrap_or(recipient.created_at);
        Recipient { updated_at: Some(now.max(last)), version: recipient.version + 1, ..changed }
    }
}
