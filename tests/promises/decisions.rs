//! Who is let in, against a model of it: random sequences of everything that can be done to recipients, groups and policies of
//! a dock, with a clock that jumps. After each step *evaluate* agrees with the model for every recipient, and what the API
//! shows of policies and groups does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use aws_sdk_dynamodb::types::AttributeValue;
use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::store;
use docyard_core::values::clock::{Clock, Timestamp};
use docyard_core::values::id::{DockId, GroupId};
use docyard_functions::worker;
use docyard_test_support::account::Account;
use docyard_test_support::api::{Api, Reply};
use docyard_test_support::clock::TestClock;
use docyard_test_support::scene::{self, Asker, Scene};
use docyard_test_support::table::{TABLE, TestTable, operator};
use docyard_test_support::{is_thorough, trail};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use serde_json::{Value, json};

const CLASSES: [&str; 2] = ["mortgagee", "agent"];

/// How many recipes there are to choose from.
const RECIPES: usize = 4;

/// A recipe for a class: what it wants besides a passphrase.
fn recipe(class: usize, recipe: usize) -> Value {
    let (identifiers, constraints) = match recipe {
        0 => (json!(["lender_id"]), json!({})),
        1 => (json!([]), json!({})),
        2 => (json!([]), json!({"auto_expire_days": 20})),
        _ => (json!([]), json!({"not_before": start().plus_days(15).to_string()})),
    };
    json!({
        "stakeholderClass": CLASSES[class], "artifactTypes": [format!("type-{recipe}")],
        "auth": {"factors": ["shared_passphrase"]}, "access": {"method": "bulk_api"},
        "match": {"identifiers": identifiers, "unscoped": true}, "constraints": constraints,
    })
}

/// What can be done. Things are named by their number, in the order in which they were made.
#[derive(Clone, Debug)]
enum Step {
    /// Of this class, with a `lender_id` or without.
    CreateRecipient(usize, bool),
    SetClass(usize, Option<usize>),
    DeleteRecipient(usize),
    /// For this class, with this recipe.
    CreatePolicy(usize, usize),
    Edit(usize, usize),
    Rename(usize, &'static str),
    SetAudience(usize, Option<Vec<usize>>),
    ToSandbox(usize),
    /// The newest version but so many, to this recipient.
    ToPilot(usize, u16, usize),
    /// The newest version but so many, in so many days.
    ToProduction(usize, u16, Option<u16>),
    Rollback(usize, u16),
    Snapshot(usize),
    DeletePolicy(usize),
    CreateGroup(Option<usize>),
    AddMember(usize, usize),
    RemoveMember(usize, usize),
    DeleteGroup(usize),
    Assign(usize, usize),
    Unassign(usize, usize),
    Wait(u16),
}

#[derive(Clone, Debug)]
struct Recipient {
    class: Option<usize>,
    has_lender_id: bool,
    created: u16,
    is_there: bool,
}

#[derive(Clone, Debug)]
struct Policy {
    class: usize,
    name: &'static str,
    /// The recipes of its versions.
    versions: Vec<usize>,
    /// Everyone, or some groups.
    audience: Option<BTreeSet<usize>>,
    /// A version's number.
    production: Option<usize>,
    /// A version's number, and for whom.
    pilot: Option<(usize, usize)>,
    /// A version's number, and the day.
    scheduled: Option<(usize, u16)>,
    is_there: bool,
}

#[derive(Clone, Debug)]
struct Group {
    members: BTreeSet<usize>,
    is_there: bool,
}

/// All that is known of a dock. Time is counted in days.
#[derive(Clone, Debug, Default)]
struct Model {
    recipients: Vec<Recipient>,
    policies: Vec<Policy>,
    groups: Vec<Group>,
    day: u16,
}

fn start() -> Timestamp {
    Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap()
}

impl Policy {
    fn settle(&mut self, day: u16) {
        if let Some((version, from)) = self.scheduled
            && from <= day
        {
            (self.production, self.pilot, self.scheduled) = (Some(version), None, None);
        }
    }

    fn is_out_of_force(&self) -> bool {
        self.production.is_none() && self.pilot.is_none() && self.scheduled.is_none()
    }

    /// The number of the newest version but so many, at least the first.
    fn version(&self, back: u16) -> usize {
        self.versions.len().saturating_sub(back.into()).max(1)
    }
}

impl Model {
    /// Whether a recipient that proves a passphrase is let in.
    fn is_let_in(&self, number: usize) -> bool {
        let recipient = &self.recipients[number];
        let is_satisfied = |recipe: usize| match recipe {
            0 => recipient.has_lender_id,
            2 => self.day < recipient.created + 20,
            3 => self.day >= 15,
            _ => true,
        };
        self.policies.iter().filter(|policy| policy.is_there && Some(policy.class) == recipient.class).any(
            |policy| {
                let mut policy = policy.clone();
                policy.settle(self.day);
                let version = match policy.pilot {
                    Some((version, pilot)) if pilot == number => Some(version),
                    _ => policy.production,
                };
                let is_meant = policy.audience.as_ref().is_none_or(|groups| {
                    groups.iter().any(|group| {
                        self.groups[*group].is_there && self.groups[*group].members.contains(&number)
                    })
                });
                is_meant && version.is_some_and(|version| is_satisfied(policy.versions[version - 1]))
            },
        )
    }

    fn let_in(&self) -> BTreeSet<usize> {
        (0..self.recipients.len()).filter(|at| self.recipients[*at].is_there && self.is_let_in(*at)).collect()
    }

    fn in_force(&self, class: usize) -> usize {
        let is_counted =
            |policy: &&Policy| policy.is_there && policy.class == class && !policy.is_out_of_force();
        self.policies.iter().filter(is_counted).count()
    }

    fn has_recipient(&self, recipient: usize) -> bool {
        self.recipients[recipient].is_there
    }

    /// The status that a step gets.
    fn answer(&self, step: &Step) -> u16 {
        let found = |is_there: bool, status: u16| if is_there { status } else { 404 };
        let published = |policy: usize| match self.policies[policy].is_there {
            false => 404,
            true if self.policies[policy].is_out_of_force()
                && self.in_force(self.policies[policy].class) >= 10 =>
            {
                409
            }
            true => 200,
        };
        match step {
            Step::CreateRecipient(..) | Step::CreatePolicy(..) => 201,
            Step::SetClass(recipient, _) | Step::DeleteRecipient(recipient) => {
                found(self.has_recipient(*recipient), 200)
            }
            Step::Edit(policy, _) | Step::Rename(policy, _) | Step::ToSandbox(policy) => {
                found(self.policies[*policy].is_there, 200)
            }
            Step::SetAudience(policy, groups) => {
                let old = &self.policies[*policy].audience;
                let is_known = |group: &usize| {
                    self.groups[*group].is_there || old.as_ref().is_some_and(|old| old.contains(group))
                };
                found(self.policies[*policy].is_there && groups.iter().flatten().all(is_known), 200)
            }
            Step::ToPilot(policy, _, recipient) => match self.has_recipient(*recipient) {
                true => published(*policy),
                false => 404,
            },
            Step::ToProduction(policy, ..) => published(*policy),
            Step::Rollback(policy, _) | Step::Snapshot(policy) => found(self.policies[*policy].is_there, 201),
            Step::DeletePolicy(policy) => match &self.policies[*policy] {
                Policy { is_there: false, .. } => 404,
                policy if policy.is_out_of_force() => 200,
                _ => 409,
            },
            Step::CreateGroup(recipient) => {
                found(recipient.is_none_or(|recipient| self.has_recipient(recipient)), 201)
            }
            Step::AddMember(group, recipient) => {
                found(self.groups[*group].is_there && self.has_recipient(*recipient), 200)
            }
            Step::RemoveMember(group, recipient) => {
                let group = &self.groups[*group];
                found(
                    group.is_there && self.has_recipient(*recipient) && group.members.contains(recipient),
                    200,
                )
            }
            Step::DeleteGroup(group) => found(self.groups[*group].is_there, 200),
            Step::Assign(group, policy) | Step::Unassign(group, policy) => {
                found(self.groups[*group].is_there && self.policies[*policy].is_there, 200)
            }
            Step::Wait(_) => 0,
        }
    }

    fn apply_success(&mut self, step: &Step) {
        let day = self.day;
        match step {
            Step::CreateRecipient(class, has_lender_id) => self.recipients.push(Recipient {
                class: Some(*class),
                has_lender_id: *has_lender_id,
                created: day,
                is_there: true,
            }),
            Step::SetClass(recipient, class) => self.recipients[*recipient].class = *class,
            Step::DeleteRecipient(recipient) => {
                self.recipients[*recipient].is_there = false;
                for group in &mut self.groups {
                    group.members.remove(recipient);
                }
            }
            Step::CreatePolicy(class, recipe) => self.policies.push(Policy {
                class: *class,
                name: "A policy",
                versions: vec![*recipe],
                audience: None,
                production: None,
                pilot: None,
                scheduled: None,
                is_there: true,
            }),
            Step::Edit(policy, recipe) => {
                let versions = &mut self.policies[*policy].versions;
                if versions.last() != Some(recipe) {
                    versions.push(*recipe);
                }
            }
            Step::Rename(policy, name) => self.policies[*policy].name = name,
            Step::SetAudience(policy, groups) => {
                self.policies[*policy].audience = groups.as_ref().map(|it| it.iter().copied().collect());
            }
            Step::ToSandbox(policy) => {
                let policy = &mut self.policies[*policy];
                (policy.production, policy.pilot, policy.scheduled) = (None, None, None);
            }
            Step::ToPilot(policy, back, recipient) => {
                let policy = &mut self.policies[*policy];
                policy.settle(day);
                (policy.pilot, policy.scheduled) = (Some((policy.version(*back), *recipient)), None);
            }
            Step::ToProduction(policy, back, None) => {
                let policy = &mut self.policies[*policy];
                let version = policy.version(*back);
                (policy.production, policy.pilot, policy.scheduled) = (Some(version), None, None);
            }
            Step::ToProduction(policy, back, Some(days)) => {
                let policy = &mut self.policies[*policy];
                policy.settle(day);
                policy.scheduled = Some((policy.version(*back), day + days));
            }
            Step::Rollback(policy, back) => {
                let policy = &mut self.policies[*policy];
                policy.settle(day);
                policy.versions.push(policy.versions[policy.version(*back) - 1]);
                policy.scheduled = None;
                policy.production = policy.production.map(|_| policy.versions.len());
            }
            Step::Snapshot(policy) => {
                let versions = &mut self.policies[*policy].versions;
                versions.push(versions[versions.len() - 1]);
            }
            Step::DeletePolicy(policy) => self.policies[*policy].is_there = false,
            Step::CreateGroup(recipient) => {
                self.groups.push(Group { members: recipient.iter().copied().collect(), is_there: true });
            }
            Step::AddMember(group, recipient) => drop(self.groups[*group].members.insert(*recipient)),
            Step::RemoveMember(group, recipient) => drop(self.groups[*group].members.remove(recipient)),
            Step::DeleteGroup(group) => {
                self.groups[*group].is_there = false;
                for policy in &mut self.policies {
                    if let Some(groups) = &mut policy.audience {
                        groups.remove(group);
                    }
                }
            }
            Step::Assign(group, policy) => {
                self.policies[*policy].audience.get_or_insert_default().insert(*group);
            }
            Step::Unassign(group, policy) => {
                if let Some(groups) = &mut self.policies[*policy].audience {
                    groups.remove(group);
                }
            }
            Step::Wait(days) => self.day += days,
        }
    }

    /// Whom a step may let in that was not in before; `None` for anyone.
    fn may_let_in(&self, step: &Step) -> Option<BTreeSet<usize>> {
        match step {
            Step::AddMember(_, recipient) => Some(BTreeSet::from([*recipient])),
            Step::Assign(group, _) => Some(self.groups[*group].members.clone()),
            Step::CreateGroup(_)
            | Step::RemoveMember(..)
            | Step::DeleteGroup(_)
            | Step::Unassign(..)
            | Step::DeletePolicy(_)
            | Step::DeleteRecipient(_)
            | Step::ToSandbox(_)
            | Step::Edit(..)
            | Step::Rename(..)
            | Step::Snapshot(_)
            | Step::CreatePolicy(..) => Some(BTreeSet::new()),
            _ => None,
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let one_of = |count: usize| any::<Index>().prop_map(move |index| index.index(count));
        let (recipients, policies, groups) =
            (state.recipients.len(), state.policies.len(), state.groups.len());
        let class = || 0..CLASSES.len();
        let back = || 0_u16..3;
        let days = || prop_oneof![2 => Just(None), 1 => Just(Some(1)), 1 => Just(Some(9))];
        let mut steps = vec![
            (2, (class(), any::<bool>()).prop_map(|(c, l)| Step::CreateRecipient(c, l)).boxed()),
            (2, (class(), 0..RECIPES).prop_map(|(c, r)| Step::CreatePolicy(c, r)).boxed()),
            (1, prop_oneof![Just(1_u16), Just(8), Just(16)].prop_map(Step::Wait).boxed()),
        ];
        if recipients > 0 {
            let class = prop::option::weighted(0.8, class());
            steps.push((1, (one_of(recipients), class).prop_map(|(r, c)| Step::SetClass(r, c)).boxed()));
            steps.push((1, one_of(recipients).prop_map(Step::DeleteRecipient).boxed()));
            steps.push((2, prop::option::of(one_of(recipients)).prop_map(Step::CreateGroup).boxed()));
        }
        if policies > 0 {
            let policy = || one_of(policies);
            steps.extend([
                (2, (policy(), 0..RECIPES).prop_map(|(p, r)| Step::Edit(p, r)).boxed()),
                (
                    1,
                    (policy(), prop_oneof![Just("One"), Just("Two")])
                        .prop_map(|(p, n)| Step::Rename(p, n))
                        .boxed(),
                ),
                (1, policy().prop_map(Step::ToSandbox).boxed()),
                (6, (policy(), back(), days()).prop_map(|(p, b, d)| Step::ToProduction(p, b, d)).boxed()),
                (1, (policy(), back()).prop_map(|(p, b)| Step::Rollback(p, b)).boxed()),
                (1, policy().prop_map(Step::Snapshot).boxed()),
                (1, policy().prop_map(Step::DeletePolicy).boxed()),
            ]);
        }
        if policies > 0 && recipients > 0 {
            let pilot = (one_of(policies), back(), one_of(recipients));
            steps.push((3, pilot.prop_map(|(p, b, r)| Step::ToPilot(p, b, r)).boxed()));
        }
        if policies > 0 && groups > 0 {
            let both = || (one_of(groups), one_of(policies));
            let some = prop::option::of(prop::collection::vec(one_of(groups), 0..3));
            steps.push((2, (one_of(policies), some).prop_map(|(p, g)| Step::SetAudience(p, g)).boxed()));
            steps.push((3, both().prop_map(|(g, p)| Step::Assign(g, p)).boxed()));
            steps.push((2, both().prop_map(|(g, p)| Step::Unassign(g, p)).boxed()));
        }
        if groups > 0 {
            let both = || (one_of(groups), one_of(recipients));
            steps.push((3, both().prop_map(|(g, r)| Step::AddMember(g, r)).boxed()));
            steps.push((2, both().prop_map(|(g, r)| Step::RemoveMember(g, r)).boxed()));
            steps.push((1, one_of(groups).prop_map(Step::DeleteGroup).boxed()));
        }
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        if state.answer(step) < 300 {
            state.apply_success(step);
        }
        state
    }

    /// While a sequence is made shorter, what its steps name must still be there.
    fn preconditions(state: &Self, step: &Step) -> bool {
        let (recipients, policies, groups) =
            (state.recipients.len(), state.policies.len(), state.groups.len());
        match step {
            Step::CreateRecipient(..) | Step::CreatePolicy(..) | Step::Wait(_) => true,
            Step::SetClass(recipient, _) | Step::DeleteRecipient(recipient) => *recipient < recipients,
            Step::CreateGroup(recipient) => recipient.is_none_or(|recipient| recipient < recipients),
            Step::Edit(policy, _)
            | Step::Rename(policy, _)
            | Step::ToSandbox(policy)
            | Step::ToProduction(policy, ..)
            | Step::Rollback(policy, _)
            | Step::Snapshot(policy)
            | Step::DeletePolicy(policy) => *policy < policies,
            Step::ToPilot(policy, _, recipient) => *policy < policies && *recipient < recipients,
            Step::SetAudience(policy, some) => {
                *policy < policies && some.iter().flatten().all(|group| *group < groups)
            }
            Step::AddMember(group, recipient) | Step::RemoveMember(group, recipient) => {
                *group < groups && *recipient < recipients
            }
            Step::DeleteGroup(group) => *group < groups,
            Step::Assign(group, policy) | Step::Unassign(group, policy) => {
                *group < groups && *policy < policies
            }
        }
    }
}

/// The API, and the ids that it gave, by the numbers of their things.
struct System {
    runtime: tokio::runtime::Runtime,
    table: TestTable,
    api: Api,
    clock: TestClock,
    key: String,
    dock: String,
    recipients: Vec<String>,
    policies: Vec<String>,
    groups: Vec<String>,
    /// What each version that was seen says.
    seen: Mutex<BTreeMap<(usize, u64), Value>>,
    /// What the model said before the step that comes.
    before: Model,
}

impl System {
    async fn act(&self, endpoint: &str, parameters: &[(&str, &str)], body: Option<Value>) -> Reply {
        self.ask(endpoint, parameters, "", body).await
    }

    async fn ask(
        &self,
        endpoint: &str,
        parameters: &[(&str, &str)],
        query: &str,
        body: Option<Value>,
    ) -> Reply {
        let asker = Asker { api: &self.api, key: &self.key, dock: &self.dock };
        asker.reply(endpoint, parameters, query, body.unwrap_or_default()).await
    }

    /// A whole list, which must fit on a page.
    async fn list(&self, endpoint: &str, parameters: &[(&str, &str)]) -> Vec<Value> {
        self.ask(endpoint, parameters, "limit=1000", None).await.list()
    }

    async fn carry_out(&self, model: &Model, step: &Step) -> Reply {
        let policy = |number: usize| [("policyId", self.policies[number].as_str())];
        let group = |number: usize| [("groupId", self.groups[number].as_str())];
        let publish =
            async |number: usize, body: Value| self.act("publish-policy", &policy(number), Some(body)).await;
        match step {
            Step::CreateRecipient(class, has_lender_id) => {
                let identifiers = if *has_lender_id { json!({"lender_id": "L"}) } else { json!({}) };
                let email = format!("r{}@example.com", self.recipients.len());
                let body = json!({
                    "name": "R", "email": email, "stakeholderClass": CLASSES[*class], "identifiers": identifiers,
                });
                self.act("create-recipient", &[], Some(body)).await
            }
            Step::SetClass(recipient, class) => {
                let of = [("recipientId", self.recipients[*recipient].as_str())];
                let body = json!({"stakeholderClass": class.map(|class| CLASSES[class])});
                self.act("update-recipient", &of, Some(body)).await
            }
            Step::DeleteRecipient(recipient) => {
                self.act("delete-recipient", &[("recipientId", &self.recipients[*recipient])], None).await
            }
            Step::CreatePolicy(class, of) => {
                let body = json!({"name": "A policy", "recipe": recipe(*class, *of)});
                self.act("create-policy", &[], Some(body)).await
            }
            Step::Edit(number, of) => {
                let body = json!({"recipe": recipe(model.policies[*number].class, *of)});
                self.act("update-policy", &policy(*number), Some(body)).await
            }
            Step::Rename(number, name) => {
                self.act("update-policy", &policy(*number), Some(json!({"name": name}))).await
            }
            Step::SetAudience(number, groups) => {
                let audience = match groups {
                    None => json!({"everyone": true}),
                    Some(groups) => {
                        let ids: BTreeSet<&String> =
                            groups.iter().map(|group| &self.groups[*group]).collect();
                        json!({"groupIds": ids})
                    }
                };
                self.act("update-policy", &policy(*number), Some(json!({"audience": audience}))).await
            }
            Step::ToSandbox(number) => publish(*number, json!({"stage": "sandbox"})).await,
            Step::ToPilot(number, back, recipient) => {
                let version = model.policies[*number].version(*back);
                let ids = [&self.recipients[*recipient]];
                publish(*number, json!({"stage": "pilot", "version": version, "recipientIds": ids})).await
            }
            Step::ToProduction(number, back, days) => {
                let version = model.policies[*number].version(*back);
                let date = days.map(|days| start().plus_days(model.day + days).to_string());
                let body = json!({"stage": "production", "version": version, "scheduledEnforceDate": date});
                publish(*number, body).await
            }
            Step::Rollback(number, back) => {
                let version = model.policies[*number].version(*back).to_string();
                let of = [("policyId", self.policies[*number].as_str()), ("version", &version)];
                self.act("rollback-policy", &of, None).await
            }
            Step::Snapshot(number) => self.act("create-policy-version", &policy(*number), None).await,
            Step::DeletePolicy(number) => self.act("delete-policy", &policy(*number), None).await,
            Step::CreateGroup(recipient) => {
                let ids: Vec<&String> = recipient.iter().map(|number| &self.recipients[*number]).collect();
                self.act("create-group", &[], Some(json!({"name": "A group", "recipientIds": ids}))).await
            }
            Step::AddMember(number, recipient) => {
                let body = json!({"recipientIds": [self.recipients[*recipient]]});
                self.act("add-group-recipients", &group(*number), Some(body)).await
            }
            Step::RemoveMember(number, recipient) => {
                let of = [
                    ("groupId", self.groups[*number].as_str()),
                    ("recipientId", &self.recipients[*recipient]),
                ];
                self.act("remove-group-recipient", &of, None).await
            }
            Step::DeleteGroup(number) => self.act("delete-group", &group(*number), None).await,
            Step::Assign(number, of) => {
                let body = json!({"policyId": self.policies[*of]});
                self.act("assign-policy", &group(*number), Some(body)).await
            }
            Step::Unassign(number, of) => {
                let body = json!({"policyId": self.policies[*of]});
                self.act("unassign-policy", &group(*number), Some(body)).await
            }
            Step::Wait(_) => panic!("nothing to ask"),
        }
    }

    /// Asserts that everything that the API shows is what the model says.
    async fn compare(&self, model: &Model) {
        for (number, recipient) in model.recipients.iter().enumerate() {
            let asked = json!({
                "subject": {"type": "recipient", "id": self.recipients[number]}, "action": {"name": "bulk_api"},
                "resource": {"type": "dock"}, "context": {"factors": ["shared_passphrase"]},
            });
            let reply = self.act("evaluate-access", &[], Some(asked)).await;
            if !recipient.is_there {
                assert_eq!(reply.status, 404);
                continue;
            }
            assert_eq!(
                reply.body["decision"],
                model.is_let_in(number),
                "recipient {number}: {}",
                reply.shown()
            );
        }
        let listed = self.list("list-policies", &[]).await;
        assert_eq!(listed.len(), model.policies.iter().filter(|policy| policy.is_there).count());
        for (number, policy) in model.policies.iter().enumerate() {
            let shown = listed.iter().find(|shown| shown["id"] == self.policies[number].as_str());
            assert_eq!(shown.is_some(), policy.is_there, "policy {number}");
            let Some(shown) = shown else { continue };
            let mut policy = policy.clone();
            policy.settle(model.day);
            let status = match (policy.production, policy.pilot) {
                (Some(_), _) => "PRODUCTION",
                (None, Some(_)) => "PILOT",
                (None, None) => "DRAFT",
            };
            let audience = policy.audience.as_ref().map(|groups| {
                groups.iter().map(|group| self.groups[*group].clone()).collect::<BTreeSet<String>>()
            });
            let audience = audience.map_or(json!({"everyone": true}), |ids| json!({"groupIds": ids}));
            let from = policy.scheduled.map(|(_, day)| start().plus_days(day).to_string());
            assert_eq!(
                json!([
                    shown["name"],
                    shown["status"],
                    shown["currentVersion"],
                    shown["audience"],
                    shown["production"]["version"],
                    shown["pilot"]["version"],
                    shown["scheduled"]["version"],
                    shown["scheduled"]["from"],
                ]),
                json!([
                    policy.name,
                    status,
                    policy.versions.len(),
                    audience,
                    policy.production,
                    policy.pilot.map(|(version, _)| version),
                    policy.scheduled.map(|(version, _)| version),
                    from,
                ]),
                "policy {number}"
            );
            let of = self.policies[number].clone();
            for version in self.list("list-policy-versions", &[("policyId", &of)]).await {
                let key = (number, version["version"].as_u64().unwrap());
                let mut seen = self.seen.lock().unwrap();
                assert_eq!(
                    *seen.entry(key).or_insert_with(|| version.clone()),
                    version,
                    "a version never changes"
                );
            }
        }
        for (number, group) in model.groups.iter().enumerate().filter(|(_, group)| group.is_there) {
            let of = self.groups[number].clone();
            let members = self.list("list-group-recipients", &[("groupId", &of)]).await;
            let shown: BTreeSet<&str> = members.iter().map(|member| member["id"].as_str().unwrap()).collect();
            let expected = group.members.iter().map(|member| self.recipients[*member].as_str()).collect();
            assert_eq!((shown, members.len()), (expected, group.members.len()), "group {number}");
        }
    }
}

impl StateMachineTest for System {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let clock = TestClock::at(start());
        let Account { table, key, dock } = runtime.block_on(Account::new());
        let api = Api::new(Context::new(table.store.clone(), Mode::Live, clock.clock()));
        let (recipients, policies, groups, seen) = Default::default();
        let before = model.clone();
        Self { runtime, table, api, clock, key, dock, recipients, policies, groups, seen, before }
    }

    /// `model` is what it says after the step.
    fn apply(mut system: Self, model: &Model, step: Step) -> Self {
        let before = std::mem::replace(&mut system.before, model.clone());
        if let Step::Wait(days) = step {
            system.clock.set(system.clock.now().plus_days(days));
        } else {
            let reply = system.runtime.block_on(system.carry_out(&before, &step));
            assert_eq!(reply.status, before.answer(&step), "{step:?}: {}", reply.shown());
            let id = || reply.body["id"].as_str().unwrap().to_owned();
            match (&step, reply.status) {
                (Step::CreateRecipient(..), 201) => system.recipients.push(id()),
                (Step::CreatePolicy(..), 201) => system.policies.push(id()),
                (Step::CreateGroup(_), 201) => system.groups.push(id()),
                _ => {}
            }
        }
        if let Some(allowed) = before.may_let_in(&step) {
            let new: BTreeSet<usize> = model.let_in().difference(&before.let_in()).copied().collect();
            assert!(new.is_subset(&allowed), "{step:?} let in {new:?}");
        }
        system.runtime.block_on(system.compare(model));
        system
    }

    fn teardown(system: Self, _: Model) {
        system.runtime.block_on(trail::assert_explains(&system.table));
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig {
        cases: if is_thorough() { 500 } else { 16 },
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_is_done_evaluate_agrees_with_the_model(sequential 10..40 => System);
}

/// A recipient of the dock of a thousand: its class, and what it has.
struct Lender {
    id: String,
    class: &'static str,
    factors: Vec<&'static str>,
    is_in_group: bool,
}

/// The nth of a thousand recipients, of all kinds.
async fn lender(asker: &Asker<'_>, n: usize) -> Lender {
    let class = ["mortgagee", "policyholder", "mortgagee", "agent"][n % 4];
    let mut identifiers = json!({});
    if !n.is_multiple_of(3) {
        identifiers["lender_id"] = json!(format!("LND-{n}"));
    }
    if !n.is_multiple_of(5) {
        identifiers["phone"] = json!("+1-860-555-0147");
    }
    let body = json!({
        "name": "R", "email": format!("r{n}@example.com"), "stakeholderClass": class, "identifiers": identifiers,
    });
    let id = asker.create("create-recipient", &[], body).await;
    let mut factors = Vec::new();
    if n % 7 < 4 {
        let secret = asker.create("generate-secret", &[("recipientId", &id)], json!({"name": "S"})).await;
        if n.is_multiple_of(7) {
            let of = [("recipientId", id.as_str()), ("secretId", secret.as_str())];
            asker.ask("revoke-secret", &of, Value::Null).await;
        } else {
            factors.push("shared_passphrase");
        }
    }
    if !n.is_multiple_of(5) {
        factors.push("sms_otp");
    }
    Lender { id, class, factors, is_in_group: n.is_multiple_of(2) }
}

#[tokio::test]
async fn simulate_agrees_with_evaluate_for_every_recipient_of_a_dock_of_a_thousand() {
    let table = TestTable::start().await;
    let account = table.account().await;
    let (key, dock) = (table.key(account).await, table.dock(account).await.to_string());
    let api = Api::new(Context::new(table.store.clone(), Mode::Live, Clock::system()));
    let asker = Asker { api: &api, key: &key, dock: &dock };
    let mut lenders = Vec::new();
    for n in 0..1000 {
        lenders.push(lender(&asker, n).await);
    }
    let group = asker.group("A group", &[]).await;
    let members: Vec<&str> =
        lenders.iter().filter(|lender| lender.is_in_group).map(|lender| lender.id.as_str()).collect();
    for members in members.chunks(100) {
        let body = json!({"recipientIds": members});
        asker.ask("add-group-recipients", &[("groupId", &group)], body).await;
    }
    let people = json!({
        "stakeholderClass": "policyholder", "artifactTypes": ["*"], "auth": {"factors": ["sms_otp"]},
        "access": {"method": "portal"}, "match": {"identifiers": ["lender_id"]},
    });
    for (class, method, recipe, audience) in [
        ("mortgagee", "bulk_api", scene::recipe(), json!({"groupIds": [group]})),
        ("policyholder", "portal", people, json!({"everyone": true})),
    ] {
        let body = json!({"name": "P", "recipe": recipe, "audience": audience});
        let policy = asker.create("create-policy", &[], body).await;
        asker.publish(&policy, json!({"stage": "production", "version": 1})).await;
        let (mut covered, mut let_in) = (0, 0);
        for lender in &lenders {
            let asked = json!({
                "subject": {"type": "recipient", "id": lender.id}, "action": {"name": method},
                "resource": {"type": "dock"}, "context": {"factors": lender.factors},
            });
            let decision = asker.ask("evaluate-access", &[], asked).await["decision"] == true;
            let is_covered = lender.class == class && (class == "policyholder" || lender.is_in_group);
            assert!(is_covered || !decision);
            covered += usize::from(is_covered);
            let_in += usize::from(decision);
        }
        let (mut report, mut cursor, mut calls) = ([0; 5], Value::Null, 0);
        loop {
            let page =
                asker.ask("simulate-policy", &[("policyId", &policy)], json!({"cursor": cursor})).await;
            let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
            let of_breakdown = |is: fn(&Value) -> bool| {
                let rows = page["breakdown"].as_array().unwrap().iter().filter(|row| is(row));
                rows.map(|row| number(&row["recipients"])).sum::<usize>()
            };
            for (sum, part) in report.iter_mut().zip([
                number(&page["totalRecipients"]),
                number(&page["compliant"]),
                number(&page["nonCompliant"]),
                of_breakdown(|_| true),
                of_breakdown(|row| row["missingFactors"] == json!([])),
            ]) {
                *sum += part;
            }
            calls += 1;
            cursor = page["cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(report[..4], [covered, let_in, covered - let_in, covered], "{class}");
        assert!(
            let_in > 20 && let_in < report[4] && report[4] < covered,
            "of each kind some: {let_in} {report:?}"
        );
        assert_eq!(calls, 5, "of two hundred each");
    }
}

/// As after a deletion that was interrupted before it took the group out of audiences.
#[tokio::test]
async fn a_group_decides_nothing_once_it_is_gone_and_the_repeated_deletion_takes_it_out_of_audiences() {
    let table = TestTable::start().await;
    let account = table.account().await;
    let key = table.key(account).await;
    let scene = Scene::create(&table.store, &key, None, "").await;
    let api = Api::new(Context::new(table.store.clone(), Mode::Live, Clock::system()));
    let asker = Asker { api: &api, key: &key, dock: &scene.dock };
    let evaluate = async || {
        let asked = json!({
            "subject": {"type": "recipient", "id": scene.member}, "action": {"name": "bulk_api"},
            "resource": {"type": "dock"}, "context": {"factors": ["shared_passphrase"]},
        });
        asker.ask("evaluate-access", &[], asked).await["decision"] == true
    };
    assert!(evaluate().await, "a member of the group that the policy is for");
    let (dock, id) = (DockId::parse(&scene.dock).unwrap(), GroupId::parse(&scene.group).unwrap());
    let group = table.store.group(dock, id).await.unwrap().unwrap();
    let entry = || group.deleted().by(&operator(account), Clock::system().now());
    let deleted = table
        .store
        .delete_group(group.clone(), Clock::system().now(), |_| Ok::<(), store::Error>(()), entry)
        .await;
    assert!(deleted.unwrap());
    assert!(!evaluate().await, "its membership and its place in the audience are there still");

    let of = [("groupId", scene.group.as_str())];
    assert_eq!(asker.reply("delete-group", &of, "", Value::Null).await.status, 404);
    let policy = asker.ask("get-policy", &[("policyId", &scene.published)], Value::Null).await;
    assert_eq!(policy["audience"], json!({"groupIds": []}));
    assert!(!evaluate().await);
}

/// As pointers were written before they had one.
#[tokio::test]
async fn a_recipient_whose_pointer_has_another_class_or_none_is_judged_by_its_own() {
    let table = TestTable::start().await;
    let account = table.account().await;
    let key = table.key(account).await;
    let scene = Scene::create(&table.store, &key, None, "").await;
    let api = Api::new(Context::new(table.store.clone(), Mode::Live, Clock::system()));
    let asker = Asker { api: &api, key: &key, dock: &scene.dock };
    for expression in ["REMOVE stakeholderClass", "SET stakeholderClass = :class"] {
        let update = table.client.update_item().table_name(TABLE).update_expression(expression);
        let update = update.key("pk", AttributeValue::S(format!("RECIPIENT#{}", scene.member)));
        let update = update.key("sk", AttributeValue::S("RECIPIENT".to_owned()));
        let class = expression.contains(':').then(|| AttributeValue::S("agent".to_owned()));
        let update =
            update.set_expression_attribute_values(class.map(|class| [(":class".to_owned(), class)].into()));
        update.send().await.unwrap();
        let asked = json!({
            "subject": {"type": "recipient", "id": scene.member}, "action": {"name": "bulk_api"},
            "resource": {"type": "dock"}, "context": {"factors": ["shared_passphrase"]},
        });
        assert_eq!(asker.ask("evaluate-access", &[], asked).await["decision"], true, "{expression}");
    }
}

#[tokio::test]
async fn of_a_deleted_recipient_nothing_is_left_but_its_trail() {
    let table = TestTable::start().await;
    let account = table.account().await;
    let key = table.key(account).await;
    let scene = Scene::create(&table.store, &key, None, "").await;
    let api = Api::new(Context::new(table.store.clone(), Mode::Live, Clock::system()));
    let asker = Asker { api: &api, key: &key, dock: &scene.dock };
    let left = async || {
        let items = table.items().await;
        let is_its_own = |item: &&trail::Item| {
            // Its tokens open nothing without it, and end by themselves.
            let is_token = trail::text(item, "pk").starts_with("TOKEN#");
            assert!(!is_token || item.contains_key("ttl"));
            !trail::is_entry(item)
                && !is_token
                && ["pk", "sk"].iter().any(|name| trail::text(item, name).contains(&scene.member))
        };
        items.iter().filter(is_its_own).count()
    };
    assert_eq!(left().await, 8, "a pointer, a secret, a certificate and two memberships in two places");
    asker.ask("delete-recipient", &[("recipientId", &scene.member)], Value::Null).await;
    worker::handle(&Context::new(table.store.clone(), Mode::Live, Clock::system()), &json!({}))
        .await
        .unwrap();
    assert_eq!(left().await, 0, "once the worker has swept");
}
