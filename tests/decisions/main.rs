//! What a recipe may say, and what it decides: rules by example, properties at random, and a second opinion by Cedar.
//! They try a few hundred cases, or many with `DOCYARD_TEST_THOROUGH=1`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod arbitrary;
mod cedar;
mod properties;
mod rules;

use proptest::test_runner::Config;

/// With so many cases, or so many in a thorough run. `docyard_test_support` has the same switch, and depends on this package.
fn config(cases: u32, thorough: u32) -> Config {
    let is_thorough = std::env::var_os("DOCYARD_TEST_THOROUGH").is_some_and(|value| value == "1");
    Config {
        cases: if is_thorough { thorough } else { cases },
        failure_persistence: None,
        ..Config::default()
    }
}
