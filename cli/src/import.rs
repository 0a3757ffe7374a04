//! `docyard import`: creates the recipients of a CSV file, over the public API alone.
//!
//! They are sent in batches, in their order. A recipient that is there with equal fields counts as existing, so that the command can be
//! interrupted anywhere and run again. What is no recipient comes into a CSV file beside, with the row as it was and the reason.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use csv::WriterBuilder;
use docyard_core::model::api_key::ApiKey;
use docyard_core::model::recipient_csv::{self, RecipientCsv, Row};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::account;
use crate::files;
use crate::http::{self, Sent};
use crate::output::{self, Failure};

/// The most recipients in a request, and the most bytes of them.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 900 * 1024;
/// The most errors that are told one by one.
const MAX_TOLD: usize = 20;

/// The options of `docyard import`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The CSV file: a heading with `name`, `email` and `stakeholder_class`, and any other column is an identifier of that name.
    file: PathBuf,
    #[command(flatten)]
    dock: account::Dock,
    /// Print the outcome as one JSON object.
    #[arg(long)]
    json: bool,
}

/// The API, for the dock.
struct Dock {
    client: Client,
    /// The address that batches are sent to.
    batch: String,
    key: ApiKey,
}

/// What the API says of a batch.
#[derive(Deserialize)]
struct Answered {
    success: usize,
    existing: usize,
    errors: Vec<Refused>,
}

#[derive(Deserialize)]
struct Refused {
    /// Its place in the batch.
    row: usize,
    status: u16,
    message: String,
}

/// What became of the rows.
#[derive(Default)]
struct Outcome {
    created: usize,
    existing: usize,
    /// Why a row is no recipient, by its number.
    errors: BTreeMap<usize, String>,
}

/// Creates what is not there yet.
///
/// # Errors
/// Some rows are no recipients. What was created stays.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    let path = &options.file;
    let key = options.dock.key()?;
    let content = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let csv = recipient_csv::read(&content).map_err(|message| format!("{} {message}", path.display()))?;
    let dock = Dock {
        client: http::client(&options.dock.url)?,
        batch: format!("{}/recipients/batch", options.dock.address()),
        key,
    };
    let progress = output::progress(csv.rows.len(), "rows");
    let mut outcome = Outcome::default();
    let mut valid = Vec::new();
    for row in &csv.rows {
        match &row.recipient {
            Ok(json) => valid.push((row.number, json.canonical())),
            Err(message) => {
                outcome.errors.insert(row.number, message.clone());
                progress.inc(1);
            }
        }
    }
    let mut rest = valid.as_slice();
    while !rest.is_empty() {
        let (batch, behind) = rest.split_at(batch_length(rest));
        dock.create(batch, &mut outcome).await?;
        progress.inc(u64::try_from(batch.len()).unwrap_or_default());
        rest = behind;
    }
    progress.finish_and_clear();
    let errors_path = errors_path(path);
    write_errors(&errors_path, &csv, &outcome)
        .map_err(|error| format!("cannot write {}: {error}", errors_path.display()))?;
    report(options.json, &errors_path, &outcome)
}

/// How many of the rows fit into a request; at least one.
fn batch_length(rows: &[(usize, String)]) -> usize {
    let mut bytes = 0;
    let fits = |(_, json): &&(usize, String)| {
        bytes += json.len() + 1;
        bytes <= BATCH_BYTES
    };
    rows.iter().take(BATCH).take_while(fits).count().max(1)
}

impl Dock {
    /// Creates the recipients of a batch. Those for which the API had no time or DynamoDB no room are sent again.
    async fn create(&self, batch: &[(usize, String)], outcome: &mut Outcome) -> Result<(), String> {
        let mut waiting: Vec<&(usize, String)> = batch.iter().collect();
        for attempt in 1.. {
            let answered = self.send(&waiting).await?;
            outcome.created += answered.success;
            outcome.existing += answered.existing;
            let mut again = Vec::new();
            for Refused { row, status, message } in answered.errors {
                let sent = waiting.get(row).ok_or("the API told of a row that it was not sent")?;
                if status == StatusCode::SERVICE_UNAVAILABLE.as_u16() && attempt < http::MAX_ATTEMPTS {
                    again.push(*sent);
                } else {
                    outcome.errors.insert(sent.0, message);
                }
            }
            if again.is_empty() {
                break;
            }
            waiting = again;
            tokio::time::sleep(http::growing_pause(attempt)).await;
        }
        Ok(())
    }

    async fn send(&self, batch: &[&(usize, String)]) -> Result<Answered, String> {
        let recipients: Vec<&str> = batch.iter().map(|(_, json)| json.as_str()).collect();
        let body = format!("{{\"recipients\":[{}]}}", recipients.join(","));
        let request = async || {
            let request = self.client.post(&self.batch).header("content-type", "application/json");
            Ok::<_, String>(request.bearer_auth(self.key.expose()).body(body.clone()))
        };
        let answer = http::send(&Sent::default(), request).await?;
        match serde_json::from_slice(&answer.body) {
            Ok(answered) if answer.status == StatusCode::OK => Ok(answered),
            _ => Err(format!("{}; run it again for the rest", answer.message())),
        }
    }
}

/// `recipients.errors.csv`, beside `recipients.csv`.
fn errors_path(path: &Path) -> PathBuf {
    path.with_extension("errors.csv")
}

/// Writes the rows that are no recipients, each with its number and the reason before it. Where there are none, there is no file.
fn write_errors(path: &Path, csv: &RecipientCsv, outcome: &Outcome) -> io::Result<()> {
    if outcome.errors.is_empty() {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let mut writer = WriterBuilder::new().flexible(true).from_writer(Vec::new());
    let mut write = |row: &str, error: &str, cells: &[String]| {
        let cells = cells.iter().map(|cell| harmless(cell));
        writer.write_record([row.to_owned(), harmless(error)].into_iter().chain(cells))
    };
    write("#row", "#error", &csv.heading)?;
    for Row { number, cells, .. } in &csv.rows {
        if let Some(error) = outcome.errors.get(number) {
            write(&number.to_string(), error, cells)?;
        }
    }
    let written = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    files::write(path, written, 0o600)
}

/// A cell that no spreadsheet takes for a formula (<https://owasp.org/www-community/attacks/CSV_Injection>). A phone number is none.
fn harmless(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let is_number = cell.chars().skip(1).all(|c| c.is_ascii_digit() || " .-()".contains(c));
    if is_formula && !(cell.starts_with(['+', '-']) && is_number) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

fn report(as_json: bool, errors_path: &Path, outcome: &Outcome) -> Result<(), Failure> {
    let Outcome { created, existing, errors } = outcome;
    let failed = errors.len();
    if as_json {
        let errors: Vec<Value> =
            errors.iter().map(|(row, message)| json!({"row": row, "message": message})).collect();
        output::print(json!({"created": created, "existing": existing, "failed": failed, "errors": errors}))?;
    } else {
        for (row, message) in errors.iter().take(MAX_TOLD) {
            // Where it cannot be said, the exit code says that it failed.
            let _ = output::print_error(format_args!("docyard: row {row}: {message}"));
        }
        let beside = if failed > 0 { format!(": {}", errors_path.display()) } else { String::new() };
        output::print(format_args!("{created} created, {existing} there already, {failed} failed{beside}"))?;
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Told) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_a_phone_number_stays() {
        for formula in ["=1+1", "@SUM(1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1", "=", "+1 (555) 010-0100x"] {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for plain in ["", "a", "+1 (555) 010-0100", "-5", "2+3", "a=b"] {
            assert_eq!(harmless(plain), plain);
        }
    }

    #[test]
    fn a_batch_has_as_many_as_fit_and_one_at_least() {
        let rows = |count: usize, bytes: usize| vec![(0, "x".repeat(bytes)); count];
        assert_eq!(batch_length(&rows(10, 10)), 10);
        assert_eq!(batch_length(&rows(501, 10)), BATCH);
        assert_eq!(batch_length(&rows(10, BATCH_BYTES / 3)), 2);
        assert_eq!(batch_length(&rows(2, 2 * BATCH_BYTES)), 1);
    }
}
