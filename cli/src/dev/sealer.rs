//! The sealer, fed from the embedded database's stream by the rules of its mapping in `template.yaml`: a batch is tried until it is done.

use std::time::Duration;

use docyard_core::request_record::RequestRecord;
use docyard_functions::sealer::Sealer;
use serde_json::json;

use super::stream::{Stream, sequence_number};

/// How often the stream is looked at. In AWS a batch waits for a minute at most.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How many records the sealer gets at once.
const BATCH: usize = 1000;

/// Feeds the sealer until it is dropped.
pub(super) async fn run(sealer: Sealer, mut stream: Stream) {
    let mut polls = tokio::time::interval(POLL_INTERVAL);
    loop {
        polls.tick().await;
        if let Err(error) = feed(&sealer, &mut stream).await {
            tracing::warn!("the audit trail cannot be sealed: {error}");
        }
    }
}

/// Gives the sealer all that the stream has.
async fn feed(sealer: &Sealer, stream: &mut Stream) -> Result<(), String> {
    loop {
        let records = stream.next(BATCH).await?;
        let Some(last) = records.last().map(sequence_number) else { return Ok(()) };
        let event = json!({ "Records": records });
        sealer.handle(&event, &RequestRecord::default()).await.map_err(|fault| fault.to_string())?;
        stream.advance_to(last)?;
    }
}
