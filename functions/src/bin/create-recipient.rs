//! The Lambda function of [`docyard_functions::create_recipient`].

use std::process::ExitCode;

use docyard_functions::{create_recipient, runtime};

fn main() -> ExitCode {
    runtime::run(&create_recipient::ROUTE)
}
