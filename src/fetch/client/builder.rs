use std::{fmt, path::PathBuf, time::Duration};

use super::{
    FetchConfigError, HttpFetch, Limits, address::AllowedAddresses, bearer::BearerTokens, connect::Connector, tls,
};

/// Builds an [`HttpFetch`]. Every option has a default.
///
/// ```
/// use std::time::Duration;
/// use tower_token_exchange::fetch::HttpFetch;
///
/// let fetch = HttpFetch::builder()
///     .allow_private_addresses() // the issuer is in the internal network
///     .timeout(Duration::from_secs(2))
///     .body_limit(64 * 1024)
///     .build()?;
/// # Ok::<_, tower_token_exchange::fetch::FetchConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct HttpFetchBuilder {
    loopback_http: bool,
    private_addresses: bool,
    roots: Vec<Vec<u8>>,
    token_files: Vec<(String, PathBuf)>,
    identity: Option<tls::Identity>,
    limits: Limits,
}

impl HttpFetch {
    /// Creates a client with the default limits, which trusts public certificate authorities.
    pub fn new() -> Self {
        Self::builder().build().expect("the defaults are a valid configuration")
    }

    /// Returns a builder with the default limits.
    pub const fn builder() -> HttpFetchBuilder {
        HttpFetchBuilder::new()
    }
}

impl HttpFetchBuilder {
    const fn new() -> Self {
        let limits = Limits { timeout: Duration::from_secs(5), body: 256 * 1024 };
        Self {
            loopback_http: false,
            private_addresses: false,
            roots: Vec::new(),
            token_files: Vec::new(),
            identity: None,
            limits,
        }
    }

    /// Allows loopback addresses (`127.0.0.0/8`, `::1`), over `http` and `https`. This option is for tests and sidecars.
    ///
    /// `http` to any other address is always refused. Default: loopback addresses are refused.
    pub const fn allow_loopback_http(mut self) -> Self {
        self.loopback_http = true;
        self
    }

    /// Allows private addresses over `https`: RFC 1918, `100.64.0.0/10` (RFC 6598), unique-local IPv6 (RFC 4193) and
    /// loopback.
    ///
    /// Link-local, cloud metadata, multicast, documentation and other reserved addresses are always refused. Default:
    /// private addresses are refused.
    pub const fn allow_private_addresses(mut self) -> Self {
        self.private_addresses = true;
        self
    }

    /// Adds the certificates in this PEM text to the trusted roots, next to the public certificate authorities of
    /// webpki-roots.
    ///
    /// This method can be called several times. A PEM block that is not a certificate is skipped.
    ///
    /// # Errors
    /// [`build`](Self::build) fails if the text has no certificate, or a certificate that cannot be a trust anchor.
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

    /// Presents a certificate to servers that ask for a certificate of the client (RFC 8705). `chain` is the PEM text of the
    /// certificate, followed by the certificates between it and its authority. `key` is the PEM text of its private key.
    ///
    /// # Errors
    /// [`build`](Self::build) fails if the texts are not a certificate and its private key.
    pub fn client_certificate_pem(mut self, chain: &[u8], key: &[u8]) -> Self {
        self.identity = Some(tls::Identity { chain: chain.to_vec(), key: key.to_vec().into() });
        self
    }

    /// Sends the token in a file as `Authorization: Bearer` (RFC 6750 section 2.1) with each request to an origin, such as
    /// `https://kubernetes.default.svc`, and to no other origin. Each call adds an origin.
    ///
    /// The API server of a Kubernetes cluster publishes the keys of service accounts only to callers with a token, unless the
    /// cluster permits otherwise. The file is read for each request.
    ///
    /// # Errors
    /// [`build`](Self::build) fails if the text is not an `http` or `https` URL.
    ///
    /// ```
    /// use tower_token_exchange::fetch::HttpFetch;
    ///
    /// let folder = "/var/run/secrets/kubernetes.io/serviceaccount";
    /// let fetch = HttpFetch::builder()
    ///     .allow_private_addresses()
    ///     .bearer_token_file("https://kubernetes.default.svc", format!("{folder}/token"))
    ///     .build()?;
    /// # Ok::<_, tower_token_exchange::fetch::FetchConfigError>(())
    /// ```
    pub fn bearer_token_file(mut self, origin: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.token_files.push((origin.into(), path.into()));
        self
    }

    /// Sets the longest time for a request: resolving the name, connecting, headers and body together. Default: 5 s.
    ///
    /// # Errors
    /// [`build`](Self::build) fails if the time is zero.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Sets the largest response body, in bytes. Default: 256 KiB.
    ///
    /// # Errors
    /// [`build`](Self::build) fails if the limit is zero.
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.limits.body = bytes;
        self
    }

    /// Builds the client. This method needs no runtime, because the client connects only when it gets a request.
    ///
    /// # Errors
    /// [`FetchConfigError`] names the wrong option and what to do.
    pub fn build(self) -> Result<HttpFetch, FetchConfigError> {
        if self.limits.timeout.is_zero() {
            return Err(FetchConfigError::ZeroTimeout);
        }
        if self.limits.body == 0 {
            return Err(FetchConfigError::ZeroBodyLimit);
        }
        let allowed = AllowedAddresses::Network {
            loopback: self.loopback_http || self.private_addresses,
            private: self.private_addresses,
        };
        let tokens = BearerTokens::new(&self.token_files)
            .map_err(|origin| FetchConfigError::NotAnOrigin { origin: origin.to_owned() })?;
        let connector = Connector::new(
            tls::config(tls::public_roots(), &self.roots, self.identity.as_ref())?,
            allowed,
            self.limits.timeout,
        );
        Ok(HttpFetch::with(connector, self.loopback_http, tokens, self.limits))
    }
}

impl fmt::Debug for HttpFetchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFetchBuilder")
            .field("allow_loopback_http", &self.loopback_http)
            .field("allow_private_addresses", &self.private_addresses)
            // The text may contain a private key by mistake.
            .field("root_certificate_pem", &format_args!("{} given", self.roots.len()))
            .field("client_certificate_pem", &self.identity.is_some())
            .field("bearer_token_file", &self.token_files)
            .field("timeout", &self.limits.timeout)
            .field("body_limit", &self.limits.body)
            .finish()
    }
}
