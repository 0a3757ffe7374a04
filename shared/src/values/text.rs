//! Short texts that people read: the name of a recipient, a dock or a key, the label of a secret, a dock's details.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// The longest text, in characters (Unicode scalar values).
pub const MAX_CHARS: usize = 200;

/// A text of 1 to 200 characters in any script, without control characters and without white space around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Text(String);

impl Text {
    /// Trims white space and checks the rest. The error says what the text must be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > MAX_CHARS {
            Err("must have 1 to 200 characters, not counting white space around it")
        } else if text.chars().any(char::is_control) {
            Err("must not contain control characters such as line breaks or tabs")
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_trimmed_and_otherwise_kept_as_given() {
        assert_eq!(Text::parse("\t Deloitte — Мария 🔑  x \n").unwrap().as_str(), "Deloitte — Мария 🔑  x");
    }

    #[test]
    fn has_1_to_200_characters_however_many_bytes() {
        assert!(Text::parse("x").is_ok());
        assert!(Text::parse(&"🔑".repeat(200)).is_ok());
        assert!(Text::parse(&"x".repeat(201)).is_err());
        assert!(Text::parse("").is_err());
        assert!(Text::parse(" \u{2003}\n").is_err());
    }

    #[test]
    fn has_no_control_characters() {
        for text in ["a\nb", "a\tb", "a\0b", "a\u{7f}b", "a\u{85}b"] {
            assert!(Text::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_accepted_again_unchanged(text in any::<String>()) {
            if let Ok(name) = Text::parse(&text) {
                prop_assert_eq!(name.as_str(), text.trim());
                prop_assert_eq!(Text::parse(name.as_str()).unwrap(), name);
            }
        }
    }
}
