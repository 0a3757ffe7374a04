//! The command-line tool: `docyard dev` as a server, the API's document that it serves, and the operator's commands.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod audit;
mod dev_artifacts;
mod dev_damage;
mod dev_server;
mod dev_tls;
mod import;
mod openapi;
mod operator;
mod operator_network;
mod retrieve;
mod truststore;
mod unreliable;
mod upload;
