use std::{error::Error, io, net::IpAddr, time::Duration};

use tokio::time::error::Elapsed;
use tower::BoxError;

use super::address::RefusedAddress;

/// A request that got no response.
///
/// An HTTP status is never an error. The texts name the host, and never the path, the query or credentials of the URI.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The URI is relative, has no host, or carries user information (`user:password@`).
    #[error("the URI cannot be fetched: {problem}")]
    InvalidUri {
        /// The problem with the URI, and what to do.
        problem: &'static str,
    },
    /// The scheme is not `https`, and not `http` with the option `allow_loopback_http`.
    #[error(
        "refused to fetch from {host} over {scheme}; use https (http to a loopback address needs `allow_loopback_http`)"
    )]
    RefusedScheme {
        /// The host of the URI.
        host: String,
        /// The scheme of the URI.
        scheme: String,
    },
    /// The host is an address that is not allowed, or resolves to such addresses only.
    #[error("refused to connect to {host}: {address} is {why}")]
    RefusedAddress {
        /// The host of the URI.
        host: String,
        /// The first address that was refused.
        address: IpAddr,
        /// The kind of the address, and the option that allows the address, if there is one.
        why: &'static str,
    },
    /// The name could not be resolved, or no connection could be made.
    #[error("could not connect to {host}")]
    Connect {
        /// The host of the URI.
        host: String,
        /// The cause.
        source: BoxError,
    },
    /// TLS failed. The usual cause is a certificate that is not trusted, has expired, or names another host.
    #[error("no trusted TLS connection to {host}")]
    Tls {
        /// The host of the URI.
        host: String,
        /// The cause.
        source: BoxError,
    },
    /// Connecting, headers and body together took longer than the timeout.
    #[error("no complete response from {host} within {timeout:?}")]
    TimedOut {
        /// The host of the URI.
        host: String,
        /// The timeout that was set.
        timeout: Duration,
    },
    /// The body, or the announced length of the body, is larger than the limit.
    #[error("the response of {host} is larger than {limit} bytes")]
    TooLarge {
        /// The host of the URI.
        host: String,
        /// The limit that was set, in bytes.
        limit: usize,
    },
    /// The file with the bearer token for the host cannot be read.
    #[error("the file with the bearer token for {host} cannot be used")]
    BearerToken {
        /// The host of the URI.
        host: String,
        /// The cause.
        source: io::Error,
    },
    /// The connection broke, or the response was not HTTP/1.1.
    #[error("the connection to {host} broke, or its response is not HTTP/1.1")]
    Broken {
        /// The host of the URI.
        host: String,
        /// The cause.
        source: BoxError,
    },
}

impl FetchError {
    /// Converts an error of the HTTP client. `connecting` is true if the error is from before there was a connection.
    pub(super) fn transport(host: &str, timeout: Duration, connecting: bool, source: BoxError) -> Self {
        let host = host.to_owned();
        if let Some(&RefusedAddress { address, why }) = find(&*source) {
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
        // `io::Error::source` skips the error that the `io::Error` wraps.
        error = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => wrapped,
            None => error.source()?,
        };
    }
}

/// An option with which no [`HttpFetch`](super::HttpFetch) can be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchConfigError {
    /// A PEM text for a root certificate has no certificate.
    #[error(
        "the PEM text of a root certificate has no certificate; give the text of the certificate file of the CA, \
         with `-----BEGIN CERTIFICATE-----`, or leave the option out to trust public CAs only"
    )]
    NoRootCertificate,
    /// A PEM text for a root certificate cannot be read, or has a certificate that cannot be a trust anchor.
    #[error("a root certificate cannot be used; export the X.509 certificate of the CA as PEM again")]
    UnusableRootCertificate {
        /// The cause.
        source: BoxError,
    },
    /// The certificate of the client cannot be read, or its private key cannot be used.
    #[error(
        "`client_certificate_pem` cannot be used; give the PEM text of the certificate with its chain, and the PEM text \
         of the private key of the certificate"
    )]
    UnusableClientCertificate {
        /// The cause.
        source: BoxError,
    },
    /// The origin of a bearer token is not an origin.
    #[error(
        "`{origin}` is not an origin for `bearer_token_file`; give scheme and host, such as `https://kubernetes.default.svc`"
    )]
    NotAnOrigin {
        /// The text that is not an origin.
        origin: String,
    },
    /// The timeout is zero.
    #[error(
        "`timeout` is zero, so every request would fail; give a positive duration, or leave the option out for 5 s"
    )]
    ZeroTimeout,
    /// The body limit is zero.
    #[error(
        "`body_limit` is zero, so every response would be too large; give a number of bytes, or leave the option out for 256 KiB"
    )]
    ZeroBodyLimit,
}
