//! The Lambda function of [`docyard_functions::get_dock`].

use std::process::ExitCode;

use docyard_functions::{get_dock, runtime};

fn main() -> ExitCode {
    runtime::run(&get_dock::ROUTE)
}
