//! The worker, fed from the embedded database's stream by the rules of the mapping in `template.yaml`: what it is told of, batches, how
//! often a record is tried, and for how long.

use std::path::{Path, PathBuf};
use std::time::Duration;

use docyard_core::context::Context;
use docyard_core::values::clock::Timestamp;
use docyard_functions::worker::{self, MAX_AGE, MAX_ATTEMPTS};
use dynoxide::Database;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::TABLE;
use crate::files;

/// How often the stream is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How often the worker sweeps. In AWS it does every five minutes.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How many records the worker gets at once.
const BATCH: usize = 25;

/// Makes the stream of the database in an SQLite file as AWS's is to the worker: it holds what the mapping lets through, for a
/// day. The emulator would keep every write for ever, and count them all for each.
pub(super) fn prepare_stream(file: &Path) -> rusqlite::Result<()> {
    Connection::open(file)?.execute_batch(
        r#"
        CREATE INDEX IF NOT EXISTS docyard_stream_order
            ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
        CREATE INDEX IF NOT EXISTS docyard_stream_age ON _stream_records (created_at);
        DROP TRIGGER IF EXISTS docyard_stream_filter;
        CREATE TRIGGER docyard_stream_filter BEFORE INSERT ON _stream_records
            WHEN NOT (
                NEW.event_name = 'INSERT' AND NEW.keys_json LIKE '%"CLEANUP#%'
                OR NEW.event_name = 'REMOVE' AND NEW.user_identity IS NOT NULL AND NEW.keys_json LIKE '%"ARTIFACT"%'
                OR NEW.event_name IN ('INSERT', 'MODIFY') AND NEW.keys_json LIKE '%"JOB"%'
            )
            BEGIN SELECT RAISE(IGNORE); END;
        DROP TRIGGER IF EXISTS docyard_stream_retention;
        CREATE TRIGGER docyard_stream_retention AFTER INSERT ON _stream_records
            BEGIN DELETE FROM _stream_records WHERE created_at < NEW.created_at - 86400; END;
        "#,
    )
}

/// The stream of the embedded database, and how far it was read.
pub(super) struct Feeder {
    database: Database,
    context: Context,
    /// The sequence number of the last record that is done.
    done: Option<String>,
    /// Where that is kept, if the database is.
    position: Option<PathBuf>,
    /// How often the record behind it has failed.
    failures: u32,
}

impl Feeder {
    /// The stream of this database, read on from the position in the file.
    pub(super) fn new(database: Database, context: Context, position: Option<PathBuf>) -> Self {
        let is_number = |text: &String| text.len() == 21 && text.bytes().all(|b| b.is_ascii_digit());
        let done = position.as_ref().and_then(|path| std::fs::read_to_string(path).ok()).filter(is_number);
        Self { database, context, done, position, failures: 0 }
    }

    /// Feeds the worker, and has it sweep, until it is dropped.
    pub(super) async fn run(mut self) {
        let mut sweeps = tokio::time::interval(SWEEP_INTERVAL);
        let mut polls = tokio::time::interval(POLL_INTERVAL);
        loop {
            tokio::select! {
                _ = sweeps.tick() => {
                    if let Err(fault) = worker::handle(&self.context, &json!({})).await {
                        tracing::warn!("the worker cannot sweep: {fault}");
                    }
                }
                _ = polls.tick() => {
                    // What the worker does may be the next record.
                    loop {
                        match self.feed().await {
                            Ok(true) => {}
                            Ok(false) => break,
                            Err(error) => {
                                tracing::warn!("the worker cannot be fed: {error}");
                                break;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Gives the worker the next batch. `false` if there is none, or the worker failed.
    async fn feed(&mut self) -> Result<bool, String> {
        let (database, done) = (self.database.clone(), self.done.clone());
        let read = tokio::task::spawn_blocking(move || read(&database, done));
        let records = read.await.map_err(|error| error.to_string())??;
        let number = |record: &Value| {
            record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str).map(str::to_owned)
        };
        let sequence_numbers: Vec<String> =
            records.iter().map(|record| number(record).unwrap_or_default()).collect();
        let Some(last) = sequence_numbers.last() else { return Ok(false) };
        let event = json!({ "Records": records });
        let answer = worker::handle(&self.context, &event).await.map_err(|fault| fault.to_string())?;
        let failed = answer.pointer("/batchItemFailures/0/itemIdentifier").and_then(Value::as_str);
        let Some(at) = failed.and_then(|failed| sequence_numbers.iter().position(|number| number == failed))
        else {
            return self.advance_to(last.clone()).map(|()| true);
        };
        if let Some(before) = at.checked_sub(1).and_then(|before| sequence_numbers.get(before)) {
            self.advance_to(before.clone())?;
        }
        self.failures += 1;
        let is_old = records.get(at).is_some_and(|record| self.is_old(record));
        if let Some(failed) = sequence_numbers.get(at).filter(|_| self.failures > MAX_ATTEMPTS || is_old) {
            tracing::warn!("the worker gave up a record of the stream; the rest is left to its sweeps");
            self.advance_to(failed.clone())?;
        }
        Ok(false)
    }

    fn is_old(&self, record: &Value) -> bool {
        let created = record.pointer("/dynamodb/ApproximateCreationDateTime").and_then(Value::as_f64);
        let created =
            created.and_then(|seconds| Timestamp::from_unix_milliseconds((seconds * 1000.0) as u64));
        created.is_some_and(|created| {
            let age = self.context.now().unix_milliseconds().saturating_sub(created.unix_milliseconds());
            Duration::from_millis(age) > MAX_AGE
        })
    }

    /// Keeps that everything up to this record is done. If that is lost, it is done again.
    fn advance_to(&mut self, sequence_number: String) -> Result<(), String> {
        self.failures = 0;
        if let Some(path) = &self.position {
            files::write(path, &sequence_number, 0o600).map_err(|error| error.to_string())?;
        }
        self.done = Some(sequence_number);
        Ok(())
    }
}

/// The records behind the one that is done, as Lambda gets them.
fn read(database: &Database, done: Option<String>) -> Result<Vec<Value>, String> {
    let failed = |error: dynoxide::DynoxideError| error.to_string();
    let request = ListStreamsRequest { table_name: Some(TABLE.to_owned()), ..ListStreamsRequest::default() };
    let streams = serde_json::to_value(database.list_streams(request).map_err(failed)?).unwrap_or_default();
    let stream_arn = streams.pointer("/Streams/0/StreamArn").and_then(Value::as_str).ok_or("no stream")?;
    let (shard_iterator_type, sequence_number) = match done {
        Some(done) => ("AFTER_SEQUENCE_NUMBER", Some(done)),
        None => ("TRIM_HORIZON", None),
    };
    let iterator = database.get_shard_iterator(GetShardIteratorRequest {
        stream_arn: stream_arn.to_owned(),
        shard_id: dynoxide::streams::shard_id(TABLE),
        shard_iterator_type: shard_iterator_type.to_owned(),
        sequence_number,
    });
    let shard_iterator = iterator.map_err(failed)?.shard_iterator.ok_or("no iterator")?;
    let request = GetRecordsRequest { shard_iterator, limit: Some(BATCH) };
    let records = database.get_records(request).map_err(failed)?.records;
    records.iter().map(|record| serde_json::to_value(record).map_err(|error| error.to_string())).collect()
}
