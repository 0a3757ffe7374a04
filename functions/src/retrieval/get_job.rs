//! `GET /v1/retrieval/jobs/{jobId}`: returns a job.
//!
//! One round trip to DynamoDB: reads the credential and the job at once.

use docyard_core::context::Context;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};

use super::{JobOutput, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "get-retrieval-job": Get "/v1/retrieval/jobs/{jobId}",
    description: "Get a retrieval job",
    memory: 128,
    credentials: [ApiKey, AccessToken],
    connections: 2,
    grants: [BatchGetItem on [Job, Key, Token], Query on [Recipient]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("A job is kept for 30 days after its results.")
        .response::<JobOutput>(200, "The job")
        .not_found(Resource::Job, "No such job of those that this credential may see")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (_, found) = find(context, request, async |_| Ok(())).await?;
    input::read_none(request)?;
    let (job, ()) = found.ok_or(Error::NotFound(Resource::Job))?;
    response::json(StatusCode::OK, &JobOutput::from(&job))
}
