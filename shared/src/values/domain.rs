//! Domain names: those of hosts, as DNS has them.

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const MAX_BYTES: usize = 253;

/// A domain name in lower case, of at least two labels, of which the last begins with a letter (RFC 1123 §2.1); one beyond ASCII is in its ASCII form (RFC 5891).
///
/// A stored name is shown as it is: it kept the rules of the day it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain(String);

impl Domain {
    /// Trims white space, lower-cases ASCII letters, and checks the rest. The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let name = text.trim().to_ascii_lowercase();
        // As that of every top-level domain; so an IP address is none.
        let ends_well =
            name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_alphabetic()));
        if name.len() <= MAX_BYTES && is_domain(&name) && ends_well {
            Ok(Self(name))
        } else if !name.is_ascii() {
            Err("must be in ASCII, such as xn--bcher-kva.example for bücher.example")
        } else {
            Err("must be a domain name, such as firstnational.example, without https:// and without a path")
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether labels of 1 to 63 letters, digits and inner hyphens are separated by dots, at least one.
pub(super) fn is_domain(name: &str) -> bool {
    name.contains('.')
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_trimmed_and_lower_cased() {
        assert_eq!(Domain::parse(" First-National.Example\n").unwrap().0, "first-national.example");
    }

    #[test]
    fn refuses_what_is_no_domain_name() {
        for name in [
            "",
            "example",
            "https://a.example",
            "a.example/",
            "a.example:443",
            "a..example",
            ".a.example",
            "a.example.",
            "-a.example",
            "a-.example",
            "a_b.example",
            "a b.example",
            "a@b.example",
            "192.0.2.1",
            "a.1b",
            "bücher.example",
            &format!("{}.example", "a".repeat(64)),
            &format!("{0}.{0}.{0}.{1}.x", "a".repeat(63), "a".repeat(60)),
        ] {
            assert!(Domain::parse(name).is_err(), "{name:?} was taken for a domain");
        }
        let longest = format!("{0}.{0}.{0}.{1}.x", "a".repeat(63), "a".repeat(59));
        assert_eq!(longest.len(), MAX_BYTES);
        assert!(Domain::parse(&longest).is_ok());
    }

    #[test]
    fn an_error_says_what_to_send() {
        assert!(Domain::parse("bücher.example").unwrap_err().contains("xn--"));
        assert!(Domain::parse("https://a.example/").unwrap_err().contains("without https://"));
    }

    #[test]
    fn a_stored_name_is_shown_as_it_is() {
        let stored: Domain = serde_json::from_str("\"First National\"").unwrap();
        assert_eq!(serde_json::to_string(&stored).unwrap(), "\"First National\"");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = Domain::parse(&text);
        }
    }
}
