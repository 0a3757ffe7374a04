//! `docyard docks …`

use clap::Subcommand;
use docyard_core::values::id::AccountId;
use serde_json::json;

use super::{Options, account_id, all_docks, must_exist};
use crate::output::Failure;

/// `docyard docks …`
#[derive(Subcommand)]
pub(crate) enum Docks {
    /// List an account's docks, newest first.
    List {
        #[command(flatten)]
        options: Options,
        /// The account.
        #[arg(long, value_parser = account_id)]
        account: AccountId,
    },
}

/// Carries out `docyard docks …`.
pub(crate) async fn run(command: Docks) -> Result<(), Failure> {
    let Docks::List { options, account } = command;
    let store = options.store().await?;
    must_exist(&store, account).await?;
    let docks = all_docks(&store, account).await?;
    let docks =
        docks.iter().map(|dock| json!({"id": dock.id, "name": dock.name, "createdAt": dock.created_at}));
    options.print_list(docks.collect(), &[("ID", "id"), ("CREATED", "createdAt"), ("NAME", "name")])
}
