use crate::{jose::short_media_type, protocol::TokenType, records::collected};
use serde_json::Value;

/// Rules for the tokens of one declared type of an issuer.
///
/// Each type has fixed requirements that keep one kind of token from passing as another kind (RFC 8725 section 3.12). The
/// page [`issuers`](crate::manual::issuers) lists these requirements. Rules add requirements; they cannot remove a fixed
/// requirement.
///
/// ```
/// use tower_token_exchange::{Issuer, TokenType, records::TokenRules};
///
/// let idp = Issuer::new("https://idp.example").accept(
///     TokenRules::new(TokenType::JWT)
///         .typ(["at+jwt"])
///         .audiences(["https://as.example/exchange"])
///         .require("azp")
///         .require_value("ver", "2.0")
///         .forbid("nonce"),
/// );
/// # let _ = idp;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct TokenRules {
    pub(crate) token_type: TokenType,
    pub(crate) typ: Vec<String>,
    pub(crate) required: Vec<(String, Option<Value>)>,
    pub(crate) forbidden: Vec<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) presenter_claim: Option<String>,
    pub(crate) scope_claim: Option<String>,
}

impl TokenRules {
    /// Creates rules without additional requirements. A type of your own has the fixed requirements of `jwt`.
    pub fn new(token_type: TokenType) -> Self {
        Self {
            token_type,
            typ: Vec::new(),
            required: Vec::new(),
            forbidden: Vec::new(),
            audiences: Vec::new(),
            presenter_claim: None,
            scope_claim: None,
        }
    }

    /// Requires the header `typ`, with one of these media types (RFC 7515 section 4.1.9).
    ///
    /// Upper and lower case, and the prefix `application/`, make no difference. Default: the fixed requirement of the
    /// type.
    pub fn typ<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.typ = types.into_iter().map(|typ| short_media_type(&typ.into())).collect();
        self
    }

    /// Requires a claim, with any value.
    pub fn require(mut self, claim: impl Into<String>) -> Self {
        self.required.push((claim.into(), None));
        self
    }

    /// Requires a claim with exactly this value.
    pub fn require_value(mut self, claim: impl Into<String>, value: impl Into<Value>) -> Self {
        self.required.push((claim.into(), Some(value.into())));
        self
    }

    /// Refuses tokens with a claim.
    pub fn forbid(mut self, claim: impl Into<String>) -> Self {
        self.forbidden.push(claim.into());
        self
    }

    /// Requires one of these values in `aud`.
    ///
    /// For a `jwt` of a foreign issuer, these values replace
    /// [`Issuer::accepted_audiences`](super::Issuer::accepted_audiences). For all other tokens, this requirement is
    /// additional.
    pub fn audiences<T: Into<String>>(mut self, audiences: impl IntoIterator<Item = T>) -> Self {
        self.audiences = collected(audiences);
        self
    }

    /// Sets the claim that names the client that the token was issued to. Default: `client_id`, or `azp` without
    /// `client_id`.
    pub fn presenter_claim(mut self, claim: impl Into<String>) -> Self {
        self.presenter_claim = Some(claim.into());
        self
    }

    /// Sets the claim with the scope, which can be a string or an array of strings. Default: `scope`, which is a string
    /// (RFC 8693 section 4.2).
    pub fn scope_claim(mut self, claim: impl Into<String>) -> Self {
        self.scope_claim = Some(claim.into());
        self
    }
}

impl TokenRules {
    /// Whether both rules differ at most in their type.
    pub(crate) fn demands_the_same(&self, other: &Self) -> bool {
        *self == Self { token_type: self.token_type.clone(), ..other.clone() }
    }
}

/// The kinds of tokens with different fixed requirements. No token can meet the requirements of two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    AccessToken,
    IdToken,
    Jwt,
}

impl Kind {
    pub(crate) fn of(declared: &TokenType) -> Self {
        if *declared == TokenType::ACCESS_TOKEN {
            Self::AccessToken
        } else if *declared == TokenType::ID_TOKEN {
            Self::IdToken
        } else {
            Self::Jwt
        }
    }
}

/// The media types of tokens with another purpose, in lower case. They are never subject tokens or actor tokens.
const OTHER_KINDS: [&str; 14] = [
    "txntoken+jwt",
    "oauth-id-jag+jwt",
    "secevent+jwt",
    "logout+jwt",
    "dpop+jwt",
    "client-authentication+jwt",
    "oauth-client-attestation+jwt",
    "oauth-client-attestation-pop+jwt",
    "wit+jwt",
    "wpt+jwt",
    "token-introspection+jwt",
    "entity-statement+jwt",
    "oauth-authz-req+jwt",
    "rt+jwt",
];

pub(crate) fn is_other_kind(typ: &str) -> bool {
    OTHER_KINDS.contains(&typ)
}
