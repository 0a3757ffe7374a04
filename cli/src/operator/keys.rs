//! `docyard keys …`

use std::io::{self, BufRead, IsTerminal, Read};

use clap::Subcommand;
use docyard_core::model::api_key::{ApiKey, ApiKeyRecord, Mode};
use docyard_core::store::{ApiKeyCreation, ApiKeyRevocation, Error, Store};
use docyard_core::values::clock::{Clock, Timestamp};
use docyard_core::values::id::{AccountId, ApiKeyId};
use docyard_core::values::random;
use docyard_core::values::text::Text;
use serde_json::{Value, json};

use super::{Audit, Operator, Options, account_id, message, must_exist, no_account, table, text};
use crate::output::{self, Failure};

/// The longest line that is read as a key: longer than any.
const MAX_LINE: u64 = 1024;

/// `docyard keys …`
#[derive(Subcommand)]
pub(crate) enum Keys {
    /// Create a key, and print it. It is not shown again.
    Create {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        audit: Audit,
        #[command(flatten)]
        key: NewKey,
    },
    /// List an account's keys, without their values.
    List {
        #[command(flatten)]
        options: Options,
        /// The account.
        #[arg(long, value_parser = account_id)]
        account: AccountId,
    },
    /// Find the key whose value is on the standard input, such as one that leaked.
    Find {
        #[command(flatten)]
        options: Options,
    },
    /// Revoke a key: every later request with it is refused. Without account and id, the one whose value is on the
    /// standard input.
    Revoke {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        audit: Audit,
        /// The account.
        #[arg(long, value_parser = account_id, requires = "key")]
        account: Option<AccountId>,
        /// The key's id, as `keys list` shows it.
        #[arg(value_parser = key_id, requires = "account")]
        key: Option<ApiKeyId>,
    },
}

/// What a new key is to be.
#[derive(clap::Args)]
pub(crate) struct NewKey {
    /// The account whose docks it gives access to.
    #[arg(long, value_parser = account_id)]
    account: AccountId,
    /// Its name, which only operators see.
    #[arg(long, value_parser = text)]
    name: Text,
    /// The mode of the deployment it is for, live or test: its parameter `Mode`. A deployment of the other mode refuses
    /// the key.
    #[arg(long, value_parser = mode, env = "DOCYARD_MODE")]
    mode: Mode,
    /// The number of days until it expires; without it, it never expires.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=3650))]
    expires_in_days: Option<u16>,
}

fn mode(text: &str) -> Result<Mode, &'static str> {
    Mode::parse(text).ok_or("must be live or test")
}

fn key_id(text: &str) -> Result<ApiKeyId, &'static str> {
    ApiKeyId::parse(text).ok_or("must be a key's id, key_…")
}

/// Carries out `docyard keys …`.
pub(crate) async fn run(command: Keys) -> Result<(), Failure> {
    let now = Clock::system().now();
    match command {
        Keys::Create { options, audit, key } => create(&options, &audit, key, now).await,
        Keys::List { options, account } => {
            let store = options.store().await?;
            must_exist(&store, account).await?;
            let keys = store.api_keys(account).await.map_err(message)?;
            let columns = [
                ("ID", "id"),
                ("MODE", "mode"),
                ("STATUS", "status"),
                ("CREATED", "createdAt"),
                ("EXPIRES", "expiresAt"),
                ("NAME", "name"),
            ];
            options.print_list(keys.iter().map(|key| json(key, now)).collect(), &columns)
        }
        Keys::Find { options } => {
            let found = find(&options, &options.store().await?, read_key()?).await?;
            let found = json(&found, now);
            let columns = [
                ("ACCOUNT", "account"),
                ("ID", "id"),
                ("MODE", "mode"),
                ("STATUS", "status"),
                ("CREATED", "createdAt"),
                ("EXPIRES", "expiresAt"),
                ("REVOKED", "revokedAt"),
                ("NAME", "name"),
            ];
            Ok(output::print(if options.json { found.to_string() } else { table(&[found], &columns) })?)
        }
        Keys::Revoke { options, audit, account, key } => {
            let (operator, account, key) = match account.zip(key) {
                Some((account, key)) => (options.operator(&audit).await?, account, key),
                None => {
                    let value = read_key()?;
                    let operator = options.operator(&audit).await?;
                    let found = find(&options, &operator.store, value).await?;
                    (operator, found.account, found.id)
                }
            };
            match revoke(&operator, account, key, now).await.map_err(message)? {
                ApiKeyRevocation::Revoked if options.json => {
                    output::print(json!({"id": key, "account": account, "status": "revoked"}))?;
                }
                ApiKeyRevocation::Revoked => output::print(format_args!("{key} is revoked."))?,
                ApiKeyRevocation::NoKey => {
                    return Err(format!("account {account} has no key {key}; see: docyard keys list").into());
                }
            }
            Ok(())
        }
    }
}

/// Creates a key and prints it. A key that cannot be printed is revoked, since nobody would have it.
async fn create(options: &Options, audit: &Audit, new: NewKey, now: Timestamp) -> Result<(), Failure> {
    if output::is_discarded() {
        return Err(Failure::Reason(
            "no key is created: the standard output, where its value would be, is closed or discarded"
                .to_owned(),
        ));
    }
    let operator = options.operator(audit).await?;
    let key = ApiKey::generate(new.mode, &mut random::system());
    let record = ApiKeyRecord {
        id: ApiKeyId::generate(now, &mut random::system()),
        account: new.account,
        mode: new.mode,
        name: new.name,
        created_at: now,
        expires_at: new.expires_in_days.map(|days| now.plus_days(days)),
        revoked_at: None,
    };
    let entry = operator.entry(record.account, record.created(), now);
    let reason = match operator.store.create_api_key(&record, &key.digest(), &entry).await {
        Ok(ApiKeyCreation::Created) => match print_new(options, &record, &key, now) {
            Ok(()) => return Ok(()),
            Err(error) => format!("the key's value cannot be written to the standard output: {error}"),
        },
        Ok(ApiKeyCreation::NoAccount) => return Err(no_account(record.account).into()),
        // It may be created all the same.
        Err(error @ Error::Unavailable(_)) => message(error),
        Err(error @ Error::Internal(_)) => return Err(message(error).into()),
    };
    Err(Failure::Reason(format!("{reason}; {}", take_back(&operator, &record, now).await)))
}

fn print_new(options: &Options, record: &ApiKeyRecord, key: &ApiKey, now: Timestamp) -> io::Result<()> {
    if options.json {
        let mut document = json(record, now);
        if let Some(fields) = document.as_object_mut() {
            fields.insert("value".to_owned(), key.expose().into());
        }
        return output::print(document);
    }
    // The value matters, and has its own output.
    let _ = output::print_error(format_args!("{} is created. Its value is shown only once:", record.id));
    output::print(key.expose())
}

/// Revokes a key whose value nobody has. Returns what became of it.
async fn take_back(operator: &Operator, key: &ApiKeyRecord, now: Timestamp) -> String {
    let ApiKeyRecord { id, account, .. } = key;
    match revoke(operator, *account, *id, now).await {
        Ok(ApiKeyRevocation::Revoked) => format!("so {id} is revoked"),
        Ok(ApiKeyRevocation::NoKey) => "no key is created".to_owned(),
        Err(error) => format!(
            "and {id} cannot be revoked ({}): it may be valid, and nobody has its value. Revoke it with: \
             docyard keys revoke --account {account} {id}",
            error.fault()
        ),
    }
}

async fn revoke(
    operator: &Operator,
    account: AccountId,
    key: ApiKeyId,
    now: Timestamp,
) -> Result<ApiKeyRevocation, Error> {
    let entry = || operator.entry(account, ApiKeyRecord::revoked(key), now);
    operator.store.revoke_api_key(account, key, entry, now).await
}

/// The key of this value.
async fn find(options: &Options, store: &Store, key: ApiKey) -> Result<ApiKeyRecord, String> {
    let found = store.api_key(&key.digest()).await.map_err(message)?;
    found.ok_or_else(|| format!("there is no key of this value in the table {}", options.table))
}

/// Reads a key's value, which is no argument, since others can read those. The message of a failure does not repeat it.
fn read_key() -> Result<ApiKey, String> {
    let input = io::stdin();
    if input.is_terminal() {
        let _ = output::print_error("Enter the key's value, dk_…:");
    }
    let mut line = String::new();
    input
        .lock()
        .take(MAX_LINE)
        .read_line(&mut line)
        .map_err(|error| format!("cannot read the standard input: {error}"))?;
    ApiKey::parse(line.trim()).ok_or_else(|| {
        "the standard input has no API key: one begins with dk_live_ or dk_test_, and has 44 characters"
            .to_owned()
    })
}

/// A key as JSON, without its value.
fn json(key: &ApiKeyRecord, now: Timestamp) -> Value {
    let status = match key.revoked_at {
        Some(_) => "revoked",
        None if key.is_valid(now) => "valid",
        None => "expired",
    };
    json!({
        "id": key.id,
        "account": key.account,
        "mode": key.mode,
        "status": status,
        "name": key.name,
        "createdAt": key.created_at,
        "expiresAt": key.expires_at,
        "revokedAt": key.revoked_at,
    })
}
