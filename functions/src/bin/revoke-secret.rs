//! The Lambda function of [`docyard_functions::revoke_secret`].

use std::process::ExitCode;

use docyard_functions::{revoke_secret, runtime};

fn main() -> ExitCode {
    runtime::run(&revoke_secret::ROUTE)
}
