//! `docyard`: runs the whole API on this machine (`dev`), uploads files (`upload`) and recipients (`import`) by it and fetches files (`retrieve`), and has an operator's commands: on a
//! deployed one, and before it is deployed.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod account;
mod dev;
mod files;
mod http;
mod import;
mod operator;
mod output;
mod retrieve;
mod upload;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use docyard_core::model::api_key::ApiKey;
use docyard_functions::lambda::logging::{self, Format};

use output::Failure;

/// The exit code of a command whose reader has gone: what a shell reports of one that SIGPIPE (13) ends.
const READER_GONE: u8 = 128 + 13;

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
    /// The sealed copy of the audit trail.
    #[command(subcommand)]
    Audit(operator::audit::Audit),
    /// Trust stores for mutual TLS.
    #[command(subcommand)]
    Truststore(operator::truststore::Truststore),
    /// Upload the files of a directory into a dock.
    ///
    /// A file that is there already, by its content, its name and its metadata, is not sent again: interrupted, or after an error, run it
    /// again. The exit code is 0 if all files are there, 1 if some are not, and 2 if the command cannot be understood.
    Upload(upload::Options),
    /// Create the recipients of a CSV file in a dock.
    ///
    /// One that is there already with equal fields is none to create: interrupted, or after an error, run it again. Rows that are no
    /// recipient are written to FILE.errors.csv, with the reason. The exit code is 0 if there are none, 1 if there are some, and 2 if the
    /// command cannot be understood.
    Import(import::Options),
    /// Retrieve what a recipient is granted into a directory.
    ///
    /// A file that is there already is not fetched again: interrupted, or after an error, run it again. The exit code is 0 if all files are
    /// there, 1 if some are not, and 2 if the command cannot be understood.
    Retrieve(retrieve::Options),
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(Failure::ReaderGone) => READER_GONE.into(),
        Err(Failure::Told) => ExitCode::FAILURE,
        Err(Failure::Reason(reason)) => {
            // Where it cannot be said, the exit code says that it failed.
            let _ = output::print_error(format_args!("docyard: {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Failure> {
    // Before anything repeats it in a message.
    let has_key = |argument: &str| {
        let words = argument.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.into_iter().any(|word| ApiKey::parse(word).is_some())
    };
    if std::env::args_os().any(|argument| has_key(&argument.to_string_lossy())) {
        let reason = "an API key must not be an argument, since others can read it there: \
                      in the list of processes and in the shell's history. \
                      `keys find` and `keys revoke` read it from the standard input";
        return Err(Failure::Reason(reason.to_owned()));
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Also of `--help` and `--version`, which are no errors.
        Err(error) => {
            let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
            return match error.print() {
                Err(unprinted) if !error.use_stderr() => Err(unprinted.into()),
                _ => Ok(code),
            };
        }
    };
    logging::init(Format::Text);
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::Reason(format!("no async runtime: {error}")))?;
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Dev(options) => dev::run(options).await.map_err(Failure::from),
            Command::Accounts(command) => operator::accounts::run(command).await,
            Command::Keys(command) => operator::keys::run(command).await,
            Command::Docks(command) => operator::docks::run(command).await,
            Command::Audit(command) => operator::audit::run(command).await,
            Command::Truststore(command) => operator::truststore::run(command),
            Command::Upload(options) => upload::run(options).await,
            Command::Import(options) => import::run(options).await,
            Command::Retrieve(options) => retrieve::run(options).await,
        }
    });
    // Does not wait for what still runs, such as a sweep of the database.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}
