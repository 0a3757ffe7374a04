//! `GET /v1/recipients/{recipientId}/access`: says which policies cover a recipient, what of their factors is set up for it,
//! what of their identifiers is stored, and whether that would do.
//!
//! Two round trips to DynamoDB: reads the key and all that is active of the recipient at once, then the recipient, its groups
//! and the policies in force for its class.

use docyard_core::context::Context;
use docyard_core::model::access::{Subject, verdict_if_proven};
use docyard_core::model::decision::{Check, Checked, Outcome};
use docyard_core::model::policy::EnforcedPolicy;
use docyard_core::model::recipe::{Factor, Method};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::id::{PolicyId, RecipientId};
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};
use serde::Serialize;

use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{auth, input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "get-recipient-access": Get "/v1/recipients/{recipientId}/access",
    description: "Get a recipient's access",
    memory: 128,
    credentials: [ApiKey],
    connections: 2,
    grants: [
        BatchGetItem on [Dock, Groups, Key],
        Query on [Policies, Recipient],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "What covers the recipient now, what is set up for it and what is missing: as if it proved now all that is set up.",
        )
        .response::<Output>(200, "The policies that cover the recipient")
        .not_found(Resource::Recipient, "No such recipient in the key's account")
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RecipientAccess))]
struct Output<'a> {
    policies: Vec<CoveringPolicy<'a>>,
}

/// A policy that covers the recipient.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct CoveringPolicy<'a> {
    policy_id: PolicyId,
    name: &'a Text,
    /// The version that counts for the recipient.
    version: u16,
    /// The methods that it grants.
    method: &'a [Method],
    factors: Vec<FactorOutput>,
    identifiers: Vec<IdentifierOutput<'a>>,
    /// Whether it grants anything with what is set up and stored.
    granted: bool,
}

/// A factor that the policy requires.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RequiredFactor))]
struct FactorOutput {
    factor: Factor,
    set_up: bool,
}

/// An identifier that the policy matches.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = MatchedIdentifier))]
struct IdentifierOutput<'a> {
    #[cfg_attr(feature = "openapi", schema(example = "lender_id"))]
    key: &'a str,
    stored: bool,
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let id = path::id::<RecipientId>(request);
    let active = path::lookup(id, |id| context.store.active_recipient(id));
    let (_, active) = auth::authenticate_and(context, request, active).await?;
    input::read_none(request)?;
    let (id, active) = id.zip(active).ok_or(Error::NotFound(Resource::Recipient))?;
    let now = context.now();
    let found = context.store.subject(id, active, now).await?;
    let (subject, policies) = found.ok_or(Error::NotFound(Resource::Recipient))?;
    let policies = policies.iter().filter_map(|policy| covering(policy, &subject, now)).collect();
    response::json(StatusCode::OK, &Output { policies })
}

/// What a policy says of a recipient that it covers; `None` if it does not.
fn covering<'a>(policy: &'a EnforcedPolicy, subject: &Subject, now: Timestamp) -> Option<CoveringPolicy<'a>> {
    let verdict = verdict_if_proven(policy, subject, now)?;
    let checks = &verdict.decision.checks;
    let holds = |checked: Checked| checks.contains(&Check { checked, outcome: Outcome::Holds });
    if !holds(Checked::Audience) {
        return None;
    }
    let recipe = &verdict.revision.recipe;
    let factor = |factor: &Factor| FactorOutput { factor: *factor, set_up: holds(Checked::Factor(*factor)) };
    let identifier =
        |key: &'a String| IdentifierOutput { key, stored: holds(Checked::Identifier(key.clone())) };
    Some(CoveringPolicy {
        policy_id: policy.id,
        name: &policy.name,
        version: verdict.revision.number,
        method: recipe.methods(),
        factors: recipe.factors().iter().map(factor).collect(),
        identifiers: recipe.keys().iter().map(identifier).collect(),
        granted: verdict.decision.is_granted(),
    })
}
