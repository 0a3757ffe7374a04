//! `POST /v1/docks/{dockId}/policies/{policyId}/versions`: creates a version, a snapshot of the policy's recipe under the
//! next number.
//!
//! Takes `changelog`, or no body. Returns 201, the version, and its URL in `Location`. Accepts an `Idempotency-Key`.
//!
//! Two round trips to DynamoDB: reads the key and the policy at once, then writes the version.

use docyard_core::context::Context;
use docyard_core::model::policy::Policy;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::text::LongText;
use lambda_http::Request;
use lambda_http::http::Response;

#[cfg(feature = "openapi")]
use super::VersionOutput;
use super::{find, of_rules, versions_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::idempotency::Attempt;
use crate::http::input;
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "create-policy-version": Post "/v1/docks/{dockId}/policies/{policyId}/versions",
    description: "Create a policy version",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Idempotency, Key, Policies], PutItem on [Audit, AuditEntity, Idempotency, Policies, Policy]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "A snapshot of the policy's recipe under the next number. What is in force does not change.",
        )
        .optional_request_body::<Input>(serde_json::json!({"changelog": "As reviewed on 15 January"}))
        .accepts_idempotency_key()
        .response::<VersionOutput>(201, "The version")
        .replayable()
        .location(super::EXAMPLE_VERSION_URL)
        .not_found(Resource::Policy, "No such policy in this dock")
        .conflict("The policy has 1000 versions, or was changed at the same time", super::TOO_MANY_VERSIONS)
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CreatePolicyVersion, rename_all = "camelCase"))]
struct Input {
    changelog: Option<LongText>,
}

impl Input {
    fn parse(fields: &mut Fields) -> Result<Self, Rejected> {
        Ok(Self { changelog: fields.optional("changelog", string(LongText::parse))? })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, policy) = find(context, request).await?;
    let (key, body) = input::read(request, |input| {
        let key = input.idempotency_key();
        let body = input.optional_body(Input::parse);
        Ok((key?, body?))
    })?;
    let policy = policy.ok_or(Error::NotFound(Resource::Policy))?;
    let now = context.now();
    let path = versions_url(policy.dock, policy.id);
    let attempt = Attempt::new(key, caller.account, &path, request, now);
    let change = policy.clone().snapshot(body.changelog, now).map_err(of_rules);
    let entry = |after: &Policy| context.entry(caller, after.updated(&policy));
    super::add_version(context, &policy, change, entry, &attempt).await
}
