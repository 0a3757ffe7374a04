//! The Lambda function of [`docyard_functions::rotate_secret`].

use std::process::ExitCode;

use docyard_functions::{rotate_secret, runtime};

fn main() -> ExitCode {
    runtime::run(&rotate_secret::ROUTE)
}
