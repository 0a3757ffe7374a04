//! How much is tried.

use proptest::test_runner::Config;

/// With so many cases, or so many in a thorough run. `docyard_test_support` has the same switch, and depends on this package.
pub fn config(cases: u32, thorough: u32) -> Config {
    let is_thorough = std::env::var_os("DOCYARD_TEST_THOROUGH").is_some_and(|value| value == "1");
    Config {
        cases: if is_thorough { thorough } else { cases },
        failure_persistence: None,
        ..Config::default()
    }
}
