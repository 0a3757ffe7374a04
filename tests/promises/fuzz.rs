//! What reads a stranger's bytes, with random ones and with those that libFuzzer kept; `cargo fuzz` goes on from there.

#[path = "../../fuzz/src/lib.rs"]
mod readers;

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::values::clock::Clock;
use docyard_functions::endpoints;
use docyard_functions::http::body::MAX_BYTES;
use docyard_test_support::table::TestTable;
use docyard_test_support::{is_thorough, redacted};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

type Reader = fn(&[u8]);

const READERS: &[(&str, Reader)] = &[
    ("authorization", readers::authorization),
    ("body", readers::body),
    ("cursor", readers::cursor),
    ("email", readers::email),
    ("event", readers::event),
    ("path", readers::path),
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

/// The bodies that were kept and random texts, queries and path parameters, of a caller who has a key.
#[test]
fn no_event_of_a_caller_with_a_key_gets_a_500() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (context, key, dock) = runtime.block_on(async {
        let table = TestTable::start().await;
        let account = table.account().await;
        let (key, dock) = (table.key(account).await, table.dock(account).await.to_string());
        (Context::new(table.store, Mode::Live, Clock::system()), key, dock)
    });
    let kept = prop::sample::select(corpus("body"));
    let texts =
        prop_oneof![any::<String>(), kept.prop_map(|body| String::from_utf8_lossy(&body).into_owned())];
    let events =
        (any::<u8>(), texts, any::<String>(), prop_oneof![Just(dock), any::<String>()], any::<bool>());
    let cases = if is_thorough() { 20_000 } else { 200 };
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&events, |(route, body, query, id, is_json)| {
        let event = json!({
            "version": "2.0", "rawQueryString": query, "body": body,
            "headers": {
                "authorization": format!("Bearer {key}"), "idempotency-key": query,
                "content-type": if is_json { "application/json" } else { body.as_str() },
            },
            "pathParameters": {"dockId": id, "recipientId": id, "secretId": id},
            "requestContext": {"requestId": "r", "http": {"method": "POST"}},
        });
        let data = [&[route], event.to_string().as_bytes()].concat();
        let status = runtime.block_on(readers::answer(context.clone(), &data)).unwrap();
        prop_assert!([200, 201, 400, 404, 409, 413, 415, 422].contains(&status), "{}", status);
        Ok(())
    });
    assert!(outcome.is_ok(), "{}", redacted(&outcome.unwrap_err().to_string()));
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
        docyard_functions::http::body::read(&request, |fields| {
            let text = || docyard_functions::http::body::string(|_| Ok(()));
            Ok((fields.required("name", text())?, fields.required("email", text())?))
        })
    };
    assert!(read(padded(MAX_BYTES)).is_ok());
    assert!(matches!(
        read(padded(MAX_BYTES + 1)),
        Err(docyard_functions::http::error::Error::PayloadTooLarge)
    ));
    let _: Value = serde_json::from_str(&padded(MAX_BYTES)).unwrap();
}
