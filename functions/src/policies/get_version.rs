//! `GET /v1/docks/{dockId}/policies/{policyId}/versions/{version}`: returns a version of a policy.
//!
//! One round trip to DynamoDB: reads the key, the policy and the version at once.

use docyard_core::context::Context;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};

use super::VersionOutput;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;
use crate::route::VERSION;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "get-policy-version": Get "/v1/docks/{dockId}/policies/{policyId}/versions/{version}",
    description: "Get a policy version",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Key, Policies, Policy]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("It never changes.")
        .response::<VersionOutput>(200, "The version")
        .not_found(Resource::Version, "No such policy in this dock, or no such version of it")
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (policy, version) =
        super::find_with_version(context, request, path::number(request, VERSION)).await?.1;
    input::read_none(request)?;
    let policy = policy.ok_or(Error::NotFound(Resource::Policy))?;
    let version = version.ok_or(Error::NotFound(Resource::Version))?;
    response::json(StatusCode::OK, &VersionOutput::new(policy.id, &version))
}
