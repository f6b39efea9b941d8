use super::{
    discovery::Discovery,
    fetching::{Fetching, Problem, deadline},
    freshness::freshness,
};
use crate::jose::KeySet;
use http::StatusCode;
use std::time::Duration;
use tokio::time::Instant;

/// The largest key set that is read.
const KEY_SET_BYTES: usize = 256 * 1024;

/// Where a key set is fetched from.
pub(super) enum Source {
    /// Here.
    At(String),
    /// Where the issuer's metadata says.
    Discovered(Discovery),
}

impl Source {
    /// Whether both are one place.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::At(own), Self::At(other)) => own == other,
            (Self::Discovered(own), Self::Discovered(other)) => own.issuer() == other.issuer(),
            (Self::At(_), Self::Discovered(_)) | (Self::Discovered(_), Self::At(_)) => false,
        }
    }

    /// The address to name where nothing was asked yet.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::At(uri) => uri,
            Self::Discovered(discovery) => discovery.issuer(),
        }
    }

    /// The key set, and how long it is fresh. One request; up to three where it must be found first.
    pub(super) async fn fetch(&self, fetching: &Fetching) -> Result<(KeySet, Duration), Problem> {
        let deadline = deadline();
        match self {
            Self::At(uri) => key_set(uri, fetching, deadline).await,
            Self::Discovered(discovery) => {
                let uri = discovery.jwks_uri(fetching, deadline).await?;
                let fetched = key_set(&uri, fetching, deadline).await;
                if fetched.is_err() {
                    discovery.forget();
                }
                fetched
            }
        }
    }
}

async fn key_set(uri: &str, fetching: &Fetching, deadline: Instant) -> Result<(KeySet, Duration), Problem> {
    let response = fetching.get(uri, deadline).await?;
    if response.status() != StatusCode::OK {
        return Err(Problem::at(uri, format_args!("status {}", response.status().as_u16())));
    }
    if response.body().len() > KEY_SET_BYTES {
        return Err(Problem::at(uri, format_args!("larger than {KEY_SET_BYTES} bytes")));
    }
    let keys = KeySet::from_json(response.body()).map_err(|error| Problem::at(uri, error))?;
    if keys.is_empty() {
        return Err(Problem::at(uri, "no usable key in the set"));
    }
    Ok((keys, freshness(response.headers())))
}
