use super::PeerCertificates;
use bytes::Bytes;
use data_encoding::BASE64;
use http::{Extensions, HeaderMap, HeaderName, Request};
use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Layer, Service};

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// The most certificates that are read from `Client-Cert-Chain`.
const MAX_CHAIN: usize = 10;

/// Finds the address of the peer in the extensions of a request.
type FindPeer = dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync;

/// A [`tower::Layer`] that takes the certificate of a client from a proxy that ends TLS: from the headers `Client-Cert` and
/// `Client-Cert-Chain` (RFC 9440).
///
/// The layer belongs outside of the [`TokenExchangeLayer`](crate::TokenExchangeLayer). It needs the address of the peer: of the
/// other end of the connection, and not an address from a header.
///
/// * From a listed proxy, the certificate of the header becomes the [`PeerCertificates`] of the request. Without the header, the
///   request has no `PeerCertificates`, also if the proxy itself has a certificate. A malformed header, or two of them, count as a
///   certificate that no client has.
/// * From anybody else, both headers are removed from the request.
///
/// The proxy must remove the headers of its own clients.
///
/// ```
/// use std::net::{IpAddr, SocketAddr};
/// use tower_token_exchange::client_auth::ProxyCertificatesLayer;
///
/// // The server puts the address of the peer into the extensions of each request.
/// #[derive(Clone)]
/// struct Peer(SocketAddr);
///
/// let proxy = IpAddr::from([10, 0, 0, 1]);
/// let layer = ProxyCertificatesLayer::new([proxy], |extensions| Some(extensions.get::<Peer>()?.0.ip()))
///     .with_valid_chains(); // the proxy accepts only certificates of our own authority
/// # let _ = layer;
/// ```
#[derive(Clone)]
pub struct ProxyCertificatesLayer {
    proxies: Arc<[IpAddr]>,
    peer: Arc<FindPeer>,
    chains_are_valid: bool,
}

impl ProxyCertificatesLayer {
    /// Trusts these proxies. The function finds the address of the peer in the extensions of a request.
    pub fn new(
        proxies: impl IntoIterator<Item = IpAddr>,
        peer: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        let proxies = proxies.into_iter().map(|proxy| proxy.to_canonical()).collect();
        Self { proxies, peer: Arc::new(peer), chains_are_valid: false }
    }

    /// States that the proxies check each chain, as [`PeerCertificates::with_valid_chain`] describes.
    #[must_use]
    pub fn with_valid_chains(mut self) -> Self {
        self.chains_are_valid = true;
        self
    }

    fn apply<B>(&self, request: &mut Request<B>) {
        let peer = (self.peer)(request.extensions()).map(|peer| peer.to_canonical());
        if !peer.is_some_and(|peer| self.proxies.contains(&peer)) {
            request.headers_mut().remove(CLIENT_CERT);
            request.headers_mut().remove(CLIENT_CERT_CHAIN);
            return;
        }
        request.extensions_mut().remove::<PeerCertificates>();
        if !request.headers().contains_key(CLIENT_CERT) {
            return;
        }
        let certificates = PeerCertificates::new(read(request.headers()).unwrap_or_default());
        let certificates = if self.chains_are_valid { certificates.with_valid_chain() } else { certificates };
        request.extensions_mut().insert(certificates);
    }
}

/// Reads the certificates of both headers (RFC 9440 section 2).
fn read(headers: &HeaderMap) -> Option<Vec<Bytes>> {
    let mut leaves = headers.get_all(CLIENT_CERT).iter();
    let leaf = byte_sequence(leaves.next()?.to_str().ok()?)?;
    if leaves.next().is_some() {
        return None;
    }
    let mut chain = vec![leaf];
    for value in headers.get_all(CLIENT_CERT_CHAIN) {
        for member in value.to_str().ok()?.split(',') {
            chain.push(byte_sequence(member)?);
        }
    }
    (chain.len() <= MAX_CHAIN).then_some(chain)
}

/// Reads a byte sequence of a structured field (RFC 9651 section 3.3.5): base64 with padding between colons.
fn byte_sequence(text: &str) -> Option<Bytes> {
    let base64 = text.trim_matches(' ').strip_prefix(':')?.strip_suffix(':')?;
    BASE64.decode(base64.as_bytes()).ok().filter(|der| !der.is_empty()).map(Bytes::from)
}

impl<S> Layer<S> for ProxyCertificatesLayer {
    type Service = ProxyCertificates<S>;

    fn layer(&self, inner: S) -> ProxyCertificates<S> {
        ProxyCertificates { inner, layer: self.clone() }
    }
}

impl fmt::Debug for ProxyCertificatesLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyCertificatesLayer")
            .field("proxies", &self.proxies)
            .field("chains_are_valid", &self.chains_are_valid)
            .finish_non_exhaustive()
    }
}

/// A service that takes the certificate of a client from a proxy. [`ProxyCertificatesLayer`] creates one.
#[derive(Clone, Debug)]
pub struct ProxyCertificates<S> {
    inner: S,
    layer: ProxyCertificatesLayer,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for ProxyCertificates<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        self.layer.apply(&mut request);
        self.inner.call(request)
    }
}
