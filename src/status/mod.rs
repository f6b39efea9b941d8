//! Whether all who take part are still good.

use crate::{
    plug::{BoxPlug, Failing, Plug, ask},
    protocol::{Reason, Rejection, TokenType, refuse},
    records::Party,
    revocation::{RevocationPart, is_revoked},
    token::VerifiedToken,
};

pub(crate) type StatusPart = BoxPlug<StatusQuery, Status>;

const FAILING: Failing = Failing { unavailable: Reason::StatusUnavailable, panicked: Reason::StatusPanicked };

/// What a status check is: it answers a [`StatusQuery`] with a [`Status`].
///
/// It is asked at every exchange, after the tokens were validated and before the policy. A signature cannot show that
/// an account was disabled, a session ended or a token revoked since; this can.
///
/// ```
/// use tower_token_exchange::status::{Status, StatusCheck, StatusQuery};
///
/// fn assert_check<C: StatusCheck>(_: &C) {}
///
/// let check = tower::service_fn(|query: StatusQuery| async move {
///     let ended = ["session-7"];
///     Ok::<_, std::io::Error>(match query.subject_token.sid.as_deref() {
///         Some(session) if ended.contains(&session) => Status::refused("the session has ended"),
///         _ => Status::Good,
///     })
/// });
/// assert_check(&check);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a status check",
    label = "not a `tower::Service<StatusQuery, Response = Status>`",
    note = "wrap an async closure: `tower::service_fn(|query: StatusQuery| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait StatusCheck: Plug<StatusQuery, Status> {}

impl<S: Plug<StatusQuery, Status>> StatusCheck for S {}

/// What a [`StatusCheck`] is asked: whether all of these are still good.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StatusQuery {
    /// The client.
    pub client_id: String,
    /// On whose behalf, as the subject token's issuer names it.
    pub subject: Party,
    /// The `sub` that the issued token would have.
    pub issued_sub: String,
    /// Who would act.
    pub actor: Party,
    /// The ids of the targets' records.
    pub targets: Vec<String>,
    /// The subject token.
    pub subject_token: TokenReference,
    /// The actor token, if there is one.
    pub actor_token: Option<TokenReference>,
}

/// What a token is known by. The token itself is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenReference {
    /// The declared type.
    pub token_type: TokenType,
    /// Its issuer.
    pub iss: String,
    /// Its name (RFC 7519 section 4.1.7), if it has one.
    pub jti: Option<String>,
    /// The session that it was issued in (OpenID Connect Front-Channel Logout section 3), if it says.
    pub sid: Option<String>,
    /// When it was issued, in seconds since 1970, if it says.
    pub iat: Option<u64>,
    /// When it expires, in seconds since 1970.
    pub exp: u64,
}

impl TokenReference {
    pub(crate) fn from_token(token: &VerifiedToken) -> Self {
        let text = |claim| token.claims.get(claim).and_then(|value| value.as_str()).map(str::to_owned);
        Self {
            token_type: token.token_type.clone(),
            iss: token.issuer.id.to_string(),
            jti: text("jti"),
            sid: text("sid"),
            iat: token.claims.seconds("iat").ok().flatten(),
            exp: token.expires_at,
        }
    }
}

/// The answer of a [`StatusCheck`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// All of them are.
    Good,
    /// One of them is not.
    #[non_exhaustive]
    Refused {
        /// Which, and why, for the audit.
        why: String,
    },
}

impl Status {
    /// One of them is not good any more; the words go to the audit, never to the client.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into() }
    }
}

/// Who is asked whether all who take part are still good.
#[derive(Clone)]
pub(crate) struct StatusChecks {
    pub(crate) revocations: Option<RevocationPart>,
    pub(crate) status: Option<StatusPart>,
}

impl StatusChecks {
    /// Refuses the exchange if one of these tokens is revoked.
    pub(crate) async fn check_revocations(
        &self,
        tokens: impl Iterator<Item = &VerifiedToken>,
    ) -> Result<(), Rejection> {
        let Some(revocations) = &self.revocations else { return Ok(()) };
        for token in tokens {
            check_revocation(revocations, token).await?;
        }
        Ok(())
    }

    /// Asks the status check, if the layer has one.
    pub(crate) async fn check_status(&self, query: impl FnOnce() -> StatusQuery) -> Result<(), Rejection> {
        let Some(status) = &self.status else { return Ok(()) };
        match ask(status, query(), FAILING).await? {
            Status::Good => Ok(()),
            Status::Refused { why } => Err(refuse(Reason::StatusRefused).with_detail(why)),
        }
    }

    /// Whether the layer has a status check or a store of revocations.
    pub(crate) fn are_configured(&self) -> bool {
        self.status.is_some() || self.revocations.is_some()
    }
}

/// A token that this authorization server issued may have been revoked since, whatever it was declared to be.
async fn check_revocation(revocations: &RevocationPart, token: &VerifiedToken) -> Result<(), Rejection> {
    let jti = token.claims.text("jti").ok().flatten().filter(|_| token.own);
    let Some(jti) = jti else { return Ok(()) };
    if is_revoked(revocations, jti).await? {
        return Err(refuse(Reason::TokenRevoked).with_detail(format_args!("jti `{jti}`")));
    }
    Ok(())
}
