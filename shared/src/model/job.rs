//! Retrieval jobs: which artifacts a recipient gets, put together step by step.
//!
//! A job goes through what is available to its policies by [`Position`], oldest first, and up to the time at which it was
//! made. What of it is granted is its result. Where it ended the next one goes on: for each policy it knows up to where
//! everything was delivered.
//!
//! What belongs here: what a job is, and what a step makes of it and of the artifacts that the step read. What does not: which
//! artifacts a step reads ([`crate::store`]), and what a policy decides ([`super::access`]).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::artifact::{Artifact, Position, Status as ArtifactStatus};
use super::audit::{Action, Event, Fields};
use super::decision::{Metadata, Scope};
use super::identifiers::{Identifiers, is_same};
use super::owned::Owned;
use super::recipe::{Factor, Method};
use crate::values::clock::Timestamp;
use crate::values::id::{AccountId, ArtifactId, DockId, JobId, PolicyId, RecipientId};

/// The most artifacts that a job delivers.
pub const MAX_READY: u32 = 10_000;
/// The most artifacts that a job looks at.
pub const MAX_EXAMINED: u32 = 50_000;
/// The most artifacts that a step looks at, and so the most on a page.
pub const MAX_STEP: usize = 1_000;
/// The most artifacts that a request names.
pub const MAX_NAMED: usize = 1_000;
/// The most entries of metadata that a request filters by.
pub const MAX_FILTERS: usize = 10;
/// The most open jobs of a recipient.
pub const MAX_OPEN_OF_RECIPIENT: usize = 3;
/// The most open jobs of a dock.
pub const MAX_OPEN_OF_DOCK: usize = 20;
/// How many hours after its completion a job has results.
pub const RESULTS_HOURS: u8 = 24;
/// How many days after its results, or its end without any, a job is kept.
pub const KEPT_DAYS: u16 = 30;
/// How many minutes old its last step is when a sweep touches a job.
pub const STALLED_MINUTES: u16 = 5;
/// How often a job is touched before it fails.
const MAX_TOUCHES: u8 = 2;

/// Whose credential made a job, and so whose may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requester {
    /// The account's API key.
    Account,
    /// The recipient's access token.
    Recipient,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// These artifacts; if there are none, all that the policies grant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactId>,
    /// Those alone whose metadata has these entries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: Metadata,
}

impl Selection {
    fn has(&self, artifact: &Artifact) -> bool {
        let held = artifact.metadata.entries();
        self.metadata.iter().all(|(key, value)| held.get(key).is_some_and(|held| is_same(key, value, held)))
    }
}

/// What was proven and submitted when a job was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobProof {
    /// The factors.
    pub factors: Vec<Factor>,
    /// When.
    pub authenticated_at: Timestamp,
    /// The identifiers that were submitted.
    pub submitted: Identifiers,
}

/// A policy that granted when a job was made, and how far the job has come with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The policy.
    pub policy: PolicyId,
    /// What it grants.
    pub scope: Scope,
    /// Where the job begins: what lies before is not asked for, or was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin: Option<Position>,
    /// Whether it gives nothing more: it has given as much as it may, or did not grant the same at one of the steps.
    pub has_ended: bool,
    /// Up to where everything was delivered by then; `None` for where the job begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Position>,
    /// How many artifacts were delivered by it.
    pub count: u32,
}

/// Why a job failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RetrievalFailureCode))]
pub enum Failure {
    /// The policies that granted do so no longer.
    AccessWithdrawn,
    /// The recipient is gone.
    RecipientDeleted,
    /// It could not be finished in time.
    TimedOut,
}

impl Failure {
    /// What it means to who reads the job.
    pub fn message(self) -> &'static str {
        match self {
            Self::AccessWithdrawn => "The policies that granted access do so no longer",
            Self::RecipientDeleted => "The recipient was deleted",
            Self::TimedOut => "It could not be finished in time; create another job",
        }
    }
}

/// The name of a job's state in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RetrievalStatus))]
pub enum Status {
    /// It has not begun.
    Pending,
    /// It is being put together.
    Processing,
    /// Its results can be read.
    Completed,
    /// It has no results, and `failure` says why.
    Failed,
    /// It was canceled, and has no results.
    Canceled,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Processing, Self::Completed, Self::Failed, Self::Canceled];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Processing => "PROCESSING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
        }
    }

    /// Whether there is more to do.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Processing)
    }

    /// Reads a name.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or("must be PENDING, PROCESSING, COMPLETED, FAILED or CANCELED")
    }
}

/// A retrieval job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The dock.
    pub dock: DockId,
    /// The account of the dock.
    pub account: AccountId,
    /// Who gets the artifacts.
    pub recipient: RecipientId,
    /// Whose credential made it.
    pub requester: Requester,
    /// How they are retrieved.
    pub method: Method,
    /// What is asked for.
    pub selection: Selection,
    /// What was proven.
    pub proof: JobProof,
    /// The policies that granted, by their ids.
    pub grants: Vec<Grant>,
    /// Its state.
    pub status: Status,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Up to where it has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examined_to: Option<Position>,
    /// How many artifacts it has looked at.
    pub examined: u32,
    /// How many pages of results it has.
    pub pages: u16,
    /// How many artifacts are ready.
    pub ready: u32,
    /// How many of those that were named are not there, or not granted.
    pub errors: u32,
    /// Whether there is more than it delivers.
    pub has_more: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When its last step was.
    pub stepped_at: Timestamp,
    /// How often it was touched since.
    pub touches: u8,
    /// Counts its changes, from 0.
    pub version: u64,
}

impl Owned for Job {
    fn owner(&self) -> AccountId {
        self.account
    }
}

/// A page of results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultsPage {
    /// The artifacts that are ready, in their order.
    pub ready: Vec<ArtifactId>,
    /// Of those that were named, the ones that are not there or not granted.
    pub errors: Vec<ArtifactId>,
}

impl ResultsPage {
    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.errors.is_empty()
    }
}

/// What a step makes of a job.
#[derive(Clone, Debug)]
pub struct Step {
    /// The job after it.
    pub job: Job,
    /// What it adds to the results, if it adds something.
    pub page: Option<ResultsPage>,
}

/// What became of an artifact that a step read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Delivered,
    /// It is not granted, not asked for, or was delivered before.
    NotGranted,
    /// What grants it has given as much as it may.
    NoRoom,
    /// The job looks at no further one, and not at this.
    Full,
}

/// What a step has read.
pub enum Read {
    /// The artifacts behind where the job has come, in their order, each once, and whether these are all.
    Next(Vec<Artifact>, bool),
    /// Those that were named, in any order.
    Named(Vec<Artifact>),
}

impl Job {
    /// Whether it is there at `now`.
    pub fn exists(&self, now: Timestamp) -> bool {
        self.kept_until().is_none_or(|until| now < until)
    }

    /// Until when it is kept; `None` while it is open.
    pub fn kept_until(&self) -> Option<Timestamp> {
        let end = self.expires_at().or(self.ended_at)?;
        Some(end.plus_days(KEPT_DAYS))
    }

    /// Until when it has results; `None` if it has none.
    pub fn expires_at(&self) -> Option<Timestamp> {
        let ended_at = self.ended_at.filter(|_| self.status == Status::Completed)?;
        Some(ended_at.plus_hours(RESULTS_HOURS))
    }

    /// The last position that it looks at: what becomes available later is for the next job.
    pub fn until(&self) -> Position {
        Position { at: self.created_at, id: ArtifactId::MAX }
    }

    /// When it would have authenticated, were it made at `now`: sessions are those of the time at which it was made.
    pub fn authenticated_at(&self, now: Timestamp) -> Timestamp {
        now.minus(self.proof.authenticated_at, self.created_at)
    }

    /// From where on the next step reads; `None` from the first artifact.
    pub fn next_after(&self) -> Option<Position> {
        let begin = self.grants.iter().map(|grant| grant.begin).min().flatten();
        self.examined_to.max(begin)
    }

    /// Whether it looks at what a policy grants: to deliver it, or to see whether there is more.
    fn looks_at(&self, policy: PolicyId) -> bool {
        self.grants.iter().any(|grant| grant.policy == policy && (!grant.has_ended || !self.has_more))
    }

    /// It before a step at which its policies grant this. What does not grant the same as when the job was made ends here: what lies behind is
    /// for the next job.
    pub fn granted(mut self, granted: &BTreeMap<PolicyId, Scope>) -> Self {
        for grant in &mut self.grants {
            if !grant.has_ended && granted.get(&grant.policy) != Some(&grant.scope) {
                (grant.has_ended, grant.end, self.has_more) = (true, self.examined_to, true);
            }
        }
        self
    }

    /// Which of what its policies grant it still looks at, if they grant this now.
    pub fn scopes(&self, granted: impl Iterator<Item = (PolicyId, Scope)>) -> BTreeSet<Scope> {
        let scopes = granted
            .filter(|(policy, _)| self.looks_at(*policy))
            .filter_map(|(_, scope)| scope.with(&self.selection.metadata));
        // Who it is, and how that is known, does not say where it is.
        scopes.map(|scope| Scope { who: Metadata::new(), claimed: BTreeSet::new(), ..scope }).collect()
    }

    /// Up to where each policy has delivered everything, for the job that goes on: at most up to a minute before this one was
    /// made, since what was about to become available then may be behind. `None` unless it is completed and named no artifacts.
    pub fn reached(&self) -> Option<BTreeMap<PolicyId, Option<Position>>> {
        if self.status != Status::Completed || !self.selection.artifacts.is_empty() {
            return None;
        }
        let latest = Position { at: self.created_at.minus_minutes(1), id: ArtifactId::MIN };
        let reached = self.grants.iter().map(|grant| {
            let end = if grant.has_ended { grant.end } else { self.examined_to };
            let end = end.map(|end| end.min(latest));
            (grant.policy, end.max(grant.begin))
        });
        Some(reached.collect())
    }

    /// Whether a job that goes on where this one ended may have these grants: the policies are the same, and grant the same.
    pub fn may_go_on(&self, next: &Self) -> bool {
        let scopes = |job: &Self| -> Vec<(PolicyId, Scope)> {
            job.grants.iter().map(|grant| (grant.policy, grant.scope.clone())).collect()
        };
        self.method == next.method
            && self.selection.metadata == next.selection.metadata
            && scopes(self) == scopes(next)
    }

    /// What a step at `now` makes of it and of what was read. `granting` says which of its policies grant an artifact, and
    /// `most` how many artifacts each may give.
    pub fn stepped(
        mut self,
        read: Read,
        granting: impl Fn(&Artifact) -> Vec<PolicyId>,
        most: impl Fn(PolicyId) -> u32,
        now: Timestamp,
    ) -> Step {
        let mut page = ResultsPage::default();
        let is_last = match read {
            Read::Next(artifacts, is_last) => {
                let mut take =
                    |artifact: &Artifact| self.take(artifact, &granting(artifact), &most, &mut page);
                let is_full = artifacts.iter().any(|artifact| take(artifact) == Taken::Full);
                is_last || is_full
            }
            Read::Named(artifacts) => {
                let artifacts: BTreeMap<ArtifactId, Artifact> =
                    artifacts.into_iter().map(|artifact| (artifact.id, artifact)).collect();
                for id in self.selection.artifacts.clone() {
                    let found = artifacts.get(&id).filter(|artifact| {
                        artifact.status() == ArtifactStatus::Available && artifact.dock == self.dock
                    });
                    let taken =
                        found.map(|artifact| self.take(artifact, &granting(artifact), &most, &mut page));
                    if matches!(taken, None | Some(Taken::NotGranted)) {
                        page.errors.push(id);
                        self.errors += 1;
                    }
                }
                true
            }
        };
        self.status = if is_last { Status::Completed } else { Status::Processing };
        self.ended_at = is_last.then_some(now);
        self.stepped_at = now;
        self.touches = 0;
        self.version += 1;
        let page = Some(page).filter(|page| !page.is_empty());
        self.pages += u16::from(page.is_some());
        Step { job: self, page }
    }

    /// Delivers an artifact, if one of the policies that grant it may give one more, and it was not delivered before.
    fn take(
        &mut self,
        artifact: &Artifact,
        granting: &[PolicyId],
        most: impl Fn(PolicyId) -> u32,
        page: &mut ResultsPage,
    ) -> Taken {
        if self.examined == MAX_EXAMINED {
            self.has_more = true;
            return Taken::Full;
        }
        let (position, before) = (artifact.position(), self.examined_to);
        let is_asked_for = self.selection.has(artifact);
        let mut granting: Vec<&mut Grant> =
            self.grants.iter_mut().filter(|grant| granting.contains(&grant.policy)).collect();
        let was_delivered = granting.iter().any(|grant| grant.begin.is_some_and(|begin| position <= begin));
        let mut taken = Taken::NotGranted;
        if is_asked_for && !was_delivered && !granting.is_empty() {
            for grant in &mut granting {
                if !grant.has_ended && grant.count >= most(grant.policy) {
                    (grant.has_ended, grant.end) = (true, before);
                }
            }
            match granting.into_iter().find(|grant| !grant.has_ended) {
                Some(_) if self.ready == MAX_READY => {
                    self.has_more = true;
                    return Taken::Full;
                }
                Some(grant) => {
                    grant.count += 1;
                    self.ready += 1;
                    page.ready.push(artifact.id);
                    taken = Taken::Delivered;
                }
                None => {
                    self.has_more = true;
                    if self.grants.iter().all(|grant| grant.has_ended) {
                        return Taken::Full;
                    }
                    taken = Taken::NoRoom;
                }
            }
        }
        self.examined += 1;
        self.examined_to = Some(position);
        taken
    }

    /// It, failed at `now`.
    pub fn failed(self, failure: Failure, now: Timestamp) -> Self {
        let version = self.version + 1;
        Self { status: Status::Failed, failure: Some(failure), ended_at: Some(now), version, ..self }
    }

    /// It, canceled at `now`.
    pub fn canceled(self, now: Timestamp) -> Self {
        let version = self.version + 1;
        Self { status: Status::Canceled, ended_at: Some(now), version, ..self }
    }

    /// It as a sweep at `now` leaves it: touched, if its last step is long ago, which has it go on; failed, if that did not help.
    /// `None` if there is nothing to do. However often sweeps come, it has [`STALLED_MINUTES`] after each touch.
    pub fn swept(&self, now: Timestamp) -> Option<Self> {
        let patience = STALLED_MINUTES * (u16::from(self.touches) + 1);
        let is_stalled = self.status.is_open() && self.stepped_at.plus_minutes(patience) <= now;
        let swept = match self.touches < MAX_TOUCHES {
            true => Self { touches: self.touches + 1, version: self.version + 1, ..self.clone() },
            false => self.clone().failed(Failure::TimedOut, now),
        };
        is_stalled.then_some(swept)
    }

    /// That it was created.
    pub fn created(&self) -> Event {
        self.event(Action::Create).changing(Fields::default(), self.fields())
    }

    /// That it ended.
    pub fn updated(&self, before: &Self) -> Event {
        self.event(Action::Update).changing(before.fields(), self.fields())
    }

    /// That a page of its results was read, with so many links.
    pub fn retrieved(&self, links: usize) -> Event {
        self.event(Action::Retrieve).with("links", links)
    }

    fn event(&self, action: Action) -> Event {
        Event::new(action, self.id).in_dock(self.dock).with("recipientId", self.recipient.to_string())
    }

    fn fields(&self) -> Fields {
        Fields::default().shown("status", Some(self.status.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::artifact::{Content, Filename, MediaType, Metadata as ArtifactMetadata, State};
    use crate::values::content_hash::ContentHash;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn start() -> Timestamp {
        Timestamp::parse("2025-01-15T10:32:00Z").unwrap()
    }

    fn rng(seed: usize) -> StdRng {
        StdRng::seed_from_u64(seed.try_into().unwrap())
    }

    fn policy(n: usize) -> PolicyId {
        PolicyId::generate(start(), &mut rng(n))
    }

    /// An artifact that became available so many minutes after the start.
    fn artifact(n: usize, minutes: u16) -> Artifact {
        let since = start().plus_minutes(minutes);
        let content = Content {
            media_type: MediaType::default(),
            size: n.try_into().unwrap(),
            hash: ContentHash::of(b"x"),
        };
        Artifact {
            id: ArtifactId::generate(start(), &mut rng(n)),
            dock: DockId::generate(start(), &mut rng(0)),
            account: AccountId::generate(start(), &mut rng(0)),
            filename: Filename::parse("a.pdf").unwrap(),
            metadata: ArtifactMetadata::default(),
            state: State::Available { content, since },
            created_at: since,
            updated_at: None,
            version: 0,
        }
    }

    /// A job of these policies, made at this minute.
    fn job(policies: usize, minutes: u16) -> Job {
        let at = start().plus_minutes(minutes);
        let scope =
            Scope { types: None, entries: Metadata::new(), who: Metadata::new(), claimed: BTreeSet::new() };
        let grant = |n| Grant {
            policy: policy(n),
            scope: scope.clone(),
            begin: None,
            has_ended: false,
            end: None,
            count: 0,
        };
        Job {
            id: JobId::generate(at, &mut rng(0)),
            dock: DockId::generate(start(), &mut rng(0)),
            account: AccountId::generate(start(), &mut rng(0)),
            recipient: RecipientId::generate(start(), &mut rng(0)),
            requester: Requester::Account,
            method: Method::BulkApi,
            selection: Selection::default(),
            proof: JobProof { factors: Vec::new(), authenticated_at: at, submitted: Identifiers::default() },
            grants: (0..policies).map(grant).collect(),
            status: Status::Pending,
            failure: None,
            examined_to: None,
            examined: 0,
            pages: 0,
            ready: 0,
            errors: 0,
            has_more: false,
            created_at: at,
            ended_at: None,
            stepped_at: at,
            touches: 0,
            version: 0,
        }
    }

    /// Artifacts, of which each is granted by some policies, and how many each of these may give in a job.
    #[derive(Clone, Debug)]
    struct World {
        /// By when they became available; of each the minute, and for each policy whether it grants it.
        artifacts: Vec<(u16, Vec<bool>)>,
        most: Vec<u32>,
    }

    fn world() -> impl Strategy<Value = World> {
        (1usize..4).prop_flat_map(|policies| {
            let artifact = (0u16..50, prop::collection::vec(any::<bool>(), policies));
            let artifacts = prop::collection::vec(artifact, 0..40);
            (artifacts, prop::collection::vec(1u32..8, policies)).prop_map(|(mut artifacts, most)| {
                artifacts.sort_by_key(|(minute, _)| *minute);
                World { artifacts, most }
            })
        })
    }

    impl World {
        fn all(&self) -> Vec<Artifact> {
            let artifacts = self.artifacts.iter().enumerate();
            let mut all: Vec<Artifact> = artifacts.map(|(n, (minute, _))| artifact(n + 1, *minute)).collect();
            all.sort_by_key(Artifact::position);
            all
        }

        fn granting(&self, artifact: &Artifact) -> Vec<PolicyId> {
            // Its size says which it is.
            let at = usize::try_from(artifact.content().unwrap().size).unwrap() - 1;
            let granted = &self.artifacts[at].1;
            (0..granted.len()).filter(|n| granted[*n]).map(policy).collect()
        }

        fn most(&self, id: PolicyId) -> u32 {
            self.most[(0..self.most.len()).find(|n| policy(*n) == id).unwrap()]
        }

        /// What a job delivers, in steps that read so many artifacts; and the job.
        fn run(&self, mut job: Job, reads: usize) -> (Vec<ArtifactId>, Job) {
            let mut delivered = Vec::new();
            for _ in 0..200 {
                let after = job.next_after();
                let is_next = |artifact: &Artifact| {
                    self.granting(artifact).iter().any(|policy| job.looks_at(*policy))
                        && after.is_none_or(|after| artifact.position() > after)
                        && artifact.position() <= job.until()
                };
                let mut next: Vec<Artifact> = self.all().into_iter().filter(is_next).collect();
                let is_last = next.len() <= reads;
                next.truncate(reads);
                let step = job.stepped(
                    Read::Next(next, is_last),
                    |artifact| self.granting(artifact),
                    |policy| self.most(policy),
                    start().plus_days(1),
                );
                job = step.job;
                delivered.extend(step.page.unwrap_or_default().ready);
                if !job.status.is_open() {
                    return (delivered, job);
                }
            }
            panic!("it does not end");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn jobs_that_go_on_deliver_all_that_is_granted_and_each_once(world in world(), reads in 1usize..9) {
            let policies = world.most.len();
            let mut delivered: Vec<ArtifactId> = Vec::new();
            let mut next = job(policies, 100);
            for round in 0..60u16 {
                let (ids, ended) = world.run(next, reads);
                for n in 0..policies {
                    let by = ended.grants[n].count;
                    prop_assert!(by <= world.most[n], "policy {n} gave {by}");
                }
                delivered.extend(&ids);
                let is_more = ended.has_more;
                next = job(policies, 101 + round);
                prop_assert!(ended.may_go_on(&next));
                let reached = ended.reached().unwrap();
                for grant in &mut next.grants {
                    grant.begin = reached[&grant.policy];
                }
                if !is_more {
                    break;
                }
                prop_assert!(!ids.is_empty(), "it gets on");
            }
            let (again, ended) = world.run(next, reads);
            prop_assert!(again.is_empty() && !ended.has_more, "nothing comes twice");
            let all = world.all();
            let granted = all.iter().filter(|artifact| !world.granting(artifact).is_empty());
            let mut granted: Vec<ArtifactId> = granted.map(|artifact| artifact.id).collect();
            granted.sort();
            delivered.sort();
            prop_assert_eq!(delivered, granted);
        }
    }

    #[test]
    fn what_becomes_available_in_the_last_minute_comes_again_and_later_is_for_the_next_job() {
        let world =
            World { artifacts: [9, 10, 11].map(|minute| (minute, vec![true])).to_vec(), most: vec![9] };
        let (first, ended) = world.run(job(1, 10), 5);
        assert_eq!(first.len(), 2, "what is available when it is made");
        let reached = ended.reached().unwrap()[&policy(0)];
        assert!(reached < Some(artifact(1, 9).position()), "up to a minute before it was made: {reached:?}");
        let mut next = job(1, 20);
        next.grants[0].begin = reached;
        assert_eq!(world.run(next, 5).0.len(), 3);
    }

    #[test]
    fn of_named_artifacts_those_that_are_not_granted_or_not_there_are_errors() {
        let world =
            World { artifacts: [(1, vec![true]), (2, vec![false]), (3, vec![true])].to_vec(), most: vec![1] };
        let mut named = job(1, 10);
        let missing = ArtifactId::generate(start(), &mut rng(99));
        let ids: Vec<ArtifactId> = (1..4).map(|n| artifact(n, 0).id).collect();
        named.selection.artifacts = vec![missing, ids[1], ids[0], ids[2]];
        let read = Read::Named(world.all());
        let step = named.stepped(read, |it| world.granting(it), |policy| world.most(policy), start());
        let page = step.page.unwrap();
        assert_eq!((page.errors, page.ready), (vec![missing, ids[1]], vec![ids[0]]));
        assert!(step.job.has_more, "its policy gives one at a time");
        assert_eq!((step.job.ready, step.job.errors, step.job.reached()), (1, 2, None));
    }

    #[test]
    fn of_named_artifacts_one_beyond_what_its_policy_may_give_is_no_error() {
        let artifacts = [(1, vec![true, false]), (2, vec![true, false]), (3, vec![false, true])].to_vec();
        let world = World { artifacts, most: vec![1, 9] };
        let mut named = job(2, 10);
        named.selection.artifacts = (1..4).map(|n| artifact(n, 0).id).collect();
        let ids = named.selection.artifacts.clone();
        let read = Read::Named(world.all());
        let step = named.stepped(read, |it| world.granting(it), |policy| world.most(policy), start());
        let page = step.page.unwrap();
        assert_eq!((page.ready, page.errors), (vec![ids[0], ids[2]], vec![]));
        assert!(step.job.has_more);
    }

    #[test]
    fn what_a_policy_did_not_grant_at_a_step_is_for_the_next_job() {
        let artifacts = (1..5).map(|n| (n, vec![n % 2 == 0, n % 2 == 1])).collect();
        let world = World { artifacts, most: vec![9, 9] };
        let first = job(2, 10);
        let scope = first.grants[0].scope.clone();
        // The second policy is out of force at the only step.
        let (delivered, ended) = world.run(first.granted(&BTreeMap::from([(policy(0), scope)])), 9);
        assert_eq!(delivered, [artifact(2, 0).id, artifact(4, 0).id]);
        assert!(ended.has_more);
        let mut next = job(2, 11);
        let reached = ended.reached().unwrap();
        for grant in &mut next.grants {
            grant.begin = reached[&grant.policy];
        }
        assert_eq!(world.run(next, 9).0, [artifact(1, 0).id, artifact(3, 0).id]);
    }

    #[test]
    fn a_stalled_job_is_touched_twice_and_then_fails() {
        let mut stalled = job(1, 0);
        assert_eq!(stalled.swept(start().plus_minutes(4)), None);
        for touches in 1..=2 {
            stalled = stalled.swept(start().plus_minutes(5 * touches)).unwrap();
            assert!(stalled.status.is_open() && u16::from(stalled.touches) == touches);
            assert_eq!(stalled.swept(start().plus_minutes(5 * touches + 4)), None, "sweeps that come often");
            assert_eq!(stalled.stepped_at, start());
        }
        let failed = stalled.swept(start().plus_minutes(15)).unwrap();
        assert_eq!((failed.status, failed.failure), (Status::Failed, Some(Failure::TimedOut)));
        assert_eq!(failed.swept(start().plus_days(1)), None);
    }
}
