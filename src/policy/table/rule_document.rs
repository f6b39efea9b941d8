use super::{Actors, Names, Rule, Subjects};
use crate::records::{Party, values, values::WordOr};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

const ANY: &str = "any";

/// A rule as a document says it; see [`Rule`]'s methods of the same names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    id: Option<String>,
    #[serde(default)]
    effect: Effect,
    clients: Names,
    subjects: Subjects,
    targets: Names,
    actors: Option<Actors>,
    scopes: Option<Names>,
    #[serde(default)]
    grant: Vec<Semantics>,
    max_lifetime: Option<String>,
    max_depth: Option<usize>,
    #[serde(default)]
    require_actor_token: bool,
    #[serde(default)]
    require_sender_constraint: bool,
    require_acr: Option<Vec<String>>,
    max_auth_age: Option<String>,
    #[serde(default)]
    shadow: bool,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Effect {
    #[default]
    Allow,
    Deny,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Semantics {
    Delegation,
    Impersonation,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectDocument {
    issuer: Option<String>,
    #[serde(rename = "type")]
    token_type: Option<String>,
    names: Option<Vec<String>>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    claims: Map<String, Value>,
    #[serde(default)]
    or_clients: bool,
}

impl TryFrom<Document> for Rule {
    type Error = String;

    fn try_from(document: Document) -> Result<Self, String> {
        let Document { clients, subjects, targets, .. } = document;
        let mut rule = match document.effect {
            Effect::Allow => Self::allow(clients, subjects, targets),
            Effect::Deny => Self::deny(clients, subjects, targets),
        };
        if let Some(id) = document.id {
            rule = rule.id(id);
        }
        rule.scopes = document.scopes;
        for semantics in document.grant {
            rule = match semantics {
                Semantics::Delegation => rule.delegation(),
                Semantics::Impersonation => rule.impersonation(),
            };
        }
        if let Some(actors) = document.actors {
            rule = rule.actors(actors);
        }
        if let Some(lifetime) = values::duration("max_lifetime", document.max_lifetime)? {
            rule = rule.max_lifetime(lifetime);
        }
        if let Some(depth) = document.max_depth {
            rule = rule.max_depth(depth);
        }
        if document.shadow {
            rule = rule.shadow();
        }
        if document.require_actor_token {
            rule = rule.require_actor_token();
        }
        if document.require_sender_constraint {
            rule = rule.require_sender_constraint();
        }
        if let Some(values) = document.require_acr {
            rule = rule.require_acr(values);
        }
        if let Some(age) = values::duration("max_auth_age", document.max_auth_age)? {
            rule = rule.max_auth_age(age);
        }
        Ok(rule)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Document::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// `any`, one name, or a list of names. In a list, `any` is a name like others.
impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match WordOr::<Vec<String>>::deserialize(deserializer)? {
            WordOr::Word(word) if word == ANY => Self::any(),
            WordOr::Word(name) => name.as_str().into(),
            WordOr::Table(names) => names.into(),
        })
    }
}

impl<'de> Deserialize<'de> for Subjects {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = match WordOr::<SubjectDocument>::deserialize(deserializer)? {
            WordOr::Word(word) if word == ANY => return Ok(Self::any()),
            WordOr::Word(word) => {
                let help = "write `any`, or `{ issuer = …, names = [\"…\"] }`";
                return Err(de::Error::custom(format_args!(
                    "subjects `{word}`: a name alone says not whose it is: {help}"
                )));
            }
            WordOr::Table(document) => document,
        };
        let mut subjects = document.issuer.map_or_else(Self::any, Self::of_issuer);
        if let Some(names) = document.names {
            subjects = subjects.named(names);
        }
        if let Some(name) = document.token_type {
            subjects = subjects.of_type(values::token_type(name).map_err(de::Error::custom)?);
        }
        for group in document.groups {
            subjects = subjects.in_group(group);
        }
        for (claim, value) in document.claims {
            subjects = subjects.with_claim(claim, value);
        }
        Ok(if document.or_clients { subjects.or_clients() } else { subjects })
    }
}

impl<'de> Deserialize<'de> for Actors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match WordOr::<Vec<Party>>::deserialize(deserializer)? {
            WordOr::Word(word) if word == ANY => Ok(Self::any()),
            WordOr::Word(word) if word == "client" => Ok(Self::client()),
            WordOr::Word(word) => Err(de::Error::custom(format_args!(
                "actors `{word}`: write `client`, `any`, or a list of `{{ iss = …, sub = … }}`"
            ))),
            WordOr::Table(parties) => Ok(Self::parties(parties)),
        }
    }
}
