//! The Lambda function of [`docyard_functions::verify_secret`].

use std::process::ExitCode;

use docyard_functions::{runtime, verify_secret};

fn main() -> ExitCode {
    runtime::run(&verify_secret::ROUTE)
}
