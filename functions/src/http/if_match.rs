//! The `If-Match` header (RFC 9110 §13.1.1): a client changes or deletes only the state that it knows.

use super::error::Error;

/// The states of a resource that a request may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// Any: there is no such header, or it is `*`.
    Any,
    /// This version.
    Version(u64),
    /// None: the header has a weak tag, or one that this API never gave.
    None,
}

impl IfMatch {
    /// Reads the header's value, one entity tag or `*`.
    ///
    /// # Errors
    /// What it must be.
    pub(super) fn parse(value: &str) -> Result<Self, &'static str> {
        let value = value.trim();
        if value == "*" {
            return Ok(Self::Any);
        }
        let tag = value.strip_prefix("W/").unwrap_or(value);
        let quoted = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        let quoted = quoted.filter(|tag| tag.bytes().all(|b| b > b' ' && b != b'"' && b != 0x7f));
        let Some(quoted) = quoted else {
            return Err("must be one entity tag as an ETag header gave it, quotes included, or *");
        };
        let version = quoted.parse().ok().filter(|version| entity_tag(*version) == value);
        Ok(version.map_or(Self::None, Self::Version))
    }

    /// Says whether the version of a resource may be changed.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] if it may not.
    pub fn check(self, version: u64) -> Result<(), Error> {
        match self {
            Self::Any => Ok(()),
            Self::Version(expected) if expected == version => Ok(()),
            Self::Version(_) | Self::None => Err(Error::PreconditionFailed),
        }
    }
}

/// The entity tag of a version, which is strong: a version has one representation.
pub(super) fn entity_tag(version: u64) -> String {
    format!("\"{version}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_one_strong_tag_or_a_star() {
        assert_eq!(IfMatch::parse(" * "), Ok(IfMatch::Any));
        assert_eq!(IfMatch::parse("\"7\""), Ok(IfMatch::Version(7)));
        for other in ["W/\"7\"", "\"07\"", "\"+7\"", "\"x\"", "\"\"", "\"7,8\""] {
            assert_eq!(IfMatch::parse(other), Ok(IfMatch::None), "{other}");
        }
        for malformed in ["", "7", "\"7", "7\"", "\"7\",\"8\"", "\"7\", \"8\"", "*,*", "\"a b\"", "w/\"7\""] {
            assert!(IfMatch::parse(malformed).is_err(), "{malformed}");
        }
    }

    #[test]
    fn admits_the_version_that_it_names() {
        assert!(IfMatch::Any.check(3).is_ok());
        assert!(IfMatch::Version(3).check(3).is_ok());
        for refused in [IfMatch::Version(2), IfMatch::None] {
            assert!(matches!(refused.check(3), Err(Error::PreconditionFailed)));
        }
    }

    proptest! {
        #[test]
        fn a_tag_comes_back_and_parsing_never_panics(version: u64, text in any::<String>()) {
            prop_assert_eq!(IfMatch::parse(&entity_tag(version)), Ok(IfMatch::Version(version)));
            let _ = IfMatch::parse(&text);
        }
    }
}
