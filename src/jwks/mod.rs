//! The keys of issuers: fixed key sets, and key sets that are fetched and cached.
//!
//! A [`KeySet`] holds the public keys of one issuer. [`Issuer::keys`](crate::Issuer::keys) takes a fixed key set;
//! [`Issuer::jwks_uri`](crate::Issuer::jwks_uri) and [`Issuer::discovery`](crate::Issuer::discovery) name the place of a
//! key set that is fetched. [`Readiness`] tells operators which issuers have keys.
//!
//! # Fetched key sets
//!
//! * A key set is fetched when a token needs the key set for the first time. One fetch serves all exchanges that wait.
//! * A key set is fresh for the `max-age` of its response, between 1 minute and 24 hours, or for 10 minutes if the
//!   response names no `max-age`. After four fifths of this time, the next use fetches a new key set in the background.
//! * If no new key set can be fetched, the old key set is used for up to 1 hour longer.
//! * A token whose `kid` is not in the key set leads to a new fetch, at most once a minute.
//! * After a failed fetch, the next fetch waits: at most 1 second after the first failure, twice as long after each
//!   further failure, and never longer than 60 seconds.

// `trusted` has the keys of issuers, and `clients` the fetched keys of clients. `lookup` looks for a key in fixed and in fetched
// key sets. `remote` decides when a key set is fetched and
// which exchanges wait. `source` fetches a key set, and `discovery` finds the address of a key set. `fetcher` sends the
// requests. `freshness` says how long a key set may be used, and `back_off` how long to wait after a failure. `readiness`
// reports to operators.
mod back_off;
mod clients;
mod discovery;
mod fetcher;
mod freshness;
mod lookup;
mod readiness;
mod remote;
mod source;
mod trusted;

pub use crate::{
    jose::{IgnoredKey, IgnoredReason, KeySet, KeySetError},
    protocol::{KeyId, KeyIdError},
};
pub use readiness::{IssuerReadiness, KeyState, Readiness};

pub(crate) use clients::ClientKeys;
pub(crate) use fetcher::Fetcher;
pub(crate) use trusted::TrustedKeys;
