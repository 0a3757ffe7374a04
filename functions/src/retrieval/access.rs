//! `GET /v1/retrieval/access`: says what grants the bearer of an access token now. A recipient that nothing grants gets
//! 403, which says what is missing.
//!
//! Two round trips to DynamoDB: reads the token and all that is active of its recipient at once, then the recipient, its
//! groups and the policies in force for its class. A refusal takes a third one, for its entry in the audit trail.

use docyard_core::context::Context;
use docyard_core::model::access::{Opening, Proof};
use docyard_core::model::recipe::{Factor, Method};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::id::{DockId, PolicyId, RecipientId};
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};
use serde::Serialize;

use crate::endpoint::{Endpoint, endpoint};
use crate::http::auth::{self, Institution};
use crate::http::error::Error;
use crate::http::{input, refusal, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "get-retrieval-access": Get "/v1/retrieval/access",
    description: "Get what an access token opens",
    memory: 128,
    credentials: [AccessToken],
    connections: 2,
    grants: [
        BatchGetItem on [Dock, Groups, Token],
        Query on [Policies, Recipient],
        PutItem on [Audit, AuditEntity, Token],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("The policies that grant the token's recipient anything now, with what it has proven and submitted.")
        .response::<Output>(200, "What grants now")
        .forbidden()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RetrievalAccess))]
struct Output<'a> {
    recipient_id: RecipientId,
    dock_id: DockId,
    /// What was proven.
    factors: &'a [Factor],
    /// When.
    authenticated_at: Timestamp,
    /// When the token ends.
    expires_at: Timestamp,
    policies: Vec<GrantingPolicy<'a>>,
}

/// A policy that grants.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct GrantingPolicy<'a> {
    policy_id: PolicyId,
    methods: &'a [Method],
    /// The types of artifacts that it grants; `*` for all.
    artifact_types: Vec<&'a str>,
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let Institution { token, active, .. } = auth::authenticate_recipient(context, request).await?;
    input::read_none(request)?;
    let now = context.now();
    let found = context.store.subject(token.recipient, active, now).await?;
    let (subject, policies) = found.ok_or(Error::Unauthorized { token_sent: true })?;
    let proof = Proof {
        method: None,
        factors: token.factors(),
        authenticated_at: token.authenticated_at,
        submitted: &token.submitted,
    };
    let opening = match Opening::of(&policies, &subject, &proof, now) {
        Ok(opening) => opening,
        Err(shortfall) => {
            refusal::record(context, &subject.recipient, token.id, &shortfall).await?;
            return Err(Error::Forbidden(shortfall));
        }
    };
    let policies = opening
        .granting()
        .iter()
        .map(|verdict| GrantingPolicy {
            policy_id: verdict.policy.id,
            methods: verdict.revision.recipe.methods(),
            artifact_types: match verdict.revision.recipe.artifact_types() {
                Some(types) => types.iter().map(String::as_str).collect(),
                None => vec!["*"],
            },
        })
        .collect();
    let output = Output {
        recipient_id: token.recipient,
        dock_id: token.dock,
        factors: token.factors(),
        authenticated_at: token.authenticated_at,
        expires_at: token.expires_at,
        policies,
    };
    response::json(StatusCode::OK, &output)
}
