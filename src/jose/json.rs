use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The largest depth that is read. Real headers, claims and key sets have fewer levels.
const MAX_DEPTH: usize = 16;

/// The member by which `serde_json` marks a number, in a build with its feature `arbitrary_precision`.
pub(super) const NUMBER: &str = "$serde_json::private::Number";

/// Reads a text that is one JSON object. Returns `None` if the text has anything else, if a level has a duplicate member,
/// or if there are more than 16 levels.
pub(crate) fn parse_object(text: &[u8]) -> Option<Map<String, Value>> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: 0 }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    match value {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// Reads a JSON value without duplicate members. `depth` is the number of levels around the value.
#[derive(Clone, Copy)]
pub(super) struct Strict {
    pub(super) depth: usize,
}

impl Strict {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("too deep"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(deeper)? {
            array.push(element);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut name = members.next_key::<String>()?;
        if name.as_deref() == Some(NUMBER) {
            return members.next_value_seed(Digits);
        }
        let deeper = self.deeper()?;
        let mut object = Map::new();
        while let Some(member) = name {
            if member == NUMBER {
                return Err(de::Error::custom("a name that serde_json keeps for itself"));
            }
            let value = members.next_value_seed(deeper)?;
            if object.insert(member, value).is_some() {
                return Err(de::Error::custom("duplicate member"));
            }
            name = members.next_key()?;
        }
        Ok(object.into())
    }
}

/// The text of a number, in a build in which another crate enables the feature `arbitrary_precision` of `serde_json`.
///
/// In such a build, `serde_json` gives a number to the visitor as an object whose only member is [`NUMBER`] with an owned
/// string. `serde_json` never gives a string of the JSON text as an owned string, so an object that imitates a number is
/// an error. The result is the same as in a build without the feature.
struct Digits;

impl<'de> DeserializeSeed<'de> for Digits {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

#[expect(clippy::serde_api_misuse, reason = "a borrowed string is an object that imitates a number")]
impl Visitor<'_> for Digits {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value other than an object that imitates a number")
    }

    fn visit_string<E: de::Error>(self, digits: String) -> Result<Value, E> {
        let is_negative = digits.starts_with('-');
        match (digits.parse::<u64>(), digits.parse::<i64>(), digits.parse::<f64>()) {
            (Ok(number), ..) => Ok(number.into()),
            (_, Ok(number), _) if !(is_negative && number == 0) => Ok(number.into()),
            (.., Ok(number)) if number.is_finite() => Ok(number.into()),
            _ => Err(E::custom("number out of range")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::value::MapDeserializer;
    use serde_json::json;

    #[test]
    fn one_object_is_read_in_one_way() {
        let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert!(parse_object(br#"{"a":1,"b":{"a":[1.5,-2,null,true,"x"]}}"#).is_some());
        assert!(parse_object(nested(16).as_bytes()).is_some());
        for bad in [
            "",
            "1",
            "[]",
            "null",
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"a":[{"b":1,"b":1}]}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":1}{"#,
            r#"{"a":1e400}"#,
            r#"{"a":1"#,
            "{\"a\":\"\u{1}\"}",
            &nested(17),
            &nested(100_000),
        ] {
            assert!(parse_object(bad.as_bytes()).is_none(), "{}", &bad[..bad.len().min(40)]);
        }
        assert!(parse_object(b"{\"a\":\"\xff\"}").is_none());
    }

    /// The expected result is the same in a build with the feature and in a build without the feature.
    #[test]
    fn arbitrary_precision_changes_nothing() {
        let text = r#"{"a":[0,-0,5,-5,1.50,1e3,18446744073709551616,-9223372036854775808],"b":{"c":{"d":7}}}"#;
        let members = parse_object(text.as_bytes()).unwrap();
        let read = Value::Object(members).to_string();
        assert!(
            read.starts_with(r#"{"a":[0,-0.0,5,-5,1.5,1000.0,1.8446744073709552e+19,-9223372036854775808],"b""#),
            "{read}"
        );
        let nested = format!("{}7{}", r#"{"a":"#.repeat(16), "}".repeat(16));
        assert!(parse_object(nested.as_bytes()).is_some());
        for imitation in [
            r#"{"exp":{"$serde_json::private::Number":"5"}}"#,
            r#"{"exp":{"\u0024serde_json::private::Number":"5"}}"#,
            r#"{"exp":{"$serde_json::private::Number":5}}"#,
            r#"{"exp":{"a":1,"$serde_json::private::Number":"5"}}"#,
            r#"{"$serde_json::private::Number":"5"}"#,
        ] {
            assert!(parse_object(imitation.as_bytes()).is_none(), "{imitation}");
        }
    }

    #[test]
    fn a_marked_object_is_read_as_a_number() {
        let read = |digits: &str| {
            let number = MapDeserializer::<_, de::value::Error>::new([(NUMBER, digits.to_owned())].into_iter());
            Strict { depth: MAX_DEPTH }.deserialize(number)
        };
        for (digits, value) in [("5", json!(5)), ("-5", json!(-5)), ("1.50", json!(1.5)), ("-0", json!(-0.0))] {
            assert_eq!(read(digits), Ok(value), "{digits}");
        }
        for bad in ["1e400", "", "x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
