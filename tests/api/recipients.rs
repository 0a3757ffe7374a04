//! Recipients: created, read, listed, updated, deleted.

use std::collections::BTreeSet;

use docyard_test_support::dev::{Dev, send};
use serde_json::{Value, json};

use crate::{assert_invalid, text};

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
    let account = dev
        .table
        .store
        .dock(docyard_core::values::id::DockId::parse(&dev.dock).unwrap())
        .await
        .unwrap()
        .unwrap()
        .account;
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
    let account = dev
        .table
        .store
        .dock(docyard_core::values::id::DockId::parse(&dev.dock).unwrap())
        .await
        .unwrap()
        .unwrap()
        .account;
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
        json!({"identifiers": {"policy_number": null, "none": null, "badge_id": "B"}}),
        json!({"identifiers": null}),
        json!({"email": "New@Example.com"}),
        json!({"email": "new@example.com", "name": "C"}),
        json!({"email": "a@example.com", "name": "D", "stakeholderClass": "auditor", "identifiers": {"x": "y"}}),
    ] {
        for (field, value) in change.as_object().unwrap() {
            expected[field] = match (field.as_str(), value) {
                ("identifiers", Value::Null) => json!({}),
                ("identifiers", Value::Object(new)) => {
                    let mut merged = expected["identifiers"].clone();
                    merged.as_object_mut().unwrap().extend(new.clone());
                    merged.as_object_mut().unwrap().retain(|_, value| !value.is_null());
                    merged
                }
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
        (json!({"dockId": "dock_x"}), "dockId"),
        (json!({"createdAt": "2025-01-15T10:32:00.000Z"}), "createdAt"),
        (json!({"updatedAt": "2025-01-15T10:32:00.000Z"}), "updatedAt"),
    ] {
        let body = dev.patch(&path_of(&created), change).await.expect(400);
        assert_eq!(body["details"][0]["field"], field);
    }
    assert_eq!(dev.get(&path_of(&created)).await.expect(200), created);
}

#[tokio::test]
async fn what_get_returns_can_be_sent_back() {
    let dev = Dev::start().await;
    let created = recipient(&dev, "a@example.com").await;
    let path = path_of(&created);
    assert_eq!(dev.patch(&path, created.clone()).await.expect(200), created, "unchanged, also the time");
    let mut changed = created.clone();
    changed["name"] = json!("B");
    let updated = dev.patch(&path, changed).await.expect(200);
    assert_eq!(updated["name"], "B");
    assert_eq!(dev.patch(&path, updated.clone()).await.expect(200), updated);
    let errors = dev.patch(&path, json!({"id": "x", "name": null, "createdAt": updated["createdAt"]})).await;
    let details = errors.expect(400)["details"].clone();
    let fields: Vec<&str> = details.as_array().unwrap().iter().map(|error| text(&error["field"])).collect();
    assert_eq!(fields, ["id", "name"], "only what is wrong, and all of it");
    assert!(text(&details[1]["message"]).contains("cannot be cleared"));
    dev.delete(&path).await.expect(200);
    dev.patch(&path, updated).await.expect(404);
}

#[tokio::test]
async fn identifiers_that_are_merged_at_the_same_time_all_stay() {
    let dev = Dev::start().await;
    let path = path_of(&recipient(&dev, "a@example.com").await);
    let merges = (0..6).map(|n| {
        let request = dev.http.patch(format!("{}{path}", dev.url)).bearer_auth(&dev.key);
        tokio::spawn(send(request.json(&json!({"identifiers": {format!("k{n}"): "v"}}))))
    });
    for answer in merges.collect::<Vec<_>>() {
        answer.await.unwrap().expect(200);
    }
    let identifiers = dev.get(&path).await.expect(200)["identifiers"].clone();
    for n in 0..6 {
        assert_eq!(identifiers[format!("k{n}")], "v", "{identifiers}");
    }
}

#[tokio::test]
async fn identifiers_are_at_most_50_after_the_merge() {
    let dev = Dev::start().await;
    let path = path_of(&recipient(&dev, "a@example.com").await);
    let many = |from: usize, to: usize| -> Value {
        json!({"identifiers": (from..to).map(|n| (format!("k{n}"), json!("v"))).collect::<serde_json::Map<_, _>>()})
    };
    dev.patch(&path, json!({"identifiers": null})).await.expect(200);
    dev.patch(&path, many(0, 30)).await.expect(200);
    assert_invalid(&dev.patch(&path, many(30, 51)).await, "identifiers", "at most 50");
    let body = dev.patch(&path, many(30, 50)).await.expect(200);
    assert_eq!(body["identifiers"].as_object().unwrap().len(), 50);
}

#[tokio::test]
async fn a_clock_that_went_back_changes_nothing_before_its_creation() {
    let at = |time: &str| docyard_core::values::clock::Timestamp::parse(time).unwrap();
    let clock = docyard_test_support::clock::TestClock::at(at("2025-01-15T10:32:00.000Z"));
    let table = docyard_test_support::table::TestTable::start().await;
    let account = table.account().await;
    let (key, dock) = (table.key(account).await, table.dock(account).await.to_string());
    let mode = docyard_core::model::api_key::Mode::Live;
    let context = docyard_core::context::Context::new(table.store.clone(), mode, clock.clock());
    let api = docyard_test_support::api::Api::new(context);
    let headers = [("authorization", format!("Bearer {key}"))];
    let person = json!({"name": "A", "email": "a@example.com"}).to_string();
    let created = api.ask("create-recipient", &[("dockId", &dock)], "", &headers, Some(person)).await;
    let id = created.id(201);
    let of = [("dockId", dock.as_str()), ("recipientId", id.as_str())];
    for (time, name) in [
        ("2025-01-15T10:00:00.000Z", "B"),
        ("2025-01-15T11:00:00.000Z", "C"),
        ("2025-01-15T10:45:00.000Z", "D"),
    ] {
        clock.set(at(time));
        let body = json!({"name": name}).to_string();
        let updated = api.ask("update-recipient", &of, "", &headers, Some(body)).await;
        assert_eq!(updated.status, 200);
        let expected = if name == "B" { "2025-01-15T10:32:00.000Z" } else { "2025-01-15T11:00:00.000Z" };
        assert_eq!(updated.body["updatedAt"], expected, "{name}");
    }
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

mod create {
    use docyard_core::values::clock::Clock;
    use proptest::prelude::*;
    use proptest::test_runner::{Config as ProptestConfig, TestRunner};

    use super::*;
    use crate::{assert_invalid, is_id, is_timestamp, without_request_id};

    const NDA_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[tokio::test]
    async fn the_reference_examples_give_exactly_the_reference_fields() {
        let dev = Dev::start().await;
        let mortgagee = json!({"lender_id": "LND-4821", "policy_number": "POL-2025-88401"});
        let policyholder = json!({"phone": "+1-860-555-0147", "date_of_birth": "1983-06-15", "policy_number": "POL-2025-88401"});
        let auditor = json!({"badge_id": "AUD-DT-2025-0042", "nda_hash": format!("sha256:{NDA_HASH}")});
        for (name, email, class, identifiers) in [
            ("First National Bank", "bulk@firstnational.example", "mortgagee", Some(mortgagee)),
            ("James Whitfield", "james@whitfield.example", "policyholder", None),
            ("James Whitfield", "jw@whitfield.example", "policyholder", Some(policyholder)),
            ("Deloitte — Maria Gonzalez", "maria@deloitte.example", "auditor", Some(auditor)),
        ] {
            let mut request = json!({"name": name, "email": email, "stakeholderClass": class});
            if let Some(identifiers) = &identifiers {
                request["identifiers"] = identifiers.clone();
            }
            let answer = dev.create_recipient(request).await;
            let mut body = answer.expect(201);
            let (id, created_at) = (body["id"].take(), body["createdAt"].take());
            assert!(is_id(&id, "rcp_") && is_timestamp(&created_at), "{}", answer.text);
            let expected = json!({
                "id": null, "dockId": dev.dock, "name": name, "email": email, "stakeholderClass": class,
                "identifiers": identifiers.unwrap_or(json!({})), "createdAt": null,
            });
            assert_eq!(body, expected);
            let location = format!("/v1/docks/{}/recipients/{}", dev.dock, id.as_str().unwrap());
            assert_eq!(answer.header("location"), location);
        }
    }

    #[tokio::test]
    async fn name_and_email_are_all_that_is_needed() {
        let dev = Dev::start().await;
        for request in [
            json!({"name": "A", "email": "a@example.com"}),
            json!({"name": "B", "email": "b@example.com", "stakeholderClass": null, "identifiers": null}),
            json!({"name": "C", "email": "c@example.com", "identifiers": {}}),
        ] {
            let body = dev.create_recipient(request).await.expect(201);
            assert_eq!((&body["stakeholderClass"], &body["identifiers"]), (&Value::Null, &json!({})));
        }
    }

    #[tokio::test]
    async fn what_is_stored_and_returned_is_normalised() {
        let dev = Dev::start().await;
        let identifiers =
            json!({"nda_hash": NDA_HASH.to_uppercase(), "phone": "+1 (860) 555.0147", "x": " y  z "});
        let request =
            json!({"name": "  Ünï 🔑 ", "email": " Bulk@First.EXAMPLE ", "identifiers": identifiers});
        let body = dev.create_recipient(request).await.expect(201);
        assert_eq!(
            (body["name"].as_str(), body["email"].as_str()),
            (Some("Ünï 🔑"), Some("bulk@first.example"))
        );
        let stored =
            json!({"nda_hash": format!("sha256:{NDA_HASH}"), "phone": "+1 (860) 555.0147", "x": "y  z"});
        assert_eq!(body["identifiers"], stored);
    }

    #[tokio::test]
    async fn an_email_is_registered_once_per_dock_whatever_its_case() {
        let mut dev = Dev::start().await;
        let first = dev.create_recipient(json!({"name": "A", "email": "one@example.com"})).await.expect(201);
        let again = dev.create_recipient(json!({"name": "B", "email": "ONE@example.com"})).await;
        let body = again.expect(409);
        assert_eq!(body["error"], "Conflict");
        assert_eq!(body["recipientId"], first["id"], "so that a client that retries can go on");

        let dock = docyard_core::values::id::DockId::parse(&dev.dock).unwrap();
        let account = dev.table.store.dock(dock).await.unwrap().unwrap().account;
        dev.dock = dev.table.dock(account).await.to_string();
        dev.create_recipient(json!({"name": "A", "email": "one@example.com"})).await.expect(201);
    }

    #[tokio::test]
    async fn of_64_that_race_for_one_email_one_wins_and_the_rest_get_409() {
        let dev = Dev::start().await;
        let requests = (0..64).map(|n| {
            let email = if n % 2 == 0 { "race@example.com" } else { "RACE@Example.com" };
            let request = dev.post(&dev.recipients_path()).json(&json!({"name": "R", "email": email}));
            tokio::spawn(send(request))
        });
        let mut statuses = Vec::new();
        let mut winner = String::new();
        let mut holders = Vec::new();
        for answer in requests.collect::<Vec<_>>() {
            let answer = answer.await.unwrap();
            statuses.push(answer.status);
            match answer.status {
                201 => winner = answer.json()["id"].as_str().unwrap().to_owned(),
                _ => holders.push(answer.expect(409)["recipientId"].as_str().unwrap().to_owned()),
            }
        }
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1);
        assert_eq!(holders.len(), 63);
        assert!(holders.iter().all(|holder| *holder == winner), "every 409 names the winner");
        assert_eq!(dev.table.recipients().await, (vec![winner.clone()], vec![winner.clone()]));
        dev.generate_secret(&winner, json!({"name": "At once"})).await.expect(201);
    }

    #[tokio::test]
    async fn every_field_has_its_rule() {
        let dev = Dev::start().await;
        let nda_hash = |value: &str| json!({"identifiers": {"nda_hash": value}});
        let phone = |value: &str| json!({"identifiers": {"phone": value}});
        let born = |value: &str| json!({"identifiers": {"date_of_birth": value}});
        let many: serde_json::Map<String, Value> = (0..51).map(|n| (format!("k{n}"), json!("v"))).collect();
        for (change, field, message) in [
            (json!({"name": null}), "name", "is required"),
            (json!({"name": 1}), "name", "must be a string"),
            (json!({"name": " "}), "name", "1 to 200 characters"),
            (json!({"name": "x".repeat(201)}), "name", "1 to 200 characters"),
            (json!({"name": "a\nb"}), "name", "control characters"),
            (json!({"email": null}), "email", "is required"),
            (json!({"email": ["a@b.c"]}), "email", "must be a string"),
            (json!({"email": "not an address"}), "email", "valid email address"),
            (json!({"email": "a..b@example.com"}), "email", "valid email address"),
            (json!({"email": "a@localhost"}), "email", "valid email address"),
            (json!({"email": format!("{}@example.com", "x".repeat(65))}), "email", "valid email address"),
            (json!({"email": format!("a@{}com", "example.".repeat(32))}), "email", "at most 254"),
            (
                json!({"stakeholderClass": "Mortgagee"}),
                "stakeholderClass",
                "mortgagee, agent, policyholder, auditor",
            ),
            (json!({"stakeholderClass": 1}), "stakeholderClass", "must be a string"),
            (json!({"identifiers": []}), "identifiers", "must be an object"),
            (json!({"identifiers": "x"}), "identifiers", "must be an object"),
            (json!({"identifiers": many}), "identifiers", "at most 50"),
            (json!({"identifiers": {"1st": "v"}}), "identifiers.1st", "starting with a letter"),
            (json!({"identifiers": {"k": 1}}), "identifiers.k", "must be a string"),
            (json!({"identifiers": {"k": null}}), "identifiers.k", "must be a string"),
            (json!({"identifiers": {"k": ""}}), "identifiers.k", "1 to 512 characters"),
            (json!({"identifiers": {"k": "x".repeat(513)}}), "identifiers.k", "1 to 512 characters"),
            (json!({"identifiers": {"k": "a\tb"}}), "identifiers.k", "control characters"),
            (nda_hash("sha256:e3b0c442"), "identifiers.nda_hash", "64 hex digits"),
            (born("1983-02-30"), "identifiers.date_of_birth", "calendar date"),
            (born("9999-01-01"), "identifiers.date_of_birth", "in the future"),
            (phone("860-555-0147"), "identifiers.phone", "7 to 15 digits"),
            (json!({"nmae": "typo"}), "nmae", "not a field"),
        ] {
            let mut request = json!({"name": "A", "email": "a@example.com"});
            request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            assert_invalid(&dev.create_recipient(request).await, field, message);
        }
        assert_eq!(dev.table.recipients().await, (vec![], vec![]), "nothing was written");
    }

    #[tokio::test]
    async fn all_that_is_wrong_is_said_at_once() {
        let dev = Dev::start().await;
        let request =
            json!({"email": "x", "stakeholderClass": "y", "identifiers": {"a": 1, "b": ""}, "z": 1});
        let body = dev.create_recipient(request).await.expect(400);
        let fields: Vec<&str> = body["details"]
            .as_array()
            .unwrap()
            .iter()
            .map(|detail| detail["field"].as_str().unwrap())
            .collect();
        assert_eq!(fields, ["name", "email", "stakeholderClass", "identifiers.a", "identifiers.b", "z"]);
        assert_eq!(body["message"], "name is required (and 5 more problems: see details)");
    }

    #[tokio::test]
    async fn a_date_of_birth_may_be_today_anywhere_on_earth() {
        let dev = Dev::start().await;
        let request = |n: usize, date: &str| {
            let email = format!("{n}@example.com");
            json!({"name": "A", "email": email, "identifiers": {"date_of_birth": date}})
        };
        let now = Clock::system().now();
        let latest = &now.plus_hours(14).to_string()[..10];
        dev.create_recipient(request(1, latest)).await.expect(201);
        let future = &now.plus_days(2).to_string()[..10];
        let refused = dev.create_recipient(request(2, future)).await;
        assert_invalid(&refused, "identifiers.date_of_birth", "in the future");
        let refused = dev.create_recipient(request(3, "1849-12-31")).await;
        assert_invalid(&refused, "identifiers.date_of_birth", "1850");
    }

    #[tokio::test]
    async fn a_dock_that_does_not_exist_or_is_anothers_is_not_found_in_the_same_words() {
        let mut dev = Dev::start().await;
        let foreign = dev.table.dock(dev.table.account().await).await.to_string();
        let unknown = "dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";
        let mut answers = Vec::new();
        for dock in [unknown, &foreign, "dock_x", "x", "%00", "%F0%9F%94%91", "..%2F..", &"x".repeat(5000)] {
            dev.dock = dock.to_owned();
            let answer = dev.create_recipient(json!({"name": "A", "email": "a@example.com"})).await;
            assert_eq!(answer.expect(404)["message"], "Dock not found", "{dock}");
            answers.push(without_request_id(&answer));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }

    #[tokio::test]
    async fn what_is_answered_is_what_is_stored() {
        let dev = std::sync::Arc::new(Dev::start().await);
        let name = "[\\PC]{1,40}"
            .prop_filter("a name", |name| docyard_core::values::text::Text::parse(name).is_ok());
        let email = "[A-Za-z0-9.+_-]{1,20}@[A-Za-z0-9-]{1,10}\\.[a-z]{2,5}"
            .prop_filter("an address", |email| docyard_core::values::email::Email::parse(email).is_ok());
        let class =
            prop::option::of(prop::sample::select(vec!["mortgagee", "agent", "policyholder", "auditor"]));
        let value = "\\PC{1,30}".prop_filter("a value", |value| {
            docyard_core::values::text::check(value, 30, "").is_ok_and(|trimmed| trimmed == value)
        });
        let identifiers = prop::collection::btree_map("[a-zA-Z][a-zA-Z0-9_-]{0,10}", value, 0..5);
        // The runner wants a closure that is not async; each case blocks a thread of its own.
        let handle = tokio::runtime::Handle::current();
        let runner_dev = dev.clone();
        tokio::task::spawn_blocking(move || {
            let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
            let cases = (name, email, class, identifiers);
            TestRunner::new(config)
                .run(&cases, |(name, email, class, identifiers)| {
                    let request =
                        json!({"name": name, "email": email, "stakeholderClass": class, "identifiers": identifiers});
                    let answer = handle.block_on(runner_dev.create_recipient(request));
                    if answer.status == 409 {
                        return Ok(());
                    }
                    let body = answer.expect(201);
                    let items = handle.block_on(runner_dev.table.items());
                    let item = items.into_iter().find(|item| {
                        item.get("id").and_then(|id| id.as_s().ok()).map(String::as_str) == body["id"].as_str()
                    });
                    let mut stored: Value = serde_dynamo::aws_sdk_dynamodb_1::from_item(item.unwrap()).unwrap();
                    let stored = stored.as_object_mut().unwrap();
                    for internal in ["pk", "sk", "account", "version"] {
                        stored.remove(internal).unwrap();
                    }
                    let dock = stored.remove("dock").unwrap();
                    stored.insert("dockId".to_owned(), dock);
                    stored.entry("stakeholderClass").or_insert(Value::Null);
                    prop_assert_eq!(&Value::Object(stored.clone()), &body);
                    Ok(())
                })
                .unwrap();
        })
        .await
        .unwrap();
    }
}
