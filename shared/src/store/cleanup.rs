//! What is left behind by what was deleted: the content of an artifact. An item for each, in one of 16 partitions, with the
//! time at which it is cleaned up for the last time.
//!
//! The worker deletes the content as soon as the item is written. By then an address for its upload may still be good, so it
//! is deleted once more when none is; only then is the item removed.

use serde::{Deserialize, Serialize};

use super::objects::UPLOAD_MINUTES;
use super::{Error, KeyRange, Partition, Store};
use crate::values::clock::Timestamp;
use crate::values::id::{ArtifactId, DockId};

/// How many partitions there are.
pub const CLEANUP_PARTITIONS: u8 = 16;

/// How many minutes after an artifact is gone its content is deleted for the last time: more than an address for its upload is
/// good.
const LAST_AFTER_MINUTES: u16 = UPLOAD_MINUTES + 5;

/// How many items a sweep reads at once.
const PAGE: usize = 100;

/// The content of an artifact that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleanup {
    /// The dock that the artifact was in.
    pub dock: DockId,
    /// The artifact.
    pub artifact: ArtifactId,
    /// When its content is deleted for the last time.
    pub due: Timestamp,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CleanupItem {
    pk: String,
    sk: String,
    #[serde(flatten)]
    cleanup: Cleanup,
}

impl CleanupItem {
    /// That the artifact is gone since `now`.
    pub(super) fn new(dock: DockId, artifact: ArtifactId, now: Timestamp) -> Self {
        let due = now.plus_minutes(LAST_AFTER_MINUTES);
        Self {
            pk: Partition::Cleanup.of(artifact.spread(CLEANUP_PARTITIONS)),
            sk: format!("{due}#{artifact}"),
            cleanup: Cleanup { dock, artifact, due },
        }
    }
}

impl Store {
    /// Has the content of an artifact cleaned up that is gone since `now`; one `PutItem`.
    pub async fn clean_up(&self, dock: DockId, artifact: ArtifactId, now: Timestamp) -> Result<(), Error> {
        self.put_alone(&CleanupItem::new(dock, artifact, now)).await
    }

    /// Returns some of what is to be cleaned up for the last time by `now`, of the `n`th partition, and whether that is all of
    /// it; one Query.
    pub async fn due_cleanups(&self, n: u8, now: Timestamp) -> Result<(Vec<Cleanup>, bool), Error> {
        // Behind all keys of this millisecond.
        let to = format!("{now}#~");
        let range = KeyRange { from: "0", to: &to, ascending: true };
        let read = self.query_page(Partition::Cleanup.of(n), range, None, PAGE).await?;
        let due = read.items.into_iter().map(|item: CleanupItem| item.cleanup).collect();
        Ok((due, read.is_last))
    }

    /// Removes the item of what was cleaned up for the last time.
    pub async fn finish_cleanup(&self, cleanup: &Cleanup) -> Result<(), Error> {
        let pk = Partition::Cleanup.of(cleanup.artifact.spread(CLEANUP_PARTITIONS));
        self.delete_all(vec![Self::key(pk, format!("{}#{}", cleanup.due, cleanup.artifact))]).await
    }
}
