//! The seven steps, as who integrates the API takes them, by the functions' binaries: from a lender that is not known to a document in its
//! hands. The worker is a binary too, and gets what the table's stream has.

use docyard_core::values::content_hash::ContentHash;
use docyard_functions::{endpoints, worker};
use docyard_test_support::account::Account;
use docyard_test_support::sandbox::Sandbox;
use docyard_test_support::stream::{Stream, event};
use docyard_test_support::{binary, certificate, http_client};
use serde_json::{Value, json};

/// Who asks: a credential, over a connection with this certificate.
#[derive(Clone, Copy)]
struct Caller<'a> {
    credential: Option<&'a str>,
    pem: Option<&'a str>,
}

impl Caller<'_> {
    /// The body and the headers of the answer of an endpoint's function.
    async fn ask(
        self,
        account: &Account,
        endpoint: &str,
        path: &[&str],
        query: &str,
        body: Value,
        status: u16,
    ) -> (Value, Value) {
        let body = (!body.is_null()).then_some(body);
        let mut event = account.request(endpoints::named(endpoint), path, query, body);
        let headers = event["headers"].as_object_mut().unwrap();
        match self.credential {
            Some(credential) => {
                headers.insert("authorization".to_owned(), json!(format!("Bearer {credential}")))
            }
            None => headers.remove("authorization"),
        };
        if let Some(pem) = self.pem {
            event["requestContext"]["authentication"] = certificate::authentication(pem);
        }
        Sandbox::start(binary(endpoint), &account.table.url).await.expect(status, event).await
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn a_lender_that_is_registered_today_has_its_document_by_the_functions_binaries() {
    let account = Account::new().await;
    let mut stream = Stream::of(&account.table).await;
    let insurer = Caller { credential: Some(&account.key), pem: None };
    let ask = async |endpoint: &str, path: &[&str], body: Value, status: u16| {
        insurer.ask(&account, endpoint, path, "", body, status).await.0
    };
    let dock = account.dock.as_str();

    // 1. The recipient.
    let lender = json!({
        "name": "First National Bank", "email": "bulk@firstnational.example", "stakeholderClass": "mortgagee",
        "identifiers": {"lender_id": "LND-4821", "policy_number": "POL-2025-88401"},
    });
    let lender = ask("create-recipient", &[dock], lender, 201).await;
    let lender = text(&lender["id"]);
    // 2. and 3. Its passphrase.
    let secret = json!({"name": "Bulk API passphrase", "expiresInDays": 90});
    let secret = ask("generate-secret", &[lender], secret, 201).await;
    // 4. Its certificate.
    let pem = certificate::new("First National Bank");
    let registration = json!({"name": "First National Bank", "certificate": pem});
    ask("register-certificate", &[lender], registration, 201).await;
    // 5. and 6. The policy, in production.
    let policy = json!({"templateId": "tpl_mortgagee_bulk"});
    let policy = ask("create-policy-from-template", &[dock], policy, 201).await;
    assert_eq!(policy["recipe"]["auth"]["factors"], json!(["shared_passphrase", "tls_certificate"]));
    let publication = json!({"stage": "production", "version": 1});
    ask("publish-policy", &[dock, text(&policy["id"])], publication, 200).await;

    // Documents.
    let client = http_client().build().unwrap();
    let document = b"%PDF-1.7 Declaration page";
    let declared = json!({
        "filename": "declaration page.pdf", "hash": ContentHash::of(document), "size": document.len(),
        "contentType": "application/pdf",
        "metadata": {"document_type": "declaration-page", "lender_id": "LND-4821", "policy_number": "POL-2025-88401"},
    });
    let artifact = ask("create-artifact", &[dock], declared.clone(), 201).await;
    let mut upload = client.put(text(&artifact["upload"]["url"])).body(document.to_vec());
    for (name, value) in artifact["upload"]["headers"].as_object().unwrap() {
        upload = upload.header(name, text(value));
    }
    assert!(upload.send().await.unwrap().status().is_success());
    ask("complete-artifact", &[dock, text(&artifact["id"])], Value::Null, 200).await;

    // 7. The lender proves both, and gets what it is granted.
    let proven = Caller { credential: None, pem: Some(&pem) };
    let grant = json!({
        "grant_type": "client_credentials", "client_id": lender, "client_secret": secret["secret"],
    });
    let (token, _) = proven.ask(&account, "issue-token", &[], "", grant, 200).await;
    let lender = Caller { credential: Some(text(&token["access_token"])), pem: Some(&pem) };
    let (created, _) = lender.ask(&account, "create-retrieval-job", &[], "", json!({}), 201).await;
    let job = text(&created["id"]);
    let worker = Sandbox::start(binary(worker::NAME), &account.table.url).await;
    loop {
        let records = stream.take();
        if records.is_empty() {
            break;
        }
        assert_eq!(worker.invoke(event(&records)).await.unwrap(), json!({"batchItemFailures": []}));
    }
    let (completed, _) = lender.ask(&account, "get-retrieval-job", &[job], "", Value::Null, 200).await;
    assert_eq!((&completed["status"], &completed["readyCount"]), (&json!("COMPLETED"), &json!(1)));
    let (results, _) = lender.ask(&account, "list-retrieval-results", &[job], "", Value::Null, 200).await;
    let item = &results["items"][0];
    assert_eq!((&item["artifactId"], &item["hash"]), (&artifact["id"], &declared["hash"]));

    let (path, query) = text(&item["url"]).split_once('?').unwrap();
    let domain = account.create_recipient()["requestContext"]["domainName"].clone();
    let expected =
        format!("https://{}/v1/retrieval/jobs/{job}/artifacts/{}", text(&domain), text(&artifact["id"]));
    assert_eq!(path, expected);
    let path = [job, text(&artifact["id"])];
    let download = async |pem: Option<&str>, status: u16| {
        let caller = Caller { credential: None, pem };
        caller.ask(&account, "download-artifact", &path, query, Value::Null, status).await.1
    };
    download(None, 401).await;
    let location = download(Some(&pem), 302).await["location"].clone();
    let content = client.get(text(&location)).send().await.unwrap();
    assert_eq!(content.headers()["content-type"], "application/pdf");
    assert!(content.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    assert_eq!(json!(ContentHash::of(&content.bytes().await.unwrap())), declared["hash"]);
}
