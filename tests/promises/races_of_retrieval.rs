//! Races of retrieval: callers at once on the open jobs of a recipient, while the worker drives them; and on pages and links, while what
//! these stand on ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use docyard_core::context::Context;
use docyard_core::model::api_key::{ApiKeyRecord, Mode};
use docyard_core::model::job::{MAX_OPEN_OF_RECIPIENT, Status};
use docyard_core::values::clock::Clock;
use docyard_core::values::id::{DockId, JobId};
use docyard_functions::worker;
use docyard_test_support::api::Reply;
use docyard_test_support::bucket;
use docyard_test_support::retrieved::{available, drive, open_jobs, record, ticket_of};
use docyard_test_support::scene::Asker;
use docyard_test_support::table::operator;
use serde_json::{Value, json};

use crate::races::{Institution, Race, Specification, is_linearisable, run, seeds};

/// The jobs of a recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Jobs {
    open: BTreeSet<String>,
    ended: BTreeSet<String>,
    /// Open ones that nobody knows of.
    unknown: usize,
}

#[derive(Clone, Debug)]
enum JobAction {
    /// The new one; `None` if there were too many.
    Create(Option<String>),
    /// Whether it was open.
    Cancel(String, bool),
    /// The worker took its last step, unless it was canceled before.
    Finish(String),
    /// Whether it is open.
    Look(String, bool),
}

impl Specification for Jobs {
    type Action = JobAction;

    fn after(&self, action: &JobAction) -> Option<Self> {
        let same = |holds: bool| holds.then(|| self.clone());
        let ended = |id: &String| {
            let mut next = self.clone();
            let was_open = next.open.remove(id);
            next.ended.insert(id.clone());
            (next, was_open)
        };
        let is_full = self.open.len() + self.unknown >= MAX_OPEN_OF_RECIPIENT;
        match action {
            JobAction::Create(Some(id)) => {
                let mut next = self.clone();
                (next.open.insert(id.clone()) && !is_full).then_some(next)
            }
            JobAction::Create(None) => same(is_full),
            JobAction::Cancel(id, true) => {
                let (next, was_open) = ended(id);
                was_open.then_some(next)
            }
            JobAction::Cancel(id, false) => same(self.ended.contains(id)),
            JobAction::Finish(id) => Some(ended(id).0),
            JobAction::Look(id, is_open) => {
                let jobs = if *is_open { &self.open } else { &self.ended };
                same(jobs.contains(id))
            }
        }
    }

    fn after_unknown(&self, action: &JobAction, _: &[String]) -> Vec<Self> {
        match action {
            JobAction::Create(_) if self.open.len() + self.unknown < MAX_OPEN_OF_RECIPIENT => {
                vec![Self { unknown: self.unknown + 1, ..self.clone() }]
            }
            JobAction::Cancel(id, _) => {
                self.after(&JobAction::Cancel(id.clone(), true)).into_iter().collect()
            }
            JobAction::Create(_) | JobAction::Finish(_) | JobAction::Look(..) => Vec::new(),
        }
    }

    fn ids(_: &JobAction) -> (Option<&String>, Option<&String>) {
        // A job is asked about by its id, which only its creation tells.
        (None, None)
    }
}

impl<A> Race<A> {
    fn asker(&self) -> Asker<'_> {
        Asker { api: &self.api, key: &self.key, dock: &self.dock }
    }

    /// Past what fails.
    fn context(&self) -> Context {
        Context::new(self.table.store.clone(), Mode::Live, Clock::system())
    }

    /// Creates an institution and an artifact that it is granted, before anything fails.
    async fn with_artifact(&self) -> String {
        self.with_institution().await;
        let objects = bucket::objects_beside(&self.table.url);
        available(&self.asker(), &objects, "a.pdf", "LND-a@example.com").await
    }
}

async fn on_jobs(race: Arc<Race<JobAction>>) {
    let known = race.known.lock().unwrap().clone();
    // One of the newest three.
    let one = known.iter().skip(1).rev().nth(race.random(3)).map(|(job, _)| job.clone());
    match (race.random(10), one) {
        (0..2, Some(job)) => {
            let of = [("jobId", job.as_str())];
            let action = |reply: &Reply| JobAction::Cancel(job.clone(), reply.status == 200);
            race.ask_about("cancel-retrieval-job", &of, "", None, action).await;
        }
        (2..4, Some(job)) => {
            let of = [("jobId", job.as_str())];
            let action = |reply: &Reply| {
                let is_open = ["PENDING", "PROCESSING"].map(Value::from).contains(&reply.body["status"]);
                JobAction::Look(job.clone(), is_open)
            };
            race.ask_about("get-retrieval-job", &of, "", None, action).await;
        }
        (4..7, Some(job)) => {
            let id = JobId::parse(&job).unwrap();
            let finish = async {
                let context = Context::new(race.api.store().clone(), Mode::Live, Clock::system());
                // What fails is brought again.
                while worker::handle(&context, &json!({"Records": [record(&job)]})).await.unwrap()["batchItemFailures"]
                    != json!([])
                    || race.table.store.job(id, context.now()).await.unwrap().unwrap().status.is_open()
                {
                }
            };
            race.record_done(finish, JobAction::Finish(job.clone())).await;
        }
        _ => {
            let body = json!({"dockId": race.dock, "recipientId": race.institution().recipient});
            let action = |reply: &Reply| JobAction::Create((reply.status == 201).then(|| reply.id(201)));
            let reply = race.ask_about("create-retrieval-job", &[], "", Some(body), action).await;
            race.remember(&reply);
        }
    }
}

/// However many create, cancel and drive them at once: three are open at most, each ends once, and none is open that nobody finds.
#[tokio::test]
async fn races_on_open_jobs_end_as_if_one_came_after_the_other() {
    let mut seen = BTreeMap::new();
    for seed in seeds() {
        let race = Race::new(seed).await;
        race.with_artifact().await;
        let events = run(race.clone(), on_jobs).await;
        assert!(is_linearisable::<Jobs>(&events), "choices {seed}: {events:#?}");
        for event in events.iter().filter(|event| !event.is_unknown) {
            let kind = match event.action {
                JobAction::Create(None) => "refused",
                JobAction::Cancel(_, true) => "canceled",
                JobAction::Cancel(_, false) => "ended already",
                _ => continue,
            };
            *seen.entry(kind).or_insert(0) += 1;
        }

        race.fails.store(false, Ordering::SeqCst);
        let context = race.context();
        let mut open = BTreeSet::new();
        let listed = race
            .asker()
            .reply("list-retrieval-jobs", &[], &format!("dockId={}", race.dock), Value::Null)
            .await;
        for job in listed.list() {
            let id = JobId::parse(job["id"].as_str().unwrap()).unwrap();
            let job = context.store.job(id, context.now()).await.unwrap().unwrap();
            open.extend(job.status.is_open().then_some(id));
            assert_eq!(job.ready, u32::from(job.status == Status::Completed), "choices {seed}");
        }
        assert_eq!(open_jobs(&context).await, open, "choices {seed}");
        for id in open {
            drive(&context, &id.to_string()).await;
        }
    }
    assert!(seen.len() == 3 && seen.values().all(|count| *count > 2), "of each kind some: {seen:?}");
}

/// What pages and links of a job stand on, as far as it has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Ended(BTreeSet<&'static str>);

#[derive(Clone, Debug)]
enum GroundAction {
    End(&'static str),
    /// Whether a page gave a link, or a link an address.
    Open(bool),
}

impl Specification for Ended {
    type Action = GroundAction;

    fn after(&self, action: &GroundAction) -> Option<Self> {
        match action {
            GroundAction::End(ground) => {
                let mut next = self.clone();
                next.0.insert(ground);
                Some(next)
            }
            GroundAction::Open(is_opened) => (*is_opened == self.0.is_empty()).then(|| self.clone()),
        }
    }

    fn after_unknown(&self, action: &GroundAction, _: &[String]) -> Vec<Self> {
        match action {
            GroundAction::End(_) => self.after(action).into_iter().collect(),
            GroundAction::Open(_) => Vec::new(),
        }
    }

    fn ids(_: &GroundAction) -> (Option<&String>, Option<&String>) {
        (None, None)
    }
}

const OF_ACCOUNT: [&str; 4] = ["policy", "recipient", "artifact", "key"];
const OF_RECIPIENT: [&str; 7] =
    ["policy", "recipient", "artifact", "secret", "certificate", "token", "tokens"];

/// Of what [`Race::known`] holds: the job and the artifact, the credential, and links from here on.
const LINKS: usize = 2;

impl Race<GroundAction> {
    /// Whether the account's API key asks; else it is the recipient's token.
    fn is_of_account(&self) -> bool {
        self.seed.is_multiple_of(2)
    }

    /// Ends one of the things that pages and links stand on.
    async fn end(&self) {
        let Institution { recipient, secret, certificate, policy, .. } = self.institution();
        let known = self.known.lock().unwrap().clone();
        let (artifact, credential) = (known[0].1.as_str(), known[1].1.as_str());
        let grounds = if self.is_of_account() { &OF_ACCOUNT[..] } else { &OF_RECIPIENT[..] };
        let ground = grounds[self.random(grounds.len())];
        let (endpoint, body) = match ground {
            "policy" => ("publish-policy", json!({"stage": "sandbox"})),
            "recipient" => ("delete-recipient", Value::Null),
            "artifact" => ("delete-artifact", Value::Null),
            "secret" => ("revoke-secret", Value::Null),
            "certificate" => ("revoke-certificate", Value::Null),
            "token" => ("revoke-token", json!({"token": credential})),
            "tokens" => ("revoke-recipient-tokens", Value::Null),
            _ => {
                self.record_done(self.revoke_newest_key(), GroundAction::End(ground)).await;
                return;
            }
        };
        let of = [
            ("recipientId", recipient.as_str()),
            ("secretId", secret.as_str()),
            ("certificateId", certificate.as_str()),
            ("policyId", policy.as_str()),
            ("artifactId", artifact),
        ];
        let body = Some(body).filter(|body| !body.is_null());
        self.ask_about(endpoint, &of, "", body, |_| GroundAction::End(ground)).await;
    }

    async fn revoke_newest_key(&self) {
        let (store, now) = (&self.table.store, Clock::system().now());
        let account = store.dock(DockId::parse(&self.dock).unwrap()).await.unwrap().unwrap().account;
        let key = store.api_keys(account).await.unwrap().into_iter().map(|key| key.id).max().unwrap();
        let entry = || ApiKeyRecord::revoked(key).by(&operator(account), now);
        store.revoke_api_key(account, key, entry, now).await.unwrap();
    }

    /// Reads the page of results of the job.
    async fn read_page(&self) -> Reply {
        let [(job, _), (_, credential)] = [0, 1].map(|at| self.known.lock().unwrap()[at].clone());
        let pem = (!self.is_of_account()).then(|| self.institution().pem);
        let headers = [("authorization", format!("Bearer {credential}"))];
        self.api
            .ask_over(pem.as_deref(), "list-retrieval-results", &[("jobId", &job)], "", &headers, None)
            .await
    }

    async fn follow(&self, link: &str) -> Reply {
        let (job, artifact) = self.known.lock().unwrap()[0].clone();
        let pem = (!self.is_of_account()).then(|| self.institution().pem);
        let of = [("jobId", job.as_str()), ("artifactId", artifact.as_str())];
        let query = format!("ticket={}", ticket_of(link));
        self.api.ask_over(pem.as_deref(), "download-artifact", &of, &query, &[], None).await
    }
}

async fn on_links(race: Arc<Race<GroundAction>>) {
    match race.random(24) {
        0 => race.end().await,
        1..8 => {
            let link = |reply: &Reply| reply.body["items"][0]["url"].as_str().map(str::to_owned);
            let action = |reply: &Reply| GroundAction::Open(link(reply).is_some());
            let reply = race.record(race.read_page(), &[200, 401, 403, 404, 503], action).await;
            if let Some(link) = link(&reply) {
                race.known.lock().unwrap().push(("a link".to_owned(), link));
            }
        }
        _ => {
            let links = race.known.lock().unwrap()[LINKS..].to_vec();
            let link = &links[race.random(links.len())].1;
            let action = |reply: &Reply| GroundAction::Open(reply.headers.contains_key("location"));
            race.record(race.follow(link), &[302, 401, 403, 404, 503], action).await;
        }
    }
}

/// After the answer to a withdrawal no page gives a link, and no link an address; before it all do.
#[tokio::test]
async fn races_between_links_and_what_they_stand_on_end_as_if_one_came_after_the_other() {
    let mut opened = BTreeMap::new();
    for seed in seeds() {
        let race = Race::new(seed).await;
        let artifact = race.with_artifact().await;
        let Institution { recipient, passphrase, pem, .. } = race.institution();
        let (credential, body) = if race.is_of_account() {
            let dock = race.table.store.dock(DockId::parse(&race.dock).unwrap()).await.unwrap().unwrap();
            (race.table.key(dock.account).await, json!({"dockId": race.dock, "recipientId": recipient}))
        } else {
            (race.asker().token(&recipient, &passphrase, Some(&pem)).await, json!({}))
        };
        let headers = [("authorization", format!("Bearer {credential}"))];
        let pem = (!race.is_of_account()).then_some(pem);
        let created = race
            .api
            .ask_over(pem.as_deref(), "create-retrieval-job", &[], "", &headers, Some(body.to_string()))
            .await;
        let job = created.id(201);
        drive(&race.context(), &job).await;
        *race.known.lock().unwrap() = vec![(job, artifact), (String::new(), credential)];
        let link = race.read_page().await.body["items"][0]["url"].as_str().unwrap().to_owned();
        race.known.lock().unwrap().push(("a link".to_owned(), link));

        let events = run(race, on_links).await;
        assert!(is_linearisable::<Ended>(&events), "choices {seed}: {events:#?}");
        for event in events.iter().filter(|event| !event.is_unknown) {
            if let GroundAction::Open(is_opened) = event.action {
                *opened.entry(is_opened).or_insert(0) += 1;
            }
        }
    }
    assert!(opened.len() == 2 && opened.values().all(|count| *count > 20), "of each kind some: {opened:?}");
}
