//! An operator's commands, on a table in AWS under the operator's own credentials. One module for each noun.

pub(crate) mod accounts;
pub(crate) mod docks;
pub(crate) mod keys;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use clap::Args;
use comfy_table::{Table, presets};
use docyard_core::aws::{dynamodb, transport};
use docyard_core::store::{Error, Store};
use docyard_core::values::id::AccountId;
use docyard_core::values::text::Text;

/// The table that a command works on. Region and credentials are found as the AWS CLI finds them.
#[derive(Args)]
pub(crate) struct Target {
    /// The table's name: the stack's output `TableName`.
    #[arg(long, env = "TABLE_NAME")]
    table: String,
    /// Another DynamoDB endpoint than the region's, such as that of `docyard dev --dynamodb-port`.
    #[arg(long)]
    endpoint_url: Option<String>,
}

impl Target {
    async fn store(self) -> Store {
        // The operating system's root certificates, since an operator's network may have its own authority.
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let shared = aws_config::defaults(BehaviorVersion::latest())
            .http_client(transport::http_client(roots))
            .load()
            .await;
        let mut config = aws_sdk_dynamodb::config::Builder::from(&shared);
        if let Some(url) = self.endpoint_url {
            config = config.endpoint_url(url);
        }
        Store::new(Client::from_conf(dynamodb::with_limits(config).build()), self.table)
    }
}

fn text(text: &str) -> Result<Text, String> {
    Text::parse(text).map_err(str::to_owned)
}

fn account_id(text: &str) -> Result<AccountId, &'static str> {
    AccountId::parse(text).ok_or("must be an account's id, acc_…")
}

fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table.add_rows(rows);
    table
}

fn message(error: Error) -> String {
    match error {
        Error::Unavailable(fault) => format!(
            "DynamoDB cannot be reached or is busy ({fault}); check region and credentials, or try again"
        ),
        Error::Internal(fault) => {
            format!("DynamoDB refused the call ({fault}); check table, region and permissions")
        }
    }
}
