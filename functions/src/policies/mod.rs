//! Policies: who may retrieve which documents of a dock, by which factors, how and when.

use std::collections::BTreeSet;

use docyard_core::context::{Caller, Context};
use docyard_core::model::audit::Entry;
use docyard_core::model::idempotency::{Outcome, StoredResponse};
use docyard_core::model::policy::{
    Audience, Change, MAX_IN_FORCE, MAX_POLICIES, Policy, Refused, Status, Version,
};
use docyard_core::model::recipe::Recipe;
use docyard_core::store::{Fault, PolicyRefused};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::field_error::FieldError;
use docyard_core::values::id::{DockId, GroupId, PolicyId, RecipientId};
use docyard_core::values::text::{LongText, Text};
use lambda_http::Request;
use lambda_http::http::Response;
use serde::Serialize;

use crate::endpoint::Endpoints;
use crate::http::error::{Error, Resource};
use crate::http::idempotency::Attempt;
use crate::http::{auth, idempotency, path, response};

pub mod create;
pub mod create_from_template;
pub mod create_version;
pub mod delete;
pub mod get;
pub mod get_version;
pub mod list;
pub mod list_templates;
pub mod list_versions;
pub mod publish;
pub mod rollback;
pub mod simulate;
pub mod update;

/// The endpoints of policies.
pub const ENDPOINTS: Endpoints = Endpoints {
    resource: "Policies",
    description: "Who may retrieve which documents, by which factors, how and when",
    list: &[
        &create::ENDPOINT,
        &list::ENDPOINT,
        &get::ENDPOINT,
        &update::ENDPOINT,
        &delete::ENDPOINT,
        &publish::ENDPOINT,
        &rollback::ENDPOINT,
        &simulate::ENDPOINT,
        &create_version::ENDPOINT,
        &list_versions::ENDPOINT,
        &get_version::ENDPOINT,
        &list_templates::ENDPOINT,
        &create_from_template::ENDPOINT,
    ],
};

/// The path of a dock's policies.
fn list_url(dock: DockId) -> String {
    format!("/v1/docks/{dock}/policies")
}

/// The path of a policy's versions.
fn versions_url(dock: DockId, policy: PolicyId) -> String {
    format!("{}/{policy}/versions", list_url(dock))
}

/// Authenticates the caller and finds the policy that the path names; `None` if the dock of the path does not have it or is
/// another account's.
///
/// # Errors
/// Those of [`auth::authenticate_and`].
async fn find(context: &Context, request: &Request) -> Result<(Caller, Option<Policy>), Error> {
    let ids = path::id::<DockId>(request).zip(path::id::<PolicyId>(request));
    let policy = path::lookup(ids, |(dock, id)| context.store.policy(dock, id));
    auth::authenticate_and(context, request, policy).await
}

/// The policy that a path names, and a version of it.
type Found = (Option<Policy>, Option<Version>);

/// Authenticates the caller and finds the policy that the path names, and the version of this number, all at once. There is
/// no version without its policy.
///
/// # Errors
/// Those of [`auth::authenticate_and`].
async fn find_with_version(
    context: &Context,
    request: &Request,
    number: Option<u16>,
) -> Result<(Caller, Found), Error> {
    let ids = path::id::<DockId>(request).zip(path::id::<PolicyId>(request));
    let both = path::lookup(ids, |(dock, id)| async move {
        let version = async {
            match number {
                Some(number) => context.store.policy_version(id, number).await,
                None => Ok(None),
            }
        };
        let (policy, version) = tokio::try_join!(context.store.policy(dock, id), version)?;
        Ok(policy.map(|policy| (policy, version)))
    });
    let (caller, found) = auth::authenticate_and(context, request, both).await?;
    Ok((caller, found.map_or((None, None), |(policy, version)| (Some(policy), version))))
}

/// Writes a policy with the version that a change adds, and returns that: 201.
///
/// # Errors
/// Why there is no change, 409 if another one came first, and those of the store.
async fn add_version(
    context: &Context,
    before: &Policy,
    change: Result<Change, Error>,
    entry: impl FnOnce(&Policy) -> Entry,
    attempt: &Attempt,
) -> Result<Response<String>, Error> {
    let change = match change {
        Ok(change) => change,
        Err(error) => {
            return idempotency::replay_or(context, attempt, error, response::created_immutable).await;
        }
    };
    let version =
        change.version.as_ref().ok_or_else(|| Error::Internal(Fault::new("no version is added")))?;
    let number = version.revision.number;
    let created = StoredResponse {
        body: response::to_json(&VersionOutput::new(before.id, version))?,
        location: Some(format!("{}/{number}", versions_url(before.dock, before.id))),
    };
    let entry = entry(&change.policy);
    match context.store.write_policy_idempotently(before, &change, &entry, attempt.storing(&created)).await? {
        Outcome::Done => {
            context.record.add_id(before.id);
            Ok(response::created_immutable(created))
        }
        Outcome::Replayed(replay) => idempotency::replay(replay, response::created_immutable),
        Outcome::Refused(refused) => Err(of_store(refused, TOO_MANY_IN_FORCE)),
    }
}

const OVERTAKEN: &str = "The policy was changed at the same time; get it again, and decide anew";
const TOO_MANY_POLICIES: &str = "This dock has 100 policies; delete one that is no longer used first";
const TOO_MANY_IN_FORCE: &str =
    "10 policies of this class are in force or scheduled in this dock; withdraw one first";
const TOO_MANY_VERSIONS: &str = "This policy has 1000 versions; create a new policy";
const IN_FORCE: &str = "A version of this policy is in force or scheduled; publish it to sandbox first";
const UNSCOPED: &str = "shows every document of its types, since it matches no identifier that says what a recipient may see; \
                        match one, or set match.unscoped to true if that is meant";

// The messages name them.
const _: () = assert!(MAX_POLICIES == 100 && MAX_IN_FORCE == 10);

/// Why a change of a policy in the store was refused.
fn of_store(refused: PolicyRefused, too_many: &'static str) -> Error {
    match refused {
        PolicyRefused::Gone => Error::NotFound(Resource::Policy),
        PolicyRefused::Changed => Error::Conflict(OVERTAKEN),
        PolicyRefused::NoGroup => Error::NotFound(Resource::Group),
        PolicyRefused::TooMany => Error::Conflict(too_many),
    }
}

/// Why a change of a policy is against its rules.
fn of_rules(refused: Refused) -> Error {
    let invalid = |field: &str, message: &str| Error::Invalid(vec![FieldError::new(field, message)]);
    match refused {
        Refused::OtherClass => {
            invalid("recipe.stakeholderClass", "cannot be changed; create a policy for that class")
        }
        Refused::Unscoped => invalid("recipe.match", UNSCOPED),
        Refused::TooManyVersions => Error::Conflict(TOO_MANY_VERSIONS),
        Refused::TooManyGroups => Error::Conflict("The policy's audience has 20 groups; unassign one first"),
        Refused::InForce => Error::Conflict(IN_FORCE),
    }
}

/// A policy as the API shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Policy))]
struct PolicyOutput<'a> {
    id: PolicyId,
    dock_id: DockId,
    name: &'a Text,
    /// That of the current version.
    recipe: &'a Recipe,
    #[cfg_attr(feature = "openapi", schema(value_type = Audience))]
    audience: AudienceOutput<'a>,
    status: Status,
    /// The newest version, which is edited.
    current_version: u16,
    /// The version in force for all that the policy covers.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    production: Option<ProductionOutput>,
    /// The version in force for some of them instead.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pilot: Option<PilotOutput>,
    /// The version that takes over, and ends the pilot.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    scheduled: Option<ScheduledOutput>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Timestamp, required = false))]
    updated_at: Option<Timestamp>,
}

impl<'a> PolicyOutput<'a> {
    /// The policy as it is at `now`.
    fn new(policy: &'a Policy, now: Timestamp) -> Self {
        let StagesOutput { production, pilot, scheduled } = StagesOutput::new(policy, now);
        Self {
            id: policy.id,
            dock_id: policy.dock,
            name: &policy.name,
            recipe: &policy.current.recipe,
            audience: (&policy.audience).into(),
            status: policy.status(now),
            current_version: policy.current.number,
            production,
            pilot,
            scheduled,
            created_at: policy.created_at,
            updated_at: policy.updated_at,
        }
    }
}

/// For whom a policy is, as the API shows it.
#[derive(Serialize)]
#[serde(untagged)]
enum AudienceOutput<'a> {
    Everyone {
        /// Always `true`.
        everyone: bool,
    },
    #[serde(rename_all = "camelCase")]
    Groups { group_ids: &'a BTreeSet<GroupId> },
}

impl<'a> From<&'a Audience> for AudienceOutput<'a> {
    fn from(audience: &'a Audience) -> Self {
        match audience {
            Audience::Everyone => Self::Everyone { everyone: true },
            Audience::Groups(group_ids) => Self::Groups { group_ids },
        }
    }
}

/// What of a policy is in force, or will be.
struct StagesOutput {
    production: Option<ProductionOutput>,
    pilot: Option<PilotOutput>,
    scheduled: Option<ScheduledOutput>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicyProduction))]
struct ProductionOutput {
    version: u16,
    since: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicyPilot))]
struct PilotOutput {
    version: u16,
    since: Timestamp,
    recipient_ids: Vec<RecipientId>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicySchedule))]
struct ScheduledOutput {
    version: u16,
    from: Timestamp,
}

impl StagesOutput {
    /// What is in force at `now`.
    fn new(policy: &Policy, now: Timestamp) -> Self {
        let stages = policy.stages.at(now);
        Self {
            production: stages
                .production
                .map(|it| ProductionOutput { version: it.revision.number, since: it.since }),
            pilot: stages.pilot.map(|it| PilotOutput {
                version: it.revision.number,
                since: it.since,
                recipient_ids: it.recipients.into_iter().collect(),
            }),
            scheduled: stages
                .scheduled
                .map(|it| ScheduledOutput { version: it.revision.number, from: it.from }),
        }
    }
}

/// A version of a policy's recipe. It never changes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicyVersion))]
struct VersionOutput<'a> {
    version: u16,
    policy_id: PolicyId,
    recipe: &'a Recipe,
    /// The SHA-256 of the recipe as canonical JSON (RFC 8785).
    #[cfg_attr(feature = "openapi", schema(pattern = "^sha256:[0-9a-f]{64}$"))]
    hash: String,
    /// What is new in it.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    changelog: Option<&'a LongText>,
    created_at: Timestamp,
}

impl<'a> VersionOutput<'a> {
    fn new(policy: PolicyId, version: &'a Version) -> Self {
        Self {
            version: version.revision.number,
            policy_id: policy,
            recipe: &version.revision.recipe,
            hash: version.revision.recipe.hash(),
            changelog: version.changelog.as_ref(),
            created_at: version.created_at,
        }
    }
}

/// The path parameters of a policy that was just created.
#[cfg(feature = "openapi")]
const CREATED: &[(&str, &str)] = &[("dockId", "$request.path.dockId"), ("policyId", "$response.body#/id")];

#[cfg(feature = "openapi")]
const EXAMPLE_VERSION_URL: &str =
    "/v1/docks/dock_01JHMV2B4MP0YHZX6Q3T0V1W2X/policies/pol_01JHMV6F8RT4CN3BAV7Y4Z5A6B/versions/4";

/// A recipe for examples.
#[cfg(feature = "openapi")]
fn example_recipe() -> serde_json::Value {
    serde_json::json!({
        "stakeholderClass": "mortgagee",
        "artifactTypes": ["declaration-page", "certificate-of-insurance", "endorsement"],
        "auth": {
            "factors": ["shared_passphrase", "tls_certificate"],
            "tls": {"require_mutual": true, "min_version": "1.2"},
        },
        "access": {"method": "bulk_api", "max_batch_size": 10000},
        "match": {"identifiers": ["lender_id"]},
    })
}
