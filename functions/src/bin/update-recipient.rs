//! Written by `cargo test -p docyard-cli --test generated`: the Lambda function of the endpoint that has this binary's name.

use docyard_functions::endpoint::Endpoint;
use docyard_functions::{endpoints, lambda};

const ENDPOINT: &Endpoint = endpoints::named(env!("CARGO_BIN_NAME"));

fn main() -> std::process::ExitCode {
    lambda::runtime::run(ENDPOINT)
}
