//! The status of tokens and parties at the time of an exchange: revocations, and a status check of your own.

mod check;

pub(crate) use check::{RevocationCheck, StatusChecks};

use crate::{
    plug::{BoxPlug, Plug},
    protocol::{ClientId, IssuerId, NumericDate, TargetId, TokenId, TokenType},
    records::{Party, SubjectId},
    token::VerifiedToken,
};

pub(crate) type StatusPart = BoxPlug<StatusQuery, Status>;

/// A status check: a service that answers a [`StatusQuery`] with a [`Status`].
///
/// The layer asks the status check at every exchange, after the tokens are validated and before the policy is asked. A
/// signature does not show that an account was disabled or that a session ended after the token was issued; a status
/// check does. If the status check returns an error, the exchange is answered with 503.
///
/// ```
/// use std::convert::Infallible;
/// use tower::ServiceExt;
/// use tower_token_exchange::{
///     TokenType,
///     records::Party,
///     status::{Status, StatusCheck, StatusQuery, TokenReference},
///     token::NumericDate,
/// };
///
/// fn session_check() -> impl StatusCheck {
///     tower::service_fn(|query: StatusQuery| async move {
///         let ended = ["session-7"];
///         Ok::<_, Infallible>(match query.subject_token.sid.as_deref() {
///             Some(session) if ended.contains(&session) => Status::refused("the session has ended"),
///             _ => Status::Good,
///         })
///     })
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut token = TokenReference::new(TokenType::ACCESS_TOKEN, "https://as.example", NumericDate::from_seconds(400));
/// token.sid = Some("session-7".to_owned());
/// let alice = Party::new("https://as.example", "alice");
/// let query = StatusQuery::new("orders", alice, "billing", token);
/// assert!(matches!(session_check().oneshot(query).await, Ok(Status::Refused { .. })));
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a status check",
    label = "not a `tower::Service<StatusQuery, Response = Status>`",
    note = "wrap an async closure: `tower::service_fn(|query: StatusQuery| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait StatusCheck: Plug<StatusQuery, Status> {}

impl<S: Plug<StatusQuery, Status>> StatusCheck for S {}

/// The question to a [`StatusCheck`]: the parties, the targets and the tokens of one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusQuery {
    /// The authenticated client.
    pub client_id: ClientId,
    /// The subject, under the name that the issuer of the subject token uses.
    pub subject: Party,
    /// The other names of the subject, as in [`Subject::other_names`](crate::policy::Subject::other_names). To refuse a
    /// subject in every exchange, compare these names too.
    pub subject_other_names: Vec<Party>,
    /// The `sub` that the issued token will have.
    pub issued_sub: SubjectId,
    /// The actor. Without an actor token, the actor is the client.
    pub actor: Party,
    /// The other names of the actor.
    pub actor_other_names: Vec<Party>,
    /// The ids of the target records.
    pub targets: Vec<TargetId>,
    /// The subject token.
    pub subject_token: TokenReference,
    /// The actor token, if the request has one.
    pub actor_token: Option<TokenReference>,
}

impl StatusQuery {
    /// The question about an exchange for one target, in which the client itself is the actor.
    ///
    /// `issued_sub` is the `sub` of the subject, and there is no actor token. To test a status check of your own, set
    /// the fields that the status check reads.
    pub fn new(
        client_id: impl Into<ClientId>,
        subject: Party,
        target: impl Into<TargetId>,
        subject_token: TokenReference,
    ) -> Self {
        let client_id = client_id.into();
        Self {
            subject_other_names: Vec::new(),
            issued_sub: subject.sub.clone(),
            actor: Party::new(&subject.iss, &client_id),
            actor_other_names: Vec::new(),
            client_id,
            subject,
            targets: vec![target.into()],
            subject_token,
            actor_token: None,
        }
    }
}

/// The claims that identify a token. The token itself is not included.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenReference {
    /// The type that the client declared for the token.
    pub token_type: TokenType,
    /// The issuer.
    pub iss: IssuerId,
    /// The name of the token (RFC 7519 section 4.1.7), if the token has a name.
    pub jti: Option<TokenId>,
    /// The session that the token was issued in (OpenID Connect Front-Channel Logout 1.0 section 3), if the token names
    /// the session.
    pub sid: Option<String>,
    /// The time of issue, if the token states the time.
    pub iat: Option<NumericDate>,
    /// The expiry time.
    pub exp: NumericDate,
}

impl TokenReference {
    /// A reference to a token without `jti`, `sid` and `iat`.
    pub fn new(token_type: TokenType, iss: impl Into<IssuerId>, exp: NumericDate) -> Self {
        Self { token_type, iss: iss.into(), jti: None, sid: None, iat: None, exp }
    }

    pub(crate) fn from_token(token: &VerifiedToken) -> Self {
        let text = |claim| token.claims.text(claim).ok().flatten();
        Self {
            token_type: token.token_type.clone(),
            iss: token.issuer.id.clone(),
            jti: text("jti").map(Into::into),
            sid: text("sid").map(str::to_owned),
            iat: token.claims.seconds("iat").ok().flatten().map(NumericDate::from_seconds),
            exp: token.expires_at,
        }
    }
}

/// The answer of a [`StatusCheck`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// All tokens and all parties are still valid.
    Good,
    /// A token or a party is not valid any more. The exchange is refused with `invalid_request`.
    #[non_exhaustive]
    Refused {
        /// The token or the party that is not valid, and why. The audit event quotes this text. The client never sees the
        /// text.
        reason: String,
    },
}

impl Status {
    /// Refuses the exchange. The audit event quotes the reason. The client never sees the reason.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}
