//! The Lambda function of [`docyard_functions::delete_recipient`].

use std::process::ExitCode;

use docyard_functions::{delete_recipient, runtime};

fn main() -> ExitCode {
    runtime::run(&delete_recipient::ROUTE)
}
