//! Many items at once, past the API: tables of a size that no test could make request by request.

use docyard_core::values::clock::Clock;
use docyard_core::values::digest::Digest;
use docyard_core::values::id::{DockId, RecipientId, SecretId};
use docyard_core::values::random;
use dynoxide::AttributeValue;

use crate::account::Account;

/// The value of the secrets of imported recipients.
pub const IMPORTED_SECRET: &str = "dk_sec_0123456789abcdef0123456789abcdef";

/// An item whose attributes are all strings.
pub fn item<const N: usize>(attributes: [(&str, String); N]) -> dynoxide::Item {
    attributes.into_iter().map(|(name, text)| (name.to_owned(), AttributeValue::S(text))).collect()
}

impl Account {
    /// Puts many recipients into the dock, past the API, each with one secret, whose value is [`IMPORTED_SECRET`]; their
    /// ids and those of their secrets.
    pub async fn import_recipients(&self, count: usize) -> Vec<(String, String)> {
        let dock = self.table.store.dock(DockId::parse(&self.dock).unwrap()).await.unwrap().unwrap();
        let (dock, account) = (dock.id.to_string(), dock.account.to_string());
        let digest = Digest::of(IMPORTED_SECRET).expose_hex();
        let now = Clock::system().now();
        let rng = &mut random::system();
        let mut ids = Vec::new();
        let mut items = Vec::new();
        for n in 0..count {
            let email = format!("p{n:07}@example.com");
            let recipient = RecipientId::generate(now, rng).to_string();
            let secret = SecretId::generate(now, rng).to_string();
            let partition = format!("RECIPIENT#{recipient}");
            items.push(item([
                ("pk", format!("DOCK#{dock}")),
                ("sk", format!("RECIPIENT#{email}")),
                ("id", recipient.clone()),
                ("dock", dock.clone()),
                ("account", account.clone()),
                ("name", "A recipient".to_owned()),
                ("email", email.clone()),
                ("createdAt", now.to_string()),
            ]));
            let recipient_item = items.last_mut().unwrap();
            recipient_item.insert("identifiers".to_owned(), AttributeValue::M(Default::default()));
            recipient_item.insert("version".to_owned(), AttributeValue::N("0".to_owned()));
            items.push(item([
                ("pk", partition.clone()),
                ("sk", "RECIPIENT".to_owned()),
                ("dock", dock.clone()),
                ("account", account.clone()),
                ("email", email),
            ]));
            items.push(item([
                ("pk", partition),
                ("sk", format!("SECRET#{secret}")),
                ("id", secret.clone()),
                ("recipient", recipient.clone()),
                ("name", "A secret".to_owned()),
                ("digest", digest.clone()),
                ("createdAt", now.to_string()),
            ]));
            ids.push((recipient, secret));
            if items.len() >= 30_000 {
                self.table.import(std::mem::take(&mut items));
            }
        }
        self.table.import(items);
        ids
    }
}
