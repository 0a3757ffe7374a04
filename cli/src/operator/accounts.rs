//! `docyard accounts …`

use clap::Subcommand;
use docyard_core::model::account::Account;
use docyard_core::store::AccountCreation;
use docyard_core::values::clock::Clock;
use docyard_core::values::id::AccountId;
use docyard_core::values::random;
use docyard_core::values::text::Text;
use serde_json::{Value, json};

use super::{Audit, Options, message, text};
use crate::output::{self, Failure};

/// `docyard accounts …`
#[derive(Subcommand)]
pub(crate) enum Accounts {
    /// Create an account, and print its id.
    Create {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        audit: Audit,
        /// Its name, which only operators see.
        #[arg(long, value_parser = text)]
        name: Text,
    },
    /// List all accounts, oldest first. It reads the whole table.
    ///
    /// Accounts have no index, so it reads the whole table, 1 MB at a time: 256 read units and one call for each MB,
    /// about $0.03 for each GB.
    List {
        #[command(flatten)]
        options: Options,
    },
}

/// Carries out `docyard accounts …`.
pub(crate) async fn run(command: Accounts) -> Result<(), Failure> {
    match command {
        Accounts::Create { options, audit, name } => create(&options, &audit, name).await,
        Accounts::List { options } => {
            let accounts = options.store().await?.accounts().await.map_err(message)?;
            let columns = [("ID", "id"), ("CREATED", "createdAt"), ("NAME", "name")];
            options.print_list(accounts.iter().map(json).collect(), &columns)
        }
    }
}

async fn create(options: &Options, audit: &Audit, name: Text) -> Result<(), Failure> {
    if output::is_discarded() {
        return Err(Failure::Reason(
            "no account is created: the standard output, where its id would be, is closed or discarded"
                .to_owned(),
        ));
    }
    let operator = options.operator(audit).await?;
    let now = Clock::system().now();
    let account = Account { id: AccountId::generate(now, &mut random::system()), name, created_at: now };
    let entry = operator.entry(account.id, account.created(), now);
    if operator.store.create_account(&account, &entry).await.map_err(message)? == AccountCreation::IdTaken {
        return Err(Failure::Reason("an account of this id exists; please try again".to_owned()));
    }
    let id = account.id;
    output::print(if options.json { json(&account).to_string() } else { id.to_string() }).map_err(|error| {
        Failure::Reason(format!(
            "account {id} is created, but cannot be written to the standard output: {error}"
        ))
    })
}

fn json(account: &Account) -> Value {
    json!({"id": account.id, "name": account.name, "createdAt": account.created_at})
}
