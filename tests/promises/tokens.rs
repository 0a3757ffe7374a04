//! What access tokens open, against a model of it: random sequences of everything that can be done to what they are made
//! from, with a clock that jumps. After each step every token that was ever issued is tried on every connection.

use std::sync::Arc;

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::{Clock, Timestamp};
use docyard_core::values::digest;
use docyard_test_support::account::Account;
use docyard_test_support::api::{Api, Reply};
use docyard_test_support::clock::TestClock;
use docyard_test_support::scene::{self, Asker, Scene};
use docyard_test_support::table::TestTable;
use docyard_test_support::{certificate, is_thorough, trail};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use serde_json::{Value, json};

const RECIPIENTS: usize = 2;

/// Certificates that connections may have. The first one ends.
const CERTIFICATES: usize = 2;

/// How long the sessions of the two policies are, in minutes. The second one wants a certificate.
const SESSIONS: [u16; 2] = [60, 120];

/// The minute in which the first certificate ends.
const CERTIFICATE_END: u16 = 600;

const DAY: u16 = 24 * 60;

fn start() -> Timestamp {
    Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap()
}

/// What can be done. Secrets, registrations and tokens are named by their number, in the order in which they were made.
#[derive(Clone, Debug)]
enum Step {
    /// For a recipient; whether it lives for a day alone.
    Generate(usize, bool),
    /// With a grace of so many hours.
    Rotate(usize, u16),
    RevokeSecret(usize),
    /// Of a certificate, for a recipient.
    Register(usize, usize),
    RevokeCertificate(usize),
    /// By a recipient, with a secret, over a connection with a certificate.
    Issue(usize, usize, Option<usize>),
    RevokeToken(usize),
    RevokeAll(usize),
    Delete(usize),
    /// Whether it is a mortgagee.
    SetClass(usize, bool),
    Move(usize),
    Publish(usize),
    Withdraw(usize),
    /// So many minutes.
    Wait(u16),
}

#[derive(Clone, Debug)]
struct Secret {
    recipient: usize,
    /// The minute in which it stops by itself.
    end: Option<u16>,
    is_rotated: bool,
    is_revoked: bool,
    /// Whether its recipient is.
    is_deleted: bool,
}

#[derive(Clone, Debug)]
struct Registration {
    recipient: usize,
    certificate: usize,
    is_revoked: bool,
}

#[derive(Clone, Debug)]
struct Token {
    recipient: usize,
    secret: usize,
    registration: Option<usize>,
    issued: u16,
    end: u16,
    is_revoked: bool,
}

#[derive(Clone, Debug)]
struct Model {
    is_there: [bool; RECIPIENTS],
    is_mortgagee: [bool; RECIPIENTS],
    secrets: Vec<Secret>,
    registrations: Vec<Registration>,
    tokens: Vec<Token>,
    is_in_force: [bool; 2],
    minute: u16,
}

impl Model {
    fn verifies(&self, secret: usize) -> bool {
        let secret = &self.secrets[secret];
        !secret.is_revoked && !secret.is_deleted && secret.end.is_none_or(|end| self.minute < end)
    }

    fn is_ended(&self, certificate: usize) -> bool {
        certificate == 0 && self.minute >= CERTIFICATE_END
    }

    /// The registration by which a certificate proves a recipient now.
    fn proof(&self, recipient: usize, certificate: usize) -> Option<usize> {
        let is_it =
            |it: &Registration| it.recipient == recipient && it.certificate == certificate && !it.is_revoked;
        self.registrations.iter().position(is_it).filter(|_| !self.is_ended(certificate))
    }

    /// The minutes in which the policies end that grant a recipient anything that proved itself in this minute.
    fn session_ends(&self, recipient: usize, is_bound: bool, since: u16) -> impl Iterator<Item = u16> {
        let grants = [self.is_in_force[0], self.is_in_force[1] && is_bound];
        let (is_mortgagee, now) = (self.is_mortgagee[recipient], self.minute);
        let ends = SESSIONS.into_iter().zip(grants).filter(move |(_, grants)| *grants && is_mortgagee);
        ends.map(move |(session, _)| since + session).filter(move |end| now < *end)
    }

    /// The answer to a token on a connection with this certificate.
    fn opened(&self, token: &Token, connection: Option<usize>) -> u16 {
        let is_bound_to = |registration: usize| {
            let Registration { certificate, is_revoked, .. } = self.registrations[registration];
            !is_revoked && !self.is_ended(certificate) && connection == Some(certificate)
        };
        let is_valid = self.is_there[token.recipient]
            && !token.is_revoked
            && self.minute < token.end
            && self.verifies(token.secret)
            && token.registration.is_none_or(is_bound_to);
        let is_bound = token.registration.is_some();
        match self.session_ends(token.recipient, is_bound, token.issued).next() {
            _ if !is_valid => 401,
            Some(_) => 200,
            None => 403,
        }
    }

    /// The token that a request gets, or its status.
    fn issued(&self, recipient: usize, secret: usize, connection: Option<usize>) -> Result<Token, u16> {
        if !self.is_there[recipient] || self.secrets[secret].recipient != recipient || !self.verifies(secret)
        {
            return Err(401);
        }
        let registration = connection.and_then(|certificate| self.proof(recipient, certificate));
        let ends = self.session_ends(recipient, registration.is_some(), self.minute);
        let session = ends.max().ok_or(400_u16)?;
        let of_certificate = registration.filter(|it| self.registrations[*it].certificate == 0);
        let ends = [self.secrets[secret].end, of_certificate.map(|_| CERTIFICATE_END)];
        let end = ends.into_iter().flatten().fold(session, u16::min);
        Ok(Token { recipient, secret, registration, issued: self.minute, end, is_revoked: false })
    }

    fn answer(&self, step: &Step) -> u16 {
        let found = |recipient: usize, status: u16| if self.is_there[recipient] { status } else { 404 };
        match step {
            Step::Generate(recipient, _) => found(*recipient, 201),
            Step::Rotate(secret, _) => {
                let it = &self.secrets[*secret];
                let is_active = self.verifies(*secret) && !it.is_rotated;
                found(it.recipient, if is_active { 201 } else { 409 })
            }
            Step::RevokeSecret(secret) => {
                let it = &self.secrets[*secret];
                let is_over = it.is_rotated && !it.is_revoked && !self.verifies(*secret);
                found(it.recipient, if is_over { 409 } else { 200 })
            }
            Step::Register(recipient, certificate) => {
                let is_it = |it: &Registration| {
                    it.recipient == *recipient && it.certificate == *certificate && !it.is_revoked
                };
                match self.registrations.iter().any(is_it) {
                    // One that has expired is refused before it is looked for, and after its recipient is.
                    _ if self.is_ended(*certificate) => found(*recipient, 400),
                    true => found(*recipient, 409),
                    false => found(*recipient, 201),
                }
            }
            Step::RevokeCertificate(registration) => found(self.registrations[*registration].recipient, 200),
            Step::Issue(recipient, secret, connection) => {
                self.issued(*recipient, *secret, *connection).map_or_else(|status| status, |_| 200)
            }
            Step::RevokeToken(_) | Step::Publish(_) | Step::Withdraw(_) => 200,
            Step::RevokeAll(recipient)
            | Step::Delete(recipient)
            | Step::SetClass(recipient, _)
            | Step::Move(recipient) => found(*recipient, 200),
            Step::Wait(_) => 0,
        }
    }

    fn apply_success(&mut self, step: &Step) {
        let minute = self.minute;
        match step {
            Step::Generate(recipient, is_short) => {
                let end = is_short.then_some(minute + DAY);
                self.secrets.push(Secret {
                    recipient: *recipient,
                    end,
                    is_rotated: false,
                    is_revoked: false,
                    is_deleted: false,
                });
            }
            Step::Rotate(secret, hours) => {
                let is_short = self.secrets[*secret].end.is_some();
                let new = Secret { end: is_short.then_some(minute + DAY), ..self.secrets[*secret].clone() };
                let old = &mut self.secrets[*secret];
                let end = minute + 60 * hours;
                (old.end, old.is_rotated) = (Some(old.end.map_or(end, |expiry| expiry.min(end))), true);
                self.secrets.push(new);
            }
            Step::RevokeSecret(secret) => self.secrets[*secret].is_revoked = true,
            Step::Register(recipient, certificate) => self.registrations.push(Registration {
                recipient: *recipient,
                certificate: *certificate,
                is_revoked: false,
            }),
            Step::RevokeCertificate(registration) => self.registrations[*registration].is_revoked = true,
            Step::Issue(recipient, secret, connection) => {
                self.tokens.extend(self.issued(*recipient, *secret, *connection));
            }
            Step::RevokeToken(token) => self.tokens[*token].is_revoked = true,
            Step::RevokeAll(recipient) => {
                for token in self.tokens.iter_mut().filter(|token| token.recipient == *recipient) {
                    token.is_revoked = true;
                }
            }
            Step::Delete(recipient) => {
                self.is_there[*recipient] = false;
                for secret in self.secrets.iter_mut().filter(|secret| secret.recipient == *recipient) {
                    secret.is_deleted = true;
                }
            }
            Step::SetClass(recipient, is_mortgagee) => self.is_mortgagee[*recipient] = *is_mortgagee,
            Step::Move(_) => {}
            Step::Publish(policy) => self.is_in_force[*policy] = true,
            Step::Withdraw(policy) => self.is_in_force[*policy] = false,
            Step::Wait(minutes) => self.minute += minutes,
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let model = Self {
            is_there: [true; RECIPIENTS],
            is_mortgagee: [true; RECIPIENTS],
            secrets: Vec::new(),
            registrations: Vec::new(),
            tokens: Vec::new(),
            is_in_force: [true; 2],
            minute: 0,
        };
        Just(model).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let one_of = |count: usize| any::<Index>().prop_map(move |index| index.index(count));
        let recipient = || 0..RECIPIENTS;
        let (secrets, registrations, tokens) =
            (state.secrets.len(), state.registrations.len(), state.tokens.len());
        let mut steps = vec![
            (3, (recipient(), any::<bool>()).prop_map(|(r, s)| Step::Generate(r, s)).boxed()),
            (4, (recipient(), 0..CERTIFICATES).prop_map(|(r, c)| Step::Register(r, c)).boxed()),
            (1, recipient().prop_map(Step::RevokeAll).boxed()),
            (1, prop_oneof![3 => Just(0_usize), 1 => Just(1)].prop_map(Step::Move).boxed()),
            (1, (recipient(), any::<bool>()).prop_map(|(r, m)| Step::SetClass(r, m)).boxed()),
            (2, (0_usize..2).prop_map(Step::Publish).boxed()),
            (1, (0_usize..2).prop_map(Step::Withdraw).boxed()),
            (2, prop_oneof![Just(1_u16), Just(31), Just(59), Just(400)].prop_map(Step::Wait).boxed()),
        ];
        if state.tokens.len() > 2 {
            steps.push((1, recipient().prop_map(Step::Delete).boxed()));
        }
        if secrets > 0 {
            let connection = prop::option::weighted(0.7, 0..CERTIFICATES);
            let issue = (recipient(), one_of(secrets), connection, any::<bool>());
            let owners: Vec<usize> = state.secrets.iter().map(|secret| secret.recipient).collect();
            // Mostly the recipient's own.
            let issue = issue
                .prop_map(move |(r, s, c, is_any)| Step::Issue(if is_any { r } else { owners[s] }, s, c));
            steps.push((10, issue.boxed()));
            let grace = prop_oneof![Just(0_u16), Just(1), Just(24)];
            steps.push((2, (one_of(secrets), grace).prop_map(|(s, g)| Step::Rotate(s, g)).boxed()));
            steps.push((1, one_of(secrets).prop_map(Step::RevokeSecret).boxed()));
        }
        if registrations > 0 {
            steps.push((1, one_of(registrations).prop_map(Step::RevokeCertificate).boxed()));
        }
        if tokens > 0 {
            steps.push((1, one_of(tokens).prop_map(Step::RevokeToken).boxed()));
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
        match step {
            Step::Rotate(secret, _) | Step::RevokeSecret(secret) | Step::Issue(_, secret, _) => {
                *secret < state.secrets.len()
            }
            Step::RevokeCertificate(registration) => *registration < state.registrations.len(),
            Step::RevokeToken(token) => *token < state.tokens.len(),
            _ => true,
        }
    }
}

/// The API, and what it gave.
struct System {
    runtime: Arc<tokio::runtime::Runtime>,
    table: TestTable,
    api: Api,
    clock: TestClock,
    key: String,
    dock: String,
    pems: [String; CERTIFICATES],
    recipients: Vec<String>,
    policies: Vec<String>,
    /// Ids and values.
    secrets: Vec<(String, String)>,
    registrations: Vec<String>,
    tokens: Vec<String>,
    /// How often a recipient moved.
    moves: usize,
    before: Model,
}

impl System {
    async fn ask(&self, endpoint: &str, parameters: &[(&str, &str)], body: Value) -> Reply {
        let asker = Asker { api: &self.api, key: &self.key, dock: &self.dock };
        asker.reply(endpoint, parameters, "", body).await
    }

    async fn set_up(&mut self) {
        for n in 0..RECIPIENTS {
            let body = json!({
                "name": "R", "email": format!("r{n}@example.com"), "stakeholderClass": "mortgagee",
                "identifiers": {"lender_id": "L"},
            });
            let created = self.ask("create-recipient", &[], body).await;
            self.recipients.push(created.id(201));
        }
        let factors = [json!(["shared_passphrase"]), json!(["shared_passphrase", "tls_certificate"])];
        for (n, factors) in factors.into_iter().enumerate() {
            let mut recipe = scene::recipe();
            recipe["auth"]["factors"] = factors;
            recipe["constraints"] = json!({"session_minutes": SESSIONS[n]});
            let created = self.ask("create-policy", &[], json!({"name": "P", "recipe": recipe})).await;
            self.policies.push(created.id(201));
            self.publish(n, json!({"stage": "production", "version": 1})).await;
        }
    }

    async fn publish(&self, policy: usize, body: Value) -> Reply {
        self.ask("publish-policy", &[("policyId", &self.policies[policy])], body).await
    }

    async fn carry_out(&mut self, model: &Model, step: &Step) -> Reply {
        let of = |recipient: usize| ("recipientId", self.recipients[recipient].as_str());
        match step {
            Step::Generate(recipient, is_short) => {
                let body = json!({"name": "S", "expiresInDays": is_short.then_some(1)});
                self.ask("generate-secret", &[of(*recipient)], body).await
            }
            Step::Rotate(secret, hours) => {
                let of =
                    [of(model.secrets[*secret].recipient), ("secretId", self.secrets[*secret].0.as_str())];
                self.ask("rotate-secret", &of, json!({"graceHours": hours})).await
            }
            Step::RevokeSecret(secret) => {
                let of =
                    [of(model.secrets[*secret].recipient), ("secretId", self.secrets[*secret].0.as_str())];
                self.ask("revoke-secret", &of, Value::Null).await
            }
            Step::Register(recipient, certificate) => {
                let body = json!({"name": "C", "certificate": self.pems[*certificate]});
                self.ask("register-certificate", &[of(*recipient)], body).await
            }
            Step::RevokeCertificate(registration) => {
                let recipient = model.registrations[*registration].recipient;
                let of = [of(recipient), ("certificateId", self.registrations[*registration].as_str())];
                self.ask("revoke-certificate", &of, Value::Null).await
            }
            Step::Issue(recipient, secret, connection) => {
                let pem = connection.map(|certificate| self.pems[certificate].as_str());
                let (recipient, value) = (&self.recipients[*recipient], &self.secrets[*secret].1);
                self.api.token(recipient, value, pem, json!({})).await
            }
            Step::RevokeToken(token) => {
                let body = json!({"token": self.tokens[*token]});
                self.ask("revoke-token", &[], body).await
            }
            Step::RevokeAll(recipient) => {
                self.ask("revoke-recipient-tokens", &[of(*recipient)], Value::Null).await
            }
            Step::Delete(recipient) => self.ask("delete-recipient", &[of(*recipient)], Value::Null).await,
            Step::SetClass(recipient, is_mortgagee) => {
                let body = json!({"stakeholderClass": is_mortgagee.then_some("mortgagee")});
                self.ask("update-recipient", &[of(*recipient)], body).await
            }
            Step::Move(recipient) => {
                self.moves += 1;
                let body = json!({"email": format!("r{recipient}-{}@example.com", self.moves)});
                self.ask("update-recipient", &[of(*recipient)], body).await
            }
            Step::Publish(policy) => {
                self.publish(*policy, json!({"stage": "production", "version": 1})).await
            }
            Step::Withdraw(policy) => self.publish(*policy, json!({"stage": "sandbox"})).await,
            Step::Wait(_) => unreachable!("it is no request"),
        }
    }

    /// Tries every token on every connection.
    async fn compare(&self, model: &Model) {
        for (number, token) in model.tokens.iter().enumerate() {
            for connection in [None, Some(0), Some(1)] {
                let pem = connection.map(|certificate| self.pems[certificate].as_str());
                let reply = self.api.opened(&self.tokens[number], pem).await;
                let expected = model.opened(token, connection);
                assert_eq!(reply.status, expected, "token {number} with {connection:?}: {}", reply.shown());
                if expected == 200 {
                    let is_bound = token.registration.is_some();
                    let factors = reply.body["factors"].as_array().unwrap().len();
                    assert_eq!(factors, 1 + usize::from(is_bound));
                    let granting = model.session_ends(token.recipient, is_bound, token.issued).count();
                    assert_eq!(reply.body["policies"].as_array().unwrap().len(), granting);
                }
            }
        }
    }
}

impl StateMachineTest for System {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let runtime = Arc::new(runtime);
        let clock = TestClock::at(start());
        let Account { table, key, dock } = runtime.block_on(Account::new());
        let api = Api::new(Context::new(table.store.clone(), Mode::Live, clock.clock()));
        let ends = certificate::valid("one", start(), start().plus_minutes(CERTIFICATE_END));
        let pems = [ends, certificate::new("two")];
        let (recipients, policies, secrets, registrations, tokens) = Default::default();
        let before = model.clone();
        let mut system = Self {
            runtime,
            table,
            api,
            clock,
            key,
            dock,
            pems,
            recipients,
            policies,
            secrets,
            registrations,
            tokens,
            moves: 0,
            before,
        };
        system.runtime.clone().block_on(system.set_up());
        system
    }

    /// `model` is what it says after the step.
    fn apply(mut system: Self, model: &Model, step: Step) -> Self {
        let before = std::mem::replace(&mut system.before, model.clone());
        if let Step::Wait(minutes) = step {
            system.clock.set(system.clock.now().plus_minutes(minutes));
        } else {
            let reply = system.runtime.clone().block_on(system.carry_out(&before, &step));
            assert_eq!(reply.status, before.answer(&step), "{step:?}: {}", reply.shown());
            let text = |field: &str| reply.body[field].as_str().unwrap().to_owned();
            match (&step, reply.status) {
                (Step::Generate(..) | Step::Rotate(..), 201) => {
                    system.secrets.push((text("id"), text("secret")));
                }
                (Step::Register(..), 201) => system.registrations.push(text("id")),
                (Step::Issue(..), 200) => {
                    let token = model.tokens.last().unwrap();
                    assert_eq!(
                        reply.body["expires_in"],
                        u64::from(token.end - token.issued) * 60,
                        "{step:?}"
                    );
                    system.tokens.push(text("access_token"));
                }
                _ => {}
            }
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
    fn whatever_is_done_a_token_opens_what_the_model_says(sequential 15..50 => System);
}

/// Whatever is wrong with id or passphrase, the request hashes as much.
#[cfg(debug_assertions)]
#[tokio::test]
async fn a_wrong_id_and_a_wrong_passphrase_cost_the_same_hashing() {
    let table = TestTable::start().await;
    let key = table.key(table.account().await).await;
    let scene = Scene::create(&table.store, &key, None, "").await;
    let api = Api::new(Context::new(table.store.clone(), Mode::Live, Clock::system()));
    let hashed = async |recipient: &str, passphrase: &str, status: u16| {
        let before = digest::computed();
        let reply = api.token(recipient, passphrase, Some(&scene.pem), json!({})).await;
        assert_eq!(reply.status, status);
        digest::computed() - before
    };
    let unknown = "rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";
    let mut counts = Vec::new();
    for (recipient, passphrase) in [
        (unknown, scene.passphrase.as_str()),
        ("rcp_x", &scene.passphrase),
        ("", ""),
        (&scene.member, ""),
        (&scene.member, "wrong"),
        (&scene.member, &scene.outsider_passphrase),
        (&scene.outsider, &scene.passphrase),
    ] {
        counts.push(hashed(recipient, passphrase, 401).await);
    }
    assert_eq!(counts, [1; 7], "the passphrase alone");
    assert!(hashed(&scene.member, &scene.passphrase, 200).await > 1, "it counts");
}
