//! The stream of the embedded database: what it holds, and how far one who reads it has come.

use std::path::{Path, PathBuf};

use docyard_functions::stream::Record;
use dynoxide::Database;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use rusqlite::Connection;
use serde_json::Value;

use super::TABLE;
use crate::files;

/// Makes the stream of the database in an SQLite file as AWS's is to the worker and the sealer: it holds what their mappings let
/// through, for a day. The emulator would keep every write for ever, and count them all for each.
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
                OR NEW.keys_json LIKE '%"AUDIT%'
            )
            BEGIN SELECT RAISE(IGNORE); END;
        DROP TRIGGER IF EXISTS docyard_stream_retention;
        CREATE TRIGGER docyard_stream_retention AFTER INSERT ON _stream_records
            BEGIN DELETE FROM _stream_records WHERE created_at < NEW.created_at - 86400; END;
        "#,
    )
}

/// How many records are read at once, of which few may be let through.
const READ: usize = 250;

/// The stream, as one reads it.
pub(super) struct Stream {
    database: Database,
    /// Which records its mapping lets through.
    is_let_through: fn(&Record) -> bool,
    /// The sequence number of the last record that is done.
    done: Option<String>,
    /// Where that is kept, if the database is.
    position: Option<PathBuf>,
}

impl Stream {
    /// The stream of this database, read on from the position in the file.
    pub(super) fn new(
        database: Database,
        position: Option<PathBuf>,
        is_let_through: fn(&Record) -> bool,
    ) -> Self {
        let is_number = |text: &String| text.len() == 21 && text.bytes().all(|b| b.is_ascii_digit());
        let done = position.as_ref().and_then(|path| std::fs::read_to_string(path).ok()).filter(is_number);
        Self { database, is_let_through, done, position }
    }

    /// The next records that are let through, at most `limit`, as Lambda gets them. Those before them are done, which is kept with the
    /// next one that is.
    pub(super) async fn next(&mut self, limit: usize) -> Result<Vec<Value>, String> {
        loop {
            let (database, done) = (self.database.clone(), self.done.clone());
            let read = tokio::task::spawn_blocking(move || read(&database, done, READ.max(limit)));
            let mut records = read.await.map_err(|error| error.to_string())??;
            let Some(last) = records.last().map(sequence_number) else { return Ok(records) };
            records
                .retain(|record| Record::read(record).is_some_and(|record| (self.is_let_through)(&record)));
            if !records.is_empty() {
                records.truncate(limit);
                return Ok(records);
            }
            self.done = Some(last);
        }
    }

    /// Keeps that everything up to this record is done. If that is lost, it is done again.
    pub(super) fn advance_to(&mut self, sequence_number: String) -> Result<(), String> {
        if let Some(path) = &self.position {
            files::write(path, &sequence_number, 0o600).map_err(|error| error.to_string())?;
        }
        self.done = Some(sequence_number);
        Ok(())
    }
}

/// The sequence number of a record.
pub(super) fn sequence_number(record: &Value) -> String {
    let number = record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str);
    number.unwrap_or_default().to_owned()
}

fn read(database: &Database, done: Option<String>, limit: usize) -> Result<Vec<Value>, String> {
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
    let request = GetRecordsRequest { shard_iterator, limit: Some(limit) };
    let records = database.get_records(request).map_err(failed)?.records;
    records.iter().map(|record| serde_json::to_value(record).map_err(|error| error.to_string())).collect()
}
