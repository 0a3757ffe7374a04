//! The Lambda function of [`docyard_functions::update_dock`].

use std::process::ExitCode;

use docyard_functions::{runtime, update_dock};

fn main() -> ExitCode {
    runtime::run(&update_dock::ROUTE)
}
