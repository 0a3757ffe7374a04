//! The worker, fed from the embedded database's stream by the rules of its mapping in `template.yaml`: batches, how often a record is
//! tried, and for how long.

use std::time::Duration;

use docyard_core::context::Context;
use docyard_functions::stream::Record;
use docyard_functions::worker::{self, MAX_AGE, MAX_ATTEMPTS};
use serde_json::{Value, json};

use super::stream::{Stream, sequence_number};

/// How often the stream is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How often the worker sweeps. In AWS it does every five minutes.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How many records the worker gets at once.
const BATCH: usize = 25;

/// The worker and its stream.
pub(super) struct Worker {
    stream: Stream,
    context: Context,
    /// How often the record behind the last one that is done has failed.
    failures: u32,
}

impl Worker {
    pub(super) fn new(stream: Stream, context: Context) -> Self {
        Self { stream, context, failures: 0 }
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
        let records = self.stream.next(BATCH).await?;
        let sequence_numbers: Vec<String> = records.iter().map(sequence_number).collect();
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
        let created = Record::read(record).and_then(|record| record.written_at());
        created.is_some_and(|created| {
            let age = self.context.now().unix_milliseconds().saturating_sub(created.unix_milliseconds());
            Duration::from_millis(age) > MAX_AGE
        })
    }

    fn advance_to(&mut self, sequence_number: String) -> Result<(), String> {
        self.failures = 0;
        self.stream.advance_to(sequence_number)
    }
}
