use super::body_timeout::BodyTimeout;
use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use std::{
    error::Error as _,
    fmt,
    io::{self, ErrorKind},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::{BoxError, Service};

/// How long an idle connection stays in the pool. The HTTP server of Node.js closes idle connections after 5 s; a request on
/// a connection that is being closed would fail.
const IDLE: Duration = Duration::from_secs(4);

/// How much of an answer is read before the client of the gateway takes it. The head of an answer is not larger.
const BUFFER: usize = 64 * 1024;

/// The HTTP client for the authorization server behind the gateway: HTTP/1.1, with or without TLS, with a pool of
/// connections. Bodies stream.
///
/// The server may close a pooled connection while the client sends a request. The client then repeats a `GET` or `HEAD` without
/// body once, on a new connection (RFC 9110 section 9.2.2).
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
    pooled: HttpClient,
    /// The same client without a pool, for a request that is repeated.
    fresh: HttpClient,
    body_timeout: Duration,
}

type HttpClient = Client<HttpsConnector<HttpConnector>, BodyTimeout<Body>>;

/// Builds a [`PooledClient`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct PooledClientBuilder {
    roots: Option<RootCertStore>,
    server_name: Option<ServerName<'static>>,
    connect_timeout: Duration,
    body_timeout: Duration,
}

impl PooledClientBuilder {
    /// Trusts these certificates, and no others. Default: the public authorities of webpki-roots.
    pub fn roots(mut self, roots: RootCertStore) -> Self {
        self.roots = Some(roots);
        self
    }

    /// Sets the name that the certificate of the server must have. Default: the host of each request's URI.
    pub fn server_name(mut self, name: ServerName<'static>) -> Self {
        self.server_name = Some(name);
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
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = match self.server_name {
            Some(name) => connector.with_server_name_resolver(FixedServerNameResolver::new(name)),
            None => connector,
        };
        let connector = connector.enable_http1().wrap_connector(tcp);
        let client = |idle_connections| {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(idle_connections)
                .http1_preserve_header_case(true)
                .http1_max_buf_size(BUFFER)
                .build(connector.clone())
        };
        Ok(PooledClient { pooled: client(usize::MAX), fresh: client(0), body_timeout: self.body_timeout })
    }
}

impl PooledClient {
    /// Starts a builder.
    pub const fn builder() -> PooledClientBuilder {
        let (connect_timeout, body_timeout) = (Duration::from_secs(5), Duration::from_secs(30));
        PooledClientBuilder { roots: None, server_name: None, connect_timeout, body_timeout }
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
        let again = repeated(&request).map(|request| (self.fresh.clone(), request));
        let response = self.pooled.request(request.map(|body| BodyTimeout::new(body, timeout)));
        Box::pin(async move {
            match (response.await, again) {
                (Err(error), Some((client, request))) if connection_was_closed(&error) => {
                    Ok(client.request(request.map(|body| BodyTimeout::new(body, timeout))).await?)
                }
                (response, _) => Ok(response?),
            }
        })
    }
}

/// A copy of a request that can be sent twice: the second request has no other effect than the first.
fn repeated(request: &Request<Body>) -> Option<Request<Body>> {
    let can_repeat = matches!(*request.method(), Method::GET | Method::HEAD) && request.body().is_end_stream();
    can_repeat.then(|| {
        let mut copy = Request::new(Body::empty());
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        *copy.headers_mut() = request.headers().clone();
        *copy.extensions_mut() = request.extensions().clone();
        copy
    })
}

/// Whether the server closed the connection before it answered.
fn connection_was_closed(error: &Error) -> bool {
    let says_so = |cause: &(dyn std::error::Error + 'static)| {
        let http = cause.downcast_ref::<hyper::Error>();
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        http.is_some_and(|error| error.is_incomplete_message() || error.is_canceled())
            || matches!(kind, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
    };
    let mut cause = error.source().filter(|_| !error.is_connect());
    while let Some(error) = cause {
        if says_so(error) {
            return true;
        }
        cause = error.source();
    }
    false
}

impl fmt::Debug for PooledClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledClient").field("body_timeout", &self.body_timeout).finish_non_exhaustive()
    }
}
