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
            operations.push(DocumentedOperation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
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
    /// The path to these things.
    pub fn path_to(&self, dock: &str, recipient: &str, secret: &str) -> String {
        let path = self.path.replace("{dockId}", dock).replace("{recipientId}", recipient);
        let path = path.replace("{secretId}", secret);
        assert!(!path.contains('{'), "{}: which thing does {path} mean?", self.id);
        path
    }

    /// The path to things of the server's own key, made for this request.
    pub async fn path_to_new_things(&self, dev: &Dev) -> String {
        let recipient = dev.recipient().await;
        let (secret, _) = dev.secret(&recipient).await;
        self.path_to(&dev.dock, &recipient, &secret)
    }

    /// The request to this path, without a key.
    pub fn request(&self, dev: &Dev, path: &str) -> reqwest::RequestBuilder {
        let request = dev.http.request(self.method.clone(), format!("{}{path}", dev.url));
        match &self.body {
            Some(body) => request.json(body),
            None => request,
        }
    }
}
