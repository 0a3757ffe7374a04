//! What the functions log and measure, over the whole API: a line of each for every request, all that `docs/logging.md`
//! names, and nothing of what it says is never logged.

use std::collections::{BTreeMap, BTreeSet};

use docyard_core::model::api_key::{ApiKey, Mode};
use docyard_core::values::digest::Digest;
use docyard_core::values::id::AnyId;
use docyard_functions::route::Credential;
use docyard_functions::{endpoints, metrics};
use docyard_test_support::account::Account;
use docyard_test_support::binary;
use docyard_test_support::cases::{self, Case, THERE, Things};
use docyard_test_support::fault::{IN_MESSAGE, InjectedFault};
use docyard_test_support::proxy::Proxy;
use docyard_test_support::read;
use docyard_test_support::retrieved::Retrieved;
use docyard_test_support::sandbox::Sandbox;
use docyard_test_support::trail;
use futures_util::StreamExt;
use serde_json::{Value, json};

/// All functions at once over one table, and every value that a request or an answer holds and a log must not.
struct Deployment {
    account: Account,
    proxy: Proxy,
    functions: BTreeMap<&'static str, Sandbox>,
    /// What each value is, and the value.
    confidential: Vec<(String, String)>,
    /// How many requests each function was sent.
    sent: BTreeMap<String, usize>,
    /// What was answered, headers and bodies.
    answers: Vec<String>,
    /// What was stored before the recipient was deleted.
    items: String,
}

impl Deployment {
    async fn new() -> Self {
        let account = Account::new().await;
        let (proxy, url) = Proxy::before(&account.table).await;
        let start = |endpoint: &'static docyard_functions::endpoint::Endpoint| {
            let url = url.clone();
            async move { (endpoint.name, Sandbox::start(binary(endpoint.name), &url).await) }
        };
        let functions =
            futures_util::stream::iter(endpoints::all()).map(start).buffer_unordered(4).collect().await;
        let mut deployment = Self {
            account,
            proxy,
            functions,
            confidential: Vec::new(),
            sent: BTreeMap::new(),
            answers: Vec::new(),
            items: String::new(),
        };
        let key = deployment.account.key.clone();
        deployment.hide("the key", &key);
        deployment.hide("the key's digest", &Digest::of(&key).expose_hex());
        deployment
    }

    fn hide(&mut self, what: &str, value: &str) {
        self.confidential.push((what.to_owned(), value.to_owned()));
    }

    fn hide_secret(&mut self, value: &str) {
        self.hide("a secret", value);
        self.hide("a secret's digest", &Digest::of(value).expose_hex());
    }

    /// Sends a request with all headers that a client may send, and gives the answer's body.
    async fn send(
        &mut self,
        function: &str,
        parameters: &[&str],
        query: &str,
        body: Option<Value>,
        status: u16,
    ) -> Value {
        self.send_with(function, parameters, query, body, status, json!({})).await
    }

    async fn send_with(
        &mut self,
        function: &str,
        parameters: &[&str],
        query: &str,
        body: Option<Value>,
        status: u16,
        headers: Value,
    ) -> Value {
        let event = self.account.request(endpoints::named(function), parameters, query, body);
        self.send_event(function, event, status, headers).await
    }

    /// Sends an event with all headers that a client may send, and these.
    async fn send_event(&mut self, function: &str, mut event: Value, status: u16, headers: Value) -> Value {
        let (user_agent, cookie) = ("Agent/7.7-confidential", "session=cookie-confidential");
        event["headers"]["user-agent"] = json!(user_agent);
        event["requestContext"]["http"]["userAgent"] = json!(user_agent);
        event["cookies"] = json!([cookie]);
        for (name, value) in headers.as_object().unwrap() {
            event["headers"][name] = value.clone();
        }
        *self.sent.entry(function.to_owned()).or_default() += 1;
        let (answer, headers) = self.functions[function].expect(status, event).await;
        if let Some((_, signature)) =
            headers["location"].as_str().and_then(|it| it.split_once("X-Amz-Signature="))
        {
            self.hide("a signature", signature);
        }
        self.answers.push(format!("{headers} {answer}"));
        answer
    }

    /// The cases of the endpoints that the journey does not name: what stands in their bodies is confidential.
    async fn unlisted_endpoints(&mut self) {
        let is_unlisted =
            |case: &Case| !self.sent.contains_key(case.endpoint) && case.endpoint != "delete-recipient";
        for (n, case) in cases::all().into_iter().filter(is_unlisted).collect::<Vec<_>>().iter().enumerate() {
            let things = Things::create(&self.account, case, &format!("{n}-{THERE}")).await;
            let body = case.body_of(n, &self.account.dock, &things);
            // A short word, or one of the API's own, may stand in a line for another reason, and ids are logged.
            let is_word = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b"_-".contains(&b));
            let is_hidden = |text: &String| text.len() >= 8 && AnyId::parse(text).is_none() && !is_word(text);
            for text in body.iter().flat_map(strings).filter(is_hidden) {
                self.hide("a part of a body", &text);
            }
            let event = case.event(&self.account, &things, n);
            let answer = self.send_event(case.endpoint, event, case.status, json!({})).await;
            for url in strings(&answer).iter().filter(|text| text.contains("X-Amz-Signature=")) {
                self.hide("a signature", url.split("X-Amz-Signature=").nth(1).unwrap());
            }
            let Retrieved { ticket, account_ticket, outsider_ticket, .. } = &things.retrieved;
            let given = strings(&answer);
            let given = given.iter().filter_map(|text| Some(text.split_once("?ticket=")?.1));
            let tickets: Vec<String> = [ticket, account_ticket, outsider_ticket]
                .into_iter()
                .filter(|ticket| !ticket.is_empty())
                .cloned()
                .chain(given.map(str::to_owned))
                .collect();
            for ticket in tickets {
                self.hide("a ticket", &ticket);
                self.hide("a ticket's digest", &Digest::of(&ticket).expose_hex());
            }
            let issued = answer["access_token"].as_str().unwrap_or_default().to_owned();
            for token in [issued, things.scene.token.clone()].iter().filter(|token| !token.is_empty()) {
                self.hide("a token", token);
                self.hide("a token's digest", &Digest::of(token).expose_hex());
            }
        }
    }

    /// The whole API: what succeeds, and what fails in every way.
    async fn journey(&mut self) {
        let dock = self.account.dock.clone();
        self.hide_what_is_sent();
        self.docks(&dock).await;
        let recipient = self.recipients(&dock).await;
        self.secrets(&recipient).await;
        self.access(&dock, &recipient).await;
        self.refused_keys(&recipient).await;
        self.faults(&dock).await;
        self.unlisted_endpoints().await;
        self.items = format!("{:?}", self.account.table.items().await);
        self.send("delete-recipient", &[&dock, &recipient], "", None, 200).await;
    }

    /// A decision on what a recipient submits.
    async fn access(&mut self, dock: &str, recipient: &str) {
        let asked = json!({
            "subject": {"type": "recipient", "id": recipient}, "action": {"name": "portal"},
            "resource": {"type": "dock"}, "context": {"identifiers": {"policy_number": "POL-confidential-2"}},
        });
        self.send("evaluate-access", &[dock], "", Some(asked), 200).await;
    }

    fn hide_what_is_sent(&mut self) {
        for (what, value) in [
            ("a header", "Agent/7.7-confidential"),
            ("a header", "cookie-confidential"),
            ("a header", "idempotency-confidential"),
            ("a source address", "203.0.113.7"),
            ("a name", "Confidential Bank"),
            ("a name", "Renamed Bank"),
            ("a name", "Confidential Dock"),
            ("a domain", "dock.confidential.example"),
            ("a label", "Confidential Label"),
            ("an email", "Person@Confidential.example"),
            ("an email", "person@confidential.example"),
            ("an email", "person%40confidential.example"),
            ("an email", "moved@confidential.example"),
            ("an email", "desk@confidential.example"),
            ("an identifier's key", "confidential_key"),
            ("an identifier", "POL-confidential-1"),
            ("an identifier", "POL-confidential-2"),
            ("an identifier", "1980-02-29"),
            ("an identifier", "+1 555 010 9999"),
            ("a part of a body", "stakeholderClass"),
            ("a part of a body", "expiresInDays"),
            ("a field that does not exist", "unknown_confidential"),
            ("a path", "path-confidential"),
            ("a query", "query_confidential"),
        ] {
            self.hide(what, value);
        }
    }

    async fn docks(&mut self, dock: &str) {
        let new_dock = json!({
            "name": "Confidential Dock", "domain": "dock.confidential.example",
            "businessEmail": "Desk@Confidential.example",
        });
        self.send("create-dock", &[], "", Some(new_dock), 201).await;
        self.send("list-docks", &[], "limit=1", None, 200).await;
        self.send("get-dock", &[dock], "", None, 200).await;
        self.send("update-dock", &[dock], "", Some(json!({"name": "Confidential Dock"})), 200).await;
    }

    /// The id of the recipient.
    async fn recipients(&mut self, dock: &str) -> String {
        let repeatable = json!({"idempotency-key": "idempotency-confidential"});
        let person = json!({
            "name": "Confidential Bank", "email": "Person@Confidential.example", "stakeholderClass": "policyholder",
            "identifiers": {"confidential_key": "POL-confidential-1", "date_of_birth": "1980-02-29", "phone": "+1 555 010 9999"},
        });
        let created = self
            .send_with("create-recipient", &[dock], "", Some(person.clone()), 201, repeatable.clone())
            .await;
        let recipient = created["id"].as_str().unwrap().to_owned();
        self.send_with("create-recipient", &[dock], "", Some(person.clone()), 201, repeatable.clone()).await;
        let other = Some(json!({"name": "Renamed Bank", "email": "moved@confidential.example"}));
        self.send_with("create-recipient", &[dock], "", other, 422, repeatable.clone()).await;
        self.send("create-recipient", &[dock], "", Some(person.clone()), 409).await;
        let invalid =
            json!({"name": "", "email": "person@confidential.example ?", "unknown_confidential": 1});
        self.send("create-recipient", &[dock], "", Some(invalid), 400).await;
        self.send("list-recipients", &[dock], "email=person%40confidential.example", None, 200).await;
        self.send("list-recipients", &[dock], "query_confidential=1", None, 400).await;
        self.send("get-recipient", &[dock, &recipient], "", None, 200).await;
        self.send("get-recipient", &[dock, "path-confidential"], "", None, 404).await;
        let renamed = json!({"name": "Renamed Bank", "email": "moved@confidential.example"});
        self.send("update-recipient", &[dock, &recipient], "", Some(renamed), 200).await;
        recipient
    }

    async fn secrets(&mut self, recipient: &str) {
        let repeatable = json!({"idempotency-key": "idempotency-confidential"});
        let label = json!({"name": "Confidential Label", "expiresInDays": 90});
        let body = || Some(label.clone());
        let secret =
            self.send_with("generate-secret", &[recipient], "", body(), 201, repeatable.clone()).await;
        self.send_with("generate-secret", &[recipient], "", body(), 200, repeatable.clone()).await;
        let (id, value) = (secret["id"].as_str().unwrap(), secret["secret"].as_str().unwrap());
        self.hide_secret(value);
        self.send("list-secrets", &[recipient], "", None, 200).await;
        self.send("verify-secret", &[recipient], "", Some(json!({"secret": value})), 200).await;
        let guess = "dk_sec_confidential_guess";
        self.hide_secret(guess);
        self.send("verify-secret", &[recipient], "", Some(json!({"secret": guess})), 200).await;
        let rotated =
            self.send_with("rotate-secret", &[recipient, id], "", None, 201, repeatable.clone()).await;
        self.send_with("rotate-secret", &[recipient, id], "", None, 200, repeatable.clone()).await;
        let (new_id, new_value) = (rotated["id"].as_str().unwrap(), rotated["secret"].as_str().unwrap());
        self.hide_secret(new_value);
        self.send("rotate-secret", &[recipient, id], "", None, 409).await;
        self.send("revoke-secret", &[recipient, new_id], "", None, 200).await;
    }

    async fn refused_keys(&mut self, recipient: &str) {
        // A key that nobody has, one that is none, and one that was put where a scheme belongs.
        let unknown = ApiKey::generate(Mode::Live, &mut docyard_core::values::random::system());
        self.hide("an unknown key's digest", &unknown.digest().expose_hex());
        for key in [unknown.expose(), "dk_live_confidential"] {
            self.hide("a wrong key", key);
            for header in [format!("Bearer {key}"), key.to_owned()] {
                let headers = json!({"authorization": header});
                self.send_with(
                    "verify-secret",
                    &[recipient],
                    "",
                    Some(json!({"name": "Confidential Label"})),
                    401,
                    headers,
                )
                .await;
            }
        }
    }

    async fn faults(&mut self, dock: &str) {
        // A fault whose text holds an identifier, one that passes, and one that does not.
        self.hide("what DynamoDB says", IN_MESSAGE);
        let person = json!({"name": "Confidential Bank", "email": "other@confidential.example"});
        self.hide("an email", "other@confidential.example");
        self.proxy.expect("TransactWriteItems", [InjectedFault::Refused("AccessDeniedException")]);
        self.send("create-recipient", &[dock], "", Some(person.clone()), 500).await;
        self.proxy.expect("TransactWriteItems", [InjectedFault::Refused("ThrottlingException"); 4]);
        self.send("create-recipient", &[dock], "", Some(person), 503).await;
    }
}

/// All strings in a value, but for the names of fields.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(strings).collect(),
        Value::Object(members) => members.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

/// The names in the first column of the table below a heading of `docs/logging.md`.
fn documented(heading: &str) -> BTreeSet<String> {
    let document = read("docs/logging.md");
    let section = document.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let names: BTreeSet<String> = section
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect();
    assert!(!names.is_empty(), "{heading} has no table");
    names
}

#[tokio::test]
async fn nothing_confidential_is_logged_at_any_level_and_each_request_is_one_line() {
    let mut deployment = Deployment::new().await;
    deployment.journey().await;
    let (mut fields, mut counted) = (BTreeSet::new(), BTreeSet::new());
    for (function, sandbox) in &deployment.functions {
        let log = sandbox.log();
        for (what, value) in &deployment.confidential {
            let leaks = log.to_lowercase().contains(&value.to_lowercase());
            assert!(!leaks, "{function} logs {what}");
        }
        let (lines, metric_lines) = sandbox.request_and_metric_lines();
        let sent = deployment.sent[*function];
        assert_eq!(
            (lines.len(), metric_lines.len()),
            (sent, sent),
            "{function}: a line of each for each request"
        );
        for (n, line) in lines.iter().enumerate() {
            assert_eq!(line["function"], *function);
            assert_eq!(line["route"], endpoints::named(function).route.to_string());
            assert_eq!(line["cold_start"], n == 0);
            let credentials = endpoints::named(function).credentials;
            // Where a token opens too, it may be either; and a link has the credential that it was given to.
            let is_either = credentials.len() == 2 || *function == "download-artifact";
            if !is_either {
                let takes_key = credentials == [Credential::ApiKey];
                assert_eq!(line["key"].is_string(), takes_key && line["status"] != 401, "{line}");
            }
            let is_known = line["status"] != 401 && *function != "get-health";
            assert_eq!(line["account"].is_string(), is_known, "{line}");
            assert!(line["milliseconds"].as_f64().unwrap() > 0.0);
            let level = match line["status"].as_u64().unwrap() {
                503 => "WARN",
                500.. => "ERROR",
                _ => "INFO",
            };
            assert_eq!(line["level"], level);
            assert_eq!(line["error"].is_string(), line["status"].as_u64().unwrap() >= 400);
            assert_eq!(line["fault"].is_string(), line["status"].as_u64().unwrap() >= 500);
            fields.extend(line.as_object().unwrap().keys().cloned());
        }
        for line in metric_lines {
            let directive = &line["_aws"]["CloudWatchMetrics"][0];
            assert_eq!(directive["Namespace"], metrics::NAMESPACE);
            assert_eq!(directive["Dimensions"], json!([[metrics::DIMENSION]]));
            assert_eq!(line[metrics::DIMENSION], "test");
            for metric in directive["Metrics"].as_array().unwrap() {
                let name = metric["Name"].as_str().unwrap();
                let unit = if name == metrics::LATENCY { "Milliseconds" } else { "Count" };
                assert_eq!(metric["Unit"], unit);
                assert!(line.get(name).is_some());
                counted.insert(name.to_owned());
            }
        }
    }
    assert_eq!(fields, documented("The line of a request"), "the fields that docs/logging.md names");
    // The sealer's has a test of its own.
    counted.insert(metrics::AUDIT_ALTERATIONS.to_owned());
    assert_eq!(counted, documented("Metrics"), "the metrics that docs/logging.md names");
    assert_eq!(
        counted,
        metrics::ALL.iter().map(|&name| name.to_owned()).collect(),
        "the metrics that the code names"
    );
}

/// The words of the queries on all pages that could name a field: of what stands in back quotes or in a block of code,
/// and begins with a command of CloudWatch Logs Insights.
fn queried_fields() -> BTreeSet<String> {
    const COMMANDS: &[&str] = &["filter ", "stats ", "display "];
    const WORDS: &[&str] = &[
        "filter", "stats", "display", "sort", "count", "sum", "pct", "bin", "by", "and", "like", "desc",
        "asc", "limit", "h",
    ];
    let pages = std::fs::read_dir(docyard_test_support::root().join("docs")).unwrap();
    let mut fields = BTreeSet::new();
    let pages = pages.map(|page| page.unwrap().path());
    for page in pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let page = std::fs::read_to_string(page).unwrap();
        for query in page.split(['`', '\n']).filter(|part| COMMANDS.iter().any(|word| part.starts_with(word)))
        {
            // What stands in quotes or between slashes is a value.
            let parts = query.split(['"', '/']).step_by(2);
            let words =
                parts.flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && !"_.".contains(c)));
            fields.extend(
                words
                    .filter(|word| {
                        word.starts_with(|c: char| c.is_ascii_alphabetic()) && !WORDS.contains(word)
                    })
                    .map(str::to_owned),
            );
        }
    }
    fields
}

#[test]
fn every_field_that_a_page_asks_for_is_logged() {
    let logged = documented("The line of a request");
    let fields = queried_fields();
    assert!(fields.len() > 5, "{fields:?}");
    // Lambda's own lines have `type` and `record`; a panic's has `location`.
    let others = ["type", "record.requestId", "record.status", "location"].map(str::to_owned);
    let unknown: Vec<_> =
        fields.iter().filter(|field| !logged.contains(*field) && !others.contains(field)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[tokio::test]
async fn a_secret_is_in_one_answer_and_nowhere_else() {
    let mut deployment = Deployment::new().await;
    deployment.journey().await;
    let items = &deployment.items;
    assert!(["SECRET_RETIRED#", "IDEMPOTENCY#", "KEY#"].iter().all(|kind| items.contains(kind)));
    let answered = |value: &str| deployment.answers.iter().filter(|answer| answer.contains(value)).count();
    let mut secrets = 0;
    for (what, value) in &deployment.confidential {
        match what.as_str() {
            "a secret" => {
                // The one that was guessed was never given.
                let is_given = value.len() == "dk_sec_".len() + 32;
                assert_eq!(answered(value), usize::from(is_given), "{what} is answered once");
                assert!(!items.contains(value), "{what} is stored");
                secrets += usize::from(is_given);
            }
            "the key" | "a wrong key" | "an unknown key's digest" => {
                assert_eq!(answered(value), 0, "{what} is answered");
                assert!(!items.contains(value), "{what} is stored");
            }
            "a token" => assert!(!items.contains(value), "{what} is stored"),
            "a secret's digest" | "the key's digest" | "a token's digest" => {
                assert_eq!(answered(value), 0, "{what} is answered")
            }
            _ => {}
        }
    }
    assert_eq!(secrets, 2, "one was generated and one rotated");
}

#[tokio::test]
async fn no_audit_entry_has_a_value_a_key_a_label_or_a_personal_field() {
    // What an entry may show: where a request came from, what a dock, a policy and a group are called, what a document's
    // content is, and the names of fields.
    const SHOWN: &[&str] = &["a header", "a source address", "a domain", "an identifier's key"];
    let mut deployment = Deployment::new().await;
    deployment.journey().await;
    let items = deployment.account.table.items().await;
    let entries = trail::entries(&items);
    // What an account says of its own is its own matter.
    let of_service = entries.iter().filter(|entry| trail::text(entry, "source") != "account");
    let shown: Vec<String> = of_service.map(|entry| format!("{entry:?}").to_lowercase()).collect();
    assert!(shown.len() > 10 && shown.iter().any(|entry| entry.contains("identifiers.confidential_key")));
    for (what, value) in &deployment.confidential {
        let is_shown = SHOWN.contains(&what.as_str())
            || ["Confidential Dock", "stakeholderClass"].contains(&value.as_str())
            || value.starts_with("sha256:")
            || value == "application/pdf"
            || ["Policy ", "Group ", "Description "].iter().any(|name| value.starts_with(name));
        let is_in_one = shown.iter().any(|entry| entry.contains(&value.to_lowercase()));
        assert!(is_shown || !is_in_one, "an entry has {what}");
    }
}

#[tokio::test]
async fn a_line_names_what_the_request_was_about() {
    let mut deployment = Deployment::new().await;
    let dock = deployment.account.dock.clone();
    let new = Some(json!({"name": "A", "email": "a@example.com"}));
    let recipient = deployment.send("create-recipient", &[&dock], "", new.clone(), 201).await["id"].clone();
    let recipient_id = recipient.as_str().unwrap();
    let label = Some(json!({"name": "S"}));
    let secret = deployment.send("generate-secret", &[recipient_id], "", label, 201).await;
    let guess = json!({"secret": secret["secret"]});
    deployment.send("verify-secret", &[recipient_id], "", Some(guess), 200).await;
    deployment.send("verify-secret", &[recipient_id], "", Some(json!({"secret": "x"})), 200).await;
    deployment.send("create-recipient", &[&dock], "", new, 409).await;

    let lines = |function: &str| deployment.functions[function].request_and_metric_lines().0;
    let created = lines("create-recipient");
    assert_eq!(created[0]["ids"], format!("{dock} {recipient_id}"));
    assert_eq!(created[1]["ids"], dock);
    assert_eq!(created[1]["error"], "email_taken");
    let generated = &lines("generate-secret")[0];
    let secret_id = secret["id"].as_str().unwrap();
    assert_eq!(generated["ids"], format!("{recipient_id} {secret_id}"));
    let verified = lines("verify-secret");
    assert_eq!(verified[0]["ids"], format!("{recipient_id} {secret_id}"));
    assert_eq!(verified[1]["ids"], recipient_id);
}

#[tokio::test]
async fn each_thing_is_counted_once_when_it_is_done() {
    let mut deployment = Deployment::new().await;
    deployment.journey().await;
    let mut totals: BTreeMap<String, u64> = BTreeMap::new();
    for sandbox in deployment.functions.values() {
        for line in sandbox.request_and_metric_lines().1 {
            for name in metrics::ALL.iter().filter(|name| **name != metrics::LATENCY) {
                *totals.entry((*name).to_owned()).or_default() += line[*name].as_u64().unwrap_or(0);
            }
        }
    }
    let expected = [
        // One by itself, two in batches, one of a file.
        (metrics::RECIPIENTS_CREATED, 4),
        (metrics::SECRETS_GENERATED, 1),
        (metrics::SECRETS_ROTATED, 1),
        (metrics::SECRETS_REVOKED, 1),
        (metrics::VALID_VERIFICATIONS, 1),
        (metrics::INVALID_VERIFICATIONS, 1),
        (metrics::TOKENS_ISSUED, 2),
        (metrics::ACCESS_REFUSALS, 5),
        (metrics::AUTHENTICATION_FAILURES, 5),
        (metrics::AUDIT_ALTERATIONS, 0),
        (metrics::COLD_STARTS, endpoints::all().count() as u64),
    ];
    assert_eq!(totals, expected.map(|(name, count)| (name.to_owned(), count)).into());
}
