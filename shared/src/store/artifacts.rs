//! Artifacts: an item for each, and copies of it by which lists and scopes find it: one among those of its dock, and one
//! for each entry of its metadata. Copies sort by state, and then by when the content became available, so that one Query
//! reads what is new of one kind, whatever else the dock holds.
//!
//! A claim, of which a dock has one for each content with its filename and its metadata, makes two requests for the same
//! document one artifact. All items of an artifact are written together, and together with the claim.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::cleanup::{Cleanup, Leftover};
use super::retry::{MAX_ATTEMPTS, back_off};
use super::transaction::{Refusal, Transaction};
use super::{Error, Item, KeyRange, Partition, QueryPage, Store, at_once, text};
use crate::model::artifact::{Artifact, Content, Filename, MediaType, Metadata, Position, State, Status};
use crate::model::audit::Entry;
use crate::model::decision::Scope;
use crate::model::idempotency::{IdempotentRequest, Outcome, StoredResponse};
use crate::model::identifiers::normal_form;
use crate::model::recipe::TYPE_KEY;
use crate::values::clock::Timestamp;
use crate::values::content_hash::ContentHash;
use crate::values::id::{AccountId, ArtifactId, DockId};
use crate::values::page::{Page, PageRequest};

const SORT_KEY: &str = "ARTIFACT";
const CLAIM_SORT_KEY: &str = "CONTENT";

/// The places of an artifact's item and of its claim in a transaction.
const ARTIFACT: usize = 0;
const CLAIM: usize = 1;

/// The partition of a dock's artifacts.
fn partition(dock: DockId) -> String {
    Partition::Artifacts.of(dock)
}

/// The partition of those of a dock's artifacts that have an entry of metadata; `None` for a value that means nothing.
fn partition_by(dock: DockId, key: &str, value: &str) -> Option<String> {
    let value = normal_form(key, value)?;
    Some(Partition::Artifacts.of(format!("{dock}#{}", hex_digest([key, &value]))))
}

/// A SHA-256 over texts of which none has a NUL, in hex.
fn hex_digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(text);
        digest.update(b"\0");
    }
    hex::encode(digest.finalize())
}

/// The sort key of a copy.
fn copy_sort_key(status: Status, position: impl std::fmt::Display) -> String {
    format!("{}#{position}", status.as_str())
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactItem {
    pk: String,
    sk: String,
    id: ArtifactId,
    dock: DockId,
    account: AccountId,
    filename: Filename,
    metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<MediaType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<ContentHash>,
    created_at: Timestamp,
    /// Of one that waits for its content: until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
    /// Counts the changes, so that none overwrites another.
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
}

impl ArtifactItem {
    fn new(artifact: &Artifact) -> Self {
        let content = artifact.content();
        Self {
            pk: Partition::Artifact.of(artifact.id),
            sk: SORT_KEY.to_owned(),
            id: artifact.id,
            dock: artifact.dock,
            account: artifact.account,
            filename: artifact.filename.clone(),
            metadata: artifact.metadata.clone(),
            content_type: content.map(|content| content.media_type.clone()),
            size: content.map(|content| content.size),
            hash: content.map(|content| content.hash),
            created_at: artifact.created_at,
            pending_until: artifact.pending_until(),
            available_at: artifact.available_at(),
            updated_at: artifact.updated_at,
            version: artifact.version,
            ttl: artifact.pending_until().map(Timestamp::unix_seconds_rounded_up),
        }
    }

    /// The copies by which an artifact is found.
    fn copies(artifact: &Artifact) -> Vec<Self> {
        let item = Self::new(artifact);
        let sk = copy_sort_key(artifact.status(), artifact.position());
        let entries = artifact.metadata.entries().iter();
        let by_metadata = entries.filter_map(|(key, value)| partition_by(artifact.dock, key, value));
        let partitions: BTreeSet<String> = by_metadata.chain([partition(artifact.dock)]).collect();
        partitions.into_iter().map(|pk| Self { pk, sk: sk.clone(), ..item.clone() }).collect()
    }
}

impl TryFrom<ArtifactItem> for Artifact {
    type Error = Error;

    fn try_from(item: ArtifactItem) -> Result<Self, Error> {
        let content = match (item.content_type, item.size, item.hash) {
            (Some(media_type), Some(size), Some(hash)) => Some(Content { media_type, size, hash }),
            (None, None, None) => None,
            _ => return Err(bad_state()),
        };
        let state = match (content, item.pending_until, item.available_at) {
            (None, None, None) => State::Empty,
            (Some(content), Some(until), None) => State::Pending { content, until },
            (Some(content), None, Some(since)) => State::Available { content, since },
            _ => return Err(bad_state()),
        };
        Ok(Self {
            id: item.id,
            dock: item.dock,
            account: item.account,
            filename: item.filename,
            metadata: item.metadata,
            state,
            created_at: item.created_at,
            updated_at: item.updated_at,
            version: item.version,
        })
    }
}

fn bad_state() -> Error {
    Error::internal("stored artifact has a bad state")
}

/// Which artifact of a dock has this content, under this filename and with this metadata.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimItem {
    pk: String,
    sk: String,
    artifact: ArtifactId,
    /// Until when it holds, if the artifact waits for its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
}

impl ClaimItem {
    /// The claim of an artifact; `None` without a content.
    fn new(artifact: &Artifact) -> Option<Self> {
        let content = artifact.content()?;
        // With the size: a wrong one must not stand in the way of the right one.
        let (hash, size) = (content.hash.hex(), content.size.to_string());
        let entries = artifact.metadata.entries().iter();
        let metadata = entries.flat_map(|(key, value)| [key.as_str(), value.as_str()]);
        let document = [hash.as_str(), size.as_str(), artifact.filename.as_str()];
        let digest = hex_digest(document.into_iter().chain(metadata));
        let pending_until = artifact.pending_until();
        Some(Self {
            pk: Partition::Content.of(format!("{}#{digest}", artifact.dock)),
            sk: CLAIM_SORT_KEY.to_owned(),
            artifact: artifact.id,
            pending_until,
            ttl: pending_until.map(Timestamp::unix_seconds_rounded_up),
        })
    }
}

/// Which artifacts of a dock a list has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArtifactQuery {
    /// Those of this state alone.
    pub status: Option<Status>,
    /// Those alone whose metadata has this key with this value.
    pub metadata: Option<(String, String)>,
}

/// How a change of an artifact ended.
#[derive(Debug, PartialEq, Eq)]
pub enum ArtifactUpdate {
    /// The artifact is now so.
    Updated(Box<Artifact>),
    /// It no longer exists.
    NoArtifact,
    /// It would be the same document as this artifact.
    Duplicate(ArtifactId),
}

/// Where available artifacts are searched for.
#[derive(Clone, Copy)]
struct Search {
    dock: DockId,
    after: Option<Position>,
    until: Position,
    limit: usize,
}

impl Store {
    /// Returns the artifact of this id, as it is at `now`; one read.
    pub async fn artifact(&self, id: ArtifactId, now: Timestamp) -> Result<Option<Artifact>, Error> {
        let item: Option<ArtifactItem> = self.get(Partition::Artifact.of(id), SORT_KEY).await?;
        let artifact = item.map(Artifact::try_from).transpose()?;
        Ok(artifact.filter(|artifact| artifact.exists(now)))
    }

    /// Returns one page of a dock's artifacts, as they are at `now`, newest first: by when they became available, or else were
    /// created. One Query for one state, and for all of them three, of which two are made at once after the first.
    pub async fn artifacts(
        &self,
        dock: DockId,
        query: &ArtifactQuery,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<Artifact>, Error> {
        let partition = match &query.metadata {
            None => partition(dock),
            Some((key, value)) => match partition_by(dock, key, value) {
                Some(partition) => partition,
                None => return Ok(Page::empty()),
            },
        };
        let read = async |status: Status| {
            let (from, to) = (copy_sort_key(status, ""), copy_sort_key(status, "~"));
            let range = KeyRange { from: &from, to: &to, ascending: false };
            let after = page.after.as_ref().map(|position| copy_sort_key(status, position));
            let read = self.query_page(partition.clone(), range, after, page.limit + 1).await?;
            let artifacts = read.items.into_iter().map(|item: ArtifactItem| Artifact::try_from(item));
            Ok::<_, Error>(QueryPage { items: artifacts.collect::<Result<_, _>>()?, is_last: read.is_last })
        };
        let read = match query.status {
            Some(status) => read(status).await?,
            None => {
                // What becomes available meanwhile is on both pages, and on neither if they were read the other way round.
                let pending = read(Status::Pending).await?;
                let (available, empty) = tokio::try_join!(read(Status::Available), read(Status::Empty))?;
                QueryPage::merge(vec![available, empty, pending], Artifact::position)
            }
        };
        let mut items = read.items;
        let mut seen = BTreeSet::new();
        items.retain(|artifact: &Artifact| seen.insert(artifact.id));
        let position = |artifact: &Artifact| artifact.position().to_string();
        let mut page = Page::of(items, read.is_last, page.limit, position);
        page.items.retain(|artifact| artifact.exists(now));
        Ok(page)
    }

    /// Returns the artifacts of these ids that there are at `now`, in no order; a `BatchGetItem` for a hundred, many at once.
    pub async fn artifacts_of(
        &self,
        ids: &[ArtifactId],
        now: Timestamp,
    ) -> Result<BTreeMap<ArtifactId, Artifact>, Error> {
        let keys = ids.iter().map(|id| Self::artifact_key(*id)).collect();
        let items: Vec<ArtifactItem> = self.get_at_once(keys).await?;
        let found = items.into_iter().map(Artifact::try_from).collect::<Result<Vec<_>, _>>()?.into_iter();
        Ok(found.filter(|artifact| artifact.exists(now)).map(|artifact| (artifact.id, artifact)).collect())
    }

    /// Returns artifacts of a dock that are available, oldest first, each once: at most `limit` of those behind `after` and up to
    /// `until`, and whether these are all. All that are in one of the scopes are among them, up to the last one that is returned, and
    /// others too. A Query for each entry, or else for each type of a scope, all at once.
    pub async fn available_artifacts(
        &self,
        dock: DockId,
        scopes: impl IntoIterator<Item = Scope>,
        after: Option<Position>,
        until: Position,
        limit: usize,
    ) -> Result<(Vec<Artifact>, bool), Error> {
        if after.is_some_and(|after| after >= until) {
            return Ok((Vec::new(), true));
        }
        let search = Search { dock, after, until, limit };
        let found = at_once(scopes.into_iter().map(|scope| self.search(search, scope))).await?;
        let QueryPage { mut items, is_last } = QueryPage::union(found, Artifact::position);
        let is_cut = items.len() > limit;
        items.truncate(limit);
        Ok((items, is_last && !is_cut))
    }

    /// What one scope finds.
    async fn search(&self, search: Search, scope: Scope) -> Result<QueryPage<Artifact>, Error> {
        let of_entry = |(key, value): (&String, &String)| partition_by(search.dock, key, value);
        if !scope.entries.is_empty() {
            // A value that means nothing is no artifact's.
            let partitions: Option<Vec<String>> = scope.entries.iter().map(of_entry).collect();
            let pages = self.search_all(search, partitions.unwrap_or_default()).await?;
            // Each has all that are in the scope: the one that reaches furthest has the fewest others.
            let reach =
                |page: &QueryPage<Artifact>| (page.is_last, page.items.last().map(Artifact::position));
            let nothing = QueryPage { items: Vec::new(), is_last: true };
            return Ok(pages.into_iter().max_by_key(reach).unwrap_or(nothing));
        }
        let partitions = match &scope.types {
            None => vec![partition(search.dock)],
            Some(types) => {
                types.iter().filter_map(|name| partition_by(search.dock, TYPE_KEY, name)).collect()
            }
        };
        Ok(QueryPage::union(self.search_all(search, partitions).await?, Artifact::position))
    }

    async fn search_all(
        &self,
        search: Search,
        partitions: Vec<String>,
    ) -> Result<Vec<QueryPage<Artifact>>, Error> {
        let from = copy_sort_key(Status::Available, "");
        let to = copy_sort_key(Status::Available, search.until);
        let after = search.after.map(|position| copy_sort_key(Status::Available, position));
        let read = partitions.into_iter().map(async |pk| {
            let range = KeyRange { from: &from, to: &to, ascending: true };
            let read = self.query_page(pk, range, after.clone(), search.limit).await?;
            let artifacts = read.items.into_iter().map(|item: ArtifactItem| Artifact::try_from(item));
            Ok(QueryPage { items: artifacts.collect::<Result<_, _>>()?, is_last: read.is_last })
        });
        at_once(read).await
    }

    /// Creates an artifact, and stores the response if the request carries an idempotency key. Refused with the id of the
    /// artifact that is the same document, if there is one.
    pub async fn create_artifact(
        &self,
        artifact: &Artifact,
        entry: &Entry,
        idempotency: Option<(&IdempotentRequest, &StoredResponse)>,
    ) -> Result<Outcome<ArtifactId>, Error> {
        let mut items = vec![self.put_new(&ArtifactItem::new(artifact))?];
        if let Some(claim) = ClaimItem::new(artifact) {
            items.push(self.new_claim(&claim, artifact.created_at)?);
        }
        for copy in ArtifactItem::copies(artifact) {
            items.push(self.put(&copy)?);
        }
        self.transact_idempotently(items, entry, idempotency, |refusal| {
            claimed_by(&refusal, CLAIM)?.ok_or_else(|| Error::unexpected_refusal("create artifact"))
        })
        .await
    }

    /// Changes an artifact, which was read already, to what `change` makes of it at `now`, and returns it. `entry` makes the
    /// entry on it, of the artifact before and after. If another change came between, it reads the artifact again and repeats
    /// `change`.
    ///
    /// # Errors
    /// Those of `change`, and those of the store.
    pub async fn update_artifact<E: From<Error>>(
        &self,
        mut read: Artifact,
        now: Timestamp,
        change: impl Fn(Artifact) -> Result<Artifact, E>,
        entry: impl Fn(&Artifact, &Artifact) -> Entry,
    ) -> Result<ArtifactUpdate, E> {
        for attempt in 1..=MAX_ATTEMPTS {
            let artifact = change(read.clone())?;
            if artifact.version == read.version {
                return Ok(ArtifactUpdate::Updated(Box::new(artifact)));
            }
            let items = self.replacement(&read, &artifact, now)?;
            match self.transact(items, &entry(&read, &artifact)).await? {
                Transaction::Done => return Ok(ArtifactUpdate::Updated(Box::new(artifact))),
                Transaction::Refused(refusal) if !refusal.condition_failed(ARTIFACT) => {
                    let is_claimed_anew = ClaimItem::new(&read).map(|claim| claim.pk)
                        != ClaimItem::new(&artifact).map(|claim| claim.pk);
                    return Ok(match claimed_by(&refusal, CLAIM)? {
                        Some(other) if is_claimed_anew => ArtifactUpdate::Duplicate(other),
                        // Its own claim is another's since it waited in vain.
                        _ => ArtifactUpdate::NoArtifact,
                    });
                }
                Transaction::Refused(_) => {}
            }
            back_off(attempt).await;
            match self.artifact(read.id, now).await? {
                Some(current) => read = current,
                None => return Ok(ArtifactUpdate::NoArtifact),
            }
        }
        Err(Error::unavailable("update artifact: too many changes at once").into())
    }

    /// The writes that replace an artifact, its claim and its copies.
    fn replacement(
        &self,
        before: &Artifact,
        after: &Artifact,
        now: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, Error> {
        let mut items = vec![self.put_if_version(&ArtifactItem::new(after), after.id, before.version)?];
        let (old, new) = (ClaimItem::new(before), ClaimItem::new(after));
        if let Some(new) = &new {
            items.push(match &old {
                Some(old) if old.pk == new.pk => {
                    self.put_new_or_if(new, "artifact = :id", &[(":id", text(after.id))])?
                }
                _ => self.new_claim(new, now)?,
            });
        }
        if let Some(old) = old.filter(|old| new.is_none_or(|new| new.pk != old.pk)) {
            items.push(self.delete_claim(old)?);
        }
        let copies = ArtifactItem::copies(after);
        let kept: BTreeSet<(&str, &str)> = copies.iter().map(|copy| (&*copy.pk, &*copy.sk)).collect();
        for copy in ArtifactItem::copies(before) {
            if !kept.contains(&(&copy.pk, &copy.sk)) {
                items.push(self.delete_if_exists(Self::key(copy.pk, copy.sk))?);
            }
        }
        for copy in &copies {
            items.push(self.put(copy)?);
        }
        Ok(items)
    }

    /// Deletes an artifact, which was read already, if `check` admits it, and has its content cleaned up. `false` if it no
    /// longer exists.
    ///
    /// # Errors
    /// Those of `check`, and those of the store.
    pub async fn delete_artifact<E: From<Error>>(
        &self,
        mut read: Artifact,
        now: Timestamp,
        check: impl Fn(&Artifact) -> Result<(), E>,
        entry: impl Fn() -> Entry,
    ) -> Result<bool, E> {
        for attempt in 1..=MAX_ATTEMPTS {
            check(&read)?;
            let mut items =
                vec![self.delete_if_version(Self::artifact_key(read.id), read.id, read.version)?];
            if let Some(claim) = ClaimItem::new(&read) {
                items.push(self.delete_claim(claim)?);
            }
            for copy in ArtifactItem::copies(&read) {
                items.push(self.delete_if_exists(Self::key(copy.pk, copy.sk))?);
            }
            if read.content().is_some() {
                let leftover = Leftover::Content { dock: read.dock, artifact: read.id };
                items.push(self.put(&Cleanup::new(leftover, now).item())?);
            }
            match self.transact(items, &entry()).await? {
                Transaction::Done => return Ok(true),
                Transaction::Refused(refusal) if refusal.condition_failed(ARTIFACT) => {}
                // Its claim is another's since it waited in vain.
                Transaction::Refused(_) => return Ok(false),
            }
            back_off(attempt).await;
            match self.artifact(read.id, now).await? {
                Some(current) => read = current,
                None => return Ok(false),
            }
        }
        Err(Error::unavailable("delete artifact: too many changes at once").into())
    }

    fn artifact_key(id: ArtifactId) -> Item {
        Self::key(Partition::Artifact.of(id), SORT_KEY)
    }

    /// Puts a claim, unless another artifact has it. One that waited in vain for its content has it no longer.
    fn new_claim(&self, claim: &ClaimItem, now: Timestamp) -> Result<TransactWriteItem, Error> {
        // RFC 3339 times in UTC with milliseconds sort as text.
        let condition = "attribute_not_exists(pk) OR pendingUntil <= :now";
        self.put_new_or_if(claim, condition, &[(":now", text(now))])
    }

    /// Deletes a claim, unless it is another artifact's.
    fn delete_claim(&self, claim: ClaimItem) -> Result<TransactWriteItem, Error> {
        let condition = "attribute_not_exists(pk) OR artifact = :id";
        self.delete(Self::key(claim.pk, claim.sk), condition, &[(":id", text(claim.artifact))])
    }
}

/// The artifact in an image of a stream's record, if it waited for its content; `None` if it is of another item.
pub fn pending_of_image(image: &Value) -> Option<(DockId, ArtifactId)> {
    let text = |name: &str| image.get(name)?.get("S")?.as_str();
    let is_pending = text("sk")? == SORT_KEY && text("pendingUntil").is_some();
    let id = ArtifactId::parse(text("id")?)?;
    let is_own = text("pk")? == Partition::Artifact.of(id);
    DockId::parse(text("dock")?).filter(|_| is_pending && is_own).map(|dock| (dock, id))
}

/// The artifact whose claim refused the `index`th write, if one did.
fn claimed_by(refusal: &Refusal, index: usize) -> Result<Option<ArtifactId>, Error> {
    let claim: Option<ClaimItem> = match refusal.condition_failed(index) {
        true => refusal.existing_item(index)?,
        false => None,
    };
    Ok(claim.map(|claim| claim.artifact))
}
