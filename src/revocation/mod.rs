//! The revocations of issued tokens, and the stores that remember the revocations.

#[cfg(feature = "revocation-file")]
mod file;
mod memory;
mod shares;

#[cfg(feature = "revocation-file")]
pub use file::{FileRevocations, RevocationFileError};
pub use memory::{MemoryRevocations, RevocationsFull};

use crate::{
    plug::{BoxPlug, Failing, Plug, ask},
    protocol::{ClientId, NumericDate, Reason, Rejection, TokenId, refuse},
};
use std::time::Duration;

pub(crate) type RevocationPart = BoxPlug<RevocationQuestion, RevocationState>;

const FAILING: Failing = Failing { unavailable: Reason::RevocationsUnavailable, panicked: Reason::RevocationsPanicked };

/// A store of revocations: a service that answers a [`RevocationQuestion`] with a [`RevocationState`].
///
/// The layer tells the store about every revocation of a token that the layer issued (RFC 7009). The layer asks the
/// store about every own token with a `jti` that is exchanged or introspected. If the store returns an error, the
/// exchange, the introspection or the revocation is answered with 503.
///
/// A store that cannot grow without end gives each client a share, by the `holder` of
/// [`Revoke`](RevocationQuestion::Revoke). A client that has its share gets [`RevocationState::ShareUsed`].
///
/// [`MemoryRevocations`] loses the revocations when the process ends; `FileRevocations` (feature `revocation-file`) keeps
/// the revocations. If several processes serve one authorization server, all of them need one shared store.
///
/// ```
/// use std::{collections::HashSet, convert::Infallible, sync::{Arc, Mutex}};
/// use tower::ServiceExt;
/// use tower_token_exchange::{
///     revocation::{RevocationQuestion, RevocationState, RevocationStore},
///     token::NumericDate,
/// };
///
/// fn store() -> impl RevocationStore {
///     // The set takes the place of a database that all processes share.
///     let revoked = Arc::new(Mutex::new(HashSet::new()));
///     tower::service_fn(move |question: RevocationQuestion| {
///         let revoked = Arc::clone(&revoked);
///         async move {
///             let mut revoked = revoked.lock().unwrap();
///             let is_revoked = match question {
///                 RevocationQuestion::Revoke { jti, .. } => { revoked.insert(jti); true }
///                 RevocationQuestion::IsRevoked { jti, .. } => revoked.contains(&jti),
///                 _ => false,
///             };
///             Ok::<_, Infallible>(if is_revoked { RevocationState::Revoked } else { RevocationState::NotRevoked })
///         }
///     })
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = store();
/// let (now, expires_at) = (NumericDate::from_seconds(100), NumericDate::from_seconds(400));
/// for question in [RevocationQuestion::revoke("a", "orders", now, expires_at), RevocationQuestion::is_revoked("a")] {
///     assert!(matches!(store.clone().oneshot(question).await, Ok(RevocationState::Revoked)));
/// }
/// let other = store.oneshot(RevocationQuestion::is_revoked("b")).await;
/// assert!(matches!(other, Ok(RevocationState::NotRevoked)));
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a revocation store",
    label = "not a `tower::Service<RevocationQuestion, Response = RevocationState>`",
    note = "wrap an async closure: `tower::service_fn(|question: RevocationQuestion| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait RevocationStore: Plug<RevocationQuestion, RevocationState> {}

impl<S: Plug<RevocationQuestion, RevocationState>> RevocationStore for S {}

/// A question to a [`RevocationStore`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationQuestion {
    /// Asks the store to remember the revocation of a token. A repeated question changes nothing.
    ///
    /// The store answers [`RevocationState::Revoked`] as soon as the store will not lose the revocation any more.
    #[non_exhaustive]
    Revoke {
        /// The name of the token (RFC 7519 section 4.1.7).
        jti: TokenId,
        /// The client to which the token was issued, which revokes the token.
        holder: ClientId,
        /// The current time.
        now: NumericDate,
        /// The expiry time of the token. The store may forget the revocation after this time.
        until: NumericDate,
    },
    /// Asks whether a token was revoked.
    #[non_exhaustive]
    IsRevoked {
        /// The name of the token.
        jti: TokenId,
    },
}

impl RevocationQuestion {
    /// The question that revokes a token. `holder` is the client to which the token was issued, and `until` is the expiry
    /// time of the token.
    pub fn revoke(jti: impl Into<TokenId>, holder: impl Into<ClientId>, now: NumericDate, until: NumericDate) -> Self {
        Self::Revoke { jti: jti.into(), holder: holder.into(), now, until }
    }

    /// The question whether a token was revoked.
    pub fn is_revoked(jti: impl Into<TokenId>) -> Self {
        Self::IsRevoked { jti: jti.into() }
    }
}

/// The answer of a [`RevocationStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationState {
    /// The token was revoked.
    Revoked,
    /// The token was not revoked.
    NotRevoked,
    /// The store did not take the revocation, because the holder of the token has its share of the store. The client gets
    /// 429 with `Retry-After` (RFC 6585 section 4).
    ShareUsed {
        /// The time at which the client can revoke again.
        retry_at: NumericDate,
    },
}

/// Asks the store whether a token was revoked.
pub(crate) async fn is_revoked(store: &RevocationPart, jti: impl Into<TokenId>) -> Result<bool, Rejection> {
    match ask(store, RevocationQuestion::is_revoked(jti), FAILING).await? {
        RevocationState::Revoked => Ok(true),
        RevocationState::NotRevoked => Ok(false),
        RevocationState::ShareUsed { .. } => {
            Err(refuse(Reason::RevocationsUnavailable).with_detail("the store did not say whether a token is revoked"))
        }
    }
}

/// Tells the store that a token was revoked. A store that does not confirm the revocation has failed.
pub(crate) async fn revoke(
    store: &RevocationPart,
    jti: &str,
    holder: &ClientId,
    now: NumericDate,
    until: NumericDate,
) -> Result<(), Rejection> {
    match ask(store, RevocationQuestion::revoke(jti, holder, now, until), FAILING).await? {
        RevocationState::Revoked => Ok(()),
        RevocationState::ShareUsed { retry_at } => {
            let wait = Duration::from_secs(retry_at.seconds().saturating_sub(now.seconds()));
            let rejection = refuse(Reason::RevocationShareUsed).with_retry_after(wait);
            Err(rejection.with_detail(format_args!("client `{holder}`, jti `{jti}`")))
        }
        RevocationState::NotRevoked => {
            Err(refuse(Reason::RevocationsUnavailable).with_detail("the store did not take the revocation"))
        }
    }
}
