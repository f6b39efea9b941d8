//! The revocations of issued tokens, and the stores that remember the revocations.

#[cfg(feature = "revocation-file")]
mod file;
mod memory;

#[cfg(feature = "revocation-file")]
pub use file::{FileRevocations, RevocationFileError};
pub use memory::{MemoryRevocations, RevocationsFull};

use crate::{
    plug::{BoxPlug, Failing, Plug, ask},
    protocol::{NumericDate, Reason, Rejection, TokenId, refuse},
};

pub(crate) type RevocationPart = BoxPlug<RevocationQuestion, RevocationState>;

const FAILING: Failing = Failing { unavailable: Reason::RevocationsUnavailable, panicked: Reason::RevocationsPanicked };

/// A store of revocations: a service that answers a [`RevocationQuestion`] with a [`RevocationState`].
///
/// The layer tells the store about every revocation of a token that the layer issued (RFC 7009). The layer asks the
/// store about every own token with a `jti` that is exchanged or introspected. If the store returns an error, the
/// exchange, the introspection or the revocation is answered with 503.
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
/// for question in [RevocationQuestion::revoke("a", now, expires_at), RevocationQuestion::is_revoked("a")] {
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
    /// The question that revokes a token. `until` is the expiry time of the token.
    pub fn revoke(jti: impl Into<TokenId>, now: NumericDate, until: NumericDate) -> Self {
        Self::Revoke { jti: jti.into(), now, until }
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
}

/// Asks the store whether a token was revoked.
pub(crate) async fn is_revoked(store: &RevocationPart, jti: impl Into<TokenId>) -> Result<bool, Rejection> {
    let state = ask(store, RevocationQuestion::is_revoked(jti), FAILING).await?;
    Ok(state == RevocationState::Revoked)
}

/// Tells the store that a token was revoked. A store that does not confirm the revocation has failed.
pub(crate) async fn revoke(
    store: &RevocationPart,
    jti: impl Into<TokenId>,
    now: NumericDate,
    until: NumericDate,
) -> Result<(), Rejection> {
    match ask(store, RevocationQuestion::revoke(jti, now, until), FAILING).await? {
        RevocationState::Revoked => Ok(()),
        RevocationState::NotRevoked => {
            Err(refuse(Reason::RevocationsUnavailable).with_detail("the store did not take the revocation"))
        }
    }
}
