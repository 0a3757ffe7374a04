//! The Lambda function of the endpoint that has this binary's name. Generated: see tests/generated/main.rs.

use docyard_functions::endpoint::Endpoint;
use docyard_functions::{endpoints, lambda};

const ENDPOINT: &Endpoint = endpoints::named(env!("CARGO_BIN_NAME"));

fn main() -> std::process::ExitCode {
    lambda::runtime::run(ENDPOINT)
}
