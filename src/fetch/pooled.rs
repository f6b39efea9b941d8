use super::{
    FetchConfigError,
    client::{connect::tcp, tls},
    patient::PatientBody,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::GaiResolver},
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls::RootCertStore;
use std::{
    fmt,
    marker::PhantomData,
    task::{Context, Poll},
    time::Duration,
};
use tower::{BoxError, Service};

/// How long a connection stays in the pool. Shorter than the 5 s after which the server of Node.js closes one: a connection
/// that closes as a request comes costs an error.
const IDLE: Duration = Duration::from_secs(4);

/// An HTTP client for [`Proxy`](crate::forward::Proxy): HTTP/1.1 over TLS or without, with a pool of connections. Bodies
/// stream.
///
/// It is for one server that you name yourself: it connects to any address. [`HttpFetch`](super::HttpFetch) is for URLs that
/// come from elsewhere.
///
/// ```
/// use axum::body::Body;
/// use std::time::Duration;
/// use tower_token_exchange::{fetch::PooledClient, forward::{Forwarding, Proxy}};
///
/// let client = PooledClient::<Body>::builder().connect_timeout(Duration::from_secs(2)).build()?;
/// let legacy = Proxy::new(client, Forwarding::to("https://10.0.0.7:3000", "https://as.example")?);
/// # let _ = legacy;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PooledClient<B> {
    client: Client<HttpsConnector<HttpConnector>, PatientBody<B>>,
    body_timeout: Duration,
}

/// Configures a [`PooledClient`].
#[must_use = "call `build` to get the client"]
pub struct PooledClientBuilder<B> {
    body: PhantomData<fn(B)>,
    roots: Option<Vec<u8>>,
    connect_timeout: Duration,
    body_timeout: Duration,
}

impl<B> PooledClientBuilder<B> {
    /// Trusts the certificates in this PEM text, in place of the public CAs of webpki-roots.
    pub fn only_root_certificates_pem(mut self, pem: &[u8]) -> Self {
        self.roots = Some(pem.to_vec());
        self
    }

    /// How long connecting may take. Default 5 s.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long it waits for the next piece of a request's body. Default 30 s.
    pub const fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// The client. Nothing is connected before the first request.
    ///
    /// # Errors
    /// [`FetchConfigError`] if a certificate cannot be used, or there is none in the text.
    pub fn build(self) -> Result<PooledClient<B>, FetchConfigError>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
    {
        let others = if self.roots.is_some() { RootCertStore::empty() } else { tls::public_roots() };
        let tls = tls::config(others, self.roots.as_slice())?;
        let tcp = tcp(GaiResolver::new(), self.connect_timeout);
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_preserve_header_case(true)
            .build(connector.wrap_connector(tcp));
        Ok(PooledClient { client, body_timeout: self.body_timeout })
    }
}

impl<B> PooledClient<B> {
    /// Begins a client.
    pub const fn builder() -> PooledClientBuilder<B> {
        let (connect_timeout, body_timeout) = (Duration::from_secs(5), Duration::from_secs(30));
        PooledClientBuilder { body: PhantomData, roots: None, connect_timeout, body_timeout }
    }
}

impl<B> Service<Request<B>> for PooledClient<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Incoming>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let patience = self.body_timeout;
        let response = self.client.request(request.map(|body| PatientBody::new(body, patience)));
        Box::pin(async move { Ok(response.await?) })
    }
}

impl<B> Clone for PooledClient<B> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), body_timeout: self.body_timeout }
    }
}

impl<B> fmt::Debug for PooledClientBuilder<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeouts = (self.connect_timeout, self.body_timeout);
        f.debug_struct("PooledClientBuilder").field("timeouts", &timeouts).finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for PooledClient<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledClient").field("body_timeout", &self.body_timeout).finish_non_exhaustive()
    }
}
