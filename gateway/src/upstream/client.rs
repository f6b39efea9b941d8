use super::body_timeout::BodyTimeout;
use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::{BoxError, Service};

/// How long an idle connection stays in the pool. The HTTP server of Node.js closes idle connections after 5 s; a request on
/// a connection that is being closed would fail.
const IDLE: Duration = Duration::from_secs(4);

/// The HTTP client for the authorization server behind the gateway: HTTP/1.1, with or without TLS, with a pool of
/// connections. Bodies stream.
///
/// The client connects to any address, because the operator names the server. For URLs from other sources use
/// [`HttpFetch`](tower_token_exchange::fetch::HttpFetch).
///
/// ```
/// use std::time::Duration;
/// use token_exchange_gateway::{forward::{Forwarding, Proxy}, upstream::PooledClient};
///
/// let client = PooledClient::builder().connect_timeout(Duration::from_secs(2)).build()?;
/// let forwarding = Forwarding::builder().server("https://10.0.0.7:3000").public_url("https://as.example").build()?;
/// let proxy = Proxy::new(client, forwarding);
/// # let _ = proxy;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PooledClient {
    client: Client<HttpsConnector<HttpConnector>, BodyTimeout<Body>>,
    body_timeout: Duration,
}

/// Builds a [`PooledClient`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct PooledClientBuilder {
    roots: Option<RootCertStore>,
    connect_timeout: Duration,
    body_timeout: Duration,
}

impl PooledClientBuilder {
    /// Trusts these certificates, and no others. Default: the public authorities of webpki-roots.
    pub fn roots(mut self, roots: RootCertStore) -> Self {
        self.roots = Some(roots);
        self
    }

    /// Sets how long connecting may take. Default: 5 s.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long the client waits for the next piece of a request's body. Default: 30 s.
    pub const fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Builds the client. The first request makes the first connection.
    ///
    /// # Errors
    /// [`rustls::Error`] if the TLS library supports none of TLS 1.2 and 1.3.
    pub fn build(self) -> Result<PooledClient, rustls::Error> {
        let public_roots = || RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        // A provider that is global to the process would be a choice for the whole application.
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots.unwrap_or_else(public_roots))
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // The addresses of a name share the time, so that one dead address leaves time for the next.
        tcp.set_connect_timeout(Some(self.connect_timeout));
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_preserve_header_case(true)
            .build(connector.wrap_connector(tcp));
        Ok(PooledClient { client, body_timeout: self.body_timeout })
    }
}

impl PooledClient {
    /// Starts a builder.
    pub const fn builder() -> PooledClientBuilder {
        let (connect_timeout, body_timeout) = (Duration::from_secs(5), Duration::from_secs(30));
        PooledClientBuilder { roots: None, connect_timeout, body_timeout }
    }
}

impl Service<Request<Body>> for PooledClient {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Incoming>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let timeout = self.body_timeout;
        let response = self.client.request(request.map(|body| BodyTimeout::new(body, timeout)));
        Box::pin(async move { Ok(response.await?) })
    }
}

impl fmt::Debug for PooledClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledClient").field("body_timeout", &self.body_timeout).finish_non_exhaustive()
    }
}
