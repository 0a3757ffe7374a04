//! The fields of a JSON object, of a request's body or of an object within it, as a parser takes them out.

use std::collections::BTreeSet;

use serde_json::Value;

use super::clock::Timestamp;
use super::field_error::{FieldError, Rejected, ValueErrors, shown};
use super::json::Json;
use super::patch::Patch;

/// The members of an object that is being read. A parser takes out those it knows.
pub struct Fields {
    members: Vec<(String, Json)>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Reads the members of an object with `parse`, and returns everything that is wrong beside what it made of them.
    ///
    /// `parse` takes every field it knows before it returns an error, so that all errors are collected. A field that it
    /// leaves is refused as unknown.
    pub fn read<T>(
        members: Vec<(String, Json)>,
        parse: impl FnOnce(&mut Self) -> Result<T, Rejected>,
    ) -> (Result<T, Rejected>, Vec<FieldError>) {
        let mut fields = Self { members, errors: Vec::new() };
        let value = parse(&mut fields);
        let unknown =
            |(name, _): &(String, Json)| FieldError::new(shown(name), "is not a field of this request");
        fields.errors.extend(fields.members.iter().map(unknown));
        (value, fields.errors)
    }

    /// Takes a field that must be present and not `null`.
    ///
    /// # Errors
    /// [`Rejected`] if it is missing or `parse` fails.
    pub fn required<T, E: Into<ValueErrors>>(
        &mut self,
        field: &str,
        parse: impl FnOnce(Json) -> Result<T, E>,
    ) -> Result<T, Rejected> {
        match self.take(field) {
            None | Some(Json::Null) => {
                self.errors.push(FieldError::new(field, "is required"));
                Err(Rejected)
            }
            Some(json) => self.accept(field, parse(json)),
        }
    }

    /// Takes a field that may be absent or `null`.
    ///
    /// # Errors
    /// [`Rejected`] if `parse` fails.
    pub fn optional<T, E: Into<ValueErrors>>(
        &mut self,
        field: &str,
        parse: impl FnOnce(Json) -> Result<T, E>,
    ) -> Result<Option<T>, Rejected> {
        match self.take(field) {
            None | Some(Json::Null) => Ok(None),
            Some(json) => self.accept(field, parse(json)).map(Some),
        }
    }

    /// Takes a field of a merge patch whose value cannot be removed; `None` if it is absent.
    ///
    /// # Errors
    /// [`Rejected`] if it is `null` or `parse` fails.
    pub fn change<T, E: Into<ValueErrors>>(
        &mut self,
        field: &str,
        parse: impl FnOnce(Json) -> Result<T, E>,
    ) -> Result<Option<T>, Rejected> {
        match self.take(field) {
            None => Ok(None),
            Some(Json::Null) => {
                self.errors.push(FieldError::new(field, "cannot be cleared; leave it out to keep it"));
                Err(Rejected)
            }
            Some(json) => self.accept(field, parse(json)).map(Some),
        }
    }

    /// Takes the fields of a merge patch that no request can change. Each may be given as `current`, the resource's
    /// representation, has it. `None` if there is no resource to compare with.
    ///
    /// # Errors
    /// [`Rejected`] if one has another value.
    pub fn read_only(&mut self, fields: &[&str], current: Option<&Value>) -> Result<(), Rejected> {
        let mut result = Ok(());
        for field in fields {
            let (Some(given), Some(current)) = (self.take(field), current) else { continue };
            let is_unchanged = match (given, current.get(field)) {
                (Json::String(given), Some(Value::String(current))) => is_same(&given, current),
                (Json::Null, None) => true,
                (given, Some(current)) => Value::try_from(given).is_ok_and(|given| given == *current),
                _ => false,
            };
            if !is_unchanged {
                let message = "cannot be changed; leave it out, or send it as GET returns it";
                self.errors.push(FieldError::new(*field, message));
                result = Err(Rejected);
            }
        }
        result
    }

    /// Takes a field of a merge patch whose value `null` removes.
    ///
    /// # Errors
    /// [`Rejected`] if `parse` fails.
    pub fn patch<T, E: Into<ValueErrors>>(
        &mut self,
        field: &str,
        parse: impl FnOnce(Json) -> Result<T, E>,
    ) -> Result<Patch<T>, Rejected> {
        match self.take(field) {
            None => Ok(Patch::Keep),
            Some(Json::Null) => Ok(Patch::Clear),
            Some(json) => self.accept(field, parse(json)).map(Patch::Set),
        }
    }

    /// Adds an error of what is at `path`, for what only several fields together show.
    pub fn refuse(&mut self, path: &str, message: &str) {
        self.errors.push(FieldError::new(path, message));
    }

    /// Takes the field of this name. Given more than once, it is an error.
    fn take(&mut self, field: &str) -> Option<Json> {
        let at = self.members.iter().position(|(name, _)| name == field)?;
        let (_, json) = self.members.remove(at);
        if self.members.iter().any(|(name, _)| name == field) {
            self.members.retain(|(name, _)| name != field);
            self.errors.push(FieldError::new(field, "is given more than once"));
        }
        Some(json)
    }

    fn accept<T, E: Into<ValueErrors>>(&mut self, field: &str, parsed: Result<T, E>) -> Result<T, Rejected> {
        parsed.map_err(|errors| {
            self.errors.extend(errors.into().of_field(field));
            Rejected
        })
    }
}

/// Makes a parser of a JSON string from a parser of its text: `string(Email::parse)`.
pub fn string<T>(
    parse: impl FnOnce(&str) -> Result<T, &'static str>,
) -> impl FnOnce(Json) -> Result<T, &'static str> {
    |json| match json {
        Json::String(text) => parse(&text),
        _ => Err("must be a string"),
    }
}

/// Whether two texts are the same, or the same point in time: clients write `Z` as `+00:00`, or leave milliseconds out.
fn is_same(given: &str, current: &str) -> bool {
    let is_same_time = || Timestamp::parse(given).zip(Timestamp::parse(current)).is_some_and(|(a, b)| a == b);
    given == current || is_same_time()
}

/// Makes a parser of a JSON object from one of its fields.
pub fn object<T>(
    parse: impl FnOnce(&mut Fields) -> Result<T, Rejected>,
) -> impl FnOnce(Json) -> Result<T, ValueErrors> {
    |json| match json {
        Json::Object(members) => match Fields::read(members, parse) {
            (Ok(value), errors) if errors.is_empty() => Ok(value),
            (_, errors) => Err(errors.into()),
        },
        _ => Err("must be an object".into()),
    }
}

/// Reads an array of `min` to `max` different strings.
///
/// # Errors
/// Each element that is there twice or that `parse` refuses, at its index.
pub fn different<T: Ord + Clone>(
    json: Json,
    min: usize,
    max: usize,
    parse: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Vec<T>, ValueErrors> {
    let Json::Array(elements) = json else { return Err("must be an array of strings".into()) };
    let mut errors = ValueErrors::default();
    if !(min..=max).contains(&elements.len()) {
        errors.push(&format!("must have {min} to {max} entries"));
    }
    let (mut values, mut seen) = (Vec::new(), BTreeSet::new());
    for (at, element) in elements.into_iter().take(max).enumerate() {
        match string(&parse)(element) {
            Ok(value) if seen.insert(value.clone()) => values.push(value),
            Ok(_) => errors.push_at(&format!("[{at}]"), "is there twice"),
            Err(message) => errors.push_at(&format!("[{at}]"), message),
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(errors) }
}

/// Reads an integer from 1 to `max`; `rule` says that it must be one.
///
/// # Errors
/// The rule.
pub fn integer(json: Json, max: u16, rule: &'static str) -> Result<u16, &'static str> {
    match json {
        Json::Integer(number) => {
            u16::try_from(number).ok().filter(|number| (1..=max).contains(number)).ok_or(rule)
        }
        _ => Err(rule),
    }
}
