//! Records of the table's stream, as Lambda hands them to [the worker](crate::worker) and [the sealer](crate::sealer).
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html>

use docyard_core::values::clock::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The service that deletes what has expired, as a record names it.
const TTL: &str = "dynamodb.amazonaws.com";

/// A record: an item that was written or deleted.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    event_name: EventName,
    dynamodb: Change,
    #[serde(default)]
    user_identity: Option<Identity>,
}

/// What happened to the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventName {
    /// It is new.
    Insert,
    /// It was changed.
    Modify,
    /// It was deleted.
    Remove,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    sequence_number: String,
    #[serde(default)]
    approximate_creation_date_time: Option<f64>,
    #[serde(default)]
    keys: Value,
    #[serde(default)]
    new_image: Value,
    #[serde(default)]
    old_image: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    #[serde(default)]
    principal_id: String,
}

impl Record {
    /// Reads a record; `None` if it is none.
    pub fn read(record: &Value) -> Option<Self> {
        Self::deserialize(record).ok()
    }

    /// The records of a batch.
    pub fn of_event(event: &Value) -> Option<impl Iterator<Item = Self>> {
        Some(event.get("Records")?.as_array()?.iter().filter_map(Self::read))
    }

    /// Its place in the stream.
    pub fn sequence_number(&self) -> &str {
        &self.dynamodb.sequence_number
    }

    /// What happened to the item.
    pub fn event_name(&self) -> EventName {
        self.event_name
    }

    /// Whether DynamoDB deleted the item since it had expired.
    pub fn is_expiry(&self) -> bool {
        let is_by_ttl = self.user_identity.as_ref().is_some_and(|by| by.principal_id == TTL);
        is_by_ttl && self.event_name == EventName::Remove
    }

    /// When the item was written or deleted, by DynamoDB's clock, to the second.
    pub fn written_at(&self) -> Option<Timestamp> {
        let seconds = self.dynamodb.approximate_creation_date_time.filter(|seconds| *seconds >= 0.0)?;
        Timestamp::from_unix_milliseconds((seconds * 1000.0) as u64)
    }

    /// The item's key.
    pub fn keys(&self) -> &Value {
        &self.dynamodb.keys
    }

    /// The item as it is; null if it was deleted.
    pub fn new_image(&self) -> &Value {
        &self.dynamodb.new_image
    }

    /// The item as it was; null if it is new.
    pub fn old_image(&self) -> &Value {
        &self.dynamodb.old_image
    }
}
