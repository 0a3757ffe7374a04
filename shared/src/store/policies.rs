//! Policies: each with all that is said of it among those of its dock, beside it what of it decides, by class, and its
//! versions in a partition of their own.
//!
//! What decides is a copy that each write of the policy makes anew in its transaction, so a decision reads its class in
//! one Query, whatever there is of drafts and versions. An item counts the policies of the dock, and those in force for
//! each class, so that limits need no Query.

use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::cleanup::{Cleanup, Leftover};
use super::retry::{MAX_ATTEMPTS, back_off};
use super::transaction::{IS_UNCHANGED, Refusal, Transaction, number};
use super::{Error, Item, KeyRange, Partition, Store, groups, json_text, text};
use crate::model::audit::{Entry, Event};
use crate::model::idempotency::{IdempotentRequest, Outcome, StoredResponse};
use crate::model::policy::{
    Audience, Change, EnforcedPolicy, MAX_IN_FORCE, MAX_POLICIES, Policy, Revision, Stages, Version,
};
use crate::model::recipe::Recipe;
use crate::model::recipient::StakeholderClass;
use crate::values::clock::Timestamp;
use crate::values::id::{AccountId, DockId, GroupId, PolicyId};
use crate::values::page::{Page, PageRequest};
use crate::values::text::{LongText, Text};

const PREFIX: &str = "POLICY#";
const END: &str = "POLICY#~";
const VERSION_PREFIX: &str = "VERSION#";
const VERSION_END: &str = "VERSION#~";
const COUNTS_SORT_KEY: &str = "COUNTS";

/// The partition of a dock's policies.
fn partition(dock: DockId) -> String {
    Partition::Policies.of(dock)
}

fn sort_key(id: impl std::fmt::Display) -> String {
    format!("{PREFIX}{id}")
}

fn enforced_sort_key(class: StakeholderClass, id: impl std::fmt::Display) -> String {
    format!("IN_FORCE#{class}#{id}")
}

fn version_sort_key(number: impl std::fmt::Display) -> String {
    format!("{VERSION_PREFIX}{number:0>6}")
}

fn key(policy: &Policy) -> Item {
    Store::key(partition(policy.dock), sort_key(policy.id))
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PolicyItem {
    pk: String,
    sk: String,
    id: PolicyId,
    dock: DockId,
    account: AccountId,
    name: Text,
    #[serde(with = "json_text")]
    audience: Audience,
    #[serde(with = "json_text")]
    current: Revision,
    #[serde(with = "json_text")]
    stages: Stages,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
    /// Counts the changes, so that none overwrites another.
    version: u64,
}

impl PolicyItem {
    fn new(policy: Policy) -> Self {
        Self {
            pk: partition(policy.dock),
            sk: sort_key(policy.id),
            id: policy.id,
            dock: policy.dock,
            account: policy.account,
            name: policy.name,
            audience: policy.audience,
            current: policy.current,
            stages: policy.stages,
            created_at: policy.created_at,
            updated_at: policy.updated_at,
            version: policy.version,
        }
    }
}

impl From<PolicyItem> for Policy {
    fn from(item: PolicyItem) -> Self {
        Self {
            id: item.id,
            dock: item.dock,
            account: item.account,
            name: item.name,
            audience: item.audience,
            current: item.current,
            stages: item.stages,
            created_at: item.created_at,
            updated_at: item.updated_at,
            version: item.version,
        }
    }
}

/// What of a policy decides.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnforcedItem {
    pk: String,
    sk: String,
    id: PolicyId,
    name: Text,
    #[serde(with = "json_text")]
    audience: Audience,
    #[serde(with = "json_text")]
    stages: Stages,
}

impl From<EnforcedItem> for EnforcedPolicy {
    fn from(item: EnforcedItem) -> Self {
        Self { id: item.id, name: item.name, audience: item.audience, stages: item.stages }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionItem {
    pk: String,
    sk: String,
    policy: PolicyId,
    dock: DockId,
    number: u16,
    #[serde(with = "json_text")]
    recipe: Recipe,
    #[serde(skip_serializing_if = "Option::is_none")]
    changelog: Option<LongText>,
    created_at: Timestamp,
}

impl VersionItem {
    fn new(policy: &Policy, version: Version) -> Self {
        Self {
            pk: Partition::Policy.of(policy.id),
            sk: version_sort_key(version.revision.number),
            policy: policy.id,
            dock: policy.dock,
            number: version.revision.number,
            recipe: version.revision.recipe,
            changelog: version.changelog,
            created_at: version.created_at,
        }
    }
}

impl From<VersionItem> for Version {
    fn from(item: VersionItem) -> Self {
        Self {
            revision: Revision { number: item.number, recipe: item.recipe },
            changelog: item.changelog,
            created_at: item.created_at,
        }
    }
}

#[derive(Deserialize)]
struct VersionKey {
    sk: String,
    dock: DockId,
}

/// What the end of a group makes something of, of a policy's item.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssignedPolicy {
    id: PolicyId,
    #[serde(deserialize_with = "json_text::deserialize")]
    audience: Audience,
    #[serde(deserialize_with = "json_text::deserialize")]
    current: CurrentClass,
    stages: String,
    created_at: Timestamp,
    updated_at: Option<Timestamp>,
    version: u64,
}

#[derive(Deserialize)]
struct CurrentClass {
    recipe: RecipeClass,
}

#[derive(Deserialize)]
struct RecipeClass {
    #[serde(rename = "stakeholderClass")]
    class: StakeholderClass,
}

/// The stages of a policy of which nothing is in force.
const NOTHING_IN_FORCE: &str = "{}";

/// Why a policy was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyRefused {
    /// It no longer exists.
    Gone,
    /// Another change came first.
    Changed,
    /// A group of its audience does not exist in its dock.
    NoGroup,
    /// The dock has [`MAX_POLICIES`] policies, or [`MAX_IN_FORCE`] in force for this class.
    TooMany,
}

/// A write of a transaction, as far as it can be refused.
enum Part {
    Policy,
    Count,
    Group,
    Other,
}

/// The writes of a policy's transaction, each with what it is.
#[derive(Default)]
struct Writes {
    parts: Vec<Part>,
    items: Vec<TransactWriteItem>,
}

impl Writes {
    fn push(&mut self, part: Part, item: TransactWriteItem) {
        self.parts.push(part);
        self.items.push(item);
    }
}

/// Why a transaction of these parts was refused.
fn refused(parts: &[Part], refusal: &Refusal) -> Result<PolicyRefused, Error> {
    let failed = |at: &usize| refusal.condition_failed(*at);
    let policy = (0..parts.len()).filter(failed).find(|at| matches!(parts.get(*at), Some(Part::Policy)));
    if let Some(at) = policy {
        let exists = refusal.existing_item::<IgnoredAny>(at)?.is_some();
        return Ok(if exists { PolicyRefused::Changed } else { PolicyRefused::Gone });
    }
    match (0..parts.len()).find(failed).and_then(|at| parts.get(at)) {
        Some(Part::Group) => Ok(PolicyRefused::NoGroup),
        Some(Part::Count) => Ok(PolicyRefused::TooMany),
        _ => Err(Error::unexpected_refusal("write policy")),
    }
}

impl Store {
    /// Returns the policy of this id in the dock; one read.
    pub async fn policy(&self, dock: DockId, id: PolicyId) -> Result<Option<Policy>, Error> {
        let item: Option<PolicyItem> = self.get(partition(dock), sort_key(id)).await?;
        Ok(item.map(Policy::from))
    }

    /// Returns one page of a dock's policies, newest first; one Query.
    pub async fn policies(&self, dock: DockId, page: &PageRequest) -> Result<Page<Policy>, Error> {
        let range = KeyRange { from: PREFIX, to: END, ascending: false };
        let after = page.after.as_deref().map(sort_key);
        let read = self.query_page(partition(dock), range, after, page.limit + 1).await?;
        let policies = read.items.into_iter().map(|item: PolicyItem| Policy::from(item)).collect();
        Ok(Page::of(policies, read.is_last, page.limit, |policy| policy.id.to_string()))
    }

    /// Returns what decides about the recipients of a class in a dock; one Query, of some pages if recipes are large.
    pub async fn enforced_policies(
        &self,
        dock: DockId,
        class: StakeholderClass,
    ) -> Result<Vec<EnforcedPolicy>, Error> {
        let (from, to) = (enforced_sort_key(class, ""), enforced_sort_key(class, "~"));
        let items: Vec<EnforcedItem> = self.query(partition(dock), &from, &to).await?;
        Ok(items.into_iter().map(EnforcedPolicy::from).collect())
    }

    /// Returns a version of a policy; one read.
    pub async fn policy_version(&self, policy: PolicyId, number: u16) -> Result<Option<Version>, Error> {
        let item: Option<VersionItem> =
            self.get(Partition::Policy.of(policy), version_sort_key(number)).await?;
        Ok(item.map(Version::from))
    }

    /// Returns one page of a policy's versions, newest first; one Query.
    pub async fn policy_versions(
        &self,
        policy: PolicyId,
        page: &PageRequest,
    ) -> Result<Page<Version>, Error> {
        let range = KeyRange { from: VERSION_PREFIX, to: VERSION_END, ascending: false };
        let after = page.after.as_deref().map(version_sort_key);
        let read = self.query_page(Partition::Policy.of(policy), range, after, page.limit + 1).await?;
        let versions = read.items.into_iter().map(|item: VersionItem| Version::from(item)).collect();
        Ok(Page::of(versions, read.is_last, page.limit, |version| version.revision.number.to_string()))
    }

    /// Creates a policy and its first version, and stores the response if the request carries an idempotency key.
    pub async fn create_policy(
        &self,
        policy: &Policy,
        entry: &Entry,
        idempotency: Option<(&IdempotentRequest, &StoredResponse)>,
    ) -> Result<Outcome<PolicyRefused>, Error> {
        let mut writes = Writes::default();
        writes.push(Part::Other, self.put_new(&PolicyItem::new(policy.clone()))?);
        writes.push(Part::Other, self.put_new(&VersionItem::new(policy, policy.first_version()))?);
        for group in policy.audience.groups() {
            writes.push(Part::Group, self.check_exists(groups::key(policy.dock, group))?);
        }
        writes.push(Part::Count, self.count_up(policy.dock, "policyCount", MAX_POLICIES)?);
        let Writes { parts, items } = writes;
        self.transact_idempotently(items, entry, idempotency, |refusal| refused(&parts, &refusal)).await
    }

    /// Writes what a change made of a policy, and the entry on that. Refused if another change came first.
    pub async fn write_policy(
        &self,
        before: &Policy,
        change: &Change,
        entry: &Entry,
    ) -> Result<Result<(), PolicyRefused>, Error> {
        let Writes { parts, items } = self.policy_writes(before, change)?;
        match self.transact(items, entry).await? {
            Transaction::Done => Ok(Ok(())),
            Transaction::Refused(refusal) => Ok(Err(refused(&parts, &refusal)?)),
        }
    }

    /// The same, and stores the response if the request carries an idempotency key.
    pub async fn write_policy_idempotently(
        &self,
        before: &Policy,
        change: &Change,
        entry: &Entry,
        idempotency: Option<(&IdempotentRequest, &StoredResponse)>,
    ) -> Result<Outcome<PolicyRefused>, Error> {
        let Writes { parts, items } = self.policy_writes(before, change)?;
        self.transact_idempotently(items, entry, idempotency, |refusal| refused(&parts, &refusal)).await
    }

    /// The writes of a change: of the policy on condition that it is as it was before, of the version that it adds, of what
    /// decides, and of the counts.
    fn policy_writes(&self, before: &Policy, change: &Change) -> Result<Writes, Error> {
        let Change { policy, version } = change;
        let mut writes = Writes::default();
        let item = PolicyItem::new(policy.clone());
        writes.push(Part::Policy, self.put_if_version(&item, policy.id, before.version)?);
        if let Some(version) = version {
            writes.push(Part::Other, self.put_new(&VersionItem::new(policy, version.clone()))?);
        }
        let counter = counter(policy.class());
        let enforced_key = enforced_sort_key(policy.class(), policy.id);
        match (before.stages.is_empty(), policy.enforced()) {
            (true, None) => {}
            (was_empty, Some(enforced)) => {
                if was_empty {
                    writes.push(Part::Count, self.count_up(policy.dock, counter, MAX_IN_FORCE)?);
                }
                let EnforcedPolicy { id, name, audience, stages } = enforced;
                let pk = partition(policy.dock);
                let item = EnforcedItem { pk, sk: enforced_key, id, name, audience, stages };
                writes.push(Part::Other, self.put(&item)?);
            }
            (false, None) => {
                writes.push(Part::Other, self.count_down(policy.dock, counter)?);
                let key = Self::key(partition(policy.dock), enforced_key);
                writes.push(Part::Other, self.delete(key, "attribute_exists(pk)", &[])?);
            }
        }
        let known: Vec<GroupId> = before.audience.groups().collect();
        for group in policy.audience.groups().filter(|group| !known.contains(group)) {
            writes.push(Part::Group, self.check_exists(groups::key(policy.dock, group))?);
        }
        Ok(writes)
    }

    /// Changes a policy, which was read already, to what `change` makes of it, and returns that. `entry` makes the entry on
    /// it, of the policy before and after. If another change came between, it reads the policy again and repeats `change`.
    ///
    /// # Errors
    /// Those of `change`, and those of the store.
    pub async fn update_policy<E: From<Error>>(
        &self,
        mut read: Policy,
        change: impl Fn(Policy) -> Result<Change, E>,
        entry: impl Fn(&Policy, &Policy) -> Entry,
    ) -> Result<Result<Policy, PolicyRefused>, E> {
        for attempt in 1..=MAX_ATTEMPTS {
            let change = change(read.clone())?;
            if change.policy.version == read.version {
                return Ok(Ok(change.policy));
            }
            match self.write_policy(&read, &change, &entry(&read, &change.policy)).await? {
                Ok(()) => return Ok(Ok(change.policy)),
                Err(PolicyRefused::Changed) => back_off(attempt).await,
                Err(refused) => return Ok(Err(refused)),
            }
            match self.policy(read.dock, read.id).await? {
                Some(current) => read = current,
                None => return Ok(Err(PolicyRefused::Gone)),
            }
        }
        Err(Error::unavailable("update policy: too many changes at once").into())
    }

    /// Takes a group out of the audience of every policy of a dock, one after the other. `entry` makes the entry on each.
    pub async fn unassign_everywhere(
        &self,
        dock: DockId,
        group: GroupId,
        now: Timestamp,
        entry: impl Fn(Event) -> Entry,
    ) -> Result<(), Error> {
        for attempt in 1..=MAX_ATTEMPTS {
            let policies: Vec<AssignedPolicy> = self.query(partition(dock), PREFIX, END).await?;
            let mut is_overtaken = false;
            for policy in policies.iter().filter(|policy| policy.audience.groups().any(|it| it == group)) {
                let audience = policy.audience.without(group);
                let event = Policy::group_deleted(policy.id, dock, &policy.audience, &audience, group);
                let items = self.audience_update(dock, policy, &audience, now)?;
                is_overtaken |= matches!(self.transact(items, &entry(event)).await?, Transaction::Refused(_));
            }
            if !is_overtaken {
                return Ok(());
            }
            back_off(attempt).await;
        }
        Err(Error::unavailable("unassign policies: too many changes at once"))
    }

    /// The writes that change the audience alone, of a policy and of what of it decides.
    fn audience_update(
        &self,
        dock: DockId,
        policy: &AssignedPolicy,
        audience: &Audience,
        now: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, Error> {
        let audience = serde_json::to_string(audience).map_err(|_| Error::internal("audience: not JSON"))?;
        let placeholders = [
            (":id", text(policy.id)),
            (":version", number(policy.version)),
            (":audience", text(&audience)),
            (":now", text(now.max(policy.updated_at.unwrap_or(policy.created_at)))),
            (":one", number(1)),
        ];
        let mut items = vec![self.update(
            Self::key(partition(dock), sort_key(policy.id)),
            IS_UNCHANGED,
            "SET audience = :audience, updatedAt = :now, version = version + :one",
            &placeholders,
        )?];
        if policy.stages != NOTHING_IN_FORCE {
            let key = enforced_sort_key(policy.current.recipe.class, policy.id);
            items.push(self.update(
                Self::key(partition(dock), key),
                "attribute_exists(pk)",
                "SET audience = :audience",
                &[(":audience", text(audience))],
            )?);
        }
        Ok(items)
    }

    /// Deletes a policy, which was read already, if `check` admits it, and has its versions cleaned up. `false` if it no longer
    /// exists.
    ///
    /// # Errors
    /// Those of `check`, and those of the store.
    pub async fn delete_policy<E: From<Error>>(
        &self,
        mut read: Policy,
        now: Timestamp,
        check: impl Fn(&Policy) -> Result<(), E>,
        entry: impl Fn() -> Entry,
    ) -> Result<bool, E> {
        let cleanup = Cleanup::new(Leftover::Versions { dock: read.dock, policy: read.id }, now);
        for attempt in 1..=MAX_ATTEMPTS {
            check(&read)?;
            let items = vec![
                self.delete_if_version(key(&read), read.id, read.version)?,
                self.count_down(read.dock, "policyCount")?,
                self.put(&cleanup.item())?,
            ];
            if let Transaction::Done = self.transact(items, &entry()).await? {
                return Ok(true);
            }
            back_off(attempt).await;
            match self.policy(read.dock, read.id).await? {
                Some(current) => read = current,
                None => return Ok(false),
            }
        }
        Err(Error::unavailable("delete policy: too many changes at once").into())
    }

    /// Deletes the versions of a policy that this dock no longer has.
    pub(super) async fn delete_versions(&self, dock: DockId, policy: PolicyId) -> Result<(), Error> {
        let pk = Partition::Policy.of(policy);
        let versions: Vec<VersionKey> = self.query(pk.clone(), VERSION_PREFIX, VERSION_END).await?;
        let own = versions.into_iter().filter(|version| version.dock == dock);
        self.delete_all(own.map(|version| Self::key(pk.clone(), version.sk)).collect()).await
    }

    /// Adds one to a count of the dock's policies, if that is less than `max`.
    fn count_up(&self, dock: DockId, counter: &str, max: u64) -> Result<TransactWriteItem, Error> {
        let values = [(":zero", number(0)), (":one", number(1)), (":max", number(max))];
        self.update(
            Self::key(partition(dock), COUNTS_SORT_KEY),
            &format!("attribute_not_exists({counter}) OR {counter} < :max"),
            &format!("SET {counter} = if_not_exists({counter}, :zero) + :one"),
            &values,
        )
    }

    /// Takes one off a count of the dock's policies.
    fn count_down(&self, dock: DockId, counter: &str) -> Result<TransactWriteItem, Error> {
        self.update(
            Self::key(partition(dock), COUNTS_SORT_KEY),
            &format!("{counter} > :zero"),
            &format!("SET {counter} = {counter} - :one"),
            &[(":zero", number(0)), (":one", number(1))],
        )
    }
}

/// The name of the count of policies in force for a class.
fn counter(class: StakeholderClass) -> &'static str {
    match class {
        StakeholderClass::Mortgagee => "mortgageeInForce",
        StakeholderClass::Agent => "agentInForce",
        StakeholderClass::Policyholder => "policyholderInForce",
        StakeholderClass::Auditor => "auditorInForce",
    }
}
