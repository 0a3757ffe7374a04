//! The Lambda function of [`docyard_functions::list_docks`].

use std::process::ExitCode;

use docyard_functions::{list_docks, runtime};

fn main() -> ExitCode {
    runtime::run(&list_docks::ROUTE)
}
