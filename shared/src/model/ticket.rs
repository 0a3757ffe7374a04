//! Tickets: `dk_tkt_`, and what follows in an access token ([`super::token`]). Each page of results has one, which is in all of
//! its links: who has a link downloads that artifact, and those of the same page whose ids it knows.
//!
//! What a ticket opens is decided anew at each use, as if who was given it asked then.

use rand::CryptoRng;

use super::bearer::Bearer;
use super::identifiers::Identifiers;
use super::recipe::Method;
use crate::values::clock::Timestamp;
use crate::values::digest::Digest;
use crate::values::id::{AccountId, DockId, JobId, RecipientId};

const PREFIX: &str = "dk_tkt_";

/// How many minutes a ticket lives at most.
pub const TICKET_MINUTES: u16 = 60;

/// A ticket in the clear. It has no `Debug`, `Display` or `PartialEq`: only [`Ticket::expose`] shows it. When it is no longer
/// used, its memory is overwritten.
///
/// ```compile_fail,E0277
/// let ticket = docyard_core::model::ticket::Ticket::parse("dk_tkt_").unwrap();
/// println!("{ticket:?}");
/// ```
pub struct Ticket(Bearer);

impl Ticket {
    /// A new ticket of a recipient.
    pub fn generate(recipient: RecipientId, rng: &mut impl CryptoRng) -> Self {
        Self(Bearer::generate(PREFIX, recipient, rng))
    }

    /// Reads a ticket; `None` if its shape or its checksum is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        Bearer::parse(PREFIX, text).map(Self)
    }

    /// Whose it says it is.
    pub fn recipient(&self) -> RecipientId {
        self.0.recipient
    }

    /// Its digest, which is stored in its place.
    pub fn digest(&self) -> Digest {
        self.0.digest()
    }

    /// The ticket in the clear, for the one response that shows it.
    pub fn expose(&self) -> &str {
        &self.0.text
    }
}

/// Whose request was given a ticket: the credential, by its digest.
#[derive(Clone)]
pub enum Issuer {
    /// The account's, with this API key. Such a ticket goes by what was submitted when the job was made.
    Account {
        /// The key.
        key: Digest,
        /// What was submitted.
        submitted: Identifiers,
    },
    /// The recipient's, with this access token.
    Recipient {
        /// The token.
        token: Digest,
    },
}

/// What a ticket is for.
#[derive(Clone)]
pub struct TicketRecord {
    /// The job.
    pub job: JobId,
    /// The dock.
    pub dock: DockId,
    /// The account.
    pub account: AccountId,
    /// Who gets the artifacts.
    pub recipient: RecipientId,
    /// How they are retrieved.
    pub method: Method,
    /// The page of the job.
    pub page: u16,
    /// The artifacts on that page, from this one,
    pub from: usize,
    /// to before this one.
    pub to: usize,
    /// Who was given it.
    pub issuer: Issuer,
    /// When it ends.
    pub expires_at: Timestamp,
}
