//! What has to be remembered beyond a request: the tokens that were revoked.

#[cfg(feature = "revocation-file")]
mod file;
mod memory;

#[cfg(feature = "revocation-file")]
pub use file::{FileRevocations, RevocationFileError};
pub use memory::{MemoryRevocations, RevocationsFull};

use crate::{
    plug::{BoxPlug, Failing, Plug, ask},
    protocol::{Reason, Rejection, refuse},
};

pub(crate) type RevocationPart = BoxPlug<RevocationQuestion, RevocationState>;

const FAILING: Failing = Failing { unavailable: Reason::RevocationsUnavailable, panicked: Reason::RevocationsPanicked };

/// What a revocation store is: it answers a [`RevocationQuestion`] with a [`RevocationState`].
///
/// It is told of every token issued here that is revoked (RFC 7009), and asked about every token of this authorization
/// server's own that is handed in or introspected and has a name (`jti`). An `Err` fails closed: the exchange, the
/// introspection or the revocation is answered with 503.
///
/// [`MemoryRevocations`] is lost with the process, [`FileRevocations`](crate::revocation::FileRevocations) is not. Where several
/// processes serve one authorization server, they need one store between them.
///
/// ```
/// use std::{collections::HashSet, convert::Infallible, sync::{Arc, Mutex}};
/// use tower_token_exchange::revocation::{RevocationQuestion, RevocationState, RevocationStore};
///
/// fn assert_store<S: RevocationStore>(_: &S) {}
///
/// // Stands in for a table that all processes share.
/// let revoked = Arc::new(Mutex::new(HashSet::new()));
/// let store = tower::service_fn(move |question: RevocationQuestion| {
///     let revoked = Arc::clone(&revoked);
///     async move {
///         let mut revoked = revoked.lock().unwrap();
///         let is_revoked = match question {
///             RevocationQuestion::Revoke { jti, .. } => { revoked.insert(jti); true }
///             RevocationQuestion::IsRevoked { jti, .. } => revoked.contains(&jti),
///             _ => false,
///         };
///         Ok::<_, Infallible>(if is_revoked { RevocationState::Revoked } else { RevocationState::NotRevoked })
///     }
/// });
/// assert_store(&store);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a revocation store",
    label = "not a `tower::Service<RevocationQuestion, Response = RevocationState>`",
    note = "wrap an async closure: `tower::service_fn(|question: RevocationQuestion| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait RevocationStore: Plug<RevocationQuestion, RevocationState> {}

impl<S: Plug<RevocationQuestion, RevocationState>> RevocationStore for S {}

/// What a [`RevocationStore`] is told or asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationQuestion {
    /// Remember that this token was revoked. To be told twice changes nothing. The answer is
    /// [`RevocationState::Revoked`], given when it will not be forgotten any more.
    #[non_exhaustive]
    Revoke {
        /// The token's name (RFC 7519 section 4.1.7).
        jti: String,
        /// Now, in seconds since 1970.
        now: u64,
        /// When the token expires, in seconds since 1970: what is remembered can be forgotten then.
        until: u64,
    },
    /// Was it?
    #[non_exhaustive]
    IsRevoked {
        /// The token's name.
        jti: String,
    },
}

/// The answer of a [`RevocationStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationState {
    /// The token was revoked.
    Revoked,
    /// Nobody said so.
    NotRevoked,
}

pub(crate) async fn is_revoked(store: &RevocationPart, jti: &str) -> Result<bool, Rejection> {
    let state = ask(store, RevocationQuestion::IsRevoked { jti: jti.to_owned() }, FAILING).await?;
    Ok(state == RevocationState::Revoked)
}

/// An answer other than that it is revoked now is none.
pub(crate) async fn revoke(store: &RevocationPart, jti: &str, now: u64, until: u64) -> Result<(), Rejection> {
    let question = RevocationQuestion::Revoke { jti: jti.to_owned(), now, until };
    match ask(store, question, FAILING).await? {
        RevocationState::Revoked => Ok(()),
        RevocationState::NotRevoked => Err(refuse(Reason::RevocationsUnavailable).because("it did not take it")),
    }
}
