//! What is left behind by what was deleted: the content of an artifact, the memberships of a group, the versions of a policy,
//! what belonged to a recipient. It opens nothing any more. An item for each, in one of 16 partitions, is written in the
//! transaction of the deletion, and removed once nothing is left.
//!
//! The worker cleans up as soon as the item is written. What fails then is left to its sweeps, which find the item by the
//! time from which on it can be finished: for the content of an artifact when no upload of it can be under way any more, since
//! until then it may come again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::objects::UPLOAD_MINUTES;
use super::{Error, KeyRange, Partition, QueryPage, Store, json_text};
use crate::values::clock::Timestamp;
use crate::values::id::{ArtifactId, DockId, GroupId, PolicyId, RecipientId};

/// How many partitions there are.
pub const CLEANUP_PARTITIONS: u8 = 16;

/// How many minutes after an artifact is gone its content cannot come again: S3 judges an upload by the instant at which it begins, and
/// none of 5 GB takes a day.
pub const CONTENT_MINUTES: u16 = UPLOAD_MINUTES + 24 * 60;

/// How many items a sweep reads at once.
const PAGE: usize = 100;

/// What is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Leftover {
    /// The content of an artifact.
    Content {
        /// The dock that the artifact was in.
        dock: DockId,
        /// The artifact.
        artifact: ArtifactId,
    },
    /// The memberships of a group.
    Memberships {
        /// The dock that the group was of.
        dock: DockId,
        /// The group.
        group: GroupId,
    },
    /// The versions of a policy.
    Versions {
        /// The dock that the policy was of.
        dock: DockId,
        /// The policy.
        policy: PolicyId,
    },
    /// The certificates, memberships and secrets of a recipient.
    Belongings {
        /// The recipient.
        recipient: RecipientId,
    },
}

impl Leftover {
    /// The id of what was deleted, and the number of the partition, which it chooses.
    fn id(self) -> (String, u8) {
        match self {
            Self::Content { artifact: id, .. } => (id.to_string(), id.spread(CLEANUP_PARTITIONS)),
            Self::Memberships { group: id, .. } => (id.to_string(), id.spread(CLEANUP_PARTITIONS)),
            Self::Versions { policy: id, .. } => (id.to_string(), id.spread(CLEANUP_PARTITIONS)),
            Self::Belongings { recipient: id } => (id.to_string(), id.spread(CLEANUP_PARTITIONS)),
        }
    }
}

/// A task: to clean up what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleanup {
    /// What is left.
    pub leftover: Leftover,
    /// From when on nothing can be added to it.
    pub due: Timestamp,
}

#[derive(Serialize)]
pub(super) struct CleanupItem {
    pk: String,
    sk: String,
    #[serde(with = "json_text")]
    cleanup: Cleanup,
}

/// The same as it is read: tasks of each kind that any version knows.
#[derive(Deserialize)]
struct StoredCleanup {
    sk: String,
    cleanup: String,
}

impl Cleanup {
    /// The task for what is gone since `now`.
    pub(super) fn new(leftover: Leftover, now: Timestamp) -> Self {
        let due = match leftover {
            Leftover::Content { .. } => now.plus_minutes(CONTENT_MINUTES),
            Leftover::Memberships { .. } | Leftover::Versions { .. } | Leftover::Belongings { .. } => now,
        };
        Self { leftover, due }
    }

    pub(super) fn item(self) -> CleanupItem {
        let (id, n) = self.leftover.id();
        let pk = Partition::Cleanup.of(n);
        CleanupItem { pk, sk: format!("{}#{id}", self.due), cleanup: self }
    }

    /// The task in an image of a stream's record; `None` if it is of another item.
    pub fn of_image(image: &Value) -> Option<Self> {
        let text = |name: &str| image.get(name)?.get("S")?.as_str();
        let is_task = text("pk")?.starts_with(&Partition::Cleanup.of(""));
        serde_json::from_str(text("cleanup")?).ok().filter(|_| is_task)
    }
}

impl Store {
    /// Has cleaned up what is left of what is gone since `now`; one `PutItem`.
    pub async fn clean_up(&self, leftover: Leftover, now: Timestamp) -> Result<(), Error> {
        self.put_alone(&Cleanup::new(leftover, now).item()).await
    }

    /// Returns up to a hundred of the tasks of the `n`th partition that can be finished at `now`, those behind the position `after`, and
    /// the position of the last one if there are more; one Query. Leaves out what this version cannot read, which is another's.
    pub async fn due_cleanups(
        &self,
        n: u8,
        now: Timestamp,
        after: Option<String>,
    ) -> Result<(Vec<Cleanup>, Option<String>), Error> {
        // Behind all keys of this millisecond.
        let to = format!("{now}#~");
        let range = KeyRange { from: "0", to: &to, ascending: true };
        let read: QueryPage<StoredCleanup> =
            self.query_page(Partition::Cleanup.of(n), range, after, PAGE).await?;
        let last = read.items.last().filter(|_| !read.is_last).map(|item| item.sk.clone());
        let due = read.items.iter().filter_map(|item| serde_json::from_str(&item.cleanup).ok()).collect();
        Ok((due, last))
    }

    /// Removes the item of a task that is done.
    pub async fn finish_cleanup(&self, cleanup: Cleanup) -> Result<(), Error> {
        let CleanupItem { pk, sk, .. } = cleanup.item();
        self.delete_all(vec![Self::key(pk, sk)]).await
    }

    /// Deletes what the table has of a leftover; what is not in the table is left. `false` if there is more than one call deletes.
    pub async fn delete_leftover(&self, leftover: Leftover) -> Result<bool, Error> {
        match leftover {
            Leftover::Content { .. } => Ok(true),
            Leftover::Memberships { dock, group } => self.delete_memberships(dock, group).await,
            Leftover::Versions { dock, policy } => self.delete_versions(dock, policy).await.map(|()| true),
            Leftover::Belongings { recipient } => self.delete_belongings(recipient).await.map(|()| true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_task_is_read_from_the_image_of_its_item_alone() {
        let now = Timestamp::parse("2025-01-15T10:32:00Z").unwrap();
        let dock = DockId::parse("dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0").unwrap();
        let artifact = ArtifactId::parse("art_01HQ3K5V7X9ZBDFHKMPRTVXYZ0").unwrap();
        let cleanup = Cleanup::new(Leftover::Content { dock, artifact }, now);
        assert_eq!(cleanup.due.to_string(), "2025-01-16T10:47:00.000Z");
        let item = cleanup.item();
        let text = serde_json::to_string(&cleanup).unwrap();
        let image = json!({"pk": {"S": item.pk}, "sk": {"S": item.sk}, "cleanup": {"S": text}});
        assert_eq!(Cleanup::of_image(&image), Some(cleanup));
        for (name, value) in
            [("pk", json!({"S": "ARTIFACT#x"})), ("cleanup", json!({"S": "x"})), ("cleanup", json!(1))]
        {
            let mut other = image.clone();
            other[name] = value;
            assert_eq!(Cleanup::of_image(&other), None, "{name}");
        }
    }
}
