//! What reads a stranger's bytes, with random ones and with those that libFuzzer kept; `cargo fuzz` goes on from there.

#[path = "../../fuzz/src/lib.rs"]
mod readers;

use std::collections::{BTreeMap, BTreeSet};

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::model::submission::SubmissionKey;
use docyard_core::values::clock::Clock;
use docyard_functions::endpoints;
use docyard_functions::http::body::MAX_BYTES;
use docyard_test_support::account::Account;
use docyard_test_support::cases::{self, Artifacts, Case, Sender, Things};
use docyard_test_support::certificate;
use docyard_test_support::retrieved::Retrieved;
use docyard_test_support::scene::Scene;
use docyard_test_support::{is_thorough, redacted};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

type Reader = fn(&[u8]);

const READERS: &[(&str, Reader)] = &[
    ("artifact", readers::artifact),
    ("authorization", readers::authorization),
    ("body", readers::body),
    ("certificate", readers::certificate),
    ("cursor", readers::cursor),
    ("email", readers::email),
    ("event", readers::event),
    ("form", readers::form),
    ("oauth", readers::oauth),
    ("path", readers::path),
    ("recipe", readers::recipe),
    ("recipient_csv", readers::recipient_csv),
    ("ticket", readers::ticket),
];

/// What was kept of a reader's inputs.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = docyard_test_support::root().join("fuzz/corpus").join(name);
    std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn what_was_kept_is_read() {
    for &(name, read) in READERS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has a corpus");
        corpus.iter().for_each(|data| read(data));
    }
    // Every event at every endpoint.
    for mut event in corpus("event").into_iter().filter(|event| !event.is_empty()) {
        for route in 0..u8::try_from(endpoints::all().count()).unwrap() {
            event[0] = route;
            readers::event(&event);
        }
    }
}

#[test]
fn random_bytes_and_changes_of_what_was_kept_are_read() {
    let cases = if is_thorough() { 100_000 } else { 400 };
    for &(name, read) in READERS {
        let bytes = || prop::collection::vec(any::<u8>(), 0..200);
        let kept = prop::sample::select(corpus(name));
        // Something kept, with a part of it replaced.
        let changed = (kept, any::<prop::sample::Index>(), any::<prop::sample::Index>(), bytes());
        let changed = changed.prop_map(|(mut data, from, to, new)| {
            let (a, b) = (from.index(data.len() + 1), to.index(data.len() + 1));
            data.splice(a.min(b)..a.max(b), new);
            data
        });
        let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        let outcome = runner.run(&prop_oneof![bytes(), changed], |data| {
            read(&data);
            Ok(())
        });
        assert!(outcome.is_ok(), "{name}: {}", outcome.unwrap_err());
    }
}

/// What paths of the fuzzed requests name, in the place of what a request deleted.
async fn new_things(account: &Account, n: usize) -> Things {
    let (recipient, secret) = account.recipient_with_secret(&format!("{n}@example.com")).await;
    let store = &account.table.store;
    let scene = Scene::create(store, &account.key, None, &format!("{n}")).await;
    let artifacts = Artifacts::of(account, &format!("{n}")).await;
    let pem = certificate::new("new");
    let retrieved = Retrieved::of(account, &scene).await;
    Things { recipient, secret, scene, artifacts, retrieved, pem, value: "x".to_owned(), ..Things::default() }
}

/// Valid bodies and things that exist, mixed with random texts, of a caller who has a key: each endpoint is reached, and
/// none fails.
#[test]
fn no_event_of_a_caller_with_a_key_gets_a_500() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let account = runtime.block_on(Account::new());
    let context = Context::new(account.table.store.clone(), Mode::Live, Clock::system())
        .with_objects(docyard_test_support::bucket::objects_beside(&account.table.url))
        .with_submission_key(SubmissionKey::development());
    let mut things = Things::default();
    let all: Vec<_> = endpoints::all().collect();
    let cases = cases::all();
    let cases: Vec<&Case> = all
        .iter()
        .map(|endpoint| cases.iter().find(|case| case.endpoint == endpoint.name).unwrap())
        .collect();

    let kept = prop::sample::select(corpus("body"));
    let texts =
        prop_oneof![any::<String>(), kept.prop_map(|body| String::from_utf8_lossy(&body).into_owned())];
    let mostly_real = || prop::option::weighted(0.1, any::<String>());
    let headers = (prop::option::of(any::<String>()), prop::option::weighted(0.1, any::<String>()));
    // None is that of the endpoint's case.
    let query = prop_oneof![
        6 => Just(None),
        1 => any::<String>().prop_map(Some),
        1 => "limit=[0-9]{1,4}".prop_map(Some),
        1 => "(from|to)=(0000|9999)-(01-01|12-31)T(00:00:00|23:59:59)(Z|%2B23:59|-23:59)".prop_map(Some)
    ];
    let body = prop::option::weighted(0.4, texts);
    let event = (body, query, [mostly_real(), mostly_real(), mostly_real()], headers);
    let events = if is_thorough() { 20_000 } else { 40 * all.len() };
    // The same ones each time, so that each endpoint is reached each time.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut reached = BTreeSet::new();
    for n in 0..events {
        let route = n % all.len();
        // What withdraws a token comes before what needs one, and nothing of what needs one does.
        let needs_token = |route: usize| cases[route].sender == Sender::Member;
        if route == 0 || needs_token(route) && !needs_token(route - 1) {
            things = runtime.block_on(new_things(&account, n));
        }
        let (body, query, [dock, recipient, secret], (key, other)) =
            event.new_tree(&mut runner).unwrap().current();
        let case = cases[route];
        // A text is sent as it is.
        let text_of = |body: Value| body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        let body_there = || case.body_of(n, &account.dock, &things).map(text_of);
        let body = body.or_else(body_there);
        let query = query.unwrap_or_else(|| case.query_of(&account.dock, &things));
        let named = case.path.iter().map(|thing| things.value_of(&account.dock, *thing).to_owned());
        let mut parameters: BTreeMap<&str, String> = all[route].route.parameters().zip(named).collect();
        for (name, random) in [("dockId", dock), ("recipientId", recipient), ("secretId", secret)] {
            if let (Some(value), Some(random)) = (parameters.get_mut(name), random) {
                *value = random;
            }
        }
        let mut headers = json!({"authorization": format!("Bearer {}", account.key)});
        headers
            .as_object_mut()
            .unwrap()
            .extend(case.header.map(|(name, value)| (name.to_owned(), json!(value))));
        let named = [("idempotency-key", key), ("content-type", other.clone()), ("if-match", other)];
        for (name, value) in named.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            headers[name] = json!(value);
        }
        let mut event = json!({
            "version": "2.0", "rawQueryString": query, "body": body, "headers": headers,
            "pathParameters": parameters,
            "requestContext": {"requestId": "r", "http": {"method": "POST"}},
        });
        case.send(&mut event, &things.scene);
        let data = [&[u8::try_from(route).unwrap()], event.to_string().as_bytes()].concat();
        let Some(status) = runtime.block_on(readers::answer(context.clone(), &data)) else { continue };
        let what = || redacted(&format!("{} of {}: {event}", status, all[route].name));
        let is_account = case.sender == Sender::Account;
        let refusals = if is_account { vec![404, 409, 412, 422] } else { vec![401, 403, 429] };
        let expected = [refusals, vec![200, 201, 302, 400, 404, 413, 415]].concat();
        assert!(expected.contains(&status), "{}", what());
        if status < 400 {
            reached.insert(all[route].name);
        }
    }
    let missed: Vec<&str> =
        all.iter().map(|endpoint| endpoint.name).filter(|name| !reached.contains(name)).collect();
    assert!(missed.is_empty(), "endpoints that met nothing that exists: {missed:?}");
}

#[test]
fn bodies_that_are_made_to_hurt_are_read() {
    let deep =
        |open: &str, close: &str, depth: usize| format!("{}{}", open.repeat(depth), close.repeat(depth));
    let name = |name: &str| format!(r#"{{"name":"{name}","email":"a@example.com"}}"#);
    let padded = |bytes: usize| {
        let start = name("x");
        format!("{start}{}", " ".repeat(bytes - start.len()))
    };
    let many = |count: usize| {
        let fields: Vec<String> = (0..count).map(|n| format!(r#""f{n}":1"#)).collect();
        format!("{{{}}}", fields.join(","))
    };
    for body in [
        deep("[", "]", 100),
        deep("[", "]", 30_000),
        deep("{\"a\":", "}", 10_000),
        format!(r#"{{"name":{}}}"#, deep("[", "]", 30_000)),
        format!(r#"{{"expiresInDays":{}}}"#, "9".repeat(60_000)),
        r#"{"expiresInDays":1e400}"#.to_owned(),
        r#"{"expiresInDays":-0.0e-99999999999999}"#.to_owned(),
        name(r"\ud800"),
        name(r"\udc00\ud800"),
        name(r"\u0000"),
        format!("\u{feff}{}", name("x")),
        r#"{"name":"a","name":"b","name":"c"}"#.to_owned(),
        many(5_000),
        padded(MAX_BYTES),
        padded(MAX_BYTES + 1),
    ] {
        readers::body(body.as_bytes());
    }
    for body in [&b"{\"name\":\"\xff\xfe\"}"[..], b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}", b"\0\0\0"] {
        readers::body(body);
    }
    // The limit is where it should be.
    let read = |body: String| {
        let request = lambda_http::Request::new(lambda_http::Body::Text(body));
        docyard_functions::http::input::read(&request, |input| {
            input.body(|fields| {
                let text = || docyard_core::values::fields::string(|_| Ok(()));
                Ok((fields.required("name", text())?, fields.required("email", text())?))
            })
        })
    };
    assert!(read(padded(MAX_BYTES)).is_ok());
    assert!(matches!(
        read(padded(MAX_BYTES + 1)),
        Err(docyard_functions::http::error::Error::PayloadTooLarge(_))
    ));
    let _: Value = serde_json::from_str(&padded(MAX_BYTES)).unwrap();
}
