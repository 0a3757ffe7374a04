//! `POST /v1/docks/{dockId}/policies/{policyId}/rollback/{version}`: makes the recipe of an earlier version the newest one.
//! Where the policy is in production, that takes the place of the version there in the same step. Nothing of the history is
//! lost, and a schedule is cleared.
//!
//! Takes no body. Returns 201, the new version, and its URL in `Location`. Of changes that race one wins; the others get
//! 409. Honours `If-Match`. Accepts an `Idempotency-Key`.
//!
//! Two round trips to DynamoDB: reads the key, the policy and the version at once, then writes the new one.

use docyard_core::context::Context;
use docyard_core::model::policy::Policy;
use lambda_http::Request;
use lambda_http::http::Response;

#[cfg(feature = "openapi")]
use super::VersionOutput;
use super::of_rules;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::idempotency::Attempt;
use crate::http::{input, path};
#[cfg(feature = "openapi")]
use crate::operation::Operation;
use crate::route::VERSION;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "rollback-policy": Post "/v1/docks/{dockId}/policies/{policyId}/rollback/{version}",
    description: "Roll back a policy",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Idempotency, Key, Policies, Policy],
        PutItem on [Audit, AuditEntity, Idempotency, Policies, Policy],
        UpdateItem on [Policies],
        DeleteItem on [Policies],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Makes the recipe of an earlier version the newest one, under the next number. Where the policy is in production, \
             it is in force there at once. A schedule is cleared; a pilot goes on.",
        )
        .accepts_if_match()
        .accepts_idempotency_key()
        .response::<VersionOutput>(201, "The new version")
        .replayable()
        .location(super::EXAMPLE_VERSION_URL)
        .not_found(Resource::Version, "No such policy in this dock, or no such version of it")
        .conflict("The policy was changed at the same time, or has 1000 versions", super::OVERTAKEN)
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, (policy, version)) =
        super::find_with_version(context, request, path::number(request, VERSION)).await?;
    let (key, if_match) = input::read(request, |input| {
        let key = input.idempotency_key();
        let if_match = input.if_match();
        input.no_body()?;
        Ok((key?, if_match?))
    })?;
    let policy = policy.ok_or(Error::NotFound(Resource::Policy))?;
    let version = version.ok_or(Error::NotFound(Resource::Version))?;
    let now = context.now();
    let to = version.revision.number;
    let path = format!("{}/{}/rollback/{to}", super::list_url(policy.dock), policy.id);
    let attempt = Attempt::new(key, caller.account, &path, request, now);
    let change = if_match
        .check(policy.version)
        .and_then(|()| policy.clone().rollback(&version.revision, now).map_err(of_rules));
    let entry = |after: &Policy| context.entry(caller, after.rolled_back(&policy, to));
    super::add_version(context, &policy, change, entry, &attempt).await
}
