use std::{fmt, time::Duration};

use super::{FetchConfigError, HttpFetch, Limits, address::Reach, connect::Connector, tls};

/// Configures an [`HttpFetch`]. Every option widens or bounds one thing, and none is needed.
///
/// ```
/// use std::time::Duration;
/// use tower_token_exchange::fetch::HttpFetch;
///
/// let fetch = HttpFetch::builder()
///     .allow_private_addresses() // the issuer is in our own network
///     .timeout(Duration::from_secs(2))
///     .body_limit(64 * 1024)
///     .build()?;
/// # Ok::<_, tower_token_exchange::fetch::FetchConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "call `build` to get the client"]
pub struct HttpFetchBuilder {
    loopback_http: bool,
    private_addresses: bool,
    roots: Vec<Vec<u8>>,
    limits: Limits,
}

impl HttpFetch {
    /// With the defaults: https only, public addresses and public CAs only, 5 s, 256 KiB.
    pub fn new() -> Self {
        Self::builder().build().expect("the defaults are a valid configuration")
    }

    /// Starts from the defaults.
    pub const fn builder() -> HttpFetchBuilder {
        HttpFetchBuilder::new()
    }
}

impl HttpFetchBuilder {
    const fn new() -> Self {
        let limits = Limits { timeout: Duration::from_secs(5), body: 256 * 1024 };
        Self { loopback_http: false, private_addresses: false, roots: Vec::new(), limits }
    }

    /// Permits loopback addresses (`127.0.0.0/8`, `::1`), over plain `http` and `https`: for tests and sidecars.
    ///
    /// Plain `http` to any other address stays refused, whatever else is allowed. Off by default.
    pub const fn allow_loopback_http(mut self) -> Self {
        self.loopback_http = true;
        self
    }

    /// Permits private addresses over `https`: RFC 1918, `100.64.0.0/10` (RFC 6598), unique-local IPv6 (RFC 4193)
    /// and loopback.
    ///
    /// Link-local, cloud metadata, multicast, documentation and other reserved addresses stay refused. Off by default.
    pub const fn allow_private_addresses(mut self) -> Self {
        self.private_addresses = true;
        self
    }

    /// Trusts the certificates in this PEM text as roots, besides the public CAs of webpki-roots.
    ///
    /// May be given several times. Anything in the text that is not a certificate is skipped.
    ///
    /// # Errors
    /// [`build`](Self::build) fails if there is no certificate in it or one that cannot be a trust anchor.
    ///
    /// ```
    /// use tower_token_exchange::fetch::{FetchConfigError, HttpFetch};
    ///
    /// let built = HttpFetch::builder().root_certificate_pem(b"/etc/ssl/ca.pem").build(); // the path, not the text
    /// assert!(matches!(built, Err(FetchConfigError::NoRootCertificate)));
    /// ```
    pub fn root_certificate_pem(mut self, pem: &[u8]) -> Self {
        self.roots.push(pem.to_vec());
        self
    }

    /// How long one exchange may take: name lookup, connecting, headers and body together. Default 5 s.
    ///
    /// # Errors
    /// [`build`](Self::build) fails if it is zero.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// The largest response body, in bytes. Default 256 KiB.
    ///
    /// # Errors
    /// [`build`](Self::build) fails if it is zero.
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.limits.body = bytes;
        self
    }

    /// The client. Needs no runtime yet: nothing is connected before the first request.
    ///
    /// # Errors
    /// [`FetchConfigError`] names the option that cannot work and the way out.
    pub fn build(self) -> Result<HttpFetch, FetchConfigError> {
        if self.limits.timeout.is_zero() {
            return Err(FetchConfigError::ZeroTimeout);
        }
        if self.limits.body == 0 {
            return Err(FetchConfigError::ZeroBodyLimit);
        }
        let reach =
            Reach::Network { loopback: self.loopback_http || self.private_addresses, private: self.private_addresses };
        let connector = Connector::new(tls::config(tls::public_roots(), &self.roots)?, reach, self.limits.timeout);
        Ok(HttpFetch::with(connector, self.loopback_http, self.limits))
    }
}

impl fmt::Debug for HttpFetchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFetchBuilder")
            .field("allow_loopback_http", &self.loopback_http)
            .field("allow_private_addresses", &self.private_addresses)
            // The text may hold a private key that nobody meant to pass.
            .field("root_certificate_pem", &format_args!("{} given", self.roots.len()))
            .field("timeout", &self.limits.timeout)
            .field("body_limit", &self.limits.body)
            .finish()
    }
}
