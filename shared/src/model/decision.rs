//! The decision: whether a recipe grants, and why or why not.
//!
//! [`decide`] is one total function without I/O. It evaluates every check and stops at none, and what it returns is that
//! evaluation: there is no second account of it. Everything that decides calls it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::identifiers::{Identifiers, VOID, is_same, normal_form};
use super::recipe::{Factor, Method, Recipe, TYPE_KEY, says_who};
use super::recipient::Recipient;
use crate::values::clock::Timestamp;

/// The metadata of an artifact.
pub type Metadata = BTreeMap<String, String>;

/// What is known of someone who asks for something.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The recipient: its class, its email, its stored identifiers, and when it was created.
    pub recipient: &'a Recipient,
    /// Whether the policy's audience includes it.
    pub is_in_audience: bool,
    /// How it wants to retrieve.
    pub method: Method,
    /// What it has proven.
    pub factors: &'a [Factor],
    /// When it proved that.
    pub authenticated_at: Timestamp,
    /// The identifiers that it submitted.
    pub submitted: &'a Identifiers,
    /// The metadata of the artifact that it asks for; `None` asks whether there could be any.
    pub artifact: Option<&'a Metadata>,
}

/// One check of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is checked.
    pub checked: Checked,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a check is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The recipient is of the recipe's class.
    Class,
    /// The policy's audience includes the recipient.
    Audience,
    /// It is neither before nor after the recipe's time.
    Window,
    /// The recipient authenticated a short time ago.
    Session,
    /// The recipient was created a short time ago.
    Expiry,
    /// The recipe grants the method.
    Method,
    /// The factor is proven.
    Factor(Factor),
    /// The identifier is known.
    Identifier(String),
    /// The artifact is of a type that the recipe grants.
    Type,
    /// The artifact has the value of an identifier that says what one may see.
    Scope(String),
    /// The artifact confirms the identifiers that were only submitted.
    Claims,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is so.
    Holds,
    /// Something is missing.
    Missing,
    /// There are two different values.
    Mismatch,
    /// It is not so.
    Fails,
}

impl Outcome {
    fn holds_if(condition: bool) -> Self {
        if condition { Self::Holds } else { Self::Fails }
    }

    /// Its name in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Missing => "missing",
            Self::Mismatch => "mismatch",
            Self::Fails => "fails",
        }
    }
}

/// Its name in the API: `class`, `factor:sms_otp`.
impl std::fmt::Display for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Class => f.write_str("class"),
            Self::Audience => f.write_str("audience"),
            Self::Window => f.write_str("window"),
            Self::Session => f.write_str("session"),
            Self::Expiry => f.write_str("expiry"),
            Self::Method => f.write_str("method"),
            Self::Factor(factor) => write!(f, "factor:{factor}"),
            Self::Identifier(key) => write!(f, "identifier:{key}"),
            Self::Type => f.write_str("type"),
            Self::Scope(key) => write!(f, "scope:{key}"),
            Self::Claims => f.write_str("claims"),
        }
    }
}

/// What [`decide`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Every check, in one order.
    pub checks: Vec<Check>,
}

impl Decision {
    /// Whether the recipe grants: every check holds.
    pub fn is_granted(&self) -> bool {
        self.checks.iter().all(|check| check.outcome == Outcome::Holds)
    }

    /// The factors that are missing.
    pub fn missing_factors(&self) -> impl Iterator<Item = Factor> {
        self.missing().filter_map(|checked| match checked {
            Checked::Factor(factor) => Some(*factor),
            _ => None,
        })
    }

    /// The identifiers that are missing.
    pub fn missing_identifiers(&self) -> impl Iterator<Item = &str> {
        self.missing().filter_map(|checked| match checked {
            Checked::Identifier(key) => Some(key.as_str()),
            _ => None,
        })
    }

    fn missing(&self) -> impl Iterator<Item = &Checked> {
        self.checks.iter().filter(|check| check.outcome == Outcome::Missing).map(|check| &check.checked)
    }

    /// How far it is from granting: how many checks cannot come to hold by supplying something, and how many can.
    pub fn distance(&self) -> (usize, usize) {
        let count = |is: fn(Outcome) -> bool| self.checks.iter().filter(|check| is(check.outcome)).count();
        (count(|it| matches!(it, Outcome::Fails | Outcome::Mismatch)), count(|it| it == Outcome::Missing))
    }
}

/// Where the value of an identifier comes from.
#[derive(Clone, Copy)]
enum Resolved<'a> {
    Stored(&'a str),
    /// Submitted, and not stored.
    Claim(&'a str),
    Mismatch,
    Missing,
}

impl<'a> Resolved<'a> {
    /// A submitted value never replaces a stored one, and one that is void matches nothing. The key `email` means the
    /// recipient's address.
    fn of(key: &str, recipe: &Recipe, recipient: &'a Recipient, submitted: &'a Identifiers) -> Self {
        let stored = match key {
            "email" => Some(recipient.email.as_str()),
            key => recipient.identifiers.get(key),
        };
        match (stored, submitted.get(key)) {
            (None, Some(VOID)) if !recipe.is_stored_only() => Self::Mismatch,
            (Some(stored), Some(submitted)) if !is_same(key, stored, submitted) => Self::Mismatch,
            (Some(stored), _) => Self::Stored(stored),
            (None, Some(submitted)) if !recipe.is_stored_only() => Self::Claim(submitted),
            (None, _) => Self::Missing,
        }
    }

    fn outcome(self) -> Outcome {
        match self {
            Self::Stored(_) | Self::Claim(_) => Outcome::Holds,
            Self::Mismatch => Outcome::Mismatch,
            Self::Missing => Outcome::Missing,
        }
    }

    fn value(self) -> Option<&'a str> {
        match self {
            Self::Stored(value) | Self::Claim(value) => Some(value),
            Self::Mismatch | Self::Missing => None,
        }
    }

    fn is_claim(self) -> bool {
        matches!(self, Self::Claim(_))
    }
}

/// The keys of a recipe, and where the value of each comes from.
fn resolved<'a>(
    recipe: &'a Recipe,
    recipient: &'a Recipient,
    submitted: &'a Identifiers,
) -> impl Iterator<Item = (&'a str, Resolved<'a>)> {
    recipe.keys().iter().map(move |key| (key.as_str(), Resolved::of(key, recipe, recipient, submitted)))
}

/// What the artifacts that a recipe grants have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// They are of one of these types; `None` for any type or none.
    pub types: Option<Vec<String>>,
    /// Their metadata has these keys with these values, in the form by which they are compared.
    pub entries: Metadata,
    /// The identifiers that say who the recipient is, which artifacts need not have; in the same form.
    pub who: Metadata,
    /// The keys that are only claimed: that decides which others an artifact must have.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub claimed: BTreeSet<String>,
}

impl Scope {
    /// What a recipe that grants this recipient something lets it see.
    pub fn of(recipe: &Recipe, recipient: &Recipient, submitted: &Identifiers) -> Self {
        let values = resolved(recipe, recipient, submitted)
            .filter_map(|(key, resolved)| Some((key.to_owned(), normal_form(key, resolved.value()?)?)));
        let (who, entries) = values.partition(|(key, _)| says_who(key));
        let claimed = resolved(recipe, recipient, submitted).filter(|(_, resolved)| resolved.is_claim());
        let claimed = claimed.map(|(key, _)| key.to_owned()).collect();
        Self { types: recipe.artifact_types().map(<[String]>::to_vec), entries, who, claimed }
    }

    /// What those have in common that have these entries too; `None` if there can be none.
    pub fn with(mut self, entries: &Metadata) -> Option<Self> {
        for (key, value) in entries {
            let value = normal_form(key, value)?;
            if *self.entries.entry(key.clone()).or_insert_with(|| value.clone()) != value {
                return None;
            }
        }
        Some(self)
    }
}

/// Decides whether a recipe grants what is asked for, at `now`.
///
/// With an artifact, it decides on that one. Without, it says whether an artifact is conceivable that it would grant.
pub fn decide(recipe: &Recipe, facts: &Facts<'_>, now: Timestamp) -> Decision {
    let mut checks = Vec::new();
    let mut check = |checked, outcome| checks.push(Check { checked, outcome });
    let recipient = facts.recipient;

    check(Checked::Class, Outcome::holds_if(recipient.stakeholder_class == Some(recipe.class())));
    check(Checked::Audience, Outcome::holds_if(facts.is_in_audience));
    let has_begun = recipe.not_before().is_none_or(|from| now >= from);
    let has_ended = recipe.not_after().is_some_and(|end| now >= end);
    check(Checked::Window, Outcome::holds_if(has_begun && !has_ended));
    let session_ends = facts.authenticated_at.plus_minutes(recipe.session_minutes());
    check(Checked::Session, Outcome::holds_if(now < session_ends));
    let expires = recipe.auto_expire_days().map(|days| recipient.created_at.plus_days(days));
    check(Checked::Expiry, Outcome::holds_if(expires.is_none_or(|end| now < end)));
    check(Checked::Method, Outcome::holds_if(recipe.methods().contains(&facts.method)));
    for factor in recipe.factors() {
        let is_proven = facts.factors.contains(factor);
        check(Checked::Factor(*factor), if is_proven { Outcome::Holds } else { Outcome::Missing });
    }
    let keys: Vec<(&str, Resolved<'_>)> = resolved(recipe, recipient, facts.submitted).collect();
    for (key, resolved) in &keys {
        check(Checked::Identifier((*key).to_owned()), resolved.outcome());
    }
    if let Some(artifact) = facts.artifact {
        check(Checked::Type, type_outcome(recipe, artifact));
        for (key, resolved) in keys.iter().filter(|(key, _)| !says_who(key)) {
            check(Checked::Scope((*key).to_owned()), scope_outcome(key, *resolved, artifact));
        }
    }
    let is_known = |(_, resolved): &(&str, Resolved<'_>)| !matches!(resolved, Resolved::Missing);
    let claims = match are_confirmed(&keys, facts.artifact) {
        true => Outcome::Holds,
        // What is not known yet may confirm them.
        false if !keys.iter().all(is_known) => Outcome::Missing,
        false => Outcome::Fails,
    };
    check(Checked::Claims, claims);
    Decision { checks }
}

fn type_outcome(recipe: &Recipe, artifact: &Metadata) -> Outcome {
    match (recipe.artifact_types(), artifact.get(TYPE_KEY)) {
        (None, _) => Outcome::Holds,
        (Some(_), None) => Outcome::Missing,
        (Some(types), Some(given)) => Outcome::holds_if(types.iter().any(|granted| granted == given.trim())),
    }
}

fn scope_outcome(key: &str, resolved: Resolved<'_>, artifact: &Metadata) -> Outcome {
    match (resolved.value(), artifact.get(key)) {
        (Some(value), Some(held)) if is_same(key, value, held) => Outcome::Holds,
        (Some(_), Some(_)) => Outcome::Mismatch,
        _ => Outcome::Missing,
    }
}

/// Whether the artifact confirms what is only claimed: it holds every claimed key and at least two keys in all, each with
/// the value that is known of it, of which one is stored or says who the recipient is. Without an artifact, whether one
/// could.
fn are_confirmed(keys: &[(&str, Resolved<'_>)], artifact: Option<&Metadata>) -> bool {
    if !keys.iter().any(|(_, resolved)| resolved.is_claim()) {
        return true;
    }
    let (mut count, mut has_anchor) = (0, false);
    for (key, resolved) in keys {
        let Some(value) = resolved.value() else { continue };
        if let Some(artifact) = artifact {
            match artifact.get(*key) {
                Some(held) if is_same(key, value, held) => {}
                None if !resolved.is_claim() => continue,
                _ => return false,
            }
        }
        count += 1;
        has_anchor |= says_who(key) || !resolved.is_claim();
    }
    count >= 2 && has_anchor
}
