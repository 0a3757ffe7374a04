//! `POST /v1/docks/{dockId}/policies/{policyId}/publish`: puts a version of a policy in force, or takes it out of force.
//!
//! Takes `stage`, which is the next one unless it is given: `sandbox` takes the policy out of force at once; `pilot` puts a
//! version in force for `recipientIds`, who get it instead of the one in production; `production` puts it in force for all
//! that the policy covers and ends a pilot, at once or at `scheduledEnforceDate`. `version` is the current one unless it is
//! given. For production `version` or `If-Match` must be there, so that no edit goes live that nobody reviewed. A schedule
//! of before is cleared. Of changes that race one wins; the others get 409. Honours `If-Match`.
//!
//! Two round trips to DynamoDB: reads the key, the policy, the version and the recipients of a pilot at once, then writes
//! the policy and what of it decides, in one transaction: no reader sees half of it.

use std::collections::BTreeSet;

use docyard_core::context::Context;
use docyard_core::model::policy::{
    MAX_DAYS_AHEAD, MAX_PILOTS, MAX_VERSIONS, Policy, Release, Revision, Status,
};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::field_error::{FieldError, Rejected};
use docyard_core::values::fields::{Fields, different, integer, string};
use docyard_core::values::id::{DockId, PolicyId, RecipientId};
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::Response;
use serde::Serialize;

use super::{
    PilotOutput, ProductionOutput, ScheduledOutput, StagesOutput, TOO_MANY_IN_FORCE, of_rules, of_store,
};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::if_match::IfMatch;
use crate::http::{auth, input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "publish-policy": Post "/v1/docks/{dockId}/policies/{policyId}/publish",
    description: "Publish a policy",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Key, Policies, Policy, Recipient],
        PutItem on [Audit, AuditEntity, Policies],
        UpdateItem on [Policies],
        DeleteItem on [Policies],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "`sandbox` takes the policy out of force at once. `pilot` puts a version in force for `recipientIds`, who get it \
             instead of the one in production. `production` puts it in force for all that the policy covers and ends a \
             pilot, at once or at `scheduledEnforceDate`; it needs `version` or `If-Match`. Without `stage` it is the next \
             one. A schedule of before is cleared.",
        )
        .accepts_if_match()
        .request_body::<Input>(serde_json::json!({"stage": "production", "version": 1}))
        .response::<Output>(200, "What is in force now")
        .etag()
        .not_found(Resource::Policy, "No such policy in this dock, no such version of it, or no such recipient")
        .conflict(
            "The policy was changed at the same time, or 10 policies of this class are in force or scheduled in the dock",
            TOO_MANY_IN_FORCE,
        )
}

/// Where a version is published to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicyStage, rename_all = "lowercase"))]
enum Stage {
    Sandbox,
    Pilot,
    Production,
}

impl Stage {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "sandbox" => Ok(Self::Sandbox),
            "pilot" => Ok(Self::Pilot),
            "production" => Ok(Self::Production),
            _ => Err("must be one of sandbox, pilot, production"),
        }
    }
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PublishPolicy, rename_all = "camelCase"))]
struct Input {
    stage: Option<Stage>,
    /// The version to publish, which is the current one unless it is given.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u16>, minimum = 1, maximum = 1000))]
    version: Option<u16>,
    /// From when on it is in production: in the future, at most five years ahead.
    scheduled_enforce_date: Option<Timestamp>,
    /// The recipients of a pilot.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 100))]
    recipient_ids: Option<BTreeSet<RecipientId>>,
}

impl Input {
    fn parse(fields: &mut Fields) -> Result<Self, Rejected> {
        let stage = fields.optional("stage", string(Stage::parse));
        let version = fields
            .optional("version", |json| integer(json, MAX_VERSIONS, "must be an integer from 1 to 1000"));
        let scheduled_enforce_date = fields.optional("scheduledEnforceDate", string(Timestamp::parse_text));
        let recipient_ids = fields.optional("recipientIds", |json| {
            let id =
                |text: &str| RecipientId::parse(text).ok_or("must be the id of a recipient, such as rcp_…");
            different(json, 1, MAX_PILOTS, id).map(BTreeSet::from_iter)
        });
        Ok(Self {
            stage: stage?,
            version: version?,
            scheduled_enforce_date: scheduled_enforce_date?,
            recipient_ids: recipient_ids?,
        })
    }

    /// Where this publishes a policy to that has come so far.
    fn release(&self, status: Status, if_match: IfMatch, now: Timestamp) -> Result<Release, Error> {
        let stage = match (self.stage, status) {
            (Some(stage), _) => Some(stage),
            (None, Status::Draft) => Some(Stage::Pilot),
            (None, Status::Pilot) => Some(Stage::Production),
            (None, Status::Production) => None,
        };
        let mut errors = Vec::new();
        let mut check = |is_wrong: bool, field: &str, message: &str| {
            if is_wrong {
                errors.push(FieldError::new(field, message));
            }
        };
        check(
            stage.is_none(),
            "stage",
            "is required, since the policy is in production and no stage comes next",
        );
        check(
            stage == Some(Stage::Pilot) && self.recipient_ids.is_none(),
            "recipientIds",
            "is required for a pilot: the recipients that get it",
        );
        check(
            stage != Some(Stage::Pilot) && self.recipient_ids.is_some(),
            "recipientIds",
            "is only for the stage pilot",
        );
        check(
            stage == Some(Stage::Sandbox) && self.version.is_some(),
            "version",
            "is not for the stage sandbox, which takes every version out of force",
        );
        check(
            stage == Some(Stage::Production) && self.version.is_none() && if_match == IfMatch::Any,
            "version",
            "is required for production, or the header If-Match, so that no edit goes live that nobody reviewed",
        );
        let date = self.scheduled_enforce_date;
        check(
            stage != Some(Stage::Production) && date.is_some(),
            "scheduledEnforceDate",
            "is only for the stage production",
        );
        check(date.is_some_and(|date| date <= now), "scheduledEnforceDate", "must be in the future");
        check(
            date.is_some_and(|date| date > now.plus_days(MAX_DAYS_AHEAD)),
            "scheduledEnforceDate",
            "must be at most five years ahead",
        );
        match stage {
            Some(stage) if errors.is_empty() => Ok(match stage {
                Stage::Sandbox => Release::Sandbox,
                Stage::Pilot => Release::Pilot(self.recipient_ids.clone().unwrap_or_default()),
                Stage::Production => Release::Production(date),
            }),
            _ => Err(Error::Invalid(errors)),
        }
    }
}

/// What of the policy is in force now.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PublishedPolicy))]
struct Output<'a> {
    id: PolicyId,
    dock_id: DockId,
    name: &'a Text,
    status: Status,
    current_version: u16,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    production: Option<ProductionOutput>,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pilot: Option<PilotOutput>,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    scheduled: Option<ScheduledOutput>,
    published_at: Timestamp,
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let read = input::read(request, |input| {
        let if_match = input.if_match();
        let body = input.body(Input::parse);
        Ok((if_match?, body?))
    });
    let asked = read.as_ref().ok().map(|(_, body)| body);
    let number = asked.and_then(|body| body.version);
    let pilots = asked.and_then(|body| body.recipient_ids.as_ref());
    let ids = path::id::<DockId>(request).zip(path::id::<PolicyId>(request));
    let found = path::lookup(ids, |(dock, id)| async move {
        let version = async {
            match number {
                Some(number) => context.store.policy_version(id, number).await,
                None => Ok(None),
            }
        };
        let are_there = async {
            match pilots {
                Some(pilots) => context.store.are_in_dock(dock, pilots).await,
                None => Ok(true),
            }
        };
        let (policy, version, are_there) =
            tokio::try_join!(context.store.policy(dock, id), version, are_there)?;
        Ok(policy.map(|policy| (policy, (version, are_there))))
    });
    let (caller, found) = auth::authenticate_and(context, request, found).await?;
    let (if_match, body) = read?;
    let (policy, (version, are_there)) = found.ok_or(Error::NotFound(Resource::Policy))?;
    let now = context.now();
    let release = body.release(policy.status(now), if_match, now)?;
    let revision: Revision = match (body.version, version) {
        (None, _) => policy.current.clone(),
        (Some(_), Some(version)) => version.revision,
        (Some(_), None) => return Err(Error::NotFound(Resource::Version)),
    };
    if !are_there {
        return Err(Error::NotFound(Resource::Recipient));
    }
    if_match.check(policy.version)?;

    let number = revision.number;
    let change = policy.clone().publish(release.clone(), revision, now).map_err(of_rules)?;
    let entry = context.entry(caller, change.policy.published(&release, number));
    let written = context.store.write_policy(&policy, &change, &entry).await?;
    written.map_err(|refused| of_store(refused, TOO_MANY_IN_FORCE))?;
    let Policy { id, dock, name, current, version, .. } = &change.policy;
    let StagesOutput { production, pilot, scheduled } = StagesOutput::new(&change.policy, now);
    let output = Output {
        id: *id,
        dock_id: *dock,
        name,
        status: change.policy.status(now),
        current_version: current.number,
        production,
        pilot,
        scheduled,
        published_at: now,
    };
    response::resource(&output, *version)
}
