//! Ids: a prefix that names the kind of resource, and a ULID (<https://github.com/ulid/spec>).
//!
//! They sort by the millisecond of their creation. To clients they are opaque.

use std::fmt;

use rand::Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use ulid::Ulid;

use crate::values::clock::Timestamp;

/// An id of one kind of resource.
pub trait Id: Copy + fmt::Display + Into<AnyId> {
    /// The kind's name in the API: of the path parameter, and of a field with such an id.
    const NAME: &'static str;

    /// Reads an id in the one form it is written in; `None` for anything else.
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! ids {
    ($($kind:ident: $name:ident, $prefix:literal, $parameter:literal, $what:literal;)*) => {
        $(
            #[doc = concat!("The id of ", $what, ": `", $prefix, "` and a ULID.")]
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(Ulid);

            impl $name {
                /// A new id, created at `now`; the other 80 bits are random.
                pub fn generate(now: Timestamp, rng: &mut impl Rng) -> Self {
                    let random = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
                    Self(Ulid::from_parts(now.unix_milliseconds(), random))
                }

                /// Reads an id in the one form it is written in; `None` for anything else.
                pub fn parse(text: &str) -> Option<Self> {
                    let id = Self(text.strip_prefix($prefix)?.parse().ok()?);
                    // The ULID parser also takes lower case and look-alikes: those would be second names.
                    (id.to_string() == text).then_some(id)
                }

                /// A number below `n`, chosen by the id's random part: the same for the same id, and any as likely as another.
                pub fn spread(self, n: u8) -> u8 {
                    u8::try_from(self.0.random() % u128::from(n.max(1))).unwrap_or(0)
                }
            }

            impl Id for $name {
                const NAME: &'static str = $parameter;

                fn parse(text: &str) -> Option<Self> {
                    Self::parse(text)
                }
            }

            impl From<$name> for AnyId {
                fn from(id: $name) -> Self {
                    Self::$kind(id)
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, concat!($prefix, "{}"), self.0)
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(self, f)
                }
            }

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let text = String::deserialize(deserializer)?;
                    Self::parse(&text).ok_or_else(|| de::Error::custom(concat!("not the id of ", $what)))
                }
            }
        )*

        /// An id of any kind. Its prefix says which.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum AnyId {
            $(
                #[doc = concat!("Of ", $what, ".")]
                $kind($name),
            )*
        }

        impl AnyId {
            /// The names of all kinds, [`Id::NAME`].
            pub const NAMES: &[&str] = &[$($parameter),*];

            /// Reads an id of any kind; `None` for anything else.
            pub fn parse(text: &str) -> Option<Self> {
                None$(.or_else(|| $name::parse(text).map(Self::$kind)))*
            }

            /// The kind's name in the API, [`Id::NAME`].
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $name::NAME,)*
                }
            }
        }

        impl fmt::Display for AnyId {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$kind(id) => id.fmt(f),)*
                }
            }
        }
    };
}

ids! {
    Account: AccountId, "acc_", "accountId", "an account";
    ApiKey: ApiKeyId, "key_", "keyId", "an API key";
    Dock: DockId, "dock_", "dockId", "a dock";
    Recipient: RecipientId, "rcp_", "recipientId", "a recipient";
    Secret: SecretId, "sec_", "secretId", "a secret";
    Policy: PolicyId, "pol_", "policyId", "a policy";
    Group: GroupId, "grp_", "groupId", "a group";
    Certificate: CertificateId, "crt_", "certificateId", "a certificate";
    Artifact: ArtifactId, "art_", "artifactId", "an artifact";
    ArtifactBatch: ArtifactBatchId, "batch_", "batchId", "a batch of artifacts";
    Job: JobId, "job_", "jobId", "a retrieval job";
    Token: TokenId, "tok_", "tokenId", "an access token";
    AuditEntry: AuditEntryId, "aud_", "entryId", "an entry of the audit trail";
}

impl ArtifactId {
    /// The lowest id.
    pub const MIN: Self = Self(Ulid(0));
    /// The highest id.
    pub const MAX: Self = Self(Ulid(u128::MAX));
}

impl AuditEntryId {
    /// The lowest id.
    pub const MIN: Self = Self(Ulid(0));
    /// The highest id.
    pub const MAX: Self = Self(Ulid(u128::MAX));

    /// The lowest id of the millisecond `time`.
    pub fn first_of(time: Timestamp) -> Self {
        Self(Ulid::from_parts(time.unix_milliseconds(), 0))
    }

    /// Whether it was created in the millisecond `time`.
    pub fn is_of(self, time: Timestamp) -> bool {
        self.0.timestamp_ms() == time.unix_milliseconds()
    }

    /// The id before this one in their order; `None` for the lowest.
    pub fn before(self) -> Option<Self> {
        self.0.0.checked_sub(1).map(|id| Self(Ulid(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn only_the_canonical_form_is_an_id() {
        let id = "dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";
        assert_eq!(DockId::parse(id).unwrap().to_string(), id);
        for other in [
            "",
            "dock_",
            "rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0",
            "01HQ3K5V7X9ZBDFHKMPRTVXYZ0",
            "dock_01hq3k5v7x9zbdfhkmprtvxyz0",
            "dock_OIHQ3K5V7X9ZBDFHKMPRTVXYZ0",
            "dock_81HQ3K5V7X9ZBDFHKMPRTVXYZ0",
            "dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ",
            "dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ00",
            "dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0 ",
            "dock_dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0",
        ] {
            assert!(DockId::parse(other).is_none(), "{other:?} was taken for an id");
        }
    }

    #[test]
    fn an_id_of_any_kind_tells_its_kind() {
        let id = AnyId::parse("rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0").unwrap();
        assert_eq!((id.name(), id.to_string().as_str()), ("recipientId", "rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0"));
        assert_eq!(AnyId::parse("moon_01HQ3K5V7X9ZBDFHKMPRTVXYZ0"), None);
    }

    #[test]
    fn a_later_id_sorts_behind_an_earlier_one() {
        let mut rng = StdRng::seed_from_u64(7);
        let earlier = Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap();
        let later = Timestamp::parse("2025-01-15T10:32:00.001Z").unwrap();
        let (a, b) = (SecretId::generate(earlier, &mut rng), SecretId::generate(later, &mut rng));
        assert!(a < b && a.to_string() < b.to_string());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "(dock_)?\\PC{0,30}") {
            let _ = DockId::parse(&text);
        }

        #[test]
        fn what_is_accepted_is_the_id_itself(text in "dock_[0-9A-HJKMNP-TV-Zadilou]{26}") {
            if let Some(id) = DockId::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn what_is_generated_is_read_back(seed: u64, seconds in 0i64..200_000_000_000) {
            let now = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap().into();
            let id = RecipientId::generate(now, &mut StdRng::seed_from_u64(seed));
            prop_assert_eq!(RecipientId::parse(&id.to_string()), Some(id));
        }
    }
}
