//! One table of cases for all endpoints: requests that make an endpoint do everything it can do. Permissions, round
//! trips, faults and benchmark all take theirs from here, and fail by name for an endpoint that has none.

mod access;
mod artifacts;
mod audit;
mod certificates;
mod docks;
mod groups;
mod health;
mod policies;
mod recipients;
mod retrieval;
mod secrets;
mod tokens;

use std::collections::BTreeSet;

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::store::{Objects, Stored};
use docyard_core::values::clock::Clock;
use docyard_core::values::content_hash::ContentHash;
use docyard_core::values::id::ArtifactId;
use docyard_functions::endpoint::Endpoint;
use docyard_functions::endpoints;
use serde_json::{Value, json};

use crate::account::Account;
use crate::api::Api;
use crate::fault::InjectedFault;
use crate::retrieved::Retrieved;
use crate::scene::{Asker, Scene};
use crate::{bucket, certificate};

/// Calls of DynamoDB and S3 that are made at once.
pub type Calls = &'static [&'static str];

const READ: Calls = &["BatchGetItem"];
const READ_AND_QUERY: Calls = &["BatchGetItem", "Query"];
const WRITE: Calls = &["TransactWriteItems"];

/// What a path parameter names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// The account's dock.
    Dock,
    /// A recipient with one secret, whose email is [`THERE`].
    Recipient,
    /// That secret.
    Secret,
    /// A recipient with as many secrets as it may have.
    FullRecipient,
    /// A secret that does not exist.
    MissingSecret,
    /// The kind of entity that recipients are.
    RecipientType,
    /// A dock with policies and groups: a [`Scene`], as are the following.
    SceneDock,
    /// [`Scene::member`].
    Member,
    /// [`Scene::certificate`].
    Certificate,
    /// A certificate that does not exist.
    MissingCertificate,
    /// [`Scene::outsider`].
    Outsider,
    /// [`Scene::group`].
    Group,
    /// [`Scene::plain_group`].
    PlainGroup,
    /// A group that does not exist.
    MissingGroup,
    /// [`Scene::draft`].
    Draft,
    /// [`Scene::published`].
    Published,
    /// [`Scene::scheduled`].
    Scheduled,
    /// [`Scene::full`].
    FullPolicy,
    /// A policy that does not exist.
    MissingPolicy,
    /// The number of a policy's first version.
    VersionOne,
    /// An artifact that is available.
    Artifact,
    /// An artifact whose content is uploaded, and that waits to be completed.
    UploadedArtifact,
    /// An artifact whose content is not uploaded. Its content is that of the first two.
    DeclaredArtifact,
    /// An artifact without content.
    EmptyArtifact,
    /// An artifact that does not exist.
    MissingArtifact,
    /// A completed job of the member: a [`Retrieved`], as are the following.
    Job,
    /// [`Retrieved::open_job`].
    OpenJob,
    /// [`Retrieved::account_job`].
    AccountJob,
    /// [`Retrieved::outsider_job`].
    OutsiderJob,
    /// [`Retrieved::artifact`].
    RetrievedArtifact,
    /// [`Retrieved::outsider_artifact`].
    OutsiderArtifact,
    /// A job that does not exist.
    MissingJob,
}

/// What a request is sent with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sender {
    /// The account, with its key.
    #[default]
    Account,
    /// Anyone, without a credential.
    Anyone,
    /// [`Scene::member`] with its token, over a connection with its certificate.
    Member,
    /// [`Scene::outsider`] with its token.
    Outsider,
}

/// The email of [`Thing::Recipient`].
pub const THERE: &str = "there@example.com";

/// A request and what is expected of it.
#[derive(Clone, Debug)]
pub struct Case {
    pub endpoint: &'static str,
    /// What distinguishes it from the endpoint's other cases.
    pub what: &'static str,
    pub path: &'static [Thing],
    /// The query, with placeholders: `{dock}` for the account's dock, `{ticket}`, `{account_ticket}` and `{outsider_ticket}` for what a
    /// [`Retrieved`] has.
    pub query: &'static str,
    /// The body, with placeholders: `{n}` for a number, `{value}` for the value of [`Thing::Secret`], `{dock}` for the
    /// account's dock, `{pem}` for a certificate that nobody has registered, `{there}` for [`Thing::Recipient`], and
    /// `{member}`, `{passphrase}`, `{registered}` (its certificate in PEM), `{token}`, `{outsider}`, `{outsider_passphrase}`,
    /// `{artifact}` for [`Thing::Artifact`], `{declared}` and `{uploaded}` for the filenames of [`Thing::DeclaredArtifact`] and [`Thing::UploadedArtifact`],
    /// `{group}`, `{policy}`, `{crowded}`, `{scene_dock}` for what a [`Scene`] has, `{crowded}` for a recipient in as many groups as it may
    /// be in, and `{cursor}` and `{busy}` for what a [`Retrieved`] has.
    pub body: Option<Value>,
    pub status: u16,
    /// Who sends it.
    pub sender: Sender,
    /// A header besides the usual ones.
    pub header: Option<(&'static str, &'static str)>,
    /// The budget of round trips: groups of calls, those of a group at once.
    pub calls: Option<&'static [Calls]>,
    /// The status of its repetition, if it is tried with every fault.
    pub repeated: Option<u16>,
    /// The status of its repetition with an `Idempotency-Key`, if it accepts one.
    pub repeated_with_key: Option<u16>,
    /// Transient faults that one request must overcome, by the operation that has them.
    pub overcomes: Vec<(&'static str, Vec<InjectedFault>)>,
    /// Whether it is an event of the account's own, which leaves an audit entry though it changes nothing.
    pub is_event: bool,
    /// Whether it leaves an audit entry each time, though it changes nothing.
    pub is_recorded: bool,
    /// How many audit entries it leaves, if it changes something.
    pub entries: usize,
    /// Whether the benchmark measures it over recipients and artifacts that it imports. Of an endpoint without such a case it measures the
    /// first that succeeds, each request on things that the API makes.
    pub is_measured: bool,
}

/// A case of an endpoint, answered 200.
fn case(endpoint: &'static str) -> Case {
    Case {
        endpoint,
        what: "",
        path: &[],
        query: "",
        body: None,
        status: 200,
        sender: Sender::Account,
        header: None,
        calls: None,
        repeated: None,
        repeated_with_key: None,
        overcomes: Vec::new(),
        is_event: false,
        is_recorded: false,
        entries: 1,
        is_measured: false,
    }
}

impl Case {
    fn what(self, what: &'static str) -> Self {
        Self { what, ..self }
    }

    fn path(self, path: &'static [Thing]) -> Self {
        Self { path, ..self }
    }

    fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    fn by(self, sender: Sender) -> Self {
        Self { sender, ..self }
    }

    fn header(self, name: &'static str, value: &'static str) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    fn calls(self, calls: &'static [Calls]) -> Self {
        Self { calls: Some(calls), ..self }
    }

    fn repeated(self, status: u16) -> Self {
        Self { repeated: Some(status), ..self }
    }

    fn with_idempotency_key(self, repeated: u16) -> Self {
        Self { repeated_with_key: Some(repeated), ..self }
    }

    fn overcomes(mut self, operation: &'static str, faults: impl IntoIterator<Item = InjectedFault>) -> Self {
        self.overcomes.push((operation, faults.into_iter().collect()));
        self
    }

    fn event_of_account(self) -> Self {
        Self { is_event: true, ..self }
    }

    fn recorded(self) -> Self {
        Self { is_recorded: true, ..self }
    }

    fn entries(self, entries: usize) -> Self {
        Self { entries, ..self }
    }

    fn measured(self) -> Self {
        Self { is_measured: true, ..self }
    }

    /// Whether the request creates something, or cannot be repeated on the same things.
    pub fn uses_up(&self) -> bool {
        self.status == 201 || self.repeated.is_some_and(|repeated| repeated != self.status)
    }

    pub fn endpoint(&self) -> &'static Endpoint {
        endpoints::named(self.endpoint)
    }

    /// The endpoint's name and what distinguishes the case: `list-recipients, one by email`.
    pub fn name(&self) -> String {
        if self.what.is_empty() {
            self.endpoint.to_owned()
        } else {
            format!("{}, {}", self.endpoint, self.what)
        }
    }

    /// The query of a request to this dock, about these things.
    pub fn query_of(&self, dock: &str, things: &Things) -> String {
        let Retrieved { ticket, account_ticket, outsider_ticket, .. } = &things.retrieved;
        let query = self.query.replace("{dock}", dock).replace("{ticket}", ticket);
        query.replace("{account_ticket}", account_ticket).replace("{outsider_ticket}", outsider_ticket)
    }

    /// The body for the `n`th request to this dock, about these things.
    pub fn body_of(&self, n: usize, dock: &str, things: &Things) -> Option<Value> {
        let scene = &things.scene;
        let mut text = self.body.as_ref()?.to_string();
        let in_json = |text: &str| json!(text).to_string().trim_matches('"').to_owned();
        for (placeholder, value) in [
            ("{pem}", in_json(&things.pem).as_str()),
            ("{registered}", &in_json(&scene.pem)),
            ("{there}", &things.recipient),
            ("{passphrase}", &scene.passphrase),
            ("{token}", &scene.token),
            ("{outsider_passphrase}", &scene.outsider_passphrase),
            ("{n}", n.to_string().as_str()),
            ("{value}", &things.value),
            ("{dock}", dock),
            ("{member}", &scene.member),
            ("{outsider}", &scene.outsider),
            ("{group}", &scene.group),
            ("{policy}", &scene.published),
            ("{crowded}", &things.crowded),
            ("{artifact}", &things.artifacts.available),
            ("{declared}", &things.artifacts.declared_filename),
            ("{uploaded}", &things.artifacts.uploaded_filename),
            ("{scene_dock}", &scene.dock),
            ("{cursor}", &things.retrieved.cursor),
            ("{busy}", &things.retrieved.busy),
        ] {
            text = text.replace(placeholder, value);
        }
        Some(serde_json::from_str(&text).unwrap())
    }

    /// Whether it is about a dock with policies and groups.
    pub fn needs_scene(&self) -> bool {
        let of_scene = [Thing::SceneDock, Thing::Member, Thing::Outsider];
        let in_body = |it: &&str| self.body.as_ref().is_some_and(|body| body.to_string().contains(*it));
        of_scene.iter().any(|thing| self.path.contains(thing))
            || [Sender::Member, Sender::Outsider].contains(&self.sender)
            || ["{member}", "{token}", "{outsider}", "{scene_dock}"].iter().any(in_body)
            || self.needs_retrieved()
    }

    /// Whether it is about jobs that are there.
    pub fn needs_retrieved(&self) -> bool {
        let of_jobs =
            [Thing::Job, Thing::OpenJob, Thing::AccountJob, Thing::OutsiderJob, Thing::RetrievedArtifact];
        let in_body = |it: &&str| self.body.as_ref().is_some_and(|body| body.to_string().contains(*it));
        of_jobs.iter().any(|thing| self.path.contains(thing))
            || ["{cursor}", "{busy}"].iter().any(in_body)
            || self.endpoint == "list-retrieval-jobs" && self.sender == Sender::Member
    }

    /// Whether it is about artifacts that are there.
    pub fn needs_artifacts(&self) -> bool {
        let artifacts =
            [Thing::Artifact, Thing::UploadedArtifact, Thing::DeclaredArtifact, Thing::EmptyArtifact];
        artifacts.iter().any(|thing| self.path.contains(thing))
            || ["{artifact}", "{declared}", "{uploaded}"]
                .iter()
                .any(|filename| self.body.as_ref().is_some_and(|body| body.to_string().contains(filename)))
    }

    fn needs_crowded(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.to_string().contains("{crowded}"))
    }

    /// The event of the `n`th request of this account.
    pub fn event(&self, account: &Account, things: &Things, n: usize) -> Value {
        let values = self.parameters(account, things);
        let (query, body) = (self.query_of(&account.dock, things), self.body_of(n, &account.dock, things));
        let mut event = account.request(self.endpoint(), &values, &query, body);
        if let Some((name, value)) = self.header {
            event["headers"][name] = value.into();
        }
        self.send(&mut event, &things.scene);
        event
    }

    /// Gives the event of a request of the account the credential of who sends it.
    pub fn send(&self, event: &mut Value, scene: &Scene) {
        let token = match self.sender {
            Sender::Account => return,
            Sender::Anyone => None,
            Sender::Member => Some(&scene.token),
            Sender::Outsider => Some(&scene.outsider_token),
        };
        if let Some(headers) = event["headers"].as_object_mut() {
            headers.remove("authorization");
            headers.extend(token.map(|token| ("authorization".to_owned(), json!(format!("Bearer {token}")))));
        }
        if self.sender != Sender::Outsider && !scene.pem.is_empty() {
            event["requestContext"]["authentication"] = certificate::authentication(&scene.pem);
        }
    }

    /// The values of the path parameters.
    pub fn parameters<'a>(&self, account: &'a Account, things: &'a Things) -> Vec<&'a str> {
        self.path.iter().map(|thing| things.id(account, *thing)).collect()
    }
}

/// The ids of the things that paths name, and the value of the secret.
#[derive(Clone, Debug, Default)]
pub struct Things {
    pub recipient: String,
    pub secret: String,
    pub full_recipient: String,
    pub value: String,
    pub scene: Scene,
    /// A recipient of the scene in as many groups as it may be in.
    pub crowded: String,
    /// A certificate that nobody has registered.
    pub pem: String,
    pub artifacts: Artifacts,
    pub retrieved: Retrieved,
}

/// The ids of artifacts in each state.
#[derive(Clone, Debug, Default)]
pub struct Artifacts {
    pub available: String,
    pub uploaded: String,
    pub declared: String,
    pub empty: String,
    pub declared_filename: String,
    pub uploaded_filename: String,
}

impl Artifacts {
    /// Creates them in the account's dock.
    pub async fn of(account: &Account, prefix: &str) -> Self {
        let objects = bucket::objects_beside(&account.table.url);
        let context = Context::new(account.table.store.clone(), Mode::Live, Clock::system());
        let api = Api::new(context.with_objects(objects.clone()));
        let asker = Asker { api: &api, key: &account.key, dock: &account.dock };
        Self::create(&asker, &objects, prefix).await
    }

    /// Creates them. Their filenames begin with `prefix`.
    pub async fn create(asker: &Asker<'_>, objects: &Objects, prefix: &str) -> Self {
        let content = b"abc";
        let declare = async |name: &str| {
            let body = json!({
                "filename": format!("{prefix}{name}.pdf"), "hash": ContentHash::of(content), "size": content.len(),
                "metadata": {"document_type": "declaration-page", "lender_id": "LND-4821"},
            });
            asker.create("create-artifact", &[], body).await
        };
        let upload = async |id: &str| {
            let now = Clock::system().now();
            let found =
                asker.api.store().artifact(ArtifactId::parse(id).unwrap(), now).await.unwrap().unwrap();
            assert_eq!(objects.put(&found, found.content().unwrap(), content).await.unwrap(), Stored::New);
        };
        let (available, uploaded) = (declare("available").await, declare("uploaded").await);
        upload(&available).await;
        asker.ask("complete-artifact", &[("artifactId", &available)], Value::Null).await;
        upload(&uploaded).await;
        let declared = declare("declared").await;
        let body = json!({"filename": format!("{prefix}empty.pdf"), "metadata": {"lender_id": "LND-4821"}});
        let empty = asker.create("create-artifact", &[], body).await;
        let filename = |name: &str| format!("{prefix}{name}.pdf");
        Self {
            available,
            uploaded,
            declared,
            empty,
            declared_filename: filename("declared"),
            uploaded_filename: filename("uploaded"),
        }
    }
}

impl Things {
    /// Creates what the case needs.
    pub async fn create(account: &Account, case: &Case, email: &str) -> Self {
        let mut things = Self { value: "x".to_owned(), pem: certificate::new("new"), ..Self::default() };
        (things.recipient, things.secret) = account.recipient_with_secret(email).await;
        if case.path.contains(&Thing::FullRecipient) {
            things.full_recipient = account.recipient_with_secret(&format!("full-{email}")).await.0;
            account.add_secrets(&things.full_recipient, docyard_core::model::secret::MAX_ACTIVE).await;
        }
        if case.needs_scene() {
            things.scene = Scene::create(&account.table.store, &account.key, None, "").await;
        }
        if case.needs_artifacts() {
            things.artifacts = Artifacts::of(account, email).await;
        }
        if case.needs_retrieved() {
            things.retrieved = Retrieved::of(account, &things.scene).await;
        }
        if case.needs_crowded() {
            things.crowded = things.scene.crowded(&account.table.store, &account.key).await;
        }
        things
    }

    fn id<'a>(&'a self, account: &'a Account, thing: Thing) -> &'a str {
        self.value_of(&account.dock, thing)
    }

    /// What a path parameter for the thing says, if this is the dock.
    pub fn value_of<'a>(&'a self, dock: &'a str, thing: Thing) -> &'a str {
        let scene = &self.scene;
        match thing {
            Thing::Dock => dock,
            Thing::Recipient => &self.recipient,
            Thing::Secret => &self.secret,
            Thing::FullRecipient => &self.full_recipient,
            Thing::MissingSecret => "sec_00000000000000000000000000",
            Thing::RecipientType => "recipient",
            Thing::SceneDock => &scene.dock,
            Thing::Member => &scene.member,
            Thing::Certificate => &scene.certificate,
            Thing::MissingCertificate => "crt_00000000000000000000000000",
            Thing::Outsider => &scene.outsider,
            Thing::Group => &scene.group,
            Thing::PlainGroup => &scene.plain_group,
            Thing::MissingGroup => "grp_00000000000000000000000000",
            Thing::Draft => &scene.draft,
            Thing::Published => &scene.published,
            Thing::Scheduled => &scene.scheduled,
            Thing::FullPolicy => &scene.full,
            Thing::MissingPolicy => "pol_00000000000000000000000000",
            Thing::VersionOne => "1",
            Thing::Artifact => &self.artifacts.available,
            Thing::UploadedArtifact => &self.artifacts.uploaded,
            Thing::DeclaredArtifact => &self.artifacts.declared,
            Thing::EmptyArtifact => &self.artifacts.empty,
            Thing::MissingArtifact => "art_00000000000000000000000000",
            Thing::Job => &self.retrieved.job,
            Thing::OpenJob => &self.retrieved.open_job,
            Thing::AccountJob => &self.retrieved.account_job,
            Thing::OutsiderJob => &self.retrieved.outsider_job,
            Thing::RetrievedArtifact => &self.retrieved.artifact,
            Thing::OutsiderArtifact => &self.retrieved.outsider_artifact,
            Thing::MissingJob => "job_00000000000000000000000000",
        }
    }
}

/// All cases, in the order of the endpoints.
pub fn all() -> Vec<Case> {
    let mut cases = [
        docks::cases(),
        recipients::cases(),
        secrets::cases(),
        policies::cases(),
        groups::cases(),
        access::cases(),
        artifacts::cases(),
        certificates::cases(),
        tokens::cases(),
        retrieval::cases(),
        audit::cases(),
        health::cases(),
    ]
    .concat();
    let position = |case: &Case| endpoints::all().position(|endpoint| endpoint.name == case.endpoint);
    cases.sort_by_key(position);
    cases
}

/// The cases that `is_chosen` takes. Fails for an endpoint that works on the table and has none of them.
#[track_caller]
pub fn of_every_endpoint(purpose: &str, is_chosen: impl Fn(&Case) -> bool) -> Vec<Case> {
    let cases: Vec<Case> = all().into_iter().filter(|case| is_chosen(case)).collect();
    let covered: BTreeSet<&str> = cases.iter().map(|case| case.endpoint).collect();
    let missing: Vec<&str> = endpoints::all()
        .filter(|endpoint| !endpoint.grants.is_empty())
        .map(|endpoint| endpoint.name)
        .filter(|name| !covered.contains(name))
        .collect();
    assert!(missing.is_empty(), "no case in tests/support/src/cases {purpose}: {missing:?}");
    cases
}
