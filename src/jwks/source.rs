use super::{
    discovery::Discovery,
    fetcher::{FetchProblem, Fetcher, deadline},
    freshness::{lifetime, within_hint},
};
use crate::jose::{KeySet, refresh_hint};
use http::StatusCode;
use std::time::Duration;
use tokio::time::Instant;

/// The largest key set that is read, in bytes.
const MAX_KEY_SET_BYTES: usize = 256 * 1024;

/// The place that a key set is fetched from.
pub(super) enum Source {
    /// The URI of the key set.
    Address(String),
    /// The place that the metadata of the issuer names.
    Discovered(Discovery),
}

impl Source {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Address(own), Self::Address(other)) => own == other,
            (Self::Discovered(own), Self::Discovered(other)) => own.is_same(other),
            (Self::Address(_), Self::Discovered(_)) | (Self::Discovered(_), Self::Address(_)) => false,
        }
    }

    /// Returns the name of the source in log lines: the URI, or the identifier of the issuer.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Address(uri) => uri,
            Self::Discovered(discovery) => discovery.issuer(),
        }
    }

    /// Fetches the key set, and returns the key set with its lifetime.
    ///
    /// A fetch takes one request. With discovery, a fetch takes up to three requests.
    pub(super) async fn fetch(&self, fetcher: &Fetcher) -> Result<(KeySet, Duration), FetchProblem> {
        let deadline = deadline();
        match self {
            Self::Address(uri) => key_set(uri, fetcher, deadline).await,
            Self::Discovered(discovery) => {
                let uri = discovery.jwks_uri(fetcher, deadline).await?;
                let fetched = key_set(&uri, fetcher, deadline).await;
                if fetched.is_err() {
                    discovery.forget();
                }
                fetched
            }
        }
    }
}

async fn key_set(uri: &str, fetcher: &Fetcher, deadline: Instant) -> Result<(KeySet, Duration), FetchProblem> {
    let response = fetcher.get(uri, deadline).await?;
    if response.status() != StatusCode::OK {
        return Err(FetchProblem::at(uri, format_args!("status {}", response.status().as_u16())));
    }
    if response.body().len() > MAX_KEY_SET_BYTES {
        return Err(FetchProblem::at(uri, format_args!("larger than {MAX_KEY_SET_BYTES} bytes")));
    }
    let keys = KeySet::from_json(response.body()).map_err(|error| FetchProblem::at(uri, error))?;
    if keys.is_empty() {
        return Err(FetchProblem::at(uri, "no usable key in the set"));
    }
    let lifetime = lifetime(response.headers());
    Ok((keys, refresh_hint(response.body()).map_or(lifetime, |hint| within_hint(lifetime, hint))))
}
