//! The Lambda function of the sealer: see `docyard_functions::sealer`.

fn main() -> std::process::ExitCode {
    docyard_functions::lambda::runtime::run_sealer()
}
