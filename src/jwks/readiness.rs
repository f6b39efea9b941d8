use super::{freshness::Freshness, remote::KeyHealth};
#[cfg(feature = "metrics")]
use crate::metrics;
use crate::protocol::IssuerId;
use serde::{Serialize, Serializer};
use std::{fmt, time::Duration};

/// The state of the keys of every issuer, for health endpoints.
///
/// [`TokenExchangeLayer::readiness`](crate::TokenExchangeLayer::readiness) and
/// [`TokenExchangeLayer::load_keys`](crate::TokenExchangeLayer::load_keys) return this report. The report names issuers and
/// addresses, so it is for operators and not for the public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Readiness {
    /// The issuers that have keys, in the order of their identifiers.
    pub issuers: Vec<IssuerReadiness>,
}

impl Readiness {
    /// Returns whether every issuer has keys.
    ///
    /// An exchange of a token whose issuer has no keys is answered with 503. The tokens of other issuers are not affected.
    pub fn is_ready(&self) -> bool {
        self.issuers.iter().all(|issuer| issuer.state != KeyState::Missing)
    }
}

#[cfg(feature = "metrics")]
impl Readiness {
    /// Records the report as metrics, through the facade of the crate `metrics`.
    ///
    /// `token_exchange_issuer_keys` and `token_exchange_issuer_keys_age_seconds` are gauges,
    /// `token_exchange_issuer_key_fetches_total` and `token_exchange_issuer_key_fetch_failures_total` are counters. Each has
    /// the label `issuer`. Only issuers with a record appear, so a client cannot create a time series. Call this method
    /// before the recorder is read.
    pub fn record_metrics(&self) {
        for issuer in &self.issuers {
            let IssuerReadiness { keys, age, fetches, failures, .. } = *issuer;
            metrics::record_issuer_keys(
                issuer.issuer.as_str(),
                &metrics::IssuerKeyValues { keys, age, fetches, failures },
            );
        }
    }
}

/// The state of the keys of one issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IssuerReadiness {
    /// The identifier of the issuer.
    pub issuer: IssuerId,
    /// Whether the issuer has keys, and from where.
    pub state: KeyState,
    /// The number of keys that can be used now.
    pub keys: usize,
    /// The time since the keys were fetched; `None` for keys that are not fetched. Serialized in whole seconds.
    #[serde(rename = "age_seconds", serialize_with = "seconds")]
    pub age: Option<Duration>,
    /// The number of fetches that were started since the layer was built. With
    /// [discovery](crate::Issuer::discovery), one fetch takes up to three requests.
    pub fetches: u64,
    /// The number of fetches that failed.
    pub failures: u64,
    /// The problem of the last fetch, if that fetch failed: the address and the cause, escaped and shortened.
    pub last_problem: Option<String>,
}

/// Whether an issuer has keys, and how old the keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyState {
    /// The keys are part of the configuration, or belong to the signer.
    Fixed,
    /// The keys were fetched, and their lifetime has not ended.
    Fresh,
    /// The lifetime of the keys has ended. The keys are used for up to 1 hour, until a fetch succeeds.
    Stale,
    /// There are no keys: no fetch has succeeded yet, or the keys are too old.
    Missing,
}

impl KeyState {
    /// Returns the name of the state, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Missing => "missing",
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl IssuerReadiness {
    pub(super) fn new(issuer: &IssuerId, fixed: usize, remote: Option<KeyHealth>) -> Self {
        let mut readiness = Self {
            issuer: issuer.clone(),
            state: KeyState::Fixed,
            keys: fixed,
            age: None,
            fetches: 0,
            failures: 0,
            last_problem: None,
        };
        if let Some(KeyHealth { usable, fetches, failures, problem }) = remote {
            readiness.state = match usable.as_ref().map(|usable| usable.freshness) {
                Some(Freshness::Fresh | Freshness::Ageing) => KeyState::Fresh,
                Some(Freshness::Stale) => KeyState::Stale,
                None => KeyState::Missing,
            };
            readiness.keys += usable.as_ref().map_or(0, |usable| usable.count);
            readiness.age = usable.map(|usable| usable.age);
            (readiness.fetches, readiness.failures, readiness.last_problem) = (fetches, failures, problem);
        }
        readiness
    }
}

fn seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs()).serialize(serializer)
}
