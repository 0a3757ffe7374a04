//! The sealed copy of the audit trail: an object in a bucket under Object Lock for each of a chain, `<chain>/<number>`, put only if
//! there is none.
//!
//! Who appends to a chain first finds its last object, and of two at once the one that comes second is refused: it reads what the first
//! one put, goes on from there, and leaves out what is there already. So a chain has no gap and no entry twice, whatever is repeated.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::error::Error;
use super::objects::Stored;
use super::s3_calls::{Response, S3Calls, unexpected};
use crate::aws::s3::Bucket;
use crate::model::sealed_copy::{Chain, Header, SealedEntry, SealedFrom, SealedObject};
use crate::request_record::RequestRecord;
use crate::values::clock::{Clock, Timestamp};
use crate::values::content_hash::ContentHash;
use crate::values::id::AuditEntryId;
use crate::values::uri::encoded;

/// How long one attempt of a call may take: an object has some megabytes.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// How many minutes the clocks of the table and of the bucket may differ.
const MINUTES_OFF: u16 = 5;

/// The objects of a deployment's sealed copy. Cloning it is cheap.
#[derive(Clone)]
pub struct SealedCopy {
    calls: S3Calls,
}

/// An object as it was read.
pub struct ReadObject {
    /// What it says.
    pub content: Vec<u8>,
    /// When it was put, by S3's clock.
    pub put_at: Timestamp,
    /// Until when S3 lets nobody change or delete it; `None` if it is not locked.
    pub locked_until: Option<Timestamp>,
}

/// The end of a chain, and which entries its last objects hold.
pub struct Head {
    chain: Chain,
    number: u64,
    hash: Option<ContentHash>,
    expires_at: Option<Timestamp>,
    held: HashSet<AuditEntryId>,
    /// The first of the objects whose entries are in `held`, and when it was put.
    from: u64,
    from_put_at: Option<Timestamp>,
}

impl Head {
    /// The end of a chain without objects.
    pub fn empty(chain: Chain) -> Self {
        let held = HashSet::new();
        Self { chain, number: 0, hash: None, expires_at: None, held, from: 1, from_put_at: None }
    }

    /// The number of the last object; 0 if there is none.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The SHA-256 of the last object.
    pub fn hash(&self) -> Option<ContentHash> {
        self.hash
    }

    /// How many entries it knows to be held.
    pub fn entries_known(&self) -> usize {
        self.held.len()
    }

    /// The same chain with the next object. One that cannot be read is one all the same, without entries.
    pub fn push(&mut self, number: u64, object: &ReadObject) {
        let read = SealedObject::read(&object.content).ok();
        let hash = ContentHash::of(&object.content);
        self.advance(number, hash, read.as_ref().and_then(SealedObject::expires_at), object.put_at);
        self.held.extend(ids(read));
    }

    fn advance(&mut self, number: u64, hash: ContentHash, expires_at: Option<Timestamp>, put_at: Timestamp) {
        (self.number, self.hash, self.expires_at) = (number, Some(hash), expires_at);
        if self.from_put_at.is_none() {
            (self.from, self.from_put_at) = (number, Some(put_at));
        }
    }
}

impl SealedCopy {
    /// The copy in this bucket. Times of signatures come from `clock`, which S3 compares with its own.
    pub fn new(bucket: Bucket, clock: Clock) -> Self {
        Self { calls: S3Calls::new(bucket, clock, ATTEMPT_TIMEOUT) }
    }

    /// The same copy. Its calls are recorded in `record`.
    pub fn recording_to(&self, record: RequestRecord) -> Self {
        Self { calls: self.calls.recording_to(record) }
    }

    /// Reads an object; `None` if there is none.
    pub async fn read(&self, chain: Chain, number: u64) -> Result<Option<ReadObject>, Error> {
        const OPERATION: &str = "GetObject";
        let response = self.calls.send(OPERATION, "GET", &chain.object_key(number), &[], &[]).await?;
        match response.status {
            200 => read_object(response).map(Some),
            404 => Ok(None),
            status => Err(unexpected(OPERATION, status)),
        }
    }

    /// The number of the first object of a chain behind `number`; `None` if there is none.
    pub async fn next(&self, chain: Chain, number: u64) -> Result<Option<u64>, Error> {
        const OPERATION: &str = "ListObjectsV2";
        let prefix = format!("{chain}/");
        let query = format!(
            "?list-type=2&max-keys=1&prefix={}&start-after={}",
            encoded(&prefix),
            encoded(&chain.object_key(number))
        );
        let response = self.calls.send(OPERATION, "GET", &query, &[], &[]).await?;
        if response.status != 200 {
            return Err(unexpected(OPERATION, response.status));
        }
        let list = String::from_utf8_lossy(&response.body);
        let key = list.split_once("<Key>").and_then(|(_, rest)| rest.split_once("</Key>"));
        let Some((key, _)) = key else { return Ok(None) };
        let number = key.strip_prefix(&prefix).and_then(|number| number.parse().ok());
        number.map(Some).ok_or_else(|| Error::internal(format!("{OPERATION}: a key that is none of a chain")))
    }

    /// Lists versions of objects, as [`ListObjectVersions`] answers in XML to the parameters of this query.
    ///
    /// [`ListObjectVersions`]: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
    pub async fn list_versions(&self, query: &str) -> Result<Vec<u8>, Error> {
        const OPERATION: &str = "ListObjectVersions";
        let response = self.calls.send(OPERATION, "GET", &format!("?{query}"), &[], &[]).await?;
        if response.status == 200 { Ok(response.body) } else { Err(unexpected(OPERATION, response.status)) }
    }

    /// Finds the last object of a chain, with about two calls for each bit of its number, and reads it.
    pub async fn head(&self, chain: Chain) -> Result<Head, Error> {
        let mut head = Head::empty(chain);
        let Some(mut last) = self.next(chain, 0).await? else { return Ok(head) };
        let mut step = 1;
        while let Some(behind) = self.next(chain, last.saturating_add(step)).await? {
            last = behind;
            step *= 2;
        }
        let mut end = last.saturating_add(step);
        while last < end {
            let middle = last.midpoint(end);
            match self.next(chain, middle).await? {
                Some(behind) => last = behind,
                None => end = middle,
            }
        }
        // It is there, since it was listed, and it cannot be deleted.
        let object = self.read(chain, last).await?.ok_or_else(|| Error::unavailable("GetObject: 404"))?;
        head.push(last, &object);
        Ok(head)
    }

    /// Reads back until the head knows every object that may hold an entry which was written to the table at `written_at` or later.
    pub async fn know_since(&self, head: &mut Head, written_at: Timestamp) -> Result<(), Error> {
        let since = written_at.minus_minutes(MINUTES_OFF);
        while head.from > 1 && head.from_put_at.is_some_and(|put_at| put_at >= since) {
            let number = head.from - 1;
            // What is older than its retention is gone.
            let Some(object) = self.read(head.chain, number).await? else { return Ok(()) };
            head.held.extend(ids(SealedObject::read(&object.content).ok()));
            (head.from, head.from_put_at) = (number, Some(object.put_at));
        }
        Ok(())
    }

    /// Appends an object with those of the entries that the chain does not hold, as far as its head knows, and returns how many these
    /// are; if there are none, there is no object.
    pub async fn append(
        &self,
        head: &mut Head,
        mut entries: BTreeMap<AuditEntryId, SealedEntry>,
        sealed_from: SealedFrom,
    ) -> Result<usize, Error> {
        loop {
            entries.retain(|id, _| !head.held.contains(id));
            if entries.is_empty() {
                return Ok(0);
            }
            let (number, now) = (head.number + 1, self.calls.clock.now());
            let header = Header {
                chain: head.chain,
                number,
                previous: head.hash,
                previous_expires_at: head.expires_at,
                sealed_from,
                sealed_at: now,
            };
            let content = SealedObject::write(&header, &entries);
            let content = content.map_err(|_| Error::internal("sealed object cannot be written"))?;
            let hash = ContentHash::of(&content);
            match self.put(head.chain, number, &content, hash).await? {
                Stored::New => {
                    let expires_at = entries.values().map(|entry| entry.expires_at).max();
                    head.advance(number, hash, expires_at, now);
                    head.held.extend(entries.keys());
                    return Ok(entries.len());
                }
                // By somebody else, or by an attempt whose answer was lost.
                Stored::Before => {
                    let object = self.read(head.chain, number).await?;
                    let object = object.ok_or_else(|| Error::unavailable("GetObject: 404"))?;
                    head.push(number, &object);
                }
            }
        }
    }

    async fn put(
        &self,
        chain: Chain,
        number: u64,
        content: &[u8],
        hash: ContentHash,
    ) -> Result<Stored, Error> {
        const OPERATION: &str = "PutObject";
        let hash = hash.base64();
        let headers = [
            ("content-type", "application/x-ndjson"),
            ("if-none-match", "*"),
            // Object Lock demands a checksum.
            ("x-amz-checksum-sha256", hash.as_str()),
        ];
        match self.calls.send(OPERATION, "PUT", &chain.object_key(number), &headers, content).await?.status {
            200 => Ok(Stored::New),
            412 => Ok(Stored::Before),
            status => Err(unexpected(OPERATION, status)),
        }
    }
}

/// The ids of an object's entries, if it can be read.
fn ids(object: Option<SealedObject>) -> impl Iterator<Item = AuditEntryId> {
    object.into_iter().flat_map(|object| object.entries).map(|(entry, _)| entry.id)
}

fn read_object(response: Response) -> Result<ReadObject, Error> {
    let time = |name, format| {
        let text = response.headers.get(name)?;
        let milliseconds = DateTime::from_str(text, format).ok()?.to_millis().ok()?;
        Timestamp::from_unix_milliseconds(u64::try_from(milliseconds).ok()?)
    };
    let put_at = time("last-modified", Format::HttpDate);
    let locked_until = time("x-amz-object-lock-retain-until-date", Format::DateTime);
    let put_at = put_at.ok_or_else(|| Error::unavailable("GetObject: unreadable answer"))?;
    Ok(ReadObject { content: response.body, put_at, locked_until })
}
