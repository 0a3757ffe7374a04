//! An operator's commands, on a table in AWS under the operator's own credentials, or on files alone ([`truststore`]). One
//! module for each noun; in [`aws`] how they reach the table.

pub(crate) mod accounts;
pub(crate) mod audit;
mod aws;
pub(crate) mod docks;
pub(crate) mod keys;
pub(crate) mod truststore;

use clap::Args;
use comfy_table::{Table, presets};
use docyard_core::model::audit::{Author, DEFAULT_RETENTION_DAYS, Entry, Event};
use docyard_core::model::dock::Dock;
use docyard_core::store::{Error, Store};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::id::AccountId;
use docyard_core::values::page::{MAX_LIMIT, PageRequest};
use docyard_core::values::text::Text;
use serde_json::Value;

use crate::output::{self, Failure};

/// The options of every command on a table. Region and credentials are found as the AWS CLI finds them.
#[derive(Args)]
pub(crate) struct Options {
    /// The table's name: the stack's output `TableName`.
    #[arg(long, env = "TABLE_NAME")]
    table: String,
    /// Another DynamoDB endpoint than the region's, such as that of `docyard dev --dynamodb-port`.
    #[arg(long, value_parser = url)]
    endpoint_url: Option<String>,
    /// Print one JSON document: an array for a list, an object otherwise.
    #[arg(long)]
    json: bool,
}

/// The options of a command that changes something, which the audit trail tells.
#[derive(Args)]
pub(crate) struct Audit {
    /// How many days the audit trail keeps what this command does: the stack's parameter AuditRetentionDays.
    #[arg(long, env = "AUDIT_RETENTION_DAYS", default_value_t = DEFAULT_RETENTION_DAYS, value_parser = clap::value_parser!(u16).range(1..))]
    audit_retention_days: u16,
}

/// The table, and who writes to it.
struct Operator {
    store: Store,
    /// The operator's AWS identity.
    identity: String,
}

impl Operator {
    /// The audit entry on an event of the account that this command brings about.
    fn entry(&self, account: AccountId, event: Event, now: Timestamp) -> Entry {
        event.by(&Author::operator(account, &self.identity), now)
    }
}

impl Options {
    /// The table. Fails, in words for the operator, if region, credentials or network are not set as they must be.
    async fn store(&self) -> Result<Store, String> {
        let connection = aws::connect(self.endpoint_url.as_deref()).await?;
        Ok(Store::new(connection.client, self.table.as_str()))
    }

    /// The table, to be written to. Fails as [`Options::store`].
    async fn operator(&self, audit: &Audit) -> Result<Operator, String> {
        let connection = aws::connect(self.endpoint_url.as_deref()).await?;
        let identity = connection.identity().await;
        let store = Store::new(connection.client, self.table.as_str());
        Ok(Operator { store: store.keeping_audit_entries(audit.audit_retention_days), identity })
    }

    /// Prints a list: as a JSON array, or as a table whose columns are a heading and a field of `items` each.
    fn print_list(&self, items: Vec<Value>, columns: &[(&str, &str)]) -> Result<(), Failure> {
        Ok(output::print(if self.json { Value::Array(items).to_string() } else { table(&items, columns) })?)
    }
}

/// A table with a line for each item. What an item does not have, such as the time of its expiry, is "never".
fn table(items: &[Value], columns: &[(&str, &str)]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(columns.iter().map(|(heading, _)| heading));
    let cell =
        |item: &Value, field: &str| item.get(field).and_then(Value::as_str).unwrap_or("never").to_owned();
    table.add_rows(
        items.iter().map(|item| columns.iter().map(|(_, field)| cell(item, field)).collect::<Vec<_>>()),
    );
    table.to_string()
}

fn text(text: &str) -> Result<Text, String> {
    Text::parse(text).map_err(str::to_owned)
}

fn account_id(text: &str) -> Result<AccountId, &'static str> {
    AccountId::parse(text).ok_or("must be an account's id, acc_…")
}

fn url(text: &str) -> Result<String, &'static str> {
    aws::is_url(text).then(|| text.to_owned()).ok_or("must be a URL, https://… or http://…")
}

/// Fails if the account does not exist, whose lists would be empty.
async fn must_exist(store: &Store, account: AccountId) -> Result<(), String> {
    store.account(account).await.map_err(message)?.map(drop).ok_or_else(|| no_account(account))
}

/// All docks of an account, newest first.
async fn all_docks(store: &Store, account: AccountId) -> Result<Vec<Dock>, String> {
    let mut request = PageRequest { limit: MAX_LIMIT, after: None };
    let mut docks = Vec::new();
    loop {
        let page = store.docks(account, &request).await.map_err(message)?;
        docks.extend(page.items);
        request.after = page.next;
        if request.after.is_none() {
            return Ok(docks);
        }
    }
}

fn no_account(account: AccountId) -> String {
    format!(
        "there is no account {account}; see: docyard accounts list; or create one with: docyard accounts create"
    )
}

fn message(error: Error) -> String {
    let fault = error.fault().to_string();
    match error {
        Error::Unavailable(_) => format!(
            "DynamoDB cannot be reached or is busy ({fault}); check the region, and the network's settings such as \
             HTTPS_PROXY and AWS_CA_BUNDLE, or try again"
        ),
        Error::Internal(_) => {
            let what = match fault.rsplit(": ").next() {
                Some("ResourceNotFoundException") => "there is no such table in this account and region",
                Some("AccessDeniedException") => "the credentials do not allow the call",
                Some("ExpiredTokenException") => "the credentials have expired; renew them",
                Some("UnrecognizedClientException" | "InvalidSignatureException") => {
                    "AWS does not know the credentials"
                }
                _ => "it could not be done",
            };
            format!("{what} ({fault})")
        }
    }
}
