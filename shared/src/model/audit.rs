//! The audit trail: entries that say what happened to an entity, by whom, from where and when.
//!
//! What belongs here: what an entry says, and how it is made of a change. What does not: where entries are stored, and that
//! each is written in the transaction of its change ([`crate::store`]); which fields of a resource an entry shows, which is
//! the resource's to say.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::values::clock::Timestamp;
use crate::values::id::{
    AccountId, ApiKeyId, ArtifactId, AuditEntryId, CertificateId, DockId, GroupId, JobId, PolicyId,
    RecipientId, SecretId, TokenId,
};
use crate::values::json::Json;
use crate::values::random;
use crate::values::text;

/// How long an entry is kept unless the deployment says otherwise, in days: seven years.
pub const DEFAULT_RETENTION_DAYS: u16 = 2557;

/// The most characters that are kept of a `User-Agent`.
pub const MAX_USER_AGENT_CHARS: usize = 256;

/// Declares words of the service's own, and a list of them.
macro_rules! words {
    ($(#[$attribute:meta])* $name:ident { $($variant:ident = $word:literal,)* }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the words say it")]
        pub enum $name {
            $($variant,)*
        }

        impl $name {
            /// All of them.
            pub const WORDS: &[&str] = &[$($word),*];

            /// The word, as entries have it.
            pub fn word(self) -> Word {
                Word(Cow::Borrowed(match self {
                    $(Self::$variant => $word,)*
                }))
            }
        }
    };
}

words! {
    /// A kind of entity that the service keeps, or will keep.
    EntityType {
        Account = "account",
        Key = "key",
        Dock = "dock",
        Recipient = "recipient",
        Secret = "secret",
        Certificate = "certificate",
        Policy = "policy",
        Group = "group",
        Artifact = "artifact",
        Job = "job",
        Token = "token",
    }
}

words! {
    /// What the service does, or will do, to an entity.
    Action {
        Create = "create",
        Update = "update",
        Delete = "delete",
        Rotate = "rotate",
        Revoke = "revoke",
        Publish = "publish",
        Rollback = "rollback",
        Assign = "assign",
        Unassign = "unassign",
        Issue = "issue",
        Retrieve = "retrieve",
        Refuse = "refuse",
    }
}

/// Where an entry comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditSource))]
pub enum Source {
    /// A request.
    Api,
    /// An operator's command.
    Operator,
    /// The account's own system.
    Account,
}

/// The longest word, in characters.
pub const MAX_WORD_CHARS: usize = 64;

/// The word for a kind of entity or an action: 1 to 64 of `A-Z`, `a-z`, `0-9`, `_`, `-` and `.`, beginning with a
/// letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Word(Cow<'static, str>);

impl Word {
    /// Reads a word.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_word = text.len() <= MAX_WORD_CHARS
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if is_word {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err("must be a word: 1 to 64 of A-Z, a-z, 0-9, _, - and ., beginning with a letter")
        }
    }

    /// Reads a word that is none of `ours`, in any case.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse_free(text: &str, ours: &[&str]) -> Result<Self, &'static str> {
        let word = Self::parse(text)?;
        if ours.iter().any(|our| our.eq_ignore_ascii_case(text)) {
            return Err("must not be a word that this service uses for its own entries; choose another");
        }
        Ok(word)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A word for a kind of entity of an account's own system, as the API's document describes it.
#[cfg(feature = "openapi")]
pub enum FreeEntityType {}

/// A word for an action of an account's own system, as the API's document describes it.
#[cfg(feature = "openapi")]
pub enum FreeAction {}

/// The most characters of an entity's id.
pub const MAX_ENTITY_ID_CHARS: usize = 128;

/// The id of an entity: one of this service's ids, or any that an account's own system gives, of 1 to 128 characters
/// without a slash, and neither `.` nor `..`. [`text::check`] lists what else it may not contain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EntityId(String);

impl EntityId {
    /// Trims white space and checks the rest.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let length = "must have 1 to 128 characters, not counting white space around it";
        let text = text::check(text, MAX_ENTITY_ID_CHARS, length)?;
        if text.contains('/') || [".", ".."].contains(&text) {
            return Err("must not contain a slash, nor be . or .., since it is a part of a path");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an entry is on: a kind of entity, and which one. Written as `<kind>/<id>`, of which neither has a slash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntityRef {
    /// The kind.
    pub entity_type: Word,
    /// Which one.
    pub id: EntityId,
}

impl fmt::Display for EntityRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.entity_type, self.id)
    }
}

impl Serialize for EntityRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntityRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (entity_type, id) =
            text.split_once('/').ok_or_else(|| de::Error::custom("must be a kind, a slash and an id"))?;
        let entity_type = Word::parse(entity_type).map_err(de::Error::custom)?;
        Ok(Self { entity_type, id: EntityId::parse(id).map_err(de::Error::custom)? })
    }
}

/// An id of something that the trail has entries on.
pub trait Entity: fmt::Display {
    /// The kind.
    const TYPE: EntityType;
}

macro_rules! entities {
    ($($id:ty: $kind:ident),*) => {
        $(impl Entity for $id {
            const TYPE: EntityType = EntityType::$kind;
        })*
    };
}

entities!(
    AccountId: Account,
    ApiKeyId: Key,
    DockId: Dock,
    RecipientId: Recipient,
    SecretId: Secret,
    PolicyId: Policy,
    GroupId: Group,
    CertificateId: Certificate,
    ArtifactId: Artifact,
    JobId: Job,
    TokenId: Token
);

/// The largest metadata of an account's own event, in bytes of JSON without white space.
pub const MAX_METADATA_BYTES: usize = 4096;

/// What else is to be known of an event: a JSON object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata(Map<String, Value>);

impl Metadata {
    /// Reads an object of at most [`MAX_METADATA_BYTES`].
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(json: Json) -> Result<Self, &'static str> {
        let value = Value::try_from(json).map_err(|_| "must not have an object with a key twice")?;
        let size = value.to_string().len();
        match value {
            Value::Object(object) if size <= MAX_METADATA_BYTES => Ok(Self(object)),
            Value::Object(_) => Err("must have at most 4096 bytes, as JSON without white space"),
            _ => Err("must be an object"),
        }
    }

    /// Whether there is nothing else.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The fields that changed, and their values before and after. A field without a value is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditChanges))]
pub struct Changes {
    /// Before the change: nothing, if it created the entity.
    pub before: BTreeMap<String, String>,
    /// After the change.
    pub after: BTreeMap<String, String>,
}

/// The fields of a resource at one moment. Entries show the values of some, and of personal ones the names alone.
#[derive(Default)]
pub struct Fields {
    shown: BTreeMap<String, String>,
    /// Compared, and never shown.
    personal: BTreeMap<String, String>,
}

impl Fields {
    /// Adds a field whose value an entry shows.
    pub(super) fn shown(mut self, name: &str, value: Option<&str>) -> Self {
        self.shown.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        self
    }

    /// Adds a field whose name alone an entry shows.
    pub(super) fn personal(mut self, name: &str, value: Option<&str>) -> Self {
        self.personal.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        self
    }
}

/// What happened to an entity.
#[derive(Clone, Debug)]
pub struct Event {
    dock: Option<DockId>,
    entity_type: Word,
    entity_id: EntityId,
    also_of: Option<EntityRef>,
    action: Word,
    is_of_account: bool,
    changes: Option<Changes>,
    metadata: Metadata,
}

impl Event {
    /// The service did this to this entity.
    pub fn new<E: Entity>(action: Action, entity: E) -> Self {
        let EntityRef { entity_type, id } = named(entity);
        Self::of(entity_type, id, action.word())
    }

    /// An account's own system did something to an entity of its own.
    pub fn of_account(
        dock: DockId,
        entity_type: Word,
        entity_id: EntityId,
        action: Word,
        metadata: Metadata,
    ) -> Self {
        let event = Self::of(entity_type, entity_id, action).in_dock(dock);
        Self { is_of_account: true, metadata, ..event }
    }

    fn of(entity_type: Word, entity_id: EntityId, action: Word) -> Self {
        Self {
            dock: None,
            entity_type,
            entity_id,
            also_of: None,
            action,
            is_of_account: false,
            changes: None,
            metadata: Metadata::default(),
        }
    }

    /// In this dock, whose trail it is then part of.
    pub fn in_dock(self, dock: DockId) -> Self {
        Self { dock: Some(dock), ..self }
    }

    /// It concerns this entity too, whose trail it is then also part of.
    pub(super) fn also_of<E: Entity>(self, entity: E) -> Self {
        Self { also_of: Some(named(entity)), ..self }
    }

    /// With this metadata.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.metadata.0.insert(name.to_owned(), value.into());
        self
    }

    /// The entity's fields changed.
    pub(super) fn changing(mut self, mut before: Fields, mut after: Fields) -> Self {
        let differing = |before: &BTreeMap<String, String>, after: &BTreeMap<String, String>| {
            let names = before.keys().chain(after.keys());
            names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect::<BTreeSet<String>>()
        };
        let personal = differing(&before.personal, &after.personal);
        if !personal.is_empty() {
            self = self.with("personalFieldsChanged", personal.into_iter().collect::<Vec<String>>());
        }
        let shown = differing(&before.shown, &after.shown);
        before.shown.retain(|name, _| shown.contains(name));
        after.shown.retain(|name, _| shown.contains(name));
        let changes = Changes { before: before.shown, after: after.shown };
        Self { changes: (!shown.is_empty()).then_some(changes), ..self }
    }

    /// The entry on this event: `author` did it, at `now`.
    pub fn by(self, author: &Author, now: Timestamp) -> Entry {
        Entry {
            id: AuditEntryId::generate(now, &mut random::system()),
            account: author.account,
            dock: self.dock,
            entity_type: self.entity_type,
            entity_id: self.entity_id,
            also_of: self.also_of,
            action: self.action,
            actor: author.actor.clone(),
            source: if self.is_of_account { Source::Account } else { author.source },
            changes: self.changes,
            metadata: self.metadata,
            origin: author.origin.clone(),
            created_at: now,
        }
    }
}

fn named<E: Entity>(entity: E) -> EntityRef {
    EntityRef { entity_type: E::TYPE.word(), id: EntityId(entity.to_string()) }
}

/// Where a request comes from, as API Gateway says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The address of the client.
    pub ip_address: Option<String>,
    /// The beginning of its `User-Agent`.
    pub user_agent: Option<String>,
}

impl Origin {
    /// The origin of a request. What API Gateway does not say is absent.
    pub fn new(ip_address: Option<&str>, user_agent: Option<&str>) -> Self {
        let given = |text: Option<&str>, max: usize| {
            let text: String = text?.chars().take(max).collect();
            (!text.is_empty()).then_some(text)
        };
        Self {
            // 39 characters are the longest IPv6 address, and 45 one with an IPv4 address in it.
            ip_address: given(ip_address, 45),
            user_agent: given(user_agent, MAX_USER_AGENT_CHARS),
        }
    }
}

/// Who does something, for which account, and from where.
#[derive(Clone, Debug)]
pub struct Author {
    account: AccountId,
    actor: String,
    source: Source,
    origin: Origin,
}

impl Author {
    /// The bearer of an API key.
    pub fn api_key(account: AccountId, key: ApiKeyId, origin: Origin) -> Self {
        Self { account, actor: key.to_string(), source: Source::Api, origin }
    }

    /// A recipient of the account, which proved itself.
    pub fn recipient(account: AccountId, recipient: RecipientId, origin: Origin) -> Self {
        Self { account, actor: recipient.to_string(), source: Source::Api, origin }
    }

    /// An operator with this AWS identity, on the account.
    pub fn operator(account: AccountId, identity: &str) -> Self {
        Self { account, actor: identity.to_owned(), source: Source::Operator, origin: Origin::default() }
    }
}

/// An entry of the trail. It is never changed.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: AuditEntryId,
    /// The account that may read it.
    pub account: AccountId,
    /// The dock whose trail it is part of; `None` for what belongs to no dock.
    pub dock: Option<DockId>,
    /// The kind of entity.
    pub entity_type: Word,
    /// The entity.
    pub entity_id: EntityId,
    /// Another entity whose trail it is part of.
    pub also_of: Option<EntityRef>,
    /// What was done.
    pub action: Word,
    /// Who did it: the id of an API key or of a recipient, or an operator's AWS identity.
    pub actor: String,
    /// Where the entry comes from.
    pub source: Source,
    /// The fields that changed, if it shows any.
    pub changes: Option<Changes>,
    /// What else is to be known.
    pub metadata: Metadata,
    /// Where the request came from.
    pub origin: Origin,
    /// When it was done.
    pub created_at: Timestamp,
}

/// Which entries of a dock are asked for.
#[derive(Clone, Debug, Default)]
pub struct EntryQuery {
    /// Those of this time and later.
    pub from: Option<Timestamp>,
    /// Those before this time.
    pub to: Option<Timestamp>,
    /// Only some of them.
    pub filter: Option<EntryFilter>,
}

/// Which entries of a list are shown.
#[derive(Clone, Debug)]
pub enum EntryFilter {
    /// Those on this kind of entity.
    EntityType(Word),
    /// Those by this actor.
    Actor(String),
    /// Those with this action.
    Action(Word),
}

impl EntryFilter {
    /// Whether an entry is shown.
    pub fn shows(&self, entry: &Entry) -> bool {
        match self {
            Self::EntityType(word) => entry.entity_type == *word,
            Self::Actor(actor) => entry.actor == *actor,
            Self::Action(word) => entry.action == *word,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::clock::Clock;
    use proptest::prelude::*;

    fn entry(event: Event) -> Entry {
        let now = Clock::system().now();
        let account = AccountId::generate(now, &mut random::system());
        let key = ApiKeyId::generate(now, &mut random::system());
        event.by(&Author::api_key(account, key, Origin::default()), now)
    }

    fn changing(before: Fields, after: Fields) -> Entry {
        let dock = DockId::generate(Clock::system().now(), &mut random::system());
        entry(Event::new(Action::Update, dock).changing(before, after))
    }

    #[test]
    fn an_entry_shows_what_changed_and_of_personal_fields_the_names() {
        let fields = |class, name, phone| {
            let fields = Fields::default().shown("kept", Some("same")).shown("class", class);
            fields
                .personal("name", Some(name))
                .personal("email", Some("e"))
                .personal("identifiers.phone", phone)
        };
        let entry = changing(fields(None, "A", Some("+1")), fields(Some("agent"), "B", None));
        let changes = entry.changes.unwrap();
        assert_eq!(changes.before, BTreeMap::new());
        assert_eq!(changes.after, BTreeMap::from([("class".to_owned(), "agent".to_owned())]));
        let names = serde_json::json!({"personalFieldsChanged": ["identifiers.phone", "name"]});
        assert_eq!(serde_json::to_value(entry.metadata).unwrap(), names);
        let entry = changing(fields(None, "A", None), fields(None, "A", None));
        assert_eq!((entry.changes, entry.metadata), (None, Metadata::default()));
    }

    #[test]
    fn a_word_of_an_account_is_none_of_ours() {
        for word in ["claim", "a", "X-1_b.c", &"w".repeat(64)] {
            assert!(Word::parse(word).is_ok() && Word::parse_free(word, Action::WORDS).is_ok(), "{word}");
        }
        for word in ["", "1a", "-a", "a b", "é", "a/b", "a\0", &"w".repeat(65)] {
            assert!(Word::parse(word).is_err(), "{word:?}");
        }
        for ours in EntityType::WORDS {
            assert!(Word::parse(ours).is_ok(), "{ours}");
            assert!(Word::parse_free(ours, EntityType::WORDS).is_err(), "{ours}");
            assert!(Word::parse_free(&ours.to_uppercase(), EntityType::WORDS).is_err(), "{ours}");
        }
    }

    #[test]
    fn an_entitys_id_stands_in_a_path() {
        assert_eq!(EntityId::parse(" POL 2025-é ").unwrap().to_string(), "POL 2025-é");
        for id in ["", " ", "a/b", ".", " .. ", "a\nb", "\u{200b}", &"x".repeat(129)] {
            assert!(EntityId::parse(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn metadata_is_an_object_of_at_most_4096_bytes() {
        let parse = |text: &str| Metadata::parse(serde_json::from_str(text).unwrap());
        let longest = format!("{{\"k\":\"{}\"}}", "x".repeat(4096 - 8));
        assert_eq!(longest.len(), 4096);
        assert!(parse(&longest).is_ok());
        assert!(parse(&longest.replacen('x', "xx", 1)).is_err());
        for text in ["[]", "1", "null", r#"{"a":1,"a":2}"#] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn of_a_user_agent_the_first_256_characters_are_kept() {
        let origin = Origin::new(Some("2001:db8::1"), Some(&"é".repeat(300)));
        assert_eq!(origin.user_agent.unwrap().chars().count(), 256);
        assert_eq!(origin.ip_address.as_deref(), Some("2001:db8::1"));
        assert_eq!(Origin::new(Some(""), None), Origin::default());
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in any::<String>()) {
            let _ = (Word::parse(&text), Word::parse_free(&text, Action::WORDS), EntityId::parse(&text));
        }
    }
}
