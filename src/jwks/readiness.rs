use super::{Keys, kept::Age};
#[cfg(feature = "metrics")]
use crate::metrics;
use serde::{Serialize, Serializer};
use std::time::Duration;

/// How things stand with the keys of every issuer, for health endpoints.
///
/// From [`TokenExchangeLayer::readiness`](crate::TokenExchangeLayer::readiness) and
/// [`load_keys`](crate::TokenExchangeLayer::load_keys). It names issuers and addresses, so it is for operators and not
/// for the public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Readiness {
    /// The issuers that have keys, in the order of their identifiers.
    pub issuers: Vec<IssuerReadiness>,
}

impl Readiness {
    /// Whether no issuer's keys are missing. Tokens of an issuer whose keys are missing are answered with 503, all
    /// others are not concerned.
    pub fn is_ready(&self) -> bool {
        self.issuers.iter().all(|issuer| issuer.state != KeyState::Missing)
    }
}

#[cfg(feature = "metrics")]
impl Readiness {
    /// Tells the recorder of the `metrics` facade, with the issuer as the label: `token_exchange_issuer_keys` and
    /// `token_exchange_issuer_keys_age_seconds` are gauges, `token_exchange_issuer_key_fetches_total` and
    /// `token_exchange_issuer_key_fetch_failures_total` counters. Call it when the metrics are asked for. Issuers are those of
    /// the records, so that nobody else can make a time series.
    pub fn record_metrics(&self) {
        for issuer in &self.issuers {
            let IssuerReadiness { keys, age, fetches, failures, .. } = *issuer;
            metrics::record_issuer_keys(&issuer.issuer, &metrics::IssuerKeyValues { keys, age, fetches, failures });
        }
    }
}

/// How things stand with the keys of one issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IssuerReadiness {
    /// The issuer's identifier.
    pub issuer: String,
    /// What can be done with its keys.
    pub state: KeyState,
    /// How many keys can be used now.
    pub keys: usize,
    /// How long ago those that are fetched came. In whole seconds, where it is serialized.
    #[serde(rename = "age_seconds", serialize_with = "seconds")]
    pub age: Option<Duration>,
    /// How many times fetching the keys was begun since the layer was built. With
    /// [discovery](crate::Issuer::discovery), one can take up to three requests.
    pub fetches: u64,
    /// How many of these failed.
    pub failures: u64,
    /// Why the last one failed, if it did: the address and what was wrong, escaped and cut off.
    pub last_problem: Option<String>,
}

/// What can be done with an issuer's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyState {
    /// They are part of the configuration, or the signer's.
    Fixed,
    /// They were fetched, and are used.
    Fresh,
    /// They are past their time, and are used for up to 1 hour while no others can be had.
    Stale,
    /// There are none: not fetched yet, or too old.
    Missing,
}

impl KeyState {
    /// The name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Missing => "missing",
        }
    }
}

impl IssuerReadiness {
    /// `None` for an issuer that has no keys at all, such as our own with a signer whose keys nobody gave.
    pub(super) fn of(issuer: &str, keys: &Keys) -> Option<Self> {
        let mut readiness = Self {
            issuer: issuer.to_owned(),
            state: KeyState::Fixed,
            keys: keys.fixed.len(),
            age: None,
            fetches: 0,
            failures: 0,
            last_problem: None,
        };
        if let Some(remote) = &keys.remote {
            let standing = remote.standing();
            readiness.state = match standing.keys {
                Some((_, _, Age::Fresh | Age::Ageing)) => KeyState::Fresh,
                Some((_, _, Age::Stale)) => KeyState::Stale,
                None => KeyState::Missing,
            };
            readiness.keys += standing.keys.map_or(0, |(count, _, _)| count);
            readiness.age = standing.keys.map(|(_, age, _)| age);
            readiness.fetches = standing.fetches;
            readiness.failures = standing.failures;
            readiness.last_problem = standing.problem;
        }
        (keys.remote.is_some() || !keys.fixed.is_empty()).then_some(readiness)
    }
}

fn seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs()).serialize(serializer)
}
