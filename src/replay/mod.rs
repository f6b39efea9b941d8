//! What may be used once: client assertions, DPoP proofs and one-time subject tokens, and the stores that remember each use.
//!
//! A stolen client assertion, DPoP proof or one-time subject token is worth nothing if its owner used it before. So the
//! layer asks a [`ReplayStore`] about each of them, and refuses what was used before.
//!
//! | store | remembers | for |
//! |---|---|---|
//! | [`MemoryReplayStore`] | until the process ends | one process, the default |
//! | `FileReplayStore` (feature `replay-file`) | also after a restart or a crash | one process |
//! | `RedisReplayStore` (feature `redis`) | as long as Redis does | several processes |
//!
//! The memory of each store is limited. A store that is full refuses what is new, and never forgets what has not expired. If the store
//! cannot be asked, the request is refused with 503.
//!
//! # When something is used
//!
//! A client assertion and a DPoP proof are used when they are checked. A
//! [one-time subject token](crate::Issuer::one_time_subject_tokens) is used after the new token is signed, and before the
//! client receives the new token. An exchange that is refused earlier leaves the subject token unused.
//!
//! The use of a subject token cannot be undone. If the store remembers the use and its answer is lost, or if the audit sink
//! fails afterwards, the client receives no token, and has to get another subject token.

#[cfg(feature = "replay-file")]
mod file;
mod key;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod replays;
mod uses;

#[cfg(feature = "replay-file")]
pub use file::{FileReplayStore, ReplayFileError};
pub use key::{UseKey, UseKind};
pub use memory::MemoryReplayStore;
#[cfg(feature = "redis")]
pub use redis::{RedisConfigError, RedisReplayStore, RedisReplayStoreBuilder, RedisRisk};

pub(crate) use replays::{ReplayPart, Replays};

use crate::{
    plug::Plug,
    protocol::{ClientId, NumericDate},
};
use std::time::Duration;

/// How long a store has to remember a use after the expiry time. In this time, a request whose check began before the expiry
/// time ends, and the clocks of several servers may differ.
const MARGIN: Duration = Duration::from_secs(60);

/// A replay store: a service that answers [`UseOnce`] with [`Used`].
///
/// The store looks up the key and remembers it in one step. Of any number of questions with one key, at any number of
/// servers that share the store, exactly one is answered with [`Used::First`].
///
/// The store keeps each key until [`UseOnce::remember_until`]. A store that can lose a key before that time, because its
/// memory is full or because a server fails, permits a second use.
///
/// ```
/// use std::{collections::HashSet, convert::Infallible, sync::{Arc, Mutex}};
/// use tower::ServiceExt;
/// use tower_token_exchange::{
///     replay::{ReplayStore, UseKey, UseKind, UseOnce, Used},
///     token::NumericDate,
/// };
///
/// fn store() -> impl ReplayStore {
///     // The set takes the place of a database that all servers share.
///     let keys = Arc::new(Mutex::new(HashSet::new()));
///     tower::service_fn(move |question: UseOnce| {
///         let is_new = keys.lock().unwrap().insert(question.key);
///         async move { Ok::<_, Infallible>(if is_new { Used::First } else { Used::Again }) }
///     })
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = store();
/// let key = UseKey::new(UseKind::ClientAssertion, "orders", "assertion-1");
/// let (now, expires_at) = (NumericDate::from_seconds(100), NumericDate::from_seconds(400));
/// let question = UseOnce::new(key, "orders", now, expires_at);
/// assert!(matches!(store.clone().oneshot(question.clone()).await, Ok(Used::First)));
/// assert!(matches!(store.oneshot(question).await, Ok(Used::Again)));
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a replay store",
    label = "not a `tower::Service<UseOnce, Response = Used>`",
    note = "wrap an async closure: `tower::service_fn(|question: UseOnce| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait ReplayStore: Plug<UseOnce, Used> {}

impl<S: Plug<UseOnce, Used>> ReplayStore for S {}

/// The question to a [`ReplayStore`]: remember that a client uses something, and say whether it was used before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UseOnce {
    /// The name of what is used.
    pub key: UseKey,
    /// The authenticated client. A store that cannot grow without end gives each client a share.
    pub client_id: ClientId,
    /// The current time.
    pub now: NumericDate,
    /// The time until which the store has to remember the use: 60 s after the expiry time, so that servers whose clocks differ
    /// can share a store.
    pub remember_until: NumericDate,
}

impl UseOnce {
    /// Creates the question about something that expires at `expires_at`.
    pub fn new(key: UseKey, client_id: impl Into<ClientId>, now: NumericDate, expires_at: NumericDate) -> Self {
        Self { key, client_id: client_id.into(), now, remember_until: expires_at + MARGIN }
    }
}

/// The answer of a [`ReplayStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Used {
    /// The key is new, and the store remembers the key.
    First,
    /// The key was used before. The request is refused.
    Again,
    /// The store has no room for another key, and remembers nothing. The client gets 503 with `Retry-After`.
    Full,
    /// The client already has its share of the store, which remembers nothing. The client gets 429 with `Retry-After`
    /// (RFC 6585 section 4).
    ShareUsed,
}

impl Used {
    /// The name of the answer, in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Again => "again",
            Self::Full => "full",
            Self::ShareUsed => "share_used",
        }
    }
}
