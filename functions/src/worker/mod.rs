//! The worker: what is done behind requests. It cleans up what is gone, and puts retrieval jobs together.
//!
//! DynamoDB's stream feeds it with the writes that the mapping in `template.yaml` lets through ([`is_for_worker`] says which),
//! at least once, and a schedule has it sweep: what failed for the stream is left to that. Whatever it does can be interrupted anywhere
//! and repeated.
//!
//! It may read every account's items, and so holds no parser of anything that a caller sends.

use std::fmt;
use std::time::Duration;

use docyard_core::context::Context;
use docyard_core::store::{
    CLEANUP_PARTITIONS, Cleanup, Error, Fault, Leftover, OPEN_JOBS_PARTITIONS, Partition, open_job_of_image,
    pending_of_image,
};
use docyard_core::values::id::JobId;
use serde_json::{Value, json};

use crate::endpoint::{Action, Grant};
use crate::stream::{EventName, Record};

mod jobs;

/// The name of its function and of its binary.
pub const NAME: &str = "worker";

/// How often a record is tried again, before the worker gives it up.
pub const MAX_ATTEMPTS: u32 = 3;

/// How old a record may be that it still tries.
pub const MAX_AGE: Duration = Duration::from_secs(15 * 60);

/// What it does on the table, and its role may do.
pub const GRANTS: &[Grant] = &[
    Grant {
        action: Action::BatchGetItem,
        partitions: &[
            Partition::Artifact,
            Partition::Dock,
            Partition::Groups,
            Partition::Job,
            Partition::OpenJobs,
        ],
    },
    Grant {
        action: Action::Query,
        partitions: &[
            Partition::Artifacts,
            Partition::Cleanup,
            Partition::Group,
            Partition::OpenJobs,
            Partition::Policies,
            Partition::Policy,
            Partition::Recipient,
        ],
    },
    Grant { action: Action::PutItem, partitions: &[Partition::Cleanup, Partition::Job, Partition::OpenJobs] },
    Grant {
        action: Action::BatchWriteItem,
        partitions: &[Partition::Cleanup, Partition::Group, Partition::Policy, Partition::Recipient],
    },
];

/// What a record asks for.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    /// To clean up what is left.
    CleanUp(Cleanup),
    /// To have cleaned up what is left of what has expired.
    Expired(Leftover),
    /// To take the next step of a retrieval job.
    Step(JobId),
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CleanUp(_) => f.write_str("a clean-up"),
            Self::Expired(_) => f.write_str("an artifact that expired"),
            Self::Step(job) => write!(f, "{job}"),
        }
    }
}

impl Task {
    fn of(record: &Record) -> Option<Self> {
        let image = record.new_image();
        let step = || open_job_of_image(image).map(Self::Step);
        match record.event_name() {
            EventName::Insert => Cleanup::of_image(image).map(Self::CleanUp).or_else(step),
            EventName::Modify => step(),
            EventName::Remove if record.is_expiry() => {
                let (dock, artifact) = pending_of_image(record.old_image())?;
                Some(Self::Expired(Leftover::Content { dock, artifact }))
            }
            EventName::Remove => None,
        }
    }
}

/// Whether the worker's mapping lets a record through: a new task, an artifact that DynamoDB deleted since it had waited in vain for its
/// content, or an open retrieval job.
pub fn is_for_worker(record: &Record) -> bool {
    Task::of(record).is_some()
}

/// Does what an event asks for: a batch of the stream's records, or a sweep. Returns what Lambda is answered: of a batch the records that
/// failed, from the first of which on it is tried again ([partial batch responses]).
///
/// # Errors
/// A sweep failed. The next one goes on.
///
/// [partial batch responses]: https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
pub async fn handle(context: &Context, event: &Value) -> Result<Value, Fault> {
    let Some(records) = Record::of_event(event) else {
        return sweep(context).await.map(|swept| json!({"swept": swept})).map_err(failed);
    };
    let mut failures = Vec::new();
    // Those behind one that fails are tried too, though Lambda brings them again with it: it may give up all of them.
    for record in records {
        let Some(task) = Task::of(&record) else { continue };
        let what = task.to_string();
        if let Err(error) = work(context, task).await {
            let fault = failed(error);
            tracing::warn!("a record of {what} failed: {fault}");
            failures.push(json!({"itemIdentifier": record.sequence_number()}));
        }
    }
    Ok(json!({"batchItemFailures": failures}))
}

fn failed(error: Error) -> Fault {
    match error {
        Error::Unavailable(fault) | Error::Internal(fault) => fault,
    }
}

async fn work(context: &Context, task: Task) -> Result<(), Error> {
    match task {
        Task::Step(job) => jobs::step(context, job).await,
        Task::Expired(leftover) => context.store.clean_up(leftover, context.now()).await,
        Task::CleanUp(cleanup) => {
            let is_done = clean_up(context, cleanup.leftover).await?;
            if is_done && cleanup.due <= context.now() {
                context.store.finish_cleanup(cleanup).await?;
            }
            Ok(())
        }
    }
}

/// Cleans up a leftover. `false` if there is more of it than one call deletes.
async fn clean_up(context: &Context, leftover: Leftover) -> Result<bool, Error> {
    if let Leftover::Content { dock, artifact } = leftover {
        context.objects()?.delete(dock, artifact).await?;
    }
    context.store.delete_leftover(leftover).await
}

/// How far a sweep has come.
#[derive(Default)]
struct Sweep {
    finished: usize,
    failure: Option<Error>,
    /// Whether S3 failed: it would hold up what does not need it.
    is_without_s3: bool,
}

/// Has stalled jobs go on, finishes every task that is due, and returns how many these were. What fails is left to the next sweep, and
/// does not hold up the others.
async fn sweep(context: &Context) -> Result<usize, Error> {
    let mut sweep = Sweep::default();
    // Of tasks there may be more than a sweep has time for; of open jobs there are few, and somebody waits for them.
    for n in 0..OPEN_JOBS_PARTITIONS {
        match jobs::sweep(context, n).await {
            Ok(touched) => sweep.finished += touched,
            Err(error) => sweep.failure = Some(error),
        }
    }
    for n in 0..CLEANUP_PARTITIONS {
        if let Err(error) = sweep_partition(context, n, &mut sweep).await {
            sweep.failure = Some(error);
        }
    }
    sweep.failure.map_or(Ok(sweep.finished), Err)
}

async fn sweep_partition(context: &Context, n: u8, sweep: &mut Sweep) -> Result<(), Error> {
    let mut after = None;
    loop {
        let (due, last) = context.store.due_cleanups(n, context.now(), after).await?;
        for cleanup in due {
            let needs_s3 = matches!(cleanup.leftover, Leftover::Content { .. });
            if needs_s3 && sweep.is_without_s3 {
                continue;
            }
            match clean_up(context, cleanup.leftover).await {
                Ok(true) => {
                    context.store.finish_cleanup(cleanup).await?;
                    sweep.finished += 1;
                }
                Ok(false) => {}
                Err(error) => {
                    sweep.is_without_s3 |= needs_s3;
                    sweep.failure = Some(error);
                }
            }
        }
        after = last;
        if after.is_none() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, changes: Value) -> Value {
        let mut record = json!({
            "eventID": "1", "eventName": name, "eventVersion": "1.1", "eventSource": "aws:dynamodb",
            "dynamodb": {"Keys": {}, "SequenceNumber": "111", "SizeBytes": 1, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        });
        let dynamodb = record["dynamodb"].as_object_mut().unwrap();
        dynamodb.extend(changes["dynamodb"].as_object().cloned().unwrap_or_default());
        record["userIdentity"] = changes["userIdentity"].clone();
        record
    }

    fn task() -> Value {
        json!({
            "pk": {"S": "CLEANUP#3"}, "sk": {"S": "x"},
            "cleanup": {"S": r#"{"leftover":{"belongings":{"recipient":"rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0"}},"due":"2025-01-15T10:32:00.000Z"}"#},
        })
    }

    fn pending() -> Value {
        json!({
            "pk": {"S": "ARTIFACT#art_01HQ3K5V7X9ZBDFHKMPRTVXYZ0"}, "sk": {"S": "ARTIFACT"},
            "id": {"S": "art_01HQ3K5V7X9ZBDFHKMPRTVXYZ0"}, "dock": {"S": "dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0"},
            "pendingUntil": {"S": "2025-01-15T10:32:00.000Z"}, "ttl": {"N": "1736937120"},
        })
    }

    fn is_for_worker(record: Value) -> bool {
        Record::read(&record).is_some_and(|record| super::is_for_worker(&record))
    }

    #[test]
    fn a_new_task_and_an_artifact_that_expired_are_for_the_worker_and_nothing_else() {
        let ttl = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
        assert!(is_for_worker(record("INSERT", json!({"dynamodb": {"NewImage": task()}}))));
        assert!(is_for_worker(record(
            "REMOVE",
            json!({"dynamodb": {"OldImage": pending()}, "userIdentity": ttl})
        )));
        let mut available = pending();
        available.as_object_mut().unwrap().remove("pendingUntil");
        for other in [
            record("MODIFY", json!({"dynamodb": {"NewImage": task(), "OldImage": task()}})),
            record("REMOVE", json!({"dynamodb": {"OldImage": task()}, "userIdentity": ttl})),
            record("REMOVE", json!({"dynamodb": {"OldImage": pending()}})),
            record("REMOVE", json!({"dynamodb": {"OldImage": available}, "userIdentity": ttl})),
            record("INSERT", json!({"dynamodb": {"NewImage": pending()}})),
            record("INSERT", json!({})),
            json!({}),
            json!(null),
        ] {
            assert!(!is_for_worker(other.clone()), "{other}");
        }
    }
}
