//! `create-recipient` without the one line that opens its connections: how long a function takes to its first poll
//! apart from them. It is started and never asked.

use docyard_core::aws::dynamodb;
use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::store::Store;
use docyard_core::values::clock::Clock;
use docyard_functions::lambda::logging::{self, Format};
use docyard_functions::lambda::service::service;
use docyard_functions::metrics::Recorder;
use docyard_functions::recipients::create;
use lambda_http::Error;
use lambda_http::tower::ServiceExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::init(Format::Json);
    let store = Store::new(dynamodb::function_client()?, std::env::var("TABLE_NAME")?);
    let mode = Mode::parse(&std::env::var("DOCYARD_MODE")?).ok_or("no mode")?;
    let context = Context::new(store, mode, Clock::system());
    let metrics = Recorder::install(std::env::var("STAGE")?)?;
    let service = service(&create::ENDPOINT, context).map_response(move |response| {
        metrics.flush();
        response
    });
    lambda_http::lambda_runtime::run(service).await
}
