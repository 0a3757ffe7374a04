//! The Lambda function of [`docyard_functions::create_dock`].

use std::process::ExitCode;

use docyard_functions::{create_dock, runtime};

fn main() -> ExitCode {
    runtime::run(&create_dock::ROUTE)
}
