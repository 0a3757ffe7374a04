//! Retrieval jobs of a scene's recipients, and what they delivered.

use std::collections::BTreeSet;

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::store::{OPEN_JOBS_PARTITIONS, Objects};
use docyard_core::values::clock::Clock;
use docyard_core::values::content_hash::ContentHash;
use docyard_core::values::id::{ArtifactId, JobId};
use docyard_functions::worker;
use serde_json::{Value, json};

use crate::account::Account;
use crate::api::{Api, Reply};
use crate::bucket;
use crate::scene::{Asker, Scene};

/// The ids of jobs and what they delivered, of which there is one artifact.
#[derive(Clone, Debug, Default)]
pub struct Retrieved {
    /// A completed job of the member, and its cursor.
    pub job: String,
    pub cursor: String,
    /// The artifact in it.
    pub artifact: String,
    /// The ticket of its results.
    pub ticket: String,
    /// A job of the member that has not begun.
    pub open_job: String,
    /// A completed job of the account for the member, and a ticket of its results.
    pub account_job: String,
    pub account_ticket: String,
    /// A completed job of the outsider, from when it was granted something, and a ticket of its results.
    pub outsider_job: String,
    pub outsider_ticket: String,
    /// The artifact in it.
    pub outsider_artifact: String,
    /// A recipient with as many open jobs as it may have.
    pub busy: String,
}

/// What the worker is told of a job.
pub fn record(job: &str) -> Value {
    let image = json!({
        "pk": {"S": format!("JOB#{job}")}, "sk": {"S": "JOB"}, "id": {"S": job}, "status": {"S": "PENDING"},
    });
    json!({"eventName": "MODIFY", "dynamodb": {"SequenceNumber": "1", "NewImage": image}})
}

/// Has the worker take the steps of a job until it ends.
pub async fn drive(context: &Context, job: &str) {
    let id = JobId::parse(job).unwrap();
    while context.store.job(id, context.now()).await.unwrap().unwrap().status.is_open() {
        let answer = worker::handle(context, &json!({"Records": [record(job)]})).await.unwrap();
        assert_eq!(answer["batchItemFailures"], json!([]));
    }
}

/// All open jobs, as sweeps find them.
pub async fn open_jobs(context: &Context) -> BTreeSet<JobId> {
    let mut open = BTreeSet::new();
    for n in 0..OPEN_JOBS_PARTITIONS {
        open.extend(context.store.open_jobs_of_partition(n).await.unwrap());
    }
    open
}

/// The ticket in a link.
pub fn ticket_of(url: &str) -> &str {
    url.split_once("?ticket=").unwrap().1
}

/// An artifact in the asker's dock that the scene's recipe grants whoever has this `lender_id`.
pub async fn available(asker: &Asker<'_>, objects: &Objects, filename: &str, lender_id: &str) -> String {
    let content = filename.as_bytes();
    let body = json!({
        "filename": filename, "hash": ContentHash::of(content), "size": content.len(),
        "metadata": {"document_type": "declaration-page", "lender_id": lender_id},
    });
    let id = asker.create("create-artifact", &[], body).await;
    let found = asker.api.store().artifact(ArtifactId::parse(&id).unwrap(), Clock::system().now()).await;
    let found = found.unwrap().unwrap();
    objects.put(&found, found.content().unwrap(), content).await.unwrap();
    asker.ask("complete-artifact", &[("artifactId", &id)], Value::Null).await;
    id
}

impl Retrieved {
    /// Creates them for this scene of the account.
    pub async fn of(account: &Account, scene: &Scene) -> Self {
        let objects = bucket::objects_beside(&account.table.url);
        let context = Context::new(account.table.store.clone(), Mode::Live, Clock::system());
        let context = context.with_objects(objects.clone());
        let api = Api::new(context.clone());
        let asker = Asker { api: &api, key: &account.key, dock: &scene.dock };
        let lender_id = async |recipient: &str| {
            let recipient = asker.ask("get-recipient", &[("recipientId", recipient)], Value::Null).await;
            recipient["identifiers"]["lender_id"].as_str().unwrap().to_owned()
        };
        let artifact = available(&asker, &objects, "retrieved.pdf", &lender_id(&scene.member).await).await;
        let lender_of_outsider = lender_id(&scene.outsider).await;
        let outsider_artifact = available(&asker, &objects, "outsider.pdf", &lender_of_outsider).await;

        let by =
            async |credential: &str, pem: Option<&str>, endpoint: &str, job: &str, body: Value| -> Reply {
                let headers = [("authorization", format!("Bearer {credential}"))];
                let body = (!body.is_null()).then(|| body.to_string());
                api.ask_over(pem, endpoint, &[("jobId", job)], "", &headers, body).await
            };
        // A completed job, its cursor, and a ticket.
        let retrieve = async |credential: &str, pem: Option<&str>, body: Value| -> [String; 3] {
            let job = by(credential, pem, "create-retrieval-job", "", body).await.id(201);
            drive(&context, &job).await;
            let completed = by(credential, pem, "get-retrieval-job", &job, Value::Null).await;
            let results = by(credential, pem, "list-retrieval-results", &job, Value::Null).await;
            assert_eq!(results.body["items"].as_array().unwrap().len(), 1, "{}", results.shown());
            let ticket = ticket_of(results.body["items"][0]["url"].as_str().unwrap()).to_owned();
            let cursor = completed.body["cursor"].as_str().unwrap().to_owned();
            [job, cursor, ticket]
        };
        let pem = Some(scene.pem.as_str());
        let [job, cursor, ticket] = retrieve(&scene.token, pem, json!({})).await;
        let for_recipient = |recipient: &str| json!({"dockId": scene.dock, "recipientId": recipient});
        let [account_job, _, account_ticket] =
            retrieve(&account.key, None, for_recipient(&scene.member)).await;

        let of_outsider = json!({"recipientIds": [scene.outsider]});
        let in_group = [("groupId", scene.group.as_str())];
        asker.ask("add-group-recipients", &in_group, of_outsider.clone()).await;
        let [outsider_job, _, outsider_ticket] = retrieve(&scene.outsider_token, None, json!({})).await;
        asker.ask("remove-group-recipients", &in_group, of_outsider).await;

        let busy = asker.mortgagee("busy@example.com").await;
        asker.ask("add-group-recipients", &in_group, json!({"recipientIds": [busy]})).await;
        for _ in 0..docyard_core::model::job::MAX_OPEN_OF_RECIPIENT {
            by(&account.key, None, "create-retrieval-job", "", for_recipient(&busy)).await.id(201);
        }
        let open_job = by(&scene.token, pem, "create-retrieval-job", "", json!({})).await.id(201);
        Self {
            job,
            cursor,
            artifact,
            ticket,
            open_job,
            account_job,
            account_ticket,
            outsider_job,
            outsider_ticket,
            outsider_artifact,
            busy,
        }
    }
}
