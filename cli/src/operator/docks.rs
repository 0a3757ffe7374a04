//! `docyard docks …`

use clap::Subcommand;
use docyard_core::values::id::AccountId;
use docyard_core::values::page::{MAX_LIMIT, PageRequest};

use super::{Target, account_id, message, table};

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

/// Carries out `docyard docks …`.
pub(crate) async fn run(command: Docks) -> Result<(), String> {
    let Docks::List { target, account } = command;
    let store = target.store().await;
    let mut request = PageRequest { limit: MAX_LIMIT, after: None };
    let mut docks = Vec::new();
    loop {
        let page = store.docks(account, &request).await.map_err(message)?;
        docks.extend(page.items);
        request.after = page.next;
        if request.after.is_none() {
            break;
        }
    }
    let rows =
        docks.iter().map(|dock| [dock.id.to_string(), dock.created_at.to_string(), dock.name.to_string()]);
    println!("{}", table(["ID", "CREATED", "NAME"], rows));
    Ok(())
}
