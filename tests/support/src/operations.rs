//! One request of every operation, as the API's document describes it: a new operation is among them without being
//! named anywhere.

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::Clock;
use docyard_functions::openapi;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::api::Api;
use crate::dev::Dev;
use crate::retrieved::drive;
use crate::scene::Asker;

/// An operation of the API's document, and what a valid request to it takes.
pub struct DocumentedOperation {
    pub id: String,
    pub method: Method,
    /// The path with its parameters in braces.
    pub path: String,
    /// The query parameters that it needs.
    pub query: Vec<String>,
    /// The document's example of a body, where the operation needs one.
    pub body: Option<Value>,
    /// The status of its success, the first time.
    pub status: u16,
    /// The credentials of which it takes one, by the names of their security schemes.
    pub credentials: Vec<String>,
    /// Whether its body is a form.
    pub takes_form: bool,
    /// Whether its body is a form with a file.
    pub takes_file: bool,
}

/// All operations.
pub fn operations() -> Vec<DocumentedOperation> {
    let document = serde_json::to_value(openapi::document()).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let statuses = operation["responses"].as_object().unwrap().keys();
            let successes =
                statuses.map(|status| status.parse::<u16>().unwrap()).filter(|status| *status < 400);
            let body = &operation["requestBody"];
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let query = parameters
                .filter(|parameter| parameter["in"] == "query" && parameter["required"] == true)
                .map(|parameter| parameter["name"].as_str().unwrap().to_owned());
            // Which an API key needs, and an access token does not.
            let of_key = (operation["operationId"] == "listRetrievalJobs").then(|| "dockId".to_owned());
            let query = query.chain(of_key);
            operations.push(DocumentedOperation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                query: query.collect(),
                body: (body["required"] == true).then(|| {
                    let content = body["content"].as_object().unwrap().values().next().unwrap();
                    content["example"].clone()
                }),
                takes_file: body["content"].get("multipart/form-data").is_some(),
                takes_form: body["content"].get("application/x-www-form-urlencoded").is_some(),
                // A repeated request has a success of its own, with a lower status. The job of a test has ended.
                status: match operation["operationId"].as_str() {
                    Some("cancelRetrievalJob") => 409,
                    _ => successes.max().unwrap(),
                },
                credentials: operation["security"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|scheme| scheme.as_object().unwrap().keys().next().unwrap().clone())
                    .collect(),
            });
        }
    }
    operations
}

/// The ids of one thing of each kind, of one dock.
#[derive(Clone, Debug)]
pub struct Ids {
    pub dock: String,
    pub recipient: String,
    pub secret: String,
    pub policy: String,
    pub group: String,
    pub certificate: String,
    pub artifact: String,
    pub job: String,
}

impl Ids {
    /// Those of things that do not exist.
    pub fn nothing() -> Self {
        let id = |prefix: &str| format!("{prefix}_01HQ3K5V7X9ZBDFHKMPRTVXYZ0");
        Self {
            dock: id("dock"),
            recipient: id("rcp"),
            secret: id("sec"),
            policy: id("pol"),
            group: id("grp"),
            certificate: id("crt"),
            artifact: id("art"),
            job: id("job"),
        }
    }

    /// New things of the server's own key: a recipient with a secret and in a group, a policy, and an artifact that is
    /// available.
    pub async fn new(dev: &Dev) -> Self {
        let recipient = dev.recipient().await;
        let (secret, _) = dev.secret(&recipient).await;
        let context = Context::new(dev.table.store.clone(), Mode::Live, Clock::system());
        let api = Api::new(context.clone());
        let asker = Asker { api: &api, key: &dev.key, dock: &dev.dock };
        let policy = asker.policy("A policy", json!({"everyone": true})).await;
        let group = asker.group("A group", &[&recipient]).await;
        let certificate = asker.certificate(&recipient, &crate::certificate::new("one")).await;
        let artifact = dev.artifact().await;
        let body = json!({"stakeholderClass": "mortgagee", "identifiers": {"lender_id": "LND-4821"}});
        asker.ask("update-recipient", &[("recipientId", &recipient)], body).await;
        // One for all.
        let policies = asker.reply("list-policies", &[], "limit=1000", Value::Null).await.list();
        if !policies.iter().any(|policy| policy["name"] == "For lenders") {
            let lenders = asker.policy("For lenders", json!({"everyone": true})).await;
            asker.publish(&lenders, json!({"stage": "production", "version": 1})).await;
        }
        let body = json!({"dockId": dev.dock, "recipientId": recipient});
        let job = asker.create("create-retrieval-job", &[], body).await;
        drive(&context, &job).await;
        Self { dock: dev.dock.clone(), recipient, secret, policy, group, certificate, artifact, job }
    }

    /// Each id, and the one that examples in the document have in its place.
    fn examples(&self) -> [(&'static str, &str); 8] {
        [
            ("dock_01JHMV2B4MP0YHZX6Q3T0V1W2X", &self.dock),
            ("rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y", &self.recipient),
            ("sec_01JHMV4D6PR2AK1Z8S5W2X3Y4Z", &self.secret),
            ("pol_01JHMV6F8RT4CN3BAV7Y4Z5A6B", &self.policy),
            ("grp_01JHMV7G9SV5DP4CBW8Z5A6B7C", &self.group),
            ("crt_01JHMV8H0TW6EQ5DCX9A6B7C8D", &self.certificate),
            ("art_01JHMV9J1VX7FR6EDYAB7C8D9E", &self.artifact),
            ("job_01JHMVA9K2Y8GS7FEZBC8D9EAF", &self.job),
        ]
    }
}

impl DocumentedOperation {
    /// Whether it takes an API key.
    pub fn takes_key(&self) -> bool {
        self.takes("ApiKey")
    }

    /// Whether it takes an access token.
    pub fn takes_token(&self) -> bool {
        self.takes("AccessToken")
    }

    fn takes(&self, credential: &str) -> bool {
        self.credentials.iter().any(|taken| taken == credential)
    }

    /// Whether its path, its query or its body says which things it is about.
    pub fn names_things(&self) -> bool {
        let names_dock = self.query.iter().any(|name| name == "dockId");
        self.path.contains('{') || names_dock || self.body_of(&Ids::nothing()) != self.body
    }

    /// The path to these things, with the query that it needs.
    pub fn path_to(&self, ids: &Ids) -> String {
        let path = self.path.replace("{dockId}", &ids.dock).replace("{recipientId}", &ids.recipient);
        let path = path.replace("{secretId}", &ids.secret).replace("{policyId}", &ids.policy);
        let path = path.replace("{groupId}", &ids.group).replace("{version}", "1");
        let path = path.replace("{certificateId}", &ids.certificate).replace("{artifactId}", &ids.artifact);
        let path = path.replace("{jobId}", &ids.job);
        let path = path.replace("{entityType}", "recipient").replace("{entityId}", &ids.recipient);
        assert!(!path.contains('{'), "{}: which thing does {path} mean?", self.id);
        match self.query.as_slice() {
            [] => path,
            [name] if name == "dockId" => format!("{path}?dockId={}", ids.dock),
            query => panic!("{}: what to give for {query:?}?", self.id),
        }
    }

    /// The request about these things, without a key.
    pub fn request(&self, dev: &Dev, ids: &Ids) -> reqwest::RequestBuilder {
        self.request_to(dev, &self.path_to(ids), ids)
    }

    /// The request to this path, with a body about these things, without a key.
    pub fn request_to(&self, dev: &Dev, path: &str, ids: &Ids) -> reqwest::RequestBuilder {
        let request = dev.http.request(self.method.clone(), format!("{}{path}", dev.url));
        match self.body_of(ids) {
            Some(body) if self.takes_form => request.form(&body),
            Some(body) if self.takes_file => request.multipart(form(&body)),
            Some(body) => request.json(&body),
            None => request,
        }
    }

    /// The body, about these things if it names some.
    pub fn body_of(&self, ids: &Ids) -> Option<Value> {
        let body = self.body.as_ref()?.to_string();
        let body = ids.examples().into_iter().fold(body, |body, (example, id)| body.replace(example, id));
        Some(serde_json::from_str(&body).unwrap())
    }
}

/// A form with a file, of the document's example of one.
fn form(example: &Value) -> Form {
    let file = Part::text(example["file"].as_str().unwrap().to_owned()).file_name("page.pdf");
    let form = Form::new().part("file", file);
    match example["metadata"].as_str() {
        Some(metadata) => form.text("metadata", metadata.to_owned()),
        None => form,
    }
}
