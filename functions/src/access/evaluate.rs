//! `POST /v1/docks/{dockId}/access/evaluation`: says whether a recipient would be let in, and why or why not, in the shape of
//! the [AuthZEN Authorization API 1.0](https://openid.net/specs/authorization-api-1_0.html).
//!
//! Takes `subject`, `action`, `resource`, and in `context` the facts: what is proven, submitted, and at what time. They are
//! hypothetical: it writes nothing and counts nothing. Returns 200, also for a denial.
//!
//! Two round trips to DynamoDB: reads the key, the dock, the artifact and all that is active of the recipient at once, then the recipient,
//! its groups and the policies in force for its class.

use docyard_core::context::Context;
use docyard_core::model::access::{Attempt, best, verdicts};
use docyard_core::model::identifiers::Identifiers;
use docyard_core::model::recipe::{Factor, Method};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, different, object, string};
use docyard_core::values::id::{ArtifactId, PolicyId, RecipientId};
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};
use serde::Serialize;

use super::MissingOutput;
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{auth, input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "evaluate-access": Post "/v1/docks/{dockId}/access/evaluation",
    description: "Evaluate access",
    memory: 128,
    credentials: [ApiKey],
    connections: 2,
    grants: [
        BatchGetItem on [Artifact, Dock, Groups, Key],
        Query on [Policies, Recipient],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Whether a recipient would be let in if it proved and submitted this, and if not, why: the request and the \
             answer have the shape of the AuthZEN Authorization API 1.0. A denial is a 200. It changes nothing. The resource \
             is an `artifact`, or the `dock`, which asks for anything at all.",
        )
        .request_body::<Body>(serde_json::json!({
            "subject": {"type": "recipient", "id": "rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y"},
            "action": {"name": "bulk_api"},
            "resource": {"type": "dock"},
            "context": {"factors": ["shared_passphrase", "tls_certificate"], "identifiers": {}},
        }))
        .response::<Output>(200, "The decision")
        .not_found(
            Resource::Recipient,
            "No such dock in the key's account, or no such recipient or artifact in the dock",
        )
}

struct Input {
    /// `None` if the id is malformed.
    recipient: Option<RecipientId>,
    method: Method,
    asked: Asked,
    facts: Facts,
}

/// What is asked for.
#[derive(Clone, Copy)]
enum Asked {
    /// Anything at all.
    Dock,
    /// An artifact; `None` if the id is malformed.
    Artifact(Option<ArtifactId>),
}

impl Asked {
    fn parse(fields: &mut Fields) -> Result<Self, Rejected> {
        let is_artifact = fields.required(
            "type",
            string(|text| match text {
                "dock" => Ok(false),
                "artifact" => Ok(true),
                _ => Err("must be artifact or dock"),
            }),
        );
        let id = fields.optional("id", string(|text| Ok(ArtifactId::parse(text))));
        match (is_artifact?, id?) {
            (false, None) => Ok(Self::Dock),
            (true, Some(id)) => Ok(Self::Artifact(id)),
            (is_artifact, _) => {
                fields.refuse("id", if is_artifact { "is required" } else { "must be absent for the dock" });
                Err(Rejected)
            }
        }
    }

    fn artifact(self) -> Option<ArtifactId> {
        match self {
            Self::Artifact(id) => id,
            Self::Dock => None,
        }
    }
}

/// The body, for the document.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = EvaluateAccess)]
#[expect(dead_code, reason = "`parse` reads the body")]
struct Body {
    subject: EvaluatedSubject,
    action: EvaluatedAction,
    resource: EvaluatedResource,
    #[schema(value_type = Option<Facts>)]
    context: Facts,
}

/// Who asks.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "`parse` reads the body")]
struct EvaluatedSubject {
    #[schema(pattern = "^recipient$", example = "recipient")]
    r#type: String,
    id: RecipientId,
}

/// How to retrieve.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "`parse` reads the body")]
struct EvaluatedAction {
    name: Method,
}

/// What is asked for: an `artifact`, or with `dock` anything at all.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "`parse` reads the body")]
struct EvaluatedResource {
    #[schema(pattern = "^(artifact|dock)$", example = "dock")]
    r#type: String,
    /// Of an artifact.
    id: Option<ArtifactId>,
}

/// The facts to decide on.
#[derive(Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = EvaluatedFacts))]
struct Facts {
    /// What is proven.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<std::collections::BTreeSet<Factor>>))]
    factors: Vec<Factor>,
    /// What is submitted.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Identifiers>))]
    identifiers: Identifiers,
    /// The time of the decision, which is now unless it is given.
    time: Option<Timestamp>,
}

impl Input {
    fn parse(fields: &mut Fields, now: Timestamp) -> Result<Self, Rejected> {
        let recipient = fields.required(
            "subject",
            object(|fields| {
                let is_recipient = fields.required("type", string(word("recipient", "must be recipient")));
                let id = fields.required("id", string(|text| Ok(RecipientId::parse(text))));
                is_recipient.and(id)
            }),
        );
        let method =
            fields.required("action", object(|fields| fields.required("name", string(Method::parse))));
        let asked = fields.required("resource", object(Asked::parse));
        let facts = fields.optional("context", object(|fields| Facts::parse(fields, now)));
        Ok(Self { recipient: recipient?, method: method?, asked: asked?, facts: facts?.unwrap_or_default() })
    }
}

impl Facts {
    fn parse(fields: &mut Fields, now: Timestamp) -> Result<Self, Rejected> {
        let factors = fields.optional("factors", |json| different(json, 0, Factor::ALL.len(), Factor::parse));
        let identifiers = fields.optional("identifiers", |json| Identifiers::parse(json, now.latest_date()));
        let time = fields.optional("time", string(Timestamp::parse_text));
        Ok(Self {
            factors: factors?.unwrap_or_default(),
            identifiers: identifiers?.unwrap_or_default(),
            time: time?,
        })
    }
}

/// Makes a parser of one word.
fn word(word: &'static str, rule: &'static str) -> impl FnOnce(&str) -> Result<String, &'static str> {
    move |text| if text == word { Ok(text.to_owned()) } else { Err(rule) }
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AccessDecision))]
struct Output {
    /// Whether it would be let in.
    decision: bool,
    context: Explanation,
}

/// Why, or why not.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AccessExplanation))]
struct Explanation {
    /// The policy that grants, or the one nearest to granting; `null` if none of the recipient's class is in force.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    policy_id: Option<PolicyId>,
    /// Its version that counts for the recipient.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    version: Option<u16>,
    missing: MissingOutput,
    /// Every check of every policy in force for the recipient's class.
    checks: Vec<CheckOutput>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AccessCheck))]
struct CheckOutput {
    policy_id: PolicyId,
    version: u16,
    /// `class`, `audience`, `window`, `session`, `expiry`, `method`, `factor:…`, `identifier:…`, `type`, `scope:…` or
    /// `claims`.
    #[cfg_attr(feature = "openapi", schema(example = "factor:tls_certificate"))]
    check: String,
    #[cfg_attr(
        feature = "openapi",
        schema(pattern = "^(holds|missing|mismatch|fails)$", example = "missing")
    )]
    outcome: &'static str,
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let now = context.now();
    let read = input::read(request, |input| input.body(|fields| Input::parse(fields, now)));
    let recipient_id = read.as_ref().ok().and_then(|body| body.recipient);
    let artifact_id = read.as_ref().ok().and_then(|body| body.asked.artifact());
    let found = path::lookup(path::id(request), |dock| async move {
        let recipient = path::lookup(recipient_id, |id| context.store.active_recipient(id));
        let artifact = path::lookup(artifact_id, |id| context.store.artifact(id, now));
        let (dock, recipient, artifact) = tokio::try_join!(context.store.dock(dock), recipient, artifact)?;
        Ok(dock.map(|dock| (dock, (recipient, artifact))))
    });
    let (_, found) = auth::authenticate_and(context, request, found).await?;
    let body = read?;
    let (dock, (active, artifact)) = found.ok_or(Error::NotFound(Resource::Dock))?;
    let artifact = match body.asked {
        Asked::Dock => None,
        Asked::Artifact(_) => {
            let artifact = artifact.filter(|artifact| artifact.dock == dock.id);
            Some(artifact.ok_or(Error::NotFound(Resource::Artifact))?)
        }
    };
    let active = active.filter(|active| active.pointer.dock == dock.id);
    let (id, active) = recipient_id.zip(active).ok_or(Error::NotFound(Resource::Recipient))?;
    let time = body.facts.time.unwrap_or(now);
    let found = context.store.subject(id, active, time).await?;
    let (subject, policies) = found.ok_or(Error::NotFound(Resource::Recipient))?;

    let attempt = Attempt {
        method: body.method,
        factors: &body.facts.factors,
        authenticated_at: time,
        submitted: &body.facts.identifiers,
        artifact: artifact.as_ref().map(|artifact| artifact.metadata.entries()),
    };
    let verdicts = verdicts(&policies, &subject, &attempt, time);
    let best = best(&verdicts);
    let missing = MissingOutput {
        factors: best.iter().flat_map(|best| best.decision.missing_factors()).collect(),
        identifiers: best
            .iter()
            .flat_map(|best| best.decision.missing_identifiers().map(str::to_owned))
            .collect(),
    };
    let checks = verdicts.iter().flat_map(|verdict| {
        verdict.decision.checks.iter().map(|check| CheckOutput {
            policy_id: verdict.policy.id,
            version: verdict.revision.number,
            check: check.checked.to_string(),
            outcome: check.outcome.word(),
        })
    });
    let output = Output {
        decision: best.is_some_and(|best| best.decision.is_granted()),
        context: Explanation {
            policy_id: best.map(|best| best.policy.id),
            version: best.map(|best| best.revision.number),
            missing,
            checks: checks.collect(),
        },
    };
    response::json(StatusCode::OK, &output)
}
