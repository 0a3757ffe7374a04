//! What reads a stranger's bytes: one function for each kind, which panics where something is not as it must be.
//!
//! Under `cargo fuzz` they get what libFuzzer thinks of; in `cargo test` (`tests/promises/fuzz.rs`) random bytes, and
//! what libFuzzer once found worth keeping.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(missing_docs, reason = "each is named as what it reads")]

use std::cell::RefCell;

use docyard_core::aws::dynamodb;
use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::model::artifact::{self, Filename, MediaType};
use docyard_core::model::audit::{EntityId, EntityType, Metadata, Word};
use docyard_core::model::decision::{Facts, decide};
use docyard_core::model::idempotency::StoredResponse;
use docyard_core::model::identifiers::Identifiers;
use docyard_core::model::recipe::{Factor, Method, Recipe};
use docyard_core::model::recipient::{Recipient, StakeholderClass};
use docyard_core::model::recipient_csv;
use docyard_core::model::secret::{Grace, Lifetime};
use docyard_core::model::ticket::Ticket;
use docyard_core::model::token::AccessToken;
use docyard_core::store::Store;
use docyard_core::values::clock::{Clock, Timestamp};
use docyard_core::values::content_hash::ContentHash;
use docyard_core::values::email::Email;
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::id::{AccountId, DockId, RecipientId, SecretId};
use docyard_core::values::text::Text;
use docyard_core::values::thumbprint::Thumbprint;
use docyard_core::values::x509::{MAX_PEM_BYTES, X509};
use docyard_functions::endpoint::Endpoint;
use docyard_functions::endpoints;
use docyard_functions::http::error::Error;
use docyard_functions::http::oauth::Parameters;
use docyard_functions::http::{auth, body, input, list, multipart, path, response};
use docyard_functions::lambda::event::Event;
use docyard_functions::lambda::service::service;
use lambda_http::http::header::{AUTHORIZATION, CONTENT_TYPE};
use lambda_http::http::{HeaderValue, Response};
use lambda_http::lambda_runtime::LambdaEvent;
use lambda_http::request::LambdaRequest;
use lambda_http::tower::ServiceExt;
use lambda_http::{Body, Request};
use serde_json::{Value, json};

thread_local! {
    static RUNTIME: RefCell<tokio::runtime::Runtime> =
        RefCell::new(tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with_borrow(|runtime| runtime.block_on(future))
}

fn now() -> Timestamp {
    Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap()
}

/// A context whose table is out of reach.
fn context() -> Context {
    let store = Store::new(dynamodb::local_client("http://127.0.0.1:1"), "t");
    Context::new(store, Mode::Live, Clock::new(now))
}

/// Asserts that what a caller is told of an error is of the contract's form, and of a size that does not grow with what
/// was sent.
fn assert_answer(error: Error) {
    let response = response::finish(Err(error), "r");
    let status = response.status().as_u16();
    assert!((400..500).contains(&status) || status == 503, "{status}");
    let body: Value = serde_json::from_str(response.body()).unwrap();
    assert_eq!(body["statusCode"], status);
    assert!(response.body().len() < 100_000, "{} bytes", response.body().len());
}

fn request(event: Value) -> Option<Request> {
    let event: Event = serde_json::from_value(event).ok()?;
    Some(LambdaRequest::from(event).into())
}

/// An event of API Gateway, whole: without a key that is valid, each endpoint answers it 401.
pub fn event(data: &[u8]) {
    let answer = wait(answer(context(), data));
    // Of a key that is well-formed by chance, the table is asked. What takes no key judges its parameters.
    let expected: &[u64] = match data.first().map(|&first| endpoint(first).credentials) {
        Some([]) => &[200, 400, 401, 413, 415, 503],
        _ => &[401, 503],
    };
    assert!(answer.is_none_or(|status| expected.contains(&status)), "{answer:?}");
}

/// The endpoint that a byte names.
fn endpoint(byte: u8) -> &'static Endpoint {
    let all: Vec<_> = endpoints::all().collect();
    all[usize::from(byte) % all.len()]
}

/// The status that the endpoint, which the first byte names, answers to the event in the others; `None` if it is none.
pub async fn answer(context: Context, data: &[u8]) -> Option<u64> {
    let (&first, data) = data.split_first()?;
    let event = serde_json::from_slice::<Event>(data).ok()?;
    let endpoint = endpoint(first);
    let event = LambdaEvent::new(event, lambda_http::Context::default());
    let Ok(output) = service(endpoint, context).oneshot(event).await;
    let output = serde_json::to_value(output).unwrap();
    output["statusCode"].as_u64()
}

/// The parameters of an OAuth client, as a form and as JSON: what a form is made of again is read the same.
pub fn oauth(data: &[u8]) {
    for content_type in ["application/x-www-form-urlencoded", "application/json"] {
        let mut request = Request::new(Body::Binary(data.to_vec()));
        request.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
        if let Ok(value) = HeaderValue::from_bytes(&[b"Basic ", data].concat()) {
            request.headers_mut().insert("authorization", value);
        }
        let Ok(mut parameters) = Parameters::read(&request) else { continue };
        let _ = parameters.take_client(&request);
        assert!(parameters.take("client_secret").is_none(), "it was taken");
    }
    let _ = std::str::from_utf8(data).map(|text| AccessToken::parse(text).is_some());
}

/// A CSV file of recipients: each row that is read has its place, and no more cells than were sent.
pub fn recipient_csv(data: &[u8]) {
    let Ok(csv) = recipient_csv::read(data) else { return };
    assert!(csv.rows.iter().is_sorted_by(|a, b| a.number < b.number));
    let cells: usize = csv.rows.iter().map(|row| row.cells.iter().map(String::len).sum::<usize>()).sum();
    assert!(cells <= data.len());
}

/// The ticket of a link: what is read is the text that was sent.
pub fn ticket(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(ticket) = Ticket::parse(text) {
        assert!(ticket.expose() == text && text.contains(&ticket.recipient().to_string()[4..]));
    }
}

/// A form with a file, whose parts `--b` separates: nothing of it is more than what was sent.
pub fn form(data: &[u8]) {
    let mut request = Request::new(Body::Binary(data.to_vec()));
    let content_type = HeaderValue::from_static("multipart/form-data; boundary=b");
    request.headers_mut().insert(CONTENT_TYPE, content_type);
    match wait(multipart::read(&request, "too large")) {
        Ok(form) => {
            let parts = [form.file.map(|file| file.content), form.metadata];
            assert!(parts.iter().flatten().map(|part| part.len()).sum::<usize>() <= data.len());
        }
        Err(error) => assert_answer(error),
    }
}

/// What an artifact is declared to be: what is taken is taken again, unchanged.
pub fn artifact(data: &[u8]) {
    let today = now().date();
    if let Ok(json) = serde_json::from_slice(data)
        && let Ok(metadata) = artifact::Metadata::parse(json, today)
    {
        let text = serde_json::to_string(&metadata).unwrap();
        assert_eq!(artifact::Metadata::parse(serde_json::from_str(&text).unwrap(), today).unwrap(), metadata);
        assert!(metadata.entries().len() <= 10);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(filename) = Filename::parse(text) {
        assert_eq!(Filename::parse(filename.as_str()).as_ref(), Ok(&filename));
        assert!(!filename.as_str().contains(['/', '\\', '\r', '\n', '\0']) && filename.as_str() != "..");
    }
    if let Ok(media_type) = MediaType::parse(text) {
        assert!(HeaderValue::from_str(media_type.as_str()).is_ok());
        assert_eq!(MediaType::parse(media_type.as_str()).as_ref(), Ok(&media_type));
    }
    if let Ok(hash) = ContentHash::parse(text) {
        assert_eq!(ContentHash::parse(&hash.to_string()), Ok(hash));
    }
}

/// A recipe, as a value of a request: what is taken is taken again, unchanged, and decides without a panic.
pub fn recipe(data: &[u8]) {
    let Ok(json) = serde_json::from_slice(data) else { return };
    let Ok(recipe) = Recipe::parse(json) else { return };
    let again = Recipe::parse(serde_json::from_str(&recipe.canonical()).unwrap()).unwrap();
    assert_eq!((again.hash(), &again), (recipe.hash(), &recipe));
    let recipient = Recipient {
        id: RecipientId::parse("rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y").unwrap(),
        dock: DockId::parse("dock_01JHMV2B4MP0YHZX6Q3T0V1W2X").unwrap(),
        account: AccountId::parse("acc_01JHMV2B4MP0YHZX6Q3T0V1W2X").unwrap(),
        name: Text::parse("R").unwrap(),
        email: Email::parse("r@example.com").unwrap(),
        stakeholder_class: Some(recipe.class()),
        identifiers: Identifiers::default(),
        created_at: now(),
        updated_at: None,
        version: 0,
    };
    for method in Method::ALL {
        let facts = Facts {
            recipient: &recipient,
            is_in_audience: true,
            method: *method,
            factors: Factor::ALL,
            authenticated_at: now(),
            submitted: &Identifiers::default(),
            artifact: None,
        };
        let decision = decide(&recipe, &facts, now());
        assert_eq!(decision.is_granted(), decision.distance() == (0, 0));
    }
}

/// An `Authorization` header: no key is in it that was not made here.
pub fn authorization(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let mut request = Request::new(Body::Empty);
    request.headers_mut().insert(AUTHORIZATION, value);
    match wait(auth::authenticate(&context(), &request)) {
        Err(error @ Error::Unauthorized { .. }) => assert_answer(error),
        // A checksum that is right by chance: then the table is asked.
        Err(error @ Error::Unavailable(_)) => assert_answer(error),
        other => panic!("{other:?}"),
    }
}

/// A query: `limit` and `cursor` of each list.
pub fn cursor(data: &[u8]) {
    let query = String::from_utf8_lossy(data);
    let event = json!({
        "version": "2.0", "rawQueryString": query, "requestContext": {"http": {"method": "GET"}},
    });
    let Some(request) = request(event) else { return };
    let path = "/v1/docks/dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0/recipients";
    let is_key = |key: &str| Email::parse(key).is_ok_and(|email| email.as_str() == key);
    match input::read(&request, |input| list::page(input, path, is_key)) {
        Ok(window) => {
            assert!((1..=1000).contains(&window.limit));
            assert!(window.after.is_none_or(|key| Email::parse(&key).is_ok()));
        }
        Err(error) => assert_answer(error),
    }
}

/// A body, with its content type before a NUL: as a creation, as a change, and as one that may be absent.
pub fn body(data: &[u8]) {
    let (content_type, data) = match data.iter().position(|byte| *byte == 0) {
        Some(end) => (Some(&data[..end]), &data[end + 1..]),
        None => (None, data),
    };
    let mut request = Request::new(Body::Binary(data.to_vec()));
    if let Some(content_type) = content_type.and_then(|value| HeaderValue::from_bytes(value).ok()) {
        request.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    let class = || string(StakeholderClass::parse);
    let today = now().date();
    let create = |fields: &mut Fields| {
        let name = fields.required("name", string(Text::parse));
        let email = fields.required("email", string(Email::parse));
        let class = fields.optional("stakeholderClass", class());
        let identifiers = fields.optional("identifiers", |json| Identifiers::parse(json, today));
        let lifetime = fields.optional("expiresInDays", Lifetime::parse);
        Ok((name?, email?, class?, identifiers?.unwrap_or_default(), lifetime?.unwrap_or_default()))
    };
    let change = |fields: &mut Fields| {
        let name = fields.change("name", string(Text::parse));
        let class = fields.patch("stakeholderClass", class());
        let current = Identifiers::default();
        let identifiers = fields.patch("identifiers", |json| current.merged(json, today));
        let read_only = fields.read_only(&["id"], Some(&json!({"id": "x"})));
        Ok((name?, class?, identifiers?, read_only?))
    };
    let event = |fields: &mut Fields| {
        let kind = fields.required("entityType", string(|text| Word::parse_free(text, EntityType::WORDS)));
        let entity = fields.required("entityId", string(EntityId::parse));
        let metadata = fields.optional("metadata", Metadata::parse);
        Ok((kind?, entity?, metadata?.unwrap_or_default()))
    };
    match input::read(&request, |input| input.body(event)) {
        Ok((kind, entity, metadata)) => {
            assert_eq!(Word::parse(&kind.to_string()), Ok(kind));
            assert_eq!(EntityId::parse(&entity.to_string()), Ok(entity));
            assert!(serde_json::to_string(&metadata).unwrap().len() <= 4096);
        }
        Err(error) => assert_answer(error),
    }
    let text = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    match input::read(&request, |input| input.body(create)) {
        Ok((_, _, _, identifiers, lifetime)) => {
            assert!(
                data.len() <= body::MAX_BYTES && serde_json::from_slice::<Value>(text).unwrap().is_object()
            );
            assert!(identifiers.entries().len() <= 50);
            assert!(lifetime.days().is_none_or(|days| (1..=3650).contains(&days)));
        }
        Err(error) => assert_answer(error),
    }
    if let Err(error) = input::read(&request, |input| input.merge_patch(change)) {
        assert_answer(error);
    }
    match input::read(&request, |input| {
        input.optional_body(|fields| fields.optional("graceHours", Grace::parse))
    }) {
        Ok(None) => assert!(
            text.trim_ascii().is_empty()
                || [json!({}), Value::Null, json!({"graceHours": null})]
                    .contains(&serde_json::from_slice(text).unwrap())
        ),
        Ok(Some(_)) => {}
        Err(error) => assert_answer(error),
    }
}

/// An email: what is taken is taken again, unchanged.
pub fn email(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(email) = Email::parse(text) else { return };
    assert_eq!(Email::parse(email.as_str()).unwrap(), email);
    assert!(email.as_str().is_ascii() && email.as_str().len() <= 254);
    assert!(!email.as_str().contains(|c: char| c.is_ascii_uppercase() || c.is_ascii_control() || c == ' '));
}

/// A certificate in PEM: one that is read has the thumbprint that is read of a request with it.
pub fn certificate(data: &[u8]) {
    let pem = String::from_utf8_lossy(data);
    let thumbprint = Thumbprint::of_pem(&pem);
    let Ok(certificate) = X509::parse(&pem) else { return };
    assert_eq!(Some(&certificate.thumbprint), thumbprint.as_ref());
    assert!(pem.len() <= MAX_PEM_BYTES && !pem.contains("-----BEGIN PRIVATE KEY-----"));
    assert_eq!(Thumbprint::parse(certificate.thumbprint.as_str()), thumbprint);
    let serial_number = &certificate.serial_number;
    assert!(
        !serial_number.is_empty() && serial_number.bytes().all(|c| matches!(c, b'0'..=b'9' | b'A'..=b'F'))
    );
}

/// A path parameter, and the headers that a handler reads: an id has one form, and what has another is nowhere.
pub fn path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let event = json!({
        "version": "2.0", "requestContext": {"http": {"method": "GET"}}, "body": "{}",
        "headers": {"idempotency-key": text, "if-match": text, "content-encoding": text},
        "pathParameters": {"dockId": text, "recipientId": text, "secretId": text},
    });
    let Some(request) = request(event) else { return };
    let ids = [
        path::id::<DockId>(&request).map(|id| id.to_string()),
        path::id::<RecipientId>(&request).map(|id| id.to_string()),
        path::id::<SecretId>(&request).map(|id| id.to_string()),
    ];
    let ids: Vec<String> = ids.into_iter().flatten().collect();
    assert!(ids.len() <= 1 && ids.iter().all(|id| *id == text));
    let headers = input::read(&request, |input| {
        let key = input.idempotency_key();
        let if_match = input.if_match();
        let body = input.body(|_| Ok(()));
        Ok((key?, if_match?, body?))
    });
    if let Err(error) = headers {
        assert_answer(error);
    }
    let _: Response<String> =
        response::created(StoredResponse { body: "{}".to_owned(), location: Some(text.into_owned()) });
}
