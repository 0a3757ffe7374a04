//! Many callers at once on the same few things, while DynamoDB throttles, conflicts, is slow and loses answers. What
//! they saw is recorded, and must be what callers one after the other could have seen: for each request there is an
//! instant between its beginning and its end at which it happened ([linearisability][]).
//!
//! [linearisability]: https://doi.org/10.1145/78969.78972

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::Clock;
use docyard_core::values::content_hash::ContentHash;
use docyard_core::values::id::ArtifactId;
use docyard_test_support::api::{Api, Reply};
use docyard_test_support::fault::InjectedFault;
use docyard_test_support::scene::{self, Asker};
use docyard_test_support::table::TestTable;
use docyard_test_support::{bucket, certificate, faulty_client, is_thorough, trail};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Value, json};

const CALLERS: usize = 6;
const REQUESTS_OF_EACH: usize = 7;

/// The content of all artifacts.
const DOCUMENT: &[u8] = b"%PDF-1.7";

/// A request: when it began and ended, by a clock that only counts, and what it was. Of one that was answered 503
/// nobody knows whether it happened, or when.
#[derive(Clone, Debug)]
pub(crate) struct Event<A> {
    began: u64,
    ended: u64,
    pub(crate) action: A,
    pub(crate) is_unknown: bool,
}

/// What a thing is, and what requests do to it.
pub(crate) trait Specification: Clone + Debug + Eq + Hash + Default {
    /// A request with its answer.
    type Action: Clone + Debug;

    /// The thing after the request, if it can have had that answer.
    fn after(&self, action: &Self::Action) -> Option<Self>;

    /// What the thing may be after a request of which only the question is known: each success that it can have had.
    /// `strangers` are ids that were seen and that no known request made, so an unknown one did.
    fn after_unknown(&self, action: &Self::Action, strangers: &[String]) -> Vec<Self>;

    /// The ids that an answer tells: that of what the request made, if it made something, and any other.
    fn ids(action: &Self::Action) -> (Option<&String>, Option<&String>);
}

/// Whether some order of the events explains all the answers (the search of [Wing and Gong][], with what was tried
/// kept).
///
/// [Wing and Gong]: https://doi.org/10.1006/jpdc.1993.1015
pub(crate) fn is_linearisable<S: Specification>(events: &[Event<S::Action>]) -> bool {
    fn search<S: Specification>(
        events: &[Event<S::Action>],
        done: u128,
        state: &S,
        strangers: &[String],
        tried: &mut HashSet<(u128, S)>,
    ) -> bool {
        let left = || events.iter().enumerate().filter(|(at, _)| done & (1 << at) == 0);
        if left().all(|(_, event)| event.is_unknown) {
            return true;
        }
        if !tried.insert((done, state.clone())) {
            return false;
        }
        // What ended first must have happened before anything that began later.
        let first_end = left().filter(|(_, event)| !event.is_unknown).map(|(_, event)| event.ended).min();
        left().filter(|(_, event)| first_end.is_none_or(|end| event.began < end)).any(|(at, event)| {
            let next = match event.is_unknown {
                true => state.after_unknown(&event.action, strangers),
                false => state.after(&event.action).into_iter().collect(),
            };
            next.iter().any(|next| search(events, done | (1 << at), next, strangers, tried))
        })
    }
    assert!(events.len() <= 128);
    let known = || events.iter().filter(|event| !event.is_unknown).map(|event| S::ids(&event.action));
    let made: HashSet<&String> = known().filter_map(|(made, _)| made).collect();
    let seen: HashSet<&String> = known().filter_map(|(_, seen)| seen).collect();
    let strangers: Vec<String> = seen.difference(&made).map(|id| (*id).clone()).collect();
    search(events, 0, &S::default(), &strangers, &mut HashSet::new())
}

/// What one of a dock alone can have, and who has it: an email a recipient, a document an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Holders(BTreeMap<&'static str, String>);

#[derive(Clone, Debug)]
enum HolderAction {
    /// The one that was made, or the one that has it.
    Create(&'static str, Result<String, String>),
    /// Of one to another thing to have: whether it was there, and if so, who had that.
    Move(String, &'static str, Option<Result<(), String>>),
    /// Whether it was there.
    Delete(String, bool),
    /// Who has it.
    Find(&'static str, Option<String>),
    /// What it has, if it is there.
    Look(String, Option<String>),
}

impl Holders {
    fn held_by(&self, id: &str) -> Option<&'static str> {
        self.0.iter().find(|(_, holder)| *holder == id).map(|(thing, _)| *thing)
    }

    fn without(mut self, thing: &str) -> Self {
        self.0.remove(thing);
        self
    }

    fn with(mut self, thing: &'static str, id: &str) -> Self {
        self.0.insert(thing, id.to_owned());
        self
    }
}

impl Specification for Holders {
    type Action = HolderAction;

    fn after(&self, action: &HolderAction) -> Option<Self> {
        let same = |holds: bool| holds.then(|| self.clone());
        match action {
            HolderAction::Create(thing, Ok(id)) => {
                (!self.0.contains_key(thing)).then(|| self.clone().with(thing, id))
            }
            HolderAction::Create(thing, Err(holder)) => same(self.0.get(thing) == Some(holder)),
            HolderAction::Move(id, thing, Some(Ok(()))) => {
                let old = self.held_by(id)?;
                let is_free = self.0.get(thing).is_none_or(|holder| holder == id);
                is_free.then(|| self.clone().without(old).with(thing, id))
            }
            HolderAction::Move(id, thing, Some(Err(holder))) => {
                same(self.0.get(thing) == Some(holder) && self.held_by(id).is_some())
            }
            HolderAction::Move(id, _, None) | HolderAction::Delete(id, false) => {
                same(self.held_by(id).is_none())
            }
            HolderAction::Delete(id, true) => self.held_by(id).map(|thing| self.clone().without(thing)),
            HolderAction::Find(thing, holder) => same(self.0.get(thing) == holder.as_ref()),
            HolderAction::Look(id, held) => same(self.held_by(id) == held.as_deref()),
        }
    }

    fn after_unknown(&self, action: &HolderAction, strangers: &[String]) -> Vec<Self> {
        let success = |action| self.after(&action).into_iter().collect();
        match action {
            // If what it made was never seen, it does not matter which id it has.
            HolderAction::Create(thing, _) => {
                let ids = strangers.iter().filter(|id| self.held_by(id).is_none()).map(String::as_str);
                let ids = ids.chain(["never seen"]);
                ids.filter_map(|id| self.after(&HolderAction::Create(thing, Ok(id.to_owned())))).collect()
            }
            HolderAction::Move(id, thing, _) => success(HolderAction::Move(id.clone(), thing, Some(Ok(())))),
            HolderAction::Delete(id, _) => success(HolderAction::Delete(id.clone(), true)),
            HolderAction::Find(..) | HolderAction::Look(..) => Vec::new(),
        }
    }

    fn ids(action: &HolderAction) -> (Option<&String>, Option<&String>) {
        match action {
            HolderAction::Create(_, Ok(id)) => (Some(id), None),
            HolderAction::Create(_, Err(id)) | HolderAction::Move(_, _, Some(Err(id))) => (None, Some(id)),
            HolderAction::Find(_, id) => (None, id.as_ref()),
            HolderAction::Move(..) | HolderAction::Delete(..) | HolderAction::Look(..) => (None, None),
        }
    }
}

/// The name of a recipient: what its readers see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name(String);

/// The name that [`Race::with_recipient`] gives.
impl Default for Name {
    fn default() -> Self {
        Self("A".to_owned())
    }
}

#[derive(Clone, Debug)]
enum NameAction {
    /// To a name that nobody else gives.
    Rename(String),
    Read(String),
}

impl Specification for Name {
    type Action = NameAction;

    fn after(&self, action: &NameAction) -> Option<Self> {
        match action {
            NameAction::Rename(name) => Some(Self(name.clone())),
            NameAction::Read(name) => (self.0 == *name).then(|| self.clone()),
        }
    }

    fn after_unknown(&self, action: &NameAction, _: &[String]) -> Vec<Self> {
        match action {
            NameAction::Rename(_) => self.after(action).into_iter().collect(),
            NameAction::Read(_) => Vec::new(),
        }
    }

    fn ids(_: &NameAction) -> (Option<&String>, Option<&String>) {
        (None, None)
    }
}

/// What the tokens of an institution are made from: whether it is there, its secret active, its certificate registered and
/// its policy in force; and those that are not revoked, each with whether it is bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Tokens {
    is_secret_active: bool,
    is_certificate_registered: bool,
    is_in_force: bool,
    good: BTreeMap<String, bool>,
}

/// What [`Race::with_institution`] creates.
impl Default for Tokens {
    fn default() -> Self {
        Self {
            is_secret_active: true,
            is_certificate_registered: true,
            is_in_force: true,
            good: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Debug)]
enum TokenAction {
    /// The token, and whether it is bound; `None` if the passphrase was wrong.
    Issue(Option<(String, bool)>),
    /// Whether its passphrase was right: of a request that the policies refused.
    Prove,
    /// Whether it is good.
    Use(String, bool),
    /// Whether the policy is in force: what a request reads after it has judged the secret or the token.
    Decide(bool),
    Revoke(String),
    RevokeAll,
    /// Revokes it, rotates it without a grace, or deletes the recipient; whether it was the first to.
    EndSecret(bool),
    RevokeCertificate(bool),
    /// Whether the policy is in force from then on.
    Publish(bool, bool),
}

impl Specification for Tokens {
    type Action = TokenAction;

    fn after(&self, action: &TokenAction) -> Option<Self> {
        let mut next = self.clone();
        let is_possible = match action {
            TokenAction::Issue(None) => !self.is_secret_active,
            TokenAction::Issue(Some((token, is_bound))) => {
                next.good.insert(token.clone(), *is_bound);
                self.is_secret_active && self.is_certificate_registered == *is_bound
            }
            TokenAction::Prove => self.is_secret_active,
            TokenAction::Use(token, is_good) => {
                let proves = |is_bound: &bool| !is_bound || self.is_certificate_registered;
                (self.is_secret_active && self.good.get(token).is_some_and(proves)) == *is_good
            }
            TokenAction::Decide(is_in_force) => self.is_in_force == *is_in_force,
            TokenAction::Revoke(token) => {
                next.good.remove(token);
                true
            }
            TokenAction::RevokeAll => {
                next.good.clear();
                true
            }
            TokenAction::EndSecret(is_done) => {
                next.is_secret_active &= !is_done;
                *is_done || !self.is_secret_active
            }
            TokenAction::RevokeCertificate(is_done) => {
                next.is_certificate_registered &= !is_done;
                true
            }
            TokenAction::Publish(is_in_force, is_won) => {
                next.is_in_force = if *is_won { *is_in_force } else { self.is_in_force };
                true
            }
        };
        is_possible.then_some(next)
    }

    fn after_unknown(&self, action: &TokenAction, _: &[String]) -> Vec<Self> {
        match action {
            // A token that nobody knows is used by nobody.
            TokenAction::Issue(_) | TokenAction::Prove | TokenAction::Use(..) | TokenAction::Decide(_) => {
                Vec::new()
            }
            TokenAction::EndSecret(_) => self.after(&TokenAction::EndSecret(true)).into_iter().collect(),
            TokenAction::RevokeCertificate(_) => {
                self.after(&TokenAction::RevokeCertificate(true)).into_iter().collect()
            }
            TokenAction::Publish(is_in_force, _) => {
                self.after(&TokenAction::Publish(*is_in_force, true)).into_iter().collect()
            }
            action => self.after(action).into_iter().collect(),
        }
    }

    fn ids(_: &TokenAction) -> (Option<&String>, Option<&String>) {
        (None, None)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum SecretState {
    Active,
    InGrace,
    Rotated,
    Revoked,
}

use SecretState::{Active, InGrace, Revoked, Rotated};

/// The secrets of a recipient that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Secrets(BTreeMap<String, SecretState>);

#[derive(Clone, Debug)]
enum SecretAction {
    Generate(String),
    /// What the old one is afterwards, and the replacement; `None` if the secret had ended.
    Rotate(String, SecretState, Option<String>),
    /// Whether it is revoked; `false` if it had been rotated without a grace.
    Revoke(String, bool),
    /// Whether its value is valid.
    Verify(String, bool),
}

impl Specification for Secrets {
    type Action = SecretAction;

    fn after(&self, action: &SecretAction) -> Option<Self> {
        let is =
            |id: &String, states: &[SecretState]| self.0.get(id).is_some_and(|state| states.contains(state));
        let same = |holds: bool| holds.then(|| self.clone());
        let mut next = self.clone();
        match action {
            SecretAction::Generate(id) => next.0.insert(id.clone(), Active).is_none().then_some(next),
            SecretAction::Rotate(id, old, Some(new)) => {
                next.0.insert(id.clone(), *old);
                next.0.insert(new.clone(), Active);
                is(id, &[Active]).then_some(next)
            }
            SecretAction::Rotate(id, _, None) => same(is(id, &[InGrace, Rotated, Revoked])),
            SecretAction::Revoke(id, true) => {
                next.0.insert(id.clone(), Revoked);
                is(id, &[Active, InGrace, Revoked]).then_some(next)
            }
            SecretAction::Revoke(id, false) => same(is(id, &[Rotated])),
            SecretAction::Verify(id, is_valid) => same(is(id, &[Active, InGrace]) == *is_valid),
        }
    }

    fn after_unknown(&self, action: &SecretAction, _: &[String]) -> Vec<Self> {
        match action {
            // The new one is known to nobody.
            SecretAction::Rotate(id, old, _) => {
                let rotated = SecretAction::Rotate(id.clone(), *old, Some("never seen".to_owned()));
                self.after(&rotated).into_iter().collect()
            }
            SecretAction::Revoke(id, _) => {
                self.after(&SecretAction::Revoke(id.clone(), true)).into_iter().collect()
            }
            SecretAction::Generate(_) | SecretAction::Verify(..) => Vec::new(),
        }
    }

    fn ids(_: &SecretAction) -> (Option<&String>, Option<&String>) {
        // A secret whose value is not known is asked about by nobody.
        (None, None)
    }
}

/// The versions of a policy: the newest, the one in production, and the one that is scheduled for a later day.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Versions {
    newest: u64,
    production: Option<u64>,
    scheduled: Option<u64>,
}

impl Default for Versions {
    fn default() -> Self {
        Self { newest: 1, production: None, scheduled: None }
    }
}

#[derive(Clone, Debug)]
enum VersionAction {
    /// Whether it won; if not, it was raced.
    Publish(u64, bool),
    Schedule(u64, bool),
    ToSandbox(bool),
    /// The new version, if it won.
    Rollback(Option<u64>),
    /// The new version.
    Edit(u64),
    Read(Versions),
}

impl Specification for Versions {
    type Action = VersionAction;

    fn after(&self, action: &VersionAction) -> Option<Self> {
        let Self { newest, production, .. } = *self;
        match *action {
            VersionAction::Publish(version, true) => {
                Some(Self { newest, production: Some(version), scheduled: None })
            }
            VersionAction::Schedule(version, true) => {
                Some(Self { newest, production, scheduled: Some(version) })
            }
            VersionAction::ToSandbox(true) => Some(Self { newest, production: None, scheduled: None }),
            VersionAction::Rollback(Some(new)) => (new == newest + 1).then(|| Self {
                newest: new,
                production: production.map(|_| new),
                scheduled: None,
            }),
            VersionAction::Edit(new) => (new == newest + 1).then(|| Self { newest: new, ..self.clone() }),
            VersionAction::Read(ref read) => (read == self).then(|| self.clone()),
            VersionAction::Publish(_, false)
            | VersionAction::Schedule(_, false)
            | VersionAction::ToSandbox(false)
            | VersionAction::Rollback(None) => Some(self.clone()),
        }
    }

    fn after_unknown(&self, action: &VersionAction, _: &[String]) -> Vec<Self> {
        let success = match *action {
            VersionAction::Publish(version, _) => VersionAction::Publish(version, true),
            VersionAction::Schedule(version, _) => VersionAction::Schedule(version, true),
            VersionAction::ToSandbox(_) => VersionAction::ToSandbox(true),
            VersionAction::Rollback(_) => VersionAction::Rollback(Some(self.newest + 1)),
            VersionAction::Edit(_) => VersionAction::Edit(self.newest + 1),
            VersionAction::Read(_) => return Vec::new(),
        };
        self.after(&success).into_iter().collect()
    }

    fn ids(_: &VersionAction) -> (Option<&String>, Option<&String>) {
        (None, None)
    }
}

/// Whether a group is there, and for whom a policy is: everyone, the group, or nobody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Assignment {
    is_group_there: bool,
    is_for_everyone: bool,
    is_for_group: bool,
}

impl Default for Assignment {
    fn default() -> Self {
        Self { is_group_there: true, is_for_everyone: true, is_for_group: false }
    }
}

#[derive(Clone, Debug)]
enum AssignmentAction {
    /// Whether the group was there.
    Assign(bool),
    Unassign(bool),
    DeleteGroup(bool),
    ForEveryone,
    /// Whether a member of the group is let in.
    Evaluate(bool),
}

impl Specification for Assignment {
    type Action = AssignmentAction;

    fn after(&self, action: &AssignmentAction) -> Option<Self> {
        let same = |holds: bool| holds.then(|| self.clone());
        let is_there = |next: Self| self.is_group_there.then_some(next);
        match *action {
            AssignmentAction::Assign(true) => {
                is_there(Self { is_for_everyone: false, is_for_group: true, ..self.clone() })
            }
            AssignmentAction::Unassign(true) => is_there(Self { is_for_group: false, ..self.clone() }),
            AssignmentAction::DeleteGroup(true) => {
                is_there(Self { is_group_there: false, is_for_group: false, ..self.clone() })
            }
            AssignmentAction::ForEveryone => {
                Some(Self { is_for_everyone: true, is_for_group: false, ..self.clone() })
            }
            AssignmentAction::Evaluate(is_let_in) => {
                same(is_let_in == (self.is_for_everyone || self.is_for_group))
            }
            AssignmentAction::Assign(false)
            | AssignmentAction::Unassign(false)
            | AssignmentAction::DeleteGroup(false) => same(!self.is_group_there),
        }
    }

    fn after_unknown(&self, action: &AssignmentAction, _: &[String]) -> Vec<Self> {
        let success = match action {
            AssignmentAction::Assign(_) => AssignmentAction::Assign(true),
            AssignmentAction::Unassign(_) => AssignmentAction::Unassign(true),
            AssignmentAction::DeleteGroup(_) => AssignmentAction::DeleteGroup(true),
            AssignmentAction::ForEveryone => AssignmentAction::ForEveryone,
            AssignmentAction::Evaluate(_) => return Vec::new(),
        };
        self.after(&success).into_iter().collect()
    }

    fn ids(_: &AssignmentAction) -> (Option<&String>, Option<&String>) {
        (None, None)
    }
}

/// The API over a table that fails at random, and the history of what was asked of it.
pub(crate) struct Race<A> {
    pub(crate) table: TestTable,
    pub(crate) api: Api,
    pub(crate) key: String,
    pub(crate) dock: String,
    pub(crate) seed: usize,
    clock: AtomicU64,
    history: Mutex<Vec<Event<A>>>,
    /// What is known to everyone by now: ids, and the values of secrets.
    pub(crate) known: Mutex<Vec<(String, String)>>,
    /// What [`Race::with_institution`] created.
    institution: Mutex<Institution>,
    rng: Mutex<TestRng>,
    /// Whether DynamoDB fails: only once everything is set up.
    pub(crate) fails: Arc<AtomicBool>,
}

impl<A> Race<A> {
    pub(crate) async fn new(seed: u64) -> Arc<Self> {
        let table = TestTable::start().await;
        let account = table.account().await;
        let (key, dock) = (table.key(account).await, table.dock(account).await.to_string());
        let rng = |stream: u8| {
            let mut bytes = [stream; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
        };
        let faults = Mutex::new(rng(1));
        let fails = Arc::new(AtomicBool::new(false));
        let is_set_up = fails.clone();
        let decide = move |operation: &str| {
            if !is_set_up.load(Ordering::SeqCst) {
                return None;
            }
            let random = faults.lock().unwrap().next_u64();
            let fault = match random % 100 {
                0..50 => InjectedFault::Slow((random >> 8) % 6, (random >> 16) % 6),
                50..60 => InjectedFault::Canceled(&["TransactionConflict"]),
                60..65 => InjectedFault::Canceled(&["ConditionalCheckFailed", "TransactionConflict"]),
                65..70 => InjectedFault::Refused("ThrottlingException"),
                70..75 => InjectedFault::ErrorAfter,
                75..78 => InjectedFault::BrokenAfter,
                // Not tried again, so that whoever asked does not know how it ended.
                78..82 => InjectedFault::HalfAnswer,
                _ => return None,
            };
            fault.applies_to(operation).then_some(fault)
        };
        let store = faulty_client::store(&table.url, Arc::new(decide));
        let objects = bucket::objects_beside(&table.url);
        Arc::new(Self {
            table,
            api: Api::new(Context::new(store, Mode::Live, Clock::system()).with_objects(objects)),
            key,
            dock,
            seed: usize::try_from(seed).unwrap(),
            clock: AtomicU64::new(0),
            history: Mutex::default(),
            known: Mutex::default(),
            institution: Mutex::default(),
            rng: Mutex::new(rng(2)),
            fails,
        })
    }

    pub(crate) fn random(&self, below: usize) -> usize {
        usize::try_from(self.rng.lock().unwrap().next_u64() % below as u64).unwrap()
    }

    /// One of the things that are known.
    fn any_known(&self) -> Option<(String, String)> {
        let known = self.known.lock().unwrap().clone();
        (!known.is_empty()).then(|| known[self.random(known.len())].clone())
    }

    /// Asks, and records what `action` makes of the answer; of a 503 it is told as of an answer that says nothing.
    async fn ask(
        &self,
        function: &str,
        [recipient, secret]: [&str; 2],
        query: &str,
        body: Option<Value>,
        action: impl FnOnce(&Reply) -> A,
    ) -> Reply {
        let parameters = [("recipientId", recipient), ("secretId", secret)];
        self.ask_about(function, &parameters, query, body, action).await
    }

    pub(crate) async fn ask_about(
        &self,
        function: &str,
        parameters: &[(&str, &str)],
        query: &str,
        body: Option<Value>,
        action: impl FnOnce(&Reply) -> A,
    ) -> Reply {
        let parameters = [&[("dockId", self.dock.as_str())], parameters].concat();
        let headers = [("authorization", format!("Bearer {}", self.key))];
        let body = body.map(|body| body.to_string());
        let expected: &[u16] = match function {
            "create-recipient" => &[201, 409, 503],
            "update-recipient" => &[200, 404, 409, 503],
            "delete-recipient" => &[200, 404, 503],
            "rotate-secret" => &[201, 404, 409, 503],
            "revoke-secret" => &[200, 404, 409, 503],
            "generate-secret" => &[201, 503],
            "publish-policy" => &[200, 409, 503],
            "rollback-policy" => &[201, 409, 503],
            "create-artifact" => &[201, 503],
            "create-retrieval-job" => &[201, 409, 503],
            "cancel-retrieval-job" => &[200, 409, 503],
            "update-artifact" => &[200, 404, 409, 503],
            "assign-policy"
            | "unassign-policy"
            | "get-artifact"
            | "complete-artifact"
            | "delete-artifact"
            | "delete-group"
            | "revoke-certificate"
            | "revoke-recipient-tokens" => &[200, 404, 503],
            _ => &[200, 503],
        };
        let request = self.api.ask(function, &parameters, query, &headers, body);
        self.record(request, expected, action).await
    }

    /// Creates a recipient, the first thing that is known, before anything fails.
    async fn with_recipient(&self, unused: A) {
        let person = json!({"name": "A", "email": "a@example.com"});
        let reply = self.ask("create-recipient", ["", ""], "", Some(person), |_| unused).await;
        self.known.lock().unwrap().push((reply.id(201), String::new()));
        self.history.lock().unwrap().clear();
    }

    /// Creates a mortgagee in a group, and a policy in production if it is to be, before anything fails. Their ids are known
    /// in this order.
    async fn with_policy(&self, is_published: bool) {
        let asker = Asker { api: &self.api, key: &self.key, dock: &self.dock };
        let recipient = asker.mortgagee("a@example.com").await;
        let group = asker.group("A group", &[&recipient]).await;
        let policy = asker.policy("A policy", json!({"everyone": true})).await;
        if is_published {
            asker.publish(&policy, json!({"stage": "production", "version": 1})).await;
        }
        let ids = [recipient, group, policy].map(|id| (id, String::new()));
        *self.known.lock().unwrap() = ids.to_vec();
    }

    /// Uploads the content of an artifact that is there, if it has none yet.
    async fn upload(&self, artifact: &str) {
        let (id, now) = (ArtifactId::parse(artifact).unwrap(), Clock::system().now());
        if let Some(artifact) = self.table.store.artifact(id, now).await.unwrap() {
            let objects = bucket::objects_beside(&self.table.url);
            objects.put(&artifact, artifact.content().unwrap(), DOCUMENT).await.unwrap();
        }
    }

    /// Asserts that each artifact of the dock that is available has its content, and says how many there are.
    async fn assert_uploaded(&self) -> usize {
        self.fails.store(false, Ordering::SeqCst);
        let asker = Asker { api: &self.api, key: &self.key, dock: &self.dock };
        let listed = asker.ask("list-artifacts", &[], Value::Null).await;
        let objects = bucket::objects_beside(&self.table.url);
        let mut available = 0;
        for artifact in listed.as_array().unwrap().iter().filter(|listed| listed["status"] == "AVAILABLE") {
            let (id, now) =
                (ArtifactId::parse(artifact["id"].as_str().unwrap()).unwrap(), Clock::system().now());
            let artifact = self.table.store.artifact(id, now).await.unwrap().unwrap();
            let stored = objects.head(&artifact).await.unwrap();
            assert!(stored.is_some_and(|stored| stored.is(artifact.content().unwrap())));
            available += 1;
        }
        available
    }

    /// The ids of what [`Race::with_policy`] created.
    fn of_policy(&self) -> [String; 3] {
        let known = self.known.lock().unwrap();
        [0, 1, 2].map(|at| known[at].0.clone())
    }

    pub(crate) fn remember(&self, reply: &Reply) {
        if reply.status == 201 {
            let value = reply.body["secret"].as_str().unwrap_or_default().to_owned();
            self.known.lock().unwrap().push((reply.id(201), value));
        }
    }
}

/// A recipient with a secret and a certificate, and a policy that lets it in.
#[derive(Clone, Default)]
pub(crate) struct Institution {
    pub(crate) recipient: String,
    pub(crate) passphrase: String,
    pub(crate) secret: String,
    pub(crate) certificate: String,
    pub(crate) policy: String,
    pub(crate) pem: String,
}

impl<A> Race<A> {
    /// Creates an institution, before anything fails.
    pub(crate) async fn with_institution(&self) {
        self.with_policy(true).await;
        let [recipient, _, policy] = self.of_policy();
        let asker = Asker { api: &self.api, key: &self.key, dock: &self.dock };
        let of = [("recipientId", recipient.as_str())];
        let made = asker.ask("generate-secret", &of, json!({"name": "S"})).await;
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        let (secret, passphrase) = (text("id"), text("secret"));
        let pem = certificate::new("institution");
        let certificate = asker.certificate(&recipient, &pem).await;
        *self.institution.lock().unwrap() =
            Institution { recipient, passphrase, secret, certificate, policy, pem };
        // From here on the tokens, behind one that is none.
        *self.known.lock().unwrap() = vec![("no token".to_owned(), String::new())];
    }

    pub(crate) fn institution(&self) -> Institution {
        self.institution.lock().unwrap().clone()
    }

    /// Makes a request, and records what `action` makes of the answer; of a 503 it is told as of an answer that says
    /// nothing.
    pub(crate) async fn record(
        &self,
        request: impl Future<Output = Reply>,
        expected: &[u16],
        action: impl FnOnce(&Reply) -> A,
    ) -> Reply {
        self.record_all(request, expected, |reply| vec![action(reply)]).await
    }

    /// The same of a request that does several things, each at an instant of its own.
    async fn record_all(
        &self,
        request: impl Future<Output = Reply>,
        expected: &[u16],
        actions: impl FnOnce(&Reply) -> Vec<A>,
    ) -> Reply {
        let began = self.clock.fetch_add(1, Ordering::SeqCst);
        let reply = request.await;
        let ended = self.clock.fetch_add(1, Ordering::SeqCst);
        assert!(expected.contains(&reply.status), "{}", reply.shown());
        let is_unknown = reply.status == 503;
        let events = actions(&reply).into_iter().map(|action| Event { began, ended, action, is_unknown });
        self.history.lock().unwrap().extend(events);
        reply
    }

    /// Does something else than a request, and records it.
    pub(crate) async fn record_done(&self, doing: impl Future<Output = ()>, action: A) {
        let began = self.clock.fetch_add(1, Ordering::SeqCst);
        doing.await;
        let ended = self.clock.fetch_add(1, Ordering::SeqCst);
        self.history.lock().unwrap().push(Event { began, ended, action, is_unknown: false });
    }
}

fn id_in(reply: &Reply, field: &str) -> String {
    reply.body[field].as_str().unwrap_or("unknown").to_owned()
}

/// Runs callers at once, each with requests one after the other, and gives what they saw. Asserts that the trail tells what
/// happened, also of requests that were answered 503.
pub(crate) async fn run<A, F>(race: Arc<Race<A>>, request: fn(Arc<Race<A>>) -> F) -> Vec<Event<A>>
where
    A: Send + Clone + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    race.fails.store(true, Ordering::SeqCst);
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let race = race.clone();
            tokio::spawn(async move {
                for _ in 0..REQUESTS_OF_EACH {
                    request(race.clone()).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    trail::assert_explains(&race.table).await;
    race.history.lock().unwrap().clone()
}

async fn on_emails(race: Arc<Race<HolderAction>>) {
    let email = ["a@example.com", "b@example.com"][race.random(2)];
    let (kind, known) = (race.random(10), race.any_known());
    match (kind, known) {
        (0..3, Some((id, _))) => {
            let body = Some(json!({"email": email}));
            race.ask("update-recipient", [&id, ""], "", body, |reply| {
                let outcome = match reply.status {
                    200 => Some(Ok(())),
                    409 => Some(Err(id_in(reply, "recipientId"))),
                    _ => None,
                };
                HolderAction::Move(id.clone(), email, outcome)
            })
            .await;
        }
        (3..5, Some((id, _))) => {
            race.ask("delete-recipient", [&id, ""], "", None, |reply| {
                HolderAction::Delete(id.clone(), reply.status == 200)
            })
            .await;
        }
        (5..7, _) => {
            let query = format!("email={}", email.replace('@', "%40"));
            race.ask("list-recipients", ["", ""], &query, None, |reply| {
                HolderAction::Find(email, reply.body[0]["id"].as_str().map(str::to_owned))
            })
            .await;
        }
        _ => {
            let body = Some(json!({"name": "A", "email": email}));
            let reply = race
                .ask("create-recipient", ["", ""], "", body, |reply| {
                    let outcome = match reply.status {
                        201 => Ok(reply.id(201)),
                        _ => Err(id_in(reply, "recipientId")),
                    };
                    HolderAction::Create(email, outcome)
                })
                .await;
            race.remember(&reply);
        }
    }
}

/// On artifacts of one content, which their metadata alone distinguish.
async fn on_documents(race: Arc<Race<HolderAction>>) {
    let lender = ["LND-1", "LND-2"][race.random(2)];
    let (kind, known) = (race.random(12), race.any_known());
    let ask = async |function: &str, id: &str, body, action: &(dyn Fn(&Reply) -> HolderAction + Sync)| {
        race.ask_about(function, &[("artifactId", id)], "", body, action).await
    };
    match (kind, known) {
        (0..3, Some((id, _))) => {
            let body = Some(json!({"metadata": {"lender_id": lender}}));
            ask("update-artifact", &id, body, &|reply| {
                let outcome = match reply.status {
                    200 => Some(Ok(())),
                    409 => Some(Err(id_in(reply, "artifactId"))),
                    _ => None,
                };
                HolderAction::Move(id.clone(), lender, outcome)
            })
            .await;
        }
        (3..5, Some((id, _))) => {
            ask("delete-artifact", &id, None, &|reply| HolderAction::Delete(id.clone(), reply.status == 200))
                .await;
        }
        (5..8, Some((id, _))) => {
            let function = ["get-artifact", "complete-artifact"][race.random(2)];
            if function == "complete-artifact" {
                race.upload(&id).await;
            }
            ask(function, &id, None, &|reply| {
                let held = reply.body["metadata"]["lender_id"].as_str();
                HolderAction::Look(id.clone(), held.map(str::to_owned))
            })
            .await;
        }
        _ => {
            let hash = ContentHash::of(DOCUMENT);
            let body = json!({
                "filename": "page.pdf", "hash": hash, "size": DOCUMENT.len(), "metadata": {"lender_id": lender},
            });
            let reply = ask("create-artifact", "", Some(body), &|reply| {
                let id = id_in(reply, "id");
                let is_duplicate = reply.body["isDuplicate"] == true;
                HolderAction::Create(lender, if is_duplicate { Err(id) } else { Ok(id) })
            })
            .await;
            race.remember(&reply);
        }
    }
}

async fn on_secrets(race: Arc<Race<SecretAction>>) {
    let recipient = race.known.lock().unwrap()[0].0.clone();
    let (kind, known) = (race.random(10), race.any_known());
    match (kind, known.filter(|(_, value)| !value.is_empty())) {
        (0..3, Some((id, _))) => {
            let (old, body) = match race.random(2) {
                0 => (Rotated, None),
                _ => (InGrace, Some(json!({"graceHours": 168}))),
            };
            let reply = race
                .ask("rotate-secret", [&recipient, &id], "", body, |reply| {
                    SecretAction::Rotate(id.clone(), old, (reply.status == 201).then(|| reply.id(201)))
                })
                .await;
            race.remember(&reply);
        }
        (3..5, Some((id, _))) => {
            race.ask("revoke-secret", [&recipient, &id], "", None, |reply| {
                SecretAction::Revoke(id.clone(), reply.status == 200)
            })
            .await;
        }
        (5..9, Some((id, value))) => {
            race.ask("verify-secret", [&recipient, ""], "", Some(json!({"secret": value})), |reply| {
                let is_valid = reply.body["valid"] == true;
                assert!(!is_valid || reply.body["secretId"] == id.as_str(), "the value of another secret");
                SecretAction::Verify(id.clone(), is_valid)
            })
            .await;
        }
        _ => {
            let body = Some(json!({"name": "S"}));
            let reply = race
                .ask("generate-secret", [&recipient, ""], "", body, |reply| {
                    SecretAction::Generate(id_in(reply, "id"))
                })
                .await;
            race.remember(&reply);
        }
    }
}

async fn on_a_name(race: Arc<Race<NameAction>>) {
    let recipient = race.known.lock().unwrap()[0].0.clone();
    if race.random(2) == 0 {
        let name = format!("Name {}", race.clock.fetch_add(1, Ordering::SeqCst));
        let body = Some(json!({"name": name}));
        race.ask("update-recipient", [&recipient, ""], "", body, |_| NameAction::Rename(name)).await;
    } else {
        race.ask("get-recipient", [&recipient, ""], "", None, |reply| NameAction::Read(id_in(reply, "name")))
            .await;
    }
}

async fn on_versions(race: Arc<Race<VersionAction>>) {
    let [_, _, policy] = race.of_policy();
    let of = [("policyId", policy.as_str())];
    let is_won = |reply: &Reply| reply.status == 200;
    let publish = async |body: Value, action: fn(u64, bool) -> VersionAction| {
        race.ask_about("publish-policy", &of, "", Some(body), |reply| action(1, is_won(reply))).await;
    };
    match race.random(10) {
        0..2 => publish(json!({"stage": "production", "version": 1}), VersionAction::Publish).await,
        2 => {
            let date = Clock::system().now().plus_days(365).to_string();
            let body = json!({"stage": "production", "version": 1, "scheduledEnforceDate": date});
            publish(body, VersionAction::Schedule).await;
        }
        3 => publish(json!({"stage": "sandbox"}), |_, is_won| VersionAction::ToSandbox(is_won)).await,
        4..6 => {
            let of = [("policyId", policy.as_str()), ("version", "1")];
            race.ask_about("rollback-policy", &of, "", None, |reply| {
                VersionAction::Rollback(reply.body["version"].as_u64())
            })
            .await;
        }
        6..8 => {
            let mut recipe = scene::recipe();
            recipe["artifactTypes"] = json!([format!("type-{}", race.clock.fetch_add(1, Ordering::SeqCst))]);
            race.ask_about("update-policy", &of, "", Some(json!({"recipe": recipe})), |reply| {
                VersionAction::Edit(reply.body["currentVersion"].as_u64().unwrap_or_default())
            })
            .await;
        }
        _ => {
            race.ask_about("get-policy", &of, "", None, |reply| {
                VersionAction::Read(Versions {
                    newest: reply.body["currentVersion"].as_u64().unwrap_or_default(),
                    production: reply.body["production"]["version"].as_u64(),
                    scheduled: reply.body["scheduled"]["version"].as_u64(),
                })
            })
            .await;
        }
    }
}

async fn on_an_assignment(race: Arc<Race<AssignmentAction>>) {
    let [recipient, group, policy] = race.of_policy();
    let of = [("groupId", group.as_str()), ("policyId", policy.as_str())];
    let body = Some(json!({"policyId": policy}));
    let is_there = |reply: &Reply| reply.status == 200;
    match race.random(12) {
        0..3 => {
            let action = |reply: &Reply| AssignmentAction::Assign(is_there(reply));
            race.ask_about("assign-policy", &of, "", body, action).await;
        }
        3..5 => {
            let action = |reply: &Reply| AssignmentAction::Unassign(is_there(reply));
            race.ask_about("unassign-policy", &of, "", body, action).await;
        }
        5 => {
            let action = |reply: &Reply| AssignmentAction::DeleteGroup(is_there(reply));
            race.ask_about("delete-group", &of, "", None, action).await;
        }
        6 => {
            let body = json!({"audience": {"everyone": true}});
            race.ask_about("update-policy", &of, "", Some(body), |_| AssignmentAction::ForEveryone).await;
        }
        _ => {
            let asked = json!({
                "subject": {"type": "recipient", "id": recipient}, "action": {"name": "bulk_api"},
                "resource": {"type": "dock"}, "context": {"factors": ["shared_passphrase"]},
            });
            race.ask_about("evaluate-access", &[], "", Some(asked), |reply| {
                AssignmentAction::Evaluate(reply.body["decision"] == true)
            })
            .await;
        }
    }
}

async fn on_tokens(race: Arc<Race<TokenAction>>) {
    let Institution { recipient, passphrase, secret, certificate, policy, pem } = race.institution();
    let issued = race.known.lock().unwrap().clone();
    // One of the newest two.
    let one = issued.iter().skip(1).rev().nth(race.random(2)).cloned();
    let of_secret = [("recipientId", recipient.as_str()), ("secretId", secret.as_str())];
    // Each race has its own way to end everything.
    let ends = ["revoke-secret", "rotate-secret", "delete-recipient"][race.seed % 3];
    match (race.random(80), one) {
        (0, _) => {
            let is_done = |reply: &Reply| TokenAction::EndSecret(reply.status < 300);
            // A deletion that was interrupted is completed by its repetition.
            while race.ask_about(ends, &of_secret, "", None, is_done).await.status == 503 {}
        }
        (1..3, _) => {
            let of = [("recipientId", recipient.as_str()), ("certificateId", certificate.as_str())];
            let is_done = |reply: &Reply| TokenAction::RevokeCertificate(reply.status == 200);
            race.ask_about("revoke-certificate", &of, "", None, is_done).await;
        }
        (3..5, _) => {
            let action = |_: &Reply| TokenAction::RevokeAll;
            race.ask("revoke-recipient-tokens", [&recipient, ""], "", None, action).await;
        }
        (5..14, _) => {
            let is_in_force = race.random(3) > 0;
            let body = match is_in_force {
                true => json!({"stage": "production", "version": 1}),
                false => json!({"stage": "sandbox"}),
            };
            let action = |reply: &Reply| TokenAction::Publish(is_in_force, reply.status == 200);
            let of = [("policyId", policy.as_str())];
            race.ask_about("publish-policy", &of, "", Some(body), action).await;
        }
        (14..18, Some((name, token))) => {
            let body = Some(json!({"token": token}));
            race.ask("revoke-token", ["", ""], "", body, |_| TokenAction::Revoke(name)).await;
        }
        (18..60, Some((name, token))) => {
            let request = race.api.opened(&token, Some(&pem));
            let actions = |reply: &Reply| {
                let mut actions = vec![TokenAction::Use(name, reply.status != 401)];
                actions.extend((reply.status != 401).then_some(TokenAction::Decide(reply.status == 200)));
                actions
            };
            race.record_all(request, &[200, 401, 403, 503], actions).await;
        }
        _ => {
            let name = format!("token {}", race.clock.fetch_add(1, Ordering::SeqCst));
            let request = race.api.token(&recipient, &passphrase, Some(&pem), json!({}));
            let actions = |reply: &Reply| {
                let is_bound = reply.body["factors"].as_array().is_some_and(|factors| factors.len() == 2);
                match reply.status {
                    200 => {
                        vec![TokenAction::Issue(Some((name.clone(), is_bound))), TokenAction::Decide(true)]
                    }
                    400 => vec![TokenAction::Prove, TokenAction::Decide(false)],
                    _ => vec![TokenAction::Issue(None)],
                }
            };
            let reply = race.record_all(request, &[200, 400, 401, 503], actions).await;
            if let Some(token) = reply.body["access_token"].as_str() {
                race.known.lock().unwrap().push((name, token.to_owned()));
            }
        }
    }
}

pub(crate) fn seeds() -> std::ops::Range<u64> {
    0..if is_thorough() { 400 } else { 8 }
}

#[tokio::test]
async fn races_for_an_email_end_as_if_one_came_after_the_other() {
    let mut unknown = 0;
    for seed in seeds() {
        let events = run(Race::new(seed).await, on_emails).await;
        unknown += events.iter().filter(|event| event.is_unknown).count();
        assert!(is_linearisable::<Holders>(&events), "choices {seed}: {events:#?}");
    }
    assert!(unknown > 0, "some were answered 503");
}

#[tokio::test]
async fn races_for_a_document_end_as_if_one_came_after_the_other() {
    let mut completed = 0;
    for seed in seeds() {
        let race = Race::new(seed).await;
        let events = run(race.clone(), on_documents).await;
        assert!(is_linearisable::<Holders>(&events), "choices {seed}: {events:#?}");
        completed += race.assert_uploaded().await;
    }
    assert!(completed > 0, "some were completed");
}

#[tokio::test]
async fn races_on_secrets_end_as_if_one_came_after_the_other() {
    for seed in seeds() {
        let race = Race::new(seed).await;
        race.with_recipient(SecretAction::Generate(String::new())).await;
        let events = run(race, on_secrets).await;
        assert!(is_linearisable::<Secrets>(&events), "choices {seed}: {events:#?}");
    }
}

/// A change whose answer was lost is not made again after another one: nobody sees A, then B, then A.
#[tokio::test]
async fn races_on_a_name_end_as_if_one_came_after_the_other() {
    for seed in seeds() {
        let race = Race::new(seed).await;
        race.with_recipient(NameAction::Read(String::new())).await;
        let events = run(race, on_a_name).await;
        assert!(is_linearisable::<Name>(&events), "choices {seed}: {events:#?}");
    }
}

/// Publications, schedules, rollbacks and edits: of those that race one wins, and no reader sees half of one.
#[tokio::test]
async fn races_on_the_versions_of_a_policy_end_as_if_one_came_after_the_other() {
    for seed in seeds() {
        let race = Race::new(seed).await;
        race.with_policy(false).await;
        let events = run(race, on_versions).await;
        assert!(is_linearisable::<Versions>(&events), "choices {seed}: {events:#?}");
    }
}

/// A group that is deleted while policies are assigned to it decides nothing, and is in no audience afterwards.
#[tokio::test]
async fn races_between_an_assignment_and_the_end_of_its_group_end_as_if_one_came_after_the_other() {
    for seed in seeds() {
        let race = Race::new(seed).await;
        race.with_policy(true).await;
        let events = run(race.clone(), on_an_assignment).await;
        assert!(is_linearisable::<Assignment>(&events), "choices {seed}: {events:#?}");
        race.fails.store(false, Ordering::SeqCst);
        let [_, group, policy] = race.of_policy();
        let of = [("groupId", group.as_str()), ("policyId", policy.as_str())];
        let is_deletion = |event: &Event<AssignmentAction>| {
            !event.is_unknown && matches!(event.action, AssignmentAction::DeleteGroup(true))
        };
        if !events.iter().any(is_deletion) {
            // An interrupted one is completed by its repetition.
            race.ask_about("delete-group", &of, "", None, |_| AssignmentAction::ForEveryone).await;
        }
        let ended = race.ask_about("get-policy", &of, "", None, |_| AssignmentAction::ForEveryone).await;
        assert!(!ended.body["audience"].to_string().contains(&group), "{}", ended.shown());
    }
}

/// A token that is used while all that it is made from ends: after the answer to a revocation it opens nothing.
#[tokio::test]
async fn races_on_tokens_end_as_if_one_came_after_the_other() {
    let mut used = BTreeMap::new();
    for seed in seeds() {
        let race = Race::new(seed).await;
        race.with_institution().await;
        let events = run(race, on_tokens).await;
        assert!(is_linearisable::<Tokens>(&events), "choices {seed}: {events:#?}");
        for event in events.iter().filter(|event| !event.is_unknown) {
            if let TokenAction::Use(_, is_good) = event.action {
                *used.entry(is_good).or_insert(0) += 1;
            }
        }
    }
    assert!(used.len() == 2 && used.values().all(|count| *count > 10), "of each kind some: {used:?}");
}

/// However many ask at once, ten different sets of identifiers count in a day, and each counts once.
#[tokio::test]
async fn races_on_submitted_sets_count_ten() {
    for seed in seeds() {
        let race = Race::<()>::new(seed).await;
        let asker = Asker { api: &race.api, key: &race.key, dock: &race.dock };
        let recipient = asker.mortgagee("a@example.com").await;
        let passphrase = asker.secret(&recipient).await;
        let mut recipe = scene::recipe();
        recipe["match"]["identifiers"] = json!(["lender_id", "policy_number"]);
        let body = json!({"name": "P", "recipe": recipe});
        let policy = asker.create("create-policy", &[], body).await;
        asker.publish(&policy, json!({"stage": "production", "version": 1})).await;

        race.fails.store(true, Ordering::SeqCst);
        // Each set twice.
        let requests = (0..24).map(|n| {
            let submitted = json!({"identifiers": {"policy_number": format!("POL-{}", n / 2)}});
            let (race, recipient, passphrase) = (race.clone(), recipient.clone(), passphrase.clone());
            tokio::spawn(
                async move { (n / 2, race.api.token(&recipient, &passphrase, None, submitted).await) },
            )
        });
        let (mut counted, mut unknown) = (HashSet::new(), HashSet::new());
        for request in requests.collect::<Vec<_>>() {
            let (set, reply) = request.await.unwrap();
            match reply.status {
                200 => drop(counted.insert(set)),
                400 => assert_eq!(reply.body["error"], "unauthorized_client", "{}", reply.shown()),
                503 => drop(unknown.insert(set)),
                _ => panic!("{}", reply.shown()),
            }
        }
        assert!(counted.len() <= 10, "choices {seed}: {} sets", counted.len());
        assert!(counted.len() + unknown.len() >= 10, "choices {seed}: {} sets", counted.len());
        race.fails.store(false, Ordering::SeqCst);
        for n in 0..11 {
            let submitted = json!({"identifiers": {"policy_number": format!("LATER-{n}")}});
            let reply = race.api.token(&recipient, &passphrase, None, submitted).await;
            counted.extend((reply.status == 200).then_some(100 + n));
        }
        assert!(counted.len() <= 10, "choices {seed}: {} sets in the end", counted.len());
    }
}

#[test]
fn the_search_tells_what_cannot_have_been() {
    let event = |began, ended, action| Event { began, ended, action, is_unknown: false };
    let (a, b) = ("a".to_owned(), "b".to_owned());
    let generated = event(0, 1, SecretAction::Generate(a.clone()));
    let rotated = event(2, 5, SecretAction::Rotate(a.clone(), Rotated, Some(b.clone())));
    let revoked = event(3, 4, SecretAction::Revoke(a.clone(), true));
    let late = event(6, 7, SecretAction::Verify(a.clone(), true));
    let overlapping = event(3, 4, SecretAction::Verify(a.clone(), true));
    let is_possible = |events: &[Event<SecretAction>]| is_linearisable::<Secrets>(events);
    assert!(is_possible(&[generated.clone(), rotated.clone(), overlapping]));
    assert!(
        !is_possible(&[generated.clone(), rotated.clone(), late.clone()]),
        "a value verifies after its end"
    );
    assert!(!is_possible(&[generated.clone(), rotated.clone(), revoked]), "two steps both win");
    let unknown = Event { is_unknown: true, ..rotated };
    let gone = event(8, 9, SecretAction::Verify(a.clone(), false));
    assert!(is_possible(&[generated.clone(), unknown.clone(), late.clone()]));
    assert!(
        is_possible(&[generated.clone(), unknown.clone(), late.clone(), gone.clone()]),
        "it may come late"
    );
    assert!(!is_possible(&[generated.clone(), late.clone(), gone.clone()]), "nothing ended it");
    let in_grace = event(2, 5, SecretAction::Rotate(a, InGrace, Some(b)));
    assert!(is_possible(&[generated.clone(), in_grace.clone(), late]));
    assert!(!is_possible(&[generated, in_grace, gone]), "its grace is not over");

    let is_possible = |events: &[Event<NameAction>]| is_linearisable::<Name>(events);
    let event = |began, ended, action| Event { began, ended, action, is_unknown: false };
    let rename = |began, ended, name: &str| event(began, ended, NameAction::Rename(name.to_owned()));
    let read = |began, ended, name: &str| event(began, ended, NameAction::Read(name.to_owned()));
    let both = [rename(0, 9, "B"), rename(1, 2, "C")];
    assert!(is_possible(&[both.as_slice(), &[read(3, 4, "C"), read(5, 6, "B"), read(7, 8, "B")]].concat()));
    assert!(!is_possible(&[both.as_slice(), &[read(3, 4, "B"), read(5, 6, "C"), read(7, 8, "B")]].concat()));
}
