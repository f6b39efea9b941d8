use super::{
    json::{NUMBER, Strict},
    text::{Text, TextVisitor},
};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::{collections::HashSet, fmt, sync::OnceLock};

/// The fewest bytes of JSON that most members have. Shorter members need a second allocation.
const USUAL_BYTES: usize = 16;

/// The most members whose names are compared in pairs. Of more members, the time would grow with the square of the number.
const FEW_MEMBERS: usize = 32;

/// The members of a JSON object, as a header and claims are. The texts are not copied out of the JSON text one by one.
#[derive(Clone, Default)]
pub(super) struct Members {
    /// The JSON text that the members were read from.
    json: Box<str>,
    /// In the order of the JSON text. No two members have the same name.
    list: Vec<Member>,
}

#[derive(Clone)]
struct Member {
    name: Text,
    value: MemberValue,
}

#[derive(Clone)]
enum MemberValue {
    Text(Text, Lazy),
    Number(Number, Lazy),
    Other(Box<Value>),
}

/// The JSON value of a member, which is made when somebody asks for it.
type Lazy = OnceLock<Box<Value>>;

impl Members {
    /// Reads a text that is one JSON object. Returns `None` if the text has anything else, if a level has a duplicate
    /// member, or if there are more than 16 levels.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let json: Box<str> = std::str::from_utf8(json).ok()?.into();
        let mut deserializer = serde_json::Deserializer::from_str(&json);
        let list = deserializer.deserialize_map(MembersVisitor(&json)).ok()?;
        deserializer.end().ok()?;
        let members = Self { json, list };
        (!members.has_duplicates()).then_some(members)
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.position(name).map(|at| self.value(&self.list[at]))
    }

    /// Returns a member that is a string. `None` for every other value.
    pub(super) fn string(&self, name: &str) -> Option<&str> {
        match &self.list[self.position(name)?].value {
            MemberValue::Text(text, _) => Some(text.of(&self.json)),
            MemberValue::Number(..) | MemberValue::Other(_) => None,
        }
    }

    /// Returns a member that is a number. `None` for every other value.
    pub(super) fn number(&self, name: &str) -> Option<&Number> {
        match &self.list[self.position(name)?].value {
            MemberValue::Number(number, _) => Some(number),
            MemberValue::Text(..) | MemberValue::Other(_) => None,
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|member| member.name.of(&self.json))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.list.iter().map(|member| (member.name.of(&self.json), self.value(member)))
    }

    /// Adds a member, or replaces the member of the same name.
    pub(super) fn insert(&mut self, name: String, value: Value) {
        let value = MemberValue::from(value);
        match self.position(&name) {
            Some(at) => self.list[at].value = value,
            None => self.list.push(Member { name: Text::Own(name), value }),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(at) = self.position(name) {
            self.list.remove(at);
        }
    }

    fn value<'a>(&'a self, member: &'a Member) -> &'a Value {
        match &member.value {
            MemberValue::Text(text, value) => value.get_or_init(|| Box::new(text.of(&self.json).into())),
            MemberValue::Number(number, value) => value.get_or_init(|| Box::new(number.clone().into())),
            MemberValue::Other(value) => value,
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|member| member.name.is(&self.json, name))
    }

    fn has_duplicates(&self) -> bool {
        if self.list.len() > FEW_MEMBERS {
            let mut seen = HashSet::with_capacity(self.list.len());
            return !self.names().all(|name| seen.insert(name));
        }
        self.names().enumerate().any(|(at, name)| self.names().take(at).any(|earlier| earlier == name))
    }
}

impl From<Map<String, Value>> for Members {
    fn from(members: Map<String, Value>) -> Self {
        let member = |(name, value): (String, Value)| Member { name: Text::Own(name), value: value.into() };
        Self { json: Box::default(), list: members.into_iter().map(member).collect() }
    }
}

impl From<Value> for MemberValue {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(Text::Own(text), Lazy::new()),
            Value::Number(number) => Self::Number(number, Lazy::new()),
            other => Self::Other(Box::new(other)),
        }
    }
}

/// Reads the members in a JSON text.
struct MembersVisitor<'j>(&'j str);

impl<'de> Visitor<'de> for MembersVisitor<'_> {
    type Value = Vec<Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Vec<Member>, A::Error> {
        let mut list = Vec::with_capacity((self.0.len() / USUAL_BYTES).min(FEW_MEMBERS));
        while let Some(name) = members.next_key_seed(TextVisitor(self.0))? {
            if name.of(self.0) == NUMBER {
                return Err(de::Error::custom("a name that serde_json keeps for itself"));
            }
            list.push(Member { name, value: members.next_value_seed(ValueVisitor(self.0))? });
        }
        Ok(list)
    }
}

/// Reads the value of a member in a JSON text.
struct ValueVisitor<'j>(&'j str);

impl ValueVisitor<'_> {
    /// The value is in one level: the object.
    const OTHER: Strict = Strict { depth: 1 };
}

impl<'de> DeserializeSeed<'de> for ValueVisitor<'_> {
    type Value = MemberValue;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<MemberValue, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueVisitor<'_> {
    type Value = MemberValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::OTHER.expecting(f)
    }

    fn visit_unit<E>(self) -> Result<MemberValue, E> {
        Ok(Value::Null.into())
    }

    fn visit_bool<E>(self, value: bool) -> Result<MemberValue, E> {
        Ok(Value::from(value).into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<MemberValue, E> {
        Ok(Value::from(value).into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<MemberValue, E> {
        Ok(Value::from(value).into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<MemberValue, E> {
        Ok(Value::from(value).into())
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<MemberValue, E> {
        TextVisitor(self.0).visit_borrowed_str(text).map(|text| MemberValue::Text(text, Lazy::new()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<MemberValue, E> {
        TextVisitor(self.0).visit_str(text).map(|text| MemberValue::Text(text, Lazy::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<MemberValue, A::Error> {
        Self::OTHER.visit_seq(elements).map(MemberValue::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<MemberValue, A::Error> {
        Self::OTHER.visit_map(members).map(MemberValue::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_as_by_a_plain_parser() {
        let many = |last: &str| {
            let members: String = (0..FEW_MEMBERS).map(|at| format!(r#""m{at}":{at},"#)).collect();
            format!(r#"{{{members}"{last}":0}}"#)
        };
        let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        for good in ["{}", r#" {"a":"\u0061b","\u0062":[null,true,-1,1.5,{"c":1}],"c":"é"} "#, &many("x"), &nested(16)]
        {
            let plain: Map<String, Value> = serde_json::from_str(good).unwrap();
            let read = Members::parse(good.as_bytes()).unwrap();
            assert_eq!(read.len(), plain.len(), "{good}");
            for (name, value) in &plain {
                assert_eq!((read.get(name), read.string(name)), (Some(value), value.as_str()), "{good}");
            }
        }
        for bad in [
            "",
            "[]",
            "null",
            r#""a""#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"a":1}{"#,
            r#"{"$serde_json::private::Number":"5"}"#,
            r#"{"exp":{"$serde_json::private::Number":"5"}}"#,
            &many("m0"),
            &nested(17),
        ] {
            assert!(Members::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(Members::parse(b"{\"a\":\"\xff\"}").is_none());
    }
}
