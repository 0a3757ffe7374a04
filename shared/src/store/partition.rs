//! The kinds of partition of the table: the part of `pk` before the `#`. IAM policies are limited by it.

use std::fmt;

/// A kind of partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Partition {
    /// An account, and what is listed by account.
    Account,
    /// An artifact.
    Artifact,
    /// The artifacts of a dock, all or those with an entry of metadata.
    Artifacts,
    /// A part of the audit trail of a dock.
    Audit,
    /// The audit trail of an entity.
    AuditEntity,
    /// A part of what is to be cleaned up.
    Cleanup,
    /// Which artifact of a dock has a content, under a name and with metadata.
    Content,
    /// A dock and its recipients.
    Dock,
    /// The members of a group.
    Group,
    /// The groups of a dock.
    Groups,
    /// The stored response of a request with an idempotency key.
    Idempotency,
    /// A retrieval job, its results and its tickets.
    Job,
    /// The retrieval jobs of a dock, or of a recipient.
    Jobs,
    /// An API key, by its digest.
    Key,
    /// A part of the docks that have open retrieval jobs.
    OpenJobs,
    /// The policies of a dock, and what of them decides.
    Policies,
    /// The versions of a policy.
    Policy,
    /// A recipient's pointer, its certificates, its memberships and its secrets.
    Recipient,
    /// A recipient's access tokens, and what limits its requests for them.
    Token,
}

impl Partition {
    /// The name that `pk` begins with.
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "ACCOUNT",
            Self::Artifact => "ARTIFACT",
            Self::Artifacts => "ARTIFACTS",
            Self::Audit => "AUDIT",
            Self::AuditEntity => "AUDIT_ENTITY",
            Self::Cleanup => "CLEANUP",
            Self::Content => "CONTENT",
            Self::Dock => "DOCK",
            Self::Group => "GROUP",
            Self::Groups => "GROUPS",
            Self::Idempotency => "IDEMPOTENCY",
            Self::Job => "JOB",
            Self::Jobs => "JOBS",
            Self::Key => "KEY",
            Self::OpenJobs => "OPEN_JOBS",
            Self::Policies => "POLICIES",
            Self::Policy => "POLICY",
            Self::Recipient => "RECIPIENT",
            Self::Token => "TOKEN",
        }
    }

    /// The partition key of the one with this id.
    pub(super) fn of(self, id: impl fmt::Display) -> String {
        format!("{}#{id}", self.name())
    }
}
