//! The `main` of every function: read the environment, open the connections, then serve events.

use std::process::ExitCode;

use docyard::api_key::Mode;
use docyard::clock::Clock;
use docyard::context::Context;
use docyard::dynamodb;
use docyard::store::Store;

use crate::logging::{self, Format};
use crate::route::Route;
use crate::service::service;

/// Serves `route` on Lambda until the sandbox ends. Environment: `TABLE_NAME`, `DOCYARD_MODE` (`live` or `test`), and
/// what [`dynamodb::function_client`] reads; where one is missing it says so and exits with code 1.
pub fn run(route: &'static Route) -> ExitCode {
    logging::init(Format::Json);
    // One request at a time: Lambda gives a sandbox no second one.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no async runtime: {error}")),
    };
    runtime.block_on(async {
        let context = match context() {
            Ok(context) => context,
            Err(reason) => return fail(&reason),
        };
        // While Lambda still gives a whole CPU: most of a cold start is this TLS handshake.
        context.store.connect().await;
        match lambda_http::lambda_runtime::run(service(route, context)).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("the Lambda runtime ended: {error}")),
        }
    })
}

fn context() -> Result<Context, String> {
    let table = std::env::var("TABLE_NAME").map_err(|_| "TABLE_NAME is not set".to_owned())?;
    let mode = std::env::var("DOCYARD_MODE").map_err(|_| "DOCYARD_MODE is not set".to_owned())?;
    let mode = Mode::parse(&mode).ok_or("DOCYARD_MODE must be live or test")?;
    let client = dynamodb::function_client().map_err(|name| format!("{name} is not set"))?;
    Ok(Context { store: Store::new(client, table), mode, clock: Clock::system() })
}

fn fail(reason: &str) -> ExitCode {
    tracing::error!("cannot start: {reason}");
    ExitCode::FAILURE
}
