use crate::{
    jose::short_media_type,
    protocol::TokenType,
    records::{ClientId, collected},
};
use serde_json::Value;

/// What the tokens of one declared type of an issuer look like, and what a claim means that the tokens do not have.
///
/// Each type has fixed requirements that keep one kind of token from passing as another kind (RFC 8725 section 3.12). The
/// page [`issuers`](crate::manual::issuers) lists these requirements. Rules add requirements, and name the claims of
/// issuers that do not write the standard claims.
///
/// By default, a token without `iss`, `sub` or `aud` is refused. A method whose name contains `absent`, `empty` or
/// `allow` states what such a token means. [`Issuer::statements`](super::Issuer::statements) lists all statements.
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
    /// The claims that name the client of a token. The first claim that the token has counts.
    pub(crate) presenter_claims: Vec<String>,
    /// The claims with the scope. The first claim that the token has counts.
    pub(crate) scope_claims: Vec<String>,
    /// The claim that names the subject of a token without `sub`.
    pub(crate) subject_claim: Option<String>,
    /// The claims whose values the issuer has always verified.
    pub(crate) always_verified: Vec<String>,
    pub(crate) absent_aud: Option<String>,
    pub(crate) empty_aud: Option<String>,
    pub(crate) ignored_audiences: Vec<String>,
    pub(crate) presenters: Vec<ClientId>,
    // `None` means that nothing was said, so that a preset decides.
    pub(crate) untyped: Option<bool>,
    pub(crate) without_aud: Option<bool>,
    pub(crate) with_empty_aud: Option<bool>,
    pub(crate) without_iss: Option<bool>,
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
            presenter_claims: Vec::new(),
            scope_claims: Vec::new(),
            subject_claim: None,
            always_verified: Vec::new(),
            absent_aud: None,
            empty_aud: None,
            ignored_audiences: Vec::new(),
            presenters: Vec::new(),
            untyped: None,
            without_aud: None,
            with_empty_aud: None,
            without_iss: None,
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
    pub fn presenter_claim(self, claim: impl Into<String>) -> Self {
        self.presenter_claims([claim])
    }

    /// Sets the claims that can name the client that the token was issued to. The first claim that a token has counts.
    ///
    /// In a document, the key `presenter_claim` is one claim or a list of claims.
    pub fn presenter_claims<T: Into<String>>(mut self, claims: impl IntoIterator<Item = T>) -> Self {
        self.presenter_claims = collected(claims);
        self
    }

    /// Sets the claim with the scope, which can be a string or an array of strings. Default: `scope`, which is a string
    /// (RFC 8693 section 4.2).
    ///
    /// For an issuer whose `scope` is an array of strings, name the claim `scope`.
    pub fn scope_claim(self, claim: impl Into<String>) -> Self {
        self.scope_claims([claim])
    }

    /// Sets the claims that can have the scope. The first claim that a token has counts.
    ///
    /// In a document, the key `scope_claim` is one claim or a list of claims.
    pub fn scope_claims<T: Into<String>>(mut self, claims: impl IntoIterator<Item = T>) -> Self {
        self.scope_claims = collected(claims);
        self
    }

    /// Sets the claim that names the subject of a token without `sub`, such as `username` (RFC 7662 section 2.2).
    ///
    /// The value has to be a string. A token with `sub` keeps its `sub`, so the issuer must not use one name for a `sub`
    /// and for the value of this claim.
    ///
    /// Unless the claim also names the client that the token was issued to, such as `client_id`, the subject is a user. A token
    /// of our own issuer is refused if its user has the id of a client.
    ///
    /// A claim such as `email` needs a statement of the issuer that the value is verified
    /// ([`always_verified`](Self::always_verified)).
    ///
    /// Default: a token without `sub` is refused.
    pub fn subject_claim(mut self, claim: impl Into<String>) -> Self {
        self.subject_claim = Some(claim.into());
        self
    }

    /// States that the issuer has verified the values of these claims in every token, for an issuer that does not write
    /// `email_verified` or `phone_number_verified` (OpenID Connect Core 1.0 section 5.1).
    ///
    /// The statement concerns claims that name the subject ([`SubjectMapping::Claim`](super::SubjectMapping::Claim) and
    /// [`subject_claim`](Self::subject_claim)). A token that says `false` is refused in any case.
    ///
    /// Default: a token whose subject is named by `email` needs `email_verified`, and a token whose subject is named by
    /// `phone_number` needs `phone_number_verified`, with the value `true`.
    ///
    /// ```
    /// use tower_token_exchange::{Issuer, TokenType, records::{SubjectMapping, TokenRules}};
    ///
    /// let idp = Issuer::new("https://idp.example")
    ///     .jwks_uri("https://idp.example/jwks")
    ///     .accept(TokenRules::new(TokenType::JWT).always_verified(["email"]))
    ///     .map_subjects(SubjectMapping::Claim("email".into()));
    /// # let _ = idp;
    /// ```
    pub fn always_verified<T: Into<String>>(mut self, claims: impl IntoIterator<Item = T>) -> Self {
        self.always_verified = collected(claims);
        self
    }

    /// States the audience of tokens without `aud`: such a token is read as a token for this audience.
    ///
    /// Default: a subject token without `aud` is refused.
    pub fn absent_aud(mut self, audience: impl Into<String>) -> Self {
        self.absent_aud = Some(audience.into());
        self
    }

    /// States the audience of tokens whose `aud` is an empty array: such a token is read as a token for this audience.
    ///
    /// Default: a subject token with an empty `aud` is refused.
    pub fn empty_aud(mut self, audience: impl Into<String>) -> Self {
        self.empty_aud = Some(audience.into());
        self
    }

    /// Accepts tokens of our own issuer without `aud`. Nobody is the audience of such a token, so only two groups of
    /// clients may present the token: the [`presenters`](Self::presenters), and the client that the token was issued to,
    /// if its record has [`Client::allow_self_exchange`](crate::Client::allow_self_exchange).
    ///
    /// [`absent_aud`](Self::absent_aud) has precedence.
    pub fn allow_absent_aud(mut self) -> Self {
        self.without_aud = Some(true);
        self
    }

    /// Accepts tokens of our own issuer whose `aud` is an empty array. The clients that may present such a token are
    /// those of [`allow_absent_aud`](Self::allow_absent_aud).
    ///
    /// [`empty_aud`](Self::empty_aud) has precedence.
    pub fn allow_empty_aud(mut self) -> Self {
        self.with_empty_aud = Some(true);
        self
    }

    /// Sets values of `aud` that name no service, such as the `account` of Keycloak or the address of `/userinfo`.
    ///
    /// The layer reads the token as if these values were not there. An `aud` that has only such values counts as absent.
    pub fn ignored_audiences<T: Into<String>>(mut self, audiences: impl IntoIterator<Item = T>) -> Self {
        self.ignored_audiences = collected(audiences);
        self
    }

    /// Permits these clients to present every token of this type, also a token whose `aud` and presenter name somebody
    /// else. [`Issuer::allow_presenters`](super::Issuer::allow_presenters) does the same for all types.
    ///
    /// A token without `aud` needs a statement such as [`allow_absent_aud`](Self::allow_absent_aud) too.
    pub fn presenters<T: Into<ClientId>>(mut self, client_ids: impl IntoIterator<Item = T>) -> Self {
        self.presenters = collected(client_ids);
        self
    }

    /// Accepts access tokens without the header `typ: at+jwt`, as
    /// [`Issuer::allow_untyped_access_tokens`](super::Issuer::allow_untyped_access_tokens) does. The statement is for
    /// rules of the type `access_token` only.
    pub fn allow_untyped(mut self) -> Self {
        self.untyped = Some(true);
        self
    }

    /// Accepts JWTs without `iss`, if a key of this issuer signed the JWT.
    ///
    /// Only one record can have this statement, and no other record can have the same key set: otherwise the signature
    /// would not show the issuer. An introspection answer needs no `iss` in any case.
    pub fn allow_absent_iss(mut self) -> Self {
        self.without_iss = Some(true);
        self
    }
}

impl TokenRules {
    /// Whether both rules differ at most in their type.
    pub(crate) fn demands_the_same(&self, other: &Self) -> bool {
        *self == Self { token_type: self.token_type.clone(), untyped: self.untyped, ..other.clone() }
    }

    /// These rules, and the parts of other rules of which these rules say nothing.
    pub(crate) fn over(self, base: Self) -> Self {
        let or = |own: Vec<String>, base: Vec<String>| if own.is_empty() { base } else { own };
        let mut required = base.required;
        required.retain(|(claim, _)| self.required.iter().all(|(own, _)| own != claim));
        required.extend(self.required);
        let mut forbidden = base.forbidden;
        forbidden.retain(|claim| required.iter().all(|(own, _)| own != claim) && !self.forbidden.contains(claim));
        forbidden.extend(self.forbidden);
        let mut ignored_audiences = base.ignored_audiences;
        ignored_audiences.extend(self.ignored_audiences);
        Self {
            token_type: self.token_type,
            typ: or(self.typ, base.typ),
            required,
            forbidden,
            audiences: or(self.audiences, base.audiences),
            presenter_claims: or(self.presenter_claims, base.presenter_claims),
            scope_claims: or(self.scope_claims, base.scope_claims),
            subject_claim: self.subject_claim.or(base.subject_claim),
            always_verified: or(self.always_verified, base.always_verified),
            absent_aud: self.absent_aud.or(base.absent_aud),
            empty_aud: self.empty_aud.or(base.empty_aud),
            ignored_audiences,
            presenters: if self.presenters.is_empty() { base.presenters } else { self.presenters },
            untyped: self.untyped.or(base.untyped),
            without_aud: self.without_aud.or(base.without_aud),
            with_empty_aud: self.with_empty_aud.or(base.with_empty_aud),
            without_iss: self.without_iss.or(base.without_iss),
        }
    }
}
