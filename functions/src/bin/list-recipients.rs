//! The Lambda function of [`docyard_functions::list_recipients`].

use std::process::ExitCode;

use docyard_functions::{list_recipients, runtime};

fn main() -> ExitCode {
    runtime::run(&list_recipients::ROUTE)
}
