//! Changes of a known state: `ETag` and `If-Match`.

use docyard_test_support::dev::{Answer, Dev, send};
use reqwest::Method;
use serde_json::{Value, json};

use crate::assert_invalid;

async fn request(dev: &Dev, method: Method, path: &str, if_match: &str, body: Option<Value>) -> Answer {
    let request = dev.http.request(method, format!("{}{path}", dev.url)).bearer_auth(&dev.key);
    let request = request.header("if-match", if_match);
    send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

/// The paths of a new dock and of a new recipient, and their ETags.
async fn new_things(dev: &Dev) -> [(String, String); 2] {
    let dock = send(dev.post("/v1/docks").json(&json!({"name": "D"}))).await;
    let recipient = dev.create_recipient(json!({"name": "A", "email": "a@example.com"})).await;
    [dock, recipient].map(|made| {
        made.expect(201);
        (made.header("location").to_owned(), made.header("etag").to_owned())
    })
}

#[tokio::test]
async fn an_etag_changes_with_the_thing_and_not_without() {
    let dev = Dev::start().await;
    for (path, created) in new_things(&dev).await {
        assert!(created.starts_with('"') && created.ends_with('"'), "a strong tag: {created}");
        assert_eq!(dev.get(&path).await.header("etag"), created);
        for unchanged in [json!({}), json!({"name": dev.get(&path).await.json()["name"]})] {
            assert_eq!(dev.patch(&path, unchanged).await.header("etag"), created);
        }
        let patched = dev.patch(&path, json!({"name": "B"})).await;
        patched.expect(200);
        assert_ne!(patched.header("etag"), created);
        assert_eq!(dev.get(&path).await.header("etag"), patched.header("etag"));
    }
}

#[tokio::test]
async fn a_change_is_made_to_the_state_that_it_names_alone() {
    let dev = Dev::start().await;
    for (path, first) in new_things(&dev).await {
        let patch = |if_match: String, name: &str| {
            let (dev, path, body) = (&dev, &path, json!({"name": name}));
            async move { request(dev, Method::PATCH, path, &if_match, Some(body)).await }
        };
        let second = patch(first.clone(), "B").await;
        second.expect(200);
        let second = second.header("etag").to_owned();
        for other in [first.as_str(), &format!("W/{second}"), "\"x\""] {
            assert_eq!(
                patch(other.to_owned(), "C").await.expect(412)["error"],
                "Precondition Failed",
                "{other}"
            );
        }
        assert_eq!(dev.get(&path).await.expect(200)["name"], "B");
        patch("*".to_owned(), "C").await.expect(200);
        for malformed in ["", "x", "\"x"] {
            assert_invalid(&patch(malformed.to_owned(), "D").await, "If-Match", "one entity tag");
        }
        assert_invalid(&patch(format!("{second},{second}"), "D").await, "If-Match", "given once");
        let twice = dev.http.patch(format!("{}{path}", dev.url)).bearer_auth(&dev.key).json(&json!({}));
        let twice = send(twice.header("if-match", "\"2\"").header("if-match", "\"2\"")).await;
        assert_invalid(&twice, "If-Match", "given once");
    }
}

#[tokio::test]
async fn of_changes_to_one_state_that_race_one_wins() {
    let dev = Dev::start().await;
    for (path, etag) in new_things(&dev).await {
        let changes = (0..8).map(|n| {
            let request = dev.http.patch(format!("{}{path}", dev.url)).bearer_auth(&dev.key);
            let request = request.header("if-match", &etag).json(&json!({"name": format!("N{n}")}));
            tokio::spawn(send(request))
        });
        let mut statuses = Vec::new();
        for answer in changes.collect::<Vec<_>>() {
            statuses.push(answer.await.unwrap().status);
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [vec![200], vec![412; 7]].concat());
    }
}

#[tokio::test]
async fn a_deletion_of_another_state_takes_nothing() {
    let dev = Dev::start().await;
    let [_, (path, first)] = new_things(&dev).await;
    let id = path.rsplit('/').next().unwrap();
    let (_, value) = dev.secret(id).await;
    let moved = dev.patch(&path, json!({"email": "b@example.com"})).await;
    for other in [first.as_str(), "\"x\""] {
        request(&dev, Method::DELETE, &path, other, None).await.expect(412);
    }
    assert_eq!(dev.verify(id, &value).await["valid"], true, "it keeps its secrets");
    request(&dev, Method::DELETE, &path, moved.header("etag"), None).await.expect(200);
    request(&dev, Method::DELETE, &path, moved.header("etag"), None).await.expect(404);
    dev.cleaned_up().await;
    let left = dev.table.items().await;
    assert!(!left.iter().any(|item| item["pk"].as_s().unwrap().contains(id)), "its secrets go with it");
}
