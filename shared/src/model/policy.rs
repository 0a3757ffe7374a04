//! Policies: named recipes of a dock, their versions, and which version is in force for whom.
//!
//! What belongs here: the life of a policy. What does not: what a recipe may say ([`super::recipe`]) and what it decides
//! ([`super::decision`]).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::audit::{Action, Event, Fields};
use super::owned::Owned;
use super::recipe::Recipe;
use super::recipient::StakeholderClass;
use crate::values::clock::Timestamp;
use crate::values::field_error::ValueErrors;
use crate::values::fields::{different, object};
use crate::values::id::{AccountId, DockId, GroupId, PolicyId, RecipientId};
use crate::values::json::Json;
use crate::values::text::{LongText, Text};

/// The most policies of a dock.
pub const MAX_POLICIES: u64 = 100;
/// The most policies in force for one class of a dock's recipients, scheduled ones counted.
pub const MAX_IN_FORCE: u64 = 10;
/// The most versions of a policy.
pub const MAX_VERSIONS: u16 = 1000;
/// The most groups of an audience.
pub const MAX_GROUPS: usize = 20;
/// The most recipients of a pilot.
pub const MAX_PILOTS: usize = 100;
/// How far ahead a version can be scheduled, in days: five years, of which one or two are leap years.
pub const MAX_DAYS_AHEAD: u16 = 5 * 365 + 2;

/// A policy of a dock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// The dock whose documents it is about.
    pub dock: DockId,
    /// The account that the dock belongs to.
    pub account: AccountId,
    /// Its display name.
    pub name: Text,
    /// The recipients that it is for, of those of its class.
    pub audience: Audience,
    /// The newest version of its recipe, which is edited.
    pub current: Revision,
    /// What is in force.
    pub stages: Stages,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed; `None` if it never was.
    pub updated_at: Option<Timestamp>,
    /// Counts its changes, from 0. Not the number of its recipe's version.
    pub version: u64,
}

impl Owned for Policy {
    fn owner(&self) -> AccountId {
        self.account
    }
}

/// A recipe and the number of its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// The version, from 1.
    pub number: u16,
    /// The recipe.
    pub recipe: Recipe,
}

/// A version of a policy's recipe. It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number and the recipe.
    pub revision: Revision,
    /// What is new in it.
    pub changelog: Option<LongText>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Which recipients of its class a policy is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Audience {
    /// All.
    Everyone,
    /// The members of these groups; nobody, if there are none.
    Groups(BTreeSet<GroupId>),
}

impl Audience {
    /// Reads `{"everyone": true}`, or `{"groupIds": […]}` with at most [`MAX_GROUPS`].
    ///
    /// # Errors
    /// What it must be, by path.
    pub fn parse(json: Json) -> Result<Self, ValueErrors> {
        object(|fields| {
            let everyone = fields.optional("everyone", |json| match json {
                Json::Bool(true) => Ok(()),
                _ => Err("must be true; for some recipients alone give groupIds"),
            });
            let groups = fields.optional("groupIds", |json| {
                let id = |text: &str| GroupId::parse(text).ok_or("must be the id of a group, such as grp_…");
                different(json, 0, MAX_GROUPS, id)
            });
            Ok((everyone?, groups?))
        })(json)
        .and_then(|read| match read {
            (Some(()), None) => Ok(Self::Everyone),
            (None, Some(groups)) => Ok(Self::Groups(groups.into_iter().collect())),
            _ => Err("must have either everyone or groupIds".into()),
        })
    }

    /// The groups; none for everyone.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        let groups = match self {
            Self::Everyone => None,
            Self::Groups(groups) => Some(groups),
        };
        groups.into_iter().flatten().copied()
    }

    /// Whether it includes a member of these groups.
    pub fn includes(&self, groups: &BTreeSet<GroupId>) -> bool {
        match self {
            Self::Everyone => true,
            Self::Groups(own) => !own.is_disjoint(groups),
        }
    }

    /// It and this group. Everyone becomes that one group.
    fn with(&self, group: GroupId) -> Self {
        Self::Groups(self.groups().chain([group]).collect())
    }

    /// It without this group. It never becomes everyone.
    pub(crate) fn without(&self, group: GroupId) -> Self {
        match self {
            Self::Everyone => Self::Everyone,
            Self::Groups(groups) => Self::Groups(groups.iter().copied().filter(|it| *it != group).collect()),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Everyone => "everyone".to_owned(),
            Self::Groups(groups) => groups.iter().map(GroupId::to_string).collect::<Vec<_>>().join(" "),
        }
    }
}

/// Which versions of a policy are in force, or will be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stages {
    /// The version for all that the policy covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<Production>,
    /// The version that some of them get instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pilot: Option<Pilot>,
    /// The version that will be in production, and end the pilot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Scheduled>,
}

/// The version in production.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Production {
    /// The version.
    pub revision: Revision,
    /// Since when.
    pub since: Timestamp,
}

/// A version that is tried with some recipients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pilot {
    /// The version.
    pub revision: Revision,
    /// Since when.
    pub since: Timestamp,
    /// For whom.
    pub recipients: BTreeSet<RecipientId>,
}

/// A version that takes over by the clock alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduled {
    /// The version.
    pub revision: Revision,
    /// From when on it is in production.
    pub from: Timestamp,
}

impl Stages {
    /// They as they are at `now`: a scheduled version whose time has come is in production.
    pub fn at(&self, now: Timestamp) -> Self {
        match &self.scheduled {
            Some(scheduled) if scheduled.from <= now => {
                let production = Production { revision: scheduled.revision.clone(), since: scheduled.from };
                Self { production: Some(production), pilot: None, scheduled: None }
            }
            _ => self.clone(),
        }
    }

    /// Whether nothing is in force, or will be.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How far a policy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicyStatus))]
pub enum Status {
    /// Nothing of it is in force.
    Draft,
    /// It is in force for some recipients.
    Pilot,
    /// It is in force for all that it covers.
    Production,
}

/// A policy as far as it decides: what is in force, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnforcedPolicy {
    /// Its id.
    pub id: PolicyId,
    /// Its display name.
    pub name: Text,
    /// The recipients that it is for.
    pub audience: Audience,
    /// What is in force.
    pub stages: Stages,
}

impl EnforcedPolicy {
    /// It with the stages of `now`.
    pub fn at(self, now: Timestamp) -> Self {
        Self { stages: self.stages.at(now), ..self }
    }

    /// The version that counts for a recipient, and whether that is in force for it: a pilot that names it, else production,
    /// else a pilot for others. `None` if nothing is in force. The stages must be those of now ([`Stages::at`]).
    pub fn revision_for(&self, recipient: RecipientId) -> Option<(&Revision, bool)> {
        let Stages { production, pilot, .. } = &self.stages;
        match (pilot, production) {
            (Some(pilot), _) if pilot.recipients.contains(&recipient) => Some((&pilot.revision, true)),
            (_, Some(production)) => Some((&production.revision, true)),
            (Some(pilot), None) => Some((&pilot.revision, false)),
            (None, None) => None,
        }
    }
}

/// What a request makes of a policy.
#[derive(Clone, Debug)]
pub struct Change {
    /// The policy after it.
    pub policy: Policy,
    /// The version that it adds.
    pub version: Option<Version>,
}

/// Why a policy stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The recipe is for another class than the policy's.
    OtherClass,
    /// It has [`MAX_VERSIONS`] versions.
    TooManyVersions,
    /// Its audience has [`MAX_GROUPS`] groups.
    TooManyGroups,
    /// It would show every document of its types, and does not say that this is meant.
    Unscoped,
    /// A version of it is in force or scheduled.
    InForce,
}

/// Where a version is published to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// Nowhere: the policy is taken out of force.
    Sandbox,
    /// To these recipients.
    Pilot(BTreeSet<RecipientId>),
    /// To all that the policy covers; from that time on, or at once.
    Production(Option<Timestamp>),
}

/// What a request changes of a policy.
#[derive(Clone, Debug, Default)]
pub struct PolicyChanges {
    /// Its new name.
    pub name: Option<Text>,
    /// Its new audience.
    pub audience: Option<Audience>,
    /// Its new recipe.
    pub recipe: Option<Recipe>,
    /// What is new in that.
    pub changelog: Option<LongText>,
}

impl PolicyChanges {
    /// The policy after the changes, made at `now`; the same policy if they change nothing. A recipe that differs is a new
    /// version. What is in force stays so.
    ///
    /// # Errors
    /// [`Refused::OtherClass`] or [`Refused::TooManyVersions`].
    pub fn apply(self, policy: Policy, now: Timestamp) -> Result<Change, Refused> {
        let mut changed = Policy {
            name: self.name.unwrap_or_else(|| policy.name.clone()),
            audience: self.audience.unwrap_or_else(|| policy.audience.clone()),
            ..policy.clone()
        };
        let mut version = None;
        if let Some(recipe) = self.recipe.filter(|recipe| *recipe != policy.current.recipe) {
            if recipe.class() != policy.class() {
                return Err(Refused::OtherClass);
            }
            let added = changed.next_version(recipe, self.changelog, now)?;
            changed.current = added.revision.clone();
            version = Some(added);
        }
        let policy = if changed == policy { policy } else { changed.changed_at(now) };
        Ok(Change { policy, version })
    }
}

impl Policy {
    /// The class of the recipients that it is for. It never changes.
    pub fn class(&self) -> StakeholderClass {
        self.current.recipe.class()
    }

    /// How far it has come, at `now`.
    pub fn status(&self, now: Timestamp) -> Status {
        let stages = self.stages.at(now);
        match (stages.production, stages.pilot) {
            (Some(_), _) => Status::Production,
            (None, Some(_)) => Status::Pilot,
            (None, None) => Status::Draft,
        }
    }

    /// What of it decides; `None` if nothing is in force or will be.
    pub fn enforced(&self) -> Option<EnforcedPolicy> {
        (!self.stages.is_empty()).then(|| EnforcedPolicy {
            id: self.id,
            name: self.name.clone(),
            audience: self.audience.clone(),
            stages: self.stages.clone(),
        })
    }

    /// Its first version.
    pub fn first_version(&self) -> Version {
        Version { revision: self.current.clone(), changelog: None, created_at: self.created_at }
    }

    fn next_version(
        &self,
        recipe: Recipe,
        changelog: Option<LongText>,
        now: Timestamp,
    ) -> Result<Version, Refused> {
        if self.current.number >= MAX_VERSIONS {
            return Err(Refused::TooManyVersions);
        }
        Ok(Version {
            revision: Revision { number: self.current.number + 1, recipe },
            changelog,
            created_at: now,
        })
    }

    /// It, changed at `now`. A clock that went back does not take the time of the last change back.
    fn changed_at(self, now: Timestamp) -> Self {
        let last = self.updated_at.unwrap_or(self.created_at);
        Self { updated_at: Some(now.max(last)), version: self.version + 1, ..self }
    }

    /// It with its recipe as the next version.
    ///
    /// # Errors
    /// [`Refused::TooManyVersions`].
    pub fn snapshot(self, changelog: Option<LongText>, now: Timestamp) -> Result<Change, Refused> {
        let version = self.next_version(self.current.recipe.clone(), changelog, now)?;
        let policy = Self { current: version.revision.clone(), ..self }.changed_at(now);
        Ok(Change { policy, version: Some(version) })
    }

    /// It with this version published, from what is in force at `now`. An earlier schedule is gone.
    ///
    /// # Errors
    /// [`Refused::Unscoped`].
    pub fn publish(self, release: Release, revision: Revision, now: Timestamp) -> Result<Change, Refused> {
        if release != Release::Sandbox && revision.recipe.is_unscoped_by_mistake() {
            return Err(Refused::Unscoped);
        }
        let in_force = Stages { scheduled: None, ..self.stages.at(now) };
        let stages = match release {
            Release::Sandbox => Stages::default(),
            Release::Pilot(recipients) => {
                Stages { pilot: Some(Pilot { revision, since: now, recipients }), ..in_force }
            }
            Release::Production(None) => {
                Stages { production: Some(Production { revision, since: now }), ..Stages::default() }
            }
            Release::Production(Some(from)) => {
                Stages { scheduled: Some(Scheduled { revision, from }), ..in_force }
            }
        };
        Ok(Change { policy: Self { stages, ..self }.changed_at(now), version: None })
    }

    /// It with the recipe of an earlier version as a new one, which takes the place of the one in production. An earlier
    /// schedule is gone.
    ///
    /// # Errors
    /// [`Refused::TooManyVersions`], or [`Refused::Unscoped`] where it is in production.
    pub fn rollback(self, to: &Revision, now: Timestamp) -> Result<Change, Refused> {
        let changelog = LongText::parse(&format!("Rollback to version {}", to.number)).ok();
        let version = self.next_version(to.recipe.clone(), changelog, now)?;
        let mut stages = Stages { scheduled: None, ..self.stages.at(now) };
        if stages.production.is_some() {
            if to.recipe.is_unscoped_by_mistake() {
                return Err(Refused::Unscoped);
            }
            stages.production = Some(Production { revision: version.revision.clone(), since: now });
        }
        let policy = Self { current: version.revision.clone(), stages, ..self }.changed_at(now);
        Ok(Change { policy, version: Some(version) })
    }

    /// It for this group too; the same policy if it is already.
    ///
    /// # Errors
    /// [`Refused::TooManyGroups`].
    pub fn assign(self, group: GroupId, now: Timestamp) -> Result<Change, Refused> {
        let audience = self.audience.with(group);
        if audience.groups().count() > MAX_GROUPS {
            return Err(Refused::TooManyGroups);
        }
        Ok(self.for_audience(audience, now))
    }

    /// It without this group; the same policy if it is not for it. It is never for everyone then.
    pub fn unassign(self, group: GroupId, now: Timestamp) -> Change {
        let audience = self.audience.without(group);
        self.for_audience(audience, now)
    }

    fn for_audience(self, audience: Audience, now: Timestamp) -> Change {
        let policy = if audience == self.audience { self } else { Self { audience, ..self }.changed_at(now) };
        Change { policy, version: None }
    }

    /// Whether it may be deleted.
    ///
    /// # Errors
    /// [`Refused::InForce`].
    pub fn check_deletion(&self) -> Result<(), Refused> {
        if self.stages.is_empty() { Ok(()) } else { Err(Refused::InForce) }
    }

    /// That it was created.
    pub fn created(&self) -> Event {
        self.event(Action::Create).changing(Fields::default(), self.fields())
    }

    /// That it was updated.
    pub fn updated(&self, before: &Self) -> Event {
        self.event(Action::Update).changing(before.fields(), self.fields())
    }

    /// That this version of it was published.
    pub fn published(&self, release: &Release, version: u16) -> Event {
        let event = self.event(Action::Publish);
        match release {
            Release::Sandbox => event.with("stage", "sandbox"),
            Release::Pilot(recipients) => {
                let recipients: Vec<String> = recipients.iter().map(RecipientId::to_string).collect();
                event.with("stage", "pilot").with("version", version).with("recipientIds", recipients)
            }
            Release::Production(from) => {
                let event = event.with("stage", "production").with("version", version);
                match from {
                    Some(from) => event.with("scheduledEnforceDate", from.to_string()),
                    None => event,
                }
            }
        }
    }

    /// That it was rolled back to this version, as a new one, and whether that is in production.
    pub fn rolled_back(&self, before: &Self, to: u16) -> Event {
        let event = self.event(Action::Rollback).changing(before.fields(), self.fields());
        event.with("rolledBackTo", to).with("inProduction", self.stages.production.is_some())
    }

    /// That it was assigned to a group.
    pub fn assigned(&self, before: &Self, group: GroupId) -> Event {
        self.event(Action::Assign)
            .changing(before.fields(), self.fields())
            .with("groupId", group.to_string())
            .also_of(group)
    }

    /// That it was unassigned from a group.
    pub fn unassigned(&self, before: &Self, group: GroupId) -> Event {
        self.event(Action::Unassign)
            .changing(before.fields(), self.fields())
            .with("groupId", group.to_string())
            .also_of(group)
    }

    /// That the policy of this id lost a group of its audience, which was deleted.
    pub(crate) fn group_deleted(
        id: PolicyId,
        dock: DockId,
        before: &Audience,
        after: &Audience,
        group: GroupId,
    ) -> Event {
        let fields = |audience: &Audience| Fields::default().shown("audience", Some(&audience.shown()));
        let event = Event::new(Action::Unassign, id).in_dock(dock);
        event.changing(fields(before), fields(after)).with("groupId", group.to_string()).also_of(group)
    }

    /// That it was deleted.
    pub fn deleted(&self) -> Event {
        self.event(Action::Delete)
    }

    fn event(&self, action: Action) -> Event {
        Event::new(action, self.id).in_dock(self.dock)
    }

    fn fields(&self) -> Fields {
        Fields::default()
            .shown("name", Some(self.name.as_str()))
            .shown("audience", Some(&self.audience.shown()))
            .shown("currentVersion", Some(&self.current.number.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::random;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn day(day: u8) -> Timestamp {
        time(&format!("2025-01-{day:02}T00:00:00Z"))
    }

    fn recipe(artifact_type: &str, class: &str) -> Recipe {
        let json = serde_json::json!({
            "stakeholderClass": class, "artifactTypes": [artifact_type],
            "auth": {"factors": ["shared_passphrase"]}, "access": {"method": "bulk_api"},
            "match": {"identifiers": ["lender_id"]},
        });
        Recipe::parse(serde_json::from_value(json).unwrap()).unwrap()
    }

    fn policy() -> Policy {
        let rng = &mut random::system();
        Policy {
            id: PolicyId::generate(day(1), rng),
            dock: DockId::generate(day(1), rng),
            account: AccountId::generate(day(1), rng),
            name: Text::parse("P").unwrap(),
            audience: Audience::Everyone,
            current: Revision { number: 1, recipe: recipe("one", "mortgagee") },
            stages: Stages::default(),
            created_at: day(1),
            updated_at: None,
            version: 0,
        }
    }

    fn revision(number: u16, artifact_type: &str) -> Revision {
        Revision { number, recipe: recipe(artifact_type, "mortgagee") }
    }

    fn published(policy: Policy, release: Release, number: u16, now: Timestamp) -> Policy {
        policy.publish(release, revision(number, "one"), now).unwrap().policy
    }

    /// The numbers of the versions in production, in a pilot and scheduled.
    fn numbers(stages: &Stages) -> [Option<u16>; 3] {
        [
            stages.production.as_ref().map(|it| it.revision.number),
            stages.pilot.as_ref().map(|it| it.revision.number),
            stages.scheduled.as_ref().map(|it| it.revision.number),
        ]
    }

    fn pilots() -> Release {
        Release::Pilot(BTreeSet::from([RecipientId::generate(day(1), &mut random::system())]))
    }

    #[test]
    fn a_recipe_that_differs_is_a_new_version_and_an_equal_one_none() {
        let change = |recipe| PolicyChanges { recipe: Some(recipe), ..PolicyChanges::default() };
        let Change { policy, version } = change(recipe("two", "mortgagee"))
            .apply(published(policy(), Release::Production(None), 1, day(2)), day(3))
            .unwrap();
        assert_eq!((policy.current.number, policy.version), (2, 2));
        assert_eq!(version.unwrap().revision, policy.current);
        assert_eq!(numbers(&policy.stages), [Some(1), None, None], "what is in force stays so");
        let same = change(recipe("two", "mortgagee")).apply(policy.clone(), day(4)).unwrap();
        assert_eq!((same.policy, same.version), (policy.clone(), None));
        let other = change(recipe("two", "agent")).apply(policy, day(4));
        assert_eq!(other.err(), Some(Refused::OtherClass));
    }

    #[test]
    fn the_thousandth_version_is_the_last() {
        let full = || Policy { current: revision(MAX_VERSIONS, "one"), ..policy() };
        let change = PolicyChanges { recipe: Some(recipe("two", "mortgagee")), ..PolicyChanges::default() };
        let refused = [
            change.apply(full(), day(2)).err(),
            full().snapshot(None, day(2)).err(),
            full().rollback(&revision(1, "one"), day(2)).err(),
        ];
        assert_eq!(refused, [Some(Refused::TooManyVersions); 3]);
        let one_less = Policy { current: revision(MAX_VERSIONS - 1, "one"), ..policy() };
        assert!(one_less.snapshot(None, day(2)).is_ok());
    }

    #[test]
    fn production_ends_a_pilot_and_sandbox_ends_everything() {
        let piloted =
            published(published(policy(), Release::Production(None), 1, day(2)), pilots(), 2, day(3));
        assert_eq!(numbers(&piloted.stages), [Some(1), Some(2), None]);
        let production = published(piloted.clone(), Release::Production(None), 3, day(4));
        assert_eq!(numbers(&production.stages), [Some(3), None, None]);
        let sandbox = published(piloted, Release::Sandbox, 1, day(4));
        assert!(
            sandbox.stages.is_empty() && sandbox.enforced().is_none() && sandbox.check_deletion().is_ok()
        );
        assert_eq!(production.check_deletion(), Err(Refused::InForce));
    }

    #[test]
    fn a_schedule_takes_over_at_its_instant_and_ends_the_pilot_then() {
        let piloted =
            published(published(policy(), Release::Production(None), 1, day(2)), pilots(), 2, day(3));
        let scheduled = published(piloted, Release::Production(Some(day(10))), 3, day(4));
        let just_before = time("2025-01-09T23:59:59.999Z");
        assert_eq!(numbers(&scheduled.stages.at(just_before)), [Some(1), Some(2), Some(3)]);
        let after = scheduled.stages.at(day(10));
        assert_eq!(numbers(&after), [Some(3), None, None]);
        assert_eq!(after.production.unwrap().since, day(10));
        assert_eq!(
            (scheduled.status(just_before), scheduled.status(day(10))),
            (Status::Production, Status::Production)
        );
        let only = published(policy(), Release::Production(Some(day(10))), 1, day(2));
        assert_eq!((only.status(day(9)), only.status(day(10))), (Status::Draft, Status::Production));
        assert_eq!(only.check_deletion(), Err(Refused::InForce));
    }

    #[test]
    fn no_schedule_survives_a_publication_or_a_rollback() {
        let scheduled = || published(policy(), Release::Production(Some(day(10))), 1, day(2));
        for release in
            [Release::Sandbox, pilots(), Release::Production(None), Release::Production(Some(day(20)))]
        {
            let stages = published(scheduled(), release.clone(), 2, day(3)).stages;
            assert!(stages.scheduled.is_none_or(|it| it.revision.number == 2), "{release:?}");
        }
        let rolled_back = scheduled().rollback(&revision(1, "one"), day(3)).unwrap().policy;
        assert!(rolled_back.stages.is_empty());
        // From the state effective now: its time has come.
        let piloted = published(scheduled(), pilots(), 2, day(11));
        assert_eq!(numbers(&piloted.stages), [Some(1), Some(2), None]);
        let rolled_back = scheduled().rollback(&revision(1, "one"), day(11)).unwrap().policy;
        assert_eq!(numbers(&rolled_back.stages), [Some(2), None, None]);
    }

    #[test]
    fn a_rollback_is_a_new_version_that_takes_productions_place() {
        let in_production = Policy {
            current: revision(2, "two"),
            ..published(policy(), Release::Production(None), 2, day(2))
        };
        let Change { policy, version } = in_production.rollback(&revision(1, "one"), day(3)).unwrap();
        let version = version.unwrap();
        assert_eq!(version.changelog.as_ref().map(LongText::as_str), Some("Rollback to version 1"));
        assert_eq!((version.revision.number, &version.revision.recipe), (3, &recipe("one", "mortgagee")));
        let production = policy.stages.production.unwrap();
        assert_eq!((production.revision, production.since), (version.revision, day(3)));
        let piloted = published(self::policy(), pilots(), 1, day(2));
        let Change { policy, .. } = piloted.rollback(&revision(1, "one"), day(3)).unwrap();
        assert_eq!(
            numbers(&policy.stages),
            [None, Some(1), None],
            "nothing is put into production that was not there"
        );
    }

    #[test]
    fn what_shows_everything_is_published_only_if_that_is_meant() {
        let recipe = |matching| {
            let json = serde_json::json!({
                "stakeholderClass": "policyholder", "artifactTypes": ["*"], "auth": {"factors": ["sms_otp"]},
                "access": {"method": "portal"}, "match": matching,
            });
            Recipe::parse(serde_json::from_value(json).unwrap()).unwrap()
        };
        let publish = |matching| {
            let revision = Revision { number: 1, recipe: recipe(matching) };
            policy().publish(Release::Production(None), revision, day(2)).map(|_| ())
        };
        assert_eq!(publish(serde_json::json!({"identifiers": ["phone", "email"]})), Err(Refused::Unscoped));
        assert_eq!(publish(serde_json::json!({"identifiers": ["phone"], "unscoped": true})), Ok(()));
        assert_eq!(publish(serde_json::json!({"identifiers": ["phone", "policy_number"]})), Ok(()));
    }

    #[test]
    fn only_everyone_is_everyone() {
        let group = || GroupId::generate(day(1), &mut random::system());
        let (a, b) = (group(), group());
        let assigned = policy().assign(a, day(2)).unwrap().policy;
        assert_eq!(assigned.audience, Audience::Groups(BTreeSet::from([a])), "the first one");
        let both = assigned.assign(b, day(3)).unwrap().policy;
        let none = both.unassign(a, day(4)).policy.unassign(b, day(5)).policy;
        assert_eq!(none.audience, Audience::Groups(BTreeSet::new()));
        assert!(!none.audience.includes(&BTreeSet::from([a, b])), "nobody");
        assert_eq!(policy().unassign(a, day(2)).policy.audience, Audience::Everyone);
        let full = Audience::Groups((0..MAX_GROUPS).map(|_| group()).collect());
        assert_eq!(
            Policy { audience: full, ..policy() }.assign(a, day(2)).err(),
            Some(Refused::TooManyGroups)
        );
    }

    #[test]
    fn a_pilot_gets_its_version_instead_of_productions() {
        let [named, other] = [(); 2].map(|()| RecipientId::generate(day(1), &mut random::system()));
        let pilot = Release::Pilot(BTreeSet::from([named]));
        let alone = published(policy(), pilot.clone(), 2, day(3)).enforced().unwrap();
        let number = |policy: &EnforcedPolicy, id| {
            policy.revision_for(id).map(|(it, is_in_force)| (it.number, is_in_force))
        };
        assert_eq!([number(&alone, named), number(&alone, other)], [Some((2, true)), Some((2, false))]);
        let beside = published(published(policy(), Release::Production(None), 1, day(2)), pilot, 2, day(3));
        let beside = beside.enforced().unwrap();
        assert_eq!([number(&beside, named), number(&beside, other)], [Some((2, true)), Some((1, true))]);
        let scheduled = published(policy(), Release::Production(Some(day(9))), 1, day(2)).enforced().unwrap();
        assert_eq!(number(&scheduled, named), None);
    }
}
