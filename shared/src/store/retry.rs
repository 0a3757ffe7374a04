//! Retries of what the SDK does not retry: a transaction in conflict with another, a batch of which DynamoDB did a
//! part, a read that was overtaken by a change.

use std::time::Duration;

use rand::Rng;

use crate::values::random;

/// How often a call that met another one is tried in all.
pub(super) const MAX_ATTEMPTS: u32 = 8;

/// How often a batch is tried in all. DynamoDB leaves a part of one undone only where it throttles, and each try is more
/// load.
pub(super) const MAX_BATCH_ATTEMPTS: u32 = 3;

/// Waits after an attempt that failed: at random up to 25 ms, doubled with each attempt up to 400 ms, so that those who
/// collided do not collide again.
pub(super) async fn back_off(attempt: u32) {
    let ceiling = 25 * 2_u64.pow(attempt.saturating_sub(1).min(4));
    tokio::time::sleep(Duration::from_millis(random::system().next_u64() % ceiling + 1)).await;
}
