//! JSON as it was sent, before it becomes domain types.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value (RFC 8259) whose objects keep their duplicate keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number without fraction and exponent that fits 64 bits.
    Integer(i128),
    /// Any other number.
    Float,
    /// A string.
    String(String),
    /// An array; no field of this API takes one.
    Array,
    /// An object's members in the order they were written.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The value as text, the same for every order of an object's members and for every way to write it. A member that
    /// is `null` is left out: it means the same as an absent one wherever something is created.
    pub fn canonical(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Float => "float".to_owned(),
            Self::String(text) => quoted(text),
            Self::Array => "array".to_owned(),
            Self::Object(members) => {
                let given = members.iter().filter(|(_, value)| *value != Self::Null);
                let mut members: Vec<String> =
                    given.map(|(name, value)| format!("{}:{}", quoted(name), value.canonical())).collect();
                members.sort();
                format!("{{{}}}", members.join(","))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JsonVisitor;

        impl<'de> Visitor<'de> for JsonVisitor {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
                Ok(Json::Bool)
            }

            fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
                Ok(Json::Integer(number.into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
                Ok(Json::Integer(number.into()))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
                Ok(Json::Float)
            }

            fn visit_str<E>(self, text: &str) -> Result<Json, E> {
                Ok(Json::String(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Json, E> {
                Ok(Json::String(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json, A::Error> {
                while elements.next_element::<Json>()?.is_some() {}
                Ok(Json::Array)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
                let mut object = Vec::new();
                while let Some(member) = members.next_entry()? {
                    object.push(member);
                }
                Ok(Json::Object(object))
            }
        }

        deserializer.deserialize_any(JsonVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        serde_json::from_str::<Json>(text).unwrap().canonical()
    }

    #[test]
    fn order_spacing_escapes_and_null_members_do_not_matter() {
        let same = canonical(r#"{"a":"x","b":{"c":"1","d":"2"},"e":3}"#);
        assert_eq!(
            canonical("{ \"e\": 3,\n \"b\": {\"d\":\"2\",\"c\":\"1\"}, \"a\":\"\\u0078\", \"f\": null }"),
            same
        );
    }

    #[test]
    fn values_matter() {
        let one = canonical(r#"{"a":"x","b":{"c":"1"}}"#);
        for other in [
            r#"{"a":"x"}"#,
            r#"{"a":"x","b":{"c":1}}"#,
            r#"{"a":"x","b":{"d":"1"}}"#,
            r#"{"a":"x,\"b\":{\"c\":\"1\"}"}"#,
            r#"{"b":"x","a":{"c":"1"}}"#,
        ] {
            assert_ne!(canonical(other), one, "{other}");
        }
    }
}
