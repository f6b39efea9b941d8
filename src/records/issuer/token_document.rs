//! The description of tokens in a document.

use super::TokenRules;
use crate::{
    protocol::TokenType,
    records::{
        ClientId,
        values::{self, OneOrMany},
    },
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What the tokens of one type look like.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table that describes tokens")]
pub(super) struct TokensDocument {
    /// The declared type: a URI, or one of the short names `jwt`, `access_token` and `id_token`.
    #[serde(rename = "type")]
    token_type: Option<String>,
    /// The accepted media types in the header `typ`.
    #[serde(default)]
    typ: Vec<String>,
    /// The claims that a token needs, with any value.
    #[serde(default)]
    require: Vec<String>,
    /// The claims that a token needs, with their values.
    #[serde(default)]
    require_value: Map<String, Value>,
    /// The claims that no token has.
    #[serde(default)]
    forbid: Vec<String>,
    /// The values of `aud` of which a token needs one.
    #[serde(default)]
    audiences: Vec<String>,
    /// The claim that names the client that the token was issued to, or a list of which the first present claim counts.
    #[cfg_attr(feature = "schema", schemars(with = "crate::records::schema::OneOrMore<String>"))]
    #[serde(default, deserialize_with = "values::one_or_more")]
    presenter_claim: Vec<String>,
    /// The claim with the scope (a string or an array of strings), or a list of which the first present claim counts.
    #[cfg_attr(feature = "schema", schemars(with = "crate::records::schema::OneOrMore<String>"))]
    #[serde(default, deserialize_with = "values::one_or_more")]
    scope_claim: Vec<String>,
    /// The claim that names the subject of a token without `sub`.
    subject_claim: Option<String>,
    /// The claims whose values are always verified, although the tokens do not say so, such as `email`.
    #[serde(default)]
    always_verified: Vec<String>,
    /// The audience of a token without `aud`.
    absent_aud: Option<String>,
    /// The audience of a token whose `aud` is an empty array.
    empty_aud: Option<String>,
    /// Whether the presenters and the client of a token without `aud` may present the token.
    allow_absent_aud: Option<bool>,
    /// Whether the presenters and the client of a token with an empty `aud` may present the token.
    allow_empty_aud: Option<bool>,
    /// The values of `aud` that name no service.
    #[serde(default)]
    ignored_audiences: Vec<String>,
    /// The clients that may present every token of this type.
    #[serde(default)]
    presenters: Vec<ClientId>,
    /// Whether an access token needs no `typ` in its header.
    allow_untyped: Option<bool>,
    /// Whether a JWT that a key of the issuer signed needs no `iss`.
    allow_absent_iss: Option<bool>,
}

/// Reads the rules of all types. Tokens whose type is not given have the default type.
pub(super) fn rules(tokens: OneOrMany<TokensDocument>, default: Option<&TokenType>) -> Result<Vec<TokenRules>, String> {
    let mut all: Vec<TokenRules> = Vec::new();
    for document in tokens.into_vec() {
        let rules = document.into_rules(default)?;
        if all.iter().any(|before| before.token_type == rules.token_type) {
            return Err(format!("tokens: `{}` occurs twice: keep one entry", rules.token_type));
        }
        all.push(rules);
    }
    Ok(all)
}

impl TokensDocument {
    fn into_rules(self, default: Option<&TokenType>) -> Result<TokenRules, String> {
        let token_type = match (self.token_type, default) {
            (Some(name), _) => values::token_type("tokens: type", &name)?,
            (None, Some(default)) => default.clone(),
            (None, None) => return Err("tokens: `type` is missing: give `jwt`, `access_token` or `id_token`".into()),
        };
        let mut rules = TokenRules::new(token_type)
            .typ(self.typ)
            .audiences(self.audiences)
            .ignored_audiences(self.ignored_audiences)
            .presenters(self.presenters);
        for claim in self.require {
            rules = rules.require(claim);
        }
        for (claim, value) in self.require_value {
            rules = rules.require_value(claim, value);
        }
        for claim in self.forbid {
            rules = rules.forbid(claim);
        }
        Ok(TokenRules {
            presenter_claims: self.presenter_claim,
            scope_claims: self.scope_claim,
            subject_claim: self.subject_claim,
            always_verified: self.always_verified,
            absent_aud: self.absent_aud,
            empty_aud: self.empty_aud,
            untyped: self.allow_untyped,
            without_aud: self.allow_absent_aud,
            with_empty_aud: self.allow_empty_aud,
            without_iss: self.allow_absent_iss,
            ..rules
        })
    }
}
