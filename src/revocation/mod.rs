//! What was revoked, and the stores that remember the revocations.
//!
//! A revocation is about one token, or is a [`CutOff`]: everything of a subject, of a session, of a client, of an actor, of an
//! issuer or of a signing key that was issued before a moment. A revocation reaches everything that was exchanged for a revoked
//! token: each issued token names its ancestors in the claim `ancestry`, by short keyed hashes, and the layer looks all of them
//! up. So a store has only what was revoked, and nothing about any other token. The page
//! [`revocation`](crate::manual::revocation) says what is guaranteed.

mod ancestry_key;
mod cut_off;
mod entries;
#[cfg(feature = "revocation-file")]
mod file;
mod key;
mod memory;
mod question;
mod revocations;
mod shares;

pub use ancestry_key::{AncestryKey, AncestryKeyError, KeyFingerprint};
pub use cut_off::CutOff;
#[cfg(feature = "revocation-file")]
pub use file::{FileRevocations, RevocationFileError};
pub use key::{RevocationKey, RevocationKind};
pub use memory::MemoryRevocations;
pub use question::{FoundRevocation, Revocation, RevocationQuestion, RevocationState};

pub(crate) use ancestry_key::TokenName;
pub(crate) use revocations::Revocations;

use crate::plug::{BoxPlug, Plug};

pub(crate) type RevocationPart = BoxPlug<RevocationQuestion, RevocationState>;

/// A store of revocations: a service that answers a [`RevocationQuestion`] with a [`RevocationState`].
///
/// The layer asks the store once about every token that is exchanged or introspected, with all keys of the token in one
/// question. If the store returns an error, the exchange, the introspection or the revocation is answered with 503.
///
/// A store that cannot grow without end gives each client a share, by the `holder` of a [`Revocation`]. A client that has its
/// share gets [`RevocationState::ShareUsed`].
///
/// [`MemoryRevocations`] loses the revocations when the process ends; `FileRevocations` (feature `revocation-file`) keeps
/// the revocations. If several processes serve one authorization server, all of them need one shared store. A store that
/// several processes share, or that outlives the process, needs an
/// [`ancestry_key`](crate::TokenExchangeBuilder::ancestry_key).
///
/// ```
/// use std::{collections::HashMap, sync::{Arc, Mutex}};
/// use tower::{BoxError, ServiceExt};
/// use tower_token_exchange::{
///     revocation::{AncestryKey, CutOff, FoundRevocation, Revocation, RevocationQuestion, RevocationState, RevocationStore},
///     token::NumericDate,
/// };
///
/// fn store() -> impl RevocationStore {
///     // The map takes the place of a database that all processes share.
///     let revoked = Arc::new(Mutex::new(HashMap::new()));
///     tower::service_fn(move |question: RevocationQuestion| {
///         let revoked = Arc::clone(&revoked);
///         async move {
///             let mut revoked = revoked.lock().unwrap();
///             Ok::<_, BoxError>(match question {
///                 RevocationQuestion::Revoke { revocation, .. } => {
///                     let moment = revoked.entry(revocation.key).or_insert(revocation.issued_before);
///                     *moment = (*moment).max(revocation.issued_before);
///                     RevocationState::Revoked
///                 }
///                 RevocationQuestion::Find { keys, .. } => {
///                     let found = |key| Some(FoundRevocation::new(key, *revoked.get(&key)?));
///                     RevocationState::Found(keys.into_iter().filter_map(found).collect())
///                 }
///                 _ => return Err("a question of a later version".into()),
///             })
///         }
///     })
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let (store, ancestry_key) = (store(), AncestryKey::new([7; 32])?);
/// let [now, until] = [100, 400].map(NumericDate::from_seconds);
/// let [orders, billing] = ["orders", "billing"].map(|client| CutOff::client(client).key(&ancestry_key));
/// let revoke = RevocationQuestion::revoke(Revocation::cut_off(orders, now, until), now);
/// assert_eq!(store.clone().oneshot(revoke).await.map_err(Into::into)?, RevocationState::Revoked);
/// let found = store.oneshot(RevocationQuestion::find([orders, billing])).await.map_err(Into::into)?;
/// assert_eq!(found, RevocationState::Found(vec![FoundRevocation::new(orders, now)]));
/// # Ok(())
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

/// A store that is full: every revocation in the store is of a token that has not expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store is full with {capacity} revocations of tokens that have not expired; give the store a larger capacity"
)]
#[non_exhaustive]
pub struct RevocationsFull {
    /// The capacity of the store.
    pub capacity: usize,
}
