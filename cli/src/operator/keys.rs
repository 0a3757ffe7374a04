//! `docyard keys …`

use clap::Subcommand;
use docyard_core::model::api_key::{ApiKey, ApiKeyRecord, Mode};
use docyard_core::store::{ApiKeyCreation, ApiKeyRevocation};
use docyard_core::values::clock::{Clock, Timestamp};
use docyard_core::values::id::{AccountId, ApiKeyId};
use docyard_core::values::random;
use docyard_core::values::text::Text;

use super::{Target, account_id, message, table, text};

/// `docyard keys …`
#[derive(Subcommand)]
pub(crate) enum Keys {
    /// Create a key, and print it. It is not shown again.
    Create {
        #[command(flatten)]
        target: Target,
        /// The account whose docks it gives access to.
        #[arg(long, value_parser = account_id)]
        account: AccountId,
        /// Its name, which only operators see.
        #[arg(long, value_parser = text)]
        name: Text,
        /// The mode of the deployment it is for: live or test.
        #[arg(long, value_parser = mode, default_value = "live")]
        mode: Mode,
        /// The number of days until it expires; without it, it never expires.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=3650))]
        expires_in_days: Option<u16>,
    },
    /// List an account's keys, without their values.
    List {
        #[command(flatten)]
        target: Target,
        /// The account.
        #[arg(long, value_parser = account_id)]
        account: AccountId,
    },
    /// Revoke a key: every later request with it is refused.
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

fn mode(text: &str) -> Result<Mode, &'static str> {
    Mode::parse(text).ok_or("must be live or test")
}

fn key_id(text: &str) -> Result<ApiKeyId, &'static str> {
    ApiKeyId::parse(text).ok_or("must be a key's id, key_…")
}

/// Carries out `docyard keys …`.
pub(crate) async fn run(command: Keys) -> Result<(), String> {
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
            let created = target.store().await.create_api_key(&record, &key.digest()).await;
            match created.map_err(message)? {
                ApiKeyCreation::Created => {
                    eprintln!("{} is created. Its value is shown only once:", record.id);
                    println!("{}", key.expose());
                }
                ApiKeyCreation::NoAccount => {
                    return Err(format!(
                        "there is no account {account}; create one with: docyard accounts create"
                    ));
                }
            }
        }
        Keys::List { target, account } => {
            let keys = target.store().await.api_keys(account).await.map_err(message)?;
            let rows = keys.iter().map(|key| key_row(key, now));
            println!("{}", table(["ID", "MODE", "STATUS", "CREATED", "EXPIRES", "NAME"], rows));
        }
        Keys::Revoke { target, account, key } => {
            match target.store().await.revoke_api_key(account, key, now).await.map_err(message)? {
                ApiKeyRevocation::Revoked => println!("{key} is revoked."),
                ApiKeyRevocation::NoKey => {
                    return Err(format!("account {account} has no key {key}; see: docyard keys list"));
                }
            }
        }
    }
    Ok(())
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
