//! What a recipe may say, and what it decides: rules by example, and properties at random.
//! They try a few hundred cases, or many with `DOCYARD_TEST_THOROUGH=1`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod arbitrary;
mod config;
mod properties;
mod rules;

use config::config;
