use super::Target;
use crate::records::{ClientId, TargetId, Wording, values};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::collections::BTreeMap;

/// The keys of a target in a document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "the record of a target")]
struct TargetDocument {
    id: TargetId,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    audiences: Vec<String>,
    aud: Option<String>,
    owner: Option<ClientId>,
    #[serde(default)]
    callers: Vec<ClientId>,
    #[serde(default)]
    scopes: Vec<String>,
    translate: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    claims: Vec<String>,
    max_lifetime: Option<String>,
    token_typ: Option<String>,
}

impl TryFrom<TargetDocument> for Target {
    type Error = String;

    fn try_from(document: TargetDocument) -> Result<Self, String> {
        let mut target = Self::new(document.id);
        target.names.extend(document.audiences);
        Ok(Self {
            wording: Wording::Keys,
            resources: document.resources,
            audience_claim: document.aud.unwrap_or(target.audience_claim),
            owner: document.owner,
            callers: document.callers,
            scopes: document.scopes,
            translation: document.translate.map(|entries| entries.into_iter().collect()),
            claims: document.claims,
            max_lifetime: values::duration("max_lifetime", document.max_lifetime)?,
            token_typ: document.token_typ,
            id: target.id,
            names: target.names,
        })
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(TargetDocument::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
