//! Recipients after their creation: found, listed, corrected, removed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod dev;
mod support;

use std::collections::BTreeSet;

use dev::{Dev, send};
use serde_json::{Value, json};

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// A recipient as its creation showed it.
async fn recipient(dev: &Dev, email: &str) -> Value {
    let identifiers = json!({"lender_id": "LND-4821"});
    let request =
        json!({"name": "A", "email": email, "stakeholderClass": "mortgagee", "identifiers": identifiers});
    dev.create_recipient(request).await.expect(201)
}

fn path_of(recipient: &Value) -> String {
    format!("/v1/docks/{}/recipients/{}", text(&recipient["dockId"]), text(&recipient["id"]))
}

/// A path to a recipient of another account.
async fn foreign_path(dev: &Dev) -> String {
    let account = dev.table.account().await;
    let (key, dock) = (dev.table.key(account).await, dev.table.dock(account).await);
    let request = dev.http.post(format!("{}/v1/docks/{dock}/recipients", dev.url)).bearer_auth(key);
    path_of(&send(request.json(&json!({"name": "F", "email": "f@example.com"}))).await.expect(201))
}

#[tokio::test]
async fn a_recipient_is_shown_as_it_was_created() {
    let dev = Dev::start().await;
    let created = recipient(&dev, "a@example.com").await;
    assert_eq!(dev.get(&path_of(&created)).await.expect(200), created);
}

#[tokio::test]
async fn what_is_not_in_the_dock_is_not_found() {
    let dev = Dev::start().await;
    let created = recipient(&dev, "a@example.com").await;
    let account =
        dev.table.store.dock(docyard_core::values::id::DockId::parse(&dev.dock).unwrap()).await.unwrap().unwrap().account;
    let other_dock = dev.table.dock(account).await;
    let id = text(&created["id"]);
    for path in [
        format!("/v1/docks/{}/recipients/rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0", dev.dock),
        format!("/v1/docks/{}/recipients/x", dev.dock),
        format!("/v1/docks/{other_dock}/recipients/{id}"),
        format!("/v1/docks/x/recipients/{id}"),
        foreign_path(&dev).await,
    ] {
        let not_found = json!({"statusCode": 404, "message": "Recipient not found", "error": "Not Found"});
        assert_eq!(dev.get(&path).await.expect(404), not_found, "{path}");
        assert_eq!(dev.patch(&path, json!({"name": "B"})).await.expect(404), not_found, "{path}");
        assert_eq!(dev.patch(&path, json!({})).await.expect(404), not_found, "{path}");
        assert_eq!(dev.delete(&path).await.expect(404), not_found, "{path}");
    }
    assert_eq!(dev.get(&path_of(&created)).await.expect(200), created);
}

#[tokio::test]
async fn a_list_is_ordered_by_email_and_paged_by_link() {
    let dev = Dev::start().await;
    let list = dev.recipients_path();
    assert_eq!(dev.pages(&list).await, (vec![], 1));
    let mut created = Vec::new();
    for email in ["m@x.io", "~@x.io", "a@x.io", "~~~@x.io", "z@x.io", "!@x.io", "0@x.io"] {
        created.push(recipient(&dev, email).await);
    }
    created.sort_by_key(|recipient| text(&recipient["email"]).to_owned());
    for (limit, pages) in [(1, 7), (2, 4), (3, 3), (6, 2), (7, 1), (1000, 1)] {
        assert_eq!(
            dev.pages(&format!("{list}?limit={limit}")).await,
            (created.clone(), pages),
            "limit {limit}"
        );
    }
    assert_eq!(dev.pages(&list).await, (created, 1));
}

#[tokio::test]
async fn a_list_has_100_things_where_nothing_else_is_asked_for() {
    let dev = Dev::start().await;
    for n in 0..101 {
        recipient(&dev, &format!("{n}@example.com")).await;
    }
    let answer = dev.get(&dev.recipients_path()).await;
    assert_eq!(answer.expect(200).as_array().unwrap().len(), 100);
    assert!(answer.next().unwrap().starts_with(&format!("{}?limit=100&cursor=", dev.recipients_path())));
}

#[tokio::test]
async fn paging_neither_skips_nor_repeats_what_stood_there_throughout() {
    let dev = Dev::start().await;
    let mut throughout = BTreeSet::new();
    for n in 0..10 {
        throughout.insert(format!("k{n}@example.com"));
        recipient(&dev, &format!("k{n}@example.com")).await;
    }
    let passing = recipient(&dev, "k3x@example.com").await;
    let mut seen = Vec::new();
    let mut next = Some(format!("{}?limit=2", dev.recipients_path()));
    let mut page = 0;
    while let Some(path) = next {
        let answer = dev.get(&path).await;
        seen.extend(answer.expect(200).as_array().unwrap().iter().map(|r| text(&r["email"]).to_owned()));
        next = answer.next();
        // Before and behind where the page ends, things come; and the one that it ends with may go.
        recipient(&dev, &format!("a{page}@example.com")).await;
        recipient(&dev, &format!("k9{page}@example.com")).await;
        if seen.last().is_some_and(|email| email == "k3x@example.com") {
            dev.delete(&path_of(&passing)).await.expect(200);
        }
        page += 1;
    }
    let counted: Vec<&String> = seen.iter().filter(|email| throughout.contains(*email)).collect();
    assert_eq!(counted, throughout.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn one_is_found_by_its_email() {
    let dev = Dev::start().await;
    let list = dev.recipients_path();
    let created = recipient(&dev, "a+b@example.com").await;
    for email in ["a%2Bb%40example.com", "A%2BB@Example.com"] {
        let answer = dev.get(&format!("{list}?email={email}")).await;
        assert_eq!(answer.expect(200), json!([created]));
        assert_eq!(answer.next(), None);
    }
    assert_eq!(dev.get(&format!("{list}?email=b@example.com")).await.expect(200), json!([]));
    let body = dev.get(&format!("{list}?email=x")).await.expect(400);
    assert_eq!(body["details"][0]["field"], "email");
}

#[tokio::test]
async fn a_wrong_list_parameter_is_named() {
    let dev = Dev::start().await;
    let list = dev.recipients_path();
    recipient(&dev, "a@example.com").await;
    recipient(&dev, "b@example.com").await;
    let account =
        dev.table.store.dock(docyard_core::values::id::DockId::parse(&dev.dock).unwrap()).await.unwrap().unwrap().account;
    let other = format!("/v1/docks/{}/recipients", dev.table.dock(account).await);
    let next = dev.get(&format!("{list}?limit=1")).await.next().unwrap();
    let cursor = next.split("cursor=").nth(1).unwrap();
    for (path, field) in [
        (format!("{list}?limit=0"), "limit"),
        (format!("{list}?limit=1001"), "limit"),
        (format!("{list}?limit=x"), "limit"),
        (format!("{list}?limit=1&limit=1"), "limit"),
        (format!("{list}?offset=10"), "offset"),
        (format!("{list}?cursor=x"), "cursor"),
        (format!("{list}?cursor={}", &cursor[1..]), "cursor"),
        (format!("{other}?cursor={cursor}"), "cursor"),
    ] {
        let body = dev.get(&path).await.expect(400);
        assert_eq!(body["details"][0]["field"], field, "{path}: {body}");
    }
    dev.get("/v1/docks/x/recipients?limit=0").await.expect(400);
    assert_eq!(dev.get("/v1/docks/x/recipients").await.expect(404)["message"], "Dock not found");
    let foreign = dev.table.dock(dev.table.account().await).await;
    for query in ["", "?email=f@example.com"] {
        let answer = dev.get(&format!("/v1/docks/{foreign}/recipients{query}")).await;
        assert_eq!(answer.expect(404)["message"], "Dock not found");
    }
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let dev = Dev::start().await;
    let mut expected = recipient(&dev, "a@example.com").await;
    let path = path_of(&expected);
    assert_eq!(dev.patch(&path, json!({})).await.expect(200), expected, "an empty one changes nothing");
    for change in [
        json!({"name": " B "}),
        json!({"identifiers": {"policy_number": "POL-1"}}),
        json!({"stakeholderClass": "agent"}),
        json!({"stakeholderClass": null}),
        json!({"identifiers": null}),
        json!({"email": "New@Example.com"}),
        json!({"email": "new@example.com", "name": "C"}),
        json!({"email": "a@example.com", "name": "D", "stakeholderClass": "auditor", "identifiers": {"x": "y"}}),
    ] {
        for (field, value) in change.as_object().unwrap() {
            expected[field] = match (field.as_str(), value) {
                ("identifiers", Value::Null) => json!({}),
                ("name", value) => json!(text(value).trim()),
                ("email", value) => json!(text(value).to_lowercase()),
                (_, value) => value.clone(),
            };
        }
        let mut body = dev.patch(&path, change.clone()).await.expect(200);
        assert_eq!(dev.get(&path).await.expect(200), body, "{change}");
        let updated_at = body.as_object_mut().unwrap().remove("updatedAt").unwrap();
        assert!(text(&updated_at) >= text(&body["createdAt"]));
        assert_eq!(body, expected, "{change}");
    }
    let request = dev.http.patch(format!("{}{path}", dev.url)).bearer_auth(&dev.key);
    let merge_patch = request.header("content-type", "application/merge-patch+json").body(r#"{"name":"E"}"#);
    assert_eq!(send(merge_patch).await.expect(200)["name"], "E");
}

#[tokio::test]
async fn a_patch_is_held_to_the_rules_of_creation() {
    let dev = Dev::start().await;
    let created = recipient(&dev, "a@example.com").await;
    for (change, field) in [
        (json!({"name": null}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"email": null}), "email"),
        (json!({"email": "x"}), "email"),
        (json!({"stakeholderClass": "x"}), "stakeholderClass"),
        (json!({"identifiers": {"nda_hash": "x"}}), "identifiers.nda_hash"),
        (json!({"id": "rcp_x"}), "id"),
    ] {
        let body = dev.patch(&path_of(&created), change).await.expect(400);
        assert_eq!(body["details"][0]["field"], field);
    }
    assert_eq!(dev.get(&path_of(&created)).await.expect(200), created);
}

#[tokio::test]
async fn a_new_email_frees_the_old_one_and_takes_none_from_another() {
    let dev = Dev::start().await;
    let a = recipient(&dev, "a@example.com").await;
    let b = recipient(&dev, "b@example.com").await;
    let body = dev.patch(&path_of(&a), json!({"email": "B@example.com", "name": "X"})).await.expect(409);
    assert_eq!(body["recipientId"], b["id"]);
    assert_eq!(dev.get(&path_of(&a)).await.expect(200), a);
    let (secret, value) = dev.secret(text(&a["id"])).await;

    dev.patch(&path_of(&a), json!({"email": "c@example.com"})).await.expect(200);
    dev.patch(&path_of(&b), json!({"email": "a@example.com"})).await.expect(200);
    let emails: Vec<Value> =
        dev.pages(&dev.recipients_path()).await.0.iter().map(|r| r["email"].clone()).collect();
    assert_eq!(emails, ["a@example.com", "c@example.com"]);
    assert_eq!(dev.verify(text(&a["id"]), &value).await["secretId"], secret, "its secrets stay its own");
    let (recipients, pointers) = dev.table.recipients().await;
    assert_eq!((recipients.len(), &recipients), (2, &pointers));
}

#[tokio::test]
async fn changes_at_the_same_time_do_not_undo_one_another() {
    let dev = Dev::start().await;
    let created = recipient(&dev, "a@example.com").await;
    let path = path_of(&created);
    for round in 0..10 {
        let (email, name) = (format!("r{round}@example.com"), format!("N{round}"));
        let (moved, renamed) =
            tokio::join!(dev.patch(&path, json!({"email": email})), dev.patch(&path, json!({"name": name})));
        moved.expect(200);
        renamed.expect(200);
        let body = dev.get(&path).await.expect(200);
        assert_eq!((&body["email"], &body["name"]), (&json!(email), &json!(name)));
    }
}

#[tokio::test]
async fn of_those_that_race_for_one_email_by_changing_to_it_one_wins() {
    let dev = Dev::start().await;
    let mut paths = Vec::new();
    for n in 0..8 {
        paths.push(path_of(&recipient(&dev, &format!("{n}@example.com")).await));
    }
    let requests = paths.iter().map(|path| {
        let request = dev.http.patch(format!("{}{path}", dev.url)).bearer_auth(&dev.key);
        tokio::spawn(send(request.json(&json!({"email": "wanted@example.com"}))))
    });
    let mut statuses = Vec::new();
    for answer in requests.collect::<Vec<_>>() {
        statuses.push(answer.await.unwrap().status);
    }
    statuses.sort();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    let (recipients, pointers) = dev.table.recipients().await;
    assert_eq!((recipients.len(), &recipients), (8, &pointers));
}

#[tokio::test]
async fn once_it_is_deleted_nothing_of_a_recipient_verifies_and_its_email_is_free() {
    let dev = Dev::start().await;
    let created = recipient(&dev, "a@example.com").await;
    let id = text(&created["id"]);
    let mut values = Vec::new();
    for n in 0..30 {
        let (secret, value) = dev.secret(id).await;
        if n % 3 == 0 {
            send(dev.post(&format!("/v1/recipients/{id}/secrets/{secret}/revoke"))).await.expect(200);
        }
        values.push(value);
    }
    assert_eq!(dev.delete(&path_of(&created)).await.expect(200), json!({"success": true}));
    assert_eq!(dev.delete(&path_of(&created)).await.expect(404)["message"], "Recipient not found");
    dev.get(&path_of(&created)).await.expect(404);
    let again = recipient(&dev, "a@example.com").await;
    assert_ne!(again["id"], created["id"]);
    for value in &values {
        let verify = dev.post(&format!("/v1/recipients/{id}/secrets/verify")).json(&json!({"secret": value}));
        send(verify).await.expect(404);
        assert_eq!(dev.verify(text(&again["id"]), value).await, json!({"valid": false, "secretId": null}));
    }
    let leftovers =
        dev.table.items().await.into_iter().filter(|item| item["pk"].as_s().unwrap().contains(id));
    assert_eq!(leftovers.count(), 0);
}
