//! `GET /v1/docks/{dockId}/policies/{policyId}`: returns a policy, with what of it is in force now.
//!
//! One round trip to DynamoDB: reads the key and the policy at once.

use docyard_core::context::Context;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{PolicyOutput, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "get-policy": Get "/v1/docks/{dockId}/policies/{policyId}",
    description: "Get a policy",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Key, Policies]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .response::<PolicyOutput>(200, "The policy, with what of it is in force now")
        .etag()
        .not_found(Resource::Policy, "No such policy in this dock")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (_, policy) = find(context, request).await?;
    input::read_none(request)?;
    let policy = policy.ok_or(Error::NotFound(Resource::Policy))?;
    response::resource(&PolicyOutput::new(&policy, context.now()), policy.version)
}
