//! Retrieval jobs, step by step: each reads up to a thousand artifacts, decides on them by the policies of now, and writes a page. That
//! write is the next record of the stream, so that a job drives itself; of a step that is taken twice, the second one is refused.

use std::collections::BTreeMap;

use docyard_core::context::Context;
use docyard_core::model::access::{Attempt, granting};
use docyard_core::model::artifact::Artifact;
use docyard_core::model::audit::Entry;
use docyard_core::model::decision::Scope;
use docyard_core::model::job::{Failure, Job, MAX_STEP, Read};
use docyard_core::store::Error;
use docyard_core::values::id::{JobId, PolicyId};

/// Takes the next step of a job, if it is open.
pub(super) async fn step(context: &Context, id: JobId) -> Result<(), Error> {
    let (store, now) = (&context.store, context.now());
    let Some(job) = store.job(id, now).await?.filter(|job| job.status.is_open()) else { return Ok(()) };
    let subject = match store.active_recipient(job.recipient).await? {
        Some(active) => store.subject(job.recipient, active, now).await?,
        None => None,
    };
    let Some((subject, policies)) = subject else {
        return fail(context, job, Failure::RecipientDeleted).await;
    };
    let attempt = Attempt {
        method: job.method,
        factors: &job.proof.factors,
        authenticated_at: job.authenticated_at(now),
        submitted: &job.proof.submitted,
        artifact: None,
    };
    let is_of_job = |policy: PolicyId| job.grants.iter().any(|grant| grant.policy == policy);
    let mut granted: Vec<_> = granting(&policies, &subject, &attempt, now).collect();
    granted.retain(|verdict| is_of_job(verdict.policy.id));
    if granted.is_empty() {
        return fail(context, job, Failure::AccessWithdrawn).await;
    }

    let scopes = granted.iter().map(|verdict| {
        let scope = Scope::of(&verdict.revision.recipe, &subject.recipient, &job.proof.submitted);
        (verdict.policy.id, scope)
    });
    let scopes: BTreeMap<PolicyId, Scope> = scopes.collect();
    let before = &job;
    let job = job.clone().granted(&scopes);
    let read = if job.selection.artifacts.is_empty() {
        let scopes = job.scopes(scopes.into_iter());
        let after = job.next_after();
        let (artifacts, is_last) =
            store.available_artifacts(job.dock, scopes, after, job.until(), MAX_STEP).await?;
        Read::Next(artifacts, is_last)
    } else {
        Read::Named(store.artifacts_of(&job.selection.artifacts, now).await?.into_values().collect())
    };
    let granting_artifact = |artifact: &Artifact| {
        let attempt = Attempt { artifact: Some(artifact.metadata.entries()), ..attempt.clone() };
        granting(&policies, &subject, &attempt, now).map(|verdict| verdict.policy.id).collect()
    };
    let most = |policy: PolicyId| {
        let verdict = granted.iter().find(|verdict| verdict.policy.id == policy);
        verdict.map_or(0, |verdict| verdict.revision.recipe.max_batch_size().into())
    };
    let step = job.clone().stepped(read, granting_artifact, most, now);
    store.take_step(before, &step).await.map(drop)
}

async fn fail(context: &Context, job: Job, failure: Failure) -> Result<(), Error> {
    let failed = job.clone().failed(failure, context.now());
    change(context, &job, &failed).await.map(drop)
}

/// Replaces a job by what a sweep or a failure makes of it; the log tells of a failure.
async fn change(context: &Context, before: &Job, after: &Job) -> Result<bool, Error> {
    let is_changed = context.store.change_job(before, after, None::<fn() -> Entry>).await?;
    if let Some(failure) = after.failure.filter(|_| is_changed) {
        tracing::warn!("{} failed: {}", after.id, failure.message());
    }
    Ok(is_changed)
}

/// Has the jobs of a partition go on whose last step is long ago, or fail. Returns how many.
pub(super) async fn sweep(context: &Context, partition: u8) -> Result<usize, Error> {
    let (mut count, mut failure) = (0, None);
    for id in context.store.open_jobs_of_partition(partition).await? {
        match sweep_job(context, id).await {
            Ok(is_swept) => count += usize::from(is_swept),
            // It does not hold up the others.
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(count), Err)
}

async fn sweep_job(context: &Context, id: JobId) -> Result<bool, Error> {
    let job = context.store.job(id, context.now()).await?;
    match job.and_then(|job| job.swept(context.now()).map(|swept| (job, swept))) {
        Some((job, swept)) => change(context, &job, &swept).await,
        None => Ok(false),
    }
}
