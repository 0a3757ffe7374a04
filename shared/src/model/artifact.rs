//! Artifacts: the documents of a dock, each with the metadata by which policies find it.
//!
//! Here: what an artifact is, its states, and what makes two of them the same document. Not here: where its content is
//! ([`crate::store::Objects`]), and who may have it ([`super::decision`]).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::Date;

use super::audit::{Action, Event, Fields};
use super::identifiers;
use super::owned::Owned;
use super::recipe::TYPE_KEY;
use crate::values::clock::Timestamp;
use crate::values::content_hash::ContentHash;
use crate::values::field_error::ValueErrors;
use crate::values::id::{AccountId, ArtifactId, DockId, JobId, RecipientId};
use crate::values::json::Json;
use crate::values::text;

/// How many hours an artifact waits for its content. Then it is gone.
pub const PENDING_HOURS: u8 = 24;
/// The largest content, in bytes.
pub const MAX_SIZE: u64 = 5_000_000_000;
/// The longest filename, in characters.
pub const MAX_FILENAME_CHARS: usize = 255;
/// The longest media type, in characters.
pub const MAX_MEDIA_TYPE_CHARS: usize = 127;
/// The most entries of an artifact's metadata.
pub const MAX_METADATA_ENTRIES: usize = 10;
/// The most bytes of its keys and values together.
pub const MAX_METADATA_BYTES: usize = 2048;
/// The most artifacts that one request declares.
pub const MAX_BATCH: usize = 100;

/// The name of a file: 1 to 255 characters without a slash or a backslash, neither `.` nor `..`. [`text::check`] lists what
/// else it may not contain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filename(String);

impl Filename {
    /// Trims white space and checks the rest.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let length = "must have 1 to 255 characters, not counting white space around it";
        let name = text::check(text, MAX_FILENAME_CHARS, length)?;
        if name.contains(['/', '\\']) || [".", ".."].contains(&name) {
            return Err("must be the name of a file, without a slash or a backslash, and neither . nor ..");
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A media type (RFC 9110 §8.3.1), with its parameters, as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaType(String);

impl MediaType {
    /// Trims white space and checks the rest.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let is_short = text.is_ascii() && text.len() <= MAX_MEDIA_TYPE_CHARS;
        let is_name = |name: &str| !name.is_empty() && name != mime::STAR;
        match text.parse::<mime::Mime>() {
            Ok(mime)
                if is_short && [mime.type_(), mime.subtype()].iter().all(|name| is_name(name.as_str())) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err("must be a media type such as application/pdf, of at most 127 characters"),
        }
    }

    /// The media type.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The media type without its parameters, in lower case.
    pub fn essence(&self) -> String {
        self.0.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

/// `application/octet-stream`: bytes of which nothing is known.
impl Default for MediaType {
    fn default() -> Self {
        Self(mime::APPLICATION_OCTET_STREAM.to_string())
    }
}

/// The metadata of an artifact: at most 10 keys and their values, by the rules of a recipient's identifiers, and at most
/// 2 KiB together. `document_type` is the type that policies name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata(BTreeMap<String, String>);

/// A merge patch of metadata, as the API's document describes it; [`Metadata::merged`] reads it.
#[cfg(feature = "openapi")]
pub enum MetadataChanges {}

impl Metadata {
    /// Reads an object of strings. `latest` is the latest date of birth.
    ///
    /// # Errors
    /// Every entry that breaks a rule, at its key.
    pub fn parse(json: Json, latest: Date) -> Result<Self, ValueErrors> {
        Self::checked(identifiers::parsed(json, MAX_METADATA_ENTRIES, latest))
    }

    /// Reads a merge patch of this metadata (RFC 7396), and returns it with its changes.
    ///
    /// # Errors
    /// As [`Metadata::parse`].
    pub fn merged(&self, patch: Json, latest: Date) -> Result<Self, ValueErrors> {
        Self::checked(identifiers::merged(&self.0, patch, MAX_METADATA_ENTRIES, latest))
    }

    fn checked(entries: Result<BTreeMap<String, String>, ValueErrors>) -> Result<Self, ValueErrors> {
        let entries = entries?;
        let bytes: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > MAX_METADATA_BYTES {
            return Err("must have at most 2048 bytes, keys and values together".into());
        }
        Ok(Self(entries))
    }

    /// The entries, by key.
    pub fn entries(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// The type that policies name.
    pub fn document_type(&self) -> Option<&str> {
        self.0.get(TYPE_KEY).map(String::as_str)
    }
}

/// What an artifact's content is declared, or known, to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its media type.
    pub media_type: MediaType,
    /// How many bytes it has, 1 to [`MAX_SIZE`].
    pub size: u64,
    /// Its SHA-256.
    pub hash: ContentHash,
}

/// The state of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has metadata alone.
    Empty,
    /// Its content was declared, and is not there yet. At `until` it is gone.
    Pending {
        /// What was declared.
        content: Content,
        /// Until when the content can come.
        until: Timestamp,
    },
    /// Its content is there.
    Available {
        /// The content.
        content: Content,
        /// Since when it is there; renewed when the metadata changes.
        since: Timestamp,
    },
}

/// The name of a state in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ArtifactStatus))]
pub enum Status {
    /// Its content was declared, and is not there yet.
    Pending,
    /// Its content is there.
    Available,
    /// It has metadata alone.
    Empty,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Available, Self::Empty];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Available => "AVAILABLE",
            Self::Empty => "EMPTY",
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or("must be PENDING, AVAILABLE or EMPTY")
    }
}

/// An artifact of a dock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its id.
    pub id: ArtifactId,
    /// The dock that it is in.
    pub dock: DockId,
    /// The account that the dock belongs to.
    pub account: AccountId,
    /// The name of the file.
    pub filename: Filename,
    /// Its metadata.
    pub metadata: Metadata,
    /// Its state.
    pub state: State,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its filename or its metadata was last changed; `None` if they never were.
    pub updated_at: Option<Timestamp>,
    /// Counts its changes, from 0.
    pub version: u64,
}

impl Owned for Artifact {
    fn owner(&self) -> AccountId {
        self.account
    }
}

/// Its position in lists: when it became available, or else when it was created; and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The time.
    pub at: Timestamp,
    /// The id, which tells those of one time apart.
    pub id: ArtifactId,
}

impl Position {
    /// Reads what [`fmt::Display`] wrote; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('#')?;
        let position = Self { at: Timestamp::parse(at)?, id: ArtifactId::parse(id)? };
        (position.to_string() == text).then_some(position)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.at, self.id)
    }
}

impl Artifact {
    /// An artifact that is created at `now`: it waits for its content, if that is declared.
    pub fn new(id: ArtifactId, dock: DockId, account: AccountId, declared: Declared, now: Timestamp) -> Self {
        let until = now.plus_hours(PENDING_HOURS);
        Self {
            id,
            dock,
            account,
            filename: declared.filename,
            metadata: declared.metadata,
            state: match declared.content {
                Some(content) => State::Pending { content, until },
                None => State::Empty,
            },
            created_at: now,
            updated_at: None,
            version: 0,
        }
    }

    /// The name of its state.
    pub fn status(&self) -> Status {
        match self.state {
            State::Empty => Status::Empty,
            State::Pending { .. } => Status::Pending,
            State::Available { .. } => Status::Available,
        }
    }

    /// Its content, declared or there; `None` if it has none.
    pub fn content(&self) -> Option<&Content> {
        match &self.state {
            State::Empty => None,
            State::Pending { content, .. } | State::Available { content, .. } => Some(content),
        }
    }

    /// When its content came, or its metadata changed after that; `None` if it has no content yet.
    pub fn available_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Available { since, .. } => Some(since),
            State::Empty | State::Pending { .. } => None,
        }
    }

    /// Until when its content can come; `None` if it does not wait for one.
    pub fn pending_until(&self) -> Option<Timestamp> {
        match self.state {
            State::Pending { until, .. } => Some(until),
            State::Empty | State::Available { .. } => None,
        }
    }

    /// Whether it is there at `now`: one whose content did not come in time is gone.
    pub fn exists(&self, now: Timestamp) -> bool {
        self.pending_until().is_none_or(|until| now < until)
    }

    /// Its position in lists.
    pub fn position(&self) -> Position {
        Position { at: self.available_at().unwrap_or(self.created_at), id: self.id }
    }

    /// The artifact once its content is there, at `now`; `None` unless it waits for one.
    pub fn completed(&self, now: Timestamp) -> Option<Self> {
        let State::Pending { content, .. } = &self.state else { return None };
        let state = State::Available { content: content.clone(), since: now.max(self.created_at) };
        Some(Self { state, version: self.version + 1, ..self.clone() })
    }

    /// That it was created.
    pub fn created(&self) -> Event {
        Event::new(Action::Create, self.id).in_dock(self.dock).changing(Fields::default(), self.fields())
    }

    /// That it was updated, or its content came.
    pub fn updated(&self, before: &Self) -> Event {
        Event::new(Action::Update, self.id).in_dock(self.dock).changing(before.fields(), self.fields())
    }

    /// That it was deleted.
    pub fn deleted(&self) -> Event {
        Event::new(Action::Delete, self.id).in_dock(self.dock)
    }

    /// That a recipient got an address for its content, by a link of this job.
    pub fn retrieved(&self, job: JobId, recipient: RecipientId) -> Event {
        let event = Event::new(Action::Retrieve, self.id).in_dock(self.dock).also_of(job);
        event.with("jobId", job.to_string()).with("recipientId", recipient.to_string())
    }

    /// Names and metadata of documents say things about people.
    fn fields(&self) -> Fields {
        let content = self.content();
        let size = content.map(|content| content.size.to_string());
        let hash = content.map(|content| content.hash.to_string());
        let fields = Fields::default()
            .shown("status", Some(self.status().as_str()))
            .shown("contentType", content.map(|content| content.media_type.as_str()))
            .shown("size", size.as_deref())
            .shown("hash", hash.as_deref())
            .personal("filename", Some(self.filename.as_str()));
        self.metadata
            .entries()
            .iter()
            .fold(fields, |fields, (key, value)| fields.personal(&format!("metadata.{key}"), Some(value)))
    }
}

/// What an artifact is declared to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The name of the file.
    pub filename: Filename,
    /// Its metadata.
    pub metadata: Metadata,
    /// Its content; `None` for metadata alone.
    pub content: Option<Content>,
}

/// A merge patch of an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArtifactChanges {
    /// Its new filename.
    pub filename: Option<Filename>,
    /// All of its metadata, after the patch.
    pub metadata: Option<Metadata>,
}

impl ArtifactChanges {
    /// The artifact after the patch, changed at `now`; the same artifact if that changes nothing. If its metadata changed, it
    /// is available anew.
    pub fn apply(self, artifact: Artifact, now: Timestamp) -> Artifact {
        let filename = self.filename.unwrap_or_else(|| artifact.filename.clone());
        let metadata = self.metadata.unwrap_or_else(|| artifact.metadata.clone());
        let is_tagged_anew = metadata != artifact.metadata;
        if !is_tagged_anew && filename == artifact.filename {
            return artifact;
        }
        let state = match &artifact.state {
            State::Available { content, since } if is_tagged_anew => {
                State::Available { content: content.clone(), since: now.max(*since) }
            }
            state => state.clone(),
        };
        let last = artifact.updated_at.unwrap_or(artifact.created_at);
        let (updated_at, version) = (Some(now.max(last)), artifact.version + 1);
        Artifact { filename, metadata, state, updated_at, version, ..artifact }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn metadata(json: &str) -> Metadata {
        let latest = time("2025-01-15T10:32:00Z").latest_date();
        Metadata::parse(serde_json::from_str(json).unwrap(), latest).unwrap()
    }

    fn pending() -> Artifact {
        let content = Content { media_type: MediaType::default(), size: 3, hash: ContentHash::of(b"abc") };
        let declared = Declared {
            filename: Filename::parse("a.pdf").unwrap(),
            metadata: metadata(r#"{"document_type":"coi"}"#),
            content: Some(content),
        };
        let id = ArtifactId::parse("art_01HQ3K5V7X9ZBDFHKMPRTVXYZ0").unwrap();
        let dock = DockId::parse("dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0").unwrap();
        let account = AccountId::parse("acc_01HQ3K5V7X9ZBDFHKMPRTVXYZ0").unwrap();
        Artifact::new(id, dock, account, declared, time("2025-01-15T10:00:00Z"))
    }

    #[test]
    fn a_filename_is_the_name_of_a_file() {
        assert_eq!(
            Filename::parse(" Déclaration 2025 (1).pdf ").unwrap().as_str(),
            "Déclaration 2025 (1).pdf"
        );
        assert!(Filename::parse(&"x".repeat(255)).is_ok() && Filename::parse("...").is_ok());
        for other in ["", " ", ".", "..", "a/b", r"a\b", "a\nb", "a\0b", "\u{202e}fdp.exe", &"x".repeat(256)]
        {
            assert!(Filename::parse(other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_media_type_is_a_type_and_a_subtype_with_parameters() {
        for text in ["application/pdf", "text/plain; charset=utf-8", "image/svg+xml", "Application/PDF"] {
            assert_eq!(MediaType::parse(&format!(" {text} ")).unwrap().as_str(), text);
        }
        assert_eq!(MediaType::parse("Text/HTML; charset=UTF-8").unwrap().essence(), "text/html");
        assert_eq!(MediaType::default().as_str(), "application/octet-stream");
        let long = format!("a/{}", "b".repeat(126));
        for other in ["", "pdf", "a/", "/b", "*/*", "text/*", "a/b c", "a/b\r\nx: y", "a/b;c", "té/xt", &long]
        {
            assert!(MediaType::parse(other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn metadata_has_at_most_10_entries_and_2_kib() {
        let latest = time("2025-01-15T10:32:00Z").latest_date();
        let entries = |count: usize, value: &str| {
            let entries = (0..count).map(|n| (format!("k{n}"), Json::String(value.to_owned())));
            Metadata::parse(Json::Object(entries.collect()), latest)
        };
        assert!(entries(10, "v").is_ok() && entries(11, "v").is_err());
        assert!(entries(4, &"v".repeat(510)).is_ok(), "2048 bytes");
        assert!(entries(4, &"v".repeat(511)).is_err());
        assert!(entries(4, &"é".repeat(256)).is_err(), "bytes, not characters");
    }

    #[test]
    fn what_waits_is_gone_after_a_day_and_what_has_come_stays() {
        let pending = pending();
        assert!(
            pending.exists(time("2025-01-16T09:59:59.999Z")) && !pending.exists(time("2025-01-16T10:00:00Z"))
        );
        let completed = pending.completed(time("2025-01-15T11:00:00Z")).unwrap();
        assert_eq!((completed.status(), completed.version), (Status::Available, 1));
        assert!(
            completed.exists(time("2035-01-16T10:00:00Z"))
                && completed.completed(pending.created_at).is_none()
        );
    }

    #[test]
    fn new_metadata_makes_available_anew_and_a_new_filename_does_not() {
        let available = pending().completed(time("2025-01-15T11:00:00Z")).unwrap();
        let later = time("2025-01-15T12:00:00Z");
        let renamed = ArtifactChanges { filename: Filename::parse("b.pdf").ok(), metadata: None };
        let renamed = renamed.apply(available.clone(), later);
        assert_eq!((renamed.available_at(), renamed.updated_at), (available.available_at(), Some(later)));
        let tagged = ArtifactChanges { filename: None, metadata: Some(metadata(r#"{"a":"b"}"#)) };
        let tagged = tagged.apply(available.clone(), later);
        assert_eq!((tagged.available_at(), tagged.version), (Some(later), 2));
        let same = ArtifactChanges { filename: None, metadata: Some(available.metadata.clone()) };
        assert_eq!(same.apply(available.clone(), later), available);
    }

    #[test]
    fn an_entry_shows_no_name_and_no_value_of_the_metadata() {
        let event = format!("{:?}", pending().created());
        assert!(event.contains("sha256:") && event.contains("metadata.document_type"));
        assert!(!event.contains("a.pdf") && !event.contains("coi"), "{event}");
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in any::<String>()) {
            let _ = Filename::parse(&text);
            let _ = MediaType::parse(&text);
            let _ = Position::parse(&text);
        }

        #[test]
        fn what_is_accepted_is_accepted_again_unchanged(text in "[ a-z/;=\"é*+.-]{0,20}") {
            if let Ok(media_type) = MediaType::parse(&text) {
                prop_assert_eq!(MediaType::parse(media_type.as_str()), Ok(media_type));
            }
        }
    }
}
