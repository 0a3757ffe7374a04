//! An account with a dock and an API key, and the events of its requests.

use docyard_core::model::identifiers::Identifiers;
use docyard_core::model::recipient::Recipient;
use docyard_core::model::secret::{ActiveSecret, Lifetime, SecretValue};
use docyard_core::values::clock::Clock;
use docyard_core::values::digest::Digest;
use docyard_core::values::email::Email;
use docyard_core::values::id::{DockId, RecipientId, SecretId};
use docyard_core::values::random;
use docyard_core::values::text::Text;
use docyard_functions::endpoint::Endpoint;
use serde_json::{Value, json};

use crate::table::{TestTable, operator};

/// An account with a dock and a key.
pub struct Account {
    pub table: TestTable,
    pub key: String,
    pub dock: String,
}

impl Account {
    pub async fn new() -> Self {
        Self::of(TestTable::start().await).await
    }

    /// A new account in this table.
    pub async fn of(table: TestTable) -> Self {
        let account = table.account().await;
        let (key, dock) = (table.key(account).await, table.dock(account).await.to_string());
        Self { table, key, dock }
    }

    /// A recipient with one secret, straight into the table; their ids.
    pub async fn recipient_with_secret(&self, email: &str) -> (String, String) {
        let value = SecretValue::generate(&mut random::system());
        self.recipient_with_secret_of(email, value.expose()).await
    }

    /// A recipient with one secret of this value.
    pub async fn recipient_with_secret_of(&self, email: &str, value: &str) -> (String, String) {
        let now = Clock::system().now();
        let rng = &mut random::system();
        let dock = self.table.store.dock(DockId::parse(&self.dock).unwrap()).await.unwrap().unwrap();
        let recipient = Recipient {
            id: RecipientId::generate(now, rng),
            dock: dock.id,
            account: dock.account,
            name: Text::parse("A recipient").unwrap(),
            email: Email::parse(email).unwrap(),
            stakeholder_class: None,
            identifiers: Identifiers::default(),
            created_at: now,
            updated_at: None,
            version: 0,
        };
        let entry = recipient.created().by(&operator(dock.account), now);
        self.table.store.create_recipient(&recipient, &entry, None).await.unwrap();
        let secret = self.add_secret(recipient.id, Digest::of(value)).await;
        (recipient.id.to_string(), secret)
    }

    /// Gives a recipient so many more secrets.
    pub async fn add_secrets(&self, recipient: &str, count: usize) {
        let recipient = RecipientId::parse(recipient).unwrap();
        for _ in 0..count {
            let value = SecretValue::generate(&mut random::system());
            self.add_secret(recipient, value.digest()).await;
        }
    }

    async fn add_secret(&self, recipient: RecipientId, digest: Digest) -> String {
        let now = Clock::system().now();
        let id = SecretId::generate(now, &mut random::system());
        let name = Text::parse("A secret").unwrap();
        let secret = ActiveSecret::new(id, recipient, name, digest, Lifetime::default(), now);
        let found = self.table.store.recipient_with_secrets(recipient).await.unwrap().unwrap();
        let entry = secret.created(found.dock).by(&operator(found.account), now);
        self.table.store.create_secret(&secret, &entry, None).await.unwrap();
        id.to_string()
    }

    pub fn create_recipient(&self) -> Value {
        self.event(include_str!("events/create-recipient.json"))
    }

    pub fn generate_secret(&self, recipient: &str) -> Value {
        let mut event = self.event(include_str!("events/generate-secret.json"));
        event["rawPath"] = json!(format!("/live/v1/recipients/{recipient}/secrets"));
        event["pathParameters"]["recipientId"] = json!(recipient);
        event
    }

    /// An event of a request of this account to an endpoint: the values of its path parameters, a query and a body.
    pub fn request(
        &self,
        endpoint: &Endpoint,
        parameters: &[&str],
        query: &str,
        body: Option<Value>,
    ) -> Value {
        let route = endpoint.route;
        let mut event = self.create_recipient();
        event["routeKey"] = json!(route.to_string());
        event["requestContext"]["routeKey"] = json!(route.to_string());
        event["requestContext"]["http"]["method"] = json!(route.method.as_str());
        event["pathParameters"] =
            route.parameters().zip(parameters).map(|(name, value)| (name.to_owned(), json!(value))).collect();
        event["rawQueryString"] = json!(query);
        // A text is sent as it is.
        event["body"] = json!(body.map(|body| body.as_str().map_or(body.to_string(), str::to_owned)));
        event
    }

    fn event(&self, recorded: &str) -> Value {
        serde_json::from_str(&recorded.replace("API_KEY", &self.key).replace("DOCK_ID", &self.dock)).unwrap()
    }
}
