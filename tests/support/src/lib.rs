//! What the tests and the benchmark share: a DynamoDB API with fixtures in it, a Lambda sandbox for the functions'
//! binaries, `docyard dev` as a process, faults, and one table of cases for all endpoints.
//!
//! Not here: a test, or anything that only one test needs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(missing_docs, reason = "read beside the tests that use it")]

pub mod account;
pub mod api;
pub mod bucket;
pub mod cases;
pub mod certificate;
pub mod clock;
pub mod costs;
pub mod dev;
pub mod fault;
pub mod faulty_client;
pub mod iam;
pub mod import;
pub mod operations;
pub mod proxy;
pub mod relay;
pub mod retrieved;
pub mod sandbox;
pub mod scene;
pub mod sealed;
pub mod stream;
pub mod table;
pub mod trail;

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;

/// How long a test waits for something that must happen, before it fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Whether tests that try many cases try all they can, which takes minutes: `DOCYARD_TEST_THOROUGH=1`.
pub fn is_thorough() -> bool {
    std::env::var_os("DOCYARD_TEST_THOROUGH").is_some_and(|value| value == "1")
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A file of the repository.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A client for HTTP. `reqwest` makes none before a provider of cryptography is chosen.
pub fn http_client() -> reqwest::ClientBuilder {
    // An error says that it was chosen before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

/// The path of a binary of the package under test.
pub fn binary(name: &str) -> PathBuf {
    let variable = format!("CARGO_BIN_EXE_{name}");
    let path = std::env::var_os(&variable).unwrap_or_else(|| {
        panic!("{variable} is not set: Cargo 1.94 or newer sets it when it runs the tests of the binary's package")
    });
    path.into()
}

/// A text without the keys and secrets in it, as a test that fails may print it.
pub fn redacted(text: &str) -> String {
    let mut parts = text.split("dk_");
    let mut shown = parts.next().unwrap().to_owned();
    for part in parts {
        shown.push_str("dk_…");
        shown.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'));
    }
    shown
}

/// Runs `check` for each item, a few at once. A panic of one is a panic of all.
pub async fn for_each<T, F: Future<Output = ()>>(
    items: impl IntoIterator<Item = T>,
    check: impl FnMut(T) -> F,
) {
    futures_util::stream::iter(items).map(check).buffer_unordered(4).collect::<Vec<()>>().await;
}
