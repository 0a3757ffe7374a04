//! Artifacts: their content, the addresses at which S3 takes and gives it, their metadata, and when two of them are one.

use docyard_core::values::content_hash::ContentHash;
use docyard_test_support::dev::{Answer, Dev, send};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::{
    another_dock, ask, assert_invalid, assert_not_found, is_id, is_timestamp, path_in_dock, post, text,
    wrong_fields,
};

const UNKNOWN_ARTIFACT: &str = "art_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";

fn artifacts(dev: &Dev) -> String {
    format!("/v1/docks/{}/artifacts", dev.dock)
}

fn path_of(artifact: &Value) -> String {
    path_in_dock("artifacts", artifact)
}

/// What declares a content.
fn declared(filename: &str, content: &[u8], metadata: Value) -> Value {
    json!({
        "filename": filename, "hash": ContentHash::of(content).to_string(), "size": content.len(),
        "contentType": "application/pdf", "metadata": metadata,
    })
}

async fn create(dev: &Dev, body: Value) -> Value {
    post(dev, &artifacts(dev), body).await.expect(201)
}

/// Sends a body to the address of an answer, with its headers but for those that `change` names.
async fn put(dev: &Dev, artifact: &Value, body: &[u8], change: &[(&str, &str)]) -> Answer {
    let upload = &artifact["upload"];
    assert_eq!(upload["method"], "PUT", "{artifact}");
    let mut request = dev.http.put(text(&upload["url"])).body(body.to_vec());
    for (name, value) in upload["headers"].as_object().unwrap() {
        let changed = change.iter().find(|(changed, _)| changed == name).map(|(_, value)| *value);
        request = match changed.unwrap_or(text(value)) {
            "" => request,
            value => request.header(name, value),
        };
    }
    send(request).await
}

async fn complete(dev: &Dev, artifact: &Value) -> Answer {
    post(dev, &format!("{}/complete", path_of(artifact)), Value::Null).await
}

/// An artifact that is available.
async fn available(dev: &Dev, filename: &str, content: &[u8], metadata: Value) -> Value {
    let artifact = create(dev, declared(filename, content, metadata)).await;
    assert_eq!(put(dev, &artifact, content, &[]).await.status, 200);
    complete(dev, &artifact).await.expect(200)
}

/// The answer of S3 to a download.
async fn download(dev: &Dev, artifact: &Value) -> Answer {
    let content = dev.get(&format!("{}/content", path_of(artifact))).await.expect(200);
    send(dev.http.get(text(&content["url"]))).await
}

async fn upload(dev: &Dev, filename: &str, content: &[u8], metadata: Option<Value>) -> Answer {
    let file = Part::bytes(content.to_vec()).file_name(filename.to_owned());
    let form = Form::new().part("file", file.mime_str("text/plain").unwrap());
    let form = match metadata {
        Some(metadata) => form.text("metadata", metadata.to_string()),
        None => form,
    };
    send(dev.post(&format!("{}/upload", artifacts(dev))).multipart(form)).await
}

/// The ids on a list, in its order.
async fn ids(dev: &Dev, query: &str) -> Vec<String> {
    let page = dev.get(&format!("{}{query}", artifacts(dev))).await.expect(200);
    page.as_array().unwrap().iter().map(|artifact| text(&artifact["id"]).to_owned()).collect()
}

#[tokio::test]
async fn a_declared_content_is_uploaded_to_s3_completed_and_downloaded() {
    let dev = Dev::start().await;
    let content = b"%PDF-1.7 a declaration page";
    let metadata = json!({"document_type": "declaration-page", "lender_id": "LND-4821"});
    let answer = post(&dev, &artifacts(&dev), declared(" page.pdf ", content, metadata.clone())).await;
    let created = answer.expect(201);
    assert_eq!(answer.header("location"), path_of(&created));
    assert!(is_id(&created["id"], "art_") && is_timestamp(&created["createdAt"]), "{created}");
    let hash = ContentHash::of(content);
    for (field, value) in [
        ("dockId", json!(dev.dock)),
        ("filename", json!("page.pdf")),
        ("contentType", json!("application/pdf")),
        ("size", json!(content.len())),
        ("hash", json!(hash.to_string())),
        ("checksum", json!(hash.hex())),
        ("metadata", metadata),
        ("status", json!("PENDING")),
        ("isDuplicate", json!(false)),
        ("availableAt", Value::Null),
    ] {
        assert_eq!(created[field], value, "{field}");
    }
    assert!(is_timestamp(&created["upload"]["expiresAt"]));
    let read = dev.get(&path_of(&created)).await;
    assert_eq!(read.header("etag"), answer.header("etag"));
    assert!(read.expect(200).get("upload").is_none() && read.expect(200).get("isDuplicate").is_none());

    let not_yet = complete(&dev, &created).await;
    assert!(text(&not_yet.expect(409)["message"]).contains("Nothing was uploaded yet"));
    assert_eq!(dev.get(&format!("{}/content", path_of(&created))).await.status, 409);
    assert_eq!(put(&dev, &created, content, &[]).await.status, 200);
    let completed = complete(&dev, &created).await;
    let artifact = completed.expect(200);
    assert_eq!(artifact["status"], "AVAILABLE");
    assert!(is_timestamp(&artifact["availableAt"]) && artifact["updatedAt"].is_null());
    assert_ne!(completed.header("etag"), answer.header("etag"));
    assert_eq!(complete(&dev, &created).await.expect(200), artifact, "again");
    assert_eq!(dev.get(&path_of(&created)).await.expect(200), artifact);

    let where_it_is = dev.get(&format!("{}/content", path_of(&created))).await.expect(200);
    assert!(is_timestamp(&where_it_is["expiresAt"]) && where_it_is["contentType"] == "application/pdf");
    let downloaded = download(&dev, &created).await;
    assert_eq!((downloaded.status, downloaded.text.as_bytes()), (200, &content[..]));
    assert_eq!(downloaded.header("content-disposition"), "attachment; filename=\"page.pdf\"");
    assert_eq!(downloaded.header("content-type"), "application/pdf");
    assert_eq!(downloaded.header("cache-control"), "private, no-store");
}

#[tokio::test]
async fn s3_refuses_everything_but_what_was_declared_and_that_a_second_time() {
    let dev = Dev::start().await;
    let artifact = create(&dev, declared("a.pdf", b"abc", json!({}))).await;
    let other = ContentHash::of(b"abd").base64();
    for (body, change) in [
        (&b"abd"[..], vec![]),
        (b"ab", vec![("content-length", "2")]),
        (b"abcd", vec![("content-length", "4")]),
        (b"abc", vec![("content-type", "text/html")]),
        (b"abc", vec![("if-none-match", "")]),
        (b"abc", vec![("x-amz-checksum-sha256", "")]),
        (b"abd", vec![("x-amz-checksum-sha256", &other)]),
    ] {
        let answer = put(&dev, &artifact, body, &change).await;
        assert!([400, 403].contains(&answer.status), "{change:?}: {} {}", answer.status, answer.text);
        assert_eq!(complete(&dev, &artifact).await.status, 409, "{change:?}");
    }
    let url = text(&artifact["upload"]["url"]);
    for changed in [
        url.replace("X-Amz-Expires=900", "X-Amz-Expires=901"),
        url.replace(text(&artifact["id"]), UNKNOWN_ARTIFACT),
    ] {
        let mut elsewhere = artifact.clone();
        elsewhere["upload"]["url"] = json!(changed);
        assert_eq!(put(&dev, &elsewhere, b"abc", &[]).await.status, 403);
    }
    assert_eq!(send(dev.http.get(url)).await.status, 403, "it is good for an upload alone");
    assert_eq!(put(&dev, &artifact, b"abc", &[]).await.status, 200);
    assert_eq!(put(&dev, &artifact, b"abc", &[]).await.status, 412, "a second time");
    complete(&dev, &artifact).await.expect(200);
    assert_eq!(put(&dev, &artifact, b"abc", &[]).await.status, 412, "once it is available");
    assert_eq!(download(&dev, &artifact).await.text, "abc");
}

/// A header that S3 stores and no signature covers.
#[tokio::test]
async fn a_content_that_downloads_would_decode_is_not_completed() {
    let dev = Dev::start().await;
    let mut artifact = create(&dev, declared("a.pdf", b"abc", json!({}))).await;
    artifact["upload"]["headers"]["content-encoding"] = json!("gzip");
    assert_eq!(put(&dev, &artifact, b"abc", &[]).await.status, 200);
    let refused = complete(&dev, &artifact).await.expect(409);
    assert_eq!(
        refused["message"],
        "What was uploaded is not what was declared; delete the artifact and create it anew"
    );
}

#[tokio::test]
async fn a_wrong_size_does_not_stand_in_the_way_of_the_right_one() {
    let dev = Dev::start().await;
    let mut wrong = declared("a.pdf", b"abc", json!({}));
    wrong["size"] = json!(2);
    let wrong = create(&dev, wrong).await;
    let uploaded = upload(&dev, "a.pdf", b"abc", None).await.expect(201);
    assert_eq!((&uploaded["isDuplicate"], &uploaded["size"]), (&json!(false), &json!(3)));
    let right = create(&dev, declared("a.pdf", b"abc", json!({}))).await;
    assert_eq!((&right["isDuplicate"], &right["id"]), (&json!(true), &uploaded["id"]));
    assert_eq!(put(&dev, &wrong, b"abc", &[]).await.status, 400, "its address is good for two bytes");
}

#[tokio::test]
async fn of_two_uploads_at_once_one_is_kept() {
    let dev = Dev::start().await;
    let content = vec![7; 100_000];
    let artifact = create(&dev, declared("a.bin", &content, json!({}))).await;
    let uploads = (0..8).map(|_| put(&dev, &artifact, &content, &[]));
    let mut statuses: Vec<u16> =
        futures_util::future::join_all(uploads).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
    complete(&dev, &artifact).await.expect(200);
}

#[tokio::test]
async fn metadata_alone_is_an_artifact_without_content_and_never_a_duplicate() {
    let dev = Dev::start().await;
    let first = create(&dev, json!({"filename": "paper.pdf"})).await;
    for field in ["contentType", "size", "hash", "checksum", "availableAt"] {
        assert!(first[field].is_null() && first.get(field).is_some(), "{field}");
    }
    assert_eq!((&first["status"], &first["metadata"]), (&json!("EMPTY"), &json!({})));
    assert!(first.get("upload").is_none());
    let second = create(&dev, json!({"filename": "paper.pdf"})).await;
    assert_ne!(second["id"], first["id"]);
    assert_eq!(second["isDuplicate"], false);
    assert_eq!(complete(&dev, &first).await.status, 409);
    assert_eq!(dev.get(&format!("{}/content", path_of(&first))).await.status, 409);
}

#[tokio::test]
async fn the_same_content_filename_and_metadata_is_the_same_artifact() {
    let dev = Dev::start().await;
    let body = declared("a.pdf", b"abc", json!({"lender_id": "L-1"}));
    let first = create(&dev, body.clone()).await;
    let again = create(&dev, body.clone()).await;
    assert_eq!((&again["id"], &again["isDuplicate"]), (&first["id"], &json!(true)));
    assert_eq!(put(&dev, &again, b"abc", &[]).await.status, 200, "it has an address while it waits");
    let artifact = complete(&dev, &first).await.expect(200);
    let answer = post(&dev, &artifacts(&dev), body.clone()).await;
    let mut known = answer.expect(201);
    assert_eq!(known.as_object_mut().unwrap().remove("isDuplicate"), Some(json!(true)));
    assert_eq!(known, artifact, "without an upload");
    assert_eq!(answer.header("etag"), dev.get(&path_of(&artifact)).await.header("etag"));
    for other in [
        declared("b.pdf", b"abc", json!({"lender_id": "L-1"})),
        declared("a.pdf", b"abd", json!({"lender_id": "L-1"})),
        declared("a.pdf", b"abc", json!({"lender_id": "L-2"})),
        declared("a.pdf", b"abc", json!({"lender_id": "L-1", "x": "y"})),
        declared("a.pdf", b"abc", json!({})),
    ] {
        assert_eq!(create(&dev, other).await["isDuplicate"], false);
    }
    let elsewhere = format!("/v1/docks/{}/artifacts", another_dock(&dev).await);
    assert_eq!(
        post(&dev, &elsewhere, body.clone()).await.expect(201)["isDuplicate"],
        false,
        "in another dock"
    );
    dev.delete(&path_of(&artifact)).await.expect(200);
    let anew = create(&dev, body).await;
    assert!(anew["isDuplicate"] == false && anew["id"] != artifact["id"], "the deleted one does not count");
}

#[tokio::test]
async fn of_requests_at_once_for_the_same_document_one_makes_it() {
    let dev = Dev::start().await;
    let body = declared("a.pdf", b"abc", json!({"lender_id": "L-1"}));
    let created = futures_util::future::join_all((0..10).map(|_| create(&dev, body.clone()))).await;
    assert!(created.iter().all(|artifact| artifact["id"] == created[0]["id"]));
    assert_eq!(created.iter().filter(|artifact| artifact["isDuplicate"] == false).count(), 1);
    assert_eq!(ids(&dev, "").await.len(), 1);
}

#[tokio::test]
async fn a_repetition_with_a_key_gets_the_same_artifact_and_a_fresh_address() {
    let dev = Dev::start().await;
    let body = declared("a.pdf", b"abc", json!({}));
    let headers = [("idempotency-key", "k")];
    let first = ask(&dev, Method::POST, &artifacts(&dev), &headers, &body).await.expect(201);
    let again = ask(&dev, Method::POST, &artifacts(&dev), &headers, &body).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    let mut repeated = again.expect(201);
    assert_eq!(put(&dev, &repeated, b"abc", &[]).await.status, 200);
    repeated["upload"] = first["upload"].clone();
    assert_eq!(repeated, first);
    complete(&dev, &first).await.expect(200);
    let after = ask(&dev, Method::POST, &artifacts(&dev), &headers, &body).await.expect(201);
    assert!(after.get("upload").is_none() && after["id"] == first["id"]);
    let other = declared("b.pdf", b"abc", json!({}));
    assert_eq!(ask(&dev, Method::POST, &artifacts(&dev), &headers, &other).await.status, 422);
}

#[tokio::test]
async fn what_breaks_a_rule_of_artifacts_is_refused() {
    let dev = Dev::start().await;
    let hash = "0".repeat(64);
    let many: Value =
        (0..11).map(|n| (format!("k{n}"), json!("v"))).collect::<serde_json::Map<_, _>>().into();
    for (change, fields) in [
        (json!({"filename": null}), vec!["filename"]),
        (json!({"filename": ""}), vec!["filename"]),
        (json!({"filename": "a/b"}), vec!["filename"]),
        (json!({"filename": ".."}), vec!["filename"]),
        (json!({"filename": "x".repeat(256)}), vec!["filename"]),
        (json!({"hash": hash}), vec!["size"]),
        (json!({"size": 1}), vec!["hash"]),
        (json!({"contentType": "a/b"}), vec!["hash", "size"]),
        (json!({"hash": "x", "size": 1}), vec!["hash"]),
        (json!({"hash": hash, "size": 0}), vec!["size"]),
        (json!({"hash": hash, "size": 5_000_000_001_u64}), vec!["size"]),
        (json!({"hash": hash, "size": 1.5}), vec!["size"]),
        (json!({"hash": hash, "size": "1"}), vec!["size"]),
        (json!({"hash": hash, "size": 1, "contentType": "pdf"}), vec!["contentType"]),
        (json!({"metadata": "x"}), vec!["metadata"]),
        (json!({"metadata": {"1": "x", "b": 2}}), vec!["metadata.1", "metadata.b"]),
        (json!({"metadata": {"date_of_birth": "1.1.2000"}}), vec!["metadata.date_of_birth"]),
        (json!({"metadata": many}), vec!["metadata"]),
        (json!({"metadata": {"a": "é".repeat(512), "b": "é".repeat(512)}}), vec!["metadata"]),
        (json!({"storageKey": "x"}), vec!["storageKey"]),
    ] {
        let mut body = json!({"filename": "a.pdf"});
        body.as_object_mut().unwrap().extend(change.as_object().cloned().unwrap());
        let answer = post(&dev, &artifacts(&dev), body.clone()).await;
        assert_eq!(wrong_fields(&answer), fields, "{body}");
    }
    assert!(ids(&dev, "").await.is_empty());
    let largest = json!({"filename": "a", "hash": hash.to_uppercase(), "size": 5_000_000_000_u64});
    let created = create(&dev, largest).await;
    assert_eq!(
        (&created["contentType"], &created["checksum"]),
        (&json!("application/octet-stream"), &json!(hash))
    );
}

#[tokio::test]
async fn a_batch_has_an_artifact_or_the_error_of_its_own_for_each_item() {
    let dev = Dev::start().await;
    let path = format!("{}/batch", artifacts(&dev));
    let page = declared("a.pdf", b"abc", json!({"lender_id": "L-1"}));
    let items =
        json!([{"filename": "paper.pdf"}, page, {"filename": "a/b"}, 7, page, {"filename": "b", "size": 1}]);
    let answer = post(&dev, &path, json!({"items": items})).await.expect(200);
    assert!(is_id(&answer["batchId"], "batch_"), "{answer}");
    let artifacts_of = answer["artifacts"].as_array().unwrap();
    assert_eq!(artifacts_of.len(), 6);
    assert_eq!(
        (&artifacts_of[0]["status"], &artifacts_of[1]["status"]),
        (&json!("EMPTY"), &json!("PENDING"))
    );
    assert_eq!(artifacts_of[4]["id"], artifacts_of[1]["id"], "the same document");
    assert_ne!(artifacts_of[4]["isDuplicate"], artifacts_of[1]["isDuplicate"]);
    for artifact in [&artifacts_of[1], &artifacts_of[4]] {
        assert!(artifact["upload"]["url"].is_string(), "{artifact}");
    }
    for (at, item) in
        [(2, json!({"filename": "a/b"})), (3, json!(7)), (5, json!({"filename": "b", "size": 1}))]
    {
        assert_eq!(artifacts_of[at]["error"], post(&dev, &artifacts(&dev), item).await.expect(400));
    }
    assert_eq!(put(&dev, &artifacts_of[1], b"abc", &[]).await.status, 200);
    let again = post(&dev, &path, json!({"items": [page]})).await.expect(200);
    assert_eq!(again["artifacts"][0]["isDuplicate"], true);
    for items in [json!([]), json!({}), Value::Null, vec![json!({"filename": "a"}); 101].into()] {
        assert_eq!(wrong_fields(&post(&dev, &path, json!({"items": items})).await), ["items"]);
    }
    let whole = vec![json!({"filename": "a", "metadata": {"k": "v".repeat(500)}}); 100];
    let whole = post(&dev, &path, json!({"items": whole})).await.expect(200);
    assert!(whole["artifacts"].as_array().unwrap().iter().all(|artifact| artifact["status"] == "EMPTY"));
    let large = json!({"items": [{"filename": "x".repeat(1024 * 1024)}]});
    assert!(text(&post(&dev, &path, large).await.expect(413)["message"]).contains("1 MiB"));
}

#[tokio::test]
async fn a_small_file_is_uploaded_in_one_request() {
    let dev = Dev::start().await;
    let content = b"%PDF-1.7 small";
    let answer = upload(&dev, "small.pdf", content, Some(json!({"document_type": "coi"}))).await;
    let artifact = answer.expect(201);
    assert_eq!(answer.header("location"), path_of(&artifact));
    assert_eq!((&artifact["status"], &artifact["isDuplicate"]), (&json!("AVAILABLE"), &json!(false)));
    assert_eq!(artifact["contentType"], "application/pdf", "what the first bytes say");
    assert_eq!(artifact["hash"], ContentHash::of(content).to_string());
    assert_eq!(artifact["metadata"], json!({"document_type": "coi"}));
    assert_eq!(download(&dev, &artifact).await.text.as_bytes(), content);
    let again = upload(&dev, "small.pdf", content, Some(json!({"document_type": "coi"}))).await.expect(201);
    assert_eq!((&again["id"], &again["isDuplicate"]), (&artifact["id"], &json!(true)));
    let plain = upload(&dev, "plain.txt", b"plain", None).await.expect(201);
    assert_eq!(
        (&plain["contentType"], &plain["metadata"]),
        (&json!("text/plain"), &json!({})),
        "what the form says"
    );
    let largest = upload(&dev, "largest", &vec![b'x'; 4 * 1024 * 1024], None).await.expect(201);
    assert_eq!(largest["size"], 4 * 1024 * 1024);

    let waiting = create(&dev, declared("waiting.pdf", b"%PDF-", json!({}))).await;
    let completed = upload(&dev, "waiting.pdf", b"%PDF-", None).await.expect(201);
    assert_eq!((&completed["id"], &completed["status"]), (&waiting["id"], &json!("AVAILABLE")));
    let waiting = create(&dev, declared("sent.pdf", b"%PDF-", json!({}))).await;
    assert_eq!(put(&dev, &waiting, b"%PDF-", &[]).await.status, 200);
    assert_eq!(upload(&dev, "sent.pdf", b"%PDF-", None).await.expect(201)["id"], waiting["id"]);
}

#[tokio::test]
async fn a_form_without_one_small_file_is_refused() {
    let dev = Dev::start().await;
    let path = format!("{}/upload", artifacts(&dev));
    let file = || Part::bytes(b"abc".to_vec()).file_name("a.txt");
    for (form, fields) in [
        (Form::new().text("metadata", "{}"), vec!["file"]),
        (Form::new().part("file", Part::bytes(Vec::new()).file_name("a.txt")), vec!["file"]),
        (Form::new().text("file", "abc"), vec!["file.filename"]),
        (Form::new().part("file", file()).part("file", file()), vec!["file"]),
        (Form::new().part("file", file()).text("metadata", "x"), vec!["metadata"]),
        (Form::new().part("file", file()).text("metadata", "{\"1\":\"x\"}"), vec!["metadata.1"]),
        (Form::new().part("file", file()).text("files", "x"), vec!["files"]),
        (Form::new().part("file", Part::bytes(b"abc".to_vec()).file_name("a/b")), vec!["file.filename"]),
    ] {
        assert_eq!(wrong_fields(&send(dev.post(&path).multipart(form)).await), fields);
    }
    let large = upload(&dev, "large", &vec![0; 4 * 1024 * 1024 + 1], None).await.expect(413);
    assert!(text(&large["message"]).contains("create an artifact with its hash and size"), "{large}");
    for content_type in ["application/json", "multipart/form-data", "text/plain"] {
        let request = dev.post(&path).header("content-type", content_type).body("{}");
        assert_eq!(send(request).await.expect(415)["error"], "Unsupported Media Type", "{content_type}");
    }
    let broken = dev.post(&path).header("content-type", "multipart/form-data; boundary=b").body("--b\r\nx");
    send(broken).await.expect(400);
    assert!(ids(&dev, "").await.is_empty());
}

#[tokio::test]
async fn a_list_is_newest_first_by_when_it_became_available() {
    let dev = Dev::start().await;
    let first = create(&dev, declared("1", b"1", json!({}))).await;
    let empty = create(&dev, json!({"filename": "2"})).await;
    let third = available(&dev, "3", b"3", json!({})).await;
    put(&dev, &first, b"1", &[]).await;
    let first = complete(&dev, &first).await.expect(200);
    let waiting = create(&dev, declared("4", b"4", json!({}))).await;
    let id = |artifact: &Value| text(&artifact["id"]).to_owned();
    let all = [id(&waiting), id(&first), id(&third), id(&empty)];
    assert_eq!(ids(&dev, "").await, all);
    for (status, expected) in [
        ("AVAILABLE", vec![id(&first), id(&third)]),
        ("PENDING", vec![id(&waiting)]),
        ("EMPTY", vec![id(&empty)]),
    ] {
        assert_eq!(ids(&dev, &format!("?status={status}")).await, expected, "{status}");
    }
    for limit in 1..=4 {
        let (artifacts, pages) = dev.pages(&format!("{}?limit={limit}", artifacts(&dev))).await;
        assert_eq!(artifacts.iter().map(id).collect::<Vec<_>>(), all, "pages of {limit}");
        assert!(pages >= 4_usize.div_ceil(limit));
    }
    let read = dev.get(&artifacts(&dev)).await.expect(200);
    assert_eq!(read[1], first, "whole");
}

#[tokio::test]
async fn a_list_finds_an_entry_of_metadata_whatever_the_dock_holds_else() {
    let dev = Dev::start().await;
    for n in 0..5 {
        create(
            &dev,
            json!({"filename": format!("{n}"), "metadata": {"lender_id": "L-1", "n": n.to_string()}}),
        )
        .await;
    }
    let phone = create(&dev, json!({"filename": "p", "metadata": {"phone": "+1 860 555-0147"}})).await;
    available(&dev, "a", b"a", json!({"lender_id": "L-2"})).await;
    let count = async |query: &str| dev.pages(&format!("{}{query}", artifacts(&dev))).await.0.len();
    assert_eq!(count("?metadataKey=lender_id&metadataValue=L-1").await, 5);
    assert_eq!(count("?metadataKey=lender_id&metadataValue=L-1&limit=2").await, 5);
    assert_eq!(count("?metadataKey=lender_id&metadataValue=L-2&status=AVAILABLE").await, 1);
    assert_eq!(count("?metadataKey=lender_id&metadataValue=L-2&status=EMPTY").await, 0);
    assert_eq!(count("?metadataKey=n&metadataValue=3").await, 1);
    assert_eq!(count("?metadataKey=lender_id&metadataValue=l-1").await, 0);
    let by_digits = ids(&dev, "?metadataKey=phone&metadataValue=%2B1(860)5550147").await;
    assert_eq!(by_digits, [text(&phone["id"])], "a phone number is found by its digits");
    for (query, field) in [
        ("?metadataKey=a", "metadataValue"),
        ("?metadataValue=a", "metadataKey"),
        ("?metadataKey=1&metadataValue=a", "metadataKey"),
        ("?metadataKey=a&metadataValue=", "metadataValue"),
        ("?status=available", "status"),
        ("?limit=0", "limit"),
        ("?cursor=x", "cursor"),
    ] {
        assert_eq!(wrong_fields(&dev.get(&format!("{}{query}", artifacts(&dev))).await), [field], "{query}");
    }
    let page = dev.get(&format!("{}?metadataKey=lender_id&metadataValue=L-1&limit=2", artifacts(&dev))).await;
    let next = page.next().unwrap();
    let elsewhere = next.replace("L-1", "L-2");
    assert_invalid(&dev.get(&elsewhere).await, "cursor", "must be a cursor that this list gave");
}

#[tokio::test]
async fn a_patch_merges_metadata_and_renews_when_it_became_available() {
    let dev = Dev::start().await;
    let artifact =
        available(&dev, "a.pdf", b"abc", json!({"document_type": "coi", "lender_id": "L-1"})).await;
    let path = path_of(&artifact);
    let patched =
        dev.patch(&path, json!({"metadata": {"lender_id": null, "policy_number": "P-1"}})).await.expect(200);
    assert_eq!(patched["metadata"], json!({"document_type": "coi", "policy_number": "P-1"}));
    assert!(
        text(&patched["availableAt"]) > text(&artifact["availableAt"]) && is_timestamp(&patched["updatedAt"])
    );
    assert!(ids(&dev, "?metadataKey=lender_id&metadataValue=L-1").await.is_empty());
    assert_eq!(ids(&dev, "?metadataKey=policy_number&metadataValue=P-1").await.len(), 1);
    let renamed = dev.patch(&path, json!({"filename": "b.pdf"})).await.expect(200);
    assert_eq!((&renamed["filename"], &renamed["availableAt"]), (&json!("b.pdf"), &patched["availableAt"]));
    assert_eq!(
        download(&dev, &artifact).await.header("content-disposition"),
        "attachment; filename=\"b.pdf\""
    );
    let etag = dev.get(&path).await.header("etag").to_owned();
    let unchanged = dev.patch(&path, renamed.clone()).await;
    assert_eq!(
        (unchanged.expect(200), unchanged.header("etag")),
        (renamed, etag.as_str()),
        "as GET returned it"
    );
    assert_eq!(dev.patch(&path, json!({"metadata": null})).await.expect(200)["metadata"], json!({}));
    for (change, field) in [
        (json!({"filename": null}), "filename"),
        (json!({"metadata": {"a": 1}}), "metadata.a"),
        (json!({"size": 4}), "size"),
        (json!({"status": "EMPTY"}), "status"),
        (json!({"upload": {}}), "upload"),
    ] {
        assert_eq!(wrong_fields(&dev.patch(&path, change).await), [field]);
    }
    let all = ids(&dev, "").await;
    assert_eq!(all, [text(&artifact["id"])], "once");
}

#[tokio::test]
async fn a_patch_never_makes_two_artifacts_the_same_document() {
    let dev = Dev::start().await;
    let one = available(&dev, "a.pdf", b"abc", json!({"n": "1"})).await;
    let two = available(&dev, "a.pdf", b"abc", json!({"n": "2"})).await;
    let refused = dev.patch(&path_of(&two), json!({"metadata": {"n": "1"}})).await.expect(409);
    assert_eq!(refused["artifactId"], one["id"]);
    assert_eq!(dev.get(&path_of(&two)).await.expect(200), two, "it stayed as it was");
    dev.patch(&path_of(&one), json!({"metadata": {"n": "3"}})).await.expect(200);
    dev.patch(&path_of(&two), json!({"metadata": {"n": "1"}})).await.expect(200);
    let known = create(&dev, declared("a.pdf", b"abc", json!({"n": "3"}))).await;
    assert_eq!((&known["id"], &known["isDuplicate"]), (&one["id"], &json!(true)), "what it is now");
}

#[tokio::test]
async fn a_condition_is_honoured() {
    let dev = Dev::start().await;
    let artifact = available(&dev, "a.pdf", b"abc", json!({})).await;
    let path = path_of(&artifact);
    let change = json!({"filename": "b.pdf"});
    assert_eq!(ask(&dev, Method::PATCH, &path, &[("if-match", "\"0\"")], &change).await.status, 412);
    assert_eq!(ask(&dev, Method::PATCH, &path, &[("if-match", "\"1\"")], &change).await.status, 200);
    assert_eq!(ask(&dev, Method::DELETE, &path, &[("if-match", "\"1\"")], &Value::Null).await.status, 412);
    assert_eq!(ask(&dev, Method::DELETE, &path, &[("if-match", "\"2\"")], &Value::Null).await.status, 200);
}

#[tokio::test]
async fn what_is_deleted_is_on_no_list() {
    let dev = Dev::start().await;
    let artifact = available(&dev, "a.pdf", b"abc", json!({"lender_id": "L-1"})).await;
    let path = path_of(&artifact);
    assert_eq!(dev.delete(&path).await.expect(200), json!({"success": true}));
    assert!(
        ids(&dev, "").await.is_empty()
            && ids(&dev, "?metadataKey=lender_id&metadataValue=L-1").await.is_empty()
    );
    for answer in [
        dev.get(&path).await,
        dev.get(&format!("{path}/content")).await,
        dev.delete(&path).await,
        dev.patch(&path, json!({"filename": "b"})).await,
        complete(&dev, &artifact).await,
    ] {
        assert_not_found(&answer, "Artifact");
    }
}

#[tokio::test]
async fn an_artifact_is_found_in_its_own_dock_alone() {
    let dev = Dev::start().await;
    let artifact = create(&dev, json!({"filename": "a"})).await;
    let elsewhere = path_of(&artifact).replace(&dev.dock, &another_dock(&dev).await);
    let unknown = path_of(&artifact).replace(text(&artifact["id"]), UNKNOWN_ARTIFACT);
    for path in [elsewhere, unknown, format!("{}/x", artifacts(&dev))] {
        assert_not_found(&dev.get(&path).await, "Artifact");
        assert_not_found(&dev.delete(&path).await, "Artifact");
    }
    let nowhere = artifacts(&dev).replace(&dev.dock, "dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0");
    assert_not_found(&post(&dev, &nowhere, json!({"filename": "a"})).await, "Dock");
    assert_not_found(&dev.get(&nowhere).await, "Dock");
}

#[tokio::test]
async fn what_a_browser_would_run_comes_down_as_bytes_to_save() {
    let dev = Dev::start().await;
    let content = b"<script>alert(1)</script>";
    let mut body = declared("page \"1\".html", content, json!({}));
    body["contentType"] = json!("text/html");
    let artifact = create(&dev, body).await;
    assert_eq!(put(&dev, &artifact, content, &[]).await.status, 200);
    complete(&dev, &artifact).await.expect(200);
    let downloaded = download(&dev, &artifact).await;
    assert_eq!(downloaded.header("content-type"), "application/octet-stream");
    assert_eq!(
        downloaded.header("content-disposition"),
        "attachment; filename=\"page _1_.html\"; filename*=UTF-8''page%20%221%22.html"
    );
}
