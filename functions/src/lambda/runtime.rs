//! The `main` of every function, of the worker and of the sealer: reads the environment, opens the connections, then serves events.

use std::process::ExitCode;

use docyard_core::aws::dynamodb;
use docyard_core::aws::s3::Bucket;
use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::model::audit::Origin;
use docyard_core::model::submission::{MIN_KEY_BYTES, SubmissionKey};
use docyard_core::request_record::RequestRecord;
use docyard_core::store::{Objects, SealedCopy, Store};
use docyard_core::values::clock::Clock;
use lambda_http::lambda_runtime::{LambdaEvent, service_fn};
use lambda_http::tower::ServiceExt;
use serde_json::Value;

use super::logging::{self, Format};
use super::service::service;
use crate::endpoint::{Action, Endpoint, Need};
use crate::metrics::Recorder;
use crate::sealer::Sealer;
use crate::worker;

/// Serves `endpoint` on Lambda until the sandbox ends. Environment: `TABLE_NAME`, `DOCYARD_MODE` (`live` or `test`),
/// `AUDIT_RETENTION_DAYS` (how long audit entries are kept), `STAGE` (the deployment's name in the metrics), `SUBMISSION_KEY`
/// and `BUCKET_NAME` where the endpoint needs them, and what [`dynamodb::function_client`] and [`Bucket::of_function`] read. If one is missing
/// or malformed, it logs which and exits with code 1. On a laptop `DOCYARD_PLAIN_AUTHORITY` is the host that is reached without TLS.
pub fn run(endpoint: &'static Endpoint) -> ExitCode {
    block_on(async {
        let (context, metrics) = match (context(endpoint.needs), metrics()) {
            (Ok(context), Ok(metrics)) => (context, metrics),
            (Err(reason), _) | (_, Err(reason)) => return fail(&reason),
        };
        let reads = endpoint.grants.iter().find(|grant| grant.action == Action::BatchGetItem);
        if let Some(&partition) = reads.and_then(|grant| grant.partitions.last()) {
            // While Lambda still gives a whole CPU: most of a cold start are the TLS handshakes.
            context.store.connect(endpoint.connections, partition).await;
        }
        // Before the response is sent, since Lambda may freeze the sandbox after it.
        let service = service(endpoint, context).map_response(move |response| {
            metrics.flush();
            response
        });
        ended(lambda_http::lambda_runtime::run(service).await)
    })
}

/// Does the worker's work on Lambda until the sandbox ends. Environment as for [`run`], without `STAGE`.
pub fn run_worker() -> ExitCode {
    block_on(async {
        let context = match context(&[Need::DeleteObject]) {
            Ok(context) => context,
            Err(reason) => return fail(&reason),
        };
        let work = service_fn(async |event: LambdaEvent<Value>| {
            let context = context.for_request(Origin::default());
            let result = worker::handle(&context, &event.payload).await;
            let recorded = context.record.values();
            match &result {
                Ok(done) => tracing::info!(
                    lambda_request_id = event.context.request_id,
                    round_trips = recorded.round_trips,
                    read_units = recorded.read_units,
                    write_units = recorded.write_units,
                    "worker: {done}"
                ),
                Err(fault) => {
                    tracing::error!(lambda_request_id = event.context.request_id, "worker: {fault}")
                }
            }
            result.map_err(|fault| fault.to_string())
        });
        ended(lambda_http::lambda_runtime::run(work).await)
    })
}

/// Seals what the audit trail gets, on Lambda, until the sandbox ends. Environment: `STAGE`, and what [`Bucket::of_function`] reads.
pub fn run_sealer() -> ExitCode {
    block_on(async {
        let (copy, metrics) = match (Bucket::of_function(), metrics()) {
            (Ok(bucket), Ok(metrics)) => (SealedCopy::new(bucket, Clock::system()), metrics),
            (Err(reason), _) | (_, Err(reason)) => return fail(&reason),
        };
        let sealer = &Sealer::new(copy);
        let seal = service_fn(async |event: LambdaEvent<Value>| {
            let record = RequestRecord::default();
            let result = sealer.handle(&event.payload, &record).await;
            metrics.flush();
            let (lambda_request_id, round_trips) = (event.context.request_id, record.values().round_trips);
            match &result {
                Ok(done) => tracing::info!(lambda_request_id, round_trips, "sealer: {done}"),
                Err(fault) => tracing::error!(lambda_request_id, "sealer: {fault}"),
            }
            result.map_err(|fault| fault.to_string())
        });
        ended(lambda_http::lambda_runtime::run(seal).await)
    })
}

/// Logs to Lambda, and runs one thing at a time: Lambda gives a sandbox no second one.
fn block_on(main: impl Future<Output = ExitCode>) -> ExitCode {
    logging::init(Format::Json);
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(main),
        Err(error) => fail(&format!("no async runtime: {error}")),
    }
}

fn ended(result: Result<(), lambda_http::Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("the Lambda runtime ended: {error}")),
    }
}

fn context(needs: &[Need]) -> Result<Context, String> {
    let table = variable("TABLE_NAME")?;
    // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if !(3..=255).contains(&table.len()) || !table.bytes().all(is_name) {
        return Err("TABLE_NAME must be a table's name: 3 to 255 of A-Z, a-z, 0-9, _, - and .".to_owned());
    }
    let mode = Mode::parse(&variable("DOCYARD_MODE")?).ok_or("DOCYARD_MODE must be live or test")?;
    let days = variable("AUDIT_RETENTION_DAYS")?.parse().ok().filter(|days| *days > 0);
    let days = days.ok_or("AUDIT_RETENTION_DAYS must be a number of days, 1 to 65535")?;
    let store = Store::new(dynamodb::function_client()?, table).keeping_audit_entries(days);
    let plain_authority = std::env::var("DOCYARD_PLAIN_AUTHORITY").ok();
    let mut context = Context::new(store, mode, Clock::system()).with_plain_authority(plain_authority);
    for need in needs {
        context = match need {
            Need::SubmissionKey => context.with_submission_key(submission_key()?),
            Need::DeleteObject | Need::GetObject | Need::HeadObject | Need::PutObject => {
                context.with_objects(objects()?)
            }
        };
    }
    Ok(context)
}

fn submission_key() -> Result<SubmissionKey, String> {
    let key = SubmissionKey::parse(&variable("SUBMISSION_KEY")?);
    key.ok_or_else(|| format!("SUBMISSION_KEY must be a text of at least {MIN_KEY_BYTES} bytes"))
}

fn objects() -> Result<Objects, String> {
    Ok(Objects::new(Bucket::of_function()?, Clock::system()))
}

fn metrics() -> Result<Recorder, String> {
    Recorder::install(variable("STAGE")?)
}

fn variable(name: &str) -> Result<String, String> {
    match std::env::var(name) {
        Ok(value) if !value.trim().is_empty() => Ok(value),
        Ok(_) => Err(format!("{name} is empty")),
        Err(_) => Err(format!("{name} is not set, or not UTF-8")),
    }
}

fn fail(reason: &str) -> ExitCode {
    tracing::error!("cannot start: {reason}");
    ExitCode::FAILURE
}
