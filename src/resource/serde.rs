//! Rules in a document.

use super::{AccessRule, PartySet, party_set::PartiesOfIssuer, rule::ActorCondition};
use crate::records::{
    IssuerId, SubjectId,
    schema::schema_of,
    values::{self, WordOr},
};
use serde::{Deserialize, Deserializer, de::Error as _};

/// The keys of a rule in a document, with the names of the methods.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct AccessRuleDocument {
    /// The current actor: `none`, `any`, or a list of parties.
    actor: ActorCondition,
    /// The accepted subjects. Default: every subject.
    subjects: Option<PartySet>,
    /// Whether the rule refuses clients that act for themselves.
    #[serde(default)]
    for_users: bool,
    /// The accepted clients. Default: every client.
    clients: Option<PartySet>,
    /// The scope tokens that the access token needs, all of them.
    #[serde(default)]
    scopes: Vec<String>,
    /// The most actors of the token.
    max_actors: Option<usize>,
    /// The parties that may be earlier actors. Default: the earlier actors make no difference.
    earlier_actors: Option<PartySet>,
    /// The accepted values of `acr` (RFC 9470).
    require_acr: Option<Vec<String>>,
    /// The longest time since the login of the subject, such as `15m` (RFC 9470).
    max_auth_age: Option<String>,
    /// Whether the token must be bound to its sender.
    #[serde(default)]
    require_sender_constraint: bool,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct PartiesDocument {
    /// The issuer of the names.
    issuer: IssuerId,
    /// The names, or the word `any` for every party of the issuer.
    names: WordOr<Vec<SubjectId>>,
}

impl<'de> Deserialize<'de> for AccessRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = AccessRuleDocument::deserialize(deserializer)?;
        Ok(Self {
            actor: document.actor,
            subjects: document.subjects,
            users_only: document.for_users,
            clients: document.clients,
            scopes: document.scopes,
            max_actors: document.max_actors,
            earlier_actors: document.earlier_actors,
            acr_values: document.require_acr,
            max_auth_age: values::duration("max_auth_age", document.max_auth_age).map_err(D::Error::custom)?,
            requires_sender_constraint: document.require_sender_constraint,
        })
    }
}

/// The word `none`, the word `any`, or a list of parties.
impl<'de> Deserialize<'de> for ActorCondition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match WordOr::<PartySet>::deserialize(deserializer)? {
            WordOr::Word(word) if word == "none" => Ok(Self::Nobody),
            WordOr::Word(word) if word == "any" => Ok(Self::Any),
            WordOr::Word(word) => Err(D::Error::custom(format_args!(
                "actor `{word}`: write `none`, `any`, or a list of `{{ issuer = …, names = […] }}`"
            ))),
            WordOr::Table(parties) => Ok(Self::OneOf(parties)),
        }
    }
}

impl<'de> Deserialize<'de> for PartySet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parties = Vec::<PartiesDocument>::deserialize(deserializer)?.into_iter().map(|document| {
            let names = match document.names {
                WordOr::Word(word) if word == "any" => None,
                WordOr::Word(name) => Some(vec![name.into()]),
                WordOr::Table(names) => Some(names),
            };
            PartiesOfIssuer { issuer: document.issuer, names }
        });
        Ok(Self(parties.collect()))
    }
}

schema_of!(AccessRule as AccessRuleDocument, "A rule: who may use the resource.");
schema_of!(PartySet as Vec<PartiesDocument>, "Parties of one or several issuers.");
schema_of!(ActorCondition as Either<String, Vec<PartiesDocument>>, "The word `none` or `any`, or a list of parties.");
