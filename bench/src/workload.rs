//! The requests, and the table that they meet: every program gets the same ones, on a copy of the same table.

use docyard_functions::endpoint::Endpoint;
use serde_json::{Value, json};

use crate::network::{Call, Network};
use crate::programs::Toolchain;
use docyard_test_support::account::Account;
use docyard_test_support::cases::{self, Artifacts, Case, Things};
use docyard_test_support::certificate;
use docyard_test_support::import::IMPORTED_SECRET;
use docyard_test_support::scene::Scene;
use docyard_test_support::table::TestTable;

/// What was put into a dock, past the API.
pub struct Imported {
    /// Recipients and their secrets.
    pub recipients: Vec<(String, String)>,
    /// Artifacts that are available.
    pub artifacts: Vec<String>,
}

impl Imported {
    /// Puts so many recipients and as many artifacts into the account's dock.
    pub async fn new(account: &Account, count: usize) -> Self {
        let artifact = account.artifact_to_import().await;
        let recipients = account.import_recipients(count).await;
        Self { recipients, artifacts: account.import_artifacts_like(&artifact, count) }
    }

    /// The `n`th of those over which requests are spread.
    pub fn spread<T>(all: &[T], n: usize) -> &T {
        &all[n % all.len()]
    }
}

/// A dock with recipients, each with a secret, with artifacts, and the requests to it.
pub struct Workload {
    directory: tempfile::TempDir,
    key: String,
    dock: String,
    imported: Imported,
    /// Policies and groups of the dock.
    scene: Scene,
}

impl Workload {
    /// A dock of so many recipients, which is as many requests as can be made of one function.
    pub async fn new(recipients: usize) -> Self {
        let account = Account::new().await;
        let imported = Imported::new(&account, recipients).await;
        let scene = Scene::create(&account.table.store, &account.key, Some(&account.dock), "").await;
        let directory = tempfile::tempdir().unwrap();
        account.table.save(&directory.path().join("table"));
        Self { directory, key: account.key, dock: account.dock, imported, scene }
    }

    /// A copy of the table.
    pub async fn world(&self, toolchain: &Toolchain) -> World {
        let table = TestTable::restore(&self.directory.path().join("table")).await;
        let network = toolchain.network(&table.url).await;
        World { account: Account { table, key: self.key.clone(), dock: self.dock.clone() }, network }
    }

    /// The `n`th request to a function: each is carried out, on a recipient of its own where it changes one.
    pub fn request(&self, account: &Account, endpoint: &Endpoint, n: usize) -> Value {
        let Imported { recipients, artifacts } = &self.imported;
        let (recipient, artifact) = (Imported::spread(recipients, n), Imported::spread(artifacts, n));
        request(account, endpoint, recipient, artifact, &self.scene, n)
    }

    /// The request that makes `bare` repeat the calls.
    pub fn repetition(&self, account: &Account, calls: &[Call]) -> Value {
        let mut event = account.create_recipient();
        let calls: Vec<Value> = calls.iter().map(Call::to_json).collect();
        event["body"] = json!(Value::from(calls).to_string());
        event
    }
}

/// One copy of the table, and the way to it.
pub struct World {
    /// The account in it.
    pub account: Account,
    /// The way to it.
    pub network: Network,
}

/// The `n`th request to a function, for this recipient and its secret, or for this artifact.
pub fn request(
    account: &Account,
    endpoint: &Endpoint,
    (recipient, secret): &(String, String),
    artifact: &str,
    scene: &Scene,
    n: usize,
) -> Value {
    let value = IMPORTED_SECRET.to_owned();
    let (recipient, secret, scene) = (recipient.clone(), secret.clone(), scene.clone());
    let artifacts = Artifacts { available: artifact.to_owned(), ..Artifacts::default() };
    let pem = certificate::new(&format!("Certificate {n}"));
    let things = Things { recipient, secret, value, scene, artifacts, pem, ..Things::default() };
    case(endpoint).event(account, &things, n + 1)
}

/// The endpoints that are measured: those whose requests can be made as often as that takes.
pub fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    let cases = cases::all();
    let is_measured = move |name| cases.iter().any(|case| case.endpoint == name && case.is_measured);
    docyard_functions::endpoints::all().filter(move |endpoint| is_measured(endpoint.name))
}

/// The case of an endpoint that is measured.
pub fn case(endpoint: &Endpoint) -> Case {
    let cases = cases::all().into_iter();
    let mut cases = cases.filter(|case| case.endpoint == endpoint.name && case.is_measured);
    cases.next().unwrap_or_else(|| panic!("{} is not measured", endpoint.name))
}
