//! The functions as Lambda runs them: their real binaries against the Lambda Runtime API, and the template and the
//! documents against the code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod dependencies;
mod documentation;
mod lambda;
mod layers;
mod logging;
mod permissions;
mod round_trips;
mod sealer;
mod seven_steps;
mod template;
