//! The Lambda function of the worker: see `docyard_functions::worker`.

fn main() -> std::process::ExitCode {
    docyard_functions::lambda::runtime::run_worker()
}
