//! Retrieval jobs: an item for each, its pages of results and its tickets beside it, and pointers by which it is listed.
//!
//! The write of a job is the message to the worker, which DynamoDB's stream brings; each of its steps is one transaction, on the
//! condition that no other one came between. Which jobs of a dock are open stands in an item of the dock, in one of 16 partitions:
//! it limits them, and sweeps find them there.

use aws_sdk_dynamodb::types::TransactWriteItem;
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::retry::{MAX_ATTEMPTS, back_off};
use super::transaction::{Transaction, number};
use super::{Error, KeyRange, Partition, Store, json_text};
use crate::model::audit::Entry;
use crate::model::idempotency::{IdempotentRequest, Outcome, StoredResponse};
use crate::model::identifiers::Identifiers;
use crate::model::job::{Job, MAX_OPEN_OF_DOCK, MAX_OPEN_OF_RECIPIENT, Requester, ResultsPage, Status, Step};
use crate::model::recipe::Method;
use crate::model::ticket::{Issuer, TicketRecord};
use crate::values::clock::Timestamp;
use crate::values::digest::Digest;
use crate::values::id::{AccountId, ArtifactId, DockId, JobId, RecipientId};
use crate::values::page::{Page, PageRequest};
use crate::values::random;

const SORT_KEY: &str = "JOB";

/// How many partitions the open jobs are in.
pub const OPEN_JOBS_PARTITIONS: u8 = 16;

/// How many days a page of results is kept: a job ends within minutes, and has results for a day.
const PAGE_DAYS: u16 = 2;

/// The places of the job's item and of the open jobs of its dock in the transaction that creates it, and of the job's in others.
const JOB: usize = 0;
const OPEN_JOBS: usize = 1;

#[derive(Serialize, Deserialize)]
struct JobItem {
    pk: String,
    sk: String,
    id: JobId,
    status: Status,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
    #[serde(with = "json_text")]
    job: Job,
}

impl JobItem {
    fn new(job: &Job) -> Self {
        Self {
            pk: Partition::Job.of(job.id),
            sk: SORT_KEY.to_owned(),
            id: job.id,
            status: job.status,
            version: job.version,
            ttl: job.kept_until().map(Timestamp::unix_seconds_rounded_up),
            job: job.clone(),
        }
    }
}

/// By which a job is listed.
#[derive(Serialize, Deserialize)]
struct PointerItem {
    pk: String,
    sk: JobId,
    ttl: i64,
}

/// A list of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobList {
    /// Those that a recipient made.
    OfRecipient(RecipientId),
    /// Those of a dock that the account made.
    OfDock(DockId),
    /// Those that the account made for one recipient of a dock.
    For(DockId, RecipientId),
}

impl JobList {
    fn partition(self) -> String {
        match self {
            Self::OfRecipient(recipient) => Partition::Jobs.of(recipient),
            Self::OfDock(dock) => Partition::Jobs.of(dock),
            Self::For(dock, recipient) => Partition::Jobs.of(format!("{dock}#{recipient}")),
        }
    }

    /// The lists that a job is on.
    fn of(job: &Job) -> Vec<Self> {
        match job.requester {
            Requester::Recipient => vec![Self::OfRecipient(job.recipient)],
            Requester::Account => vec![Self::OfDock(job.dock), Self::For(job.dock, job.recipient)],
        }
    }
}

/// A page of results. Ids have one length, and stand one after the other.
#[derive(Serialize, Deserialize)]
struct PageItem {
    pk: String,
    sk: String,
    ready: String,
    errors: String,
    ttl: i64,
}

/// The length of an artifact's id.
const ID_LENGTH: usize = 30;

fn joined(ids: &[ArtifactId]) -> String {
    ids.iter().map(ArtifactId::to_string).collect()
}

fn split(ids: &str) -> Result<Vec<ArtifactId>, Error> {
    let ids = ids.as_bytes().chunks(ID_LENGTH).map(|id| ArtifactId::parse(std::str::from_utf8(id).ok()?));
    ids.collect::<Option<_>>().ok_or_else(|| Error::internal("stored page has a bad id"))
}

fn page_sort_key(number: u16) -> String {
    format!("PAGE#{number:04}")
}

/// The open jobs of a dock.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct OpenJobs(Vec<OpenJob>);

#[derive(Clone, Copy, Serialize, Deserialize)]
struct OpenJob {
    job: JobId,
    recipient: RecipientId,
}

#[derive(Serialize, Deserialize)]
struct OpenJobsItem {
    pk: String,
    sk: DockId,
    #[serde(with = "json_text")]
    jobs: OpenJobs,
    version: u64,
}

/// The open jobs of a dock as they were read.
#[derive(Clone, Default)]
pub struct ReadOpenJobs {
    jobs: OpenJobs,
    /// `None` if there is no item.
    version: Option<u64>,
}

impl ReadOpenJobs {
    /// Why there cannot be one more for this recipient; `None` if there can.
    pub fn refusal(&self, recipient: RecipientId) -> Option<TooManyJobs> {
        let of_recipient = self.jobs.0.iter().filter(|open| open.recipient == recipient).count();
        if of_recipient >= MAX_OPEN_OF_RECIPIENT {
            Some(TooManyJobs::OfRecipient)
        } else {
            (self.jobs.0.len() >= MAX_OPEN_OF_DOCK).then_some(TooManyJobs::OfDock)
        }
    }
}

/// Why a job is not created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooManyJobs {
    /// The recipient has as many open ones as it may have.
    OfRecipient,
    /// The dock has.
    OfDock,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TicketItem {
    pk: String,
    sk: String,
    job: JobId,
    dock: DockId,
    account: AccountId,
    recipient: RecipientId,
    method: Method,
    page: u16,
    from: usize,
    to: usize,
    /// The digest of the API key, or else of the access token, that asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// What was submitted, of an account's.
    submitted: Identifiers,
    expires_at: Timestamp,
    ttl: i64,
}

fn ticket_sort_key(digest: &Digest) -> String {
    format!("TICKET#{}", digest.expose_hex())
}

impl TicketItem {
    fn new(ticket: &TicketRecord, digest: &Digest) -> Self {
        let (key, token, submitted) = match &ticket.issuer {
            Issuer::Account { key, submitted } => (Some(key.expose_hex()), None, submitted.clone()),
            Issuer::Recipient { token } => (None, Some(token.expose_hex()), Identifiers::default()),
        };
        Self {
            pk: Partition::Job.of(ticket.job),
            sk: ticket_sort_key(digest),
            job: ticket.job,
            dock: ticket.dock,
            account: ticket.account,
            recipient: ticket.recipient,
            method: ticket.method,
            page: ticket.page,
            from: ticket.from,
            to: ticket.to,
            key,
            token,
            submitted,
            expires_at: ticket.expires_at,
            ttl: ticket.expires_at.unix_seconds_rounded_up(),
        }
    }
}

impl TryFrom<TicketItem> for TicketRecord {
    type Error = Error;

    fn try_from(item: TicketItem) -> Result<Self, Error> {
        let digest = |hex: Option<String>| hex.and_then(|hex| Digest::from_hex(&hex));
        let issuer = match (digest(item.key), digest(item.token)) {
            (Some(key), None) => Issuer::Account { key, submitted: item.submitted },
            (None, Some(token)) => Issuer::Recipient { token },
            _ => return Err(Error::internal("stored ticket has a bad issuer")),
        };
        Ok(Self {
            job: item.job,
            dock: item.dock,
            account: item.account,
            recipient: item.recipient,
            method: item.method,
            page: item.page,
            from: item.from,
            to: item.to,
            issuer,
            expires_at: item.expires_at,
        })
    }
}

impl Store {
    /// Returns the job of this id, if there is one at `now`; one read.
    pub async fn job(&self, id: JobId, now: Timestamp) -> Result<Option<Job>, Error> {
        let item: Option<JobItem> = self.get(Partition::Job.of(id), SORT_KEY).await?;
        Ok(item.map(|item| item.job).filter(|job| job.exists(now)))
    }

    /// Returns one page of a list of jobs, as they are at `now`, newest first; those of this status alone, if one is given. One Query,
    /// and a `BatchGetItem` for a hundred.
    pub async fn jobs(
        &self,
        list: JobList,
        status: Option<Status>,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<Job>, Error> {
        let range = KeyRange { from: "0", to: "~", ascending: false };
        let read = self.query_page(list.partition(), range, page.after.clone(), page.limit + 1).await?;
        let pointers =
            Page::of(read.items, read.is_last, page.limit, |item: &PointerItem| item.sk.to_string());
        let keys = pointers.items.iter().map(|item| Self::key(Partition::Job.of(item.sk), SORT_KEY));
        let jobs: Vec<JobItem> = self.get_at_once(keys.collect()).await?;
        let mut jobs: Vec<Job> = jobs.into_iter().map(|item| item.job).collect();
        jobs.retain(|job| job.exists(now) && status.is_none_or(|status| job.status == status));
        jobs.sort_by_key(|job| std::cmp::Reverse(job.id));
        Ok(Page { items: jobs, next: pointers.next })
    }

    /// Returns the open jobs of a dock; one read.
    pub async fn open_jobs(&self, dock: DockId) -> Result<ReadOpenJobs, Error> {
        let item: Option<OpenJobsItem> = self.get(open_jobs_partition(dock), dock.to_string()).await?;
        Ok(item.map_or_else(ReadOpenJobs::default, |item| ReadOpenJobs {
            version: Some(item.version),
            jobs: item.jobs,
        }))
    }

    /// Returns the open jobs in the `n`th partition; one Query.
    pub async fn open_jobs_of_partition(&self, n: u8) -> Result<Vec<JobId>, Error> {
        let items: Vec<OpenJobsItem> = self.query(Partition::OpenJobs.of(n), "0", "~").await?;
        Ok(items.into_iter().flat_map(|item| item.jobs.0).map(|open| open.job).collect())
    }

    /// Creates a job, and stores the response if the request carries an idempotency key. `open` are the open jobs of its dock.
    pub async fn create_job(
        &self,
        job: &Job,
        mut open: ReadOpenJobs,
        entry: impl Fn() -> Entry,
        idempotency: Option<(&IdempotentRequest, &StoredResponse)>,
    ) -> Result<Outcome<TooManyJobs>, Error> {
        for attempt in 1..=MAX_ATTEMPTS {
            // Refused here, it may be a repetition all the same.
            if let Some(refusal) = open.refusal(job.recipient) {
                return Ok(match self.stored_response(idempotency.map(|(request, _)| request)).await? {
                    Some(replay) => Outcome::Replayed(replay),
                    None => Outcome::Refused(refusal),
                });
            }
            let mut jobs = open.jobs.clone();
            jobs.0.push(OpenJob { job: job.id, recipient: job.recipient });
            let mut items = vec![
                self.put_new(&JobItem::new(job))?,
                self.put_open_jobs(job.dock, &ReadOpenJobs { jobs, version: open.version })?,
            ];
            // As long as the job at most.
            let ttl = job.created_at.plus_days(PAGE_DAYS + crate::model::job::KEPT_DAYS);
            for list in JobList::of(job) {
                let (pk, ttl) = (list.partition(), ttl.unix_seconds_rounded_up());
                items.push(self.put(&PointerItem { pk, sk: job.id, ttl })?);
            }
            let refused = |refusal: super::transaction::Refusal| Ok(refusal.condition_failed(OPEN_JOBS));
            match self.transact_idempotently(items, &entry(), idempotency, refused).await? {
                Outcome::Done => return Ok(Outcome::Done),
                Outcome::Replayed(replay) => return Ok(Outcome::Replayed(replay)),
                Outcome::Refused(true) => {}
                Outcome::Refused(false) => return Err(Error::unexpected_refusal("create job")),
            }
            back_off(attempt).await;
            open = self.open_jobs(job.dock).await?;
        }
        Err(Error::unavailable("create job: too many at once"))
    }

    /// Takes a job's step: writes the job after it, and its page. `false` if another one came between; then nothing is written.
    pub async fn take_step(&self, before: &Job, step: &Step) -> Result<bool, Error> {
        let page = step.page.as_ref().map(|page| self.put(&page_item(before, page, step.job.stepped_at)));
        self.replace_job(before, &step.job, page.transpose()?, None::<fn() -> Entry>).await
    }

    /// Replaces a job by what became of it, and writes the entry on that, if `entry` makes one. `false` if another change came between;
    /// then nothing is written.
    pub async fn change_job(
        &self,
        before: &Job,
        after: &Job,
        entry: Option<impl Fn() -> Entry>,
    ) -> Result<bool, Error> {
        self.replace_job(before, after, None, entry).await
    }

    async fn replace_job(
        &self,
        before: &Job,
        after: &Job,
        page: Option<TransactWriteItem>,
        entry: Option<impl Fn() -> Entry>,
    ) -> Result<bool, Error> {
        for attempt in 1..=MAX_ATTEMPTS {
            let mut items = vec![self.put_if_version(&JobItem::new(after), after.id, before.version)?];
            items.extend(page.clone());
            if !after.status.is_open() {
                items.extend(self.without_open_job(after).await?);
            }
            let written = match &entry {
                Some(entry) => self.transact(items, &entry()).await?,
                None => {
                    let token = JobId::generate(after.created_at, &mut random::system());
                    self.transact_as(items, token.to_string()).await?
                }
            };
            match written {
                Transaction::Done => return Ok(true),
                Transaction::Refused(refusal) if refusal.condition_failed(JOB) => return Ok(false),
                // Another job of the dock began or ended.
                Transaction::Refused(_) => back_off(attempt).await,
            }
        }
        Err(Error::unavailable("job: too many changes of the dock's open jobs at once"))
    }

    /// The write that takes a job from the open ones of its dock, if it is one of them.
    async fn without_open_job(&self, job: &Job) -> Result<Option<TransactWriteItem>, Error> {
        let mut open = self.open_jobs(job.dock).await?;
        let count = open.jobs.0.len();
        open.jobs.0.retain(|open| open.job != job.id);
        if open.jobs.0.len() == count {
            return Ok(None);
        }
        self.put_open_jobs(job.dock, &open).map(Some)
    }

    fn put_open_jobs(&self, dock: DockId, open: &ReadOpenJobs) -> Result<TransactWriteItem, Error> {
        let item = OpenJobsItem {
            pk: open_jobs_partition(dock),
            sk: dock,
            jobs: open.jobs.clone(),
            version: random::system().next_u64(),
        };
        match open.version {
            None => self.put_new(&item),
            Some(version) => {
                self.put_new_or_if(&item, "version = :version", &[(":version", number(version))])
            }
        }
    }

    /// Returns a page of a job's results; one read.
    pub async fn results_page(&self, job: JobId, page: u16) -> Result<Option<ResultsPage>, Error> {
        let item: Option<PageItem> = self.get(Partition::Job.of(job), page_sort_key(page)).await?;
        let page =
            item.map(|item| Ok(ResultsPage { ready: split(&item.ready)?, errors: split(&item.errors)? }));
        page.transpose()
    }

    /// Returns what a ticket of a job is for; `None` if it is unknown. One read.
    pub async fn ticket(&self, job: JobId, digest: &Digest) -> Result<Option<TicketRecord>, Error> {
        let item: Option<TicketItem> = self.get(Partition::Job.of(job), ticket_sort_key(digest)).await?;
        item.map(TicketRecord::try_from).transpose()
    }

    /// Stores a new ticket, with the entry on the page of results that it is for.
    pub async fn create_ticket(
        &self,
        ticket: &TicketRecord,
        digest: &Digest,
        entry: &Entry,
    ) -> Result<(), Error> {
        match self.transact(vec![self.put_new(&TicketItem::new(ticket, digest))?], entry).await? {
            Transaction::Done => Ok(()),
            Transaction::Refused(_) => Err(Error::unexpected_refusal("create ticket")),
        }
    }
}

fn open_jobs_partition(dock: DockId) -> String {
    Partition::OpenJobs.of(dock.spread(OPEN_JOBS_PARTITIONS))
}

fn page_item(job: &Job, page: &ResultsPage, now: Timestamp) -> PageItem {
    PageItem {
        pk: Partition::Job.of(job.id),
        sk: page_sort_key(job.pages),
        ready: joined(&page.ready),
        errors: joined(&page.errors),
        ttl: now.plus_days(PAGE_DAYS).unix_seconds_rounded_up(),
    }
}

/// The open job in an image of a stream's record; `None` if it is of another item, or has ended.
pub fn open_job_of_image(image: &Value) -> Option<JobId> {
    let text = |name: &str| image.get(name)?.get("S")?.as_str();
    let is_open =
        [Status::Pending, Status::Processing].iter().any(|open| text("status") == Some(open.as_str()));
    let id = JobId::parse(text("id")?)?;
    let is_own = text("pk")? == Partition::Job.of(id) && text("sk")? == SORT_KEY;
    (is_open && is_own).then_some(id)
}
