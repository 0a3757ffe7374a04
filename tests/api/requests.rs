//! What holds for every request: bodies, headers, content types, request ids.

use docyard_test_support::PATIENCE;
use docyard_test_support::dev::{Dev, send};
use docyard_test_support::operations::{DocumentedOperation, Ids, operations};
use reqwest::Method;
use serde_json::{Value, json};

use crate::assert_invalid;

/// A request that an endpoint answers with success.
struct Valid {
    operation: DocumentedOperation,
    path: String,
    ids: Ids,
}

impl Valid {
    /// The request without its body.
    fn request(&self, dev: &Dev) -> reqwest::RequestBuilder {
        dev.http.request(self.operation.method.clone(), format!("{}{}", dev.url, self.path))
    }
}

/// One of each operation that takes a key or nothing, and JSON; each on things of its own. A link takes no key at all.
async fn requests(dev: &Dev) -> Vec<Valid> {
    let mut requests = Vec::new();
    let is_meant = |it: &DocumentedOperation| {
        (it.takes_key() || it.credentials.is_empty()) && !it.takes_form && it.id != "downloadArtifact"
    };
    for operation in operations().into_iter().filter(is_meant) {
        let ids = Ids::new(dev).await;
        let path = operation.path_to(&ids);
        requests.push(Valid { operation, path, ids });
    }
    requests
}

/// Those that need a body, a JSON object, and with it the path.
async fn requests_with_body(dev: &Dev) -> Vec<(Valid, Value)> {
    let requests = requests(dev).await.into_iter();
    requests
        .filter(|valid| !valid.operation.takes_file)
        .filter_map(|valid| {
            let body = valid.operation.body_of(&valid.ids)?;
            Some((valid, body))
        })
        .collect()
}

#[tokio::test]
async fn the_schemes_case_does_not_matter() {
    let dev = Dev::start().await;
    for (valid, body) in requests_with_body(&dev).await {
        let request = valid.request(&dev).header("authorization", format!("bEARER {}", dev.key));
        send(request.json(&body)).await.expect(valid.operation.status);
    }
}

#[tokio::test]
async fn a_key_is_wanted_before_the_body_is_judged() {
    let dev = Dev::start().await;
    for valid in requests(&dev).await.into_iter().filter(|valid| valid.operation.takes_key()) {
        let request = || valid.request(&dev);
        send(request().body("x".repeat(64 * 1024 + 1))).await.expect(401);
        send(request().header("content-type", "text/plain").body("x")).await.expect(401);
        send(request()).await.expect(401);
    }
}

#[tokio::test]
async fn a_bad_body_is_told_before_a_missing_thing() {
    let dev = Dev::start().await;
    for path in ["/v1/docks/x/recipients", "/v1/recipients/x/secrets"] {
        send(dev.post(path).json(&json!({}))).await.expect(400);
    }
}

#[tokio::test]
async fn a_body_is_one_json_object() {
    let dev = Dev::start().await;
    for (valid, _) in requests_with_body(&dev).await {
        for (body, message) in [
            (&b""[..], "needs a body"),
            (b"[]", "must be a JSON object"),
            (b"null", "must be a JSON object"),
            (b"\"x\"", "must be a JSON object"),
            (b"{", "not valid JSON"),
            (b"name=A", "not valid JSON"),
            (b"{\"name\":\"\xff\"}", "not valid JSON"),
            (b"{\"name\":\"\\ud800\"}", "not valid JSON"),
            (b"\xef\xbb\xbf\xef\xbb\xbf{}", "not valid JSON"),
            (b"{\"name\":1e999}", "not valid JSON"),
        ] {
            for content_type in [None, Some("application/json"), Some("application/json; charset=utf-8")] {
                let mut request = valid.request(&dev).bearer_auth(&dev.key).body(body);
                if let Some(content_type) = content_type {
                    request = request.header("content-type", content_type);
                }
                let answer = send(request).await.expect(400);
                assert!(answer["message"].as_str().unwrap().contains(message), "{body:?}: {answer}");
                assert!(answer.get("details").is_none());
            }
        }
    }
}

#[tokio::test]
async fn a_field_given_twice_is_refused() {
    let dev = Dev::start().await;
    let recipients = dev.recipients_path();
    let secrets = format!("/v1/recipients/{}/secrets", dev.recipient().await);
    for (path, body, field) in [
        (&recipients, r#"{"name":"A","email":"a@example.com","email":"b@example.com"}"#, "email"),
        (
            &recipients,
            r#"{"name":"A","email":"a@example.com","identifiers":{"k":"1","k":"2"}}"#,
            "identifiers.k",
        ),
        (&secrets, r#"{"name":"A","expiresInDays":1,"expiresInDays":null}"#, "expiresInDays"),
    ] {
        assert_invalid(&send(dev.post(path).body(body)).await, field, "more than once");
    }
}

#[tokio::test]
async fn a_body_has_at_most_64_kib() {
    let dev = Dev::start().await;
    let of_many = ["createArtifactBatch", "createRecipientBatch", "createRetrievalJob"];
    let is_small = |(valid, _): &(Valid, Value)| !of_many.contains(&valid.operation.id.as_str());
    for (valid, body) in requests_with_body(&dev).await.into_iter().filter(is_small) {
        let request = || valid.request(&dev).bearer_auth(&dev.key);
        let padded = |size: usize| {
            let body = body.to_string();
            format!("{body}{}", " ".repeat(size - body.len()))
        };
        for content_type in ["application/json", "text/plain"] {
            let request = request().header("content-type", content_type).body(padded(64 * 1024 + 1));
            assert_eq!(send(request).await.expect(413)["error"], "Payload Too Large");
        }
        send(request().body(padded(64 * 1024))).await.expect(valid.operation.status);
    }
}

#[tokio::test]
async fn a_body_that_says_it_is_not_json_is_refused() {
    let dev = Dev::start().await;
    for (valid, body) in requests_with_body(&dev).await {
        let request = |content_type: &str| {
            let request = valid.request(&dev).bearer_auth(&dev.key).header("content-type", content_type);
            send(request.body(body.to_string()))
        };
        let mut others = vec!["text/plain", "application/x-www-form-urlencoded", "x"];
        if valid.operation.method != Method::PATCH {
            others.push("application/merge-patch+json");
        }
        for content_type in others {
            let answer = request(content_type).await.expect(415);
            assert_eq!(answer["error"], "Unsupported Media Type");
            let message = answer["message"].as_str().unwrap();
            assert!(message.contains("application/json"), "it says what to send");
        }
        request("Application/JSON ; charset=UTF-8").await.expect(valid.operation.status);
    }
}

#[tokio::test]
async fn a_parameter_that_an_operation_does_not_have_is_refused_and_nothing_is_done() {
    let dev = Dev::start().await;
    for valid in requests(&dev).await {
        let send_with = |query: &str| {
            let (path, separator) = (&valid.path, if valid.path.contains('?') { "&" } else { "?" });
            let path = if query.is_empty() { path.clone() } else { format!("{path}{separator}{query}") };
            let mut request = valid.operation.request_to(&dev, &path, &valid.ids).bearer_auth(&dev.key);
            if valid.operation.body.is_none() {
                request = request.header("content-length", "0");
            }
            send(request)
        };
        dev.cleaned_up().await;
        let before = dev.table.items().await.len();
        assert_invalid(&send_with("expiresInDays=90").await, "expiresInDays", "not a query parameter");
        assert_invalid(&send_with("x").await, "x", "not a query parameter");
        assert_eq!(dev.table.items().await.len(), before, "{}", valid.operation.id);
        send_with("").await.expect(valid.operation.status);
    }
}

#[tokio::test]
async fn a_condition_that_an_operation_does_not_honour_is_refused() {
    let dev = Dev::start().await;
    let honoured = [
        "updateDock",
        "updateRecipient",
        "deleteRecipient",
        "updatePolicy",
        "deletePolicy",
        "publishPolicy",
        "rollbackPolicy",
        "updateGroup",
        "deleteGroup",
        "updateArtifact",
        "deleteArtifact",
    ];
    for valid in requests(&dev).await {
        let request = || valid.operation.request(&dev, &valid.ids).bearer_auth(&dev.key);
        let answer = send(request().header("if-match", "\"7\"")).await;
        if honoured.contains(&valid.operation.id.as_str()) {
            answer.expect(412);
        } else {
            assert_invalid(&answer, "If-Match", "not a header of this request");
        }
        send(request()).await.expect(valid.operation.status);
    }
}

#[tokio::test]
async fn a_header_that_must_be_single_is_refused_if_it_is_repeated() {
    let dev = Dev::start().await;
    for valid in requests(&dev).await {
        for (name, value) in
            [("idempotency-key", "k"), ("if-match", "\"0\""), ("content-type", "application/json")]
        {
            let request =
                dev.http.request(valid.operation.method.clone(), format!("{}{}", dev.url, valid.path));
            let request = request.bearer_auth(&dev.key).header(name, value).header(name, value);
            let answer = send(match valid.operation.body_of(&valid.ids) {
                Some(body) => request.body(body.to_string()),
                None => request,
            })
            .await;
            let details = answer.expect(400)["details"].clone();
            let field = details[0]["field"].as_str().unwrap();
            assert!(field.eq_ignore_ascii_case(name), "{} with two {name}: {details}", valid.operation.id);
        }
    }
}

#[tokio::test]
async fn the_health_of_the_service_is_told_whatever_else_is_sent() {
    let dev = Dev::start().await;
    let get = || dev.http.get(format!("{}/v1/healthz", dev.url));
    for request in [get().bearer_auth("x"), get().body("x"), get().header("content-encoding", "gzip")] {
        send(request).await.expect(200);
    }
}

#[tokio::test]
async fn a_body_in_disguise_is_refused() {
    let dev = Dev::start().await;
    for (valid, body) in requests_with_body(&dev).await {
        let request = || valid.request(&dev).bearer_auth(&dev.key).header("content-type", "application/json");
        // Plain text that says it is compressed, and the reverse.
        let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0\x43\xbf\xa6\xa3\x02\0\0\0".to_vec();
        for (encoding, body) in [("br", body.to_string().into_bytes()), ("gzip", gzip)] {
            let answer = send(request().header("content-encoding", encoding).body(body)).await;
            let message = answer.expect(415)["message"].as_str().unwrap().to_owned();
            assert!(message.contains(encoding), "{message}");
            assert_eq!(answer.header("accept-encoding"), "identity");
        }
        let twice = valid.request(&dev).bearer_auth(&dev.key).header("content-type", "application/json");
        let twice = twice.header("content-type", "application/json").body(body.to_string());
        assert_invalid(&send(twice).await, "Content-Type", "given once");
        let with_bom = format!("\u{feff}{body}");
        let plain = request().header("content-encoding", "identity").body(with_bom);
        send(plain).await.expect(valid.operation.status);
    }
}

#[tokio::test]
async fn the_health_of_the_service_needs_no_key_and_no_table() {
    let dev = Dev::start().await;
    let answer = send(dev.http.get(format!("{}/v1/healthz", dev.url))).await.expect(200);
    assert_eq!(answer, json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}));
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let dev = Dev::start().await;
    let first = dev.create_recipient(json!({})).await;
    let second = dev.create_recipient(json!({})).await;
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    let logged = format!("request_id=\"{}\"", first.header("x-request-id"));
    let logged_by = std::time::Instant::now();
    while !dev.output().contains(&logged) {
        assert!(logged_by.elapsed() < PATIENCE, "the log does not have {logged}");
        tokio::task::yield_now().await;
    }
}
