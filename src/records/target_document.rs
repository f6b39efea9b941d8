use super::{Target, text};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A target's record as a document says it; see [`Target`]'s methods of the same names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    id: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    audiences: Vec<String>,
    aud: Option<String>,
    owner: Option<String>,
    #[serde(default)]
    callers: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    translate: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    claims: Vec<String>,
    max_lifetime: Option<String>,
}

impl TryFrom<Document> for Target {
    type Error = String;

    fn try_from(document: Document) -> Result<Self, String> {
        let mut target = Self::new(document.id);
        target.resources = document.resources;
        target.audiences.extend(document.audiences);
        if let Some(aud) = document.aud {
            target = target.audience_claim(aud);
        }
        target.owner = document.owner;
        target.callers = document.callers;
        target.scopes = document.scopes;
        target.translation = document.translate.map(|entries| entries.into_iter().collect());
        target.claims = document.claims;
        target.max_lifetime = text::duration("max_lifetime", document.max_lifetime)?;
        Ok(target)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Document::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
