//! `POST /v1/docks/{dockId}/policies`: creates a policy, of which nothing is in force yet.
//!
//! Takes `name` and `recipe`, and optionally `audience`, which is everyone unless it is given. Returns 201, the policy, and
//! its URL in `Location`. A dock with 100 policies gets 409. Accepts an `Idempotency-Key`.
//!
//! Two round trips to DynamoDB: reads the key and the dock at once, then writes the policy and its first version.

use docyard_core::context::{Caller, Context};
use docyard_core::model::idempotency::{Outcome, StoredResponse};
use docyard_core::model::policy::{Audience, Policy, Revision, Stages};
use docyard_core::model::recipe::Recipe;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::id::{DockId, PolicyId};
use docyard_core::values::random;
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{PolicyOutput, TOO_MANY_POLICIES, list_url, of_store};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::idempotency::Attempt;
use crate::http::{auth, idempotency, input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "create-policy": Post "/v1/docks/{dockId}/policies",
    description: "Create a policy",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Dock, Key],
        ConditionCheckItem on [Groups],
        PutItem on [Audit, AuditEntity, Idempotency, Policies, Policy],
        UpdateItem on [Policies],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Its recipe is version 1, and nothing is in force before it is published. The recipe may also be sent as a string \
             that holds it. It is for everyone of its class unless `audience` names groups.",
        )
        .request_body::<Input>(
            serde_json::json!({"name": "Mortgagee bulk access", "recipe": super::example_recipe()}),
        )
        .accepts_idempotency_key()
        .response::<PolicyOutput>(201, "The policy")
        .etag()
        .replayable()
        .location("/v1/docks/dock_01JHMV2B4MP0YHZX6Q3T0V1W2X/policies/pol_01JHMV6F8RT4CN3BAV7Y4Z5A6B")
        .link("get-policy", super::CREATED)
        .link("update-policy", super::CREATED)
        .link("publish-policy", super::CREATED)
        .link("simulate-policy", super::CREATED)
        .link("list-policy-versions", super::CREATED)
        .link("delete-policy", super::CREATED)
        .not_found(Resource::Dock, "No such dock in the key's account, or no such group in the dock")
        .conflict("The dock has 100 policies", TOO_MANY_POLICIES)
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CreatePolicy, rename_all = "camelCase"))]
struct Input {
    name: Text,
    recipe: Recipe,
    audience: Option<Audience>,
}

impl Input {
    fn parse(fields: &mut Fields) -> Result<Self, Rejected> {
        let name = fields.required("name", string(Text::parse));
        let recipe = fields.required("recipe", Recipe::parse);
        let audience = fields.optional("audience", Audience::parse);
        Ok(Self { name: name?, recipe: recipe?, audience: audience? })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::lookup(path::id(request), |id| context.store.dock(id));
    let (caller, dock) = auth::authenticate_and(context, request, dock).await?;
    let (key, body) = input::read(request, |input| {
        let key = input.idempotency_key();
        let body = input.body(Input::parse);
        Ok((key?, body?))
    })?;
    let dock = dock.ok_or(Error::NotFound(Resource::Dock))?.id;
    let attempt = Attempt::new(key, caller.account, &list_url(dock), request, context.now());
    let audience = body.audience.unwrap_or(Audience::Everyone);
    create(context, caller, dock, body.name, body.recipe, audience, &attempt).await
}

/// Creates a policy with this recipe.
///
/// # Errors
/// 404 for a group that does not exist, 409 for one policy too many, and those of the store.
pub(super) async fn create(
    context: &Context,
    caller: Caller,
    dock: DockId,
    name: Text,
    recipe: Recipe,
    audience: Audience,
    attempt: &Attempt,
) -> Result<Response<String>, Error> {
    let now = context.now();
    let policy = Policy {
        id: PolicyId::generate(now, &mut random::system()),
        dock,
        account: caller.account,
        name,
        audience,
        current: Revision { number: 1, recipe },
        stages: Stages::default(),
        created_at: now,
        updated_at: None,
        version: 0,
    };
    let created = StoredResponse {
        body: response::to_json(&PolicyOutput::new(&policy, now))?,
        location: Some(format!("{}/{}", list_url(dock), policy.id)),
    };
    let entry = context.entry(caller, policy.created());
    match context.store.create_policy(&policy, &entry, attempt.storing(&created)).await? {
        Outcome::Done => {
            context.record.add_id(policy.id);
            Ok(response::created(created))
        }
        Outcome::Replayed(replay) => idempotency::replay(replay, response::created),
        Outcome::Refused(refused) => Err(of_store(refused, TOO_MANY_POLICIES)),
    }
}
