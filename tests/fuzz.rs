//! What reads a stranger's bytes, with random ones and with those that libFuzzer kept; `cargo fuzz` goes on from there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "../fuzz/src/lib.rs"]
mod readers;
mod support;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use support::is_thorough;

type Reader = fn(&[u8]);

const READERS: [(&str, Reader); 6] = [
    ("authorization", readers::authorization),
    ("body", readers::body),
    ("cursor", readers::cursor),
    ("email", readers::email),
    ("event", readers::event),
    ("path", readers::path),
];

/// What was kept of a reader's inputs.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/../fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn what_was_kept_is_read() {
    for (name, read) in READERS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has a corpus");
        corpus.iter().for_each(|data| read(data));
    }
}

#[test]
fn random_bytes_and_changes_of_what_was_kept_are_read() {
    let cases = if is_thorough() { 100_000 } else { 400 };
    for (name, read) in READERS {
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
        padded(body_limit()),
        padded(body_limit() + 1),
    ] {
        readers::body(body.as_bytes());
    }
    for body in [&b"{\"name\":\"\xff\xfe\"}"[..], b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}", b"\0\0\0"] {
        readers::body(body);
    }
    // The limit is where it should be.
    let read = |body: String| {
        let request = lambda_http::Request::new(lambda_http::Body::Text(body));
        docyard::body::read(&request, |fields| {
            let text = |name| docyard::body::string(name, |_| Ok(()));
            Some((fields.required("name", text("name"))?, fields.required("email", text("email"))?))
        })
    };
    assert!(read(padded(body_limit())).is_ok());
    assert!(matches!(read(padded(body_limit() + 1)), Err(docyard::error::Error::PayloadTooLarge)));
    let _: Value = serde_json::from_str(&padded(body_limit())).unwrap();
}

fn body_limit() -> usize {
    docyard::body::MAX_BYTES
}
