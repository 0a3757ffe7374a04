//! Access: what the policies in force decide together about a recipient.

use std::collections::BTreeSet;

use super::audit::{Action, Event};
use super::decision::{Check, Checked, Decision, Facts, Metadata, Outcome, decide};
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
    /// Whether it has a certificate that is neither revoked nor expired, and has begun.
    pub has_certificate: bool,
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
        Factor::ALL.iter().filter(|factor| self.has(**factor)).copied().collect()
    }

    fn has(&self, factor: Factor) -> bool {
        let has = |key| self.recipient.identifiers.get(key).is_some();
        match factor {
            Factor::SharedPassphrase => self.has_secret,
            Factor::TlsCertificate => self.has_certificate,
            // None can be registered yet.
            Factor::WebAuthn => false,
            Factor::SmsOtp => has("phone"),
            Factor::BadgeId => has("badge_id"),
            Factor::NdaHash => has("nda_hash"),
        }
    }
}

/// The policies that grant an attempt, of those that have something in force, at `now`. Their stages must be those of now.
pub fn granting<'a>(
    policies: &'a [EnforcedPolicy],
    subject: &Subject,
    attempt: &Attempt<'_>,
    now: Timestamp,
) -> impl Iterator<Item = Verdict<'a>> {
    verdicts(policies, subject, attempt, now).into_iter().filter(|verdict| verdict.decision.is_granted())
}

/// What a recipient proved, when, and what it submitted.
#[derive(Clone, Debug)]
pub struct Proof<'a> {
    /// How it wants to retrieve; `None` for any method that the policy grants.
    pub method: Option<Method>,
    /// The factors.
    pub factors: &'a [Factor],
    /// When.
    pub authenticated_at: Timestamp,
    /// The identifiers that it submitted.
    pub submitted: &'a Identifiers,
}

/// Decides as if a recipient had proven all that is set up for it just now, by a method that the recipe grants, and had
/// submitted nothing; `None` if nothing of the policy is in force.
pub fn verdict_if_proven<'a>(
    policy: &'a EnforcedPolicy,
    subject: &Subject,
    now: Timestamp,
) -> Option<Verdict<'a>> {
    let factors = subject.factors();
    let submitted = Identifiers::default();
    let proof = Proof { method: None, factors: &factors, authenticated_at: now, submitted: &submitted };
    verdict_on_proof(policy, subject, &proof, now)
}

/// Decides on what a recipient proved; `None` if nothing of the policy is in force.
fn verdict_on_proof<'a>(
    policy: &'a EnforcedPolicy,
    subject: &Subject,
    proof: &Proof<'_>,
    now: Timestamp,
) -> Option<Verdict<'a>> {
    let (revision, _) = policy.revision_for(subject.recipient.id)?;
    let attempt = Attempt {
        method: proof.method.or(revision.recipe.methods().first().copied())?,
        factors: proof.factors,
        authenticated_at: proof.authenticated_at,
        submitted: proof.submitted,
        artifact: None,
    };
    verdict(policy, subject, &attempt, now)
}

/// The policies that let a recipient in, one at least.
pub struct Opening<'a>(Vec<Verdict<'a>>);

impl<'a> Opening<'a> {
    /// Decides, at `now`, on what a recipient proved. The policies' stages must be those of now.
    ///
    /// # Errors
    /// If none grants: what would do, of the policy nearest to granting among those that cover the recipient, if all were
    /// right that was submitted. So it tells nobody which value is wrong.
    pub fn of(
        policies: &'a [EnforcedPolicy],
        subject: &Subject,
        proof: &Proof<'_>,
        now: Timestamp,
    ) -> Result<Self, Shortfall> {
        let verdicts = |proof: &Proof<'_>| -> Vec<Verdict<'a>> {
            policies.iter().filter_map(|policy| verdict_on_proof(policy, subject, proof, now)).collect()
        };
        let mut granting = verdicts(proof);
        granting.retain(|verdict| verdict.decision.is_granted());
        if !granting.is_empty() {
            return Ok(Self(granting));
        }
        let right = proof.submitted.assumed_right(&subject.recipient.identifiers);
        let mut if_right = verdicts(&Proof { submitted: &right, ..proof.clone() });
        if_right.retain(|verdict| {
            [Checked::Class, Checked::Audience]
                .into_iter()
                .all(|checked| verdict.decision.checks.contains(&Check { checked, outcome: Outcome::Holds }))
        });
        Err(Shortfall::of(best(&if_right)))
    }

    /// The policies that grant.
    pub fn granting(&self) -> &[Verdict<'a>] {
        &self.0
    }

    /// When the last of them ends the session of one who authenticated at this time.
    pub fn session_ends_at(&self, authenticated_at: Timestamp) -> Timestamp {
        let ends = self.0.iter().map(|verdict| verdict.revision.recipe.session_minutes());
        ends.map(|minutes| authenticated_at.plus_minutes(minutes)).fold(authenticated_at, Timestamp::max)
    }
}

/// What is missing of a proof. It never says which value is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// The factors.
    pub factors: Vec<Factor>,
    /// The keys of identifiers.
    pub identifiers: Vec<String>,
}

impl Shortfall {
    fn of(nearest: Option<&Verdict<'_>>) -> Self {
        let keys = nearest.iter().flat_map(|nearest| nearest.decision.missing_identifiers());
        Self {
            factors: nearest.iter().flat_map(|nearest| nearest.decision.missing_factors()).collect(),
            identifiers: keys.map(str::to_owned).collect(),
        }
    }

    /// That the policies refused this recipient, which had proven who it is by the credential with this id.
    pub fn refused(&self, recipient: &Recipient, credential: impl std::fmt::Display) -> Event {
        let factors: Vec<String> = self.factors.iter().map(Factor::to_string).collect();
        Event::new(Action::Refuse, recipient.id)
            .in_dock(recipient.dock)
            .with("credential", credential.to_string())
            .with("missingFactors", factors)
            .with("missingIdentifiers", self.identifiers.clone())
    }
}
