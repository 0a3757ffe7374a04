//! The requests, and the table that they meet: every program gets the same ones, on a copy of the same table.

use docyard_functions::route::Route;
use serde_json::{Value, json};

use crate::programs::Workshop;
use crate::sandbox::{IMPORTED_SECRET, Tenant};
use crate::support::TestTable;
use crate::wire::{Call, Wire};

/// A dock with recipients, each with a secret, and the requests to it.
pub struct Workload {
    directory: tempfile::TempDir,
    key: String,
    dock: String,
    /// The recipients and their secrets.
    recipients: Vec<(String, String)>,
}

impl Workload {
    /// A dock of so many recipients, which is as many requests as can be made of one function.
    pub async fn new(recipients: usize) -> Self {
        let tenant = Tenant::new().await;
        let recipients = tenant.import_recipients(recipients).await;
        let directory = tempfile::tempdir().unwrap();
        tenant.table.save(&directory.path().join("table"));
        Self { directory, key: tenant.key, dock: tenant.dock, recipients }
    }

    /// A copy of the table.
    pub async fn world(&self, workshop: &Workshop) -> World {
        let table = TestTable::restore(&self.directory.path().join("table")).await;
        let wire = workshop.wire(&table.url).await;
        World { tenant: Tenant { table, key: self.key.clone(), dock: self.dock.clone() }, wire }
    }

    /// The `n`th request to a function: each is carried out, on a recipient of its own where it changes one.
    pub fn request(&self, tenant: &Tenant, route: &Route, n: usize) -> Value {
        request(tenant, route, &self.recipients[n % self.recipients.len()], n)
    }

    /// The request that makes `bare` repeat the calls.
    pub fn repetition(&self, tenant: &Tenant, calls: &[Call]) -> Value {
        let mut event = tenant.create_recipient();
        let calls: Vec<Value> = calls.iter().map(Call::to_json).collect();
        event["body"] = json!(Value::from(calls).to_string());
        event
    }
}

/// One copy of the table, and the way to it.
pub struct World {
    /// The account in it.
    pub tenant: Tenant,
    /// The way to it.
    pub wire: Wire,
}

/// The `n`th request to a function, for this recipient and its secret.
pub fn request(tenant: &Tenant, route: &Route, (recipient, secret): &(String, String), n: usize) -> Value {
    let (dock, n) = (tenant.dock.as_str(), n + 1);
    let request = |parameters: &[&str], body: Option<Value>| tenant.request(route, parameters, "", body);
    match route.function {
        "create-dock" => request(&[], Some(json!({"name": format!("Dock {n}")}))),
        "list-docks" => request(&[], None),
        "get-dock" => request(&[dock], None),
        "update-dock" => request(&[dock], Some(json!({"name": format!("Dock {n}")}))),
        "create-recipient" => request(
            &[dock],
            Some(json!({
                "name": "First National Bank",
                "email": format!("bulk{n}@firstnational.example"),
                "stakeholderClass": "mortgagee",
                "identifiers": {"lender_id": "LND-4821", "policy_number": "POL-2025-88401"},
            })),
        ),
        "list-recipients" => request(&[dock], None),
        "get-recipient" | "delete-recipient" => request(&[dock, recipient], None),
        "update-recipient" => {
            request(&[dock, recipient], Some(json!({"name": format!("First National Bank {n}")})))
        }
        "generate-secret" => request(
            &[recipient],
            Some(json!({"name": "First National Bank — Bulk API Passphrase", "expiresInDays": 90})),
        ),
        "list-secrets" => request(&[recipient], None),
        "rotate-secret" | "revoke-secret" => request(&[recipient, secret], None),
        "verify-secret" => request(&[recipient], Some(json!({"secret": IMPORTED_SECRET}))),
        other => panic!("which request to {other} should be measured?"),
    }
}
