//! What the tests of certificates, tokens and retrieval share: an account whose API runs in this process, over connections
//! with any certificate and at any time.

use std::collections::BTreeSet;

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::Timestamp;
use docyard_test_support::account::Account;
use docyard_test_support::api::{Api, Reply};
use docyard_test_support::bucket;
use docyard_test_support::clock::TestClock;
use docyard_test_support::redacted;
use docyard_test_support::scene::{Asker, recipe};
use docyard_test_support::table::TestTable;
use serde_json::{Value, json};

use crate::{text, with};

/// When a test begins.
pub(crate) const START: &str = "2030-01-15T10:32:00.000Z";

const SECOND: u64 = 1000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;

/// An account, its API in this process, and a clock that only the test moves.
pub(crate) struct Institution {
    pub(crate) account: Account,
    pub(crate) api: Api,
    pub(crate) context: Context,
    clock: TestClock,
}

/// A recipe with these factors.
pub(crate) fn recipe_of(factors: &[&str]) -> Value {
    with(recipe(), "/auth/factors", json!(factors))
}

pub(crate) fn recipe_with_certificate() -> Value {
    recipe_of(&["shared_passphrase", "tls_certificate"])
}

/// A recipe that grants for so many minutes.
pub(crate) fn recipe_for(minutes: u16) -> Value {
    with(recipe(), "/constraints", json!({"session_minutes": minutes}))
}

/// The access token that an answer has.
#[track_caller]
pub(crate) fn token_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.shown());
    text(&reply.body["access_token"]).to_owned()
}

/// A table's items, without the values of keys and secrets.
pub(crate) async fn items(table: &TestTable) -> BTreeSet<String> {
    let items = table.items().await;
    let sorted = items.iter().map(|item| item.iter().collect::<std::collections::BTreeMap<_, _>>());
    sorted.map(|item| redacted(&format!("{item:?}"))).collect()
}

impl Institution {
    pub(crate) async fn new() -> Self {
        let account = Account::new().await;
        let clock = TestClock::at(Timestamp::parse(START).unwrap());
        let context = Context::new(account.table.store.clone(), Mode::Live, clock.clock());
        let context = context.with_objects(bucket::objects_beside(&account.table.url));
        Self { account, api: Api::new(context.clone()), context, clock }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time so many milliseconds from now.
    pub(crate) fn after(&self, milliseconds: u64) -> Timestamp {
        Timestamp::from_unix_milliseconds(self.now().unix_milliseconds() + milliseconds).unwrap()
    }

    /// Lets so many milliseconds go by.
    pub(crate) fn pass(&self, milliseconds: u64) {
        self.clock.set(self.after(milliseconds));
    }

    pub(crate) fn asker(&self) -> Asker<'_> {
        Asker { api: &self.api, key: &self.account.key, dock: &self.account.dock }
    }

    /// Asks an endpoint with the account's key.
    pub(crate) async fn ask(&self, endpoint: &str, parameters: &[(&str, &str)], body: Value) -> Reply {
        self.asker().reply(endpoint, parameters, "", body).await
    }

    /// The same with a query and further headers.
    pub(crate) async fn ask_with(
        &self,
        endpoint: &str,
        parameters: &[(&str, &str)],
        query: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        let parameters = [&[("dockId", self.account.dock.as_str())], parameters].concat();
        let mut sent = vec![("authorization", format!("Bearer {}", self.account.key))];
        sent.extend(headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let body = (!body.is_null()).then(|| body.to_string());
        self.api.ask(endpoint, &parameters, query, &sent, body).await
    }

    /// The body of a success.
    pub(crate) async fn done(&self, endpoint: &str, parameters: &[(&str, &str)], body: Value) -> Value {
        self.asker().ask(endpoint, parameters, body).await
    }

    /// The id of what it creates.
    async fn create(&self, endpoint: &str, parameters: &[(&str, &str)], body: Value) -> String {
        self.asker().create(endpoint, parameters, body).await
    }

    /// A mortgagee with these identifiers.
    pub(crate) async fn lender_with(&self, name: &str, identifiers: Value) -> String {
        let body = json!({
            "name": "A lender", "email": format!("{name}@example.com"), "stakeholderClass": "mortgagee",
            "identifiers": identifiers,
        });
        self.create("create-recipient", &[], body).await
    }

    /// A mortgagee with the `lender_id` `LND-1`.
    pub(crate) async fn lender(&self, name: &str) -> String {
        self.lender_with(name, json!({"lender_id": "LND-1"})).await
    }

    pub(crate) async fn update(&self, recipient: &str, body: Value) {
        self.done("update-recipient", &[("recipientId", recipient)], body).await;
    }

    pub(crate) async fn delete(&self, recipient: &str) {
        self.done("delete-recipient", &[("recipientId", recipient)], Value::Null).await;
    }

    /// The id and the value of a new secret.
    pub(crate) async fn secret(&self, recipient: &str, days: Option<u16>) -> (String, String) {
        let body = json!({"name": "A secret", "expiresInDays": days});
        let secret = self.done("generate-secret", &[("recipientId", recipient)], body).await;
        (text(&secret["id"]).to_owned(), text(&secret["secret"]).to_owned())
    }

    /// Revokes or rotates a secret.
    pub(crate) async fn end_secret(&self, endpoint: &str, recipient: &str, secret: &str, body: Value) {
        self.done(endpoint, &[("recipientId", recipient), ("secretId", secret)], body).await;
    }

    pub(crate) async fn register(&self, recipient: &str, pem: &str) -> Reply {
        let body = json!({"name": "A certificate", "certificate": pem});
        self.ask("register-certificate", &[("recipientId", recipient)], body).await
    }

    /// The id of a certificate, registered for a recipient.
    pub(crate) async fn certificate(&self, recipient: &str, pem: &str) -> String {
        self.register(recipient, pem).await.id(201)
    }

    pub(crate) async fn revoke_certificate(&self, recipient: &str, certificate: &str) {
        let parameters = [("recipientId", recipient), ("certificateId", certificate)];
        let revoked = self.done("revoke-certificate", &parameters, Value::Null).await;
        assert_eq!(revoked, json!({"success": true}));
    }

    pub(crate) async fn get_certificate(&self, recipient: &str, certificate: &str) -> Reply {
        let parameters = [("recipientId", recipient), ("certificateId", certificate)];
        self.ask("get-certificate", &parameters, Value::Null).await
    }

    /// The id of a policy whose version 1 is in production.
    pub(crate) async fn policy(&self, recipe: Value) -> String {
        let policy = self.create("create-policy", &[], json!({"name": "A policy", "recipe": recipe})).await;
        self.enforce(&policy).await;
        policy
    }

    pub(crate) async fn enforce(&self, policy: &str) {
        let body = json!({"stage": "production", "version": 1});
        self.done("publish-policy", &[("policyId", policy)], body).await;
    }

    pub(crate) async fn withdraw(&self, policy: &str) {
        self.done("publish-policy", &[("policyId", policy)], json!({"stage": "sandbox"})).await;
    }

    /// A token for a passphrase, over a connection with this certificate.
    pub(crate) async fn token(&self, recipient: &str, passphrase: &str, pem: Option<&str>) -> String {
        token_of(&self.api.token(recipient, passphrase, pem, json!({})).await)
    }

    /// The entries on an entity, newest first.
    pub(crate) async fn trail_of(&self, entity_type: &str, id: &str) -> Vec<Value> {
        let parameters = [("entityType", entity_type), ("entityId", id)];
        self.ask("list-entity-audit-logs", &parameters, Value::Null).await.list()
    }

    /// The entries of the dock with this action on entities of this type, newest first.
    pub(crate) async fn trail(&self, entity_type: &str, action: &str) -> Vec<Value> {
        let query = format!("dockId={}&limit=1000", self.account.dock);
        let trail = self.ask_with("list-audit-logs", &[], &query, &[], Value::Null).await.list();
        let is_it = |entry: &Value| entry["entityType"] == entity_type && entry["action"] == action;
        trail.into_iter().filter(is_it).collect()
    }
}
