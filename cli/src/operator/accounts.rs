//! `docyard accounts …`

use clap::Subcommand;
use docyard_core::model::account::Account;
use docyard_core::store::AccountCreation;
use docyard_core::values::clock::Clock;
use docyard_core::values::id::AccountId;
use docyard_core::values::random;
use docyard_core::values::text::Text;

use super::{Target, message, text};

/// `docyard accounts …`
#[derive(Subcommand)]
pub(crate) enum Accounts {
    /// Create an account, and print its id.
    Create {
        #[command(flatten)]
        target: Target,
        /// Its name, which only operators see.
        #[arg(long, value_parser = text)]
        name: Text,
    },
}

/// Carries out `docyard accounts …`.
pub(crate) async fn run(command: Accounts) -> Result<(), String> {
    let Accounts::Create { target, name } = command;
    let now = Clock::system().now();
    let account = Account { id: AccountId::generate(now, &mut random::system()), name, created_at: now };
    match target.store().await.create_account(&account).await.map_err(message)? {
        AccountCreation::Created => {
            println!("{}", account.id);
            Ok(())
        }
        AccountCreation::IdTaken => Err("an account of this id exists; please try again".to_owned()),
    }
}
