//! One request of every operation, as the API's document describes it: a new operation is among them without being
//! named anywhere.

use docyard_functions::openapi;
use reqwest::Method;
use serde_json::Value;

use crate::dev::Dev;

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
    /// Whether it takes a key.
    pub takes_key: bool,
}

/// All operations.
pub fn operations() -> Vec<DocumentedOperation> {
    let document = serde_json::to_value(openapi::document()).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let statuses = operation["responses"].as_object().unwrap().keys();
            let successes =
                statuses.map(|status| status.parse::<u16>().unwrap()).filter(|status| *status < 300);
            let body = &operation["requestBody"];
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let query = parameters
                .filter(|parameter| parameter["in"] == "query" && parameter["required"] == true)
                .map(|parameter| parameter["name"].as_str().unwrap().to_owned());
            operations.push(DocumentedOperation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                query: query.collect(),
                body: (body["required"] == true)
                    .then(|| body["content"]["application/json"]["example"].clone()),
                // A repeated request has a success of its own, with a lower status.
                status: successes.max().unwrap(),
                takes_key: operation.get("security").is_some(),
            });
        }
    }
    operations
}

impl DocumentedOperation {
    /// Whether its path, its query or its body says which things it is about.
    pub fn names_things(&self) -> bool {
        self.path.contains('{') || self.query.iter().any(|name| name == "dockId") || self.has_dock_in_body()
    }

    /// Whether its body says which dock it is about.
    pub fn has_dock_in_body(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.get("dockId").is_some())
    }

    /// The path to these things, with the query that it needs.
    pub fn path_to(&self, dock: &str, recipient: &str, secret: &str) -> String {
        let path = self.path.replace("{dockId}", dock).replace("{recipientId}", recipient);
        let path = path.replace("{secretId}", secret);
        let path = path.replace("{entityType}", "recipient").replace("{entityId}", recipient);
        assert!(!path.contains('{'), "{}: which thing does {path} mean?", self.id);
        match self.query.as_slice() {
            [] => path,
            [name] if name == "dockId" => format!("{path}?dockId={dock}"),
            query => panic!("{}: what to give for {query:?}?", self.id),
        }
    }

    /// The path to things of the server's own key, made for this request.
    pub async fn path_to_new_things(&self, dev: &Dev) -> String {
        let recipient = dev.recipient().await;
        let (secret, _) = dev.secret(&recipient).await;
        self.path_to(&dev.dock, &recipient, &secret)
    }

    /// The request to this path, and to the server's dock if its body names one, without a key.
    pub fn request(&self, dev: &Dev, path: &str) -> reqwest::RequestBuilder {
        self.request_of(dev, &dev.dock, path)
    }

    /// The request to this path, and to this dock if its body names one, without a key.
    pub fn request_of(&self, dev: &Dev, dock: &str, path: &str) -> reqwest::RequestBuilder {
        let request = dev.http.request(self.method.clone(), format!("{}{path}", dev.url));
        match self.body_of(dock) {
            Some(body) => request.json(&body),
            None => request,
        }
    }

    /// The body, about this dock if it names one.
    pub fn body_of(&self, dock: &str) -> Option<Value> {
        let mut body = self.body.clone()?;
        if self.has_dock_in_body() {
            body["dockId"] = dock.into();
        }
        Some(body)
    }
}
