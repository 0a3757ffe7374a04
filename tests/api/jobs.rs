//! Retrieval jobs: what they deliver, how the next one goes on, and what their links are good for.

use std::collections::BTreeSet;

use docyard_core::values::content_hash::ContentHash;
use docyard_core::values::id::ArtifactId;
use docyard_test_support::account::Account;
use docyard_test_support::api::Reply;
use docyard_test_support::bucket;
use docyard_test_support::certificate;
use docyard_test_support::retrieved::{drive, ticket_of};
use docyard_test_support::scene::{other_recipe, recipe};
use serde_json::{Value, json};

use crate::institution::{HOUR, Institution, MINUTE, recipe_of, recipe_with_certificate};
use crate::{text, with};

const MISSING_ARTIFACT: &str = "art_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";
const MISSING_JOB: &str = "job_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";
const MISSING_RECIPIENT: &str = "rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";

/// Who asks: a credential, and the certificate of the connection.
#[derive(Clone, Copy)]
struct By<'a> {
    credential: &'a str,
    pem: Option<&'a str>,
}

/// With a credential alone.
fn by(credential: &str) -> By<'_> {
    By { credential, pem: None }
}

impl By<'_> {
    async fn ask(self, it: &Institution, endpoint: &str, job: &str, query: &str, body: Value) -> Reply {
        self.ask_with(it, endpoint, job, query, &[], body).await
    }

    async fn ask_with(
        self,
        it: &Institution,
        endpoint: &str,
        job: &str,
        query: &str,
        headers: &[(&'static str, String)],
        body: Value,
    ) -> Reply {
        let mut sent = vec![("authorization", format!("Bearer {}", self.credential))];
        sent.extend(headers.iter().cloned());
        let body = (!body.is_null()).then(|| body.to_string());
        it.api.ask_over(self.pem, endpoint, &[("jobId", job)], query, &sent, body).await
    }

    async fn create(self, it: &Institution, body: Value) -> Reply {
        self.ask(it, "create-retrieval-job", "", "", body).await
    }

    async fn get(self, it: &Institution, job: &str) -> Value {
        let reply = self.ask(it, "get-retrieval-job", job, "", Value::Null).await;
        assert_eq!(reply.status, 200, "{}", reply.shown());
        reply.body
    }

    /// A job that has ended.
    async fn done(self, it: &Institution, body: Value) -> Value {
        let id = self.create(it, body).await.id(201);
        drive(&it.context, &id).await;
        self.get(it, &id).await
    }

    async fn results(self, it: &Institution, job: &Value, query: &str) -> Reply {
        self.ask(it, "list-retrieval-results", text(&job["id"]), query, Value::Null).await
    }

    /// All items, page by page.
    async fn items(self, it: &Institution, job: &Value, limit: usize) -> Vec<Value> {
        let (mut items, mut query) = (Vec::new(), format!("limit={limit}"));
        loop {
            let reply = self.results(it, job, &query).await;
            assert_eq!(reply.status, 200, "{}", reply.shown());
            let page = reply.body["items"].as_array().unwrap();
            assert!(page.len() <= limit);
            items.extend(page.iter().cloned());
            match reply.next_query() {
                Some(next) => query = next,
                None => return items,
            }
        }
    }

    /// The ids of the artifacts that are in a new job.
    async fn delivered(self, it: &Institution, body: Value) -> Vec<String> {
        let job = self.done(it, body).await;
        assert_eq!(job["status"], "COMPLETED", "{job}");
        ids(&self.items(it, &job, 1000).await)
    }
}

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| text(&item["artifactId"]).to_owned()).collect()
}

/// Follows a link over a connection with this certificate.
async fn follow(it: &Institution, url: &str, pem: Option<&str>) -> Reply {
    let path = url.split_once("/v1/retrieval/jobs/").unwrap().1;
    let (job, rest) = path.split_once("/artifacts/").unwrap();
    let artifact = rest.split_once('?').unwrap().0;
    let query = format!("ticket={}", ticket_of(url));
    it.api
        .ask_over(pem, "download-artifact", &[("jobId", job), ("artifactId", artifact)], &query, &[], None)
        .await
}

/// An artifact of the account's dock that is available, with this content.
async fn artifact(it: &Institution, filename: &str, metadata: Value) -> String {
    let content = filename.as_bytes();
    let body = json!({
        "filename": filename, "hash": ContentHash::of(content), "size": content.len(), "contentType": "text/plain",
        "metadata": metadata,
    });
    let id = it.done("create-artifact", &[], body).await["id"].as_str().unwrap().to_owned();
    let objects = bucket::objects_beside(&it.account.table.url);
    let found = it.api.store().artifact(ArtifactId::parse(&id).unwrap(), it.now()).await.unwrap().unwrap();
    objects.put(&found, found.content().unwrap(), content).await.unwrap();
    it.done("complete-artifact", &[("artifactId", &id)], Value::Null).await;
    id
}

/// The metadata of a declaration page of a lender.
fn page_of(lender: &str) -> Value {
    json!({"document_type": "declaration-page", "lender_id": lender})
}

/// A lender with a token that is not bound.
async fn lender_with_token(it: &Institution, name: &str) -> (String, String) {
    let lender = it.lender(name).await;
    let (_, passphrase) = it.secret(&lender, None).await;
    let token = it.token(&lender, &passphrase, None).await;
    (lender, token)
}

#[tokio::test]
async fn a_job_delivers_what_the_policies_grant_oldest_first_and_its_links_the_contents() {
    let it = Institution::new().await;
    it.policy(recipe()).await;
    let (lender, token) = lender_with_token(&it, "a").await;
    let mut expected = Vec::new();
    for n in 0..5 {
        expected.push(artifact(&it, &format!("{n}.txt"), page_of("LND-1")).await);
        artifact(&it, &format!("other {n}.txt"), page_of("LND-2")).await;
        it.pass(MINUTE);
    }
    artifact(&it, "an endorsement.txt", with(page_of("LND-1"), "/document_type", json!("endorsement"))).await;
    it.pass(MINUTE);
    let created = by(&token).create(&it, json!({})).await;
    let id = created.id(201);
    assert_eq!(created.headers["location"], format!("/v1/retrieval/jobs/{id}"));
    let pending = json!({
        "id": id, "dockId": it.account.dock, "recipientId": lender, "status": "PENDING", "totalCount": 0,
        "readyCount": 0, "errorCount": 0, "hasMore": false, "createdAt": it.now(), "completedAt": null,
        "expiresAt": null, "cursor": null, "failure": null,
    });
    assert_eq!(created.body, pending);
    let not_yet = by(&token).results(&it, &created.body, "").await;
    assert_eq!(not_yet.status, 400, "{}", not_yet.shown());
    drive(&it.context, &id).await;
    let job = by(&token).get(&it, &id).await;
    for (field, value) in [
        ("status", json!("COMPLETED")),
        ("totalCount", json!(5)),
        ("readyCount", json!(5)),
        ("hasMore", json!(false)),
        ("completedAt", json!(it.now())),
        ("expiresAt", json!(it.after(24 * HOUR))),
    ] {
        assert_eq!(job[field], value, "{field}");
    }
    assert!(job["cursor"].is_string());

    let items = by(&token).items(&it, &job, 2).await;
    assert_eq!(ids(&items), expected, "in pages of two");
    let all = by(&token).results(&it, &job, "").await;
    assert_eq!((&all.body["status"], &all.body["totalCount"]), (&json!("COMPLETED"), &json!(5)));
    for (n, item) in all.body["items"].as_array().unwrap().iter().enumerate() {
        let name = format!("{n}.txt");
        for (field, value) in [
            ("filename", json!(name)),
            ("contentType", json!("text/plain")),
            ("size", json!(name.len())),
            ("hash", json!(ContentHash::of(name.as_bytes()))),
            ("metadata", page_of("LND-1")),
            // The token is six minutes old, and its links live no longer than it does.
            ("expiresAt", json!(it.after(54 * MINUTE))),
        ] {
            assert_eq!(item[field], value, "{field}");
        }
        let followed = follow(&it, text(&item["url"]), None).await;
        assert_eq!(followed.status, 302, "{}", followed.shown());
        assert_eq!(followed.headers["cache-control"], "no-store");
        assert!(!followed.headers.contains_key("content-type"), "there is no body");
        let http = docyard_test_support::http_client().build().unwrap();
        let content = docyard_test_support::dev::send(http.get(&followed.headers["location"])).await;
        assert_eq!(content.text, name);
    }
    let downloads = it.trail("artifact", "retrieve").await;
    assert_eq!(downloads.len(), 5);
    assert_eq!(downloads[0]["actor"], json!(lender));
    assert_eq!(downloads[0]["metadata"], json!({"jobId": id, "recipientId": lender}));
    assert_eq!(it.trail("job", "retrieve").await.len(), 4, "each page of results");
    assert_eq!(it.trail("job", "create").await.len(), 1);
}

#[tokio::test]
async fn an_account_retrieves_for_its_recipient_and_neither_sees_the_jobs_of_the_other() {
    let it = Institution::new().await;
    it.policy(recipe_with_certificate()).await;
    let lender = it.lender("a").await;
    let other = it.lender("b").await;
    let own = artifact(&it, "a.txt", page_of("LND-1")).await;
    it.pass(MINUTE);
    let key = it.account.key.clone();
    let for_lender = json!({"dockId": it.account.dock, "recipientId": lender});
    let of_account = by(&key).done(&it, for_lender.clone()).await;
    assert_eq!(ids(&by(&key).items(&it, &of_account, 10).await), [own], "without any factor");
    let followed = follow(&it, text(&by(&key).items(&it, &of_account, 10).await[0]["url"]), None).await;
    assert_eq!(followed.status, 302);

    let (pem, (_, passphrase)) = (certificate::new("a"), it.secret(&lender, None).await);
    it.certificate(&lender, &pem).await;
    let token = it.token(&lender, &passphrase, Some(&pem)).await;
    let bound = By { credential: &token, pem: Some(&pem) };
    let of_lender = bound.done(&it, json!({})).await;
    for (asker, job) in [(bound, &of_account), (by(&key), &of_lender)] {
        for endpoint in ["get-retrieval-job", "list-retrieval-results", "cancel-retrieval-job"] {
            let reply = asker.ask(&it, endpoint, text(&job["id"]), "", Value::Null).await;
            assert_eq!(reply.status, 404, "{endpoint}");
        }
    }
    let stranger = it.account.table.key(it.account.table.account().await).await;
    assert_eq!(by(&stranger).results(&it, &of_account, "").await.status, 404);

    let list = async |asker: By<'_>, query: &str| {
        let reply = asker.ask(&it, "list-retrieval-jobs", "", query, Value::Null).await;
        reply.list().iter().map(|job| text(&job["id"]).to_owned()).collect::<Vec<_>>()
    };
    let in_dock = format!("dockId={}", it.account.dock);
    assert_eq!(list(bound, "").await, [text(&of_lender["id"])]);
    assert_eq!(list(bound, &in_dock).await, [text(&of_lender["id"])]);
    assert_eq!(list(by(&key), &in_dock).await, [text(&of_account["id"])]);
    assert_eq!(list(by(&key), &format!("{in_dock}&recipientId={lender}")).await.len(), 1);
    assert!(list(by(&key), &format!("{in_dock}&recipientId={other}")).await.is_empty());
    assert!(list(by(&key), &format!("{in_dock}&status=FAILED")).await.is_empty());
    assert_eq!(list(by(&key), &format!("{in_dock}&status=COMPLETED")).await.len(), 1);
    let none = by(&key).ask(&it, "list-retrieval-jobs", "", "", Value::Null).await;
    assert_eq!(none.status, 400, "{}", none.shown());
    let other_dock = by(&stranger).ask(&it, "list-retrieval-jobs", "", &in_dock, Value::Null).await;
    assert_eq!(other_dock.status, 404);
}

#[tokio::test]
async fn what_a_request_may_say_is_checked_for_who_asks() {
    let it = Institution::new().await;
    it.policy(recipe()).await;
    let (lender, token) = lender_with_token(&it, "a").await;
    let (key, dock) = (it.account.key.clone(), it.account.dock.clone());
    let status = async |credential: &str, body: Value| by(credential).create(&it, body).await.status;
    for (body, expected) in [
        (json!({"recipientId": lender}), 400),
        (json!({"dockId": dock}), 400),
        (json!({"dockId": "dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0", "recipientId": lender}), 404),
        (json!({"dockId": dock, "recipientId": MISSING_RECIPIENT}), 404),
        (json!({"dockId": dock, "recipientId": "x"}), 404),
    ] {
        assert_eq!(status(&key, body.clone()).await, expected, "{body}");
    }
    for (body, expected) in [
        (json!({"dockId": dock, "recipientId": lender}), 201),
        (json!({"dockId": "dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0"}), 400),
        (json!({"recipientId": MISSING_RECIPIENT}), 400),
        (json!({"identifiers": {"lender_id": "LND-1"}}), 400),
        (json!({"method": "portal"}), 400),
        (json!({"method": "bulk_download"}), 403),
        (json!({"artifactIds": []}), 400),
        (json!({"artifactIds": [MISSING_ARTIFACT, MISSING_ARTIFACT]}), 400),
        (json!({"sinceTimestamp": "yesterday"}), 400),
        (json!({"cursor": "x"}), 400),
        (json!({"unknown": 1}), 400),
    ] {
        assert_eq!(status(&token, body.clone()).await, expected, "{body}");
    }
    let missing = by(&token).ask(&it, "get-retrieval-job", MISSING_JOB, "", Value::Null).await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn filters_choose_among_what_is_granted() {
    let it = Institution::new().await;
    it.policy(other_recipe()).await;
    let (_, token) = lender_with_token(&it, "a").await;
    let endorsement = with(page_of("LND-1"), "/document_type", json!("endorsement"));
    let first = artifact(&it, "1.txt", page_of("LND-1")).await;
    it.pass(MINUTE);
    let since = it.now();
    let second = artifact(&it, "2.txt", with(page_of("LND-1"), "/state", json!("CA"))).await;
    it.pass(MINUTE);
    let third = artifact(&it, "3.txt", endorsement).await;
    let foreign = artifact(&it, "4.txt", page_of("LND-2")).await;
    it.pass(MINUTE);
    let delivered = async |body: Value| by(&token).delivered(&it, body).await;
    assert_eq!(delivered(json!({})).await, [&first, &second, &third].map(String::clone));
    assert_eq!(
        delivered(json!({"sinceTimestamp": since})).await,
        std::slice::from_ref(&third),
        "after that instant"
    );
    assert_eq!(
        delivered(json!({"metadata": {"document_type": "endorsement"}})).await,
        std::slice::from_ref(&third)
    );
    let of_california = json!({"metadata": {"document_type": "declaration-page", "state": " CA "}});
    assert_eq!(delivered(of_california).await, std::slice::from_ref(&second));
    assert!(delivered(json!({"metadata": {"lender_id": "LND-2"}})).await.is_empty(), "no filter grants");

    let named = json!({"artifactIds": [MISSING_ARTIFACT, third, foreign, first]});
    let job = by(&token).done(&it, named).await;
    assert_eq!(
        (&job["readyCount"], &job["errorCount"], &job["totalCount"]),
        (&json!(2), &json!(2), &json!(4))
    );
    assert!(job["cursor"].is_null());
    let items = by(&token).items(&it, &job, 10).await;
    assert_eq!(ids(&items), [&third, &first, &MISSING_ARTIFACT.to_owned(), &foreign].map(String::clone));
    let errors: BTreeSet<String> = items[2..].iter().map(|item| item["error"].to_string()).collect();
    assert_eq!(errors.len(), 1, "what is not there is as what is not granted");
    assert_eq!(items[2]["error"]["code"], "not_found");
}

#[tokio::test]
async fn the_next_job_goes_on_where_the_last_one_ended() {
    let it = Institution::new().await;
    let policy = it.policy(with(recipe(), "/access/max_batch_size", json!(3))).await;
    let (_, token) = lender_with_token(&it, "a").await;
    let mut expected = Vec::new();
    for n in 0..7 {
        expected.push(artifact(&it, &format!("{n}.txt"), page_of("LND-1")).await);
        it.pass(MINUTE);
    }
    it.pass(MINUTE);
    let (mut delivered, mut body, mut jobs) = (Vec::new(), json!({}), Vec::new());
    loop {
        let job = by(&token).done(&it, body).await;
        delivered.extend(ids(&by(&token).items(&it, &job, 10).await));
        body = json!({"cursor": job["cursor"]});
        jobs.push(job.clone());
        if job["hasMore"] == false {
            break;
        }
    }
    assert_eq!((delivered, jobs.len()), (expected.clone(), 3));
    assert!(by(&token).delivered(&it, body.clone()).await.is_empty(), "and there is nothing new");
    let tagged = [("artifactId", expected[0].as_str())];
    it.done("update-artifact", &tagged, json!({"metadata": {"state": "CA"}})).await;
    it.pass(MINUTE);
    assert_eq!(by(&token).delivered(&it, body.clone()).await, [expected[0].clone()], "what is tagged anew");

    // Another's cursor, one of a job that has none, and one of another scope.
    let (_, of_other) = lender_with_token(&it, "b").await;
    assert_eq!(by(&of_other).create(&it, body.clone()).await.status, 400);
    let filtered = with(body.clone(), "/metadata", json!({"state": "CA"}));
    assert_eq!(by(&token).create(&it, filtered).await.status, 409);
    it.withdraw(&policy).await;
    it.policy(recipe()).await;
    let other_policy = by(&token).create(&it, body).await;
    assert_eq!(other_policy.status, 409, "{}", other_policy.shown());
    assert!(text(&other_policy.body["message"]).contains("start without a cursor"));
}

/// Each way to withdraw what was granted, between a page and a download, and between two pages.
#[tokio::test]
async fn what_is_withdrawn_gives_no_page_and_no_address_from_the_next_request_on() {
    let it = Institution::new().await;
    for (n, what) in [
        "nothing",
        "the policy",
        "the secret is rotated",
        "the secret is revoked",
        "the certificate",
        "the token",
        "all tokens",
        "the recipient",
        "the artifact",
        "the recipient's identifier",
        "the token's hour",
    ]
    .into_iter()
    .enumerate()
    {
        let policy = it.policy(recipe_with_certificate()).await;
        let lender_id = format!("LND-{n}");
        let lender = it.lender_with(&format!("l{n}"), json!({"lender_id": lender_id})).await;
        let (secret, passphrase) = it.secret(&lender, None).await;
        let pem = certificate::new("a");
        let certificate = it.certificate(&lender, &pem).await;
        let artifact = artifact(&it, &format!("{n}.txt"), page_of(&lender_id)).await;
        it.pass(MINUTE);
        let token = it.token(&lender, &passphrase, Some(&pem)).await;
        let bound = By { credential: &token, pem: Some(&pem) };
        let job = bound.done(&it, json!({})).await;
        let results = bound.results(&it, &job, "").await;
        let url = text(&results.body["items"][0]["url"]).to_owned();
        assert_eq!(follow(&it, &url, Some(&pem)).await.status, 302, "{what}");
        assert_eq!(follow(&it, &url, None).await.status, 401, "it is bound");
        assert_eq!(follow(&it, &url, Some(&certificate::new("a"))).await.status, 401, "to this one");
        let (page, link) = match what {
            "nothing" => (200, 302),
            "the policy" => {
                it.withdraw(&policy).await;
                (403, 403)
            }
            "the secret is rotated" => {
                it.end_secret("rotate-secret", &lender, &secret, json!({})).await;
                (401, 401)
            }
            "the secret is revoked" => {
                it.end_secret("revoke-secret", &lender, &secret, Value::Null).await;
                (401, 401)
            }
            "the certificate" => {
                it.revoke_certificate(&lender, &certificate).await;
                (401, 401)
            }
            "the token" => {
                let body = Some(json!({"token": token}).to_string());
                it.api.ask("revoke-token", &[], "", &[], body).await;
                (401, 401)
            }
            "all tokens" => {
                it.done("revoke-recipient-tokens", &[("recipientId", &lender)], Value::Null).await;
                (401, 401)
            }
            "the recipient" => {
                it.delete(&lender).await;
                (401, 403)
            }
            "the artifact" => {
                it.done("delete-artifact", &[("artifactId", &artifact)], Value::Null).await;
                (200, 404)
            }
            "the recipient's identifier" => {
                it.update(&lender, json!({"identifiers": {"lender_id": "LND-other"}})).await;
                (200, 403)
            }
            _ => {
                it.pass(HOUR);
                (401, 401)
            }
        };
        let again = bound.results(&it, &job, "").await;
        assert_eq!(again.status, page, "{what}: {}", again.shown());
        let items = again.body["items"].as_array().cloned().unwrap_or_default();
        match what {
            "nothing" => assert_eq!(items.len(), 1),
            "the artifact" => assert_eq!(items[0]["error"]["code"], "not_found"),
            _ => assert!(items.is_empty(), "{what}"),
        }
        let followed = follow(&it, &url, Some(&pem)).await;
        assert_eq!(followed.status, link, "{what}: {}", followed.shown());
        assert!(!followed.headers.contains_key("location") || what == "nothing");
        if what != "the policy" {
            it.withdraw(&policy).await;
        }
    }
}

#[tokio::test]
async fn a_link_of_an_account_dies_with_its_key_and_takes_no_authorization() {
    let it = Institution::new().await;
    it.policy(recipe()).await;
    let lender = it.lender("a").await;
    artifact(&it, "a.txt", page_of("LND-1")).await;
    it.pass(MINUTE);
    let Account { table, dock, .. } = &it.account;
    let account = it.api.store().dock(docyard_core::values::id::DockId::parse(dock).unwrap()).await;
    let account = account.unwrap().unwrap().account;
    let key = table.key(account).await;
    let job = by(&key).done(&it, json!({"dockId": dock, "recipientId": lender})).await;
    let url = text(&by(&key).items(&it, &job, 1).await[0]["url"]).to_owned();
    assert_eq!(follow(&it, &url, None).await.status, 302);
    let path = url.split_once("/artifacts/").unwrap();
    let [job_id, artifact] = [text(&job["id"]), path.1.split_once('?').unwrap().0];
    let parameters = [("jobId", job_id), ("artifactId", artifact)];
    let query = format!("ticket={}", ticket_of(&url));
    let headers = [("authorization", format!("Bearer {key}"))];
    let with_key = it.api.ask("download-artifact", &parameters, &query, &headers, None).await;
    assert_eq!(with_key.status, 400);
    for query in ["", "ticket=", "ticket=dk_tkt_x"] {
        let reply = it.api.ask("download-artifact", &parameters, query, &[], None).await;
        assert_eq!(reply.status, 401, "{query}");
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
    }
    let other_job = [("jobId", MISSING_JOB), ("artifactId", artifact)];
    assert_eq!(it.api.ask("download-artifact", &other_job, &query, &[], None).await.status, 401);
    let other_artifact = [("jobId", job_id), ("artifactId", MISSING_ARTIFACT)];
    assert_eq!(it.api.ask("download-artifact", &other_artifact, &query, &[], None).await.status, 404);
    for found in it.api.store().api_keys(account).await.unwrap() {
        if found.id.to_string() == it.trail("job", "create").await[0]["actor"] {
            table.revoke_key(account, found.id).await;
        }
    }
    assert_eq!(follow(&it, &url, None).await.status, 401);
}

#[tokio::test]
async fn a_token_of_fewer_factors_or_other_claims_sees_no_item_that_a_job_of_more_found() {
    let it = Institution::new().await;
    it.policy(recipe_with_certificate()).await;
    let endorsements = with(recipe_of(&["shared_passphrase"]), "/artifactTypes", json!(["endorsement"]));
    it.policy(endorsements).await;
    let lender = it.lender("a").await;
    let (_, passphrase) = it.secret(&lender, None).await;
    let pem = certificate::new("a");
    it.certificate(&lender, &pem).await;
    let page = artifact(&it, "page.txt", page_of("LND-1")).await;
    let deleted = artifact(&it, "deleted.txt", page_of("LND-1")).await;
    let endorsement = with(page_of("LND-1"), "/document_type", json!("endorsement"));
    let endorsement = artifact(&it, "endorsement.txt", endorsement).await;
    it.pass(MINUTE);
    let token = it.token(&lender, &passphrase, Some(&pem)).await;
    let bound = By { credential: &token, pem: Some(&pem) };
    let job = bound.done(&it, json!({})).await;
    it.done("delete-artifact", &[("artifactId", &deleted)], Value::Null).await;
    assert_eq!(ids(&bound.items(&it, &job, 10).await).len(), 3);
    let weaker = it.token(&lender, &passphrase, None).await;
    let seen = ids(&by(&weaker).items(&it, &job, 10).await);
    assert_eq!(seen, [endorsement], "neither {page} nor that {deleted} was there");
}

#[tokio::test]
async fn two_institutions_with_one_key_and_body_get_a_job_each_and_a_repetition_the_job_as_it_is() {
    let it = Institution::new().await;
    it.policy(recipe()).await;
    let (_, one) = lender_with_token(&it, "a").await;
    let (_, other) = lender_with_token(&it, "b").await;
    let headers = [("idempotency-key", "k".to_owned())];
    let create = async |token: &str, body: Value| {
        by(token).ask_with(&it, "create-retrieval-job", "", "", &headers, body).await
    };
    let first = create(&one, json!({})).await;
    let id = first.id(201);
    assert_ne!(create(&other, json!({})).await.id(201), id);
    drive(&it.context, &id).await;
    let again = create(&one, json!({})).await;
    assert_eq!((again.id(201), &again.body["status"]), (id, &json!("COMPLETED")));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(create(&one, json!({"method": "bulk_api"})).await.status, 422);
}

#[tokio::test]
async fn a_recipient_has_three_open_jobs_at_most_and_one_that_is_canceled_makes_room() {
    let it = Institution::new().await;
    it.policy(recipe()).await;
    let (_, token) = lender_with_token(&it, "a").await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(by(&token).create(&it, json!({})).await.id(201));
    }
    assert_eq!(by(&token).create(&it, json!({})).await.status, 409);
    let cancel = async |job: &str| by(&token).ask(&it, "cancel-retrieval-job", job, "", Value::Null).await;
    assert_eq!(cancel(&open[0]).await.body, json!({"success": true}));
    assert_eq!(cancel(&open[0]).await.status, 409, "it has ended");
    let canceled = by(&token).get(&it, &open[0]).await;
    assert_eq!((&canceled["status"], &canceled["completedAt"]), (&json!("CANCELED"), &Value::Null));
    drive(&it.context, &open[0]).await;
    assert_eq!(by(&token).get(&it, &open[0]).await, canceled, "and stays so");
    assert_eq!(by(&token).results(&it, &canceled, "").await.status, 400);
    open.push(by(&token).create(&it, json!({})).await.id(201));
    drive(&it.context, &open[1]).await;
    by(&token).create(&it, json!({})).await.id(201);
}

#[tokio::test]
async fn results_are_gone_after_a_day_and_a_job_a_month_later() {
    let it = Institution::new().await;
    it.policy(recipe()).await;
    let lender = it.lender("a").await;
    artifact(&it, "a.txt", page_of("LND-1")).await;
    it.pass(MINUTE);
    let key = it.account.key.clone();
    let job = by(&key).done(&it, json!({"dockId": it.account.dock, "recipientId": lender})).await;
    it.pass(24 * HOUR - 1);
    let results = by(&key).results(&it, &job, "").await;
    assert_eq!(results.body["items"][0]["expiresAt"], job["expiresAt"], "no longer than the results");
    it.pass(1);
    assert_eq!(by(&key).results(&it, &job, "").await.status, 410);
    it.pass(30 * 24 * HOUR - 1);
    by(&key).get(&it, text(&job["id"])).await;
    it.pass(1);
    let gone = by(&key).ask(&it, "get-retrieval-job", text(&job["id"]), "", Value::Null).await;
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn a_job_whose_grounds_are_gone_fails_and_says_why() {
    let it = Institution::new().await;
    let policy = it.policy(recipe()).await;
    let lender = it.lender("a").await;
    let key = it.account.key.clone();
    let body = json!({"dockId": it.account.dock, "recipientId": lender});
    let [withdrawn, deleted] =
        [by(&key).create(&it, body.clone()).await.id(201), by(&key).create(&it, body).await.id(201)];
    it.withdraw(&policy).await;
    drive(&it.context, &withdrawn).await;
    it.delete(&lender).await;
    drive(&it.context, &deleted).await;
    for (job, code) in [(withdrawn, "access_withdrawn"), (deleted, "recipient_deleted")] {
        let failed = by(&key).get(&it, &job).await;
        assert_eq!((&failed["status"], &failed["failure"]["code"]), (&json!("FAILED"), &json!(code)));
        assert_eq!(by(&key).results(&it, &failed, "").await.status, 400);
    }
}

#[tokio::test]
async fn a_cursor_is_not_taken_once_a_submitted_identifier_is_a_registered_one() {
    let it = Institution::new().await;
    it.policy(with(recipe(), "/match/identifiers", json!(["lender_id", "policy_number"]))).await;
    let lender = it.lender("a").await;
    let key = it.account.key.clone();
    let body = json!({
        "dockId": it.account.dock, "recipientId": lender, "identifiers": {"policy_number": "POL-1"},
    });
    it.pass(MINUTE);
    let job = by(&key).done(&it, body.clone()).await;
    let next = with(body, "/cursor", job["cursor"].clone());
    by(&key).done(&it, next.clone()).await;
    it.update(&lender, json!({"identifiers": {"policy_number": "POL-1"}})).await;
    // What is granted may be more now, and behind the cursor.
    let refused = by(&key).create(&it, next).await;
    assert_eq!(refused.status, 409, "{}", refused.shown());
}
