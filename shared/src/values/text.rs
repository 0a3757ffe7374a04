//! Texts that people read: the name of a recipient, a dock or a key, the label of a secret, a dock's details, a
//! description.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest text, in characters (Unicode scalar values).
pub const MAX_CHARS: usize = 200;

/// A text of 1 to 200 characters in any script, at least one of them visible, without white space around it. [`check`]
/// lists what it may not contain.
///
/// A stored text is shown as it is: it kept the rules of the day it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text(String);

impl Text {
    /// Trims white space and checks the rest. The error says what the text must be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let length = "must have 1 to 200 characters, not counting white space around it";
        check(text, MAX_CHARS, length).map(|text| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The longest long text, in characters.
pub const MAX_LONG_CHARS: usize = 500;

/// A text as [`Text`] is one, of 1 to 500 characters: a description, a remark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongText(String);

impl LongText {
    /// Trims white space and checks the rest. The error says what the text must be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let length = "must have 1 to 500 characters, not counting white space around it";
        check(text, MAX_LONG_CHARS, length).map(|text| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns `text` without the white space around it, if it has 1 to `max` characters, at least one of them visible, and
/// none that makes a text look like another one: no control character, no line or paragraph separator, no
/// bidirectional embedding, override or isolate ([UAX #9]). Joiners are kept, since words of several scripts need them.
///
/// # Errors
/// What the text must be; `length` if it is empty or too long.
///
/// [UAX #9]: https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
pub fn check<'a>(text: &'a str, max: usize, length: &'static str) -> Result<&'a str, &'static str> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > max {
        Err(length)
    } else if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        Err("must not contain control characters such as line breaks or tabs")
    } else if text.chars().any(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')) {
        Err(
            "must not contain characters that override the direction of text (U+202A to U+202E, U+2066 to U+2069)",
        )
    } else if text.chars().all(is_invisible) {
        Err("must have at least one visible character")
    } else {
        Ok(text)
    }
}

/// Whether a character alone shows nothing: white space, the code points that Unicode calls default ignorable
/// ([`DerivedCoreProperties.txt`]), interlinear annotation marks, noncharacters, the blank braille pattern, and the musical
/// symbol null notehead.
///
/// [`DerivedCoreProperties.txt`]: https://www.unicode.org/Public/16.0.0/ucd/DerivedCoreProperties.txt
pub(super) fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}' | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
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

    #[test]
    fn shows_something() {
        for text in ["\u{200b}", "\u{200d}\u{2060}", "\u{ad} \u{feff}", "\u{3164}", "\u{2800}", "\u{e0041}"] {
            assert_eq!(
                Text::parse(text).unwrap_err(),
                "must have at least one visible character",
                "{text:?}"
            );
        }
        for text in
            ["\u{645}\u{200c}\u{645}", "\u{1f469}\u{200d}\u{1f4bb}", "\u{200f}\u{5d0}", "\u{2764}\u{fe0f}"]
        {
            assert_eq!(Text::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn has_nothing_that_makes_it_look_like_another() {
        for separator in ["a\u{2028}b", "a\u{2029}b"] {
            assert!(Text::parse(separator).unwrap_err().contains("control characters"), "{separator:?}");
        }
        for direction in ["a\u{202a}b", "a\u{202e}b", "a\u{2066}b", "a\u{2069}b"] {
            assert!(Text::parse(direction).unwrap_err().contains("direction"), "{direction:?}");
        }
    }

    #[test]
    fn a_stored_text_is_shown_as_it_is() {
        let stored: Text = serde_json::from_str("\"\u{200b}\"").unwrap();
        assert_eq!(stored.as_str(), "\u{200b}");
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
