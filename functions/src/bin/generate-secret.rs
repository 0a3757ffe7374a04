//! The Lambda function of [`docyard_functions::generate_secret`].

use std::process::ExitCode;

use docyard_functions::{generate_secret, runtime};

fn main() -> ExitCode {
    runtime::run(&generate_secret::ROUTE)
}
