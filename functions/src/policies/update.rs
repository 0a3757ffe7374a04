//! `PATCH /v1/docks/{dockId}/policies/{policyId}`: updates a policy.
//!
//! Takes any of `name`, `recipe`, `audience` and `changelog`; recipe and audience are replaced as a whole. A recipe that
//! differs is a new version, an equal one makes none; its class cannot change. What is in force stays so, but for the
//! audience, which takes effect at once. Read-only fields are accepted if they equal the current values. Returns the policy.
//! Honours `If-Match`.
//!
//! Two round trips to DynamoDB: reads the key and the policy at once, then writes the change; one if nothing changes.

use docyard_core::context::Context;
use docyard_core::model::policy::{Audience, Change, Policy, PolicyChanges};
use docyard_core::model::recipe::Recipe;
use docyard_core::values::field_error::{FieldError, Rejected};
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::text::{LongText, Text};
use lambda_http::Request;
use lambda_http::http::Response;

use super::{OVERTAKEN, PolicyOutput, find, of_rules, of_store};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "update-policy": Patch "/v1/docks/{dockId}/policies/{policyId}",
    description: "Update a policy",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Key, Policies],
        ConditionCheckItem on [Groups],
        PutItem on [Audit, AuditEntity, Policies, Policy],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "An absent field stays as it is; `recipe` and `audience` are replaced as a whole. A recipe that differs is a new \
             version, which is not in force before it is published; its class cannot change. An audience takes effect at \
             once. Read-only fields may be sent as GET returns them.",
        )
        .accepts_if_match()
        .request_body::<Input>(serde_json::json!({"name": "Mortgagee bulk access, all lines"}))
        .response::<PolicyOutput>(200, "The policy")
        .etag()
        .not_found(Resource::Policy, "No such policy in this dock, or no such group in the dock")
        .conflict("It has 1000 versions", super::TOO_MANY_VERSIONS)
}

/// The body, for the document.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = UpdatePolicy, rename_all = "camelCase")]
#[expect(dead_code, reason = "`parse` reads the body")]
struct Input {
    #[schema(value_type = Text, required = false)]
    name: Text,
    #[schema(value_type = Recipe, required = false)]
    recipe: Recipe,
    #[schema(value_type = Audience, required = false)]
    audience: Audience,
    /// What is new in the recipe, for its version.
    changelog: Option<LongText>,
}

const READ_ONLY: &[&str] = &[
    "id",
    "dockId",
    "status",
    "currentVersion",
    "production",
    "pilot",
    "scheduled",
    "createdAt",
    "updatedAt",
];

fn parse(fields: &mut Fields, current: Option<&serde_json::Value>) -> Result<PolicyChanges, Rejected> {
    let read_only = fields.read_only(READ_ONLY, current);
    let name = fields.change("name", string(Text::parse));
    let recipe = fields.change("recipe", Recipe::parse);
    let audience = fields.change("audience", Audience::parse);
    let changelog = fields.optional("changelog", string(LongText::parse));
    read_only?;
    Ok(PolicyChanges { name: name?, recipe: recipe?, audience: audience?, changelog: changelog? })
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, policy) = find(context, request).await?;
    let now = context.now();
    let read = |current: Option<&Policy>| {
        let current = current.and_then(|policy| response::to_value(&PolicyOutput::new(policy, now)));
        let (if_match, changes) = input::read(request, |input| {
            let if_match = input.if_match();
            let changes = input.merge_patch(|fields| parse(fields, current.as_ref()));
            Ok((if_match?, changes?))
        })?;
        if changes.changelog.is_some() && changes.recipe.is_none() {
            let message = "is only for a new recipe; to snapshot the current one, create a version";
            return Err(Error::Invalid(vec![FieldError::new("changelog", message)]));
        }
        Ok((if_match, changes))
    };
    let Some(policy) = policy else {
        read(None)?;
        return Err(Error::NotFound(Resource::Policy));
    };
    let change = |policy: Policy| -> Result<Change, Error> {
        let (if_match, changes) = read(Some(&policy))?;
        if_match.check(policy.version)?;
        changes.apply(policy, now).map_err(of_rules)
    };
    let entry = |before: &Policy, after: &Policy| context.entry(caller, after.updated(before));
    let updated = context.store.update_policy(policy, change, entry).await?;
    let policy = updated.map_err(|refused| of_store(refused, OVERTAKEN))?;
    response::resource(&PolicyOutput::new(&policy, now), policy.version)
}
