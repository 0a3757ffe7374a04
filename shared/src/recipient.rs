//! Recipients: the parties who may fetch documents from a dock.

use crate::clock::Timestamp;
use crate::email::Email;
use crate::id::{AccountId, DockId, RecipientId};
use crate::identifiers::Identifiers;
use crate::name::Name;

/// The kind of party a recipient is. It decides how the party proves itself elsewhere, not what it may have here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
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
}
