//! The local server at its limit: many clients at once go through the whole API, each in a dock of its own, until the time is over.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use docyard_functions::endpoints;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::comparison::resident;
use crate::programs::Toolchain;
use crate::report::{machine, megabytes, table};
use crate::series::Series;
use docyard_test_support::certificate;
use docyard_test_support::dev::Dev;
use docyard_test_support::http_client;
use docyard_test_support::scene::{other_recipe, recipe};

/// How many clients ask at once: twice as many as the requests that the server works on at a time, so that it is never without one.
const CLIENTS: usize = 64;

/// How often a client repeats a request that is answered 429 or 503 before it begins anew.
const MOST_ATTEMPTS: usize = 20;

/// How long a client waits before it asks again whether a job is completed.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// How often a client asks that before it begins anew.
const MOST_POLLS: usize = 40;

/// The answers so far.
#[derive(Default)]
struct Answers {
    times: BTreeMap<&'static str, Series>,
    statuses: BTreeMap<u16, usize>,
    /// What should not have been answered.
    faults: Vec<String>,
    journeys: usize,
    /// Journeys that were given up, since the server was busy for too long.
    given_up: usize,
}

/// Loads the server for so many minutes; what came of it, in Markdown.
pub async fn measure(toolchain: &Toolchain, minutes: u64) -> String {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start_command(toolchain.docyard(), directory.path(), &[]).await;
    let process = dev.process_id();
    let clients = Arc::new(Clients {
        http: http_client().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
        url: dev.url.clone(),
        key: dev.key.clone(),
        ends: Instant::now() + Duration::from_secs(60 * minutes),
        answers: Mutex::default(),
        names: AtomicUsize::new(0),
    });
    let running: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(clients.clone().go_on())).collect();
    // Resident bytes, second by second.
    let mut memory = Vec::new();
    while Instant::now() < clients.ends {
        tokio::time::sleep(Duration::from_secs(1)).await;
        memory.push(resident(process));
    }
    for client in running {
        client.await.unwrap();
    }
    let health = clients.http.get(format!("{}/v1/healthz", dev.url)).send().await.unwrap().status();
    assert_eq!(health, 200, "the server lives");
    report(&clients.answers.lock().unwrap(), &memory, minutes)
}

fn report(answers: &Answers, memory: &[u64], minutes: u64) -> String {
    for fault in answers.faults.iter().take(10) {
        eprintln!("{fault}");
    }
    let unasked: Vec<&str> = endpoints::all()
        .map(|endpoint| endpoint.name)
        .filter(|name| !answers.times.contains_key(name))
        .collect();
    assert!(unasked.is_empty(), "not asked: {unasked:?}");
    let count: usize = answers.statuses.values().sum();
    let statuses = answers.statuses.iter().map(|(status, count)| format!("{status}: {count}"));
    // The median of each minute, so that one answer under way is not taken for growth.
    let by_minute = memory.chunks(60).map(|minute| {
        let mut minute = minute.to_vec();
        minute.sort_unstable();
        megabytes(minute[minute.len() / 2])
    });
    let text = format!(
        "{CLIENTS} clients for {minutes} minutes: {count} answers ({} a second), in {} journeys through all {} endpoints, and {} that were given \
         up since the server was busy. By status: {}. Answers that should not have come: {}. Resident memory, the median of each minute: \
         {}.\n\n",
        count as u64 / (60 * minutes),
        answers.journeys,
        endpoints::all().count(),
        answers.given_up,
        statuses.collect::<Vec<_>>().join(", "),
        answers.faults.len(),
        by_minute.collect::<Vec<_>>().join(", "),
    );
    let mut all = Series::default();
    all.begin_round();
    answers.times.values().for_each(|times| all.extend(times));
    let row = |name: &str, times: &Series| {
        let quantiles = [0.5, 0.99, 1.0].map(|part| format!("{:.0}", times.quantile(part)));
        [vec![name.to_owned(), times.len().to_string()], quantiles.to_vec()].concat()
    };
    let rows = endpoints::all().map(|endpoint| row(endpoint.name, &answers.times[endpoint.name]));
    let rows: Vec<_> = [row("all", &all)].into_iter().chain(rows).collect();
    machine() + &text + &table("endpoint | answers | p50, ms | p99, ms | slowest, ms", rows)
}

/// What all clients share.
struct Clients {
    http: reqwest::Client,
    url: String,
    key: String,
    ends: Instant,
    answers: Mutex<Answers>,
    names: AtomicUsize,
}

/// The time is over, or the server is busy for too long.
struct Over;

/// Whether an endpoint may answer so. A job that is to be canceled may be completed already.
fn is_expected(name: &str, status: u16) -> bool {
    matches!(status, 200..=399 | 429 | 503) || (name, status) == ("cancel-retrieval-job", 409)
}

/// A body.
enum Body {
    None,
    Json(Value),
    /// A file of a form, by its name and its content.
    File(String, String),
}

impl Clients {
    /// Goes through the API again and again.
    async fn go_on(self: Arc<Self>) {
        while Instant::now() < self.ends {
            let begun = self.name();
            let is_through = self.journey(&begun).await.is_ok();
            let mut answers = self.answers.lock().unwrap();
            if is_through {
                answers.journeys += 1;
            } else if Instant::now() < self.ends {
                answers.given_up += 1;
            }
        }
    }

    fn name(&self) -> String {
        self.names.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Asks an endpoint, until it is neither told to slow down nor that the server is busy; the body of the answer.
    async fn ask(
        &self,
        name: &'static str,
        parameters: &[(&str, &str)],
        query: &str,
        credential: Option<&str>,
        body: &Body,
    ) -> Result<Value, Over> {
        let route = endpoints::named(name).route;
        let path = parameters.iter().fold(route.path.to_owned(), |path, (parameter, value)| {
            path.replace(&format!("{{{parameter}}}"), value)
        });
        for _ in 0..MOST_ATTEMPTS {
            if Instant::now() > self.ends {
                return Err(Over);
            }
            let url = format!("{}{path}{query}", self.url);
            let mut request = self.http.request(route.method.as_str().parse().unwrap(), url);
            if let Some(credential) = credential {
                request = request.bearer_auth(credential);
            }
            request = match body {
                Body::None => request,
                Body::Json(body) => request.json(body),
                Body::File(file, content) => {
                    let part = Part::text(content.clone()).file_name(file.clone());
                    request.multipart(Form::new().part("file", part))
                }
            };
            let begun = Instant::now();
            let answer = request.send().await;
            let (status, text) = match answer {
                Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
                Err(error) => (0, error.to_string()),
            };
            {
                let mut answers = self.answers.lock().unwrap();
                let times = answers.times.entry(name).or_insert_with(|| {
                    let mut times = Series::default();
                    times.begin_round();
                    times
                });
                times.push(begun.elapsed());
                *answers.statuses.entry(status).or_default() += 1;
                if !is_expected(name, status) {
                    answers.faults.push(format!("{name}: {status} {text}"));
                    return Err(Over);
                }
            }
            if !matches!(status, 429 | 503) {
                return Ok(serde_json::from_str(&text).unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(Over)
    }

    /// One way through all endpoints.
    async fn journey(&self, n: &str) -> Result<(), Over> {
        let id = |value: &Value| value["id"].as_str().unwrap_or_default().to_owned();
        let account = async |name: &'static str, parameters: &[(&str, &str)], query: &str, body: Value| {
            let body = if body.is_null() { Body::None } else { Body::Json(body) };
            self.ask(name, parameters, query, Some(&self.key), &body).await
        };
        self.ask("get-health", &[], "", None, &Body::None).await?;
        let dock = id(&account("create-dock", &[], "", json!({"name": format!("Dock {n}")})).await?);
        let of_dock = [("dockId", dock.as_str())];
        account("list-docks", &[], "?limit=10", Value::Null).await?;
        account("get-dock", &of_dock, "", Value::Null).await?;
        account("update-dock", &of_dock, "", json!({"name": "Another name"})).await?;

        let new_recipient = |email: &str| {
            json!({
                "name": "First National Bank", "email": format!("{email}@bank.example"), "stakeholderClass": "mortgagee",
                "identifiers": {"lender_id": "LND-4821"},
            })
        };
        let recipient = id(&account("create-recipient", &of_dock, "", new_recipient("a")).await?);
        let recipient = recipient.as_str();
        let batch =
            json!({"recipients": (0..10).map(|n| new_recipient(&format!("b{n}"))).collect::<Vec<_>>()});
        account("create-recipient-batch", &of_dock, "", batch).await?;
        let csv = "name,email,lender_id\nSecond National Bank,c@bank.example,LND-1\n".to_owned();
        let csv = Body::File("recipients.csv".to_owned(), csv);
        self.ask("import-recipients", &of_dock, "", Some(&self.key), &csv).await?;
        account("list-recipients", &of_dock, "", Value::Null).await?;
        let in_dock = [of_dock[0], ("recipientId", recipient)];
        account("get-recipient", &in_dock, "", Value::Null).await?;
        account("update-recipient", &in_dock, "", json!({"name": "First National"})).await?;

        let of_recipient = [("recipientId", recipient)];
        let secret = account("generate-secret", &of_recipient, "", json!({"name": "A secret"})).await?;
        let passphrase = secret["secret"].as_str().unwrap_or_default().to_owned();
        account("verify-secret", &of_recipient, "", json!({"secret": passphrase})).await?;
        account("list-secrets", &of_recipient, "", Value::Null).await?;
        let other = id(&account("generate-secret", &of_recipient, "", json!({"name": "Another"})).await?);
        let of_secret = [of_recipient[0], ("secretId", other.as_str())];
        account("get-secret", &of_secret, "", Value::Null).await?;
        let rotated = account("rotate-secret", &of_secret, "", Value::Null).await?;
        let rotated = id(&rotated);
        account("revoke-secret", &[of_recipient[0], ("secretId", &rotated)], "", Value::Null).await?;

        let pem = json!({"name": "A certificate", "certificate": certificate::new(n)});
        let certificate = id(&account("register-certificate", &of_recipient, "", pem).await?);
        let of_certificate = [of_recipient[0], ("certificateId", certificate.as_str())];
        account("list-certificates", &of_recipient, "", Value::Null).await?;
        account("get-certificate", &of_certificate, "", Value::Null).await?;
        account("revoke-certificate", &of_certificate, "", Value::Null).await?;

        let members = json!({"recipientIds": [recipient]});
        let group = id(&account("create-group", &of_dock, "", json!({"name": "A group"})).await?);
        let of_group = [of_dock[0], ("groupId", group.as_str())];
        account("list-groups", &of_dock, "", Value::Null).await?;
        account("get-group", &of_group, "", Value::Null).await?;
        account("update-group", &of_group, "", json!({"description": "Lenders"})).await?;
        account("add-group-recipients", &of_group, "", members.clone()).await?;
        account("list-group-recipients", &of_group, "", Value::Null).await?;
        account("remove-group-recipients", &of_group, "", members.clone()).await?;
        account("add-group-recipients", &of_group, "", members).await?;

        account("list-policy-templates", &[], "", Value::Null).await?;
        let policy = json!({"name": "Bulk retrieval", "recipe": recipe()});
        let policy = id(&account("create-policy", &of_dock, "", policy).await?);
        let of_policy = [of_dock[0], ("policyId", policy.as_str())];
        let of_version = [of_policy[0], of_policy[1], ("version", "1")];
        let assignment = json!({"policyId": policy});
        account("update-policy", &of_policy, "", json!({"recipe": other_recipe()})).await?;
        account("create-policy-version", &of_policy, "", Value::Null).await?;
        account("list-policy-versions", &of_policy, "", Value::Null).await?;
        account("get-policy-version", &of_version, "", Value::Null).await?;
        account("publish-policy", &of_policy, "", json!({"stage": "production", "version": 2})).await?;
        account("rollback-policy", &of_version, "", Value::Null).await?;
        account("assign-policy", &of_group, "", assignment.clone()).await?;
        account("get-policy", &of_policy, "", Value::Null).await?;
        account("list-policies", &of_dock, "", Value::Null).await?;
        let template = json!({"templateId": "tpl_mortgagee_bulk"});
        let draft = id(&account("create-policy-from-template", &of_dock, "", template).await?);
        account("delete-policy", &[of_dock[0], ("policyId", &draft)], "", Value::Null).await?;

        let metadata = json!({"document_type": "declaration-page", "lender_id": "LND-4821"});
        let declared = |filename: &str| json!({"filename": filename, "metadata": metadata});
        let file = Body::File(format!("{n}.txt"), format!("The document of {n}"));
        let uploaded = id(&self.ask("upload-artifact", &of_dock, "", Some(&self.key), &file).await?);
        let of_upload = [of_dock[0], ("artifactId", uploaded.as_str())];
        account("update-artifact", &of_upload, "", json!({"metadata": metadata})).await?;
        account("complete-artifact", &of_upload, "", Value::Null).await?;
        account("get-artifact", &of_upload, "", Value::Null).await?;
        account("get-artifact-content", &of_upload, "", Value::Null).await?;
        let empty = id(&account("create-artifact", &of_dock, "", declared("empty.pdf")).await?);
        let batch = json!({"items": [declared("one.pdf"), declared("two.pdf")]});
        account("create-artifact-batch", &of_dock, "", batch).await?;
        account("list-artifacts", &of_dock, "", Value::Null).await?;
        account("delete-artifact", &[of_dock[0], ("artifactId", &empty)], "", Value::Null).await?;

        account("simulate-policy", &of_policy, "", json!({})).await?;
        account("get-recipient-access", &of_recipient, "", Value::Null).await?;
        let question = json!({
            "subject": {"type": "recipient", "id": recipient}, "action": {"name": "bulk_api"},
            "resource": {"type": "dock"}, "context": {"factors": ["shared_passphrase"]},
        });
        account("evaluate-access", &of_dock, "", question).await?;

        let credentials = Body::Json(json!({
            "grant_type": "client_credentials", "client_id": recipient, "client_secret": passphrase,
        }));
        let token = self.ask("issue-token", &[], "", None, &credentials).await?;
        let token = token["access_token"].as_str().unwrap_or_default();
        let institution = async |name: &'static str, parameters: &[(&str, &str)], query: &str, body: Body| {
            self.ask(name, parameters, query, Some(token), &body).await
        };
        institution("get-retrieval-access", &[], "", Body::None).await?;
        let canceled = id(&institution("create-retrieval-job", &[], "", Body::Json(json!({}))).await?);
        institution("cancel-retrieval-job", &[("jobId", &canceled)], "", Body::None).await?;
        let job = id(&institution("create-retrieval-job", &[], "", Body::Json(json!({}))).await?);
        let of_job = [("jobId", job.as_str())];
        institution("list-retrieval-jobs", &[], "", Body::None).await?;
        let mut polls = 0;
        while institution("get-retrieval-job", &of_job, "", Body::None).await?["status"] != "COMPLETED" {
            polls += 1;
            if polls == MOST_POLLS {
                return Err(Over);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        let results = institution("list-retrieval-results", &of_job, "", Body::None).await?;
        let link = results["items"][0]["url"].as_str().unwrap_or_default().to_owned();
        let query = link.split_once('?').map_or("", |(_, query)| query);
        let artifact = results["items"][0]["artifactId"].as_str().unwrap_or_default();
        let download = [of_job[0], ("artifactId", artifact)];
        self.ask("download-artifact", &download, &format!("?{query}"), None, &Body::None).await?;
        let spent = Body::Json(json!({"token": token}));
        self.ask("revoke-token", &[], "", None, &spent).await?;
        account("revoke-recipient-tokens", &of_recipient, "", Value::Null).await?;

        let event = json!({
            "dockId": dock, "entityType": "claim", "entityId": format!("CLM-{n}"), "action": "settled", "metadata": {"office": "Denver"},
        });
        account("create-audit-log", &[], "", event).await?;
        account("list-audit-logs", &[], &format!("?dockId={dock}"), Value::Null).await?;
        let entity = [("entityType", "recipient"), ("entityId", recipient)];
        account("list-entity-audit-logs", &entity, "", Value::Null).await?;

        account("unassign-policy", &of_group, "", assignment).await?;
        let member = [of_group[0], of_group[1], ("recipientId", recipient)];
        account("remove-group-recipient", &member, "", Value::Null).await?;
        account("delete-group", &of_group, "", Value::Null).await?;
        account("delete-recipient", &in_dock, "", Value::Null).await?;
        Ok(())
    }
}
