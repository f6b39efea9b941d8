use crate::records::collected;
use crate::{jose::media_type, protocol::TokenType};
use serde_json::Value;

/// What a token of one declared type must look like, beyond what the type itself demands.
///
/// The type demands what keeps one kind of token from passing as another (RFC 8725 section 3.12), and a record cannot
/// lift that: see the table in [`issuers`](crate::manual::issuers). These rules narrow it, for an issuer whose tokens say more.
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
    /// The rules for tokens that are declared to be of this type: so far only what the type itself demands.
    ///
    /// A type of your own is held to what `jwt` demands.
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

    /// The header's `typ` must be there and be one of these media types (RFC 7515 section 4.1.9): in any case, with or
    /// without `application/`. Default: what the type demands.
    pub fn typ<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.typ = types.into_iter().map(|typ| media_type(&typ.into())).collect();
        self
    }

    /// The claim must be there, whatever its value.
    pub fn require(mut self, claim: impl Into<String>) -> Self {
        self.required.push((claim.into(), None));
        self
    }

    /// The claim must be there with exactly this value.
    pub fn require_value(mut self, claim: impl Into<String>, value: impl Into<Value>) -> Self {
        self.required.push((claim.into(), Some(value.into())));
        self
    }

    /// The claim must not be there.
    pub fn forbid(mut self, claim: impl Into<String>) -> Self {
        self.forbidden.push(claim.into());
        self
    }

    /// What `aud` must name, at least one of. For a foreign `jwt` this takes the place of
    /// [`Issuer::accepted_audiences`](super::Issuer::accepted_audiences); for other tokens it comes on top.
    pub fn audiences<T: Into<String>>(mut self, audiences: impl IntoIterator<Item = T>) -> Self {
        self.audiences = collected(audiences);
        self
    }

    /// The claim that names the client to which the token was issued. Default: `client_id`, else `azp`.
    pub fn presenter_claim(mut self, claim: impl Into<String>) -> Self {
        self.presenter_claim = Some(claim.into());
        self
    }

    /// The claim that holds the scope, as one string or as an array of collected. Default: `scope`, which is one string
    /// (RFC 8693 section 4.2).
    pub fn scope_claim(mut self, claim: impl Into<String>) -> Self {
        self.scope_claim = Some(claim.into());
        self
    }
}

impl TokenRules {
    /// Whether both are one but for the type that they are about.
    pub(crate) fn demands_the_same(&self, other: &Self) -> bool {
        *self == Self { token_type: self.token_type.clone(), ..other.clone() }
    }
}

/// What the type of a token demands; no token can satisfy two of them.
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

/// Media types of tokens that have a purpose of their own and are never subject or actor tokens, in lower case.
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
