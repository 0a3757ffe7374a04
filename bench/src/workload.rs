//! The requests, and the table that they meet: every program gets the same ones, on a copy of the same table.

use std::sync::Arc;

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::Clock;
use docyard_functions::endpoint::Endpoint;
use docyard_functions::{endpoints, sealer, worker};
use serde_json::{Value, json};

use crate::network::{Call, Network};
use crate::programs::Toolchain;
use docyard_test_support::account::Account;
use docyard_test_support::api::Api;
use docyard_test_support::bucket;
use docyard_test_support::cases::{self, Artifacts, Case, Things};
use docyard_test_support::certificate;
use docyard_test_support::import::IMPORTED_SECRET;
use docyard_test_support::retrieved::{drive, record};
use docyard_test_support::scene::{Asker, Scene};
use docyard_test_support::sealed::{minutes_ago, write_entry};
use docyard_test_support::stream::{Stream, event};
use docyard_test_support::table::TestTable;

/// The function whose request is the largest: a page of a thousand links.
pub const RESULTS: &str = "list-retrieval-results";

/// What was put into a dock, past the API.
pub struct Imported {
    /// Recipients and their secrets.
    pub recipients: Vec<(String, String)>,
    /// Artifacts that are available.
    pub artifacts: Vec<String>,
    /// A recipient on whom there are as many audit entries.
    trail: String,
    /// Whether it is there for several functions: what one uses up, the others would miss.
    is_shared: bool,
}

impl Imported {
    /// Puts so many recipients, artifacts and audit entries into the account's dock.
    pub async fn new(account: &Account, count: usize, is_shared: bool) -> Self {
        let (trail, entry) = account.entry_to_import().await;
        let recipient = account.recipient_to_import().await;
        let artifact = account.artifact_to_import().await;
        account.import_entries_like(&entry, count);
        let recipients = account.import_recipients_like(&recipient, count);
        Self { recipients, artifacts: account.import_artifacts_like(&artifact, count), trail, is_shared }
    }

    /// The `n`th of those over which requests are spread. None comes twice before all have come, since 7919 is prime.
    fn spread<T>(all: &[T], n: usize) -> &T {
        &all[n * 7919 % all.len()]
    }
}

/// A function that is measured.
#[derive(Clone, Copy)]
pub enum Subject {
    /// Of an endpoint.
    Endpoint(&'static Endpoint),
    /// The worker: it takes the step of a job with one artifact.
    Worker,
    /// The sealer: it seals a batch of one entry.
    Sealer,
}

impl Subject {
    /// All functions.
    pub fn all() -> Vec<Self> {
        endpoints::all().map(Self::Endpoint).chain([Self::Worker, Self::Sealer]).collect()
    }

    /// The function's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Endpoint(endpoint) => endpoint.name,
            Self::Worker => worker::NAME,
            Self::Sealer => sealer::NAME,
        }
    }

    /// How many connections to DynamoDB it opens before its first event.
    pub fn connections(self) -> usize {
        match self {
            Self::Endpoint(endpoint) => endpoint.connections,
            Self::Worker | Self::Sealer => 0,
        }
    }

    /// Whether it calls DynamoDB.
    pub fn calls_dynamodb(self) -> bool {
        match self {
            Self::Endpoint(endpoint) => !endpoint.grants.is_empty(),
            Self::Worker => true,
            Self::Sealer => false,
        }
    }

    /// Whether an event was carried out.
    pub fn is_carried_out(self, answer: &Value) -> bool {
        match self {
            Self::Endpoint(_) => matches!(answer["statusCode"].as_u64(), Some(200..=204 | 302)),
            Self::Worker => answer["batchItemFailures"] == json!([]),
            Self::Sealer => answer["sealed"] == 1,
        }
    }

    /// Whether what it works on can be put into the table by the thousands; otherwise each request needs some of its own, which the
    /// API makes.
    pub fn is_imported(self) -> bool {
        match self {
            Self::Endpoint(endpoint) => endpoint.name == RESULTS || case(endpoint).is_measured,
            Self::Worker | Self::Sealer => false,
        }
    }
}

/// Makes the events of one function.
pub struct Events {
    subject: Subject,
    imported: Arc<Imported>,
    /// Policies and groups of the dock.
    scene: Scene,
    /// What a request is about that leaves it as it was.
    kept: Option<Things>,
    /// The event that asks for the page of a thousand links.
    results: Option<Value>,
    stream: Option<Stream>,
}

impl Events {
    /// Of an account whose dock has this.
    pub async fn new(account: &Account, subject: Subject, imported: Arc<Imported>, scene: Scene) -> Self {
        let results = match subject.name() {
            RESULTS => Some(page_of_a_thousand(account, &scene).await),
            _ => None,
        };
        let stream = match subject {
            Subject::Sealer => Some(Stream::of(&account.table).await),
            _ => None,
        };
        Self { subject, imported, scene, kept: None, results, stream }
    }

    /// The `n`th event: each is carried out, on a recipient of its own where it changes one.
    pub async fn next(&mut self, account: &Account, n: usize) -> Value {
        if let Some(results) = &self.results {
            return results.clone();
        }
        match self.subject {
            Subject::Endpoint(endpoint) if self.subject.is_imported() => {
                let Imported { recipients, artifacts, trail, is_shared } = &*self.imported;
                let case = case(endpoint);
                let (recipient, secret) = if *is_shared && case.uses_up() {
                    let email = format!("{n}@{}.example", endpoint.name);
                    account.recipient_with_secret_of(&email, IMPORTED_SECRET).await
                } else {
                    Imported::spread(recipients, n).clone()
                };
                let recipient =
                    if endpoint.name == "list-entity-audit-logs" { trail.clone() } else { recipient };
                let artifacts =
                    Artifacts { available: Imported::spread(artifacts, n).clone(), ..Artifacts::default() };
                let pem = certificate::new(&format!("Certificate {n}"));
                let (value, scene) = (IMPORTED_SECRET.to_owned(), self.scene.clone());
                let things = Things { recipient, secret, value, scene, artifacts, pem, ..Things::default() };
                case.event(account, &things, n + 1)
            }
            Subject::Endpoint(endpoint) => {
                let case = case(endpoint);
                let things = match &self.kept {
                    // A recipient may ask for sixty tokens a minute.
                    Some(things) if !case.uses_up() && case.endpoint != "issue-token" => things.clone(),
                    _ => Things::create(account, &case, &format!("{n}@{}.example", case.endpoint)).await,
                };
                let event = case.event(account, &things, n + 1);
                self.kept = Some(things);
                event
            }
            Subject::Worker => {
                let of_job = case(endpoints::named("cancel-retrieval-job"));
                let things = Things::create(account, &of_job, &format!("{n}@worker.example")).await;
                event(&[record(&things.retrieved.open_job)])
            }
            Subject::Sealer => {
                write_entry(account, &format!("claim-{n}"), minutes_ago(0)).await;
                event(&self.stream.as_mut().unwrap().take_all())
            }
        }
    }
}

/// The event that asks, by the account's key, for a page of a thousand links to imported artifacts of the dock.
async fn page_of_a_thousand(account: &Account, scene: &Scene) -> Value {
    let context = Context::new(account.table.store.clone(), Mode::Live, Clock::system());
    let api = Api::new(context.clone());
    let asker = Asker { api: &api, key: &account.key, dock: &account.dock };
    let lender = json!({
        "name": "A lender", "email": "lender@example.com", "stakeholderClass": "mortgagee",
        "identifiers": {"lender_id": "LND-4821"},
    });
    let lender = asker.create("create-recipient", &[], lender).await;
    let in_group = [("groupId", scene.group.as_str())];
    asker.ask("add-group-recipients", &in_group, json!({"recipientIds": [lender]})).await;
    let job = json!({"dockId": account.dock, "recipientId": lender});
    let job = asker.create("create-retrieval-job", &[], job).await;
    drive(&context, &job).await;
    account.request(endpoints::named(RESULTS), &[&job], "", None)
}

/// A dock with recipients, each with a secret, with artifacts, and the events of one function.
pub struct Workload {
    /// Which function.
    pub subject: Subject,
    directory: tempfile::TempDir,
    account: Account,
    events: Vec<Value>,
}

impl Workload {
    /// A dock, and so many events.
    pub async fn new(subject: Subject, count: usize) -> Self {
        let account = Account::new().await;
        let imported = Arc::new(Imported::new(&account, count.max(1000), false).await);
        let scene = Scene::create(&account.table.store, &account.key, Some(&account.dock), "").await;
        let mut made = Events::new(&account, subject, imported, scene).await;
        let mut events = Vec::new();
        for n in 0..count {
            events.push(made.next(&account, n).await);
        }
        let directory = tempfile::tempdir().unwrap();
        account.table.save(&directory.path().join("table"));
        Self { subject, directory, account, events }
    }

    /// A copy of the table. The bucket is one for all.
    pub async fn world(&self, toolchain: &Toolchain) -> World {
        let table = TestTable::restore(&self.directory.path().join("table")).await;
        let network = toolchain.network(&table.url).await;
        // What is sealed in one world may not be there yet in the next.
        let beside = match self.subject {
            Subject::Sealer => &table,
            _ => &self.account.table,
        };
        bucket::put_beside(&network.url, &bucket::url_beside(&beside.url));
        World { _table: table, network }
    }

    /// The `n`th event.
    pub fn event(&self, n: usize) -> Value {
        self.events[n].clone()
    }

    /// The request that makes `bare` repeat the calls.
    pub fn repetition(&self, calls: &[Call]) -> Value {
        let mut event = self.account.create_recipient();
        let calls: Vec<Value> = calls.iter().map(Call::to_json).collect();
        event["body"] = json!(Value::from(calls).to_string());
        event
    }
}

/// One copy of the table, and the way to it.
pub struct World {
    _table: TestTable,
    /// The way to it.
    pub network: Network,
}

/// The case of an endpoint that is measured: the one that says so, or else the first that succeeds.
pub fn case(endpoint: &Endpoint) -> Case {
    let cases = || cases::all().into_iter().filter(|case| case.endpoint == endpoint.name);
    let succeeds = |case: &Case| matches!(case.status, 200..=204 | 302);
    let case = cases().find(|case| case.is_measured).or_else(|| cases().find(succeeds));
    case.unwrap_or_else(|| panic!("{} has no case", endpoint.name))
}
