//! An operator's commands, against a table in AWS under the operator's own credentials.

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use docyard_core::model::api_key::ApiKey;
use docyard_core::model::api_key::ApiKeyRecord;
use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::Clock;
use docyard_core::values::clock::Timestamp;
use docyard_core::aws::dynamodb;
use docyard_functions::http::error::Error;
use docyard_core::values::id::AccountId;
use docyard_core::values::id::ApiKeyId;
use docyard_core::values::page::PageRequest;
use docyard_core::values::text::Text;
use docyard_core::values::random;
use docyard_core::model::account::Account;
use docyard_core::store::Store;
use docyard_core::aws::transport;

/// Which table a command is about. Region and credentials come from where the AWS CLI takes them.
#[derive(Args)]
pub(crate) struct Target {
    /// The table's name, as the stack's output `TableName` tells it.
    #[arg(long, env = "TABLE_NAME")]
    table: String,
    /// Another DynamoDB endpoint than the region's, such as that of `docyard dev --dynamodb-port`.
    #[arg(long)]
    endpoint_url: Option<String>,
}

/// `docyard accounts …`
#[derive(Subcommand)]
pub(crate) enum Accounts {
    /// Make an account, and print its id.
    Create {
        #[command(flatten)]
        target: Target,
        /// What to call it.
        #[arg(long, value_parser = name)]
        name: Text,
    },
}

/// `docyard keys …`
#[derive(Subcommand)]
pub(crate) enum Keys {
    /// Make a key, and print it: this once and never again.
    Create {
        #[command(flatten)]
        target: Target,
        /// The account whose docks it opens.
        #[arg(long, value_parser = account_id)]
        account: AccountId,
        /// What to call it.
        #[arg(long, value_parser = name)]
        name: Text,
        /// The mode of the deployment it is for: live or test.
        #[arg(long, value_parser = mode, default_value = "live")]
        mode: Mode,
        /// After how many days it ends; never, if left out.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=3650))]
        expires_in_days: Option<u16>,
    },
    /// List an account's keys, never their values.
    List {
        #[command(flatten)]
        target: Target,
        /// The account.
        #[arg(long, value_parser = account_id)]
        account: AccountId,
    },
    /// Revoke a key: from then on it opens nothing.
    Revoke {
        #[command(flatten)]
        target: Target,
        /// The account.
        #[arg(long, value_parser = account_id)]
        account: AccountId,
        /// The key's id, as `keys list` shows it.
        #[arg(value_parser = key_id)]
        key: ApiKeyId,
    },
}

/// `docyard docks …`
#[derive(Subcommand)]
pub(crate) enum Docks {
    /// List an account's docks, newest first.
    List {
        #[command(flatten)]
        target: Target,
        /// The account.
        #[arg(long, value_parser = account_id)]
        account: AccountId,
    },
}

fn name(text: &str) -> Result<Text, String> {
    Text::parse(text).map_err(str::to_owned)
}

fn mode(text: &str) -> Result<Mode, &'static str> {
    Mode::parse(text).ok_or("must be live or test")
}

fn account_id(text: &str) -> Result<AccountId, &'static str> {
    AccountId::parse(text).ok_or("must be an account's id, acc_…")
}

fn key_id(text: &str) -> Result<ApiKeyId, &'static str> {
    ApiKeyId::parse(text).ok_or("must be a key's id, key_…")
}

/// Carries out `docyard accounts …`.
pub(crate) async fn accounts(command: Accounts) -> Result<(), String> {
    let Accounts::Create { target, name } = command;
    let now = Clock::system().now();
    let account = Account { id: AccountId::generate(now, &mut random::system()), name, created_at: now };
    if store(target).await.create_account(&account).await.map_err(message)? {
        println!("{}", account.id);
        Ok(())
    } else {
        Err("an account of this id exists; please try again".to_owned())
    }
}

/// Carries out `docyard keys …`.
pub(crate) async fn keys(command: Keys) -> Result<(), String> {
    let now = Clock::system().now();
    match command {
        Keys::Create { target, account, name, mode, expires_in_days } => {
            let key = ApiKey::generate(mode, &mut random::system());
            let record = ApiKeyRecord {
                id: ApiKeyId::generate(now, &mut random::system()),
                account,
                mode,
                name,
                created_at: now,
                expires_at: expires_in_days.map(|days| now.plus_days(days)),
                revoked_at: None,
            };
            if !store(target).await.create_api_key(&record, &key.digest()).await.map_err(message)? {
                return Err(format!("there is no account {account}; make one with: docyard accounts create"));
            }
            eprintln!("{} is made. This is the only time its value is shown:", record.id);
            println!("{}", key.expose());
        }
        Keys::List { target, account } => {
            let keys = store(target).await.api_keys(account).await.map_err(message)?;
            let rows = keys.iter().map(|key| key_row(key, now));
            println!("{}", table(["ID", "MODE", "STATUS", "CREATED", "EXPIRES", "NAME"], rows));
        }
        Keys::Revoke { target, account, key } => {
            if !store(target).await.revoke_api_key(account, key, now).await.map_err(message)? {
                return Err(format!("account {account} has no key {key}; see: docyard keys list"));
            }
            println!("{key} is revoked.");
        }
    }
    Ok(())
}

/// Carries out `docyard docks …`.
pub(crate) async fn docks(command: Docks) -> Result<(), String> {
    let Docks::List { target, account } = command;
    let store = store(target).await;
    let mut window = PageRequest { limit: 1000, after: None };
    let mut docks = Vec::new();
    loop {
        let page = store.docks(account, &window).await.map_err(message)?;
        docks.extend(page.items);
        window.after = page.next;
        if window.after.is_none() {
            break;
        }
    }
    let rows =
        docks.iter().map(|dock| [dock.id.to_string(), dock.created_at.to_string(), dock.name.to_string()]);
    println!("{}", table(["ID", "CREATED", "NAME"], rows));
    Ok(())
}

fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table.add_rows(rows);
    table
}

fn key_row(key: &ApiKeyRecord, now: Timestamp) -> [String; 6] {
    let status = match key.revoked_at {
        Some(_) => "revoked",
        None if key.is_valid(now) => "valid",
        None => "expired",
    };
    let expires = key.expires_at.map_or_else(|| "never".to_owned(), |time| time.to_string());
    [
        key.id.to_string(),
        key.mode.to_string(),
        status.to_owned(),
        key.created_at.to_string(),
        expires,
        key.name.to_string(),
    ]
}

async fn store(target: Target) -> Store {
    // The operating system's root certificates, since an operator's network may have an authority of its own.
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let shared = aws_config::defaults(BehaviorVersion::latest())
        .http_client(transport::http_client(roots))
        .load()
        .await;
    let mut config = aws_sdk_dynamodb::config::Builder::from(&shared);
    if let Some(url) = target.endpoint_url {
        config = config.endpoint_url(url);
    }
    Store::new(Client::from_conf(dynamodb::with_limits(config).build()), target.table)
}

fn message(error: Error) -> String {
    match error {
        Error::Unavailable(fault) => format!(
            "DynamoDB cannot be reached or is busy ({fault}); check region and credentials, or try again"
        ),
        Error::Internal(fault) => {
            format!("DynamoDB refused the call ({fault}); check table, region and permissions")
        }
        _ => "the command failed".to_owned(),
    }
}
