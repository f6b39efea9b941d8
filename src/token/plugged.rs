use crate::{
    jose::Claims,
    plug::{BoxPlug, Failing, Plug, ask},
    protocol::{Reason, Rejection, Sensitive, TokenType, refuse},
};
use serde_json::Value;

pub(crate) type TokenVerifierPart = BoxPlug<TokenToVerify, Verification>;

const FAILING: Failing =
    Failing { unavailable: Reason::TokenVerifierUnavailable, panicked: Reason::TokenVerifierPanicked };

/// What a token is handed in as (RFC 8693 section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenRole {
    /// On whose behalf the request is made.
    Subject,
    /// Who acts.
    Actor,
}

/// What a token verifier is: it answers a [`TokenToVerify`] with a [`Verification`].
///
/// For tokens that are no JWT, such as SAML assertions. It is registered for a token type, and an issuer's record must
/// take that type. Whatever it vouches for is then held to the record of the issuer that it names, as a JWT would be.
///
/// ```
/// use serde_json::json;
/// use tower_token_exchange::token::{TokenToVerify, TokenVerifier, Verification};
///
/// fn assert_verifier<V: TokenVerifier>(_: &V) {}
///
/// let saml = tower::service_fn(|question: TokenToVerify| async move {
///     let Some(assertion) = parsed_and_signature_checked(question.expose()) else {
///         return Ok(Verification::rejected("not an assertion of ours"));
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

/// The question to a [`TokenVerifier`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenToVerify {
    token: Sensitive,
    /// The declared type.
    pub token_type: TokenType,
    /// What it is handed in as.
    pub role: TokenRole,
}

impl TokenToVerify {
    /// A question, to test a verifier of your own.
    pub fn new(token: impl Into<String>, token_type: TokenType, role: TokenRole) -> Self {
        Self { token: Sensitive::new(token.into()), token_type, role }
    }

    /// The token as it came, of at most 64 KiB and without control characters.
    pub fn expose(&self) -> &str {
        self.token.expose()
    }
}

/// The answer of a [`TokenVerifier`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verification {
    /// The token is genuine, and this is what it says, in the claims of a JWT (RFC 7519 section 4.1): `iss`, `sub`,
    /// `aud` and `exp` are needed.
    Verified(Claims),
    /// It is not.
    #[non_exhaustive]
    Rejected {
        /// Why, for the audit.
        why: String,
    },
}

impl Verification {
    /// A genuine token that says this.
    pub fn verified<N: Into<String>>(claims: impl IntoIterator<Item = (N, Value)>) -> Self {
        Self::Verified(claims.into_iter().collect())
    }

    /// A token that is not genuine; the words go to the audit, never to the client.
    pub fn rejected(why: impl Into<String>) -> Self {
        Self::Rejected { why: why.into() }
    }
}

pub(super) async fn claims_by(verifier: &TokenVerifierPart, question: TokenToVerify) -> Result<Claims, Rejection> {
    match ask(verifier, question, FAILING).await? {
        Verification::Verified(claims) => Ok(claims),
        Verification::Rejected { why } => Err(refuse(Reason::TokenVerifierRejected).with_detail(why)),
    }
}
