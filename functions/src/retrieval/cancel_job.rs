//! `POST /v1/retrieval/jobs/{jobId}/cancel`: cancels a job that has not ended. It has no results then.
//!
//! Takes no body. 409 if the job has ended.
//!
//! Three round trips to DynamoDB: reads the credential and the job at once, then the open jobs of its dock, then writes the job.

use docyard_core::context::Context;
use lambda_http::Request;
use lambda_http::http::Response;

use super::find;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;
use docyard_core::store::Fault;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "cancel-retrieval-job": Post "/v1/retrieval/jobs/{jobId}/cancel",
    description: "Cancel a retrieval job",
    memory: 128,
    credentials: [ApiKey, AccessToken],
    connections: 2,
    grants: [
        BatchGetItem on [Job, Key, OpenJobs, Token],
        Query on [Recipient],
        PutItem on [Audit, AuditEntity, Job, OpenJobs],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("It has no results then.")
        .success("The job is canceled")
        .not_found(Resource::Job, "No such job of those that this credential may see")
        .conflict("The job has ended", HAS_ENDED)
}

const HAS_ENDED: &str = "This job has ended; it cannot be canceled";

/// How often it is tried against the steps of the job.
const MAX_ATTEMPTS: u32 = 10;

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (asker, found) = find(context, request, async |_| Ok(())).await?;
    input::read(request, |input| input.no_body())?;
    let (mut job, ()) = found.ok_or(Error::NotFound(Resource::Job))?;
    for _ in 0..MAX_ATTEMPTS {
        if !job.status.is_open() {
            return Err(Error::Conflict(HAS_ENDED));
        }
        let now = context.now();
        let canceled = job.clone().canceled(now);
        let entry = || asker.entry(context, canceled.updated(&job));
        if context.store.change_job(&job, &canceled, Some(entry)).await? {
            return response::success();
        }
        // A step came between.
        job = context.store.job(job.id, now).await?.ok_or(Error::NotFound(Resource::Job))?;
    }
    Err(Error::Unavailable(Fault::new("cancel job: too many steps at once")))
}
