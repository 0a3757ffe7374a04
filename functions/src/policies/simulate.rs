//! `POST /v1/docks/{dockId}/policies/{policyId}/simulate`: says who would be let in by a version of a policy, and what is
//! missing for the others, as if they proved now all that is set up for them.
//!
//! Takes `version`, which is the current one unless it is given, and `cursor`, or no body. A call examines at most 200 of
//! the dock's recipients, and its counts are of those; where there are more, it returns a `cursor`. It decides by the same
//! function as *evaluate*, and writes nothing.
//!
//! Three round trips to DynamoDB, and more for many recipients: reads the key, the policy and the version at once, then a
//! page of recipients and the audience's groups, then what is active of each recipient.

use std::collections::{BTreeMap, BTreeSet};

use docyard_core::context::Context;
use docyard_core::model::access::{Subject, verdict_if_proven};
use docyard_core::model::decision::{Check, Checked, Decision, Outcome};
use docyard_core::model::policy::{EnforcedPolicy, MAX_VERSIONS, Policy, Production, Revision, Stages};
use docyard_core::model::recipe::Factor;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::email::Email;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, integer, string};
use docyard_core::values::id::PolicyId;
use docyard_core::values::page::PageRequest;
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};
use serde::Serialize;

use super::{find_with_version, list_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "simulate-policy": Post "/v1/docks/{dockId}/policies/{policyId}/simulate",
    description: "Simulate a policy",
    memory: 1024,
    credentials: [ApiKey],
    connections: 2,
    grants: [
        BatchGetItem on [Groups, Key, Policies, Policy],
        Query on [Dock, Recipient],
    ],
};

/// How many recipients of the dock a call examines.
const EXAMINED: usize = 200;

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Who of the policy's class and audience would be let in by a version, and what is missing for the others: as if \
             each proved now all that is set up for it. A call examines at most 200 of the dock's recipients, and its counts \
             are of those; send its `cursor` for the next ones. It changes nothing.",
        )
        .optional_request_body::<Input>(serde_json::json!({"version": 1}))
        .response::<Output>(200, "The report")
        .not_found(Resource::Policy, "No such policy in this dock, or no such version of it")
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = SimulatePolicy, rename_all = "camelCase"))]
struct Input {
    /// The version, which is the current one unless it is given.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u16>, minimum = 1, maximum = 1000))]
    version: Option<u16>,
    /// That of the call before.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    cursor: Option<Email>,
}

impl Input {
    fn parse(fields: &mut Fields, list: &str) -> Result<Self, Rejected> {
        let version = fields
            .optional("version", |json| integer(json, MAX_VERSIONS, "must be an integer from 1 to 1000"));
        let cursor = fields.optional(
            "cursor",
            string(|text| {
                let last = list::read_cursor(list, text).and_then(|last| Email::parse(&last).ok());
                last.ok_or("must be the cursor of a simulation of this policy, unchanged")
            }),
        );
        Ok(Self { version: version?, cursor: cursor? })
    }
}

/// Who would be let in, of the recipients that a call examined.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Simulation))]
struct Output<'a> {
    policy_id: PolicyId,
    policy_name: &'a Text,
    version: u16,
    /// Those of the policy's class and audience.
    total_recipients: usize,
    /// Those who would be let in.
    compliant: usize,
    non_compliant: usize,
    /// By what is set up, the most first.
    breakdown: Vec<Combination>,
    /// For how many recipients the identifier of this key is missing.
    missing_identifiers: BTreeMap<String, usize>,
    /// What to do, in at most three sentences.
    #[cfg_attr(feature = "openapi", schema(max_items = 3))]
    recommendations: Vec<String>,
    /// Where the next call begins; `null` if this was the last.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    cursor: Option<String>,
}

/// Recipients with the same factors set up.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = SimulatedCombination))]
struct Combination {
    factor_count: usize,
    /// The recipe's factors that are set up.
    combination: Vec<Factor>,
    recipients: usize,
    /// The recipe's factors that are not.
    missing_factors: Vec<Factor>,
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let list = cursor_of(request);
    let read = input::read(request, |input| input.optional_body(|fields| Input::parse(fields, &list)));
    let number = read.as_ref().ok().and_then(|body| body.version);
    let (_, (policy, version)) = find_with_version(context, request, number).await?;
    let body = read?;
    let policy = policy.ok_or(Error::NotFound(Resource::Policy))?;
    let revision = match (body.version, version) {
        (None, _) => policy.current.clone(),
        (Some(_), Some(version)) => version.revision,
        (Some(_), None) => return Err(Error::NotFound(Resource::Version)),
    };
    let now = context.now();
    let after = body.cursor.map(|email| email.as_str().to_owned());
    let page = PageRequest { limit: EXAMINED, after };
    let groups: BTreeSet<_> = policy.audience.groups().collect();
    let (page, groups) = tokio::try_join!(
        context.store.recipients(policy.dock, &page),
        context.store.existing_groups(policy.dock, &groups),
    )?;
    let of_class =
        page.items.into_iter().filter(|recipient| recipient.stakeholder_class == Some(policy.class()));
    let subjects = context.store.subjects(of_class.collect(), &groups, now).await?;
    let simulated = in_production(&policy, revision.clone(), now);
    let report = Report::of(&simulated, &revision, &subjects, now);
    let output = Output {
        policy_id: policy.id,
        policy_name: &policy.name,
        version: revision.number,
        total_recipients: report.total,
        compliant: report.compliant,
        non_compliant: report.total - report.compliant,
        recommendations: report.recommendations(),
        breakdown: report.breakdown(&revision),
        missing_identifiers: report.missing_identifiers,
        cursor: page.next.map(|last| list::cursor(&list, &last)),
    };
    response::json(StatusCode::OK, &output)
}

/// What ties a cursor to the policy that the path names.
fn cursor_of(request: &Request) -> String {
    let ids = path::id(request).zip(path::id::<PolicyId>(request));
    ids.map(|(dock, policy)| format!("{}/{policy}/simulate", list_url(dock))).unwrap_or_default()
}

/// The policy as if this version of it were in production.
fn in_production(policy: &Policy, revision: Revision, now: Timestamp) -> EnforcedPolicy {
    EnforcedPolicy {
        id: policy.id,
        name: policy.name.clone(),
        audience: policy.audience.clone(),
        stages: Stages { production: Some(Production { revision, since: now }), ..Stages::default() },
    }
}

/// The counts of a call.
#[derive(Default)]
struct Report {
    total: usize,
    compliant: usize,
    /// By the recipe's factors that are set up.
    by_factors: BTreeMap<Vec<Factor>, usize>,
    missing_factors: BTreeMap<Factor, usize>,
    missing_identifiers: BTreeMap<String, usize>,
    is_out_of_time: bool,
    expired: usize,
}

impl Report {
    fn of(policy: &EnforcedPolicy, revision: &Revision, subjects: &[Subject], now: Timestamp) -> Self {
        let mut report = Self::default();
        for subject in subjects.iter().filter(|subject| policy.audience.includes(&subject.groups)) {
            let Some(verdict) = verdict_if_proven(policy, subject, now) else { continue };
            report.add(revision, &verdict.decision);
        }
        report
    }

    fn add(&mut self, revision: &Revision, decision: &Decision) {
        self.total += 1;
        self.compliant += usize::from(decision.is_granted());
        let missing: Vec<Factor> = decision.missing_factors().collect();
        let set_up = revision.recipe.factors().iter().filter(|factor| !missing.contains(factor));
        *self.by_factors.entry(set_up.copied().collect()).or_default() += 1;
        for factor in missing {
            *self.missing_factors.entry(factor).or_default() += 1;
        }
        for key in decision.missing_identifiers() {
            *self.missing_identifiers.entry(key.to_owned()).or_default() += 1;
        }
        let fails = |checked: &Checked| {
            let failed = Check { checked: checked.clone(), outcome: Outcome::Fails };
            decision.checks.contains(&failed)
        };
        self.is_out_of_time |= fails(&Checked::Window);
        self.expired += usize::from(fails(&Checked::Expiry));
    }

    fn breakdown(&self, revision: &Revision) -> Vec<Combination> {
        let factors = revision.recipe.factors();
        let mut combinations: Vec<Combination> = self
            .by_factors
            .iter()
            .map(|(combination, recipients)| Combination {
                factor_count: combination.len(),
                combination: combination.clone(),
                recipients: *recipients,
                missing_factors: factors.iter().filter(|it| !combination.contains(it)).copied().collect(),
            })
            .collect();
        combinations.sort_by_key(|it| (std::cmp::Reverse(it.factor_count), std::cmp::Reverse(it.recipients)));
        combinations
    }

    /// The three gravest gaps: time first, then what most recipients lack.
    fn recommendations(&self) -> Vec<String> {
        let recipients = |count: usize| match count {
            1 => "1 recipient".to_owned(),
            count => format!("{count} recipients"),
        };
        let mut sentences = Vec::new();
        if self.is_out_of_time {
            sentences.push("It is not the time of this version: see not_before and not_after.".to_owned());
        }
        let mut gaps: Vec<(usize, String)> = Vec::new();
        for (factor, count) in &self.missing_factors {
            gaps.push((*count, format!("Set up {factor} for {}.", recipients(*count))));
        }
        for (key, count) in &self.missing_identifiers {
            gaps.push((*count, format!("Store {key} of {}.", recipients(*count))));
        }
        if self.expired > 0 {
            let sentence =
                format!("The access of {} has expired; register them anew.", recipients(self.expired));
            gaps.push((self.expired, sentence));
        }
        gaps.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        sentences.extend(gaps.into_iter().map(|(_, sentence)| sentence));
        sentences.truncate(3);
        sentences
    }
}
