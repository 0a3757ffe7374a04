//! What is promised, and the attempts to break it: faults, races, random sequences, random bytes. They try a few cases,
//! or all they can with `DOCYARD_TEST_THOROUGH=1`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod artifacts;
mod decisions;
mod faults;
mod fuzz;
mod imports;
mod jobs;
mod model;
mod races;
mod races_of_retrieval;
mod retrieval;
mod sealed_copy;
mod tokens;
mod trail;
mod worker;
