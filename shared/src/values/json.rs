//! JSON as it was sent, before it becomes domain types.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value (RFC 8259) whose objects keep their duplicate keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction and exponent that fits 64 bits.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object's members in the order they were written.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The body of a creation as text, the same for every order of an object's members and for every way to write it. A field
    /// that is `null` is left out: it means the same as an absent one.
    pub fn canonical(&self) -> String {
        match self {
            Self::Object(members) => {
                canonical_object(members.iter().filter(|(_, value)| *value != Self::Null))
            }
            other => other.canonical_value(),
        }
    }

    fn canonical_value(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => format!("{number:e}"),
            Self::String(text) => quoted(text),
            Self::Array(elements) => {
                let elements: Vec<String> = elements.iter().map(Self::canonical_value).collect();
                format!("[{}]", elements.join(","))
            }
            Self::Object(members) => canonical_object(members.iter()),
        }
    }
}

fn canonical_object<'a>(members: impl Iterator<Item = &'a (String, Json)>) -> String {
    let mut members: Vec<String> =
        members.map(|(name, value)| format!("{}:{}", quoted(name), value.canonical_value())).collect();
    members.sort();
    format!("{{{}}}", members.join(","))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A JSON object with a key twice.
#[derive(Debug, PartialEq, Eq)]
pub struct DuplicateKey;

impl TryFrom<Json> for serde_json::Value {
    type Error = DuplicateKey;

    fn try_from(json: Json) -> Result<Self, DuplicateKey> {
        Ok(match json {
            Json::Null => Self::Null,
            Json::Bool(value) => value.into(),
            Json::Integer(number) => match i64::try_from(number) {
                Ok(number) => number.into(),
                Err(_) => u64::try_from(number).unwrap_or(u64::MAX).into(),
            },
            Json::Float(number) => number.into(),
            Json::String(text) => text.into(),
            Json::Array(elements) => {
                elements.into_iter().map(Self::try_from).collect::<Result<Vec<_>, _>>()?.into()
            }
            Json::Object(members) => {
                let mut object = serde_json::Map::new();
                for (key, value) in members {
                    if object.insert(key, value.try_into()?).is_some() {
                        return Err(DuplicateKey);
                    }
                }
                object.into()
            }
        })
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

            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
                Ok(Json::Integer(number.into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
                Ok(Json::Integer(number.into()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
                Ok(Json::Float(number))
            }

            fn visit_str<E>(self, text: &str) -> Result<Json, E> {
                Ok(Json::String(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Json, E> {
                Ok(Json::String(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json, A::Error> {
                let mut array = Vec::new();
                while let Some(element) = elements.next_element()? {
                    array.push(element);
                }
                Ok(Json::Array(array))
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
    use proptest::prelude::*;

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
            r#"{"a":"x","b":{"c":"1","d":null}}"#,
        ] {
            assert_ne!(canonical(other), one, "{other}");
        }
        let all =
            ["true", "false", "1.5", "2.5", "1e300", "[]", "[1]", "[1,2]", "[2,1]", "[[1],2]", "[\"1,2\"]"];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(canonical(one), canonical(other), "{one} and {other}");
            }
        }
    }

    #[test]
    fn becomes_a_value_unless_a_key_is_there_twice() {
        let value = |text: &str| serde_json::Value::try_from(serde_json::from_str::<Json>(text).unwrap());
        let text = r#"{"a":[null,true,-1,18446744073709551615,1.5,"x",{"b":{}}]}"#;
        assert_eq!(value(text).unwrap(), serde_json::from_str::<serde_json::Value>(text).unwrap());
        assert_eq!(value(r#"{"a":[{"b":1,"b":1}]}"#), Err(DuplicateKey));
    }

    proptest! {
        #[test]
        fn a_number_is_kept_as_it_is_however_often_it_is_read(
            number in prop_oneof![
                any::<f64>().prop_filter("finite", |number| number.is_finite()),
                -180.0..180.0,
            ]
        ) {
            let sent = serde_json::Value::from(number).to_string();
            let read = |text: &str| serde_json::Value::try_from(serde_json::from_str::<Json>(text).unwrap());
            let kept = read(&sent).unwrap();
            prop_assert_eq!(kept.as_f64(), Some(number));
            prop_assert_eq!(read(&kept.to_string()).unwrap(), kept);
        }
    }
}
