//! Creation that can be repeated: the `Idempotency-Key` header.

use aws_sdk_dynamodb::types::AttributeValue;
use docyard_test_support::dev::{Answer, Dev, send};
use docyard_test_support::table::TABLE;
use serde_json::{Value, json};

async fn post(dev: &Dev, path: &str, key: &str, body: &Value) -> Answer {
    send(dev.post(path).header("idempotency-key", key).json(body)).await
}

fn person(email: &str) -> Value {
    json!({"name": "A", "email": email})
}

#[tokio::test]
async fn a_repeated_creation_gives_the_first_answer_and_makes_nothing_more() {
    let dev = Dev::start().await;
    let recipients = dev.recipients_path();
    for (path, body) in [("/v1/docks", json!({"name": "D"})), (&recipients, person("a@example.com"))] {
        let first = post(&dev, path, "k1", &body).await;
        let made = first.expect(201);
        for _ in 0..2 {
            let again = post(&dev, path, "k1", &body).await;
            assert_eq!(again.expect(201), made);
            assert_eq!(
                (first.header("idempotent-replayed"), again.header("idempotent-replayed")),
                ("", "true")
            );
            assert_eq!(again.header("etag"), first.header("etag"));
            assert_eq!(again.header("location"), first.header("location"));
            assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
        }
    }
    assert_eq!(dev.table.recipients().await.0.len(), 1);
    assert_eq!(dev.pages("/v1/docks").await.0.len(), 2, "the one that was there and the new one");
}

#[tokio::test]
async fn the_value_of_a_secret_is_not_shown_again() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let path = format!("/v1/recipients/{recipient}/secrets");
    let mut first = post(&dev, &path, "k1", &json!({"name": "S", "expiresInDays": 9})).await.expect(201);
    let value = first["secret"].take();
    assert_eq!(post(&dev, &path, "k1", &json!({"name": "S", "expiresInDays": 9})).await.expect(200), first);
    assert!(first["secret"].is_null());

    let id = first["id"].as_str().unwrap();
    let rotate = format!("{path}/{id}/rotate");
    let request = || send(dev.post(&rotate).header("idempotency-key", "k1"));
    let mut new = request().await.expect(201);
    let new_value = new["secret"].take();
    let again = request().await;
    assert_eq!(again.expect(200), new);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_ne!(new["id"], first["id"]);
    assert_eq!(dev.verify(&recipient, new_value.as_str().unwrap()).await["secretId"], new["id"]);
    assert_eq!(dev.verify(&recipient, value.as_str().unwrap()).await["valid"], false);
    assert_eq!(dev.pages(&path).await.0.len(), 2);
    let with_empty_object = dev.post(&rotate).header("idempotency-key", "k1").json(&json!({}));
    assert_eq!(send(with_empty_object).await.expect(200), new, "an empty object is no body");
    send(dev.post(&rotate).header("idempotency-key", "k2")).await.expect(409);

    let stored = format!("{:?}", dev.table.items().await);
    assert!(!stored.contains(value.as_str().unwrap()) && !stored.contains(new_value.as_str().unwrap()));
}

#[tokio::test]
async fn the_hundredth_secret_can_be_asked_for_again() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let path = format!("/v1/recipients/{recipient}/secrets");
    for _ in 0..99 {
        dev.secret(&recipient).await;
    }
    let first = post(&dev, &path, "k1", &json!({"name": "S"})).await.expect(201);
    assert_eq!(post(&dev, &path, "k1", &json!({"name": "S"})).await.expect(200)["id"], first["id"]);
    post(&dev, &path, "k1", &json!({"name": "T"})).await.expect(422);
    post(&dev, &path, "k2", &json!({"name": "S"})).await.expect(409);
}

#[tokio::test]
async fn another_body_under_the_same_key_gets_422() {
    let dev = Dev::start().await;
    let recipients = dev.recipients_path();
    let recipient = dev.recipient().await;
    let secrets = format!("/v1/recipients/{recipient}/secrets");
    for (path, body, other) in [
        ("/v1/docks", json!({"name": "D"}), json!({"name": "E"})),
        (recipients.as_str(), person("a@example.com"), person("b@example.com")),
        (&secrets, json!({"name": "S"}), json!({"name": "T"})),
    ] {
        post(&dev, path, "k1", &body).await.expect(201);
        let refused = post(&dev, path, "k1", &other).await.expect(422);
        assert_eq!(refused["error"], "Unprocessable Entity");
        post(&dev, path, "k2", &other).await.expect(201);
    }
}

#[tokio::test]
async fn a_key_is_the_accounts_own_and_the_paths() {
    let dev = Dev::start().await;
    let account = dev
        .table
        .store
        .dock(docyard_core::values::id::DockId::parse(&dev.dock).unwrap())
        .await
        .unwrap()
        .unwrap()
        .account;
    let other_dock = format!("/v1/docks/{}/recipients", dev.table.dock(account).await);
    let first = post(&dev, &dev.recipients_path(), "k", &person("a@example.com")).await.expect(201);
    let second = post(&dev, &other_dock, "k", &person("a@example.com")).await.expect(201);
    assert_ne!(first["id"], second["id"]);
    let mine = post(&dev, "/v1/docks", "k", &json!({"name": "D"})).await.expect(201);
    let foreign_key = dev.table.key(dev.table.account().await).await;
    let request = dev
        .http
        .post(format!("{}/v1/docks", dev.url))
        .bearer_auth(foreign_key)
        .header("idempotency-key", "k");
    assert_ne!(send(request.json(&json!({"name": "D"}))).await.expect(201)["id"], mine["id"]);
}

#[tokio::test]
async fn a_key_is_remembered_for_24_hours() {
    let dev = Dev::start().await;
    let body = json!({"name": "D"});
    let first = post(&dev, "/v1/docks", "k", &body).await.expect(201);
    let items = dev.table.items().await;
    let item = items.iter().find(|item| item["sk"] == AttributeValue::S("IDEMPOTENCY".into())).unwrap();
    let created_at =
        docyard_core::values::clock::Timestamp::parse(first["createdAt"].as_str().unwrap()).unwrap();
    assert_eq!(item["expiresAt"].as_s().unwrap(), &created_at.plus_days(1).to_string());
    assert_eq!(item["ttl"].as_n().unwrap(), &created_at.plus_days(1).unix_seconds_rounded_up().to_string());

    // The day goes by, and DynamoDB has not removed the item yet.
    let update = dev.table.client.update_item().table_name(TABLE);
    let update = update.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
    let past = AttributeValue::S("2025-01-15T10:32:00.000Z".to_owned());
    let update = update.update_expression("SET expiresAt = :past").expression_attribute_values(":past", past);
    update.send().await.unwrap();
    let second = post(&dev, "/v1/docks", "k", &body).await.expect(201);
    assert_ne!(second["id"], first["id"]);
    assert_eq!(post(&dev, "/v1/docks", "k", &body).await.expect(201), second);
}

#[tokio::test]
async fn a_body_is_compared_as_it_was_read() {
    let dev = Dev::start().await;
    let recipients = dev.recipients_path();
    let secrets = format!("/v1/recipients/{}/secrets", dev.recipient().await);
    for (path, body, same, repeated) in [
        (
            "/v1/docks",
            r#"{"name":"D","legalName":"L"}"#,
            "{ \"legalName\": \"\\u004c\",\n\t\"name\": \"D\" }",
            201,
        ),
        (
            recipients.as_str(),
            r#"{"name":"A","email":"a@example.com","identifiers":{"a":"1","b":"2"}}"#,
            r#"{"identifiers":{"b":"2","a":"1"},"email":"a@example.com","name":"A","stakeholderClass":null}"#,
            201,
        ),
        (
            &secrets,
            r#"{"name":"S","expiresInDays":9}"#,
            "\u{feff}{\"expiresInDays\":9 , \"name\":\"S\"}",
            200,
        ),
    ] {
        let post = |body: &'static str| send(dev.post(path).header("idempotency-key", "k").body(body));
        let id = post(body).await.expect(201)["id"].clone();
        assert_eq!(post(same).await.expect(repeated)["id"], id, "{same}");
    }
}

#[tokio::test]
async fn a_key_given_twice_is_refused() {
    let dev = Dev::start().await;
    for (first, second) in [("k", "k"), ("k", "l"), ("\"k\"", "\"k\"")] {
        let request =
            dev.post("/v1/docks").header("idempotency-key", first).header("idempotency-key", second);
        let refused = send(request.json(&json!({"name": "D"}))).await.expect(400);
        assert_eq!(refused["details"][0]["field"], "Idempotency-Key");
    }
    assert_eq!(dev.pages("/v1/docks").await.0.len(), 1, "nothing is made");
    let quoted =
        || send(dev.post("/v1/docks").header("idempotency-key", "\"k,l\"").json(&json!({"name": "D"})));
    assert_eq!(quoted().await.expect(201), quoted().await.expect(201), "a key with a comma, in quotes");
}

async fn rotation_of_a_new_secret(dev: &Dev) -> String {
    let recipient = dev.recipient().await;
    let (secret, _) = dev.secret(&recipient).await;
    format!("/v1/recipients/{recipient}/secrets/{secret}/rotate")
}

#[tokio::test]
async fn requests_that_race_under_one_key_make_one_thing() {
    let dev = Dev::start().await;
    for (path, body, repeated) in [
        (dev.recipients_path(), person("race@example.com"), 201),
        (format!("/v1/recipients/{}/secrets", dev.recipient().await), json!({"name": "S"}), 200),
        (rotation_of_a_new_secret(&dev).await, json!({}), 200),
    ] {
        let requests =
            (0..16).map(|_| tokio::spawn(send(dev.post(&path).header("idempotency-key", "r").json(&body))));
        let mut ids = Vec::new();
        let mut statuses = Vec::new();
        for answer in requests.collect::<Vec<_>>() {
            let answer = answer.await.unwrap();
            statuses.push(answer.status);
            ids.push(answer.json()["id"].clone());
        }
        assert!(ids.iter().all(|id| *id == ids[0] && id.is_string()));
        statuses.sort();
        assert_eq!(statuses, [vec![repeated; 15], vec![201]].concat());
    }
}

#[tokio::test]
async fn a_key_is_1_to_255_printable_characters_bare_or_quoted() {
    let dev = Dev::start().await;
    let body = json!({"name": "D"});
    let first = post(&dev, "/v1/docks", "abc", &body).await.expect(201);
    assert_eq!(post(&dev, "/v1/docks", "\"abc\"", &body).await.expect(201), first, "quoted is the same key");
    for key in ["", "\"\"", "\"a", "\u{e9}", &"k".repeat(256)] {
        let refused =
            send(dev.post("/v1/docks").header("idempotency-key", key).json(&body)).await.expect(400);
        assert_eq!(refused["details"][0]["field"], "Idempotency-Key");
        let all = send(dev.post("/v1/docks").header("idempotency-key", key).json(&json!({"nam": "D"}))).await;
        let all = all.expect(400)["details"].clone();
        let fields: Vec<&str> =
            all.as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["Idempotency-Key", "name", "nam"], "all that is wrong, at once");
        for path in
            ["/v1/docks/x/recipients", "/v1/recipients/x/secrets", "/v1/recipients/x/secrets/x/rotate"]
        {
            send(dev.post(path).header("idempotency-key", key).json(&json!({}))).await.expect(400);
        }
    }
    post(&dev, "/v1/docks", &"k".repeat(255), &body).await.expect(201);
}

#[tokio::test]
async fn a_request_that_failed_is_not_remembered() {
    let dev = Dev::start().await;
    let path = dev.recipients_path();
    post(&dev, &path, "k", &json!({"name": "A"})).await.expect(400);
    let taken = dev.create_recipient(person("a@example.com")).await.expect(201);
    assert_eq!(
        post(&dev, &path, "k", &person("a@example.com")).await.expect(409)["recipientId"],
        taken["id"]
    );
    post(&dev, &path, "k", &person("b@example.com")).await.expect(201);
}
