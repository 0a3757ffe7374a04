//! What a recipe decides, a second time in Cedar. Apart from the other tests, for the reason that Cargo.toml has.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../arbitrary.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod arbitrary;
mod cedar;
#[path = "../config.rs"]
mod config;

use config::config;
