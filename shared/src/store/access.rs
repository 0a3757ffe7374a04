//! What a decision reads: a recipient with all that is active of it, and the policies in force for its class.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::certificates::{TRUSTED_PREFIX, TrustedItem};
use super::recipients::{self, POINTER_SORT_KEY, RecipientPointer};
use super::retry::{MAX_ATTEMPTS, back_off};
use super::secrets::{ACTIVE_END, active_secret};
use super::{Error, Store, at_once, from_item, kind};
use crate::model::access::Subject;
use crate::model::certificate::TrustedCertificate;
use crate::model::owned::Owned;
use crate::model::policy::EnforcedPolicy;
use crate::model::recipient::{Recipient, StakeholderClass};
use crate::model::secret::ActiveSecret;
use crate::values::clock::Timestamp;
use crate::values::id::{AccountId, DockId, GroupId, RecipientId};

/// What is read of a membership.
#[derive(Deserialize)]
struct Membership {
    group: GroupId,
}

/// What is active of a recipient.
#[derive(Clone, Default)]
pub struct ActiveItems {
    /// The groups that it is in. Some may no longer exist.
    pub groups: BTreeSet<GroupId>,
    /// Its active secrets. Some may have expired.
    pub secrets: Vec<ActiveSecret>,
    /// Its certificates that were not revoked. Some may have expired, or have not begun.
    pub certificates: Vec<TrustedCertificate>,
}

impl ActiveItems {
    /// What is known of the recipient at `now`, if it is in these groups.
    pub fn subject(&self, recipient: Recipient, groups: BTreeSet<GroupId>, now: Timestamp) -> Subject {
        let has_secret = self.secrets.iter().any(|secret| !secret.is_expired(now));
        let has_certificate = self.certificates.iter().any(|certificate| certificate.is_valid(now));
        Subject { recipient, groups, has_secret, has_certificate }
    }
}

/// Where a recipient is, and what is active of it.
#[derive(Clone)]
pub struct ActiveRecipient {
    /// Where it is.
    pub pointer: RecipientPointer,
    /// What is active of it.
    pub items: ActiveItems,
}

impl Owned for ActiveRecipient {
    fn owner(&self) -> AccountId {
        self.pointer.account
    }
}

impl Store {
    /// Returns where the recipient of this id is, and what is active of it; one Query.
    pub async fn active_recipient(&self, id: RecipientId) -> Result<Option<ActiveRecipient>, Error> {
        let mut items = ActiveItems::default();
        let mut pointer = None;
        let pk = recipients::partition(id);
        for item in self.query_items(pk, TRUSTED_PREFIX, ACTIVE_END).await? {
            match kind(&item) {
                "CERTIFICATE" => items.certificates.push(from_item::<TrustedItem>(item)?.into()),
                "GROUP" => drop(items.groups.insert(from_item::<Membership>(item)?.group)),
                POINTER_SORT_KEY => pointer = Some(from_item(item)?),
                _ => items.secrets.push(active_secret(from_item(item)?)?),
            }
        }
        Ok(pointer.map(|pointer| ActiveRecipient { pointer, items }))
    }

    /// Returns what is known at `now` of the recipient whose active items were read, and the policies in force for its
    /// class; one round trip, and more where its email or its class moves meanwhile. `None` if it no longer exists.
    pub async fn subject(
        &self,
        id: RecipientId,
        mut active: ActiveRecipient,
        now: Timestamp,
    ) -> Result<Option<(Subject, Vec<EnforcedPolicy>)>, Error> {
        for attempt in 1..=MAX_ATTEMPTS {
            let ActiveRecipient { pointer, items } = active;
            let (dock, class) = (pointer.dock, pointer.stakeholder_class);
            let (recipient, mut policies, groups) = tokio::try_join!(
                self.recipient_at(id, &pointer),
                self.policies_for(dock, class),
                self.existing_groups(dock, &items.groups),
            )?;
            if let Some(recipient) = recipient {
                if recipient.stakeholder_class != class {
                    policies = self.policies_for(dock, recipient.stakeholder_class).await?;
                }
                let policies = policies.into_iter().map(|policy| policy.at(now)).collect();
                return Ok(Some((items.subject(recipient, groups, now), policies)));
            }
            // The first time the pointer is merely out of date.
            if attempt > 1 {
                back_off(attempt).await;
            }
            active = match self.active_recipient(id).await? {
                Some(active) => active,
                None => return Ok(None),
            };
        }
        Err(Error::unavailable("recipient: its email keeps changing"))
    }

    async fn policies_for(
        &self,
        dock: DockId,
        class: Option<StakeholderClass>,
    ) -> Result<Vec<EnforcedPolicy>, Error> {
        match class {
            Some(class) => self.enforced_policies(dock, class).await,
            None => Ok(Vec::new()),
        }
    }

    /// Returns what is known at `now` of these recipients, if of all groups there are only these; a Query for each, many
    /// at once.
    pub async fn subjects(
        &self,
        recipients: Vec<Recipient>,
        groups: &BTreeSet<GroupId>,
        now: Timestamp,
    ) -> Result<Vec<Subject>, Error> {
        let read = recipients.into_iter().map(async |recipient| -> Result<_, Error> {
            let active = self.active_recipient(recipient.id).await?;
            Ok(active.map(|ActiveRecipient { items, .. }| {
                let groups = items.groups.intersection(groups).copied().collect();
                items.subject(recipient, groups, now)
            }))
        });
        Ok(at_once(read).await?.into_iter().flatten().collect())
    }
}
