//! `docyard`: runs the whole API on this machine (`dev`), and an operator's commands on a deployed one.

mod dev;
mod operator;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use docyard_functions::lambda::logging::{self, Format};

/// Docyard Access: recipients and their secrets.
#[derive(Parser)]
#[command(name = "docyard", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the whole API on this machine, with its own database.
    Dev(dev::Options),
    /// Accounts of a deployed table: who owns docks and API keys.
    #[command(subcommand)]
    Accounts(operator::accounts::Accounts),
    /// API keys of a deployed table.
    #[command(subcommand)]
    Keys(operator::keys::Keys),
    /// Docks of a deployed table.
    #[command(subcommand)]
    Docks(operator::docks::Docks),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::init(Format::Text);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no async runtime: {error}")),
    };
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Dev(options) => dev::run(options).await,
            Command::Accounts(command) => operator::accounts::run(command).await,
            Command::Keys(command) => operator::keys::run(command).await,
            Command::Docks(command) => operator::docks::run(command).await,
        }
    });
    // Does not wait for what still runs, such as a sweep of the database.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => fail(&reason),
    }
}

fn fail(reason: &str) -> ExitCode {
    // Whoever reads may be gone.
    let _ = writeln!(std::io::stderr(), "docyard: {reason}");
    ExitCode::FAILURE
}
