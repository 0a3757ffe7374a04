//! Access: what the policies in force decide together about a recipient.

use std::collections::BTreeSet;

use super::decision::{Decision, Facts, Metadata, decide, is_set_up};
use super::identifiers::Identifiers;
use super::policy::{EnforcedPolicy, Revision};
use super::recipe::{Factor, Method};
use super::recipient::Recipient;
use crate::values::clock::Timestamp;
use crate::values::id::GroupId;

/// Who asks, with all that is known of it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The recipient.
    pub recipient: Recipient,
    /// The groups that it is in.
    pub groups: BTreeSet<GroupId>,
    /// Whether it has an active, unexpired secret.
    pub has_secret: bool,
}

/// What is asked for, and what was proven for that.
#[derive(Clone, Debug)]
pub struct Attempt<'a> {
    /// How to retrieve.
    pub method: Method,
    /// What was proven.
    pub factors: &'a [Factor],
    /// When that was proven.
    pub authenticated_at: Timestamp,
    /// The identifiers that were submitted.
    pub submitted: &'a Identifiers,
    /// The metadata of an artifact; `None` asks for anything at all.
    pub artifact: Option<&'a Metadata>,
}

/// What one policy decides.
#[derive(Clone, Debug)]
pub struct Verdict<'a> {
    /// The policy.
    pub policy: &'a EnforcedPolicy,
    /// The version of it that counts for the recipient.
    pub revision: &'a Revision,
    /// The decision.
    pub decision: Decision,
}

/// What each of the policies that have something in force decides, at `now`. Their stages must be those of now
/// ([`EnforcedPolicy::at`]). Access is granted if one by itself grants it.
pub fn verdicts<'a>(
    policies: &'a [EnforcedPolicy],
    subject: &Subject,
    attempt: &Attempt<'_>,
    now: Timestamp,
) -> Vec<Verdict<'a>> {
    policies.iter().filter_map(|policy| verdict(policy, subject, attempt, now)).collect()
}

/// What one policy decides; `None` if nothing of it is in force.
pub fn verdict<'a>(
    policy: &'a EnforcedPolicy,
    subject: &Subject,
    attempt: &Attempt<'_>,
    now: Timestamp,
) -> Option<Verdict<'a>> {
    let (revision, is_in_force) = policy.revision_for(subject.recipient.id)?;
    let facts = Facts {
        recipient: &subject.recipient,
        is_in_audience: is_in_force && policy.audience.includes(&subject.groups),
        method: attempt.method,
        factors: attempt.factors,
        authenticated_at: attempt.authenticated_at,
        submitted: attempt.submitted,
        artifact: attempt.artifact,
    };
    Some(Verdict { policy, revision, decision: decide(&revision.recipe, &facts, now) })
}

/// The verdict that grants, or the one nearest to granting.
pub fn best<'a, 'b>(verdicts: &'b [Verdict<'a>]) -> Option<&'b Verdict<'a>> {
    verdicts.iter().min_by_key(|verdict| (!verdict.decision.is_granted(), verdict.decision.distance()))
}

impl Subject {
    /// What it has that it can prove itself with.
    pub fn factors(&self) -> Vec<Factor> {
        let is_set_up = |factor: &&Factor| is_set_up(**factor, &self.recipient, self.has_secret);
        Factor::ALL.iter().filter(is_set_up).copied().collect()
    }
}

/// Decides as if a recipient had proven all that is set up for it just now, by a method that the recipe grants, and had
/// submitted nothing; `None` if nothing of the policy is in force.
pub fn verdict_if_proven<'a>(
    policy: &'a EnforcedPolicy,
    subject: &Subject,
    now: Timestamp,
) -> Option<Verdict<'a>> {
    let (revision, _) = policy.revision_for(subject.recipient.id)?;
    let attempt = Attempt {
        method: *revision.recipe.methods().first()?,
        factors: &subject.factors(),
        authenticated_at: now,
        submitted: &Identifiers::default(),
        artifact: None,
    };
    verdict(policy, subject, &attempt, now)
}
