//! Recipients: the parties who may fetch documents from a dock.

use std::fmt;

use crate::clock::Timestamp;
use crate::email::Email;
use crate::id::{AccountId, DockId, RecipientId};
use crate::identifiers::Identifiers;
use crate::name::Name;

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

/// A recipient of one dock, where its email is its own.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// Its id.
    pub id: RecipientId,
    /// The dock it may fetch from.
    pub dock: DockId,
    /// The account that the dock belongs to.
    pub account: AccountId,
    /// How it is displayed.
    pub name: Name,
    /// Its address, which no other recipient of the dock has.
    pub email: Email,
    /// What kind of party it is, if that was said.
    pub stakeholder_class: Option<StakeholderClass>,
    /// What it is known by.
    pub identifiers: Identifiers,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed; `None` if it never was.
    pub updated_at: Option<Timestamp>,
}

/// Changes to a recipient; what is not given stays as it is.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UpdateRecipient, rename_all = "camelCase"))]
pub struct RecipientChanges {
    /// Its new name.
    #[cfg_attr(feature = "openapi", schema(value_type = Name, required = false))]
    pub name: Option<Name>,
    /// Its new address.
    #[cfg_attr(feature = "openapi", schema(value_type = Email, required = false))]
    pub email: Option<Email>,
    /// Its new class, or none.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<StakeholderClass>))]
    pub stakeholder_class: Option<Option<StakeholderClass>>,
    /// Its new identifiers, in place of all it has.
    pub identifiers: Option<Identifiers>,
}

impl RecipientChanges {
    /// Whether they change nothing.
    pub fn is_empty(&self) -> bool {
        self.name.is_none()
            && self.email.is_none()
            && self.stakeholder_class.is_none()
            && self.identifiers.is_none()
    }

    /// The recipient after these changes at `now`.
    pub fn apply(self, mut recipient: Recipient, now: Timestamp) -> Recipient {
        recipient.name = self.name.unwrap_or(recipient.name);
        recipient.email = self.email.unwrap_or(recipient.email);
        recipient.stakeholder_class = self.stakeholder_class.unwrap_or(recipient.stakeholder_class);
        recipient.identifiers = self.identifiers.unwrap_or(recipient.identifiers);
        recipient.updated_at = Some(now);
        recipient
    }
}
