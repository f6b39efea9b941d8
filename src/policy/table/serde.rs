use super::{Actors, Effect, Names, Rule, Subjects};
use crate::{
    policy::Semantics,
    records::{
        Party, Wording,
        values::{self, WordOr},
    },
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

const ANY: &str = "any";

/// The keys of a rule in a document. Most keys are named like the method of [`Rule`] that they stand for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleDocument {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectsDocument {
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

impl TryFrom<RuleDocument> for Rule {
    type Error = String;

    fn try_from(document: RuleDocument) -> Result<Self, String> {
        let RuleDocument { clients, subjects, targets, .. } = document;
        let mut rule = match document.effect {
            Effect::Allow => Self::allow(clients, subjects, targets),
            Effect::Deny => Self::deny(clients, subjects, targets),
        };
        if let Some(id) = document.id {
            rule = rule.id(id);
        }
        if let Some(actors) = document.actors {
            rule = rule.actors(actors);
        }
        if let Some(values) = document.require_acr {
            rule = rule.require_acr(values);
        }
        if let Some(age) = values::duration("max_auth_age", document.max_auth_age)? {
            rule = rule.max_auth_age(age);
        }
        rule.wording = Wording::Keys;
        rule.scopes = document.scopes;
        rule.delegation = document.grant.contains(&Semantics::Delegation);
        rule.impersonation = document.grant.contains(&Semantics::Impersonation);
        rule.max_lifetime = values::duration("max_lifetime", document.max_lifetime)?;
        rule.max_depth = document.max_depth;
        rule.requires_actor_token = document.require_actor_token;
        rule.requires_sender_constraint = document.require_sender_constraint;
        rule.shadow = document.shadow;
        Ok(rule)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(RuleDocument::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The word `any`, one name, or a list of names. In a list, `any` is an ordinary name.
impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match WordOr::<Vec<String>>::deserialize(deserializer)? {
            WordOr::Word(word) if word == ANY => Self::any(),
            WordOr::Word(name) => name.as_str().into(),
            WordOr::Table(names) => names.into(),
        })
    }
}

/// The word `any`, or a table of conditions.
impl<'de> Deserialize<'de> for Subjects {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = match WordOr::<SubjectsDocument>::deserialize(deserializer)? {
            WordOr::Word(word) if word == ANY => return Ok(Self::any()),
            WordOr::Word(word) => {
                return Err(D::Error::custom(format_args!(
                    "subjects `{word}`: a name without an issuer: write `any`, or `{{ issuer = …, names = [\"…\"] }}`"
                )));
            }
            WordOr::Table(document) => document,
        };
        let mut subjects = document.issuer.map_or_else(Self::any, Self::of_issuer);
        if let Some(names) = document.names {
            subjects = subjects.named(names);
        }
        if let Some(name) = document.token_type {
            subjects = subjects.of_type(values::token_type(name).map_err(D::Error::custom)?);
        }
        subjects = document.groups.into_iter().fold(subjects, Self::in_group);
        for (claim, value) in document.claims {
            subjects = subjects.with_claim(claim, value);
        }
        Ok(if document.or_clients { subjects.or_clients() } else { subjects })
    }
}

/// The word `client`, the word `any`, or a list of parties.
impl<'de> Deserialize<'de> for Actors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match WordOr::<Vec<Party>>::deserialize(deserializer)? {
            WordOr::Word(word) if word == ANY => Ok(Self::any()),
            WordOr::Word(word) if word == "client" => Ok(Self::client()),
            WordOr::Word(word) => Err(D::Error::custom(format_args!(
                "actors `{word}`: write `client`, `any`, or a list of `{{ iss = …, sub = … }}`"
            ))),
            WordOr::Table(parties) => Ok(Self::parties(parties)),
        }
    }
}
