//! Docks: created, listed, read, updated.

use aws_sdk_dynamodb::types::AttributeValue;
use docyard_core::values::id::DockId;
use docyard_test_support::dev::{Answer, Dev, send};
use docyard_test_support::table::TABLE;
use serde_json::{Value, json};

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

async fn create(dev: &Dev, body: Value) -> Answer {
    send(dev.post("/v1/docks").json(&body)).await
}

fn path_of(dock: &Value) -> String {
    format!("/v1/docks/{}", dock["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_dock_is_made_for_the_account_of_the_key_and_works_at_once() {
    let mut dev = Dev::start().await;
    let profile = json!({
        "name": " First National ", "domain": "firstnational.example", "legalName": "First National Bank, N.A.",
        "businessType": "lender", "businessEmail": "Ops@firstnational.example",
    });
    let answer = create(&dev, profile.clone()).await;
    let dock = answer.expect(201);
    assert_eq!(answer.header("location"), path_of(&dock));
    for (field, value) in profile.as_object().unwrap() {
        let value = value.as_str().unwrap();
        let stored = if field == "businessEmail" { value.to_lowercase() } else { value.trim().to_owned() };
        assert_eq!(dock[field], stored, "{field}");
    }
    assert!(dock["id"].as_str().unwrap().starts_with("dock_") && dock["createdAt"].is_string());
    assert_eq!(dock.as_object().unwrap().len(), 7);
    assert_eq!(dev.get(&path_of(&dock)).await.expect(200), dock);
    dev.dock = dock["id"].as_str().unwrap().to_owned();
    dev.recipient().await;
}

#[tokio::test]
async fn a_name_is_all_that_a_dock_needs() {
    let dev = Dev::start().await;
    for body in [json!({"name": "D"}), json!({"name": "D", "domain": null, "businessEmail": null})] {
        let dock = create(&dev, body).await.expect(201);
        for field in ["domain", "legalName", "businessType", "businessEmail"] {
            assert!(dock[field].is_null());
        }
    }
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": " "}), "name"),
        (json!({"name": "D", "domain": 1}), "domain"),
        (json!({"name": "D", "legalName": ""}), "legalName"),
        (json!({"name": "D", "businessType": "a\nb"}), "businessType"),
        (json!({"name": "D", "businessEmail": "x"}), "businessEmail"),
        (json!({"name": "D", "domain": "https://a.example"}), "domain"),
        (json!({"name": "D", "domian": "x"}), "domian"),
    ] {
        assert_eq!(create(&dev, body).await.expect(400)["details"][0]["field"], field);
    }
}

#[tokio::test]
async fn the_list_shows_the_accounts_docks_newest_first() {
    let dev = Dev::start().await;
    let mut docks = vec![dev.get(&format!("/v1/docks/{}", dev.dock)).await.expect(200)];
    for n in 0..6 {
        docks.insert(0, create(&dev, json!({"name": format!("D{n}")})).await.expect(201));
    }
    let foreign = dev.table.account().await;
    dev.table.dock(foreign).await;
    let foreign_key = dev.table.key(foreign).await;
    for (limit, pages) in [(1, 7), (3, 3), (7, 1), (1000, 1)] {
        assert_eq!(
            dev.pages(&format!("/v1/docks?limit={limit}")).await,
            (docks.clone(), pages),
            "limit {limit}"
        );
    }
    assert_eq!(dev.pages("/v1/docks").await, (docks, 1));
    for query in ["limit=0", "limit=1&limit=2", "name=D", "cursor=x"] {
        dev.get(&format!("/v1/docks?{query}")).await.expect(400);
    }
    let next = dev.get("/v1/docks?limit=1").await.next().unwrap();
    let request = dev.http.get(format!("{}{next}", dev.url)).bearer_auth(foreign_key);
    assert_eq!(send(request).await.expect(400)["details"][0]["field"], "cursor", "of another account");
}

#[tokio::test]
async fn a_patch_changes_what_it_names_in_the_list_too() {
    let dev = Dev::start().await;
    let mut expected = create(&dev, json!({"name": "D", "domain": "a.example"})).await.expect(201);
    let path = path_of(&expected);
    assert_eq!(dev.patch(&path, json!({})).await.expect(200), expected);
    for change in [
        json!({"name": "E"}),
        json!({"legalName": "L", "businessType": "T"}),
        json!({"domain": null}),
        json!({"domain": "b.example", "businessEmail": "x@b.example", "legalName": null}),
    ] {
        expected.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(dev.patch(&path, change).await.expect(200), expected);
        assert_eq!(dev.get(&path).await.expect(200), expected);
        assert_eq!(dev.get("/v1/docks?limit=1").await.expect(200), json!([expected]));
    }
    for (change, field) in
        [(json!({"name": null}), "name"), (json!({"domain": ""}), "domain"), (json!({"id": "x"}), "id")]
    {
        assert_eq!(dev.patch(&path, change).await.expect(400)["details"][0]["field"], field);
    }
}

#[tokio::test]
async fn what_was_stored_by_older_rules_is_shown_and_refused_when_sent_again() {
    let dev = Dev::start().await;
    let path = format!("/v1/docks/{}", dev.dock);
    for item in dev.table.items().await {
        let is_dock =
            [&item["pk"], &item["sk"]].iter().any(|key| **key == text(&format!("DOCK#{}", dev.dock)));
        if !is_dock {
            continue;
        }
        let update = dev.table.client.update_item().table_name(TABLE).key("pk", item["pk"].clone());
        let update =
            update.key("sk", item["sk"].clone()).update_expression("SET #d = :d, businessEmail = :e");
        let update = update.expression_attribute_names("#d", "domain");
        let update = update.expression_attribute_values(":d", text("First National"));
        update.expression_attribute_values(":e", text("none")).send().await.unwrap();
    }
    let shown = dev.get(&path).await.expect(200);
    assert_eq!((&shown["domain"], &shown["businessEmail"]), (&json!("First National"), &json!("none")));
    let kept = dev.patch(&path, json!({"name": "B"})).await.expect(200);
    assert_eq!((&kept["domain"], &kept["name"]), (&json!("First National"), &json!("B")));
    let details = dev.patch(&path, kept).await.expect(400)["details"].clone();
    assert_eq!((&details[0]["field"], &details[1]["field"]), (&json!("domain"), &json!("businessEmail")));
    let cleared = dev.patch(&path, json!({"domain": null, "businessEmail": null})).await.expect(200);
    assert!(cleared["domain"].is_null());
}

#[tokio::test]
async fn changes_at_the_same_time_do_not_undo_one_another() {
    let dev = Dev::start().await;
    let path = path_of(&create(&dev, json!({"name": "D"})).await.expect(201));
    for round in 0..10 {
        let text = format!("r{round}");
        let (a, b, c) = tokio::join!(
            dev.patch(&path, json!({"name": text})),
            dev.patch(&path, json!({"businessType": text})),
            dev.patch(&path, json!({"legalName": text})),
        );
        for answer in [a, b, c] {
            answer.expect(200);
        }
        let dock = dev.get(&path).await.expect(200);
        assert_eq!(
            (&dock["name"], &dock["businessType"], &dock["legalName"]),
            (&json!(text), &json!(text), &json!(text))
        );
    }
}

#[tokio::test]
async fn a_dock_that_does_not_exist_or_is_anothers_is_not_found() {
    let dev = Dev::start().await;
    let foreign = dev.table.dock(dev.table.account().await).await;
    for dock in ["dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0", "x", &foreign.to_string()] {
        let not_found = json!({"statusCode": 404, "message": "Dock not found", "error": "Not Found"});
        assert_eq!(dev.get(&format!("/v1/docks/{dock}")).await.expect(404), not_found);
        assert_eq!(
            dev.patch(&format!("/v1/docks/{dock}"), json!({"name": "X"})).await.expect(404),
            not_found
        );
        assert_eq!(dev.patch(&format!("/v1/docks/{dock}"), json!({})).await.expect(404), not_found);
    }
    let stored = dev.table.store.dock(DockId::parse(&foreign.to_string()).unwrap()).await.unwrap().unwrap();
    assert_eq!(stored.name.as_str(), "A dock");
}
