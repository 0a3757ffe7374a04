//! The API against a model of it: random sequences of every operation that changes something, by two accounts, with a
//! clock that jumps. After each step everything that the API shows, and the verification of every value that it ever
//! gave, agrees with the model.

use std::collections::BTreeMap;

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::Timestamp;
use docyard_test_support::api::{Api, Reply};
use docyard_test_support::clock::TestClock;
use docyard_test_support::is_thorough;
use docyard_test_support::table::TestTable;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use serde_json::{Value, json};

/// Whose key a request carries: that of the first or the second account.
type Caller = usize;

/// What can be done. Things are named by their number, in the order in which they were made; all numbers were given.
#[derive(Clone, Debug)]
enum Step {
    CreateDock(Caller),
    RenameDock(Caller, usize, &'static str),
    CreateRecipient(Caller, usize, &'static str),
    RenameRecipient(Caller, usize, &'static str),
    MoveRecipient(Caller, usize, &'static str),
    DeleteRecipient(Caller, usize),
    Generate(Caller, usize, Option<u16>),
    /// With so many days of grace.
    Rotate(Caller, usize, u16),
    Revoke(Caller, usize),
    Wait(u16),
}

#[derive(Clone, Debug)]
struct Dock {
    owner: Caller,
    name: String,
}

#[derive(Clone, Debug)]
struct Recipient {
    dock: usize,
    name: String,
    email: String,
    is_there: bool,
}

/// A rotation: the replacement's number, and the day on which the grace ends, if there is one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rotated {
    to: usize,
    grace_ends: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Rotated(Rotated),
    /// With the rotation in whose grace it was revoked.
    Revoked(Option<Rotated>),
}

#[derive(Clone, Debug)]
struct Secret {
    recipient: usize,
    lifetime: Option<u16>,
    /// The day on which it was made, and its replacement's number or revocation.
    made: u16,
    end: Option<End>,
}

/// An entity of the trail.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Entity {
    Dock(usize),
    Recipient(usize),
    Secret(usize),
}

/// An entry of the trail.
#[derive(Clone, Debug)]
struct Entry {
    dock: usize,
    of: Entity,
    /// A secret that replaced the first.
    also_of: Option<Entity>,
    action: &'static str,
}

/// All that is known of two accounts. Time is counted in days.
#[derive(Clone, Debug, Default)]
struct Model {
    docks: Vec<Dock>,
    recipients: Vec<Recipient>,
    secrets: Vec<Secret>,
    trail: Vec<Entry>,
    day: u16,
}

/// The first day.
fn start() -> Timestamp {
    Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap()
}

impl Model {
    fn owns_dock(&self, caller: Caller, dock: usize) -> bool {
        self.docks[dock].owner == caller
    }

    fn has_recipient(&self, caller: Caller, recipient: usize) -> bool {
        self.recipients[recipient].is_there && self.owns_dock(caller, self.recipients[recipient].dock)
    }

    fn has_secret(&self, caller: Caller, secret: usize) -> bool {
        self.has_recipient(caller, self.secrets[secret].recipient)
    }

    fn holder(&self, dock: usize, email: &str) -> Option<usize> {
        let holds =
            |recipient: &Recipient| recipient.is_there && recipient.dock == dock && recipient.email == email;
        self.recipients.iter().position(holds)
    }

    fn is_expired(&self, secret: usize) -> bool {
        let Secret { made, lifetime, .. } = self.secrets[secret];
        lifetime.is_some_and(|days| self.day >= made + days)
    }

    fn rotated(&self, secret: usize) -> Option<Rotated> {
        match self.secrets[secret].end {
            Some(End::Rotated(rotated) | End::Revoked(Some(rotated))) => Some(rotated),
            _ => None,
        }
    }

    fn is_in_grace(&self, secret: usize) -> bool {
        match self.secrets[secret].end {
            Some(End::Rotated(Rotated { grace_ends: Some(end), .. })) => self.day < end,
            _ => false,
        }
    }

    fn expiry(&self, secret: usize) -> Option<String> {
        let Secret { made, lifetime, .. } = self.secrets[secret];
        let grace_ends = self.rotated(secret).and_then(|rotated| rotated.grace_ends);
        let day = grace_ends.or_else(|| lifetime.map(|days| made + days));
        day.map(|day| start().plus_days(day).to_string())
    }

    fn is_valid(&self, secret: usize) -> bool {
        match self.secrets[secret].end {
            None => !self.is_expired(secret),
            Some(_) => self.is_in_grace(secret),
        }
    }

    fn status(&self, secret: usize) -> &'static str {
        match self.secrets[secret].end {
            Some(End::Rotated(_)) if self.is_in_grace(secret) => "ACTIVE",
            Some(End::Rotated(_)) => "ROTATED",
            Some(End::Revoked(_)) => "REVOKED",
            None if self.is_expired(secret) => "EXPIRED",
            None => "ACTIVE",
        }
    }

    /// The status that a step gets.
    fn answer(&self, step: &Step) -> u16 {
        match *step {
            Step::CreateDock(_) => 201,
            Step::RenameDock(caller, dock, _) => {
                if self.owns_dock(caller, dock) {
                    200
                } else {
                    404
                }
            }
            Step::CreateRecipient(caller, dock, email) => match self.owns_dock(caller, dock) {
                false => 404,
                true if self.holder(dock, email).is_some() => 409,
                true => 201,
            },
            Step::RenameRecipient(caller, recipient, _) | Step::DeleteRecipient(caller, recipient) => {
                if self.has_recipient(caller, recipient) { 200 } else { 404 }
            }
            Step::MoveRecipient(caller, recipient, email) => {
                let holder = self.holder(self.recipients[recipient].dock, email);
                match self.has_recipient(caller, recipient) {
                    false => 404,
                    true if holder.is_some_and(|holder| holder != recipient) => 409,
                    true => 200,
                }
            }
            Step::Generate(caller, recipient, _) => {
                if self.has_recipient(caller, recipient) {
                    201
                } else {
                    404
                }
            }
            Step::Rotate(caller, secret, _) => match self.has_secret(caller, secret) {
                false => 404,
                true if self.secrets[secret].end.is_none() && self.is_valid(secret) => 201,
                true => 409,
            },
            Step::Revoke(caller, secret) => match (self.has_secret(caller, secret), self.secrets[secret].end)
            {
                (false, _) => 404,
                (true, None | Some(End::Revoked(_))) => 200,
                (true, Some(End::Rotated(_))) if self.is_in_grace(secret) => 200,
                (true, Some(End::Rotated(_))) => 409,
            },
            Step::Wait(_) => 0,
        }
    }

    /// What the trail tells of a step that is answered with success; `None` if it changes nothing.
    fn told(&self, step: &Step) -> Option<Entry> {
        let entry = |dock, of, action| Some(Entry { dock, of, also_of: None, action });
        let of_recipient = |recipient: usize, action| {
            entry(self.recipients[recipient].dock, Entity::Recipient(recipient), action)
        };
        let dock_of = |secret: usize| self.recipients[self.secrets[secret].recipient].dock;
        match *step {
            Step::CreateDock(_) => entry(self.docks.len(), Entity::Dock(self.docks.len()), "create"),
            Step::RenameDock(_, dock, name) if self.docks[dock].name == name => None,
            Step::RenameDock(_, dock, _) => entry(dock, Entity::Dock(dock), "update"),
            Step::CreateRecipient(_, dock, _) => {
                entry(dock, Entity::Recipient(self.recipients.len()), "create")
            }
            Step::RenameRecipient(_, recipient, name) if self.recipients[recipient].name == name => None,
            Step::MoveRecipient(_, recipient, email) if self.recipients[recipient].email == email => None,
            Step::RenameRecipient(_, recipient, _) | Step::MoveRecipient(_, recipient, _) => {
                of_recipient(recipient, "update")
            }
            Step::DeleteRecipient(_, recipient) => of_recipient(recipient, "delete"),
            Step::Generate(_, recipient, _) => {
                entry(self.recipients[recipient].dock, Entity::Secret(self.secrets.len()), "create")
            }
            Step::Rotate(_, secret, _) => {
                let also_of = Some(Entity::Secret(self.secrets.len()));
                entry(dock_of(secret), Entity::Secret(secret), "rotate")
                    .map(|entry| Entry { also_of, ..entry })
            }
            Step::Revoke(_, secret) if matches!(self.secrets[secret].end, Some(End::Revoked(_))) => None,
            Step::Revoke(_, secret) => entry(dock_of(secret), Entity::Secret(secret), "revoke"),
            Step::Wait(_) => None,
        }
    }

    /// What a step that is answered with success changes.
    fn apply_success(&mut self, step: &Step) {
        self.trail.extend(self.told(step));
        match *step {
            Step::CreateDock(owner) => self.docks.push(Dock { owner, name: "A dock".to_owned() }),
            Step::RenameDock(_, dock, name) => self.docks[dock].name = name.to_owned(),
            Step::CreateRecipient(_, dock, email) => self.recipients.push(Recipient {
                dock,
                name: "A recipient".to_owned(),
                email: email.to_owned(),
                is_there: true,
            }),
            Step::RenameRecipient(_, recipient, name) => self.recipients[recipient].name = name.to_owned(),
            Step::MoveRecipient(_, recipient, email) => self.recipients[recipient].email = email.to_owned(),
            Step::DeleteRecipient(_, recipient) => self.recipients[recipient].is_there = false,
            Step::Generate(_, recipient, lifetime) => {
                self.secrets.push(Secret { recipient, lifetime, made: self.day, end: None });
            }
            Step::Rotate(_, secret, grace) => {
                let Secret { made, lifetime, .. } = self.secrets[secret];
                let end = lifetime.map_or(u16::MAX, |days| made + days).min(self.day + grace);
                let grace_ends = (grace > 0).then_some(end);
                let new = Secret { made: self.day, end: None, ..self.secrets[secret].clone() };
                self.secrets[secret].end = Some(End::Rotated(Rotated { to: self.secrets.len(), grace_ends }));
                self.secrets.push(new);
            }
            Step::Revoke(_, secret) => {
                let rotated = self.rotated(secret);
                self.secrets[secret].end = Some(End::Revoked(rotated));
            }
            Step::Wait(days) => self.day += days,
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
        // Mostly the owner of the first things.
        let caller = || prop_oneof![4 => Just(0_usize), 1 => Just(1)];
        let name = || prop_oneof![Just("One"), Just("Two")];
        let email = || prop_oneof![Just("a@example.com"), Just("b@example.com"), Just("c@example.com")];
        let days = || prop_oneof![Just(None), Just(Some(1)), Just(Some(30))];
        let one_of = |count: usize| any::<Index>().prop_map(move |index| index.index(count));
        let (docks, recipients, secrets) = (state.docks.len(), state.recipients.len(), state.secrets.len());
        let mut steps = vec![(1, caller().prop_map(Step::CreateDock).boxed())];
        if docks > 0 {
            steps.push((
                1,
                (caller(), one_of(docks), name()).prop_map(|(c, d, n)| Step::RenameDock(c, d, n)).boxed(),
            ));
            let create =
                (caller(), one_of(docks), email()).prop_map(|(c, d, e)| Step::CreateRecipient(c, d, e));
            steps.push((5, create.boxed()));
        }
        if recipients > 0 {
            let rename =
                (caller(), one_of(recipients), name()).prop_map(|(c, r, n)| Step::RenameRecipient(c, r, n));
            let moved =
                (caller(), one_of(recipients), email()).prop_map(|(c, r, e)| Step::MoveRecipient(c, r, e));
            let generate =
                (caller(), one_of(recipients), days()).prop_map(|(c, r, d)| Step::Generate(c, r, d));
            let delete = (caller(), one_of(recipients)).prop_map(|(c, r)| Step::DeleteRecipient(c, r));
            steps.extend([
                (1, rename.boxed()),
                (2, moved.boxed()),
                (6, generate.boxed()),
                (1, delete.boxed()),
            ]);
        }
        if secrets > 0 {
            let wait = prop_oneof![Just(1_u16), Just(6), Just(29), Just(400)].prop_map(Step::Wait);
            let grace = prop_oneof![Just(0_u16), Just(2), Just(7)];
            let rotate = (caller(), one_of(secrets), grace).prop_map(|(c, s, g)| Step::Rotate(c, s, g));
            steps.push((3, wait.boxed()));
            steps.push((4, rotate.boxed()));
            steps.push((3, (caller(), one_of(secrets)).prop_map(|(c, s)| Step::Revoke(c, s)).boxed()));
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
        match *step {
            Step::CreateDock(_) | Step::Wait(_) => true,
            Step::RenameDock(_, dock, _) | Step::CreateRecipient(_, dock, _) => dock < state.docks.len(),
            Step::RenameRecipient(_, recipient, _)
            | Step::MoveRecipient(_, recipient, _)
            | Step::DeleteRecipient(_, recipient)
            | Step::Generate(_, recipient, _) => recipient < state.recipients.len(),
            Step::Rotate(_, secret, _) | Step::Revoke(_, secret) => secret < state.secrets.len(),
        }
    }
}

/// The API, and the ids and values that it gave, by the numbers of their things.
struct System {
    runtime: tokio::runtime::Runtime,
    api: Api,
    clock: TestClock,
    keys: Vec<String>,
    docks: Vec<String>,
    recipients: Vec<String>,
    secrets: Vec<String>,
    values: Vec<String>,
    /// What the model said before the step that comes.
    before: Model,
}

const NOWHERE: &str = "rcp_00000000000000000000000000";

impl System {
    /// Asks an endpoint about a dock, a recipient and a secret, by their ids.
    async fn ask(
        &self,
        caller: Caller,
        function: &str,
        [dock, recipient, secret]: [&str; 3],
        query: &str,
        body: Option<Value>,
    ) -> Reply {
        let parameters = [("dockId", dock), ("recipientId", recipient), ("secretId", secret)];
        let headers = [("authorization", format!("Bearer {}", self.keys[caller]))];
        self.api.ask(function, &parameters, query, &headers, body.map(|body| body.to_string())).await
    }

    async fn carry_out(&self, model: &Model, step: &Step) -> Reply {
        let dock = |dock: usize| [self.docks[dock].as_str(), NOWHERE, NOWHERE];
        let recipient = |recipient: usize| {
            let dock = model.recipients[recipient].dock;
            [self.docks[dock].as_str(), self.recipients[recipient].as_str(), NOWHERE]
        };
        let secret = |secret: usize| {
            let recipient = model.secrets[secret].recipient;
            [NOWHERE, self.recipients[recipient].as_str(), self.secrets[secret].as_str()]
        };
        let nothing = [NOWHERE; 3];
        match *step {
            Step::CreateDock(caller) => {
                self.ask(caller, "create-dock", nothing, "", Some(json!({"name": "A dock"}))).await
            }
            Step::RenameDock(caller, of, name) => {
                self.ask(caller, "update-dock", dock(of), "", Some(json!({"name": name}))).await
            }
            Step::CreateRecipient(caller, of, email) => {
                let body = json!({"name": "A recipient", "email": email});
                self.ask(caller, "create-recipient", dock(of), "", Some(body)).await
            }
            Step::RenameRecipient(caller, of, name) => {
                self.ask(caller, "update-recipient", recipient(of), "", Some(json!({"name": name}))).await
            }
            Step::MoveRecipient(caller, of, email) => {
                self.ask(caller, "update-recipient", recipient(of), "", Some(json!({"email": email}))).await
            }
            Step::DeleteRecipient(caller, of) => {
                self.ask(caller, "delete-recipient", recipient(of), "", None).await
            }
            Step::Generate(caller, of, days) => {
                let body = json!({"name": "A secret", "expiresInDays": days});
                self.ask(caller, "generate-secret", recipient(of), "", Some(body)).await
            }
            Step::Rotate(caller, of, grace) => {
                let body = (grace > 0).then(|| json!({"graceHours": 24 * grace}));
                self.ask(caller, "rotate-secret", secret(of), "", body).await
            }
            Step::Revoke(caller, of) => self.ask(caller, "revoke-secret", secret(of), "", None).await,
            Step::Wait(_) => panic!("nothing to ask"),
        }
    }

    /// All pages of a list, read two things at a time.
    async fn pages(&self, caller: Caller, function: &str, of: [&str; 3]) -> Result<Vec<Value>, u16> {
        let (mut things, mut query) = (Vec::new(), "limit=2".to_owned());
        loop {
            let reply = self.ask(caller, function, of, &query, None).await;
            if reply.status != 200 {
                return Err(reply.status);
            }
            things.extend(reply.list());
            match reply.next_query() {
                Some(next) => query = next,
                None => return Ok(things),
            }
        }
    }

    /// The trail of a dock, or that of an entity: of each entry its entity's id and its action, in alphabetical order.
    async fn trail(&self, caller: Caller, dock: Option<usize>, of: Entity) -> Result<Vec<[String; 2]>, u16> {
        let (entity_type, entity_id) = self.named(of);
        let parameters = [("entityType", entity_type), ("entityId", entity_id)];
        let headers = [("authorization", format!("Bearer {}", self.keys[caller]))];
        let (function, mut query) = match dock {
            Some(dock) => ("list-audit-logs", format!("dockId={}&limit=40", self.docks[dock])),
            None => ("list-entity-audit-logs", "limit=3".to_owned()),
        };
        let mut told = Vec::new();
        loop {
            let reply = self.api.ask(function, &parameters, &query, &headers, None).await;
            if reply.status != 200 {
                return Err(reply.status);
            }
            let entries = reply.list();
            told.extend(
                entries.iter().map(|entry| ["entityId", "action"].map(|field| text(entry, field).to_owned())),
            );
            match reply.next_query() {
                Some(next) => query = next,
                None => break,
            }
        }
        told.sort();
        Ok(told)
    }

    /// The kind and the id of an entity.
    fn named(&self, entity: Entity) -> (&'static str, &str) {
        match entity {
            Entity::Dock(number) => ("dock", &self.docks[number]),
            Entity::Recipient(number) => ("recipient", &self.recipients[number]),
            Entity::Secret(number) => ("secret", &self.secrets[number]),
        }
    }

    /// Asserts that the trail of each dock, and that of each of these entities, is what the model says, and nobody else's.
    async fn compare_trail(&self, model: &Model, entities: impl Iterator<Item = Entity>) {
        let expected = |is_in: &dyn Fn(&Entry) -> bool| {
            let entries = model.trail.iter().filter(|entry| is_in(entry));
            let mut told: Vec<[String; 2]> =
                entries.map(|entry| [self.named(entry.of).1.to_owned(), entry.action.to_owned()]).collect();
            told.sort();
            told
        };
        for (number, dock) in model.docks.iter().enumerate() {
            let of = Entity::Dock(number);
            assert_eq!(self.trail(1 - dock.owner, Some(number), of).await, Err(404), "another's dock");
            let told = expected(&|entry| entry.dock == number);
            assert_eq!(self.trail(dock.owner, Some(number), of).await.unwrap(), told, "of dock {number}");
        }
        for entity in entities {
            let dock = match entity {
                Entity::Dock(number) => number,
                Entity::Recipient(number) => model.recipients[number].dock,
                Entity::Secret(number) => model.recipients[model.secrets[number].recipient].dock,
            };
            let owner = model.docks[dock].owner;
            assert_eq!(self.trail(1 - owner, None, entity).await, Err(404), "another's {entity:?}");
            let told = expected(&|entry| entry.of == entity || entry.also_of == Some(entity));
            assert_eq!(self.trail(owner, None, entity).await.unwrap(), told, "of {entity:?}");
        }
    }

    /// Asserts that everything that the API shows is what the model says.
    async fn compare(&self, model: &Model) {
        let last = model.trail.last();
        self.compare_trail(
            model,
            last.into_iter().flat_map(|entry| [Some(entry.of), entry.also_of]).flatten(),
        )
        .await;
        for caller in 0..2 {
            let own = (0..model.docks.len()).filter(|dock| model.owns_dock(caller, *dock));
            let mut expected: Vec<(&str, &str)> =
                own.map(|dock| (self.docks[dock].as_str(), model.docks[dock].name.as_str())).collect();
            expected.sort_by(|a, b| b.cmp(a));
            let shown = self.pages(caller, "list-docks", [NOWHERE; 3]).await.unwrap();
            let shown: Vec<(&str, &str)> =
                shown.iter().map(|dock| (text(dock, "id"), text(dock, "name"))).collect();
            assert_eq!(shown, expected, "the docks of account {caller}, newest first");
        }
        for (number, dock) in model.docks.iter().enumerate() {
            let of = [self.docks[number].as_str(), NOWHERE, NOWHERE];
            assert_eq!(self.pages(1 - dock.owner, "list-recipients", of).await, Err(404), "another's dock");
            let there = |recipient: &&(usize, &Recipient)| recipient.1.is_there && recipient.1.dock == number;
            let expected: BTreeMap<&str, (&str, &str)> = model
                .recipients
                .iter()
                .enumerate()
                .filter(|recipient| there(&recipient))
                .map(|(at, recipient)| {
                    (recipient.email.as_str(), (self.recipients[at].as_str(), recipient.name.as_str()))
                })
                .collect();
            let shown = self.pages(dock.owner, "list-recipients", of).await.unwrap();
            let shown: Vec<_> =
                shown.iter().map(|of| (text(of, "email"), (text(of, "id"), text(of, "name")))).collect();
            assert_eq!(
                shown,
                expected.into_iter().collect::<Vec<_>>(),
                "the recipients of dock {number}, by email"
            );
        }
        for (number, recipient) in model.recipients.iter().enumerate() {
            let owner = model.docks[recipient.dock].owner;
            let of = [self.docks[recipient.dock].as_str(), self.recipients[number].as_str(), NOWHERE];
            let one = self.ask(owner, "get-recipient", of, "", None).await;
            assert_eq!(one.status, if recipient.is_there { 200 } else { 404 }, "recipient {number}");
            let shown = self.pages(owner, "list-secrets", of).await;
            if !recipient.is_there {
                assert_eq!(shown, Err(404));
                continue;
            }
            assert_eq!(
                (text(&one.body, "name"), text(&one.body, "email")),
                (recipient.name.as_str(), recipient.email.as_str())
            );
            let own = (0..model.secrets.len()).filter(|secret| model.secrets[*secret].recipient == number);
            let mut expected: Vec<(&str, &str, Option<&str>, Option<String>)> = own
                .map(|secret| {
                    let to = model.rotated(secret).map(|rotated| self.secrets[rotated.to].as_str());
                    (self.secrets[secret].as_str(), model.status(secret), to, model.expiry(secret))
                })
                .collect();
            expected.sort_by(|a, b| b.cmp(a));
            let shown = shown.unwrap();
            let shown: Vec<_> = shown
                .iter()
                .map(|secret| {
                    let expiry = secret["expiresAt"].as_str().map(str::to_owned);
                    (text(secret, "id"), text(secret, "status"), secret["rotatedTo"].as_str(), expiry)
                })
                .collect();
            assert_eq!(shown, expected, "the secrets of recipient {number}, newest first");
        }
        for (number, value) in self.values.iter().enumerate() {
            let recipient = model.secrets[number].recipient;
            let owner = model.docks[model.recipients[recipient].dock].owner;
            for asked in 0..self.recipients.len() {
                let of = [NOWHERE, self.recipients[asked].as_str(), NOWHERE];
                let reply = self.ask(owner, "verify-secret", of, "", Some(json!({"secret": value}))).await;
                if !model.has_recipient(owner, asked) {
                    assert_eq!(reply.status, 404);
                    continue;
                }
                let is_valid = asked == recipient && model.is_valid(number);
                let id = is_valid.then(|| self.secrets[number].clone());
                assert_eq!(
                    reply.body,
                    json!({"valid": is_valid, "secretId": id}),
                    "value {number} of recipient {asked}"
                );
            }
        }
    }
}

impl System {
    /// Keeps the id and the value of what a step made, and looks at what it says of what was in its way.
    fn remember(&mut self, before: &Model, step: &Step, reply: &Reply) {
        match (step, reply.status) {
            (Step::CreateDock(_), _) => self.docks.push(reply.id(201)),
            (Step::CreateRecipient(..), 201) => self.recipients.push(reply.id(201)),
            (Step::Generate(..) | Step::Rotate(..), 201) => {
                self.secrets.push(reply.id(201));
                self.values.push(text(&reply.body, "secret").to_owned());
            }
            (Step::CreateRecipient(_, dock, email), 409) => {
                let holder = before.holder(*dock, email).unwrap();
                assert_eq!(text(&reply.body, "recipientId"), self.recipients[holder]);
            }
            (Step::MoveRecipient(_, recipient, email), 409) => {
                let holder = before.holder(before.recipients[*recipient].dock, email).unwrap();
                assert_eq!(text(&reply.body, "recipientId"), self.recipients[holder]);
            }
            _ => {}
        }
    }
}

fn text<'a>(thing: &'a Value, field: &str) -> &'a str {
    thing[field].as_str().unwrap()
}

impl StateMachineTest for System {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let clock = TestClock::at(start());
        let (api, keys) = runtime.block_on(async {
            let table = TestTable::start().await;
            let mut keys = Vec::new();
            for _ in 0..2 {
                let account = table.account().await;
                keys.push(table.key(account).await);
            }
            (Api::new(Context::new(table.store, Mode::Live, clock.clock())), keys)
        });
        let (docks, recipients, secrets, values) = Default::default();
        Self { runtime, api, clock, keys, docks, recipients, secrets, values, before: model.clone() }
    }

    /// `model` is what it says after the step.
    fn apply(mut system: Self, model: &Model, step: Step) -> Self {
        let before = std::mem::replace(&mut system.before, model.clone());
        if let Step::Wait(days) = step {
            system.clock.set(system.clock.now().plus_days(days));
        } else {
            let reply = system.runtime.block_on(system.carry_out(&before, &step));
            assert_eq!(reply.status, before.answer(&step), "{step:?}: {}", reply.shown());
            system.remember(&before, &step, &reply);
        }
        system.runtime.block_on(system.compare(model));
        system
    }

    /// At the end, the trails of all entities.
    fn teardown(system: Self, model: Model) {
        let docks = (0..model.docks.len()).map(Entity::Dock);
        let recipients = (0..model.recipients.len()).map(Entity::Recipient);
        let secrets = (0..model.secrets.len()).map(Entity::Secret);
        let entities = docks.chain(recipients).chain(secrets);
        system.runtime.block_on(system.compare_trail(&model, entities));
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig {
        cases: if is_thorough() { 500 } else { 12 },
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_is_done_the_api_agrees_with_the_model(sequential 5..25 => System);
}
