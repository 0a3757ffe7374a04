//! What goes behind a recipient when it is deleted: its certificates, its memberships and its secrets. Its tokens open
//! nothing without it, and end by themselves.

use serde::Deserialize;

use super::certificates::{RECORDS_END, TRUSTED_PREFIX};
use super::recipients::{self, POINTER_SORT_KEY};
use super::{Error, Store, groups};
use crate::values::id::{GroupId, RecipientId};

/// The sort keys between which everything of a recipient lies.
const BELONGINGS_FROM: &str = TRUSTED_PREFIX;
const BELONGINGS_TO: &str = RECORDS_END;

#[derive(Deserialize)]
struct Belonging {
    sk: String,
    /// Of a membership.
    group: Option<GroupId>,
}

impl Store {
    /// Deletes all secrets of a recipient that is deleted, active and retired, all its certificates and all its memberships.
    pub(super) async fn delete_belongings(&self, recipient: RecipientId) -> Result<(), Error> {
        let pk = recipients::partition(recipient);
        let items: Vec<Belonging> = self.query(pk.clone(), BELONGINGS_FROM, BELONGINGS_TO).await?;
        let mut keys = Vec::new();
        for Belonging { sk, group } in items.into_iter().filter(|item| item.sk != POINTER_SORT_KEY) {
            keys.extend(group.map(|group| groups::member_key(group, recipient)));
            keys.push(Self::key(pk.clone(), sk));
        }
        self.delete_all(keys).await
    }
}
