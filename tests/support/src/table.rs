//! A table in an embedded DynamoDB, with accounts, docks and keys.

use std::path::Path;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use docyard_core::aws::dynamodb;
use docyard_core::model::account::Account;
use docyard_core::model::api_key::{ApiKey, ApiKeyRecord, Mode};
use docyard_core::model::audit::Author;
use docyard_core::model::dock::{Dock, Profile};
use docyard_core::store::{AccountCreation, ApiKeyCreation, ApiKeyRevocation, Store};
use docyard_core::values::clock::{Clock, Timestamp};
use docyard_core::values::id::{AccountId, ApiKeyId, DockId};
use docyard_core::values::random;
use docyard_core::values::text::Text;

use crate::bucket::{self, TestBucket};

pub const TABLE: &str = "docyard";

/// Who prepares a table.
pub fn operator(account: AccountId) -> Author {
    Author::operator(account, "a test")
}

/// A table, reached over HTTP as a function reaches it.
#[derive(Clone)]
pub struct TestTable {
    pub url: String,
    pub client: Client,
    pub store: Store,
    /// The bucket beside it, where it is this process's.
    pub bucket: Option<Arc<TestBucket>>,
    /// The database itself, where it is this process's.
    database: Option<dynoxide::Database>,
}

impl TestTable {
    /// A new, empty table in a database of its own, which ends with the test.
    pub async fn start() -> Self {
        let table = Self::of(dynoxide::Database::memory().unwrap()).await;
        table.store.create_table().await.unwrap();
        table
    }

    /// The table of the database that [`TestTable::save`] put into this file, in a copy of its own.
    pub async fn restore(file: &Path) -> Self {
        let database = dynoxide::Database::memory().unwrap();
        database.restore_from(file.to_str().unwrap()).unwrap();
        Self::of(database).await
    }

    /// Puts a copy of the database into this file, which must not be there yet.
    pub fn save(&self, file: &Path) {
        self.database.as_ref().unwrap().vacuum_into(file.to_str().unwrap()).unwrap();
    }

    /// The table of this database.
    pub async fn of(database: dynoxide::Database) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
        let bucket = TestBucket::start().await;
        bucket::put_beside(&url, &bucket.url);
        let mut table = Self::at(url);
        table.bucket = Some(bucket);
        table.database = Some(database);
        table
    }

    /// The table behind a DynamoDB endpoint that runs already.
    pub fn at(url: String) -> Self {
        let client = dynamodb::local_client(&url);
        let store = Store::new(client.clone(), TABLE);
        Self { url, client, store, bucket: None, database: None }
    }

    /// The database itself, which must be this process's.
    pub fn database(&self) -> dynoxide::Database {
        self.database.clone().unwrap()
    }

    /// Puts many items into the table, past its API.
    pub fn import(&self, items: Vec<dynoxide::Item>) {
        let database = self.database.as_ref().unwrap();
        database.import_items(TABLE, items, dynoxide::ImportOptions::default()).unwrap();
    }

    pub async fn account(&self) -> AccountId {
        let now = Clock::system().now();
        let id = AccountId::generate(now, &mut random::system());
        let account = Account { id, name: Text::parse("An account").unwrap(), created_at: now };
        let entry = account.created().by(&operator(id), now);
        assert_eq!(self.store.create_account(&account, &entry).await.unwrap(), AccountCreation::Created);
        id
    }

    pub async fn dock(&self, account: AccountId) -> DockId {
        let now = Clock::system().now();
        let id = DockId::generate(now, &mut random::system());
        let name = Text::parse("A dock").unwrap();
        let dock = Dock { id, account, name, profile: Profile::default(), created_at: now, version: 0 };
        let entry = dock.created().by(&operator(account), now);
        self.store.create_dock(&dock, &entry, None).await.unwrap();
        id
    }

    pub async fn key(&self, account: AccountId) -> String {
        self.key_with(account, Mode::Live, None).await
    }

    pub async fn key_with(&self, account: AccountId, mode: Mode, expires_at: Option<Timestamp>) -> String {
        let now = Clock::system().now();
        let key = ApiKey::generate(mode, &mut random::system());
        let record = ApiKeyRecord {
            id: ApiKeyId::generate(now, &mut random::system()),
            account,
            mode,
            name: Text::parse("A key").unwrap(),
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        let entry = record.created().by(&operator(account), now);
        let created = self.store.create_api_key(&record, &key.digest(), &entry).await.unwrap();
        assert_eq!(created, ApiKeyCreation::Created);
        key.expose().to_owned()
    }

    /// Makes a secret expire now.
    pub async fn expire(&self, recipient: &str, secret: &str) {
        let text = |text: String| AttributeValue::S(text);
        let update = self.client.update_item().table_name(TABLE).update_expression("SET expiresAt = :now");
        let update = update.key("pk", text(format!("RECIPIENT#{recipient}")));
        let update =
            update.key("sk", text(format!("SECRET#{secret}"))).condition_expression("attribute_exists(pk)");
        let now = Clock::system().now().to_string();
        update.expression_attribute_values(":now", text(now)).send().await.unwrap();
    }

    pub async fn revoke_key(&self, account: AccountId, id: ApiKeyId) {
        let now = Clock::system().now();
        let entry = || ApiKeyRecord::revoked(id).by(&operator(account), now);
        let revocation = self.store.revoke_api_key(account, id, entry, now).await.unwrap();
        assert_eq!(revocation, ApiKeyRevocation::Revoked);
    }

    /// Everything in the table.
    pub async fn items(&self) -> Vec<std::collections::HashMap<String, AttributeValue>> {
        let pages = self.client.scan().table_name(TABLE).into_paginator().items().send();
        pages.collect::<Result<_, _>>().await.unwrap()
    }

    /// The sort keys of all recipients' items and pointers.
    pub async fn recipients(&self) -> (Vec<String>, Vec<String>) {
        let (mut recipients, mut pointers) = (Vec::new(), Vec::new());
        for item in self.items().await {
            let (pk, sk) = (item["pk"].as_s().unwrap(), item["sk"].as_s().unwrap());
            if sk.starts_with("RECIPIENT#") {
                recipients.push(item["id"].as_s().unwrap().clone());
            } else if sk == "RECIPIENT" {
                pointers.push(pk.strip_prefix("RECIPIENT#").unwrap().to_owned());
            }
        }
        recipients.sort();
        pointers.sort();
        (recipients, pointers)
    }
}
