//! The identifiers by which a kind of party is known: `lender_id`, `policy_number`, `badge_id`, …
//!
//! Any key is allowed, since each industry has its own. Three keys have a rule for their value.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::{Date, Month};

use crate::values::content_hash::ContentHash;
use crate::values::field_error::{ValueErrors, shown};
use crate::values::json::Json;
use crate::values::text;

/// The most identifiers of one recipient.
pub const MAX_ENTRIES: usize = 50;
/// The longest key, in characters.
pub const MAX_KEY_CHARS: usize = 64;
/// The longest value, in characters.
pub const MAX_VALUE_CHARS: usize = 512;

/// A recipient's identifiers, each value in the form that its key's rule demands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifiers(BTreeMap<String, String>);

/// The value of a submitted identifier that does not count: no identifier has it, so it equals none.
pub(super) const VOID: &str = "";

/// A merge patch of identifiers, as the API's document describes it; [`Identifiers::merged`] reads it.
#[cfg(feature = "openapi")]
pub enum IdentifierChanges {}

impl Identifiers {
    /// The keys and their values, by key.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Reads an object of strings. `latest` is the latest date of birth.
    ///
    /// # Errors
    /// Every entry that breaks a rule, at its key.
    pub fn parse(json: Json, latest: Date) -> Result<Self, ValueErrors> {
        parsed(json, MAX_ENTRIES, latest).map(Self)
    }

    /// Reads a merge patch of these identifiers (RFC 7396), and returns them with its changes: a string sets its key,
    /// `null` removes it. `latest` is the latest date of birth.
    ///
    /// # Errors
    /// Every entry that breaks a rule, at its key.
    pub fn merged(&self, patch: Json, latest: Date) -> Result<Self, ValueErrors> {
        merged(&self.0, patch, MAX_ENTRIES, latest).map(Self)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The same keys with values that match nothing, for a submission that does not count.
    pub fn voided(&self) -> Self {
        Self(self.0.keys().map(|key| (key.clone(), VOID.to_owned())).collect())
    }

    /// The same keys but for those that are `stored`, each with a value that says nothing: as if all were right that was
    /// submitted.
    pub(super) fn assumed_right(&self, stored: &Self) -> Self {
        let claimed = self.0.keys().filter(|key| stored.get(key).is_none() && *key != "email");
        Self(claimed.map(|key| (key.clone(), "right".to_owned())).collect())
    }

    /// The entries, by key.
    pub fn entries(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

/// Reads an object of at most `max` strings, whose keys and values are those of identifiers. `latest` is the latest date of
/// birth.
///
/// # Errors
/// Every entry that breaks a rule, at its key.
pub(super) fn parsed(json: Json, max: usize, latest: Date) -> Result<BTreeMap<String, String>, ValueErrors> {
    edited(&BTreeMap::new(), json, max, |key, json| entry(key, json, latest).map(Some))
}

/// Reads a merge patch of such an object (RFC 7396), and returns it with its changes: a string sets its key, `null` removes
/// it.
///
/// # Errors
/// As [`parsed`].
pub(super) fn merged(
    current: &BTreeMap<String, String>,
    patch: Json,
    max: usize,
    latest: Date,
) -> Result<BTreeMap<String, String>, ValueErrors> {
    edited(current, patch, max, |key, json| match json {
        Json::Null => Ok(None),
        // As GET returned it, whatever rule held when it was stored.
        Json::String(value) if current.get(key) == Some(&value) => Ok(Some(value)),
        json => entry(key, json, latest).map(Some),
    })
}

/// These entries, with each entry of an object set to what `read` makes of it, or removed.
fn edited(
    current: &BTreeMap<String, String>,
    json: Json,
    max: usize,
    read: impl Fn(&str, Json) -> Result<Option<String>, &'static str>,
) -> Result<BTreeMap<String, String>, ValueErrors> {
    let Json::Object(given) = json else { return Err("must be an object of strings".into()) };
    let mut errors = ValueErrors::default();
    let mut entries = current.clone();
    let mut keys = BTreeSet::new();
    for (key, json) in given {
        if !keys.insert(key.clone()) {
            errors.push_at(&shown(&key), "is given more than once");
            continue;
        }
        match read(&key, json) {
            Ok(Some(value)) => drop(entries.insert(key, value)),
            Ok(None) => drop(entries.remove(&key)),
            Err(message) => errors.push_at(&shown(&key), message),
        }
    }
    if entries.len() > max {
        errors.push(&format!("must have at most {max} entries"));
    }
    if errors.is_empty() { Ok(entries) } else { Err(errors) }
}

/// Whether a text can be the key of an identifier: 1 to 64 of `A-Z`, `a-z`, `0-9`, `_` and `-`, starting with a letter.
pub fn is_key(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.len() <= MAX_KEY_CHARS
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Whether two values of a key mean the same: they have the same [`normal_form`].
pub(super) fn is_same(key: &str, a: &str, b: &str) -> bool {
    normal_form(key, a).is_some_and(|a| normal_form(key, b) == Some(a))
}

/// What all values of a key that mean the same have in common: the digits of a phone number, an email in lower case, the date
/// or the digest that the text is; of anything else the text itself. White space around it does not count. `None` for a
/// value that means nothing, and so is the same as none.
pub fn normal_form(key: &str, value: &str) -> Option<String> {
    let value = value.trim();
    match key {
        "email" => Some(value.to_ascii_lowercase()),
        "phone" => {
            Some(value.chars().filter(char::is_ascii_digit).collect::<String>()).filter(|it| !it.is_empty())
        }
        "date_of_birth" => calendar_date(value).map(|_| value.to_owned()),
        "nda_hash" => nda_hash(value).ok(),
        _ => Some(value.to_owned()),
    }
}

fn entry(key: &str, json: Json, latest: Date) -> Result<String, &'static str> {
    if !is_key(key) {
        return Err("has a key that is not 1 to 64 of A-Z, a-z, 0-9, _ and -, starting with a letter");
    }
    let Json::String(value) = json else { return Err("must be a string") };
    let length = "must have 1 to 512 characters, not counting white space around it";
    let value = text::check(&value, MAX_VALUE_CHARS, length)?;
    match key {
        "nda_hash" => nda_hash(value),
        "date_of_birth" => date_of_birth(value, latest),
        "phone" => phone(value),
        _ => Ok(value.to_owned()),
    }
}

/// `sha256:` and 64 hex digits, or the digits alone; stored with the prefix, in lower case.
fn nda_hash(value: &str) -> Result<String, &'static str> {
    const RULE: &str = "must be the 64 hex digits that sha256sum prints for the signed NDA, with or without sha256: before them";
    ContentHash::parse(value).map(|hash| hash.to_string()).map_err(|_| RULE)
}

/// The first year of a date of birth: an earlier one is a mistake.
pub const MIN_YEAR_OF_BIRTH: i32 = 1850;

/// A real calendar date from 1850 to the latest one.
fn date_of_birth(value: &str, latest: Date) -> Result<String, &'static str> {
    match calendar_date(value) {
        None => Err("must be a calendar date as YYYY-MM-DD"),
        Some(date) if date > latest => Err("must not be in the future"),
        Some(date) if date.year() < MIN_YEAR_OF_BIRTH => Err("must be in 1850 or later"),
        Some(_) => Ok(value.to_owned()),
    }
}

fn calendar_date(text: &str) -> Option<Date> {
    let is_shaped = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    if !is_shaped {
        return None;
    }
    let month = Month::try_from(text.get(5..7)?.parse::<u8>().ok()?).ok()?;
    let year = text.get(..4)?.parse().ok().filter(|year| *year > 0)?;
    Date::from_calendar_date(year, month, text.get(8..)?.parse().ok()?).ok()
}

/// The most characters between the digits of a phone number.
const MAX_SEPARATORS: usize = 10;

/// `+`, then 7 to 15 digits of which the first is not 0 (E.164), with at most ten spaces, `-`, `.` and balanced `(` `)`
/// between them; stored as given.
fn phone(value: &str) -> Result<String, &'static str> {
    const RULE: &str = "must be + and 7 to 15 digits, such as +1-860-555-0147, with at most 10 separators";
    let number = value.strip_prefix('+').ok_or(RULE)?;
    if number.bytes().any(|b| b.is_ascii_alphabetic() || b"#,;".contains(&b)) {
        return Err(
            "must be a number without an extension; give that under a key of its own, such as phone_extension",
        );
    }
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let is_phone = (7..=15).contains(&digits)
        && number.len() - digits <= MAX_SEPARATORS
        && number.starts_with(|c: char| ('1'..='9').contains(&c))
        && number.ends_with(|c: char| c.is_ascii_digit())
        && number.bytes().all(|b| b.is_ascii_digit() || b" -.()".contains(&b))
        && has_balanced_parentheses(number);
    if is_phone { Ok(value.to_owned()) } else { Err(RULE) }
}

/// Whether each `(` is closed before the next one opens.
fn has_balanced_parentheses(text: &str) -> bool {
    let open = text
        .bytes()
        .filter(|b| b"()".contains(b))
        .try_fold(false, |is_open, b| ((b == b'(') != is_open).then_some(b == b'('));
    open == Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::field_error::FieldError;
    use proptest::prelude::*;

    fn today() -> Date {
        Date::from_calendar_date(2025, Month::January, 15).unwrap()
    }

    /// The errors as a request gets them.
    fn at_identifiers(errors: ValueErrors) -> Vec<FieldError> {
        errors.of_field("identifiers").collect()
    }

    fn parse_one(key: &str, value: &str) -> Result<String, String> {
        let entries = vec![(key.to_owned(), Json::String(value.to_owned()))];
        match Identifiers::parse(Json::Object(entries), today()) {
            Ok(identifiers) => Ok(identifiers.entries()[key].clone()),
            Err(errors) => {
                let errors = at_identifiers(errors);
                Err(format!("{} {}", errors[0].field, errors[0].message))
            }
        }
    }

    #[test]
    fn a_free_key_keeps_its_value_as_given() {
        assert_eq!(parse_one("lender_id", " LND  4821 ").unwrap(), "LND  4821", "trimmed");
        assert_eq!(parse_one("X-1_y", "保険🔑").unwrap(), "保険🔑");
    }

    #[test]
    fn a_key_is_1_to_64_of_its_alphabet_starting_with_a_letter() {
        assert!(parse_one(&"k".repeat(64), "v").is_ok());
        for key in ["", "1a", "_a", "-a", "a b", "a.b", "ä", "a\n", &"k".repeat(65)] {
            assert!(parse_one(key, "v").is_err(), "{key:?}");
        }
    }

    #[test]
    fn a_value_has_1_to_512_characters_and_no_control_characters() {
        assert!(parse_one("k", &"🔑".repeat(512)).is_ok());
        for value in
            ["", " ", "\u{200b}", "a\nb", "\0", "\u{9f}", "a\u{2028}b", "a\u{202e}b", &"x".repeat(513)]
        {
            assert!(parse_one("k", value).is_err(), "{value:?}");
        }
        let number = Json::Object(vec![("k".into(), Json::Integer(1))]);
        assert_eq!(
            at_identifiers(Identifiers::parse(number, today()).unwrap_err())[0].message,
            "must be a string"
        );
    }

    #[test]
    fn an_nda_hash_is_stored_with_its_prefix_in_lower_case() {
        let hex = "E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let stored = format!("sha256:{}", hex.to_lowercase());
        assert_eq!(parse_one("nda_hash", hex).unwrap(), stored);
        assert_eq!(parse_one("nda_hash", &format!("sha256:{hex}")).unwrap(), stored);
        for value in [
            &hex[1..],
            &format!("{hex}0"),
            &format!("SHA256:{hex}"),
            &format!("sha256:sha256:{hex}"),
            &hex.replace('E', "g"),
            "sha256:e3b0c44298fc1c149afbf4c8996fb924...",
        ] {
            assert!(
                parse_one("nda_hash", value)
                    .unwrap_err()
                    .starts_with("identifiers.nda_hash must be the 64 hex"),
                "{value:?}"
            );
        }
    }

    #[test]
    fn a_date_of_birth_is_a_real_date_not_in_the_future() {
        for date in ["1983-06-15", "2024-02-29", "2025-01-15", "1850-01-01"] {
            assert_eq!(parse_one("date_of_birth", date).unwrap(), date);
        }
        for date in [
            "2023-02-29",
            "1983-13-01",
            "1983-00-01",
            "0000-01-01",
            "1983-06-31",
            "83-06-15",
            "1983-6-15",
            "1983/06/15",
            "15.06.1983",
            "1983-06-15T00:00:00Z",
            "+983-06-15",
            "１９８３-06-15",
        ] {
            assert!(parse_one("date_of_birth", date).unwrap_err().contains("calendar date"), "{date:?}");
        }
        assert!(parse_one("date_of_birth", "2025-01-16").unwrap_err().contains("in the future"));
        assert!(parse_one("date_of_birth", "1849-12-31").unwrap_err().contains("1850"));
    }

    #[test]
    fn a_phone_number_has_7_to_15_digits_behind_a_plus() {
        for number in ["+1-860-555-0147", "+1 (860) 555.0147", "+4930123456", "+1234567", "+123456789012345"]
        {
            assert_eq!(parse_one("phone", number).unwrap(), number);
        }
        for number in [
            "18605550147",
            "+123456",
            "+1234567890123456",
            "+1-860-555-0147x12",
            "+",
            "++1234567",
            "+(860)5550147",
            "+1234567-",
            "tel:+1234567",
            "+１２３４５６７",
            "+0234567",
            "+1 (860 555 0147",
            "+1 860) 555 0147",
            "+1 )860( 555 0147",
            "+1 ((860)) 555 0147",
            "+1-2-3-4-5-6-7-8-9-0-1-2",
        ] {
            assert!(parse_one("phone", number).is_err(), "{number:?}");
        }
    }

    #[test]
    fn a_phone_number_with_an_extension_says_where_that_belongs() {
        for number in
            ["+1-860-555-0147x12", "+1-860-555-0147 ext. 12", "+1-860-555-0147,12", "+1-860-555-0147#12"]
        {
            assert!(parse_one("phone", number).unwrap_err().contains("phone_extension"), "{number}");
        }
    }

    #[test]
    fn a_merge_patch_sets_and_removes_single_keys() {
        let object = |text: &str| serde_json::from_str::<Json>(text).unwrap();
        let before =
            Identifiers::parse(object(r#"{"lender_id":"L-1","policy_number":"P-1"}"#), today()).unwrap();
        let merged = |patch: &str| before.merged(object(patch), today());
        let shown = |identifiers: Identifiers| serde_json::to_string(&identifiers).unwrap();
        assert_eq!(
            shown(merged(r#"{"policy_number":" P-2 ","badge_id":"B"}"#).unwrap()),
            r#"{"badge_id":"B","lender_id":"L-1","policy_number":"P-2"}"#
        );
        assert_eq!(shown(merged(r#"{"lender_id":null,"none":null}"#).unwrap()), r#"{"policy_number":"P-1"}"#);
        assert_eq!(merged("{}").unwrap(), before);
        let stored: Identifiers = serde_json::from_str(r#"{"phone":"+0 1"}"#).unwrap();
        let unchanged = stored.merged(object(r#"{"phone":"+0 1","k":"v"}"#), today()).unwrap();
        assert_eq!(shown(unchanged), r#"{"k":"v","phone":"+0 1"}"#, "an older rule's value, unchanged");
        assert_eq!(at_identifiers(merged(r#"{"phone":"1"}"#).unwrap_err())[0].field, "identifiers.phone");
        assert!(merged("[]").is_err());
        let many: Vec<_> = (0..49).map(|i| (format!("k{i}"), Json::String("v".into()))).collect();
        let errors = at_identifiers(before.merged(Json::Object(many), today()).unwrap_err());
        assert_eq!(
            errors,
            [FieldError::new("identifiers", "must have at most 50 entries")],
            "after the merge"
        );
    }

    #[test]
    fn has_at_most_50_entries_and_no_key_twice() {
        let entries =
            |n: usize| (0..n).map(|i| (format!("k{i}"), Json::String("v".into()))).collect::<Vec<_>>();
        assert!(Identifiers::parse(Json::Object(entries(50)), today()).is_ok());
        let many = at_identifiers(Identifiers::parse(Json::Object(entries(51)), today()).unwrap_err());
        assert_eq!(many, [FieldError::new("identifiers", "must have at most 50 entries")]);
        let twice = [entries(1), entries(1)].concat();
        let errors = at_identifiers(Identifiers::parse(Json::Object(twice), today()).unwrap_err());
        assert_eq!(errors, [FieldError::new("identifiers.k0", "is given more than once")]);
        for (first, second) in
            [(Json::Bool(true), Json::String("v".into())), (Json::String("v".into()), Json::Bool(true))]
        {
            let twice = Json::Object(vec![("k".into(), first), ("k".into(), second)]);
            let errors = at_identifiers(Identifiers::parse(twice, today()).unwrap_err());
            assert_eq!(errors.last(), Some(&FieldError::new("identifiers.k", "is given more than once")));
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(key in "(nda_hash|date_of_birth|phone|\\PC{0,8})", value in any::<String>()) {
            let _ = parse_one(&key, &value);
        }

        #[test]
        fn what_is_accepted_is_accepted_again_unchanged(
            key in "(nda_hash|date_of_birth|phone|[a-z_]{1,4})",
            value in "(sha256:)?[0-9a-fA-F]{64}|[0-9]{4}-[01][0-9]-[0-3][0-9]|\\+[0-9 .()-]{7,20}",
        ) {
            if let Ok(stored) = parse_one(&key, &value) {
                prop_assert_eq!(parse_one(&key, &stored).unwrap(), stored);
            }
        }
    }
}
