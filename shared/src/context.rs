//! What a handler works with: the store, the deployment's mode, the time, and what is known of the request.

use crate::model::api_key::Mode;
use crate::model::audit::{Author, Entry, Event, Origin};
use crate::model::submission::SubmissionKey;
use crate::request_record::RequestRecord;
use crate::store::{Error, Fault, Objects, Store};
use crate::values::clock::{Clock, Timestamp};
use crate::values::id::{AccountId, ApiKeyId, RecipientId};

/// What a handler works with. Cloning it is cheap.
#[derive(Clone)]
pub struct Context {
    /// The table.
    pub store: Store,
    /// The mode whose API keys this deployment accepts.
    pub mode: Mode,
    /// Where the time comes from.
    pub clock: Clock,
    /// What the log will say of the request.
    pub record: RequestRecord,
    /// The key of the digests of submitted identifiers, where the endpoint needs it.
    pub submission_key: Option<SubmissionKey>,
    /// The host, with its port, that is reached without TLS: that of a server on a laptop.
    pub plain_authority: Option<String>,
    objects: Option<Objects>,
    /// Where the request comes from.
    origin: Origin,
}

/// Whose API key a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// The id of the key.
    pub key: ApiKeyId,
    /// When the key ends, if it does.
    pub key_expires_at: Option<Timestamp>,
}

impl Context {
    /// A context for all requests; [`Context::for_request`] makes one for each.
    pub fn new(store: Store, mode: Mode, clock: Clock) -> Self {
        let record = RequestRecord::default();
        Self {
            store,
            mode,
            clock,
            record,
            submission_key: None,
            plain_authority: None,
            objects: None,
            origin: Origin::default(),
        }
    }

    /// The same context with a submission key.
    pub fn with_submission_key(self, submission_key: SubmissionKey) -> Self {
        Self { submission_key: Some(submission_key), ..self }
    }

    /// The same context for a host that is reached without TLS, if it is.
    pub fn with_plain_authority(self, plain_authority: Option<String>) -> Self {
        Self { plain_authority, ..self }
    }

    /// The same context with the contents of artifacts.
    pub fn with_objects(self, objects: Objects) -> Self {
        Self { objects: Some(objects), ..self }
    }

    /// The same context with an empty record, for one request from `origin`.
    pub fn for_request(&self, origin: Origin) -> Self {
        let record = RequestRecord::default();
        let objects = self.objects.as_ref().map(|objects| objects.recording_to(record.clone()));
        Self { store: self.store.recording_to(record.clone()), objects, record, origin, ..self.clone() }
    }

    /// The contents of artifacts.
    ///
    /// # Errors
    /// [`Error::Internal`] if the function needs none, by its endpoint.
    pub fn objects(&self) -> Result<&Objects, Error> {
        self.objects.as_ref().ok_or_else(|| Error::Internal(Fault::new("no bucket")))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The audit entry on an event that this request brings about: `caller` did it, from the request's origin, now. Each
    /// attempt makes its own, so that the times of a resource's entries are in the order of its changes.
    pub fn entry(&self, caller: Caller, event: Event) -> Entry {
        event.by(&Author::api_key(caller.account, caller.key, self.origin.clone()), self.now())
    }

    /// The audit entry on an event that this request brings about: a recipient of the account, which proved itself, did
    /// it.
    pub fn entry_of_recipient(&self, account: AccountId, recipient: RecipientId, event: Event) -> Entry {
        event.by(&Author::recipient(account, recipient, self.origin.clone()), self.now())
    }
}
