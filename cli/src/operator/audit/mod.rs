//! `docyard audit …`: what the sealed copy of the audit trail shows of the table.
//!
//! Here: the commands, and what they print. In [`copy`]: where a copy is, and how it is read. In [`verify`]: what must fit.

mod copy;
mod verify;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use docyard_core::model::sealed_copy::{Chain, SealedFrom};
use docyard_core::store::Store;
use docyard_core::values::clock::Clock;
use docyard_core::values::page::MAX_LIMIT;
use serde_json::{Value, json};

use super::{Options, all_docks, message};
use crate::files;
use crate::output::{self, Failure};
use copy::{Copy, Location};
use verify::Verification;

/// `docyard audit …`
#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Compare the audit trail in the table with its sealed copy, and name everything that does not fit.
    ///
    /// The exit code is 0 if all fits, and 1 if something does not. It reads the whole trail and the whole copy of each dock and account.
    Verify {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        which: Which,
    },
    /// Seal the entries that are in the table and in no object of the copy, such as after a day without the stream.
    ///
    /// The objects say that they come from the table: nothing shows what their entries were until then. Entries of the last 15 minutes are
    /// left to the stream.
    Seal {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        which: Which,
    },
    /// Write the objects of the copy into a directory, as they are: a directory for each chain, a file for each number. What is
    /// there already stays.
    Export {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        which: Which,
        /// The directory.
        directory: PathBuf,
    },
}

/// Which sealed copy, and what of it.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// The sealed copy: s3:// and the stack's output SealedBucketName, or a directory, such as that of an export, or `sealed` in the data
    /// directory of `docyard dev`.
    #[arg(long)]
    copy: Location,
    /// The dock or the account whose entries to look at; an account's are its own and its keys', and not those of its docks. Without it, all
    /// of the table and of the copy: for that it reads the whole table.
    #[arg(long = "of", value_parser = chain)]
    of: Option<Chain>,
}

fn chain(text: &str) -> Result<Chain, &'static str> {
    Chain::parse(text).ok_or("must be the id of a dock, dock_…, or of an account, acc_…")
}

/// Carries out `docyard audit …`.
pub(crate) async fn run(command: Audit) -> Result<(), Failure> {
    match command {
        Audit::Verify { options, which } => {
            let (store, copy) = open(&options, &which).await?;
            let mut does_fit = true;
            let mut verified = Vec::new();
            for chain in chains(&store, &copy, &which).await? {
                let verification = verify::verify(&store, &copy, chain, Clock::system().now()).await?;
                does_fit &= verification.findings.is_empty();
                if options.json {
                    verified.push(json(&verification));
                } else {
                    print(&verification)?;
                }
            }
            if options.json {
                output::print(Value::Array(verified))?;
            }
            if does_fit { Ok(()) } else { Err(Failure::Told) }
        }
        Audit::Seal { options, which } => {
            let (store, copy) = open(&options, &which).await?;
            for chain in chains(&store, &copy, &which).await? {
                let sealed = seal(&store, &copy, chain).await?;
                if options.json {
                    output::print(json!({"chain": chain, "sealed": sealed}))?;
                } else {
                    output::print(format_args!("{chain}: {sealed} entries are sealed"))?;
                }
            }
            Ok(())
        }
        Audit::Export { options, which, directory } => {
            let (store, copy) = open(&options, &which).await?;
            for chain in chains(&store, &copy, &which).await? {
                let objects = export(&copy, chain, &directory).await?;
                if options.json {
                    output::print(json!({"chain": chain, "objects": objects}))?;
                } else {
                    output::print(format_args!("{chain}: {objects} objects"))?;
                }
            }
            Ok(())
        }
    }
}

async fn open(options: &Options, which: &Which) -> Result<(Store, Copy), String> {
    let connection = super::aws::connect(options.endpoint_url.as_deref()).await?;
    let copy = which.copy.open(&connection)?;
    Ok((Store::new(connection.client, options.table.as_str()), copy))
}

/// The chains that are asked for: of all, those that there should be by the table, and those that the copy has.
async fn chains(store: &Store, copy: &Copy, which: &Which) -> Result<Vec<Chain>, String> {
    if let Some(chain) = which.of {
        return Ok(vec![chain]);
    }
    let mut chains = copy.chains().await?;
    for account in store.accounts().await.map_err(message)? {
        chains.insert(Chain::Account(account.id));
        let docks = all_docks(store, account.id).await?;
        chains.extend(docks.iter().map(|dock| Chain::Dock(dock.id)));
    }
    Ok(chains.into_iter().collect())
}

/// Seals what a chain lacks, and returns how many entries these are.
async fn seal(store: &Store, copy: &Copy, chain: Chain) -> Result<usize, String> {
    let Copy::Bucket(bucket) = copy else {
        return Err("entries are sealed in a bucket alone: --copy s3://…".to_owned());
    };
    let mut verification = verify::verify(store, copy, chain, Clock::system().now()).await?;
    let mut sealed = 0;
    while !verification.unsealed.is_empty() {
        let nth = verification.unsealed.keys().nth(MAX_LIMIT).copied();
        let rest = nth.map(|first| verification.unsealed.split_off(&first)).unwrap_or_default();
        let piece = std::mem::replace(&mut verification.unsealed, rest);
        sealed +=
            bucket.append(&mut verification.head, piece, SealedFrom::Table).await.map_err(copy::message)?;
    }
    Ok(sealed)
}

/// Writes the objects of a chain that are not there yet, and returns how many the chain has.
async fn export(copy: &Copy, chain: Chain, directory: &Path) -> Result<usize, String> {
    let cannot = |error| format!("cannot write to {}: {error}", directory.display());
    std::fs::create_dir_all(directory.join(chain.to_string())).map_err(cannot)?;
    let numbers = copy.objects(chain).await?;
    for number in numbers.keys() {
        let path = directory.join(chain.object_key(*number));
        if !path.exists() {
            let object = copy.read(chain, *number).await?;
            let object =
                object.ok_or_else(|| format!("object {number} of {chain} is hidden by a deletion"))?;
            files::write(&path, &object.content, 0o644).map_err(cannot)?;
        }
    }
    Ok(numbers.len())
}

fn print(verification: &Verification) -> Result<(), Failure> {
    let Verification { chain, objects, entries, sealed_from_table, waiting, findings, .. } = verification;
    for finding in findings {
        output::print(format_args!("{chain}: {finding}"))?;
    }
    let from_table = match sealed_from_table {
        0 => String::new(),
        count => format!(", {count} of them from the table, so that nothing shows what they were before"),
    };
    let waiting = match waiting.len() {
        0 => String::new(),
        count => format!("; {count} of the last minutes are not sealed yet"),
    };
    let end = if findings.is_empty() { "all fits" } else { "something does not fit" };
    let told = format!("{chain}: {entries} entries in {objects} objects{from_table}{waiting}: {end}");
    Ok(output::print(told)?)
}

fn json(verification: &Verification) -> Value {
    json!({
        "chain": verification.chain,
        "objects": verification.objects,
        "entries": verification.entries,
        "sealedFromTable": verification.sealed_from_table,
        "waiting": verification.waiting.len(),
        "findings": verification.findings,
    })
}
