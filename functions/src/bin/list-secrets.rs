//! The Lambda function of [`docyard_functions::list_secrets`].

use std::process::ExitCode;

use docyard_functions::{list_secrets, runtime};

fn main() -> ExitCode {
    runtime::run(&list_secrets::ROUTE)
}
