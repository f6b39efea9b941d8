use std::{error::Error, io, net::IpAddr, time::Duration};

use tokio::time::error::Elapsed;
use tower::BoxError;

use super::address::Refused;

/// Why a fetch brought nothing back.
///
/// An HTTP status is never an error here, whatever it is. The texts name the host, never the path, the query or
/// credentials of the URI.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The URI is relative, has no host, or carries user information (`user:password@`).
    #[error("this URI cannot be fetched: {problem}")]
    InvalidUri {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Neither `https` nor, where `allow_loopback_http` is set, `http`.
    #[error(
        "refused to fetch from {host} over {scheme}: use https (plain http to loopback needs `allow_loopback_http`)"
    )]
    RefusedScheme {
        /// The host of the URI.
        host: String,
        /// The scheme of the URI.
        scheme: String,
    },
    /// The host is, or resolves only to, addresses that may not be connected to.
    #[error("refused to connect to {host}: {address} is {why}")]
    RefusedAddress {
        /// The host of the URI.
        host: String,
        /// The first address that was refused.
        address: IpAddr,
        /// What the address is, and which option permits it, if any does.
        why: &'static str,
    },
    /// The name was not resolved, or no connection was made.
    #[error("could not connect to {host}")]
    Connect {
        /// The host of the URI.
        host: String,
        /// What happened.
        source: BoxError,
    },
    /// TLS failed: most often the certificate is not trusted, has expired or names another host.
    #[error("no trusted TLS connection to {host}")]
    Tls {
        /// The host of the URI.
        host: String,
        /// What happened.
        source: BoxError,
    },
    /// Connecting, headers and body together took longer than the timeout.
    #[error("no complete answer from {host} within {timeout:?}")]
    TimedOut {
        /// The host of the URI.
        host: String,
        /// The timeout that was set.
        timeout: Duration,
    },
    /// The body is, or announces to be, larger than the limit.
    #[error("the answer of {host} is larger than {limit} bytes")]
    TooLarge {
        /// The host of the URI.
        host: String,
        /// The limit that was set, in bytes.
        limit: usize,
    },
    /// The connection broke after it was made, or what came was not HTTP/1.1.
    #[error("the exchange with {host} broke off")]
    Broken {
        /// The host of the URI.
        host: String,
        /// What happened.
        source: BoxError,
    },
}

impl FetchError {
    /// Sorts what the HTTP client reports; `connecting` is whether it had no connection yet.
    pub(super) fn transport(host: &str, timeout: Duration, connecting: bool, source: BoxError) -> Self {
        let host = host.to_owned();
        if let Some(&Refused { address, why }) = find(&*source) {
            Self::RefusedAddress { host, address, why }
        } else if find::<Elapsed>(&*source).is_some() {
            Self::TimedOut { host, timeout }
        } else if find::<rustls::Error>(&*source).is_some() {
            Self::Tls { host, source }
        } else if connecting {
            Self::Connect { host, source }
        } else {
            Self::Broken { host, source }
        }
    }
}

fn find<'a, E: Error + 'static>(mut error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    loop {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // `source` of an `io::Error` skips the error that it wraps.
        error = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => wrapped,
            None => error.source()?,
        };
    }
}

/// Why an [`HttpFetch`](super::HttpFetch) was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchConfigError {
    /// A PEM given as root holds no certificate.
    #[error(
        "no certificate in the PEM of a root certificate: pass the CA's own file, \
         the one with `-----BEGIN CERTIFICATE-----`, or leave the option out to trust public CAs only"
    )]
    NoRootCertificate,
    /// A PEM given as root cannot be read, or a certificate in it cannot be used as a trust anchor.
    #[error("a root certificate in PEM cannot be used: export the CA's X.509 certificate as PEM again")]
    UnusableRootCertificate {
        /// What happened.
        source: BoxError,
    },
    /// The timeout is zero: every fetch would fail.
    #[error("`timeout` is zero, so every fetch would fail: give a positive duration, or leave it out for 5 s")]
    ZeroTimeout,
    /// The body limit is zero: every answer would be too large.
    #[error(
        "`body_limit` is zero, so every answer would be too large: give a number of bytes, or leave it out for 256 KiB"
    )]
    ZeroBodyLimit,
}
