use super::{Actors, Effect, Names, Rule, Subjects};
use crate::{
    policy::Semantics,
    records::{
        Party, Wording,
        schema::schema_of,
        values::{self, WordOr},
    },
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

const ANY: &str = "any";

/// The keys of a rule in a document. Most keys are named like the method of [`Rule`] that they stand for.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RuleDocument {
    /// The name of the rule in the audit. Default: the position in the table.
    id: Option<String>,
    /// Whether the rule allows or denies the exchange. Default: `allow`.
    #[serde(default)]
    effect: Effect,
    /// The clients that the rule is for.
    clients: Names,
    /// The subjects that the rule is for.
    subjects: Subjects,
    /// The targets that the rule is for.
    targets: Names,
    /// The actors that the rule is for. Default: `client`.
    actors: Option<Actors>,
    /// The scope tokens that an allow rule grants at most.
    scopes: Option<Names>,
    /// Whether issued tokens name the actor (`delegation`), or do not (`impersonation`). Default: `delegation`.
    #[serde(default)]
    grant: Vec<Semantics>,
    /// The longest lifetime of issued tokens, such as `5m`. Default: the limit of the records.
    max_lifetime: Option<String>,
    /// The most actors in the `act` chain of issued tokens. Default: the limit of the layer.
    max_depth: Option<usize>,
    /// Whether the request needs an actor token.
    #[serde(default)]
    require_actor_token: bool,
    /// Whether the issued token must be bound to its sender.
    #[serde(default)]
    require_sender_constraint: bool,
    /// Whether a bound subject token may be exchanged for a token that is bound to another key or certificate of the client.
    #[serde(default)]
    rebind: bool,
    /// Whether a bound subject token may be exchanged for a bearer token. Each such exchange is an alarm in the audit.
    #[serde(default)]
    release: bool,
    /// The accepted values of the `acr` of the subject token (RFC 9470).
    require_acr: Option<Vec<String>>,
    /// The longest time since the login of the subject, such as `15m` (RFC 9470).
    max_auth_age: Option<String>,
    /// Whether the rule only tells in the audit what the rule would change.
    #[serde(default)]
    shadow: bool,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct SubjectsDocument {
    /// The issuer of the subjects. Default: every issuer.
    issuer: Option<String>,
    /// The type of the subject tokens: a URI, `access_token`, `id_token` or `jwt`.
    #[serde(rename = "type")]
    token_type: Option<String>,
    /// The subjects, by the `sub` that the issuer uses.
    names: Option<Vec<String>>,
    /// Groups that the `groups` claim of the subject token must contain, all of them.
    #[serde(default)]
    groups: Vec<String>,
    /// Claims of the subject token, with the values that the claims must have or contain.
    #[serde(default)]
    claims: Map<String, Value>,
    /// Whether the rule is also for clients that act for themselves.
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
        if document.rebind {
            rule = rule.rebind();
        }
        if document.release {
            rule = rule.release();
        }
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
            subjects = subjects.of_type(values::token_type("token_type", &name).map_err(D::Error::custom)?);
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

schema_of!(Rule as RuleDocument, "A rule: who may exchange what, or may not.");
schema_of!(Names as Either<Any, OneOrMore<String>>, "The word `any`, one name, or a list of names.");
schema_of!(Subjects as Either<Any, SubjectsDocument>, "The word `any`, or conditions that all must hold.");
schema_of!(
    Actors as Either<ClientItself, Either<Any, Vec<Party>>>,
    "The word `client` or `any`, or a list of parties."
);
