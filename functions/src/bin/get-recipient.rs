//! The Lambda function of [`docyard_functions::get_recipient`].

use std::process::ExitCode;

use docyard_functions::{get_recipient, runtime};

fn main() -> ExitCode {
    runtime::run(&get_recipient::ROUTE)
}
