use crate::{
    jose::Claims,
    plug::{BoxPlug, Failing, Plug, ask},
    protocol::{Reason, Rejection, Sensitive, TokenType, named_values, refuse},
};
use serde_json::Value;

pub(crate) type TokenVerifierPart = BoxPlug<TokenToVerify, Verification>;

const FAILING: Failing =
    Failing { unavailable: Reason::TokenVerifierUnavailable, panicked: Reason::TokenVerifierPanicked };

/// The role of a token in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenRole {
    /// The token names the party on whose behalf an exchange is requested (RFC 8693 section 2.1).
    Subject,
    /// The token names the party that acts in an exchange (RFC 8693 section 2.1).
    Actor,
    /// The token gives access to a resource (RFC 6750).
    Access,
}

/// A plug that verifies tokens of one token type. The plug answers a [`TokenToVerify`] with a [`Verification`].
///
/// A token verifier is for tokens that are not JWTs, such as SAML assertions.
/// [`TokenExchangeBuilder::token_verifier`](crate::TokenExchangeBuilder::token_verifier) registers the verifier for a token
/// type, and the record of an issuer must accept that type. The claims that the verifier returns are then checked against
/// the record of the issuer that they name, like the claims of a JWT.
///
/// ```
/// use serde_json::json;
/// use tower_token_exchange::token::{TokenToVerify, TokenVerifier, Verification};
///
/// fn assert_verifier<V: TokenVerifier>(_: &V) {}
///
/// let saml = tower::service_fn(|question: TokenToVerify| async move {
///     let Some(assertion) = parsed_and_signature_checked(question.expose()) else {
///         return Ok(Verification::rejected("the signature of the assertion is not valid"));
///     };
///     Ok::<_, std::io::Error>(Verification::verified([
///         ("iss", json!(assertion.issuer)),              // Issuer
///         ("sub", json!(assertion.name_id)),             // Subject/NameID
///         ("aud", json!(assertion.audiences)),           // Conditions/AudienceRestriction
///         ("exp", json!(assertion.not_on_or_after)),     // Conditions/@NotOnOrAfter, seconds since 1970
///     ]))
/// });
/// assert_verifier(&saml);
/// # struct Assertion { issuer: String, name_id: String, audiences: Vec<String>, not_on_or_after: u64 }
/// # fn parsed_and_signature_checked(_: &str) -> Option<Assertion> { None }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a token verifier",
    label = "not a `tower::Service<TokenToVerify, Response = Verification>`",
    note = "wrap an async closure: `tower::service_fn(|token: TokenToVerify| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait TokenVerifier: Plug<TokenToVerify, Verification> {}

impl<S: Plug<TokenToVerify, Verification>> TokenVerifier for S {}

/// The question to a [`TokenVerifier`]: a token, its declared type and its role.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenToVerify {
    token: Sensitive,
    /// The token type that the client declared.
    pub token_type: TokenType,
    /// The role of the token in the request.
    pub role: TokenRole,
}

impl TokenRole {
    /// Every role.
    pub const ALL: &'static [Self] = &[Self::Subject, Self::Actor, Self::Access];

    /// Returns the name of the role, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Actor => "actor",
            Self::Access => "access",
        }
    }
}

named_values!(TokenRole, as_str, "`subject`, `actor` or `access`");

impl TokenToVerify {
    /// Creates a question. Use this method to test a verifier of your own.
    pub fn new(token: impl Into<String>, token_type: TokenType, role: TokenRole) -> Self {
        Self { token: Sensitive::new(token.into()), token_type, role }
    }

    /// Returns the token as the client sent it: at most 64 KiB, without control characters.
    pub fn expose(&self) -> &str {
        self.token.expose()
    }
}

/// The answer of a [`TokenVerifier`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verification {
    /// The token is genuine. The content of the token is given as the claims of a JWT (RFC 7519 section 4.1), of which
    /// `iss`, `sub`, `aud` and `exp` are needed.
    Verified(Claims),
    /// The token is not genuine.
    #[non_exhaustive]
    Rejected {
        /// The cause, for the audit event.
        why: String,
    },
}

impl Verification {
    /// Creates the answer for a genuine token with these claims.
    pub fn verified<N: Into<String>>(claims: impl IntoIterator<Item = (N, Value)>) -> Self {
        Self::Verified(claims.into_iter().collect())
    }

    /// Creates the answer for a token that is not genuine. The cause goes to the audit event and never to the client.
    pub fn rejected(why: impl Into<String>) -> Self {
        Self::Rejected { why: why.into() }
    }
}

/// Asks the verifier about a token, and returns the claims of a genuine token.
pub(super) async fn ask_for_claims(verifier: &TokenVerifierPart, question: TokenToVerify) -> Result<Claims, Rejection> {
    match ask(verifier, question, FAILING).await? {
        Verification::Verified(claims) => Ok(claims),
        Verification::Rejected { why } => Err(refuse(Reason::TokenVerifierRejected).with_detail(why)),
    }
}
