//! The Lambda function of [`docyard_functions::update_recipient`].

use std::process::ExitCode;

use docyard_functions::{runtime, update_recipient};

fn main() -> ExitCode {
    runtime::run(&update_recipient::ROUTE)
}
