use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use std::{borrow::Cow, fmt};

/// One path, or several spellings of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PathList(Vec<String>);

impl PathList {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &String> {
        self.0.iter()
    }
}

impl From<PathList> for Vec<String> {
    fn from(list: PathList) -> Self {
        list.0
    }
}

impl<'de> Deserialize<'de> for PathList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Paths)
    }
}

struct Paths;

impl<'de> Visitor<'de> for Paths {
    type Value = PathList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path or an array of paths")
    }

    fn visit_str<E>(self, path: &str) -> Result<PathList, E> {
        Ok(PathList(vec![path.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut paths: A) -> Result<PathList, A::Error> {
        let mut list = Vec::new();
        while let Some(path) = paths.next_element()? {
            if !list.contains(&path) {
                list.push(path);
            }
        }
        Ok(PathList(list))
    }
}

impl JsonSchema for PathList {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "paths".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}
