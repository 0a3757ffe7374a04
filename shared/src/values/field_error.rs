//! Validation errors: what is wrong with a value, and where.

use serde::Serialize;

/// A validation error of one field of a request body, of one query parameter or of one header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The field, by its path from the body's top: `email`, `identifiers.nda_hash`.
    pub field: String,
    /// What it must be, as the rest of a sentence that begins with the field.
    pub message: String,
}

impl FieldError {
    /// A validation error of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Everything that is wrong with one value, by paths that begin at that value. A parser returns it without knowing the
/// field it is used for; [`ValueErrors::of_field`] adds the field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueErrors(Vec<FieldError>);

impl ValueErrors {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an error of the value as a whole.
    pub fn push(&mut self, message: &str) {
        self.push_at("", message);
    }

    /// Adds an error of the part at `path`; an empty path is the value itself.
    pub fn push_at(&mut self, path: &str, message: &str) {
        self.0.push(FieldError::new(path, message));
    }

    /// The errors as those of `field`, each path with `field` before it.
    pub fn of_field(self, field: &str) -> impl Iterator<Item = FieldError> {
        self.0.into_iter().map(move |error| match error.field.as_str() {
            "" => FieldError::new(field, error.message),
            index if index.starts_with('[') => FieldError::new(format!("{field}{index}"), error.message),
            path => FieldError::new(format!("{field}.{path}"), error.message),
        })
    }
}

/// The errors by the paths that begin at the value.
impl From<ValueErrors> for Vec<FieldError> {
    fn from(errors: ValueErrors) -> Self {
        errors.0
    }
}

/// One error of the value as a whole.
impl From<&str> for ValueErrors {
    fn from(message: &str) -> Self {
        Self(vec![FieldError::new("", message)])
    }
}

impl From<Vec<FieldError>> for ValueErrors {
    fn from(errors: Vec<FieldError>) -> Self {
        Self(errors)
    }
}

/// A value is not valid. Its errors are where the others of the request are collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected;

/// The most characters of a field's name that a response repeats.
pub const MAX_FIELD_CHARS: usize = 64;

/// A field's name as a response may repeat it: truncated where it is long, and where a key or a secret may begin.
pub fn shown(name: &str) -> String {
    if let Some((before, _)) = name.split_once("dk_") {
        return if before.is_empty() { "dk_…".to_owned() } else { format!("{}dk_…", shown(before)) };
    }
    if name.is_empty() {
        return "\"\"".to_owned();
    }
    match name.char_indices().nth(MAX_FIELD_CHARS) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_begins_with_the_field() {
        let mut errors = ValueErrors::from("must have at most 50 entries");
        errors.push_at("phone", "must be a string");
        errors.push_at("[1]", "is there twice");
        let errors: Vec<FieldError> = errors.of_field("identifiers").collect();
        assert_eq!(
            errors,
            [
                FieldError::new("identifiers", "must have at most 50 entries"),
                FieldError::new("identifiers.phone", "must be a string"),
                FieldError::new("identifiers[1]", "is there twice"),
            ]
        );
    }
}
